"""The Traffic Selector payloads TSi and TSr: which packets a Child SA is for (RFC 7296 §3.13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.payloads.identification import ip_protocol_text, range_text
from ipsecanalyze.ike.text import escape_or_hex, hex_text
from ipsecanalyze.registry.ikev2 import TrafficSelectorType

__all__ = ["TrafficSelector", "TrafficSelectorPayload", "parse_traffic_selectors"]

_NAMES = {44: "TSi", 45: "TSr"}
_IPV4_RANGE, _IPV6_RANGE, _FC_RANGE, _SECURITY_LABEL = 7, 8, 9, 10
_ADDRESS_OCTETS = {_IPV4_RANGE: 4, _IPV6_RANGE: 16}
_ICMP = (1, 58)
_MOBILITY = 135
_LAST_PORT = 65535
_SHOWN = 4

_HEAD = Struct(">BBH")
_PORTS = Struct(">HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSelector:
    """One selector: a range of addresses with a protocol and a range of ports, or octets of another type."""

    type: int
    """`TrafficSelectorType` number."""
    protocol: int = 0
    """IP protocol, 0 for any (reserved octet of other types)."""
    start_port: int = 0
    end_port: int = 0
    start_address: bytes = b""
    end_address: bytes = b""
    data: bytes = b""
    """The octets behind the length, where the type is not an address range."""

    @property
    def is_range(self) -> bool:
        """Whether it is a range of IPv4 or IPv6 addresses."""
        return self.type in _ADDRESS_OCTETS

    @property
    def size(self) -> int:
        """Octets on the wire."""
        return 8 + 2 * len(self.start_address) if self.is_range else 4 + len(self.data)

    def to_bytes(self) -> bytes:
        """The octets on the wire."""
        head = _HEAD.pack(self.type, self.protocol, self.size)
        if self.is_range:
            return head + _PORTS.pack(self.start_port, self.end_port) + self.start_address + self.end_address
        return head + self.data

    @property
    def ports_text(self) -> str:
        """The ports in words: "5001", "5001-5010", "any", "OPAQUE"; for ICMP "8(0)" (type and code)."""
        start, end = self.start_port, self.end_port
        if (start, end) == (0, _LAST_PORT):
            return "any"
        # RFC 7296 §3.13.1: OPAQUE, the port fields are not there or hidden (fragments).
        if (start, end) == (_LAST_PORT, 0):
            return "OPAQUE"
        if self.protocol in _ICMP or self.protocol == _MOBILITY:
            texts = [f"{port >> 8}({port & 0xFF})" for port in (start, end)]
        else:
            texts = [str(start), str(end)]
        return texts[0] if start == end else "-".join(texts)

    @property
    def text(self) -> str:
        """The selector as strongSwan writes it: "10.1.0.0/24", "10.1.0.0/24[tcp/5001]"; escaped."""
        if not self.is_range:
            if self.type == _SECURITY_LABEL:
                return f"label {escape_or_hex(self.data)}"
            return f"{TrafficSelectorType(self.type).name} {hex_text(self.data)}"
        addresses = range_text(self.start_address, self.end_address)
        ports = self.ports_text
        if ports == "any":
            return f"{addresses}[{ip_protocol_text(self.protocol)}]" if self.protocol else addresses
        return f"{addresses}[{ip_protocol_text(self.protocol)}/{ports}]"


@dataclass(slots=True, kw_only=True)
class TrafficSelectorPayload(Payload):
    """TSi or TSr."""

    label: ClassVar[str] = "TS"
    title: ClassVar[str] = "Traffic Selector"

    reserved_field: int = 0
    selectors: tuple[TrafficSelector, ...] = ()
    declared_selectors: int | None = None
    """The number of selectors that the header claims, where it is not the number that is there."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        count = len(self.selectors) if self.declared_selectors is None else self.declared_selectors
        head = bytes((count & 0xFF,)) + self.reserved_field.to_bytes(3)
        return head + b"".join([selector.to_bytes() for selector in self.selectors])

    @property
    def name(self) -> str:
        """Whose traffic: "TSi" or "TSr"."""
        return _NAMES.get(self.type, self.label)

    @property
    def summary(self) -> str:
        """As in "TSi[10.1.0.0/24]"."""
        texts = ", ".join(selector.text for selector in self.selectors[:_SHOWN])
        more = f" +{len(self.selectors) - _SHOWN}" if len(self.selectors) > _SHOWN else ""
        return f"{self.name}[{texts}{more}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The selectors with their fields."""
        at += 4
        for selector in self.selectors:
            yield TreeLine(at, "selector", selector.text, 1)
            yield TreeLine(at, "TS type", numbered(TrafficSelectorType(selector.type)), 2)
            if selector.is_range:
                yield TreeLine(at + 1, "IP protocol", f"{ip_protocol_text(selector.protocol)} ({selector.protocol})", 2)
                yield TreeLine(at + 4, "ports", f"{selector.start_port}-{selector.end_port}", 2)
            at += selector.size


def _parse_selector(body: bytes, position: int) -> TrafficSelector:
    end = len(body)
    if end - position < 4:
        raise WireError("traffic selector is cut short", layer="traffic selector", offset=position)
    kind, protocol, size = _HEAD.unpack_from(body, position)
    octets = _ADDRESS_OCTETS.get(kind)
    stop = position + size
    if size < 4 or stop > end or (octets is not None and size != 8 + 2 * octets):
        raise WireError(f"traffic selector length {size} cannot be", layer="traffic selector", offset=position + 2)
    if octets is None:
        return TrafficSelector(type=kind, protocol=protocol, data=body[position + 4 : stop])
    start_port, end_port = _PORTS.unpack_from(body, position + 4)
    middle = position + 8 + octets
    return TrafficSelector(
        type=kind,
        protocol=protocol,
        start_port=start_port,
        end_port=end_port,
        start_address=body[position + 8 : middle],
        end_address=body[middle:stop],
    )


def parse_traffic_selectors(kind: int, body: bytes, problems: Problems) -> TrafficSelectorPayload:
    """Read TSi or TSr; a wrong number of selectors is a problem told, not an error."""
    require(body, 4, "TS payload")
    selectors = []
    position = 4
    while position < len(body):
        selector = _parse_selector(body, position)
        selectors.append(selector)
        position += selector.size
    declared = None
    if body[0] != len(selectors):
        declared = body[0]
        problems.append(("count-mismatch", f"{declared} selectors announced, {len(selectors)} found", 0))
    return TrafficSelectorPayload(
        type=kind, reserved_field=int.from_bytes(body[1:4]), selectors=tuple(selectors), declared_selectors=declared
    )
