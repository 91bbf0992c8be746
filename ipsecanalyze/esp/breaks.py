"""Large jumps in a flow's sequence numbers, and which of them are restarts of the counter.

The rules are those of `sequence.py`; here they are kept in a form that two pieces of a capture can be joined in:
a forward jump undoes each backward break, of its own piece or an earlier one, whose number it passes over.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ipsecanalyze.errors import IpsecAnalyzeError
from ipsecanalyze.esp.intervals import IntervalSet

__all__ = ["BACKWARD_STEP", "FORWARD_STEP", "MergeError", "SequenceBreak", "SequenceBreaks"]

#: Jumps within these bounds are ordinary loss and reordering.
FORWARD_STEP = 32
BACKWARD_STEP = -64

#: A jump of more than this is a break.
_BREAK = 4096
#: Counters begin at numbers up to this: a backward jump (beyond BACKWARD_STEP) to there is a break as well.
_BEGINNING = 64
#: A forward jump of more than this to the beginning of an epoch is a restart of a high counter.
_FORWARD_RESTART = 1 << 30
_BREAKS_KEPT = 64
#: Backward breaks that wait for a jump to undo them; more than these are restarts for good.
_OPEN_KEPT = 256
#: Ranges of forward jumps kept for joining this piece behind another.
_FORWARD_KEPT = 4096


class MergeError(IpsecAnalyzeError):
    """Two states cannot be merged exactly: scan the second piece again behind the first."""

    slug = "inexact-merge"


@dataclass(frozen=True, slots=True)
class SequenceBreak:
    """A large jump between two consecutive packets of a flow."""

    packet: int
    """Index of the packet behind the jump among the flow's packets, from 0."""
    before: int
    """The unwrapped number in front of it."""
    after: int
    """The unwrapped number behind it."""
    time_ns: int
    """When the packet behind it came; nanoseconds since 1970."""
    frame: int
    """The frame of that packet."""


class SequenceBreaks:
    """Collects the jumps of one flow, in order."""

    __slots__ = ("_forward", "_forward_restarts", "_open", "_settled", "count", "kept")

    def __init__(self, *, continuing: bool) -> None:
        self.kept: list[SequenceBreak] = []
        """The first 64 breaks."""
        self.count = 0
        """All breaks."""
        self._open: list[int] = []  # the numbers before the backward breaks that nothing undid yet, sorted
        self._settled = 0
        self._forward_restarts = 0
        # What forward jumps passed over; None where that was not kept.
        self._forward: IntervalSet | None = IntervalSet() if continuing else None

    @property
    def restarts(self) -> int:
        """How often the counter began anew."""
        return len(self._open) + self._settled + self._forward_restarts

    def add(self, jump: SequenceBreak) -> None:
        """Take a jump of more than `FORWARD_STEP` or less than `BACKWARD_STEP`."""
        delta = jump.after - jump.before
        at_beginning = jump.after % (1 << 32) <= _BEGINNING
        backward = delta < -_BREAK or (delta < 0 and at_beginning)
        if delta > 0:
            # It undoes a break before which the number was f if before + 32 < f <= after + 32.
            low, high = jump.before + FORWARD_STEP + 1, jump.after + FORWARD_STEP
            self._undo(low, high)
            if self._forward is not None:
                self._forward.add(low, high)
                if self._forward.holes >= _FORWARD_KEPT:
                    self._forward = None
            if delta > _FORWARD_RESTART and at_beginning:
                self._forward_restarts += 1
        elif backward:
            if len(self._open) < _OPEN_KEPT:
                insort(self._open, jump.before)
            else:
                self._settled += 1
        if backward or delta > _BREAK:
            self._keep(jump)

    def _keep(self, jump: SequenceBreak) -> None:
        self.count += 1
        if len(self.kept) < _BREAKS_KEPT:
            self.kept.append(jump)

    def _undo(self, low: int, high: int) -> None:
        if self._open:
            del self._open[bisect_left(self._open, low) : bisect_right(self._open, high)]

    def check_mergeable(self, following: SequenceBreaks, *, joined_backward: bool) -> None:
        """Raise MergeError where `merge` could not be exact; `joined_backward`: a backward jump is between the two."""
        if (self._open or joined_backward) and following._forward is None:
            raise MergeError("what the forward jumps of the second piece passed over is not known")
        if self._settled or following._settled or len(self._open) + len(following._open) >= _OPEN_KEPT:
            raise MergeError("more backward breaks than are remembered")

    def merge(self, following: SequenceBreaks, shift: int, packets: int) -> None:
        """Put the breaks of the following piece behind these.

        Its numbers are `shift` higher here, and its packets come behind `packets` others.
        """
        if following._forward is not None:
            for start, end in zip(following._forward.starts, following._forward.ends, strict=True):
                self._undo(start + shift, end + shift)
            if self._forward is not None:
                self._forward.update(following._forward, shift)
        else:
            self._forward = None
        for before in following._open:
            insort(self._open, before + shift)
        self._forward_restarts += following._forward_restarts
        dropped = following.count - len(following.kept)
        for jump in following.kept:
            moved = replace(jump, packet=jump.packet + packets, before=jump.before + shift, after=jump.after + shift)
            self._keep(moved)
        self.count += dropped

    @classmethod
    def restore(cls, state: Sequence[Any]) -> SequenceBreaks:
        """The breaks that the C core kept (`export_breaks` in _fast/core/table.c)."""
        kept, opened, forward, count, settled, forward_restarts = state
        self = cls(continuing=forward is not None)
        self.kept, self.count = [SequenceBreak(*jump) for jump in kept], count
        self._open, self._settled, self._forward_restarts = opened, settled, forward_restarts
        if self._forward is not None:
            self._forward.starts, self._forward.ends = forward[::2], forward[1::2]
            self._forward.size = sum(self._forward.ends) - sum(self._forward.starts) + len(self._forward.starts)
        return self
