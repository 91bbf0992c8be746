"""A cursor over octets that is fenced by the length a header declared.

Reading past the fence raises `WireError`; what is left over is the caller's to tell. Integers are in network
order. This module knows no protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ipsecanalyze.errors import WireError

__all__ = ["Cursor"]


class Cursor:
    """Reads `data[position:end]` from left to right; `layer` names the structure in error messages."""

    __slots__ = ("data", "end", "layer", "position")

    def __init__(self, data: bytes, position: int = 0, end: int | None = None, *, layer: str = "") -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end
        self.layer = layer

    @property
    def remaining(self) -> int:
        """Octets between the cursor and its fence."""
        return self.end - self.position

    def _advance(self, size: int) -> int:
        start = self.position
        if size > self.end - start:
            raise WireError(
                f"{self.layer or 'data'} needs {size} octets at offset {start}, {self.end - start} are there",
                layer=self.layer,
                offset=start,
                slug="truncated",
            )
        self.position = start + size
        return start

    def u8(self) -> int:
        """One octet as an unsigned integer."""
        return self.data[self._advance(1)]

    def u16(self) -> int:
        """Two octets as an unsigned integer."""
        start = self._advance(2)
        return int.from_bytes(self.data[start : start + 2])

    def u32(self) -> int:
        """Four octets as an unsigned integer."""
        start = self._advance(4)
        return int.from_bytes(self.data[start : start + 4])

    def take(self, size: int) -> bytes:
        """The next `size` octets."""
        start = self._advance(size)
        return self.data[start : start + size]

    def rest(self) -> bytes:
        """All octets up to the fence."""
        return self.take(self.end - self.position)

    @contextmanager
    def fence(self, size: int) -> Iterator[Cursor]:
        """Restrict the cursor to the next `size` octets; on leaving it stands behind them."""
        start = self._advance(size)
        outer = self.end
        self.position, self.end = start, start + size
        yield self
        self.position, self.end = start + size, outer
