"""Numbers in the sentences of findings: counts, spans of time, SPIs, shares."""

from __future__ import annotations

__all__ = ["count_of", "series", "share", "span", "spi_text"]


def count_of(count: int, one: str, many: str | None = None) -> str:
    """`1 packet`, `2 packets`, `12,000 packets`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def span(nanoseconds: float) -> str:
    """A span of time: `350 µs`, `117 ms`, `7.68 s`, `12 min`, `3.5 h`."""
    size = abs(nanoseconds)
    for unit, name in ((3_600_000_000_000, "h"), (120_000_000_000, "min"), (1_000_000_000, "s"), (1_000_000, "ms")):
        if size >= unit:
            factor = 60_000_000_000 if name == "min" else unit
            return f"{nanoseconds / factor:.3g} {name}"
    return f"{nanoseconds / 1000:.0f} µs"


def share(part: int, whole: int) -> str:
    """A part in per cent: `3.1 %`, `0.02 %`."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def spi_text(spi: int) -> str:
    """An SPI as Wireshark writes it."""
    return f"0x{spi:08x}"


def series(items: list[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`; of many, the first ones and how many more."""
    if len(items) > most:
        items = [*items[: most - 1], f"{len(items) - most + 1} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"
