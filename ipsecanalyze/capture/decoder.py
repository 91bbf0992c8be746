"""From packets to IPsec datagrams: the one place where the layers are put together.

Stateful: fragments, TCP streams and recognised conversations live from packet to packet, all within limits. Layers
are taken off in a loop, never by recursion. What a packet says wrong becomes a notice; `decode` does not raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ipsecanalyze.capture.conversations import Conversations
from ipsecanalyze.capture.encapsulation import IKE_PORT, NAT_T_PORT, NON_ESP_MARKER, classify_udp
from ipsecanalyze.capture.icmp import IcmpNews, parse_icmp_error
from ipsecanalyze.capture.ip import IpPacket, address_text, extension_headers, parse_ipv4, parse_ipv6
from ipsecanalyze.capture.link import LINK_LAYERS
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation, IcmpError, Packet, PacketKind
from ipsecanalyze.capture.reassembly import FragmentCounts, Reassembler
from ipsecanalyze.capture.shim import Kind, resolve
from ipsecanalyze.capture.tcp import TcpConnections
from ipsecanalyze.capture.tcp_stream import Record, Segment, SegmentContext
from ipsecanalyze.capture.tunnels import UDP_TUNNELS, inner_of_ip, inner_of_udp
from ipsecanalyze.errors import WireError

__all__ = ["Decoder", "datagrams"]

MAX_DEPTH: Final = 8
"""Tunnels within tunnels that are followed."""
TCP, UDP, ESP, AH, ICMP, ICMPV6 = 6, 17, 50, 51, 1, 58
_KINDS: Final = {kind: PacketKind(kind.value) for kind in DatagramKind}
_QUOTED_ANYWHERE: Final = 1 << 40  # a quotation says nothing about where its packet ended


class Decoder:
    """Finds the IKE, ESP and AH in packets, fed one by one in the order of the capture.

    After `decode(packet)`, `last_kind` says what the packet counts as, and `counts` (PacketKind → number) has it
    counted: each packet once, by its outermost finding, but for TCP segments, which count once for each message
    they complete.
    """

    def __init__(
        self,
        *,
        fragments: int = 4_096,
        fragment_octets: int = 16 << 20,
        streams: int = 1_024,
        stream_octets: int = 1 << 20,
        conversations: int = 65_536,
        notices: NoticeLog | None = None,
        capture: int = 0,
    ) -> None:
        self.notices = notices if notices is not None else NoticeLog()
        self.last_kind = PacketKind.OTHER
        self.counts: dict[PacketKind, int] = dict.fromkeys(PacketKind, 0)
        self.conversations = Conversations(conversations)
        self.connections = TcpConnections(self.notices, streams, stream_octets)
        self._reassembler = Reassembler(self.notices, fragments, fragment_octets)
        self._capture = capture
        self._packet = Packet(0, 0, b"", 0, 0)
        self._vlan: tuple[int, ...] = ()

    @property
    def fragment_counts(self) -> FragmentCounts:
        """What became of fragmented datagrams so far."""
        return self._reassembler.counts

    def decode(self, packet: Packet) -> list[Datagram]:
        """The datagrams that the packet carries or completes; usually one or none."""
        self._packet = packet
        out: list[Datagram] = []
        try:
            kind = self._decode(packet, out)
        except WireError as error:
            kind = self._tell(error)
        self.last_kind = kind
        if len(out) > 1 and out[0].encapsulation is Encapsulation.TCP:
            for datagram in out:
                self.counts[_KINDS[datagram.kind]] += 1
        else:
            self.counts[kind] += 1
        return out

    def finish(self) -> list[Datagram]:
        """No more packets will come: what still waited in TCP streams; counts unfinished fragments."""
        self._reassembler.finish()
        out: list[Datagram] = []
        for source, destination, record in self.connections.finish():
            datagram = self._from_record(source, destination, record)
            self.counts[_KINDS[datagram.kind]] += 1
            out.append(datagram)
        return out

    def _tell(self, error: WireError) -> PacketKind:
        """Octets that are missing because the capture cut them are no fault of the packet."""
        packet = self._packet
        cut = error.slug == "truncated" and len(packet.data) < packet.wire_length
        self.notices.add(
            "truncated-header" if cut else f"malformed-{error.layer}",
            str(error),
            frame=packet.number,
            offset=error.offset,
        )
        return PacketKind.OTHER if cut else PacketKind.MALFORMED

    def _decode(self, packet: Packet, out: list[Datagram]) -> PacketKind:
        data = packet.data
        if packet.link_type == 1 and data[12:14] == b"\x08\x00":
            self._vlan = ()
            return self._network(Kind.IPV4, data, 14, packet.wire_length, out)
        link_layer = LINK_LAYERS.get(packet.link_type)
        if link_layer is None:
            self.notices.add_once(
                "unknown-link-type",
                f"link type {packet.link_type} is not known: its packets are only counted",
                frame=packet.number,
            )
            return PacketKind.OTHER
        kind, offset = link_layer(data)
        kind, offset, self._vlan = resolve(kind, data, offset)
        return self._network(kind, data, offset, packet.wire_length, out)

    def _network(self, kind: int, data: bytes, offset: int, wire_end: int, out: list[Datagram]) -> PacketKind:
        """From an IP header inwards, until something that is no tunnel."""
        for _ in range(MAX_DEPTH):
            if kind == Kind.IPV4:
                ip: IpPacket | None = parse_ipv4(data, offset, wire_end)
            elif kind == Kind.IPV6:
                ip = parse_ipv6(data, offset, wire_end)
            else:
                return PacketKind.OTHER
            if ip is None:  # pragma: no cover - for the type checker
                return PacketKind.OTHER
            if ip.overrun:
                self._tell_overrun(offset)
            if ip.fragment is not None:
                ip = self._reassemble(ip)
                if ip is None:
                    return PacketKind.FRAGMENT
            inner = self._payload(ip, out)
            if isinstance(inner, PacketKind):
                return inner
            kind, offset = inner
            data, wire_end = ip.data, ip.start + ip.length
            if kind not in (Kind.IPV4, Kind.IPV6):
                kind, offset, vlan = resolve(kind, data, offset)
                self._vlan += vlan
        self.notices.add_once("nested-too-deep", "more tunnels within tunnels than are followed", frame=self._packet.number)
        return PacketKind.OTHER
