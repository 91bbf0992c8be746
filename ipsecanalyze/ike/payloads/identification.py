"""The Identification payloads (RFC 7296 §3.5, RFC 2407 §4.6.2) and addresses as text.

Identities are what strangers claim to be: `text` is escaped and never raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.der import name_text
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.text import escape, escape_or_hex, hex_text
from ipsecanalyze.registry import ikev1, ikev2

__all__ = [
    "IdPayload",
    "IdgPayload",
    "address_text",
    "ip_protocol_text",
    "parse_group_id",
    "parse_id_v1",
    "parse_id_v2",
    "range_text",
]

_V2_NAMES = {35: "IDi", 36: "IDr"}
#: Both versions have the same numbers; what only one of them has does not clash.
_FQDN, _MAIL, _DN, _GENERAL_NAME, _KEY_ID, _NULL = 2, 3, 9, 10, 11, 13
_SUBNETS = (4, 6)
_RANGES = (7, 8)
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
              89: "ospf", 115: "l2tp", 132: "sctp", 135: "mh"}  # fmt: skip


def address_text(data: bytes) -> str:
    """An IPv4 or IPv6 address by the number of octets; hex digits for any other length."""
    if len(data) == 4:
        return str(IPv4Address(data))
    return str(IPv6Address(data)) if len(data) == 16 else hex_text(data)


def ip_protocol_text(number: int) -> str:
    """The short name that IPsec people use, or the number."""
    return _PROTOCOLS.get(number, str(number))


def range_text(first: bytes, last: bytes) -> str:
    """A range of addresses: as a network where it is one, "10.1.0.0/24", otherwise "10.1.0.5-10.1.0.9"."""
    if first == last:
        return f"{address_text(first)}/{8 * len(first)}"
    low, high = int.from_bytes(first), int.from_bytes(last)
    size = high - low + 1
    if low <= high and size & (size - 1) == 0 and low & (size - 1) == 0:
        return f"{address_text(first)}/{8 * len(first) - size.bit_length() + 1}"
    return f"{address_text(first)}-{address_text(last)}"


def _subnet_text(data: bytes) -> str:
    half = len(data) // 2
    if len(data) not in (8, 32):
        return hex_text(data)
    mask = int.from_bytes(data[half:])
    inverse = mask ^ ((1 << 8 * half) - 1)
    if inverse & (inverse + 1):
        return f"{address_text(data[:half])}/{address_text(data[half:])}"
    prefix = 8 * half - inverse.bit_length()
    network: IPv4Network | IPv6Network = ip_network((data[:half], prefix), strict=False)
    return str(network)


def _general_name_text(data: bytes) -> str:
    # GeneralName (RFC 5280 §4.2.1.6): [1] mail, [2] DNS name, [6] URI are strings, [4] holds a name, [7] an address.
    if len(data) < 2 or data[1] & 0x80 or len(data) != 2 + data[1]:
        return hex_text(data)
    if data[0] in (0x81, 0x82, 0x86):
        return escape(data[2:])
    if data[0] == 0xA4:
        return _name_or_hex(data[2:])
    return address_text(data[2:]) if data[0] == 0x87 else hex_text(data)


def _name_or_hex(data: bytes) -> str:
    try:
        return name_text(data)
    except WireError:
        return hex_text(data)


@dataclass(slots=True, kw_only=True)
class IdPayload(Payload):
    """Identification: IDi, IDr, or IKEv1's identity, which also names the traffic of Quick Mode."""

    label: ClassVar[str] = "ID"
    title: ClassVar[str] = "Identification"

    id_type: int
    """`IdType` number of IKEv2 or IKEv1."""
    reserved_field: int = 0
    """IKEv2: the three octets behind the type."""
    protocol: int | None = None
    """IKEv1: IP protocol, 0 for any; None for IKEv2."""
    port: int | None = None
    """IKEv1: port, 0 for any; None for IKEv2."""
    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        if self.protocol is None or self.port is None:
            return bytes((self.id_type,)) + self.reserved_field.to_bytes(3) + self.data
        return bytes((self.id_type, self.protocol)) + self.port.to_bytes(2) + self.data

    @property
    def name(self) -> str:
        """What RFCs call it: "IDi", "IDr", "ID" for IKEv1."""
        return _V2_NAMES.get(self.type, self.label)

    @property
    def type_name(self) -> str:
        """The registry's name of the identity's type."""
        return self._id_type.name

    @property
    def _id_type(self) -> ikev1.IdType | ikev2.IdType:
        return ikev2.IdType(self.id_type) if self.protocol is None else ikev1.IdType(self.id_type)

    @property
    def text(self) -> str:
        """The identity: an address, a name, "C=CH, O=strongSwan, CN=moon"; hex digits where nothing else will do."""
        kind, data = self.id_type, self.data
        if kind in (_FQDN, _MAIL):
            return escape(data)
        if kind == _DN:
            return _name_or_hex(data)
        if kind == _GENERAL_NAME:
            return _general_name_text(data)
        if kind == _KEY_ID:
            return escape_or_hex(data)
        if kind == _NULL and not data:
            return "(none)"
        if self.protocol is not None and kind in _SUBNETS:
            return _subnet_text(data)
        if self.protocol is not None and kind in _RANGES and len(data) in (8, 32):
            return range_text(data[: len(data) // 2], data[len(data) // 2 :])
        return address_text(data)

    @property
    def summary(self) -> str:
        """As in "IDi[moon.strongswan.org]"."""
        traffic = ""
        if self.protocol:
            traffic = f", {ip_protocol_text(self.protocol)}{f'/{self.port}' if self.port else ''}"
        return f"{self.name}[{self.text}{traffic}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Type, traffic (IKEv1) and identity."""
        yield TreeLine(at, "ID type", numbered(self._id_type), 1)
        if self.protocol is not None:
            yield TreeLine(at + 1, "protocol", ip_protocol_text(self.protocol), 1)
            yield TreeLine(at + 2, "port", str(self.port), 1)
        yield TreeLine(at + 4, "identity", self.text, 1)


@dataclass(slots=True, kw_only=True)
class IdgPayload(IdPayload):
    """IDg: the group that a member wants to join (RFC 9838 §4.3)."""

    label: ClassVar[str] = "IDg"
    title: ClassVar[str] = "Group Identification"


def parse_id_v2(kind: int, body: bytes, problems: Problems) -> IdPayload:
    """Read IDi or IDr."""
    del problems
    require(body, 4, "ID payload")
    return IdPayload(type=kind, id_type=body[0], reserved_field=int.from_bytes(body[1:4]), data=body[4:])


def parse_group_id(kind: int, body: bytes, problems: Problems) -> IdgPayload:
    """Read IDg: its format is that of IDi."""
    del problems
    require(body, 4, "IDg payload")
    return IdgPayload(type=kind, id_type=body[0], reserved_field=int.from_bytes(body[1:4]), data=body[4:])


def parse_id_v1(kind: int, body: bytes, problems: Problems) -> IdPayload:
    """Read IKEv1's identification, of the IPsec DOI."""
    del problems
    require(body, 4, "ID payload")
    return IdPayload(type=kind, id_type=body[0], protocol=body[1], port=body[2] << 8 | body[3], data=body[4:])
