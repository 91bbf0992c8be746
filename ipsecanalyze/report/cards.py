"""A card per tunnel: an IKE SA with its peers, suites, course and flows, as a rich renderable.

Strangers' text goes through `terminal()` here and nowhere later; no rich markup is ever parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ipsecanalyze.report.flow_rows import address_line, by_addresses, flow_lines
from ipsecanalyze.report.lines import Column, Facts, Line, Lines
from ipsecanalyze.report.suites import algorithm_name, proposal_text, suite_text
from ipsecanalyze.report.text import duration, moment, plural, relative, terminal
from ipsecanalyze.report.timeline import Row, timeline

if TYPE_CHECKING:
    from ipsecanalyze.shapes import ChildSaEntry, FlowEntry, IkeSaEntry, PeerEntry

__all__ = ["tunnel_card"]

_MODES = {"main": "main mode", "aggressive": "aggressive mode"}
_NO_SPI = "0" * 16
_MOST_ROWS = 16
_MOST_PROPOSALS = 4
_MOST_VENDOR_IDS = 6
_MOST_MOVES = 4
_MOST_ICMP_ERRORS = 3
_MOST_CHILDREN = 8


def tunnel_card(
    sa: IkeSaEntry, flows: Sequence[FlowEntry], origin_ns: int, children: Sequence[ChildSaEntry] = ()
) -> RenderableType:
    """The card of an IKE SA, of its Child SAs, and of the flows that belong to it; times count from `origin_ns`."""
    parts: list[RenderableType] = [_facts(sa, children)]
    rows = timeline(sa)
    if rows:
        parts += ["", _timeline(rows, origin_ns)]
    pairs = by_addresses(flows)
    for pair in pairs:
        parts += ["", address_line(pair[0])] if len(pairs) > 1 else [""]
        parts.append(flow_lines(pair, origin_ns, initiator=_addresses(sa["initiator"])))
    return Panel(Group(*parts), title=_title(sa), title_align="left", box=box.ROUNDED, border_style="quiet")


def _title(sa: IkeSaEntry) -> Text:
    version = "IKEv1" if sa["version"].startswith("1") else "IKEv2"
    mode = _MODES.get(sa["mode"] or "", "")
    return Text.assemble(
        (terminal(sa["id"]), "heading"),
        "  ",
        version + (f" {mode}" if mode else ""),
        "  ",
        (terminal(sa["state"]), f"state.{sa['state']}"),
        (" (inferred)" if sa["certainty"] == "inferred" else "", "quiet"),
        style="not dim",
    )


def _addresses(peer: PeerEntry) -> set[str]:
    return {peer["address"], *(move["address"] for move in peer["moves"])}


def _facts(sa: IkeSaEntry, children: Sequence[ChildSaEntry]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="label", no_wrap=True)
    grid.add_column(overflow="fold")
    if sa["outcome"]:
        grid.add_row("outcome", Text(terminal(sa["outcome"]), style=_outcome_style(sa)))
    for label in ("initiator", "responder"):
        for index, line in enumerate(_peer(sa[label])):
            grid.add_row("" if index else label, line)
    for label, text in (*_negotiation(sa), *_circumstances(sa), *_children(children)):
        grid.add_row(label, text)
    return grid


def _children(children: Sequence[ChildSaEntry]) -> Iterator[tuple[str, RenderableType]]:
    """What was agreed on for Child SAs, where that was seen in opened messages."""
    seen = [child for child in children if child["certainty"] == "observed"]
    for child in seen[:_MOST_CHILDREN]:
        sides = child["traffic_selectors"]
        ends = [", ".join(terminal(text, 80) for text in sides[side][:4]) for side in ("initiator", "responder")]
        told = [f"{ends[0]} = {ends[1]}"] if all(ends) else []
        told.append(f"{child['protocol']} {terminal(child['mode'] or '')}".rstrip())
        if child["rekeys"]:
            told.append(f"replaces {terminal(child['rekeys'])}")
        suite = Text(terminal(suite_text(child["chosen"]), 120), style="suite")
        yield terminal(child["id"]), Text.assemble(", ".join(told), "  ", suite)
    if len(seen) > _MOST_CHILDREN:
        yield "", Text(f"and {plural(len(seen) - _MOST_CHILDREN, 'more Child SA')}", style="quiet")


def _outcome_style(sa: IkeSaEntry) -> str:
    return {"failed": "bad", "half-open": "notice"}.get(sa["state"], "")


def _peer(peer: PeerEntry) -> Iterator[Text]:
    line = Text.assemble((_endpoint(peer["address"], peer["port"]), "address"), "  ")
    if peer["spi"] == _NO_SPI:
        line.append("never answered", "notice")
    else:
        line.append("SPI ", "label").append(terminal(peer["spi"]), "spi")
    if peer["behind_nat"]:
        line.append("  behind NAT", "notice")
    yield line
    if peer["identity"] is not None:
        yield Text(terminal(peer["identity"], 200))
    if peer["moves"]:
        yield Text("then at " + _moves(peer))
    vendors = list(dict.fromkeys(peer["vendor_ids"]))
    if vendors:
        shown = ", ".join(terminal(name, 60) for name in vendors[:_MOST_VENDOR_IDS])
        more = f", {len(vendors) - _MOST_VENDOR_IDS} more" if len(vendors) > _MOST_VENDOR_IDS else ""
        yield Text(shown + more, style="quiet")


def _moves(peer: PeerEntry) -> str:
    places = []
    address = peer["address"]
    for move in peer["moves"][:_MOST_MOVES]:
        same = move["address"] == address
        address = move["address"]
        place = f"port {move['port']}" if same else _endpoint(address, move["port"])
        places.append(f"{place} (frame {move['frame']})")
    if len(peer["moves"]) > _MOST_MOVES:
        places.append(f"{len(peer['moves']) - _MOST_MOVES} more places")
    return ", ".join(places)


def _endpoint(address: str, port: int) -> str:
    shown = terminal(address)
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def _negotiation(sa: IkeSaEntry) -> list[tuple[str, RenderableType]]:
    rows: list[tuple[str, RenderableType]] = []
    offered = list(dict.fromkeys(proposal_text(proposal) for proposal in sa["offered"]))
    chosen = suite_text(sa["chosen"])
    only_choice = len(offered) == 1 and suite_text(sa["offered"][0]) == chosen
    if offered:
        text = Text("just what was chosen" if only_choice else "", style="quiet")
        if not only_choice:
            text = Text("\n").join(Text(terminal(proposal)) for proposal in offered[:_MOST_PROPOSALS])
            if len(offered) > _MOST_PROPOSALS:
                text.append(f"\nand {plural(len(offered) - _MOST_PROPOSALS, 'more proposal')}", "quiet")
        rows.append(("offered", text))
    if chosen:
        suite = [terminal(algorithm_name(algorithm)) for algorithm in sa["chosen"]]
        rows.append(("chosen", Facts(suite, separator="/", style="suite")))
    elif offered:
        rows.append(("chosen", Text("nothing", style="notice")))
    methods = sa["authentication"]
    if methods["initiator"] or methods["responder"]:
        both = [methods["initiator"] or "unknown", methods["responder"] or "unknown"]
        rows.append(("authentic.", Text(terminal(both[0] if both[0] == both[1] else " / ".join(both)))))
    if sa["lifetime_seconds"] is not None:
        rows.append(("lifetime", Text(duration(sa["lifetime_seconds"] * 1_000_000_000))))
    return rows


def _circumstances(sa: IkeSaEntry) -> list[tuple[str, Text]]:
    told = []
    if sa["encapsulation"] == "tcp":
        told.append("TCP encapsulation (RFC 9329)")
    if sa["fragmentation"]:
        told.append("IKE fragments")
    if sa["cookie_rounds"]:
        told.append(plural(sa["cookie_rounds"], "cookie round"))
    if sa["invalid_ke_rounds"]:
        groups = ", ".join(str(group) for group in sa["invalid_ke_rounds"])
        told.append(f"key exchange again with group {groups}")
    if sa["nat_keepalives"]:
        told.append(plural(sa["nat_keepalives"], "NAT keepalive"))
    if sa["started_late"]:
        told.append("its beginning is not in the capture")
    if sa["rekeys"]:
        told.append(f"replaces {sa['rekeys']}")
    rows = [("with", Text(terminal("; ".join(told))))] if told else []
    errors: dict[str, list[int]] = {}
    for error in sa["icmp_errors"]:
        errors.setdefault(error["description"], []).append(error["frame"])
    for description, frames in list(errors.items())[:_MOST_ICMP_ERRORS]:
        rows.append(("ICMP", Text(f"{terminal(description)} (frames {_frames(frames)})", style="notice")))
    return rows


def _timeline(rows: Sequence[Row], origin_ns: int) -> Lines:
    columns = (
        Column("UTC", "quiet"),
        Column("seconds", "time", right=True),
        Column("", "arrow"),
        Column("exchange"),
        Column("took", "quiet", right=True),
        Column("frames", "quiet"),
    )
    shown = list(rows)
    if len(rows) > _MOST_ROWS:
        shown = [*rows[: _MOST_ROWS - 4], *rows[-3:]]
    lines = [_line(row, origin_ns) for row in shown]
    if len(rows) > len(shown):
        lines.insert(-3, Line(("", "", "", f"… {len(rows) - len(shown)} more", "", "")))
    return Lines(columns, lines, under=3)


def _line(row: Row, origin_ns: int) -> Line:
    told = [Text(terminal(remark, 120)) for remark in row.remarks]
    told += [Text(terminal(problem, 120), "bad") for problem in row.problems]
    return Line(
        (
            moment(row.time_ns, date=False),
            relative(row.time_ns, origin_ns),
            "→" if row.from_initiator else "←",
            terminal(row.name),
            "" if row.round_trip_ns is None else duration(row.round_trip_ns),
            _frames(row.frames),
        ),
        Text(", ").join(told),
    )


def _frames(frames: Sequence[int]) -> str:
    if len(frames) <= 2:
        return ", ".join(str(frame) for frame in frames)
    return f"{frames[0]}…{frames[-1]}"
