"""The packets that opening gives: inner IP packets, or IP packets rebuilt around what transport mode protected.

IPComp is undone here, and BEET's header. Nothing is decrypted here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_pton
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.crypto.ipcomp import BEET, IPCOMP, decompress, read_beet
from ipsecanalyze.errors import UsageError
from ipsecanalyze.esp.flow import FlowKey

if TYPE_CHECKING:
    from ipsecanalyze.crypto.esp import OpenedEsp

__all__ = ["DecryptedPacket", "Outer", "inner_packet", "ip_packet"]

IPV4, IPV6, AH = 4, 41, 51
#: What AH may stand in front of and is opened on its own: ESP, and one more AH.
PROTECTED: Final = (50, 51)
_V4: Final = Struct(">BBHHHBBH4s4s")
_V6: Final = Struct(">IHBB16s16s")
_SUMS: Final = Struct(">10H")


@dataclass(frozen=True, slots=True)
class DecryptedPacket:
    """An IP packet that was inside ESP or AH."""

    data: bytes = field(repr=False)
    """The IP packet from its first octet on. Tunnel mode: the inner packet, without TFC padding. Transport mode and
    BEET: a packet with the outer addresses around what was protected; what IPComp had compressed is inflated."""
    frame: int
    """The outer packet's frame (of the last fragment or segment)."""
    time_ns: int
    """When the outer packet was captured."""
    flow: FlowKey
    """(protocol, source, destination, SPI, encapsulation) of the outer packet, as `Flow` has them."""
    spi: int
    sequence: int
    """Sequence number; with 64 bits where the SA has extended ones."""
    next_header: int
    """IP protocol number of what was protected: 4 and 41 in tunnel mode."""
    capture: int = 0
    """Index of the capture among those that were given."""

    def to_scapy(self) -> Any:
        """The packet as scapy's IP or IPv6. Raises UsageError where scapy is not installed."""
        try:
            from scapy.layers.inet import IP
            from scapy.layers.inet6 import IPv6
        except ImportError:
            raise UsageError("this needs scapy: pip install 'ipsecanalyze[scapy]'") from None
        return (IPv6 if self.data[:1] and self.data[0] >> 4 == 6 else IP)(self.data)


class Outer:
    """The outer IP header, as far as it is needed for rebuilding one."""

    __slots__ = ("destination", "dont_fragment", "ip_id", "source", "traffic_class", "ttl")

    def __init__(
        self, source: bytes, destination: bytes, ttl: int, traffic_class: int, dont_fragment: bool, ip_id: int
    ) -> None:
        self.source, self.destination = source, destination
        self.ttl, self.traffic_class = ttl, traffic_class
        self.dont_fragment, self.ip_id = dont_fragment, ip_id

    @classmethod
    def of(cls, datagram: Datagram) -> Outer:
        """That of a datagram."""
        return cls(
            address_octets(datagram.source),
            address_octets(datagram.destination),
            datagram.ttl,
            datagram.traffic_class,
            datagram.dont_fragment,
            datagram.ip_id,
        )


def address_octets(text: str) -> bytes:
    """An address as it stands in packets."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except OSError:
        return ip_address(text).packed


def ip_packet(outer: Outer, protocol: int, payload: bytes, options: bytes = b"") -> bytes:
    """An IP packet with these addresses around a payload; checksum and lengths are right."""
    if len(outer.source) == 16:
        head = _V6.pack(
            6 << 28 | outer.traffic_class << 20,
            len(payload) & 0xFFFF,
            protocol,
            outer.ttl,
            outer.source,
            outer.destination,
        )
        return head + payload
    options += bytes(-len(options) & 3)
    size = 20 + len(options)
    fields = [
        0x40 | size // 4,
        outer.traffic_class,
        min(size + len(payload), 0xFFFF),
        outer.ip_id,
        0x4000 if outer.dont_fragment else 0,
        outer.ttl,
        protocol,
        0,
        outer.source,
        outer.destination,
    ]
    fields[7] = _checksum(_V4.pack(*fields) + options)
    return b"".join((_V4.pack(*fields), options, payload))


def _checksum(header: bytes) -> int:
    total = sum(int.from_bytes(header[at : at + 2]) for at in range(0, len(header), 2))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))


def ah_image(datagram: Datagram) -> bytes:
    """The IP packet that AH's ICV is of, but for what counts as zero in it anyway (RFC 4302 §3.3.3.1).

    As it was before fragmentation, which comes behind AH (§3.3.4): without the extension header of fragments.
    """
    outer, kind, payload, options = Outer.of(datagram), AH, datagram.payload, b""
    if len(outer.source) == 4:
        options = b"".join(octets for _, octets in datagram.extensions)
    elif datagram.extensions:
        kinds = [number for number, _ in datagram.extensions] + [AH]
        kind = kinds[0]
        chain = (
            bytes((following,)) + octets[1:]
            for following, (_, octets) in zip(kinds[1:], datagram.extensions, strict=True)
        )
        payload = b"".join((*chain, payload))
    return ip_packet(outer, kind, payload, options)


def inner_packet(opened: OpenedEsp, outer: Outer) -> bytes | None:
    """The IP packet for what was opened; None for a dummy. Raises DecryptError where IPComp or BEET cannot be read."""
    kind = opened.next_header
    if kind in (IPV4, IPV6):
        return bytes(opened.inner)
    if opened.is_dummy:
        return None
    payload, options = bytes(opened.payload), b""
    if kind == IPCOMP:
        # RFC 3173 §2: compression comes before ESP, so it is undone behind it.
        kind, payload, _ = decompress(payload)
        if kind in (IPV4, IPV6):
            return payload
    if kind == BEET:
        kind, found, rest = read_beet(payload)
        options, payload = bytes(found), bytes(rest)
    return ip_packet(outer, kind, payload, options)
