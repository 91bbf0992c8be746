"""Findings as text: what `ipsecanalyze diagnose` and `audit` print.

Worst first; of each the line that stands alone, the story, what to do about it, and the frames to look at. The end says
what was looked for, and what could not be. Readable at 80 columns, without colour, and in ASCII.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from rich.console import Group, RenderableType
from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.lines import Column, Facts, Line, Lines, Paragraph
from ipsecanalyze.report.text import integer, octets, plural, terminal
from ipsecanalyze.report.warnings import warning_lines

if TYPE_CHECKING:
    from ipsecanalyze.shapes import AuditDocument, DiagnosisDocument, FindingEntry, GatewayEntry

__all__ = ["AuditText", "DiagnosisText", "told"]

_SEVERITIES = ("critical", "high", "medium", "low", "info")
_COUNTED: tuple[Literal["ike", "esp", "ah"], ...] = ("ike", "esp", "ah")
_GRADE_STYLES = {"A": "good", "B": "good", "C": "notice", "D": "bad", "E": "bad", "F": "bad"}


@dataclass(frozen=True, slots=True)
class DiagnosisText:
    """Writes a diagnosis document as text."""

    width: int | None = None
    color: bool | None = None

    def write(self, document: DiagnosisDocument, stream: TextIO) -> None:
        """Write the page."""
        console = make_console(stream, width=self.width, color=self.color)
        parts = [*_captures(document), *told(document["findings"], document["captures"])]
        for part in (*parts, _conclusion(document, "wrong"), *warning_lines(document)):
            console.print(part)
            console.print()


@dataclass(frozen=True, slots=True)
class AuditText:
    """Writes an audit document as text."""

    width: int | None = None
    color: bool | None = None

    def write(self, document: AuditDocument, stream: TextIO) -> None:
        """Write the page."""
        console = make_console(stream, width=self.width, color=self.color)
        profile = document["profile"][0]
        parts: list[RenderableType] = [*_captures(document)]
        parts.append(Text(f"Judged by {terminal(profile['title'])} ({profile['date']})", style="label"))
        parts += told(document["findings"], document["captures"])
        if document["gateways"]:
            parts.append(_gateways(document["gateways"]))
        for part in (*parts, _conclusion(document, "weak"), *warning_lines(document)):
            console.print(part)
            console.print()


def _captures(document: DiagnosisDocument | AuditDocument) -> Iterator[RenderableType]:
    """A line per capture; of many, how many."""
    captures = document["captures"]
    if len(captures) > 8:
        total = sum(capture["packets"] for capture in captures)
        yield Text(f"{plural(len(captures), 'capture')}, {plural(total, 'packet')}", style="heading")
        return
    lines = []
    for capture in captures:
        counts = capture["counts"]
        facts = [terminal(capture["path"]), plural(capture["packets"], "packet"), octets(capture["octets"])]
        facts += [f"{integer(counts[key])} {key.upper()}" for key in _COUNTED if counts[key]]
        lines.append(Facts(facts, style="heading"))
    yield Group(*lines)


def told(findings: Sequence[FindingEntry], captures: Sequence[Mapping[str, object]]) -> Iterator[RenderableType]:
    """The findings one by one."""
    for finding in findings:
        severity = finding["severity"]
        label = Text(f"{severity.upper()}", style=f"severity.{severity}")
        head = Text.assemble(label, "  ", (terminal(finding["title"]), "heading"))
        evidence = [
            finding["slug"],
            terminal(finding["subject"]),
            *([finding["certainty"]] * (finding["certainty"] == "inferred")),
        ]
        if finding["frames"]:
            frames = f"frame{'s' * (len(finding['frames']) > 1)} {_frames(finding['frames'])}"
            where = terminal(captures[finding["capture"]]["path"]) if len(captures) > 1 else ""
            evidence.append(f"{frames} of {where}" if where else frames)
        evidence += [terminal(reference) for reference in finding["references"]]
        yield Group(
            head,
            Paragraph(Text(terminal(finding["explanation"]))),
            Paragraph(Text.assemble(("→ ", "arrow"), terminal(finding["remedy"]))),
            Paragraph(Text(" · ".join(evidence), style="quiet")),
        )


def _frames(frames: Sequence[int], most: int = 8) -> str:
    """Frames as ranges: `3, 5-9, 12`, the first ones of many."""
    ranges: list[tuple[int, int]] = []
    for frame in frames:
        if ranges and frame == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], frame)
        else:
            ranges.append((frame, frame))
    told = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:most]]
    return ", ".join(told) + (" …" if len(ranges) > most else "")


def _gateways(gateways: Sequence[GatewayEntry]) -> RenderableType:
    columns = (
        Column("gateway", "address"),
        Column("grade"),
        Column("IKE SAs", right=True),
        Column("findings"),
        Column("worst", "quiet"),
    )
    lines = []
    for gateway in sorted(gateways, key=lambda gateway: (gateway["grade"] or "", gateway["address"]), reverse=True):
        told = ", ".join(f"{count} {severity}" for severity, count in gateway["severities"].items()) or "none"
        grade = f"{gateway['grade'] or 'not judged'}"
        cells = (terminal(gateway["address"]), grade, integer(gateway["ike_sas"]), told, gateway["worst"] or "")
        lines.append(Line(cells))
    return Lines(columns, lines)


def _conclusion(document: DiagnosisDocument | AuditDocument, what: str) -> RenderableType:
    findings, checked = document["findings"], document["checked"]
    parts: list[RenderableType] = []
    if findings:
        counts: Counter[str] = Counter(finding["severity"] for finding in findings)
        told = ", ".join(f"{counts[severity]} {severity}" for severity in _SEVERITIES if counts[severity])
        parts.append(
            Text(f"{plural(len(findings), 'finding')}: {told}; looked for {len(checked)} kinds.", style="label")
        )
    else:
        parts.append(Text(f"Nothing {what} was found.", style="good"))
        parts.append(Text("Looked for:", style="label"))
        parts.append(Paragraph(Text(", ".join(checked), style="quiet")))
    parts += (
        Paragraph(Text.assemble(("Not seen: ", "notice"), terminal(limit), "."), 0) for limit in document["limits"]
    )
    return Group(*parts)
