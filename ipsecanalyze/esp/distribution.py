"""Exact statistics of a quantity: a view that a flow gives of its sizes and gaps, and what it is made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isqrt

__all__ = ["Distribution", "widen"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Count, sums and extremes of non-negative integers; everything but the properties is exact."""

    count: int = 0
    total: int = 0
    squares: int = 0
    """The sum of the squares."""
    minimum: int | None = None
    maximum: int | None = None
    histogram: dict[int, int] = field(default_factory=dict)
    """Number of bits → how many values need so many (11: 1024 to 2047; 0: zeros)."""
    first: tuple[int, ...] = ()
    """The first values, in order."""

    @property
    def mean(self) -> float | None:
        """The arithmetic mean; None without values."""
        return self.total / self.count if self.count else None

    @property
    def stddev(self) -> float | None:
        """The standard deviation of the population; None without values."""
        if not self.count:
            return None
        # n·Σx² - (Σx)² in integers: differences of large squares would lose their digits in floats.
        variance_n2 = self.count * self.squares - self.total**2
        scale = 1 << 20
        return isqrt(variance_n2 * scale**2) / (self.count * scale)


def widen(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    """The range that covers both."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])
