"""Two capture points put together: which packets both have, what one lacks, clocks, delays, order.

The clocks of two captures are not the same. Let the packets of one direction take d1 = t_B - t_A by the captures' own
clocks, those of the other d2 = t_A - t_B. Then min d1 + min d2 is the shortest round trip between the points, whatever
the clocks say, and (min d1 - min d2) / 2 is how far B's clock is ahead if both ways take equally long at their best.
How the round trip is shared between the two ways cannot be told without synchronised clocks; how delays vary can.

Which point a packet passes first is told by its TTL, which routers lower; where that is equal, by loss and by the
clocks.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from ipsecanalyze.esp.lateness import REPLAY_WINDOWS
from ipsecanalyze.findings.compare.points import IkeCopy, IkeKey, Point, Track

__all__ = ["Clock", "FlowBetween", "IkeBetween", "LostRun", "Matched", "Variation", "match"]

#: Runs of lost numbers and frames of latecomers that are kept of an SA; all are counted.
_MOST_RUNS, _MOST_FRAMES = 256, 64
#: Spans of time in which the clocks are compared for their drift, packets of each direction that it takes in one, and
#: the least difference over all that counts.
_SPANS, _PER_SPAN, _LEAST_RISE_NS = 16, 10, 20_000

_OrderBy: TypeAlias = Literal["ttl", "clock"]
_Pair: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Clock:
    """How the two clocks stand to each other."""

    offset_ns: int | None = None
    """How far the second capture's clock is ahead, if both ways take equally long at their best; None where packets
    were matched in one direction only."""
    round_trip_ns: int | None = None
    """The shortest way there and back between the points; does not depend on the clocks' offset."""
    forward_ns: int | None = None
    """The smallest difference of times of packets that pass the first capture first, second less first."""
    backward_ns: int | None = None
    """The same of packets that pass the second capture first, first less second."""
    drift_ppm: float | None = None
    """How much faster the second clock runs, in millionths, where that shows; what varies slowly is this then."""


@dataclass(frozen=True, slots=True)
class Variation:
    """How the times between the two points vary: all but `shortest_ns` is relative to the shortest."""

    shortest_ns: int
    """By the captures' own clocks: it includes the offset of the clocks."""
    median_ns: int
    percentile_95_ns: int
    longest_ns: int
    jitter_ns: int
    """The interarrival jitter of RFC 3550 §6.4.1 at the end."""


class LostRun(NamedTuple):
    """Packets that one point has in a row, and the other lacks."""

    first: int
    last: int
    first_time_ns: int
    """By the clock of the point that has them."""
    last_time_ns: int
    first_frame: int
    last_frame: int

    @property
    def packets(self) -> int:
        """How many packets."""
        return self.last - self.first + 1


@dataclass(slots=True)
class FlowBetween:
    """The packets of one SA, one way, at both points."""

    protocol: str
    spi: int
    tracks: tuple[Track | None, Track | None]
    """At the first and the second capture."""
    first: int = 0
    """Index of the capture whose point the packets pass first."""
    order_by: _OrderBy = "ttl"
    common: int = 0
    """Numbers that both have."""
    lost: int = 0
    """Numbers that the point passed first has, and the other lacks though it was capturing then."""
    lost_runs: list[LostRun] = field(default_factory=list)
    lost_run_count: int = 0
    longest_run: int = 0
    lost_frames: list[int] = field(default_factory=list)
    """Frames of lost packets in the capture that has them (the first ones)."""
    lost_octets: tuple[int, int] | None = None
    """The sizes of the smallest and the largest packet that was lost."""
    whole_only: bool = False
    """Whether routers must fragment none of the lost packets (DF, or IPv6)."""
    common_octets: tuple[int, int] | None = None
    """The same of packets that both have; `whole_only`: of such packets."""
    unseen: int = 0
    """Numbers that only the point passed second has."""
    uncovered: int = 0
    """Numbers that one has while the other was not capturing."""
    variation: Variation | None = None
    reordered: int = 0
    """Packets that are overtaken between the points (RFC 4737)."""
    largest_lateness: int = 0
    late_outside: dict[int, int] = field(default_factory=lambda: dict.fromkeys(REPLAY_WINDOWS, 0))
    """Replay window → packets that come to the left of it, where only what happens between the points counts."""
    slowest_frame: int | None = None
    """The frame of the packet that took longest, in the capture that it passes second."""
    late_frames: list[int] = field(default_factory=list)
    """Frames of these packets in the capture that they pass second (the first ones)."""

    @property
    def either(self) -> Track:
        """The track at the point passed first, or the one there is."""
        track = self.tracks[self.first] or self.tracks[1 - self.first]
        assert track is not None  # noqa: S101 - one of them is there
        return track


