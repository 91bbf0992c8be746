"""The high half of extended sequence numbers, which packets do not carry (RFC 4303 §2.2.1, Appendix A).

A receiver knows it by counting from the start; who joins later guesses and lets the ICV decide. The guesses are few
and bounded: a forged packet with a valid SPI must not cost more than an honest one by much.
"""

from __future__ import annotations

__all__ = ["ExtendedSequence"]

_HALF = 1 << 31
_TOP = 1 << 32
#: High halves that are tried while nothing is known: no capture begins after much more than 2^35 packets.
_FIRST = 8
#: Packets that may cost all guesses without one of them being right.
_WIDE_SEARCHES = 32


class ExtendedSequence:
    """What is known of the sequence numbers of one SA; packets may come in any order."""

    __slots__ = ("_hint", "_left", "last")

    def __init__(self, hint: int | None = None) -> None:
        """`hint`: the high half at some time, earlier or later."""
        self._hint = hint
        self._left = _WIDE_SEARCHES
        self.last: int | None = None
        """The whole number of the packet that was verified last; None before the first."""

    def near(self, low: int) -> int:
        """The high half that brings the number nearest to the last one (Appendix A2 with a window of 2^32)."""
        if self.last is None:
            return self._hint or 0
        high, last_low = self.last >> 32, self.last & (_TOP - 1)
        if low < last_low - _HALF:
            return high + 1
        return high - 1 if low > last_low + _HALF and high else high

    def candidates(self, low: int) -> list[int]:
        """High halves to try, likeliest first; only the nearest ones after too many searches in vain."""
        near = self.near(low)
        guesses = [near, near + 1, near - 1]
        if self._left:
            if self._hint is not None:
                guesses += [self._hint, self._hint - 1, self._hint + 1]
            guesses += range(_FIRST)
        elif self.last is None:
            del guesses[1:]
        return [guess for guess in dict.fromkeys(guesses) if 0 <= guess < _TOP]

    def accept(self, low: int, high: int) -> None:
        """The ICV was right with this high half."""
        self.last = high << 32 | low
        self._left = _WIDE_SEARCHES

    def reject(self) -> None:
        """No candidate was right."""
        if self._left:
            self._left -= 1
