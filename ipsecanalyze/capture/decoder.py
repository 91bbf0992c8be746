"""From packets to IPsec datagrams: the one place where the layers are put together.

Stateful: fragments, TCP streams and recognised conversations live from packet to packet, all within limits. Layers
are taken off in a loop, never by recursion. What a packet says wrong becomes a notice; `decode` does not raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ipsecanalyze.capture.conversations import Conversations, Endpoint
from ipsecanalyze.capture.encapsulation import NON_ESP_MARKER, classify_udp
from ipsecanalyze.capture.icmp import parse_icmp_error, quoted_datagram
from ipsecanalyze.capture.ip import IpPacket, address_text, extension_headers, parse_ipv4, parse_ipv6
from ipsecanalyze.capture.link import LINK_LAYERS
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation, IcmpError, Packet, PacketKind
from ipsecanalyze.capture.reassembly import FragmentCounts, Reassembler
from ipsecanalyze.capture.shim import Kind, resolve
from ipsecanalyze.capture.tcp import TcpConnections
from ipsecanalyze.capture.tcp_stream import Record, Segment, SegmentContext
from ipsecanalyze.capture.transport import AH, ESP, ICMP, ICMPV6, TCP, UDP, ah_size, tcp_header, udp_header
from ipsecanalyze.capture.tunnels import UDP_TUNNELS, inner_of_ip, inner_of_udp
from ipsecanalyze.errors import WireError

__all__ = ["Decoder", "datagrams"]

MAX_DEPTH: Final = 8
"""Tunnels within tunnels that are followed, and AH headers in a row."""
_KINDS: Final = {kind: PacketKind(kind.value) for kind in DatagramKind}

_Inner = PacketKind | tuple[int, int]
"""What a payload turned out to be: an end with its kind, or a tunnel with what is inside, as in `link.py`."""


class Decoder:
    """Finds the IKE, ESP and AH in packets, fed one by one in the order of the capture.

    After `decode(packet)`, `last_kind` says what the packet counts as, and `counts` (PacketKind → number) has it
    counted: each packet once, by its outermost finding, but for TCP segments, which count once for each message
    that they complete.
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
        """The datagrams that the packet carries or completes, outermost first; usually one or none."""
        self._packet = packet
        out: list[Datagram] = []
        try:
            kind = self._decode(packet, out)
        except WireError as error:
            kind = self._tell(error)
        if out:
            kind = _KINDS[out[0].kind]
        self.last_kind = kind
        if len(out) > 1 and out[0].encapsulation is Encapsulation.TCP:
            self._count(out)
        else:
            self.counts[kind] += 1
        return out

    def finish(self) -> list[Datagram]:
        """No more packets will come: what still waited in TCP streams. Tells what was never completed or dropped."""
        self._reassembler.finish()
        incomplete = self._reassembler.counts.incomplete
        if incomplete:
            self.notices.add("incomplete-fragments", f"{incomplete} fragmented IP datagrams were never completed")
        if self.conversations.evicted:
            self.notices.add(
                "conversations-dropped",
                f"{self.conversations.evicted} IKE conversations were forgotten because of the limit: "
                "ESP on their unusual ports may have been missed",
            )
        found = (self._from_record(*item) for item in self.connections.finish())
        out = [datagram for datagram in found if datagram is not None]
        self._count(out)
        return out

    def _count(self, found: list[Datagram]) -> None:
        for datagram in found:
            self.counts[_KINDS[datagram.kind]] += 1

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
                ip = parse_ipv4(data, offset, wire_end)
            elif kind == Kind.IPV6:
                ip = parse_ipv6(data, offset, wire_end)
            else:
                return PacketKind.OTHER
            if ip.overrun:
                self._tell_overrun(offset)
            if ip.fragment is not None:
                packet = self._packet
                whole = self._reassembler.add(ip, packet.time_ns, packet.number, (self._vlan, packet.interface))
                if whole is None:
                    return PacketKind.FRAGMENT
                ip = whole
            inner = self._payload(ip, out)
            if isinstance(inner, PacketKind):
                return inner
            data, wire_end = ip.data, ip.start + ip.length
            kind, offset, vlan = resolve(inner[0], data, inner[1])
            self._vlan += vlan
        self.notices.add_once(
            "nested-too-deep", "more tunnels within tunnels than are followed", frame=self._packet.number
        )
        return PacketKind.OTHER

    def _tell_overrun(self, offset: int) -> None:
        self.notices.add(
            "ip-beyond-frame",
            "the IP header claims more octets than the frame had",
            frame=self._packet.number,
            offset=offset,
        )

    def _payload(self, ip: IpPacket, out: list[Datagram]) -> _Inner:
        """Judge the payload of an IP packet, and what stands behind AH headers."""
        for _ in range(MAX_DEPTH):
            protocol = ip.protocol
            if protocol == ESP:
                return self._esp(ip, out)
            if protocol == UDP:
                return self._udp(ip, out)
            if protocol == TCP:
                return self._tcp(ip, out)
            if protocol in (ICMP, ICMPV6):
                return self._icmp(ip, out)
            if protocol != AH:
                return inner_of_ip(ip) or PacketKind.OTHER
            size = ah_size(ip)
            out.append(self._datagram(DatagramKind.AH, ip, ip.start, ip.length))
            if size > ip.end - ip.start:
                return PacketKind.AH
            ip.protocol = ip.data[ip.start]
            ip.start += size
            ip.length -= size
            if ip.version == 6:
                extension_headers(ip)
        return PacketKind.AH

    def _datagram(
        self,
        kind: DatagramKind,
        ip: IpPacket,
        start: int,
        length: int,
        source_port: int = 0,
        destination_port: int = 0,
        encapsulation: Encapsulation = Encapsulation.NONE,
        inferred: bool = False,
    ) -> Datagram:
        packet = self._packet
        return Datagram(
            kind,
            address_text(ip.source),
            address_text(ip.destination),
            ip.data[start : min(start + length, ip.end)],
            packet.number,
            packet.time_ns,
            length,
            source_port,
            destination_port,
            encapsulation,
            inferred,
            ip.ttl,
            ip.traffic_class,
            ip.dont_fragment,
            ip.ip_id,
            self._vlan,
            ip.fragments,
            None,
            packet.interface,
            self._capture,
            ip.extensions if kind is DatagramKind.AH else (),
        )

    def _esp(self, ip: IpPacket, out: list[Datagram]) -> PacketKind:
        if ip.length < 8:
            raise WireError(f"ESP packet of {ip.length} octets", layer="esp", offset=ip.start)
        if ip.end - ip.start < 8:
            return self._cut_esp(ip.start)
        out.append(self._datagram(DatagramKind.ESP, ip, ip.start, ip.length))
        return PacketKind.ESP

    def _cut_esp(self, offset: int) -> PacketKind:
        """ESP surely, but of which SA the capture does not say."""
        self.notices.add(
            "truncated-header", "the ESP header is cut by the capture", frame=self._packet.number, offset=offset
        )
        return PacketKind.ESP

    def _udp(self, ip: IpPacket, out: list[Datagram]) -> _Inner:
        source_port, destination_port, length = udp_header(ip)
        start = ip.start + 8
        if destination_port in UDP_TUNNELS:
            return inner_of_udp(ip, destination_port, start)
        end = min(start + length, ip.end)
        verdict = classify_udp(
            (ip.source, source_port),
            (ip.destination, destination_port),
            ip.data,
            start,
            end,
            length,
            self.conversations,
        )
        if verdict is None:
            return PacketKind.OTHER
        kind, skip, encapsulation, inferred = verdict
        if kind is DatagramKind.ESP and end - start < 8:
            return self._cut_esp(start)
        datagram = self._datagram(
            kind, ip, start + skip, length - skip, source_port, destination_port, encapsulation, inferred
        )
        out.append(datagram)
        return _KINDS[kind]

    def _tcp(self, ip: IpPacket, out: list[Datagram]) -> PacketKind:
        source_port, destination_port, sequence, acknowledgement, flags, size = tcp_header(ip)
        source, destination = (ip.source, source_port), (ip.destination, destination_port)
        start = ip.start + size
        if not self.connections.wants(source, destination, ip.data, start):
            return PacketKind.OTHER
        packet = self._packet
        context = SegmentContext(
            packet.number,
            packet.time_ns,
            ip.ttl,
            ip.traffic_class,
            ip.dont_fragment,
            ip.ip_id,
            self._vlan,
            ip.fragments,
            packet.interface,
        )
        segment = Segment(
            sequence,
            acknowledgement if flags & 0x10 else None,
            bool(flags & 0x02),
            bool(flags & 0x04),
            ip.data[start : ip.end],
            ip.length - size,
            context,
        )
        for sender, receiver, record in self.connections.feed(source, destination, segment):
            datagram = self._from_record(sender, receiver, record)
            if datagram is not None:
                out.append(datagram)
        return PacketKind.OTHER

    def _from_record(self, source: Endpoint, destination: Endpoint, record: Record) -> Datagram | None:
        """A message of a TCP stream (RFC 9329 §3); None for what is too short to be one."""
        payload, length, context = record.payload, record.length, record.context
        if payload[:4] == NON_ESP_MARKER:
            kind, payload, length = DatagramKind.IKE, payload[4:], length - 4
        elif length == 1:
            kind = DatagramKind.KEEPALIVE
        elif len(payload) >= 8:
            kind = DatagramKind.ESP
        else:
            self.notices.add(
                "malformed-tcp-message", f"a message of {length} octets in an IKE TCP stream", frame=context.frame
            )
            return None
        return Datagram(
            kind=kind,
            source=address_text(source[0]),
            destination=address_text(destination[0]),
            payload=payload,
            frame=context.frame,
            time_ns=context.time_ns,
            length=length,
            source_port=source[1],
            destination_port=destination[1],
            encapsulation=Encapsulation.TCP,
            inferred=record.inferred,
            ttl=context.ttl,
            traffic_class=context.traffic_class,
            dont_fragment=context.dont_fragment,
            ip_id=context.ip_id,
            vlan=context.vlan,
            fragments=context.fragments,
            interface=context.interface,
            capture=self._capture,
        )

    def _icmp(self, ip: IpPacket, out: list[Datagram]) -> PacketKind:
        news = parse_icmp_error(ip)
        if news is None:
            return PacketKind.OTHER
        quoted = quoted_datagram(news, ip.data, self.conversations)
        if quoted is None:
            return PacketKind.OTHER
        packet = self._packet
        quoted.frame, quoted.time_ns, quoted.vlan = packet.number, packet.time_ns, self._vlan
        quoted.interface, quoted.capture = packet.interface, self._capture
        datagram = self._datagram(DatagramKind.ICMP_ERROR, ip, ip.start, ip.length)
        datagram.icmp = IcmpError(news.type, news.code, news.mtu, news.description, quoted)
        out.append(datagram)
        return PacketKind.ICMP_ERROR


def datagrams(packets: Iterable[Packet], decoder: Decoder | None = None) -> Iterator[Datagram]:
    """All IPsec datagrams in `packets` (an open capture, or any iterable), in order."""
    decoder = decoder if decoder is not None else Decoder()
    for packet in packets:
        yield from decoder.decode(packet)
    yield from decoder.finish()
