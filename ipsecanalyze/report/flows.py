"""The table of flows: as text, grouped by the addresses that talk, and as CSV for spreadsheets.

CSV has every field of the flow entries; lists in it are joined by spaces, distributions become several columns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.flow_rows import address_line, by_addresses, flow_lines
from ipsecanalyze.report.text import csv_cell, octets, plural, terminal
from ipsecanalyze.shapes import FlowEntry

if TYPE_CHECKING:
    from ipsecanalyze.shapes import FlowsDocument

__all__ = ["FlowsCsv", "FlowsText", "flows_text"]

_DISTRIBUTION = ("min", "max", "mean", "stddev")
#: Fields that become several columns; the histogram and first values of a distribution are for JSON.
_PARTS = {
    "sizes": _DISTRIBUTION,
    "gaps_ns": _DISTRIBUTION,
    "replay_window_drops": ("32", "64", "128", "1024", "4096"),
    "opening": ("opened", "icv_wrong", "padding_wrong", "dummy", "truncated", "algorithms", "reason", "explanation"),
    "inferred": ("suite", "probability", "mode", "mode_probability", "iv", "unencrypted"),
}


def flows_text(document: FlowsDocument, *, width: int = 80, color: bool = False) -> str:
    """The table as a string, `width` columns wide, with ANSI colours if `color`."""
    stream = io.StringIO()
    FlowsText(width=width, color=color).write(document, stream)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class FlowsText:
    """Writes a flows document as text: a block per pair of addresses."""

    width: int | None = None
    """Columns; None asks the terminal."""
    color: bool | None = None
    """None asks the stream and the environment."""
    most: int | None = 200
    """Flows shown; None for all."""

    def write(self, document: FlowsDocument, stream: TextIO) -> None:
        """Write the table."""
        console = make_console(stream, width=self.width, color=self.color)
        times = [capture["first_time_ns"] for capture in document["captures"]]
        origin_ns = min((time for time in times if time is not None), default=0)
        for flows in by_addresses(document["flows"][: self.most]):
            console.print(address_line(flows[0]))
            console.print(flow_lines(flows, origin_ns, initiator={flows[0]["source"]}, most=None))
            console.print()
        if self.most is not None and len(document["flows"]) > self.most:
            rest = document["flows"][self.most :]
            console.print(Text(f"and {_sums(rest, 'more flow')} (--all shows all, --top N the first N)\n", "notice"))
        console.print(_total(document["flows"]))
        for warning in document["warnings"]:
            console.print(Text(terminal(warning["message"]), style="notice"))


def _total(flows: Sequence[FlowEntry]) -> Text:
    if not flows:
        return Text("No ESP or AH flows were found.", style="notice")
    return Text(_sums(flows, "flow"))


def _sums(flows: Sequence[FlowEntry], what: str) -> str:
    packets, size = sum(flow["packets"] for flow in flows), sum(flow["octets"] for flow in flows)
    return f"{plural(len(flows), what)}, {plural(packets, 'packet')}, {octets(size)}"


@dataclass(frozen=True, slots=True)
class FlowsCsv:
    """Writes a flows document as CSV (RFC 4180) with a header line; times are nanoseconds since 1970.

    Its list of flows may be an iterator.
    """

    def write(self, document: FlowsDocument, stream: TextIO) -> None:
        """Write the table."""
        writer = csv.writer(stream)
        writer.writerow(_columns())
        writer.writerows(list(_row(flow)) for flow in document["flows"])


def _columns() -> Iterator[str]:
    for name in FlowEntry.__annotations__:
        parts = _PARTS.get(name)
        if parts is None:
            yield name
        else:
            yield from (f"{name}_{part}" for part in parts)


def _row(flow: FlowEntry) -> Iterator[object]:
    for name in FlowEntry.__annotations__:
        value: Any = flow[name]  # type: ignore[literal-required]
        if isinstance(value, int):
            yield value
        elif name in _PARTS:
            yield from ("" if value is None else csv_cell(value[part]) for part in _PARTS[name])
        elif isinstance(value, dict):
            yield " ".join([f"{key}:{count}" for key, count in value.items()])
        elif isinstance(value, list):
            yield csv_cell(" ".join([_item(item) for item in value]))
        else:
            yield csv_cell(value)


def _item(item: object) -> str:
    if isinstance(item, dict):
        return "/".join(str(value) for value in item.values())
    if isinstance(item, list):
        return "/".join(str(value) for value in item)
    return str(item)
