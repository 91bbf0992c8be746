"""Encapsulations in the clear that may stand around IPsec: GRE, EtherIP, IP in IP, MPLS in IP, VXLAN, Geneve.

Each function takes an IP payload and says what is inside: (kind, offset) as in `link.py`, `Kind.UNKNOWN` where that
is nothing known. Raises WireError only. Sources: RFC 2784, 2890, 2637, 3378, 2003, 4213, 4023, 7348, 8926.
"""

from __future__ import annotations

from typing import Final

from ipsecanalyze.capture.ip import IpPacket
from ipsecanalyze.capture.shim import Kind
from ipsecanalyze.capture.transport import fence

__all__ = ["UDP_TUNNELS", "inner_of_ip", "inner_of_udp"]

UDP_TUNNELS: Final = frozenset((4789, 6081))
_ERSPAN_II: Final = 0x88BE
_ERSPAN_III: Final = 0x22EB


def inner_of_ip(packet: IpPacket) -> tuple[int, int] | None:
    """What a tunnel directly over IP carries; None where the protocol is no tunnel."""
    protocol, start = packet.protocol, packet.start
    if protocol == 4:
        return Kind.IPV4, start
    if protocol == 41:
        return Kind.IPV6, start
    if protocol == 47:
        return _gre(packet)
    if protocol == 97:
        return Kind.ETHERNET, start + 2
    if protocol == 137:
        return Kind.MPLS, start
    return None


def _gre(packet: IpPacket) -> tuple[int, int]:
    """GRE version 0 with checksum, key and sequence number; version 1 (PPTP) carries PPP."""
    data, start = packet.data, packet.start
    fence(packet, start, 4, "gre")
    flags, kind = int.from_bytes(data[start : start + 2]), int.from_bytes(data[start + 2 : start + 4])
    version = flags & 7
    if version > 1 or flags & 0x4000:  # source routes went with RFC 2784
        return Kind.UNKNOWN, start
    checksum, key, sequence = flags & 0x8000, flags & 0x2000, flags & 0x1000
    acknowledgement = version == 1 and flags & 0x0080
    size = 4 + 4 * sum(map(bool, (checksum, key, sequence, acknowledgement)))
    fence(packet, start, size, "gre")
    offset = start + size
    if version == 1 and not sequence:  # an acknowledgement without payload
        return Kind.UNKNOWN, start
    if kind == _ERSPAN_II:  # type I has no sequence number and no header of its own
        return Kind.ETHERNET, offset + 8 if sequence else offset
    if kind == _ERSPAN_III:
        fence(packet, offset, 12, "erspan")
        return Kind.ETHERNET, offset + (20 if data[offset + 11] & 1 else 12)
    return kind, offset


def inner_of_udp(packet: IpPacket, port: int, offset: int) -> tuple[int, int]:
    """What VXLAN (destination port 4789) or Geneve (6081) carries; `offset` is behind the UDP header."""
    data = packet.data
    fence(packet, offset, 8, "vxlan" if port == 4789 else "geneve")
    if port == 4789:
        return (Kind.ETHERNET if data[offset] & 0x08 else Kind.UNKNOWN), offset + 8
    if data[offset] >> 6:
        return Kind.UNKNOWN, offset
    return int.from_bytes(data[offset + 2 : offset + 4]), offset + 8 + 4 * (data[offset] & 0x3F)
