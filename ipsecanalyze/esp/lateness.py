"""How far behind the running maximum sequence numbers arrive: reordering and replay windows.

Numbers come as runs of consecutive 64-bit integers. `Lateness` is the counter; `Head` remembers how a piece of a
capture began, so that its lateness can be counted again once it is known what came before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["REPLAY_WINDOWS", "Head", "Lateness"]

#: Sizes of the receiver's anti-replay window that are looked at (RFC 4303 §3.4.3 asks for 32, advises 64).
REPLAY_WINDOWS = (32, 64, 128, 1024, 4096)

#: A head ends where it has so many packets and the running maximum has risen so far above the first number …
_HEAD_LEAST = 256
_HEAD_RISE = 2 * REPLAY_WINDOWS[-1]
#: … or after so many packets.
_HEAD_MOST = 16_384


@dataclass(slots=True)
class Lateness:
    """Counts what depends on the running maximum of the numbers so far."""

    maximum: int | None = None
    """The highest number so far."""
    records: int = 0
    """Packets that raised the maximum (the first packet among them)."""
    largest: int = 0
    """The largest distance of a packet below the maximum."""
    outside: tuple[int, ...] | None = None
    """For each of `REPLAY_WINDOWS`, packets to the left of it: W or more below the maximum. None: all zero."""

    def arrive(self, first: int, last: int) -> None:
        """Take the consecutive numbers `first … last`, in this order."""
        maximum = self.maximum
        if maximum is None or first > maximum:
            self.records += last - first + 1
            self.maximum = last
            return
        lateness = maximum - first
        self.largest = max(self.largest, lateness)
        if lateness >= REPLAY_WINDOWS[0]:
            before = self.outside or (0,) * len(REPLAY_WINDOWS)
            self.outside = tuple(
                count + max(min(last, maximum - window) - first + 1, 0)
                for count, window in zip(before, REPLAY_WINDOWS, strict=True)
            )
        if last > maximum:
            self.records += last - maximum
            self.maximum = last

    def windows(self) -> tuple[int, ...]:
        """`outside`, zeros spelled out."""
        return self.outside or (0,) * len(REPLAY_WINDOWS)


@dataclass(slots=True)
class Head:
    """The first packets of a piece that continues another: runs of consecutive numbers in order of arrival.

    Behind the head, the running maximum of the piece is that of the whole, unless what came before had gone
    higher than the head reaches.
    """

    runs: list[tuple[int, int]] = field(default_factory=list)
    """(first, last) of each run, unwrapped."""
    packets: int = 0
    closed: bool = False
    """Whether packets came that are not in the head."""
    reach: int = 0
    """The running maximum at the end of the head."""

    def arrive(self, first: int, last: int) -> None:
        """Take the run `first … last` while there is room; the run that fills the head is in it whole."""
        if self.closed:
            return
        risen = self.packets >= _HEAD_LEAST and self.reach - self.runs[0][0] > _HEAD_RISE
        if risen or self.packets >= _HEAD_MOST:
            self.closed = True
            return
        if self.runs and first == self.runs[-1][1] + 1:
            self.runs[-1] = (self.runs[-1][0], last)
        else:
            self.runs.append((first, last))
        self.reach = max(self.reach, last) if self.packets else last
        self.packets += last - first + 1

    def replay(self, maximum: int | None, shift: int = 0) -> Lateness:
        """The lateness of the head's packets where the running maximum before them was `maximum`."""
        lateness = Lateness(maximum)
        for first, last in self.runs:
            lateness.arrive(first + shift, last + shift)
        return lateness

    def extend(self, following: Head | None, shift: int) -> None:
        """Go on with the head of the piece behind this one (None: it has none), where this piece was all head."""
        for first, last in following.runs if following else ():
            self.arrive(first + shift, last + shift)
        self.closed = self.closed or following is None or following.closed
