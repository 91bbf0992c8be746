"""What talks inside a flow that was opened: conversations by addresses, protocol and port, in a bounded table.

Ordinary IP packets are told apart by their first octets; whatever is new and not plain is decoded once, by dpkt.
"""

from __future__ import annotations

import struct
from typing import Any, Final, TypeAlias

from ipsecanalyze.capture.ip import address_text
from ipsecanalyze.esp.opened import InnerConversation

__all__ = ["CONVERSATIONS", "Inside", "Tally"]

#: Beginnings of packets that are known again, and conversations, per flow.
_KNOWN: Final = 2_048
CONVERSATIONS: Final = 256
#: Conversations that a result shows.
_SHOWN: Final = 64
_PORTS: Final = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite", 33: "dccp"}
_NAMES: Final = {
    1: "icmp",
    58: "icmpv6",
    2: "igmp",
    47: "gre",
    50: "esp",
    51: "ah",
    89: "ospf",
    112: "vrrp",
    4: "ipv4",
    41: "ipv6",
}
#: Next headers of IPv6 behind which ports stand, or nothing that matters: no extension headers.
_PLAIN_V6: Final = frozenset((*_PORTS, 58))
#: Octets that are decoded: a header with options or some extensions, and ports. More could nest without end.
_DECODED: Final = 160
#: Flags and offset of an IPv4 packet that is no fragment.
_WHOLE: Final = (b"\0\0", b"@\0")


#: Packets and octets of a beginning that is known; the same of the short way (`rows.py`); its conversation, None where
#: there was no room for it.
Tally: TypeAlias = list[Any]


class Inside:
    """The conversations of one flow."""

    __slots__ = ("_buckets", "_most", "_other", "known", "quick_octets", "quick_packets")

    def __init__(self, most: int = CONVERSATIONS) -> None:
        self._most = most
        self.known: dict[bytes, Tally] = {}
        """Beginnings of packets, always the same dictionary."""
        self.quick_packets = 0
        """Packets that were counted here alone, on the short way; complete after `fold`."""
        self.quick_octets = 0
        self._buckets: dict[tuple[str, str, str, int | None], InnerConversation] = {}
        self._other = 0

    def take(self, packet: bytes, octets: int) -> None:
        """Count an inner IP packet."""
        first = packet[0] if octets else 0
        if first == 0x45 and packet[6:8] in _WHOLE:
            # Addresses and ports are in a row; the protocol in front.
            key = packet[9:10] + packet[12:24]
        elif first >> 4 == 6 and octets >= 40 and packet[6] in _PLAIN_V6:
            key = packet[6:7] + packet[8:44]
        else:
            key = b""
        tally = self.known.get(key)
        if tally is None:
            if not key:
                self._add(1, octets, self._bucket(_describe(packet)))
                return
            tally = self.meet(packet, key)
        tally[0] += 1
        tally[1] += octets

    def meet(self, packet: bytes, key: bytes) -> Tally:
        """Where packets are counted from now on that begin like this one, which is not counted yet."""
        if len(self.known) >= _KNOWN:
            self.fold()
        tally = self.known[key] = [0, 0, 0, 0, self._bucket(_describe(packet))]
        return tally

    def fold(self) -> None:
        """Put what was counted into the conversations."""
        for packets, octets, quick_packets, quick_octets, conversation in self.known.values():
            self._add(packets + quick_packets, octets + quick_octets, conversation)
            self.quick_packets += quick_packets
            self.quick_octets += quick_octets
        self.known.clear()

    @property
    def has_all(self) -> bool:
        """Whether each conversation found room; complete after `fold`."""
        return not self._other

    def conversations(self) -> tuple[list[InnerConversation], int]:
        """Those with most packets first, and how many packets others had."""
        found = sorted(self._buckets.values(), key=lambda one: -one.packets)
        return found[:_SHOWN], self._other + sum(one.packets for one in found[_SHOWN:])

    def merge(self, following: Inside) -> None:
        """Count what another piece of the capture saw too."""
        for name, one in following._buckets.items():
            self._add(one.packets, one.octets, self._bucket(name))
        self._other += following._other

    def _add(self, packets: int, octets: int, conversation: InnerConversation | None) -> None:
        if conversation is None:
            self._other += packets
        else:
            conversation.packets += packets
            conversation.octets += octets

    def _bucket(self, name: tuple[str, str, str, int | None]) -> InnerConversation | None:
        found = self._buckets.get(name)
        if found is None and len(self._buckets) < self._most:
            found = self._buckets[name] = InnerConversation(*name)
        return found


def _describe(packet: bytes) -> tuple[str, str, str, int | None]:
    """Source, destination, protocol, port of an IP packet."""
    version = packet[0] >> 4 if packet else 0
    if packet[:1] == b"\x45" and len(packet) >= 20 and packet[6:8] in _WHOLE:
        return address_text(packet[12:16]), address_text(packet[16:20]), *_name(packet[9], packet[20:24])
    if version not in (4, 6):
        return "?", "?", "no IP", None
    import dpkt  # what takes long to load is seldom needed

    try:
        if version == 4:
            ip = dpkt.ip.IP(packet[:_DECODED])
            number, ports = ip.p, b"" if ip.offset else packet[4 * ip.hl : 4 * ip.hl + 4]
        else:
            ip = dpkt.ip6.IP6(packet[:_DECODED])
            number, ports = ip.p, packet[40:44] if ip.nxt == ip.p else b""
        source, destination = address_text(ip.src), address_text(ip.dst)
    # What dpkt raises on octets that are not what they seem, its own errors and those of Python.
    except (dpkt.Error, struct.error, ValueError, IndexError, KeyError, AttributeError, TypeError):
        return "?", "?", "malformed IP", None
    return source, destination, *_name(number, ports)


def _name(number: int, ports: bytes) -> tuple[str, int | None]:
    name = _PORTS.get(number)
    if name is None:
        return _NAMES.get(number, f"protocol {number}"), None
    port = min(ports[0] << 8 | ports[1], ports[2] << 8 | ports[3]) if len(ports) == 4 else None
    return name, port
