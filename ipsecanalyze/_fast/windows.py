"""Parts of a capture in memory that the core looks at: filled by Python (`Sliding`), or by the core itself (`Window`).

Both keep what was not used up, a record that is not all there, in front of what is read next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ipsecanalyze._fast import _core

__all__ = ["CHUNK", "ENDED", "NEEDS_MORE", "STRANGE_PACKET", "Sliding", "Window"]

#: What a run of the core ended with, as in core/scan.h; anything else is an odd record.
NEEDS_MORE: Final = 0
STRANGE_PACKET: Final = 2
ENDED: Final = 3
#: Small enough to stay in a processor's caches, where the kernel has just copied it to; large enough to be seldom.
CHUNK: Final = 512 << 10
#: Octets after which the core comes back to hear whether it should go on.
_BUDGET: Final = 64 << 20


class Sliding:
    """Octets that `step` reads and hands on."""

    def __init__(self) -> None:
        self._octets = bytearray(CHUNK)
        self.kept = 0
        """Octets at the beginning that wait for what follows."""

    def step(self, readinto: Callable[[memoryview], int], take: Callable[[memoryview, bool], int]) -> int:
        """Read once, and let `take(octets, is_end)` use up some of what is there; returns how many were read."""
        window = self._octets
        if self.kept > len(window) // 2:
            window.extend(bytes(len(window)))
        with memoryview(window) as view:
            with view[self.kept :] as room:
                count = readinto(room)
            end = self.kept + count
            with view[:end] as octets:
                used = take(octets, not count)
        self.kept = end - used
        window[: self.kept] = window[used:end]
        return count


class Window:
    """A part of a file in memory, that the core reads and takes records from up to `stop`."""

    def __init__(self, fd: int, begin: int, stop: int) -> None:
        self._fd = fd
        self._stop = stop
        self._octets = bytearray(CHUNK)
        self._position = self._end = 0
        self.begin = begin
        """Where its first octet stands in the file."""

    @property
    def place(self) -> int:
        """Up to where records were taken."""
        return self.begin + self._position

    def run(self, scan: _core.Scan, frame: int, last: int) -> tuple[int, int, int, bytes | None, Any]:
        """Go on until Python must see something, or an end is reached: (ending, frame, last, rows, packet)."""
        while True:
            self.begin, self._end, (ending, self._position, frame, last, rows, packet) = scan.read(
                self._fd, self._octets, self.begin, self._position, self._end, self._stop, _BUDGET, frame, last
            )
            if ending != ENDED or self._end < len(self._octets):
                return ending, frame, last, rows, packet
            # A record that is larger than the window.
            self._octets.extend(bytes(len(self._octets)))
