"""The summary as text: what `ipsecanalyze summarize` prints.

The page: a paragraph per capture, findings, a card per tunnel, flows that no tunnel owns, warnings. A flood of
half-open attempts becomes one paragraph. Readable at 80 columns, without colour, and in ASCII.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ipsecanalyze.report.cards import tunnel_card
from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.flow_rows import address_line, by_addresses, flow_lines
from ipsecanalyze.report.lines import Facts
from ipsecanalyze.report.text import duration, integer, moment, octets, plural, relative, terminal
from ipsecanalyze.report.warnings import warning_lines

if TYPE_CHECKING:
    from ipsecanalyze.shapes import (
        CaptureEntry,
        ChildSaEntry,
        FindingEntry,
        FlowEntry,
        IkeSaEntry,
        SummaryDocument,
    )

__all__ = ["FEW_HALF_OPEN", "SummaryText", "summary_text"]

#: Half-open attempts beyond this number are told together.
FEW_HALF_OPEN = 5
_LINK_TYPES = {
    0: "loopback",
    1: "Ethernet",
    9: "PPP",
    12: "raw IP",
    14: "raw IP",
    101: "raw IP",
    105: "802.11",
    108: "loopback",
    109: "ENC",
    113: "Linux cooked",
    127: "802.11 radiotap",
    228: "IPv4",
    229: "IPv6",
    239: "NFLOG",
    276: "Linux cooked v2",
}
_COUNTED = (
    ("esp", "ESP"),
    ("ah", "AH"),
    ("ike", "IKE"),
    ("nat_keepalive", "NAT keepalive"),
    ("icmp_error", "ICMP error"),
    ("fragment", "fragment"),
    ("malformed", "malformed"),
    ("other", "other"),
)


def summary_text(document: SummaryDocument, *, width: int = 80, color: bool = False) -> str:
    """The page as a string, `width` columns wide, with ANSI colours if `color`."""
    stream = io.StringIO()
    SummaryText(width=width, color=color).write(document, stream)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class SummaryText:
    """Writes a summary document as text."""

    width: int | None = None
    """Columns; None asks the terminal."""
    color: bool | None = None
    """None asks the stream and the environment."""
    most: int | None = 20
    """Tunnels and address pairs shown; None for all."""

    def write(self, document: SummaryDocument, stream: TextIO) -> None:
        """Write the page."""
        self.print(document, make_console(stream, width=self.width, color=self.color))

    def print(self, document: SummaryDocument, console: Console) -> None:
        """Print the page on a console of `make_console`."""
        for index, part in enumerate(self._page(document)):
            if index:
                console.print()
            console.print(part)

    def _page(self, document: SummaryDocument) -> Iterator[RenderableType]:
        times = [capture["first_time_ns"] for capture in document["captures"]]
        origin_ns = min((time for time in times if time is not None), default=0)
        for capture in document["captures"]:
            yield _capture(capture)
        if document["findings"]:
            yield _findings(document["findings"])
        yield from self._tunnels(document, origin_ns)
        yield from self._orphans(document["flows"], origin_ns)
        if not document["ike_sas"] and not document["flows"]:
            yield Text("No IPsec was found.", style="notice")
        yield from warning_lines(document)

    def _tunnels(self, document: SummaryDocument, origin_ns: int) -> Iterator[RenderableType]:
        owned: dict[str, list[FlowEntry]] = {}
        for flow in document["flows"]:
            if flow["ike_sa"] is not None:
                owned.setdefault(flow["ike_sa"], []).append(flow)
        children: dict[str, list[ChildSaEntry]] = {}
        for child in document["child_sas"]:
            if child["ike_sa"] is not None:
                children.setdefault(child["ike_sa"], []).append(child)
        half_open = [sa for sa in document["ike_sas"] if sa["state"] == "half-open"]
        flood = half_open if len(half_open) > FEW_HALF_OPEN else []
        cards = [sa for sa in document["ike_sas"] if not flood or sa["state"] != "half-open"]
        for sa in cards[: self.most]:
            yield tunnel_card(sa, owned.get(sa["id"], ()), origin_ns, children.get(sa["id"], ()))
        if self.most is not None and len(cards) > self.most:
            states = Counter(sa["state"] for sa in cards[self.most :])
            told = ", ".join(f"{integer(count)} {state}" for state, count in states.most_common())
            yield Text(f"and {plural(len(cards) - self.most, 'more IKE SA')}: {told}", style="notice")
        if flood:
            yield _flood(flood, origin_ns)

    def _orphans(self, flows: Iterable[FlowEntry], origin_ns: int) -> Iterator[RenderableType]:
        pairs = by_addresses(flow for flow in flows if flow["ike_sa"] is None)
        for group in pairs[: self.most]:
            yield _orphan_card(group, origin_ns)
        if self.most is not None and len(pairs) > self.most:
            rest = [flow for group in pairs[self.most :] for flow in group]
            yield Text(
                f"and {plural(len(pairs) - self.most, 'more address pair')} without IKE: {plural(len(rest), 'flow')}, "
                f"{plural(sum(flow['packets'] for flow in rest), 'packet')}, "
                f"{octets(sum(flow['octets'] for flow in rest))}",
                style="notice",
            )


def _capture(capture: CaptureEntry) -> RenderableType:
    links = dict.fromkeys(_LINK_TYPES.get(link, f"link type {link}") for link in capture["link_types"])
    facts = [capture["format"], *([capture["compression"]] if capture["compression"] else []), *links]
    facts += [plural(capture["packets"], "packet"), octets(capture["octets"])]
    first, last = capture["first_time_ns"], capture["last_time_ns"]
    if first is not None and last is not None:
        facts.append(f"{duration(last - first)} from {moment(first)} UTC")
    counts = [f"{integer(capture['counts'][key])} {name}" for key, name in _COUNTED if capture["counts"][key]]  # type: ignore[literal-required]
    parts: list[RenderableType] = [Text(terminal(capture["path"]), style="heading")]
    parts.append(Facts([terminal(fact) for fact in facts]))
    if counts:
        parts.append(Facts(counts))
    for count, what in (
        (capture["truncated_packets"], "cut by the snap length"),
        (capture["dropped_packets"] or 0, "lost by the capturing system"),
    ):
        if count:
            parts.append(Text(f"{plural(count, 'packet')} {what}", style="notice"))
    return Group(*parts)


def _findings(findings: Sequence[FindingEntry]) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text("findings", style="label"))
    for finding in findings:
        grid.add_row(
            Text(finding["severity"], style=f"severity.{finding['severity']}"),
            terminal(finding["subject"]),
            Text(terminal(finding["title"])),
        )
    return grid


def _flood(attempts: Sequence[IkeSaEntry], origin_ns: int) -> RenderableType:
    sources = {sa["initiator"]["address"] for sa in attempts}
    targets = Counter(sa["responder"]["address"] for sa in attempts)
    first = min(sa["first_time_ns"] for sa in attempts)
    last = max(sa["last_time_ns"] for sa in attempts)
    answered = sum(1 for sa in attempts if int(sa["responder"]["spi"], 16))
    cookies = sum(1 for sa in attempts if sa["cookie_rounds"])
    text = Text.assemble(
        (f"{plural(len(attempts), 'attempt')} never got past the first exchange", "state.half-open"),
        f"\nfrom {plural(len(sources), 'address', 'addresses')}, "
        f"{relative(first, origin_ns)} … {relative(last, origin_ns)}",
        f"\nanswered: {integer(answered)}, asked for a cookie: {integer(cookies)}",
    )
    for address, count in targets.most_common(3):
        text.append(f"\n{integer(count)} to ").append(terminal(address), "address")
    if len(targets) > 3:
        text.append(f"\nand to {plural(len(targets) - 3, 'more address', 'more addresses')}", "quiet")
    return Panel(text, title=Text("half-open", style="not dim bold yellow"), title_align="left", border_style="quiet")


def _orphan_card(flows: Sequence[FlowEntry], origin_ns: int) -> RenderableType:
    title = Text.assemble(address_line(flows[0]), ("  no IKE in the capture", "quiet"), style="not dim")
    grid = flow_lines(flows, origin_ns, initiator={flows[0]["source"]})
    return Panel(grid, title=title, title_align="left", box=box.ROUNDED, border_style="quiet")
