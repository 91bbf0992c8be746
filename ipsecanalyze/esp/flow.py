"""Flows: the ESP or AH packets of one SPI from one address to another, and what can be said of them in passing.

A flow takes `Arrival` rows in batches, because everything it counts can be counted over columns. It holds exact
integers only, of bounded number, and can be merged with what the following piece of the capture saw of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import mul, sub
from typing import Any, NamedTuple, TypeAlias

from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.errors import Notice
from ipsecanalyze.esp.arrival import Arrival, Circumstances
from ipsecanalyze.esp.breaks import MergeError
from ipsecanalyze.esp.distribution import Distribution, widen
from ipsecanalyze.esp.guess import SuiteGuess
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.esp.sequence import SequenceState

__all__ = ["Flow", "FlowKey", "FlowTable"]

#: Sizes and gaps that are kept as they came.
FIRST_KEPT = 16
#: Different port pairs, VLAN stacks and ICMP errors that are kept.
_VARIANTS_KEPT = 64
_ICMP_ERRORS_KEPT = 16
#: ICMP errors that are kept about flows of which no packet was seen (yet).
_STRAY_ICMP_ERRORS = 1024

#: (protocol, source, destination, SPI, encapsulation).
FlowKey: TypeAlias = tuple[str, str, str, int, Encapsulation]


# Where each kind of count begins in a flow's tally. One dictionary for all of them: a flood makes flows of one packet,
# and there four small dictionaries would be most of the memory. A size is told by its bits << 4 | its last four bits.
_TTL, _CLASS, _SIZE, _GAP_BITS = 0, 256, 512, 4096
#: Batches of up to so many packets are counted one by one: a `Counter` would take longer to make.
_FEW = 24


class Statistics(NamedTuple):
    """What a flow counted of its packets; see the properties of the same names."""

    sizes: Distribution
    gaps_ns: Distribution
    ttls: dict[int, int]
    traffic_classes: dict[int, int]
    length_residues: dict[int, int]


@dataclass(slots=True, eq=False)
class Flow:
    """ESP or AH packets of one SPI, one way."""

    protocol: str
    """"ESP" or "AH"."""
    source: str
    destination: str
    spi: int
    encapsulation: Encapsulation
    sequence: SequenceState
    """What the sequence numbers say."""
    capture: int = 0
    """Index of the capture that its first packet is in."""
    packets: int = 0
    octets: int = 0
    """From the ESP or AH header to the end of the IP payload, on the wire."""
    first_frame: int = 0
    last_frame: int = 0
    first_time_ns: int = 0
    """The earliest packet's time."""
    last_time_ns: int = 0
    """The latest packet's time."""
    time_reversals: int = 0
    """Packets with an earlier time than the packet before; they are not in `gaps_ns`."""
    dont_fragment: int = 0
    """Packets with DF set."""
    ip_fragments: int = 0
    """Packets that came in IP fragments."""
    truncated_packets: int = 0
    """Packets that the snap length cut."""
    inferred_packets: int = 0
    """Packets of which only the looks say that they are ESP (ports floated by a NAT)."""
    ports: tuple[tuple[int, int], ...] = ()
    """Source and destination ports of the encapsulation, in order of appearance (the first 64)."""
    vlans: tuple[tuple[int, ...], ...] = ()
    """VLAN stacks in order of appearance (the first 64)."""
    icmp_errors: Sequence[tuple[int, str]] = ()
    """(frame, description) of ICMP errors about its packets (the first 16; `icmp_error_count` counts all)."""
    icmp_error_count: int = 0
    pair_spi: int | None = None
    """The SPI of the other direction."""
    ike_sa: str | None = None
    """The id of the IKE SA that it belongs to."""
    child_sa: str | None = None
    """The id of the Child SA that it belongs to."""
    decrypted_packets: int = 0
    icv_failures: int = 0
    opening: FlowOpening | None = None
    """What keys opened of it, and why not the rest; None where no keys were given."""
    guess: SuiteGuess | None = None
    """What its looks say of its algorithms; None where that was not asked for (`Analysis.infer`)."""
    _first_arrival_ns: int = 0
    _last_arrival_ns: int = 0
    _tally: dict[int, int] = field(default_factory=dict)
    _sizes_squared: int = 0
    _size_range: tuple[int, int] | None = None
    _first_sizes: tuple[int, ...] = ()
    _gap_count: int = 0
    _gap_total: int = 0
    _gaps_squared: int = 0
    _gap_range: tuple[int, int] | None = None
    _first_gaps: tuple[int, ...] = ()

    # Results

    @property
    def key(self) -> FlowKey:
        """What tells it from other flows."""
        return self.protocol, self.source, self.destination, self.spi, self.encapsulation

    @property
    def first_sequence(self) -> int:
        """The sequence number of the first packet, as on the wire."""
        return self.sequence.first

    @property
    def last_sequence(self) -> int:
        """The sequence number of the last packet, as on the wire."""
        return self.sequence.last

    @property
    def is_inferred(self) -> bool:
        """Whether no packet of it is known for ESP by more than its looks."""
        return 0 < self.packets == self.inferred_packets

    @property
    def sizes(self) -> Distribution:
        """Octets per packet."""
        return self.statistics().sizes

    @property
    def gaps_ns(self) -> Distribution:
        """Nanoseconds between consecutive packets."""
        return self.statistics().gaps_ns

    @property
    def ttls(self) -> dict[int, int]:
        """TTL or hop limit → packets."""
        return self.statistics().ttls

    @property
    def traffic_classes(self) -> dict[int, int]:
        """Octet of DSCP and ECN → packets."""
        return self.statistics().traffic_classes

    @property
    def length_residues(self) -> dict[int, int]:
        """Octets modulo 16 → packets."""
        return self.statistics().length_residues

    def statistics(self) -> Statistics:
        """All of these, in one pass over what was counted."""
        ttls: dict[int, int] = {}
        classes: dict[int, int] = {}
        size_bits: dict[int, int] = {}
        residues: dict[int, int] = {}
        gap_bits: dict[int, int] = {}
        for key, count in sorted(self._tally.items()):
            if key < _CLASS:
                ttls[key] = count
            elif key < _SIZE:
                classes[key - _CLASS] = count
            elif key < _GAP_BITS:
                bits, residue = divmod(key - _SIZE, 16)
                size_bits[bits] = size_bits.get(bits, 0) + count
                residues[residue] = residues.get(residue, 0) + count
            else:
                gap_bits[key - _GAP_BITS] = count
        if len(residues) > 1:
            residues = dict(sorted(residues.items()))
        least, most = self._size_range or (None, None)
        sizes = Distribution(self.packets, self.octets, self._sizes_squared, least, most, size_bits, self._first_sizes)
        least, most = self._gap_range or (None, None)
        gaps = self._gap_count, self._gap_total, self._gaps_squared
        return Statistics(sizes, Distribution(*gaps, least, most, gap_bits, self._first_gaps), ttls, classes, residues)

    # Taking packets

    # A capture of many flows comes in batches of a few packets each. What these cost is calls and objects, hence the
    # comparisons that save either.

    def update(self, arrivals: Sequence[Arrival]) -> None:
        """Take the next packets, in order."""
        if not arrivals:
            return
        sequences, octets, times, frames, ttls, classes, dont_fragment, ports, circumstances = zip(
            *arrivals, strict=True
        )
        count = len(times)
        if self.packets:
            self._take_gaps(tuple(map(sub, times, (self._last_arrival_ns, *times))))
            earliest, latest = min(times), max(times)
            if earliest < self.first_time_ns:
                self.first_time_ns = earliest
            if latest > self.last_time_ns:
                self.last_time_ns = latest
        else:
            self.first_frame, self._first_arrival_ns = frames[0], times[0]
            self.first_time_ns, self.last_time_ns = min(times), max(times)
            if count > 1:
                self._take_gaps(tuple(map(sub, times[1:], times)))
        self.last_frame = frames[-1]
        self._last_arrival_ns = times[-1]
        self._take_sizes(octets)
        tally, ttl, traffic_class = self._tally, _TTL + ttls[0], _CLASS + classes[0]
        if ttls.count(ttls[0]) == count:
            tally[ttl] = tally.get(ttl, 0) + count
        else:
            self._count(_TTL, ttls)
        if classes.count(classes[0]) == count:
            tally[traffic_class] = tally.get(traffic_class, 0) + count
        else:
            self._count(_CLASS, classes)
        self.dont_fragment += sum(dont_fragment)
        if ports.count(0) < count:
            self._take_ports(ports)
        if circumstances.count(None) < count:
            self._take_circumstances(circumstances)
        self.sequence.update(sequences, times, frames)
        self.packets += count

    def _count(self, start: int, values: Sequence[int]) -> None:
        tally = self._tally
        if len(values) > _FEW:
            for value, count in Counter(values).items():
                tally[start + value] = tally.get(start + value, 0) + count
        else:
            for value in values:
                tally[start + value] = tally.get(start + value, 0) + 1

    def _take_sizes(self, sizes: tuple[int, ...]) -> None:
        if len(self._first_sizes) < FIRST_KEPT:
            self._first_sizes = (self._first_sizes + sizes[:FIRST_KEPT])[:FIRST_KEPT]
        tally, count = self._tally, len(sizes)
        if count > _FEW:
            # Traffic has few different sizes: count these, and compute the rest from the counts.
            for size, number in Counter(sizes).items():
                self.octets += size * number
                self._sizes_squared += size * size * number
                key = _SIZE + (size.bit_length() << 4 | size & 15)
                tally[key] = tally.get(key, 0) + number
        else:
            self.octets += sum(sizes)
            self._sizes_squared += sum(map(mul, sizes, sizes))
            for size in sizes:
                key = _SIZE + (size.bit_length() << 4 | size & 15)
                tally[key] = tally.get(key, 0) + 1
        low, high, known = min(sizes), max(sizes), self._size_range
        if known is None or low < known[0] or high > known[1]:
            self._size_range = widen(known, (low, high))

    def _take_gaps(self, gaps: tuple[int, ...]) -> None:
        low, count = min(gaps), len(gaps)
        if low < 0:
            gaps = tuple(gap for gap in gaps if gap >= 0)
            self.time_reversals += count - len(gaps)
            if not gaps:
                return
            low, count = min(gaps), len(gaps)
        if len(self._first_gaps) < FIRST_KEPT:
            self._first_gaps = (self._first_gaps + gaps[:FIRST_KEPT])[:FIRST_KEPT]
        self._gap_count += count
        self._gap_total += sum(gaps)
        self._gaps_squared += sum(map(mul, gaps, gaps))
        high, known = max(gaps), self._gap_range
        if known is None or low < known[0] or high > known[1]:
            self._gap_range = widen(known, (low, high))
        if count > _FEW:
            self._count(_GAP_BITS, tuple(map(int.bit_length, gaps)))
            return
        tally = self._tally
        for bits in map(int.bit_length, gaps):
            tally[_GAP_BITS + bits] = tally.get(_GAP_BITS + bits, 0) + 1

    def _take_circumstances(self, circumstances: Sequence[Circumstances | None]) -> None:
        for special, count in Counter(circumstances).items():
            if special is not None:
                self.ip_fragments += count * (special.fragments > 1)
                self.truncated_packets += count * special.truncated
                self.inferred_packets += count * special.inferred
                if special.vlan:
                    self._add_vlans((special.vlan,))

    def _take_ports(self, ports: Sequence[int]) -> None:
        last = ports[-1]
        if self.ports and self.ports[-1] == (last >> 16, last & 0xFFFF) and ports.count(last) == len(ports):
            return
        self._add_ports((port >> 16, port & 0xFFFF) for port in dict.fromkeys(ports) if port)

    def _add_ports(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.ports = tuple(dict.fromkeys((*self.ports, *pairs)))[:_VARIANTS_KEPT]

    def _add_vlans(self, stacks: Iterable[tuple[int, ...]]) -> None:
        self.vlans = tuple(dict.fromkeys((*self.vlans, *stacks)))[:_VARIANTS_KEPT]

    def add_icmp_error(self, frame: int, description: str) -> None:
        """Note an ICMP error that quotes one of its packets."""
        self.icmp_error_count += 1
        if len(self.icmp_errors) < _ICMP_ERRORS_KEPT:
            self.icmp_errors = [*self.icmp_errors, (frame, description)]

    # Merging

    def merge(self, following: Flow) -> None:
        """Put what the following piece of the capture saw of this flow behind this one; `following` is used up.

        Raises MergeError, before anything is changed, where the sequence numbers cannot be merged exactly.
        """
        if not following.packets:
            self._merge_icmp_errors(following)
            return
        self.sequence.merge(following.sequence, following._first_arrival_ns, following.first_frame)
        if self.packets:
            self._take_gaps((following._first_arrival_ns - self._last_arrival_ns,))
        else:
            self.capture, self.first_frame = following.capture, following.first_frame
            self.first_time_ns, self.last_time_ns = following.first_time_ns, following.last_time_ns
            self._first_arrival_ns = following._first_arrival_ns
        self.first_time_ns = min(self.first_time_ns, following.first_time_ns)
        self.last_time_ns = max(self.last_time_ns, following.last_time_ns)
        self.last_frame = following.last_frame
        self._last_arrival_ns = following._last_arrival_ns
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(following, name))
        self._size_range = widen(self._size_range, following._size_range)
        self._gap_range = widen(self._gap_range, following._gap_range)
        self._first_sizes = (self._first_sizes + following._first_sizes)[:FIRST_KEPT]
        self._first_gaps = (self._first_gaps + following._first_gaps)[:FIRST_KEPT]
        for key, count in following._tally.items():
            self._tally[key] = self._tally.get(key, 0) + count
        self._add_ports(following.ports)
        self._add_vlans(following.vlans)
        self._merge_icmp_errors(following)

    def _merge_icmp_errors(self, following: Flow) -> None:
        if following.icmp_errors:
            self.icmp_errors = [*self.icmp_errors, *following.icmp_errors][:_ICMP_ERRORS_KEPT]
        self.icmp_error_count += following.icmp_error_count

    # From the C core

    @classmethod
    def restore(
        cls,
        key: FlowKey,
        capture: int,
        figures: Sequence[Any],
        vlan_stack: Callable[[int], tuple[int, ...]],
        *,
        gaps: int,
        continuing: bool,
    ) -> Flow:
        """A flow that the C core counted (`table_export` in _fast/core/table.c, less the place)."""
        counts, sizes, gap_figures, first_sizes, first_gaps, ports, vlans, tally, state = figures
        self = cls(*key, sequence=SequenceState.restore(state, gaps=gaps, continuing=continuing), capture=capture)
        self.packets = self.sequence.packets
        self.octets, self.first_frame, self.last_frame, self.first_time_ns, self.last_time_ns = counts[:5]
        self._first_arrival_ns, self._last_arrival_ns, self.time_reversals, self.dont_fragment = counts[5:9]
        self.ip_fragments, self.truncated_packets, self.inferred_packets = counts[9:]
        self._sizes_squared, self._size_range = sizes[0], (sizes[1], sizes[2])
        self._gap_count, self._gap_total, self._gaps_squared = gap_figures[:3]
        self._gap_range = (gap_figures[3], gap_figures[4]) if self._gap_count else None
        self._first_sizes, self._first_gaps, self._tally = tuple(first_sizes), tuple(first_gaps), tally
        self.ports = tuple((pair >> 16, pair & 0xFFFF) for pair in ports)
        self.vlans = tuple(map(vlan_stack, vlans))
        return self