@dataclass(slots=True)
class IkeBetween:
    """One IKE message at both points; retransmissions are copies of it."""

    key: IkeKey
    copies: tuple[list[IkeCopy], list[IkeCopy]]
    first: int = 0
    lost: int = 0
    """Transmissions that the point passed first has, and the other lacks though it was capturing then."""
    lost_frames: list[int] = field(default_factory=list)
    unseen: int = 0


@dataclass(slots=True)
class Matched:
    """Everything that was put together."""

    clock: Clock
    flows: list[FlowBetween]
    ike: list[IkeBetween]
    elsewhere: int = 0
    """SAs between addresses that only one of the captures has: they do not pass the other point."""


def match(one: Point, other: Point) -> Matched:
    """Put two points together."""
    points = one, other
    couples = list(_couples(points))
    joined = [_Joined(a, b) for a, b in couples]
    shared = [(key, copies, other.ike[key]) for key, copies in one.ike.items() if key in other.ike]
    order = _Order()
    for pair in joined:
        order.learn_track(pair)
    for _, copies, others in shared:
        order.learn_ike(copies[0], others[0])
    flows = [_flow(pair, order) for pair in joined]
    clock = _clock(flows, joined, shared, order)
    span = _Spans(points, clock)
    for flow, pair in zip(flows, joined, strict=True):
        _fill(flow, pair, span)
    matched = Matched(clock, flows, list(_ike(points, order, span)))
    _add_single(matched, points, couples, order, span)
    return matched


# Which SA is which


def _couples(points: tuple[Point, Point]) -> Iterator[tuple[Track, Track]]:
    """Tracks of the same SA at both points: by SPI, then by what the packets contain, then by addresses."""
    groups: dict[tuple[str, int], tuple[list[Track], list[Track]]] = defaultdict(lambda: ([], []))
    for index, point in enumerate(points):
        for track in point.tracks.values():
            groups[track.protocol, track.spi][index].append(track)
    for ours, theirs in groups.values():
        free = list(theirs)
        for track in ours:
            scored = [(score, -at) for at, candidate in enumerate(free) if (score := _likeness(track, candidate)) > 0]
            if scored:
                yield track, free.pop(-max(scored)[1])


def _likeness(one: Track, other: Track) -> int:
    """How sure two tracks with the same SPI are the same SA; 0: they are not."""
    shared = one.digests.keys() & other.digests.keys()
    addresses = (one.source == other.source) + (one.destination == other.destination)
    if shared:
        equal = sum(one.digests[number] == other.digests[number] for number in shared)
        return 10 + addresses if 2 * equal >= len(shared) else 0
    return addresses


class _Joined:
    """Indices of the packets that two tracks share, and of those that only one has (copies count once)."""

    def __init__(self, one: Track, other: Track) -> None:
        self.tracks = one, other
        self.common: tuple[array[int], array[int]] = array("L"), array("L")
        self.single: tuple[array[int], array[int]] = array("L"), array("L")
        shift = _shift(one, other)
        ours, theirs = _by_number(one), _by_number(other)
        at, ends = 0, len(theirs)
        a, b = one.numbers, other.numbers
        for index in ours:
            number = a[index]
            while at < ends and b[theirs[at]] + shift < number:
                self.single[1].append(theirs[at])
                at += 1
            if at < ends and b[theirs[at]] + shift == number:
                self.common[0].append(index)
                self.common[1].append(theirs[at])
                at += 1
            else:
                self.single[0].append(index)
        self.single[1].extend(theirs[at:])

    def differences(self) -> Iterator[int]:
        """Second time less first of each shared packet."""
        times, others = self.tracks[0].times, self.tracks[1].times
        return (others[b] - times[a] for a, b in zip(*self.common, strict=True))


def _shift(one: Track, other: Track) -> int:
    """What to add to the other's numbers, where one capture began in front of an overflow and the other behind."""
    epoch = 1 << 32
    low, high = min(one.numbers), max(one.numbers)
    least, most = min(other.numbers), max(other.numbers)
    if high < least and low <= most - epoch <= high + epoch and least - epoch <= high:
        return -epoch
    if most < low and least + epoch <= high and most + epoch >= low:
        return epoch
    return 0


