"""A comparison of two capture points as text: the points, the SAs at both, and what differs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.findings import told
from ipsecanalyze.report.lines import Column, Facts, Line, Lines
from ipsecanalyze.report.text import duration, integer, moment, plural, terminal

if TYPE_CHECKING:
    from ipsecanalyze.shapes import ComparisonDocument, FlowBetweenEntry

__all__ = ["ComparisonText", "comparison_text"]

_POINTS = "AB"


def comparison_text(document: ComparisonDocument, *, width: int = 80, color: bool = False) -> str:
    """The comparison as a string, `width` columns wide, with ANSI colours if `color`."""
    stream = io.StringIO()
    ComparisonText(width=width, color=color).write(document, stream)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class ComparisonText:
    """Writes a comparison document as text."""

    width: int | None = None
    """Columns; None asks the terminal."""
    color: bool | None = None
    """None asks the stream and the environment."""
    most: int = 200
    """SAs shown."""

    def write(self, document: ComparisonDocument, stream: TextIO) -> None:
        """Write the page."""
        console = make_console(stream, width=self.width, color=self.color)
        for part in _head(document):
            console.print(part)
        console.print()
        if document["flows"]:
            console.print(_flows(document["flows"][: self.most]))
            if len(document["flows"]) > self.most:
                console.print(
                    Text(f"and {plural(len(document['flows']) - self.most, 'more SA')} (JSON has all)", "notice")
                )
            console.print()
        for finding in told(document["findings"], document["captures"]):
            console.print(finding)
            console.print()
        if not document["findings"] and any(flow["common"] for flow in document["flows"]):
            console.print(Text("Nothing is lost, reordered or rewritten between the points.", style="good"))
        for warning in document["warnings"]:
            console.print(Text(terminal(warning["message"]), style="notice"))


def _head(document: ComparisonDocument) -> Iterator[RenderableType]:
    for name, capture in zip(_POINTS, document["captures"], strict=True):
        facts = [f"{name} {terminal(capture['path'])}", plural(capture["packets"], "packet")]
        start, end = capture["first_time_ns"], capture["last_time_ns"]
        if start is not None and end is not None:
            facts.append(f"{moment(start)} for {duration(end - start)}")
        yield Facts(facts, style="heading")
    clock = document["clock"][0]
    messages = document["ike"]
    common = sum(1 for message in messages if all(message["frames"]))
    facts = [f"{integer(common)} of {plural(len(messages), 'IKE message')} at both points"] if messages else []
    if clock["round_trip_ns"] is not None and clock["offset_ns"] is not None:
        side = "ahead" if clock["offset_ns"] >= 0 else "behind"
        facts.append(f"round trip {duration(clock['round_trip_ns'])} at its shortest")
        facts.append(f"B's clock {duration(abs(clock['offset_ns']))} {side}, if both ways are alike")
    if facts:
        yield Facts(facts, style="label")


def _flows(flows: list[FlowBetweenEntry]) -> RenderableType:
    columns = (
        Column("way"),
        Column("SPI", "spi"),
        Column("both", right=True),
        Column("lost", right=True),
        Column("late", right=True),
        Column("95 %", "time", right=True),
        Column("from", "address"),
        Column("to", "address"),
    )
    return Lines(columns, [_line(flow) for flow in flows], under=1)


def _line(flow: FlowBetweenEntry) -> Line:
    first = flow["first"]
    sights = flow["sights"]
    near, far = sights[first], sights[1 - first]
    sight = near or far
    assert sight is not None  # noqa: S101 - one of them is there
    delay = flow["delay"]
    tail = Text()
    ends = [(one["source"], one["destination"]) for one in (near, far) if one is not None]
    if near is not None and far is not None and ends[0] != ends[1]:
        tail.append(f"then {terminal(far['source'])} → {terminal(far['destination'])}", "notice")
    if flow["unseen"]:
        tail.append(f"{', ' if tail else ''}{integer(flow['unseen'])} only behind", "notice")
    return Line(
        (
            f"{_POINTS[first]}→{_POINTS[1 - first]}",
            flow["spi"],
            integer(flow["common"]),
            integer(flow["lost"]),
            integer(flow["reordered"]),
            f"+{duration(delay['percentile_95_ns'])}" if delay is not None else "",
            terminal(sight["source"]),
            terminal(sight["destination"]),
        ),
        tail,
    )
