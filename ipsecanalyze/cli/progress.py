"""A line on standard error that says how far the reading is: on terminals, and only when it takes long."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TextIO

from ipsecanalyze.report.text import duration, octets

__all__ = ["ProgressLine"]

#: Seconds of work before the line appears, and between two drawings.
_PATIENCE = 1.0
_INTERVAL = 0.1
_WIDTH = 24


class ProgressLine:
    """Draws the line while it is entered, and wipes it at the end."""

    def __init__(self, total: int | None, stream: TextIO | None, *, enabled: bool = True) -> None:
        self._total = total
        self._stream = stream if enabled and stream is not None and stream.isatty() else None
        self._start = time.monotonic()
        self._next = self._start + _PATIENCE
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn and self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def update(self, done: int) -> None:
        """Take note that so many octets were read."""
        now = time.monotonic()
        if self._stream is None or now < self._next:
            return
        self._next = now + _INTERVAL
        self._drawn = True
        self._stream.write(f"\r{self._line(done, now - self._start)}\x1b[K")
        self._stream.flush()

    def _line(self, done: int, seconds: float) -> str:
        rate = done / seconds
        speed = f"{octets(int(rate))}/s"
        if not self._total:
            return f"{octets(done)} read, {speed}"
        share = min(1.0, done / self._total)
        bar = ("#" * int(share * _WIDTH)).ljust(_WIDTH, ".")
        left = max(0, self._total - done) / rate if rate else 0.0
        # Whole seconds: smaller ones would only flicker.
        time_left = f"{duration(int(left) * 10**9)} left" if left >= 1 else "nearly done"
        return f"[{bar}] {share:4.0%}  {octets(done)} of {octets(self._total)}, {speed}, {time_left}"
