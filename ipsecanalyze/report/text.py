"""Numbers and strangers' text for human eyes: one function per unit, one per place where text can do harm.

Whatever comes out of a packet or a file name is an attacker's. `terminal` takes away what could drive a terminal
or reorder a line; the escapes for HTML, CSV and Markdown build on it. Nothing here knows a document.
"""

from __future__ import annotations

import html as _html
import re
from datetime import UTC, datetime, timedelta

__all__ = ["csv_cell", "duration", "html", "integer", "markdown", "moment", "octets", "plural", "relative", "terminal"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")
_FORMULA = re.compile(r"^\s*[=+\-@]")
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def terminal(text: object, limit: int | None = None) -> str:
    r"""Text that cannot drive a terminal: all that is not printable becomes a visible escape such as `\x1b`.

    That covers control characters, bidi overrides, invisible marks, line separators and lone surrogates (file names
    that are no UTF-8). Backslashes stay single: text that the parsers have escaped already must not change again.
    `limit` cuts to so many characters, with an ellipsis.
    """
    raw = str(text)
    if limit is not None and len(raw) > limit:
        raw = raw[: limit - 1] + "…"
    if raw.isprintable():
        return raw
    return "".join(char if char.isprintable() else _escape(char) for char in raw)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def html(text: object, limit: int | None = None) -> str:
    """Text for HTML, in element content and in quoted attributes."""
    return _html.escape(terminal(text, limit), quote=True)


def markdown(text: object, limit: int | None = None) -> str:
    """Text for Markdown, in paragraphs and table cells: neither markup nor HTML gets through."""
    return _MARKDOWN.sub(r"\\\1", _html.escape(terminal(text, limit), quote=False))


def csv_cell(value: object) -> str:
    """A cell's text for CSV: what a spreadsheet would run as a formula gets an apostrophe in front.

    Numbers stay numbers, also negative ones; None becomes empty. Quoting is the csv module's work.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    safe = terminal(value)
    return "'" + safe if _FORMULA.match(safe) else safe


def integer(value: int) -> str:
    """An integer with thousands separated by commas."""
    return f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 packet`, `2 packets`, `1 loss`, `2 losses`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def octets(count: int) -> str:
    """Octets with an SI prefix and three figures: `999 B`, `1.02 kB`, `282 kB`."""
    if abs(count) < 1000:
        return f"{count} B"
    value = float(count)
    for unit in _UNITS:
        # 999.5 would be written as 1000: the next unit writes it as 1.00.
        if abs(value) < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    places = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{places}f} {unit}"


def duration(nanoseconds: int) -> str:
    """A span of time in the unit that suits it: `350 ns`, `117 ms`, `7.68 s`, `1 h 12 min`."""
    sign, span = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if span >= 60_000_000_000:
        return sign + _long_duration(round(span / 1_000_000_000))
    for size, unit in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")):
        # From 0.9995 of a unit on, three figures would round up to it.
        if span * 10_000 >= size * 9_995:
            value = span / size
            places = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{sign}{value:.{places}f} {unit}"
    return f"{sign}{span} ns" if span else "0 s"


def _long_duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"


def moment(time_ns: int, *, date: bool = True) -> str:
    """A point in time in UTC with milliseconds, `2026-11-23 05:58:14.540`; without date only the time of day."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        when = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        # A damaged file can claim any time: the number is still the truth about what stands there.
        return f"{seconds}.{rest // 1_000_000:03d}"
    pattern = "%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S"
    return f"{when:{pattern}}.{rest // 1_000_000:03d}"


def relative(time_ns: int, origin_ns: int) -> str:
    """Seconds since the start of the capture, with milliseconds: `+0.117`."""
    # Integers on purpose: a float has no room for nanoseconds of an epoch.
    span = time_ns - origin_ns
    seconds, rest = divmod((abs(span) + 500_000) // 1_000_000, 1_000)
    return f"{'-' if span < 0 else '+'}{seconds}.{rest:03d}"
