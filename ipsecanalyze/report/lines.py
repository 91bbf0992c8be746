"""Lines in columns, each with a tail of words that goes below where it does not fit beside.

Rich's tables squeeze a long last cell into a narrow column; a line of a log is better continued underneath. Lines that
fit are handed over as segments: tables of flows are long, and rich would look for places to wrap in each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text

__all__ = ["Column", "Facts", "Line", "Lines", "Paragraph"]

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """How a column looks; its width is that of its widest cell."""

    header: str = ""
    style: str = ""
    right: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of a line and its tail; all text is safe to print already."""

    cells: tuple[str, ...]
    tail: Text = field(default_factory=Text)


@dataclass(frozen=True, slots=True)
class Lines:
    """A renderable of lines under a dim header."""

    columns: Sequence[Column]
    lines: Sequence[Line]
    under: int = 0
    """The column under which tails begin that do not fit beside their line."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich's protocol."""
        widths = self._widths()
        indent = sum(width + _GAP for width in widths[: self.under])
        whole = sum(widths) + _GAP * len(widths)
        styles = [column.style for column in self.columns]
        ready = [console.get_style(style) for style in styles]
        if any(column.header for column in self.columns):
            headers = self._cells(tuple(column.header for column in self.columns), widths)
            yield Text("".join(headers).rstrip(), style="label")
        for line in self.lines:
            cells = list(self._cells(line.cells, widths))
            beside = bool(line.tail) and whole + line.tail.cell_len <= options.max_width
            if not beside:
                cells = _stripped(cells)
            if beside or whole <= options.max_width:
                yield from map(Segment, cells, ready)
                if beside:
                    yield from line.tail.render(console)
                yield Segment.line()
            else:
                yield Text.assemble(*zip(cells, styles, strict=False), overflow="fold")
            if line.tail and not beside:
                yield Padding(line.tail, (0, 0, 0, indent), expand=False)

    def _widths(self) -> list[int]:
        rows = [tuple(column.header for column in self.columns), *(line.cells for line in self.lines)]
        return [max(map(_width, column)) for column in zip(*rows, strict=True)]

    def _cells(self, cells: tuple[str, ...], widths: Sequence[int]) -> Iterator[str]:
        for cell, width, column in zip(cells, widths, self.columns, strict=True):
            missing = " " * (width - _width(cell))
            yield missing + cell + " " * _GAP if column.right else cell + missing + " " * _GAP


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _stripped(cells: Iterable[str]) -> list[str]:
    """The cells of a line without the blanks at its end."""
    kept = list(cells)
    while kept and not kept[-1].strip():
        kept.pop()
    return [*kept[:-1], kept[-1].rstrip()] if kept else []


@dataclass(frozen=True, slots=True)
class Facts:
    """A renderable of facts in a row, broken only between them; all text is safe to print already."""

    facts: Sequence[str]
    separator: str = " · "
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich's protocol."""
        gap = Text(self.separator).cell_len
        # A separator without spaces belongs to the fact in front of it and stays at the line's end.
        at_break = "" if self.separator.startswith(" ") else self.separator
        line = Text(style=self.style)
        for index, fact in enumerate(self.facts):
            more = gap * (index < len(self.facts) - 1 and bool(at_break))
            if line and line.cell_len + gap + Text(fact).cell_len + more > options.max_width:
                yield line.append(at_break)
                line = Text(style=self.style)
            line.append(f"{self.separator}{fact}" if line else fact)
        yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Rich's protocol: as wide as everything in one line, as narrow as the longest fact."""
        longest = max((Text(fact).cell_len for fact in self.facts), default=0)
        whole = Text(self.separator.join(self.facts)).cell_len
        return Measurement(min(longest, options.max_width), min(whole, options.max_width))


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A renderable of running text, indented as a whole, without blanks at the ends of its lines."""

    text: Text
    indent: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich's protocol."""
        for line in self.text.wrap(console, max(options.max_width - self.indent, 20)):
            line.rstrip()
            yield Text(" " * self.indent).append_text(line)
