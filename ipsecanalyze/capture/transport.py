"""The headers directly over IP: UDP, TCP and AH, as far as finding IPsec takes. ESP needs no more than its length.

Raises WireError: "truncated" where the capture cut a header, "malformed" where lengths contradict each other.
Sources: RFC 768, RFC 9293, RFC 4302, RFC 4303.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from ipsecanalyze.capture.ip import IpPacket
from ipsecanalyze.errors import WireError

__all__ = ["AH", "ESP", "ICMP", "ICMPV6", "TCP", "UDP", "ah_size", "fence", "tcp_header", "udp_header"]

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ESP: Final = 50
AH: Final = 51
ICMPV6: Final = 58
_UDP: Final = Struct("!HHH")
_TCP: Final = Struct("!HHIIBB")


def fence(packet: IpPacket, offset: int, size: int, layer: str) -> None:
    """Raise WireError unless `size` octets at `offset` are inside the payload, and in the capture."""
    if offset + size > packet.start + packet.length:
        raise WireError(
            f"{layer} needs {size} octets, its packet has {packet.start + packet.length - offset}",
            layer=layer,
            offset=offset,
        )
    if offset + size > packet.end:
        raise WireError(f"{layer} header is cut by the capture", layer=layer, offset=offset, slug="truncated")


def udp_header(packet: IpPacket) -> tuple[int, int, int]:
    """(source port, destination port, octets of payload on the wire)."""
    fence(packet, packet.start, 8, "udp")
    source, destination, length = _UDP.unpack_from(packet.data, packet.start)
    if length == 0 and packet.length > 0xFFFF:  # a jumbogram (RFC 2675 §4)
        length = packet.length
    if not 8 <= length <= packet.length:
        raise WireError(
            f"UDP length {length} in an IP payload of {packet.length} octets", layer="udp", offset=packet.start + 4
        )
    return source, destination, length - 8


def tcp_header(packet: IpPacket) -> tuple[int, int, int, int, int, int]:
    """(source port, destination port, sequence, acknowledgement, flags, octets of the header)."""
    fence(packet, packet.start, 20, "tcp")
    source, destination, sequence, acknowledgement, offset, flags = _TCP.unpack_from(packet.data, packet.start)
    size = (offset >> 4) * 4
    if not 20 <= size <= packet.length:
        raise WireError(
            f"TCP header of {size} octets in an IP payload of {packet.length}", layer="tcp", offset=packet.start + 12
        )
    return source, destination, sequence, acknowledgement, flags, size


def ah_size(packet: IpPacket) -> int:
    """Octets of the AH header, ICV included (RFC 4302 §2.2)."""
    fence(packet, packet.start, 12, "ah")
    size = (packet.data[packet.start + 1] + 2) * 4
    if not 12 <= size <= packet.length:
        raise WireError(
            f"AH header of {size} octets in an IP payload of {packet.length}", layer="ah", offset=packet.start + 1
        )
    return size
