"""Where scanned packets end up: ESP and AH in flows, the rest as datagrams; and what is counted on the way.

Arrivals wait in one list per flow and are taken in batches, because counting columns is an order of magnitude faster
than counting rows. When the lists are emptied changes no result: `Flow.update` does not care where a batch ends.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ipsecanalyze._fast.contract import ScanOptions
from ipsecanalyze.capture.decoder import Decoder
from ipsecanalyze.capture.ip import address_text
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation, Packet
from ipsecanalyze.esp.arrival import Arrival, Circumstances
from ipsecanalyze.esp.flow import Flow, FlowTable

__all__ = ["FLUSH_EVERY", "Intake", "Lane", "circumstances"]

#: Packets of the capture after which it is looked whether the waiting arrivals are worth counting: whether there are
#: enough for each lane, or so many that they take too much memory. One takes about 250 octets, so 49 MB may wait.
FLUSH_EVERY: Final = 32_768
_WORTH_IT: Final = 256
_MOST_WAITING: Final = 196_608
#: Lanes that are kept from one batch to the next; where there are more, they begin anew.
_LANES_KEPT: Final = 65_536

#: Where the arrivals of a flow wait, and the ports that they came with (source << 16 | destination).
Lane = tuple[list[Arrival], int]


@lru_cache(maxsize=1024)
def circumstances(
    vlan: tuple[int, ...], fragments: int, truncated: bool, inferred: bool = False
) -> Circumstances | None:
    """What a flow is told of a packet out of the ordinary; None for ordinary ones."""
    ordinary = not (vlan or truncated or inferred) and fragments <= 1
    return None if ordinary else Circumstances(vlan, fragments, truncated, inferred)


class Intake:
    """Takes the packets of one capture, in order."""

    def __init__(self, options: ScanOptions, flows: FlowTable, capture: int, notices: NoticeLog) -> None:
        limits = options.limits
        self.flows = flows
        self.capture = capture
        self.interface = 0
        """Index of the interface that the short path's packets are from."""
        self.protected_datagrams = options.protected_datagrams
        self.decoder = Decoder(
            fragments=limits.fragments,
            fragment_octets=limits.fragment_octets,
            streams=limits.streams,
            stream_octets=limits.stream_octets,
            conversations=limits.conversations,
            notices=notices,
            capture=capture,
        )
        self.datagrams: list[Datagram] = []
        """What Python must see, until it is fetched."""
        self.lanes: dict[bytes, Lane] = {}
        """The lanes by the octets that the short path finds them with."""
        self.packets = 0
        self.octets = 0
        self.truncated = 0
        self.earliest: int | None = None
        self.latest: int | None = None
        self.quick = [0, 0, 0, 0, 0, 0]
        """Packets by the short path's verdict (see `shortpath.Verdict`)."""
        self._flushed = 0  # packets of the capture when the lists were last emptied
        self._waiting: dict[Flow, list[Arrival]] = {}  # the lists of these lanes, emptied and not replaced
        self._overflow: list[Arrival] = []  # of flows beyond the limit

    def lane(
        self, key: bytes, protocol: str, addresses: bytes, spi: int, encapsulation: Encapsulation, ports: int
    ) -> Lane:
        """The lane for `key`, which stands for all that follows; `addresses` are source and destination in a row."""
        half = len(addresses) // 2
        source, destination = address_text(addresses[:half]), address_text(addresses[half:])
        flow = self.flows.get((protocol, source, destination, spi, encapsulation), self.capture)
        if flow is None:
            return self._overflow, ports
        lane = self.lanes[key] = (self._queue(flow), ports)
        return lane

    def _queue(self, flow: Flow) -> list[Arrival]:
        queue = self._waiting.get(flow)
        if queue is None:
            queue = self._waiting[flow] = []
        return queue

    def flush_if_worth(self, packets: int) -> None:
        """Let the flows take what waits if the batches are long enough; `packets` of the capture came so far."""
        if packets - self._flushed >= min(_WORTH_IT * len(self._waiting), _MOST_WAITING):
            self._flushed = packets
            self.flush()

    def flush(self) -> None:
        """Let the flows take what waits for them."""
        for flow, arrivals in self._waiting.items():
            if arrivals:
                flow.update(arrivals)
                arrivals.clear()
        if self._overflow:
            self.flows.dropped_packets += len(self._overflow)
            self.flows.dropped_octets += sum(arrival[1] for arrival in self._overflow)
            self._overflow.clear()
        if max(len(self.lanes), len(self._waiting)) > _LANES_KEPT:
            self._forget_lanes()

    def _forget_lanes(self) -> None:
        self._waiting.clear()
        self.lanes.clear()

    def add(self, packets: int, octets: int, truncated: int, earliest: int, latest: int) -> None:
        """Count packets that were taken in bulk."""
        self.packets += packets
        self.octets += octets
        self.truncated += truncated
        self.earliest = earliest if self.earliest is None else min(self.earliest, earliest)
        self.latest = latest if self.latest is None else max(self.latest, latest)

    def count(self, packet: Packet) -> None:
        """Count one packet."""
        truncated = len(packet.data) < packet.wire_length
        self.add(1, packet.wire_length, truncated, packet.time_ns, packet.time_ns)

    def decode(self, packet: Packet) -> list[Datagram]:
        """The general path: decode a packet in full and put where it belongs what was found; returns that."""
        found = self.decoder.decode(packet)
        self._sort(found)
        return found

    def finish(self) -> None:
        """No more packets will come: take what waits anywhere."""
        self._sort(self.decoder.finish())
        self.flush()
        self._forget_lanes()

    def _sort(self, found: list[Datagram]) -> None:
        for datagram in found:
            if datagram.kind is DatagramKind.ESP:
                self._protected("ESP", datagram, 0)
            elif datagram.kind is DatagramKind.AH:
                self._protected("AH", datagram, 4)
            else:
                if datagram.kind is DatagramKind.ICMP_ERROR:
                    self._icmp_error(datagram)
                self.datagrams.append(datagram)

    def _icmp_error(self, datagram: Datagram) -> None:
        self.flows.add_icmp_error(datagram)

    def _protected(self, protocol: str, datagram: Datagram, start: int) -> None:
        payload = datagram.payload
        if self.protected_datagrams:
            self.datagrams.append(datagram)
        spi = int.from_bytes(payload[start : start + 4])
        ports = datagram.source_port << 16 | datagram.destination_port
        key = (protocol, datagram.source, datagram.destination, spi, datagram.encapsulation)
        flow = self.flows.get(key, self.capture)
        queue = self._overflow if flow is None else self._queue(flow)
        queue.append(
            (
                int.from_bytes(payload[start + 4 : start + 8]),
                datagram.length,
                datagram.time_ns,
                datagram.frame,
                datagram.ttl,
                datagram.traffic_class,
                datagram.dont_fragment,
                ports,
                circumstances(datagram.vlan, datagram.fragments, datagram.truncated, datagram.inferred),
            )
        )