#: What is simply added when flows are merged.
_SUMS = (
    "packets",
    "octets",
    "time_reversals",
    "dont_fragment",
    "ip_fragments",
    "truncated_packets",
    "inferred_packets",
    "decrypted_packets",
    "icv_failures",
    "_sizes_squared",
    "_gap_count",
    "_gap_total",
    "_gaps_squared",
)


@dataclass(slots=True)
class FlowTable:
    """Flows in order of their first packet.

    `continuing` says that the capture's beginning is in another table, which this one will be merged behind.
    """

    limit: int = 250_000
    """Flows that are kept; packets of further ones are counted as dropped."""
    gaps: int = 4_096
    """Holes that each flow remembers in its sequence numbers."""
    continuing: bool = False
    dropped_packets: int = 0
    """ESP and AH packets beyond the limit of flows."""
    dropped_octets: int = 0
    _flows: dict[FlowKey, Flow] = field(default_factory=dict)
    _stray: list[tuple[FlowKey, int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self._flows.values())

    def get(self, key: FlowKey, capture: int = 0) -> Flow | None:
        """The flow of that key, made where it is new; None where the limit forbids that.

        `capture` is the index of the capture that a new flow begins in.
        """
        flow = self._flows.get(key)
        if flow is None and len(self._flows) < self.limit:
            sequence = SequenceState(gaps=self.gaps, continuing=self.continuing)
            flow = self._flows[key] = Flow(*key, sequence=sequence, capture=capture)
        return flow

    def add_icmp_error(self, datagram: Datagram) -> None:
        """Tie an ICMP error to the flow that it quotes; an error about anything else is passed over."""
        icmp = datagram.icmp
        if icmp is None or icmp.quoted.kind not in (DatagramKind.ESP, DatagramKind.AH):
            return
        quoted = icmp.quoted
        start = 0 if quoted.kind is DatagramKind.ESP else 4
        if len(quoted.payload) < start + 4:
            return
        spi = int.from_bytes(quoted.payload[start : start + 4])
        key = (quoted.kind.value.upper(), quoted.source, quoted.destination, spi, quoted.encapsulation)
        self._tie(key, datagram.frame, icmp.description)

    def _tie(self, key: FlowKey, frame: int, description: str) -> None:
        flow = self._flows.get(key)
        if flow is not None:
            flow.add_icmp_error(frame, description)
        elif len(self._stray) < _STRAY_ICMP_ERRORS:
            self._stray.append((key, frame, description))

    @property
    def notices(self) -> list[Notice]:
        """What the limits dropped, in words."""
        told: list[Notice] = []
        if self.dropped_packets:
            told.append(
                Notice(
                    "flow-limit",
                    f"{self.dropped_packets} ESP and AH packets ({self.dropped_octets} octets) belong to flows beyond"
                    f" the first {self.limit}, which were not followed",
                )
            )
        settled = sum(1 for flow in self if flow.sequence.settled)
        if settled:
            told.append(
                Notice(
                    "gap-limit",
                    f"{settled} flows lost packets in more than {self.gaps} places; the oldest of these were taken"
                    " as lost for good",
                )
            )
        return told

    def finish(self) -> list[Flow]:
        """The flows in order of their first packet."""
        # Errors can come before the first packet that they are about, where captures are put one behind the other.
        stray, self._stray = self._stray, []
        for key, frame, description in stray:
            self._tie(key, frame, description)
        return list(self._flows.values())

    def merge(self, following: FlowTable) -> None:
        """Put the flows of the following piece of the capture behind these; `following` is used up.

        Raises MergeError where the result could differ from one pass; this table is then no longer whole.
        """
        if following.dropped_packets:
            raise MergeError("the second piece had more flows than its limit")
        for key, flow in following._flows.items():
            mine = self.get(key, flow.capture)
            if mine is None:
                self.dropped_packets += flow.packets
                self.dropped_octets += flow.octets
            else:
                mine.merge(flow)
        self._stray = (self._stray + following._stray)[:_STRAY_ICMP_ERRORS]
