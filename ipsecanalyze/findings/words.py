"""Numbers in the sentences of findings: counts, spans of time, SPIs, shares."""

from __future__ import annotations

__all__ = ["count_of", "series", "share", "span", "spi_text"]


def count_of(count: int, one: str, many: str | None = None) -> str:
    """`1 packet`, `2 packets`, `12,000 packets`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


#: (from how many nanoseconds on, nanoseconds of one, name)
_UNITS = (
    (3_600_000_000_000, 3_600_000_000_000, "h"),
    (120_000_000_000, 60_000_000_000, "min"),
    (1_000_000_000, 1_000_000_000, "s"),
    (1_000_000, 1_000_000, "ms"),
)


def span(nanoseconds: float) -> str:
    """A span of time: `350 µs`, `117 ms`, `7.68 s`, `12 min`, `3.5 h`."""
    size = abs(nanoseconds)
    # A unit begins where the one below it would be rounded up to it: 999.96 ms are 1 s.
    for unit, factor, name in _UNITS:
        if size >= 0.9995 * unit:
            value = nanoseconds / factor
            return f"{value:,.0f} {name}" if abs(value) >= 999.5 else f"{value:.3g} {name}"
    return f"{nanoseconds / 1000:.0f} µs"


def share(part: int, whole: int) -> str:
    """A part in per cent: `3.1 %`, `0.02 %`."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.0001:
        return "less than 0.0001 %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def spi_text(spi: int) -> str:
    """An SPI as Wireshark writes it."""
    return f"0x{spi:08x}"


def series(items: list[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`; of many, the first ones and how many more."""
    if len(items) > most:
        items = [*items[: most - 1], f"{len(items) - most + 1} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"