def _by_number(track: Track) -> list[int]:
    """The index of the first packet with each number, in order of numbers."""
    numbers = track.numbers
    order = sorted(range(len(numbers)), key=numbers.__getitem__)  # stable: of copies the first comes first
    return [index for at, index in enumerate(order) if not at or numbers[order[at - 1]] != numbers[index]]


# Which point comes first


class _Order:
    """For pairs of addresses, which point their packets pass first."""

    def __init__(self) -> None:
        self._known: dict[_Pair, tuple[int, _OrderBy]] = {}
        self.renamed: tuple[dict[_Pair, _Pair], dict[_Pair, _Pair]] = {}, {}
        """(source, destination) at one point → the same at the other."""

    def learn_track(self, joined: _Joined) -> None:
        """Note what an SA at both points says."""
        one, other = joined.tracks
        pairs = (one.source, one.destination), (other.source, other.destination)
        if not joined.common[0]:
            return
        if one.ttl != other.ttl:
            self._note(pairs, int(one.ttl < other.ttl), "ttl")
            return
        missing = len(joined.single[1]) - len(joined.single[0])
        if missing:
            self._note(pairs, int(missing > 0), "clock")
            return
        differences = sorted(joined.differences())
        self._note(pairs, int(differences[len(differences) // 2] < 0), "clock")

    def learn_ike(self, one: IkeCopy, other: IkeCopy) -> None:
        """Note what an IKE message at both points says."""
        pairs = (one.source, one.destination), (other.source, other.destination)
        if one.ttl != other.ttl:
            self._note(pairs, int(one.ttl < other.ttl), "ttl")
        else:
            self._note(pairs, int(other.time_ns < one.time_ns), "clock")

    def _note(self, pairs: tuple[_Pair, _Pair], first: int, by: _OrderBy) -> None:
        for index, pair in enumerate(pairs):
            known = self._known.get(pair)
            if known is None or (by == "ttl" and known[1] == "clock"):
                self._known[pair] = first, by
            self.renamed[index].setdefault(pair, pairs[1 - index])

    def of(self, source: str, destination: str) -> tuple[int, _OrderBy] | None:
        """Which point packets from one address to another pass first, and how that is known."""
        known = self._known.get((source, destination))
        back = self._known.get((destination, source))
        if back is not None and (known is None or (known[1] == "clock" and back[1] == "ttl")):
            return 1 - back[0], back[1]
        return known

    def passes_both(self, source: str, destination: str, index: int) -> bool:
        """Whether anything between these addresses was seen at both points (in either direction)."""
        renamed = self.renamed[index]
        return (source, destination) in renamed or (destination, source) in renamed


def _flow(joined: _Joined, order: _Order) -> FlowBetween:
    one, _ = joined.tracks
    first, by = order.of(one.source, one.destination) or (0, "clock")
    return FlowBetween(one.protocol, one.spi, joined.tracks, first, by, common=len(joined.common[0]))


# Clocks


def _clock(
    flows: Sequence[FlowBetween],
    joined: Sequence[_Joined],
    shared: Sequence[tuple[IkeKey, list[IkeCopy], list[IkeCopy]]],
    order: _Order,
) -> Clock:
    forward: list[int] = []
    backward: list[int] = []
    for flow, pair in zip(flows, joined, strict=True):
        if pair.common[0]:
            if flow.first == 0:
                forward.append(min(pair.differences()))
            else:
                backward.append(min(-difference for difference in pair.differences()))
    for _, copies, others in shared:
        if len(copies) == len(others):
            first, _ = order.of(copies[0].source, copies[0].destination) or (0, "clock")
            for copy, other in zip(copies, others, strict=True):
                difference = other.time_ns - copy.time_ns
                (forward if first == 0 else backward).append(difference if first == 0 else -difference)
    drift = _drift(flows, joined)
    there, back = min(forward, default=None), min(backward, default=None)
    if there is None or back is None:
        return Clock(forward_ns=there, backward_ns=back)
    return Clock((there - back) // 2, there + back, there, back, drift)


def _drift(flows: Sequence[FlowBetween], joined: Sequence[_Joined]) -> float | None:
    """The drift of the second clock against the first in millionths: a line through the offsets of spans of time.

    None where a line does not fit them, or is too flat to tell from the variation of delays.
    """
    shared = [pair for pair in joined if pair.common[0]]
    start = min((pair.tracks[0].times[pair.common[0][0]] for pair in shared), default=0)
    whole = max((pair.tracks[0].times[pair.common[0][-1]] for pair in shared), default=0) - start
    if whole <= 0:
        return None
    shortest: tuple[dict[int, list[int]], dict[int, list[int]]] = {}, {}  # span → [smallest difference, how many]
    for flow, pair in zip(flows, joined, strict=True):
        times = pair.tracks[0].times
        for index, difference in zip(pair.common[0], pair.differences(), strict=True):
            span = (times[index] - start) * _SPANS // (whole + 1)
            delay = difference if flow.first == 0 else -difference
            known = shortest[flow.first].setdefault(span, [delay, 0])
            known[0], known[1] = min(known[0], delay), known[1] + 1
    points = [
        (span + 0.5, (shortest[0][span][0] - shortest[1][span][0]) / 2)
        for span in range(_SPANS)
        if all(span in side and side[span][1] >= _PER_SPAN for side in shortest)
    ]
    if len(points) < _SPANS // 2:
        return None
    middle, level = (sum(values) / len(points) for values in zip(*points, strict=True))
    slope = sum((x - middle) * (y - level) for x, y in points) / sum((x - middle) ** 2 for x, _ in points)
    worst = max(abs(y - level - slope * (x - middle)) for x, y in points)
    rise = abs(slope) * (points[-1][0] - points[0][0])
    return slope * _SPANS / whole * 1e6 if rise > 8 * worst and rise > _LEAST_RISE_NS else None


class _Spans:
    """Whether a point was capturing when a packet that the other has should have come by."""

    def __init__(self, points: tuple[Point, Point], clock: Clock) -> None:
        self._spans = [(point.facts.first_time_ns or 0, point.facts.last_time_ns or 0) for point in points]
        there, back = clock.forward_ns, clock.backward_ns
        if there is None:
            there = -back if back is not None else 0
        if back is None:
            back = -there
        # What to add to a time at one point to have it at the other: [has it first][the point that has it].
        self._way = (there, -there), (-back, back)

    def expected(self, time_ns: int, point: int, first: int) -> int:
        """When a packet that comes by one point is at the other, at the earliest."""
        return time_ns + self._way[first][point]

    def covers(self, time_ns: int, point: int, first: int) -> bool:
        """Whether the other point was capturing then."""
        start, end = self._spans[1 - point]
        return start <= self.expected(time_ns, point, first) <= end


# Figures


def _fill(flow: FlowBetween, joined: _Joined, span: _Spans) -> None:
    for point in (0, 1):
        track = joined.tracks[point]
        covered = [index for index in joined.single[point] if span.covers(track.times[index], point, flow.first)]
        flow.uncovered += len(joined.single[point]) - len(covered)
        if point == flow.first:
            _add_lost(flow, track, covered)
        else:
            flow.unseen = len(covered)
    sizes = (joined.tracks[flow.first].sizes[index] for index in joined.common[flow.first])
    flow.common_octets = _range(abs(size) for size in sizes if size > 0 or not flow.whole_only)
    if joined.common[0]:
        _add_delays(flow, joined)


def _add_lost(flow: FlowBetween, track: Track, indices: Sequence[int]) -> None:
    """Count lost packets and gather them in runs: indices follow the numbers."""
    flow.lost = len(indices)
    sizes = [track.sizes[index] for index in indices]
    flow.lost_octets = _range(map(abs, sizes))
    flow.whole_only = bool(sizes) and min(sizes) > 0
    flow.lost_frames = [track.frames[index] for index in indices[:_MOST_FRAMES]]
    run: list[int] = []
    for index in indices:
        if run and track.numbers[index] != track.numbers[run[-1]] + 1:
            _end_run(flow, track, run)
            run = []
        run.append(index)
    if run:
        _end_run(flow, track, run)


def _range(sizes: Iterable[int]) -> tuple[int, int] | None:
    lowest = highest = None
    for size in sizes:
        lowest = size if lowest is None or size < lowest else lowest
        highest = size if highest is None or size > highest else highest
    return None if lowest is None or highest is None else (lowest, highest)


def _end_run(flow: FlowBetween, track: Track, run: Sequence[int]) -> None:
    flow.lost_run_count += 1
    flow.longest_run = max(flow.longest_run, len(run))
    if len(flow.lost_runs) < _MOST_RUNS:
        first, last = run[0], run[-1]
        numbers, times, frames = track.numbers, track.times, track.frames
        flow.lost_runs.append(
            LostRun(numbers[first], numbers[last], times[first], times[last], frames[first], frames[last])
        )


def _add_delays(flow: FlowBetween, joined: _Joined) -> None:
    """Delays and order, going through the packets in the order in which they pass the first point."""
    first, second = flow.first, 1 - flow.first
    near, far = joined.tracks[first], joined.tracks[second]
    at, then = joined.common[first], joined.common[second]
    # Indices are in order of capture: packets in the order of the first point have ranks, and come to the second.
    ranks = sorted(range(len(at)), key=at.__getitem__)
    delays = array("q", (far.times[then[rank]] - near.times[at[rank]] for rank in ranks))
    jitter, before = 0.0, delays[0]
    for delay in delays:
        jitter += (abs(delay - before) - jitter) / 16
        before = delay
    slowest = max(range(len(delays)), key=delays.__getitem__)
    flow.slowest_frame = far.frames[then[ranks[slowest]]]
    ordered = sorted(delays)
    shortest, last = ordered[0], len(ordered) - 1
    flow.variation = Variation(
        shortest,
        ordered[last // 2] - shortest,
        ordered[last * 95 // 100] - shortest,
        ordered[last] - shortest,
        round(jitter),
    )
    place = array("L", bytes(array("L").itemsize * len(ranks)))
    for position, rank in enumerate(ranks):
        place[rank] = position
    highest = -1
    for rank in sorted(range(len(then)), key=then.__getitem__):
        lateness = highest - place[rank]
        if lateness <= 0:
            highest = place[rank]
            continue
        flow.reordered += 1
        flow.largest_lateness = max(flow.largest_lateness, lateness)
        for window in REPLAY_WINDOWS:
            flow.late_outside[window] += lateness >= window
        if len(flow.late_frames) < _MOST_FRAMES:
            flow.late_frames.append(far.frames[then[rank]])


# What only one point has


def _add_single(
    matched: Matched,
    points: tuple[Point, Point],
    couples: Sequence[tuple[Track, Track]],
    order: _Order,
    span: _Spans,
) -> None:
    """SAs that one point has and the other ought to have, as it sees traffic between these addresses."""
    known = {id(track) for couple in couples for track in couple}
    for index, point in enumerate(points):
        for track in point.tracks.values():
            if id(track) in known:
                continue
            if not order.passes_both(track.source, track.destination, index):
                matched.elsewhere += 1
                continue
            first, by = order.of(track.source, track.destination) or (index, "clock")
            tracks = (track, None) if index == 0 else (None, track)
            flow = FlowBetween(track.protocol, track.spi, tracks, first, by)
            indices = [at for at in _by_number(track) if span.covers(track.times[at], index, first)]
            flow.uncovered = len(set(track.numbers)) - len(indices)
            if index == first:
                _add_lost(flow, track, indices)
            else:
                flow.unseen = len(indices)
            matched.flows.append(flow)


def _ike(points: tuple[Point, Point], order: _Order, span: _Spans) -> Iterator[IkeBetween]:
    """IKE messages, in order of their keys' first appearance at either point."""
    for key in dict.fromkeys((*points[0].ike, *points[1].ike)):
        copies = points[0].ike.get(key, []), points[1].ike.get(key, [])
        index = 0 if copies[0] else 1
        sample = copies[index][0]
        if not all(copies) and not order.passes_both(sample.source, sample.destination, index):
            continue
        first, _ = order.of(sample.source, sample.destination) or (index, "clock")
        message = IkeBetween(key, copies, first)
        for copy in _unpaired(copies[first], copies[1 - first], span, first):
            if span.covers(copy.time_ns, first, first):
                message.lost += 1
                message.lost_frames.append(copy.frame)
        message.unseen = max(len(copies[1 - first]) - len(copies[first]), 0)
        yield message


def _unpaired(near: Sequence[IkeCopy], far: Sequence[IkeCopy], span: _Spans, first: int) -> list[IkeCopy]:
    """The transmissions at the first point that have no fellow at the second: those whose times fit worst."""
    left = list(near)
    for copy in far:
        if left:
            left.remove(min(left, key=lambda one: abs(span.expected(one.time_ns, first, first) - copy.time_ns)))
    return left
