"""Whether what was inside the tunnel is what was on the LAN: packet for packet, octet for octet.

A gateway forwards, so a packet on its two sides differs by one hop: the TTL (with IPv4's header checksum over it), or
the hop limit. Everything else must be equal. Both sides are compared as multisets: how many times each packet was
there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.opening.packets import DecryptedPacket

__all__ = ["Comparison", "Selector", "compare", "lan_packets", "one_hop"]

_ETHERNET = 1
_ETHERTYPES = {b"\x08\x00": 4, b"\x86\xdd": 6}


@dataclass(frozen=True, slots=True)
class Selector:
    """What a tunnel protects, from the observing gateway's point of view."""

    near: tuple[IPv4Network | IPv6Network, ...]
    far: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, near: Iterable[str], far: Iterable[str]) -> Selector:
        """From prefixes as text."""
        return cls(tuple(map(ip_network, near)), tuple(map(ip_network, far)))

    def direction(self, packet: bytes) -> int:
        """1 for out (near to far), -1 for in, 0 for what is not protected."""
        source, destination = (ip_address(octets) for octets in _addresses(packet))
        if any(source in one for one in self.near) and any(destination in one for one in self.far):
            return 1
        if any(source in one for one in self.far) and any(destination in one for one in self.near):
            return -1
        return 0


@dataclass(slots=True)
class Comparison:
    """What came of it."""

    lan: int
    """Protected packets on the LAN side."""
    opened: int
    """Packets from inside the tunnel, replays not counted."""
    equal: int
    replays: int
    """Opened packets whose sequence number had been there before: the gateway drops them."""
    missing: list[str] = field(default_factory=list)
    """On the LAN, but not inside (the first of them)."""
    surplus: list[str] = field(default_factory=list)
    """Inside, but not on the LAN."""

    @property
    def exact(self) -> bool:
        """Whether both sides are equal, and there was something to compare."""
        return self.equal == self.lan == self.opened and self.equal > 0


def compare(lan: Iterable[bytes], opened: Iterable[DecryptedPacket], selector: Selector) -> Comparison:
    """Compare IP packets of the LAN side with those that were opened on the WAN side of the same gateway."""
    outside = Counter(packet for packet in lan if selector.direction(packet))
    inside: Counter[bytes] = Counter()
    seen: set[tuple[object, int]] = set()
    replays = 0
    for packet in opened:
        if (packet.flow, packet.sequence) in seen:
            replays += 1
            continue
        seen.add((packet.flow, packet.sequence))
        # On its way out a packet was one hop younger on the LAN; on its way in it will be one older there.
        direction = selector.direction(packet.data)
        inside[one_hop(packet.data, direction) if direction else packet.data] += 1
    return Comparison(
        lan=outside.total(),
        opened=inside.total(),
        equal=(outside & inside).total(),
        replays=replays,
        missing=[_title(packet) for packet in list(outside - inside)[:10]],
        surplus=[_title(packet) for packet in list(inside - outside)[:10]],
    )


def one_hop(packet: bytes, step: int) -> bytes:
    """The packet with `step` more hops to live, and the header checksum that belongs to it."""
    changed = bytearray(packet)
    if packet[0] >> 4 == 6:
        changed[7] = (changed[7] + step) & 0xFF
        return bytes(changed)
    changed[8] = (changed[8] + step) & 0xFF
    size = (packet[0] & 15) * 4
    changed[10:12] = b"\0\0"
    total = sum(int.from_bytes(changed[at : at + 2]) for at in range(0, size, 2))
    total = (total & 0xFFFF) + (total >> 16)
    changed[10:12] = (0xFFFF - ((total & 0xFFFF) + (total >> 16))).to_bytes(2)
    return bytes(changed)


def lan_packets(packets: Iterable[Packet]) -> Iterator[bytes]:
    """The IP packets of Ethernet frames, without what pads a short frame."""
    for packet in packets:
        data = packet.data
        if packet.link_type != _ETHERNET or data[12:14] not in _ETHERTYPES:
            continue
        inner = data[14:]
        if len(inner) < 20 or inner[0] >> 4 != _ETHERTYPES[data[12:14]]:
            continue
        size = int.from_bytes(inner[2:4]) if inner[0] >> 4 == 4 else 40 + int.from_bytes(inner[4:6])
        if len(inner) >= size >= 20:
            yield inner[:size]


def _addresses(packet: bytes) -> tuple[bytes, bytes]:
    if packet[0] >> 4 == 6:
        return packet[8:24], packet[24:40]
    return packet[12:16], packet[16:20]


def _title(packet: bytes) -> str:
    source, destination = (ip_address(octets) for octets in _addresses(packet))
    protocol = packet[6] if packet[0] >> 4 == 6 else packet[9]
    return f"{source} → {destination}, protocol {protocol}, {len(packet)} octets"
