"""Sets of integers as sorted runs: what a flow has seen of its sequence numbers.

In-order numbers extend the last run in constant time; a set costs memory by its holes, not by its members.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

__all__ = ["IntervalSet"]


class IntervalSet:
    """Disjoint runs `starts[i] … ends[i]` (both included), in order and never adjacent."""

    __slots__ = ("ends", "size", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.size = 0
        """How many integers are in the set."""

    def __repr__(self) -> str:
        return f"IntervalSet({list(zip(self.starts, self.ends, strict=True))!r})"

    def __contains__(self, number: int) -> bool:
        index = bisect_left(self.ends, number)
        return index < len(self.ends) and self.starts[index] <= number

    @property
    def holes(self) -> int:
        """Runs of integers that are absent between the least and the greatest."""
        return max(len(self.starts) - 1, 0)

    def hole_runs(self) -> Iterator[tuple[int, int]]:
        """The holes as (first absent, last absent), in order."""
        for end, start in zip(self.ends, self.starts[1:], strict=False):
            yield end + 1, start - 1

    def add(self, first: int, last: int) -> int:
        """Put in `first … last`; returns how many of them are new."""
        starts, ends = self.starts, self.ends
        if not ends:
            # Lists of just this size: most sets never have a second run.
            self.starts, self.ends = [first], [last]
            added = last - first + 1
        elif first > ends[-1] + 1:
            starts.append(first)
            ends.append(last)
            added = last - first + 1
        elif first == ends[-1] + 1:
            ends[-1] = last
            added = last - first + 1
        else:
            added = self._merge_in(first, last)
        self.size += added
        return added

    def _merge_in(self, first: int, last: int) -> int:
        starts, ends = self.starts, self.ends
        low = bisect_left(ends, first - 1)
        high = bisect_right(starts, last + 1)  # runs low … high-1 overlap or touch the new one
        if low == high:
            starts.insert(low, first)
            ends.insert(low, last)
            return last - first + 1
        covered = sum(ends[index] - starts[index] + 1 for index in range(low, high))
        new_start = min(first, starts[low])
        new_end = max(last, ends[high - 1])
        starts[low:high] = [new_start]
        ends[low:high] = [new_end]
        return new_end - new_start + 1 - covered

    def update(self, other: IntervalSet, shift: int = 0) -> None:
        """Put in all of `other`, each number raised by `shift`; linear in the runs of both."""
        if not other.starts:
            return
        if self.ends and other.starts[0] + shift <= self.ends[-1] + 1:
            self._union(other, shift)
        else:
            self.starts.extend(start + shift for start in other.starts)
            self.ends.extend(end + shift for end in other.ends)
            self.size += other.size

    def _union(self, other: IntervalSet, shift: int) -> None:
        runs = list(zip(self.starts, self.ends, strict=True))
        runs.extend((start + shift, end + shift) for start, end in zip(other.starts, other.ends, strict=True))
        runs.sort()  # two sorted halves: Timsort merges them in linear time
        self.starts, self.ends, self.size = [], [], 0
        starts, ends = self.starts, self.ends
        for start, end in runs:
            if ends and start <= ends[-1] + 1:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        self.size = sum(ends) - sum(starts) + len(starts)

    def fill_oldest_holes(self, count: int) -> list[tuple[int, int]]:
        """Close the `count` lowest holes; returns them as (first, last). The size grows by their numbers."""
        filled = [(self.ends[i] + 1, self.starts[i + 1] - 1) for i in range(min(count, self.holes))]
        del self.starts[1 : len(filled) + 1]
        del self.ends[: len(filled)]
        self.size += sum(last - first + 1 for first, last in filled)
        return filled

    def copy(self) -> IntervalSet:
        """An independent set of the same numbers."""
        twin = IntervalSet()
        twin.starts, twin.ends, twin.size = self.starts.copy(), self.ends.copy(), self.size
        return twin
