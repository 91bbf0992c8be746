"""What the sequence numbers of one ESP or AH flow say: loss, duplicates, reordering, restarts, wraps.

`SequenceState` is exact and mergeable: the state of a piece merged with that of the following piece equals the state
of one pass over both, or `MergeError` is raised; it never gives a wrong number. It knows no packets, only numbers.

The rules
* Numbers on the wire have 32 bits. They are unwrapped to 64 relative to the preceding packet, s = s' + the signed
  32-bit difference: RFC 4303 Appendix A with a window of 2^31, taken from the packet before instead of the highest, so
  that pieces can be joined (a sum of differences does not care where it was cut). The first packet's high half is 0.
* Duplicates are packets less different numbers; lost is what is absent between the lowest and the highest; reordered
  are new numbers below the running maximum (RFC 4737 §3.3), that is different numbers less those that raised it.
* Replay windows: a packet is outside a window W where it arrives W or more below the running maximum. Receivers drop
  these whether or not they came before (RFC 4303 §3.4.3); duplicates inside the window are dropped as well, and are
  told as duplicates.
* A restart is a backward break (more than 4,096 down, or more than 64 down to a number of at most 64, where counters
  begin) that no later forward jump undoes: one of more than 32 that passes over the number f before the break, from
  below f - 32 to at least f - 32. A replay of old packets jumps back and forth, a counter that began anew goes on from
  there. A jump of more than 2^30 forward to the beginning of an epoch counts too: that is a high counter that began
  anew, seen with 32 bits.
* Holes beyond the limit are settled as lost, the oldest first. What arrives below the highest settled hole afterwards
  cannot be told from a duplicate; it counts as one and is counted in `ambiguous`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import sub
from typing import Any

from ipsecanalyze.esp.breaks import BACKWARD_STEP, FORWARD_STEP, MergeError, SequenceBreak, SequenceBreaks
from ipsecanalyze.esp.intervals import IntervalSet
from ipsecanalyze.esp.lateness import REPLAY_WINDOWS, Head, Lateness

__all__ = ["MergeError", "SequenceBreak", "SequenceState"]

_MASK = (1 << 32) - 1
_HALF = 1 << 31

#: How often, in packets, the number of holes is held against the limit.
_SETTLE_EVERY = 1024


@dataclass(slots=True)
class _Settled:
    """Holes that were given up."""

    lowest: int
    highest: int
    holes: int = 0
    numbers: int = 0
    longest: int = 0

    def add(self, first: int, last: int) -> None:
        self.lowest = min(self.lowest, first)
        self.highest = max(self.highest, last)
        self.holes += 1
        self.numbers += last - first + 1
        self.longest = max(self.longest, last - first + 1)

    def merge(self, following: _Settled, shift: int) -> None:
        self.lowest = min(self.lowest, following.lowest + shift)
        self.highest = max(self.highest, following.highest + shift)
        self.holes += following.holes
        self.numbers += following.numbers
        self.longest = max(self.longest, following.longest)


class SequenceState:
    """Takes sequence numbers in order of arrival; see the module for the rules.

    `gaps` is how many holes are remembered (looked at every 1,024 packets). With `continuing`, the beginning is kept
    as well, so that the state can be merged behind that of the preceding piece of the capture.
    """

    __slots__ = (
        "_breaks",
        "_checkpoint",
        "_continuing",
        "_gaps",
        "_head",
        "_late",
        "_position",
        "_seen",
        "_settled",
        "ambiguous",
        "first",
        "packets",
    )

    def __init__(self, *, gaps: int = 4096, continuing: bool = False) -> None:
        self.packets = 0
        self.first = 0
        """The first number on the wire."""
        self.ambiguous = 0
        """Packets below the highest settled hole: duplicates, or late beyond what is remembered."""
        self._continuing = continuing
        self._gaps = max(gaps, 1)
        self._position = 0  # the last number, unwrapped
        self._seen = IntervalSet()
        self._late: Lateness | None = None  # made by the first packet that is not above all before it
        self._checkpoint = _SETTLE_EVERY
        self._settled: _Settled | None = None
        self._breaks: SequenceBreaks | None = None
        self._head = Head() if continuing else None

    # Results

    @property
    def last(self) -> int:
        """The last number on the wire."""
        return self._position & _MASK

    @property
    def _lift(self) -> int:
        # A late packet from before a wrap may have brought numbers below zero.
        return -(self._seen.starts[0] & ~_MASK) if self._seen.starts else 0

    @property
    def _lateness(self) -> Lateness:
        if self._late is not None:
            return self._late
        return Lateness(self._seen.ends[-1] if self._seen.ends else None, self.packets)

    @property
    def lowest(self) -> int:
        """The lowest number, which defines the epoch 0."""
        return self._seen.starts[0] + self._lift if self._seen.starts else 0

    @property
    def highest(self) -> int:
        """The highest number, with 64 bits (RFC 4303 Appendix A), counted from the epoch of the lowest."""
        return self._seen.ends[-1] + self._lift if self._seen.ends else 0

    @property
    def wraps(self) -> int:
        """How often the 32 bits overflowed between the lowest and the highest number."""
        return self.highest >> 32

    @property
    def unique(self) -> int:
        """Different numbers."""
        return self._seen.size - (self._settled.numbers if self._settled else 0)

    @property
    def lost(self) -> int:
        """Numbers absent between the lowest and the highest."""
        return self.highest - self.lowest + 1 - self.unique if self.packets else 0

    @property
    def duplicates(self) -> int:
        """Packets whose number had been seen before."""
        return self.packets - self.unique

    @property
    def reordered(self) -> int:
        """Packets with a new number below the running maximum (RFC 4737)."""
        return self.unique - self._lateness.records

    @property
    def largest_lateness(self) -> int:
        """How far below the running maximum a packet came at most, in numbers."""
        return self._lateness.largest

    @property
    def outside_window(self) -> dict[int, int]:
        """Size of a replay window → packets that came to the left of it."""
        if self._late is None:
            return dict.fromkeys(REPLAY_WINDOWS, 0)
        return dict(zip(REPLAY_WINDOWS, self._late.windows(), strict=True))

    @property
    def loss_bursts(self) -> int:
        """Runs of absent numbers."""
        return self._seen.holes + self.settled

    @property
    def longest_loss_burst(self) -> int:
        """The length of the longest run of absent numbers."""
        settled = self._settled.longest if self._settled else 0
        if not self._seen.holes:
            return settled
        return max(settled, *(last - first + 1 for first, last in self._seen.hole_runs()))

    @property
    def settled(self) -> int:
        """Runs of absent numbers that were given up because of the limit."""
        return self._settled.holes if self._settled else 0

    @property
    def breaks(self) -> list[SequenceBreak]:
        """Large jumps, the first 64; their numbers count from the epoch of the lowest, as `highest` does."""
        if self._breaks is None:
            return []
        lift = self._lift
        return [replace(jump, before=jump.before + lift, after=jump.after + lift) for jump in self._breaks.kept]

    @property
    def break_count(self) -> int:
        """How many large jumps there were."""
        return self._breaks.count if self._breaks else 0

    @property
    def restarts(self) -> int:
        """How often the numbers began anew."""
        return self._breaks.restarts if self._breaks else 0

    def gaps(self) -> Iterator[tuple[int, int]]:
        """The runs of absent numbers that are remembered, as (first, last), 64-bit."""
        lift = self._lift
        for first, last in self._seen.hole_runs():
            yield first + lift, last + lift

    # Taking numbers

    def update(
        self, numbers: Sequence[int], times_ns: Sequence[int] | None = None, frames: Sequence[int] | None = None
    ) -> None:
        """Take the next sequence numbers (32 bits, as on the wire) with the times and frames of their packets."""
        if not numbers:
            return
        wire = tuple(numbers)
        count = len(wire)
        if self._extend(wire, count):
            return
        if not self.packets:
            self.first = wire[0]
            self._position = wire[0] - 1
        bounds = [0, count]
        if wire[-1] - wire[0] != count - 1 or wire != tuple(range(wire[0], wire[0] + count)):
            differences = enumerate(map(sub, wire[1:], wire), 1)
            bounds[1:1] = [index for index, difference in differences if difference != 1]
        for start, end in pairwise(bounds):
            position = self._position
            first = position + _signed(wire[start] - position)
            if not BACKWARD_STEP <= first - position <= FORWARD_STEP:
                time_ns = times_ns[start] if times_ns else 0
                self._jump(first, time_ns, frames[start] if frames else 0)
            self._take_run(first, first + end - start - 1)

    def _extend(self, wire: tuple[int, ...], count: int) -> bool:
        """Take numbers that go on from the highest without a gap, where nothing but the last run changes."""
        first, ends = (self._position + 1) & _MASK, self._seen.ends
        if (
            wire[0] != first
            or wire[-1] - first != count - 1
            or self.packets + count >= self._checkpoint
            or not ends
            or ends[-1] != self._position
            or self._head is not None
            or self._settled is not None
            or wire != tuple(range(first, first + count))
        ):
            return False
        self._position = ends[-1] = self._position + count
        self._seen.size += count
        self.packets += count
        if self._late is not None:
            self._late.records += count
            self._late.maximum = self._position
        return True

    def _jump(self, after: int, time_ns: int, frame: int) -> None:
        if self._breaks is None:
            self._breaks = SequenceBreaks(continuing=self._continuing)
        self._breaks.add(SequenceBreak(self.packets, self._position, after, time_ns, frame))

    def _take_run(self, first: int, last: int) -> None:
        """Take consecutive numbers; cut where holes are settled, so that batches do not change the result."""
        seen = self._seen
        while True:
            room = self._checkpoint - self.packets
            stop = last
            if last - first >= room and seen.holes >= self._gaps and first <= seen.ends[-1]:
                stop = first + room - 1
            if self._late is None and seen.ends and first <= seen.ends[-1]:
                self._late = self._lateness
            seen.add(first, stop)
            if self._late is not None:
                self._late.arrive(first, stop)
            if self._head is not None:
                self._head.arrive(first, stop)
            if self._settled is not None:
                self.ambiguous += max(min(stop, self._settled.highest) - first + 1, 0)
            self.packets += stop - first + 1
            self._position = stop
            if self.packets >= self._checkpoint:
                self._settle()
            if stop == last:
                return
            first = stop + 1

    def _settle(self) -> None:
        self._checkpoint = self.packets - self.packets % _SETTLE_EVERY + _SETTLE_EVERY
        for first, last in self._seen.fill_oldest_holes(self._seen.holes - self._gaps):
            if self._settled is None:
                self._settled = _Settled(first, last)
            self._settled.add(first, last)

    # Merging

    def merge(self, following: SequenceState, time_ns: int = 0, frame: int = 0) -> None:
        """Put the state of the following piece behind this one; `following` is used up.

        `time_ns` and `frame` are those of the following piece's first packet. Raises MergeError, before anything is
        changed, where the result could differ from one pass over both pieces.
        """
        if not following.packets:
            return
        if not self.packets:
            self._become(following)
            return
        step = _signed(following.first - self._position)
        shift = self._position + step - following.first
        self._check_holes(following, shift)
        lateness = self._merged_lateness(following, shift)
        self._merge_breaks(following, shift, step, time_ns, frame)
        self._late = lateness
        if self._head is not None:
            self._head.extend(following._head, shift)
        self._seen.update(following._seen, shift)
        self._position = following._position + shift
        self.packets += following.packets
        self.ambiguous += following.ambiguous
        if following._settled is not None:
            if self._settled is None:
                self._settled = _Settled(following._settled.lowest + shift, following._settled.highest + shift)
            self._settled.merge(following._settled, shift)
        self._settle()

    def _become(self, following: SequenceState) -> None:
        gaps, continuing = self._gaps, self._continuing
        for name in SequenceState.__slots__:
            setattr(self, name, getattr(following, name))
        self._gaps, self._continuing = gaps, continuing
        if not continuing:
            self._head = None
        self._settle()

    def _check_holes(self, following: SequenceState, shift: int) -> None:
        """Raise MergeError where one piece has numbers among the holes that the other gave up."""
        settled = self._settled
        if settled is not None and following._seen.starts[0] + shift <= settled.highest:
            raise MergeError("the second piece has numbers among holes that were settled in the first")
        settled = following._settled
        if settled is not None and self._seen.ends[-1] >= settled.lowest + shift:
            raise MergeError("the first piece has numbers among holes that were settled in the second")

    def _merged_lateness(self, following: SequenceState, shift: int) -> Lateness:
        mine, other = self._lateness, following._lateness
        own, shifted = Lateness(), Lateness()
        if following._seen.starts[0] + shift <= self._seen.ends[-1]:
            head = following._head
            if head is None:
                raise MergeError("the second piece was not scanned as one that continues another")
            if head.closed and head.reach + shift < self._seen.ends[-1]:
                raise MergeError("the second piece stays below the first for longer than its head")
            own, shifted = head.replay(None), head.replay(self._seen.ends[-1], shift)
        windows = zip(mine.windows(), other.windows(), own.windows(), shifted.windows(), strict=True)
        outside = tuple(a + b - c + d for a, b, c, d in windows)
        return Lateness(
            maximum=max(self._seen.ends[-1], following._seen.ends[-1] + shift),
            records=mine.records + other.records - own.records + shifted.records,
            # What came before can only raise a packet's lateness: the head's own values need not be taken off.
            largest=max(mine.largest, other.largest, shifted.largest),
            outside=outside if any(outside) else None,
        )

    def _merge_breaks(self, following: SequenceState, shift: int, step: int, time_ns: int, frame: int) -> None:
        join = not BACKWARD_STEP <= step <= FORWARD_STEP
        if self._breaks is None and following._breaks is None and not join:
            return
        mine = self._breaks or SequenceBreaks(continuing=self._continuing)
        behind = following._breaks or SequenceBreaks(continuing=True)
        mine.check_mergeable(behind, joined_backward=join and step < 0)
        self._breaks = mine
        if join:
            self._jump(self._position + step, time_ns, frame)
        mine.merge(behind, shift, self.packets)

    # From the C core

    @classmethod
    def restore(cls, state: Sequence[Any], *, gaps: int, continuing: bool) -> SequenceState:
        """The state that the C core kept in its own way (`export_sequence` in _fast/core/table.c)."""
        self = cls(gaps=gaps, continuing=continuing)
        packets, first, position, ambiguous, runs, size, *lateness, settled, breaks, head = state
        maximum, records, largest, outside = lateness
        self.packets, self.first, self._position, self.ambiguous = packets, first, position, ambiguous
        self._seen.starts, self._seen.ends, self._seen.size = runs[::2], runs[1::2], size
        if records != packets:
            self._late = Lateness(maximum, records, largest, tuple(outside) if any(outside) else None)
        self._checkpoint = packets - packets % _SETTLE_EVERY + _SETTLE_EVERY
        if settled:
            self._settled = _Settled(*settled)
        if breaks is not None:
            self._breaks = SequenceBreaks.restore(breaks)
        if head:
            head_runs, head_packets, closed, reach = head
            pairs = list(zip(head_runs[::2], head_runs[1::2], strict=True))
            self._head = Head(pairs, head_packets, bool(closed), reach)
        return self


def _signed(difference: int) -> int:
    """A difference modulo 2^32 as a signed number."""
    return ((difference + _HALF) & _MASK) - _HALF
