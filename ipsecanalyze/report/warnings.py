"""What the readers of captures and the analysis itself have to say, at the end of a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from ipsecanalyze.report.lines import Column, Line, Lines
from ipsecanalyze.report.text import integer, plural, terminal

if TYPE_CHECKING:
    from ipsecanalyze.shapes import AuditDocument, DiagnosisDocument, SummaryDocument, WarningEntry

    _Warned = SummaryDocument | DiagnosisDocument | AuditDocument

__all__ = ["warning_lines"]

_MOST_WARNINGS = 8


def warning_lines(document: _Warned) -> Iterator[RenderableType]:
    """The table of warnings; nothing where there are none."""
    lines = list(_warnings(document))
    if not lines:
        return
    shown = list(lines[:_MOST_WARNINGS])
    if len(lines) > _MOST_WARNINGS:
        shown.append(Line(("",), Text(f"and {plural(len(lines) - _MOST_WARNINGS, 'more kind')}", style="quiet")))
    yield Lines((Column("warnings", "notice"),), shown)


def _warnings(document: _Warned) -> Iterator[Line]:
    """A line per kind of warning and capture, with the first of its kind in words."""
    several = len(document["captures"]) > 1
    for capture in document["captures"]:
        first: dict[str, WarningEntry] = {}
        for warning in capture["warnings"]:
            first.setdefault(warning["slug"], warning)
        for slug, count in capture["warning_counts"].items():
            yield _warning(slug, first.get(slug), count, capture["path"] if several else "")
    for warning in document["warnings"]:
        yield _warning(warning["slug"], warning, 1, "")


def _warning(slug: str, warning: WarningEntry | None, count: int, path: str) -> Line:
    place = [terminal(path)] if path else []
    if warning and warning["frame"] is not None:
        place.append(f"frame {warning['frame']}")
    if warning and warning["offset"] is not None:
        place.append(f"offset {warning['offset']}")
    words = [terminal(warning["message"], 300)] if warning else []
    if place:
        words.append(f"({', '.join(place)})")
    if count > 1:
        words.append(f"and {integer(count - 1)} more" if warning else f"{integer(count)} times")
    return Line((terminal(slug),), Text(" ".join(words)))
