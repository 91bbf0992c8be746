"""IPv4 and IPv6 headers: what is behind them, how long it is, and whether it is a fragment.

Works on offsets into one buffer, without copies. Checksums are not verified: captures at the sender show them
before the hardware fills them in. Raises WireError: "truncated" where the buffer ends too early, "malformed" where
lengths contradict each other. Sources: RFC 791, RFC 8200, RFC 2675, RFC 4302.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct
from typing import Final

from ipsecanalyze.errors import WireError

__all__ = ["Fragment", "IpPacket", "address_text", "extension_headers", "parse_ipv4", "parse_ipv6"]

_IPV4: Final = Struct("!BBHHHBBH4s4s")
_IPV6: Final = Struct("!IHBB16s16s")
_FRAGMENT: Final = 44
#: Extension headers that say their length in units of eight octets: hop-by-hop, routing, destination options,
#: mobility (RFC 6275), HIP (RFC 7401), shim6 (RFC 5533).
_SIZED: Final = frozenset((0, 43, 60, 135, 139, 140))


@dataclass(frozen=True, slots=True)
class Fragment:
    """Where a fragment belongs."""

    identification: int
    offset: int
    """In octets, from the start of the fragmentable part."""
    more: bool


@dataclass(slots=True)
class IpPacket:
    """The payload of an IP packet, and of its header what IPsec people ask for."""

    version: int
    source: bytes
    """4 or 16 octets."""
    destination: bytes
    protocol: int
    """Of the payload: behind extension headers."""
    data: bytes
    """The buffer in which the payload stands."""
    start: int
    end: int
    """Behind the captured payload, within `data`."""
    length: int
    """Octets of the payload on the wire: more than `end - start` where the capture cut it."""
    ttl: int
    traffic_class: int
    dont_fragment: bool = False
    ip_id: int = 0
    fragment: Fragment | None = None
    fragments: int = 1
    overrun: bool = False
    """The header claims more octets than the frame had on the wire."""
    extensions: tuple[tuple[int, bytes], ...] = ()
    """What stood between the IP header and the payload: IPv6 extension headers (but for that of fragments and AH) by
    their number, or all options of IPv4 under number 0."""


@lru_cache(maxsize=65_536)
def address_text(address: bytes) -> str:
    """4 or 16 octets as `inet_ntop` writes them."""
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def _truncated(layer: str, offset: int, available: int) -> WireError:
    return WireError(
        f"{layer} header at offset {offset} is cut after {available} octets",
        layer=layer,
        offset=offset,
        slug="truncated",
    )


def parse_ipv4(data: bytes, offset: int, wire_end: int) -> IpPacket:
    """Read the IPv4 header at `offset`; `wire_end` is where the enclosing layer ended on the wire."""
    available = len(data) - offset
    if available < 20:
        raise _truncated("ipv4", offset, max(available, 0))
    first, service, total, ip_id, place, ttl, protocol, _, source, destination = _IPV4.unpack_from(data, offset)
    header = (first & 15) * 4
    if first >> 4 != 4 or header < 20:
        raise WireError(f"IPv4 header begins with {first:#04x}", layer="ipv4", offset=offset)
    if total == 0:  # handed to the network card whole, to be cut there (TSO)
        total = min(wire_end - offset, 0xFFFF_FFFF)
    if total < header:
        raise WireError(f"total length {total} below header length {header}", layer="ipv4", offset=offset + 2)
    if available < header:
        raise _truncated("ipv4", offset, available)
    fragment = Fragment(ip_id, (place & 0x1FFF) * 8, bool(place & 0x2000)) if place & 0x3FFF else None
    return IpPacket(
        4,
        source,
        destination,
        protocol,
        data,
        offset + header,
        min(offset + total, len(data)),
        total - header,
        ttl,
        service,
        bool(place & 0x4000),
        ip_id,
        fragment,
        1,
        offset + total > wire_end,
        ((0, data[offset + 20 : offset + header]),) if header > 20 else (),
    )


def parse_ipv6(data: bytes, offset: int, wire_end: int) -> IpPacket:
    """Read the IPv6 header at `offset` and its extension headers; `wire_end` as for `parse_ipv4`."""
    available = len(data) - offset
    if available < 40:
        raise _truncated("ipv6", offset, max(available, 0))
    first, length, protocol, hops, source, destination = _IPV6.unpack_from(data, offset)
    if first >> 28 != 6:
        raise WireError(f"IPv6 header begins with {first >> 24:#04x}", layer="ipv6", offset=offset)
    start = offset + 40
    if length == 0 and protocol != 59:  # a jumbogram (RFC 2675), or handed to the network card whole
        length = max(min(wire_end, 0xFFFF_FFFF) - start, 0)
    packet = IpPacket(
        6,
        source,
        destination,
        protocol,
        data,
        start,
        min(start + length, len(data)),
        length,
        hops,
        first >> 20 & 0xFF,
        overrun=start + length > wire_end,
    )
    if protocol in _SIZED or protocol == _FRAGMENT:
        extension_headers(packet)
    return packet


def extension_headers(packet: IpPacket) -> None:
    """Step over the IPv6 extension headers at `packet.start`, up to AH, ESP, an upper layer or a real fragment.

    Changes `packet` in place. A fragment that is the whole datagram (RFC 6946) is none.
    """
    data, layer = packet.data, "ipv6"
    found: list[tuple[int, bytes]] = []
    while packet.protocol in _SIZED or packet.protocol == _FRAGMENT:
        start = packet.start
        size = 8
        if packet.length >= 8 > packet.end - start:
            raise _truncated(layer, start, packet.end - start)
        if packet.length >= 8 and packet.protocol != _FRAGMENT:
            size = (data[start + 1] + 1) * 8
        if size > packet.length:
            raise WireError(
                f"extension header {packet.protocol} of {size} octets, {packet.length} are left",
                layer=layer,
                offset=start,
            )
        if size > packet.end - start:
            raise _truncated(layer, start, packet.end - start)
        packet.start += size
        packet.length -= size
        kind, packet.protocol = packet.protocol, data[start]
        if kind == _FRAGMENT:
            place = int.from_bytes(data[start + 2 : start + 4])
            if place & 0xFFF9:
                identification = int.from_bytes(data[start + 4 : start + 8])
                packet.fragment = Fragment(identification, place & 0xFFF8, bool(place & 1))
                break
        else:
            found.append((kind, data[start : start + size]))
    packet.extensions += tuple(found)
