"""Flows as lines of text, for the cards, the summary and the table of flows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from ipsecanalyze.report.health import protocol_name, verdict
from ipsecanalyze.report.lines import Column, Line, Lines
from ipsecanalyze.report.text import integer, octets, plural, relative, terminal

if TYPE_CHECKING:
    from ipsecanalyze.shapes import FlowEntry

__all__ = ["address_line", "by_addresses", "flow_lines"]

_MOST_FLOWS = 12


def by_addresses(flows: Iterable[FlowEntry]) -> list[list[FlowEntry]]:
    """The flows grouped by the two addresses that talk, in order of appearance."""
    pairs: dict[frozenset[str], list[FlowEntry]] = {}
    for flow in flows:
        pairs.setdefault(frozenset((flow["source"], flow["destination"])), []).append(flow)
    return list(pairs.values())


def address_line(flow: FlowEntry) -> Text:
    """The two addresses of a flow, as a heading."""
    return Text.assemble(
        (terminal(flow["source"]), "address"), (" ⇄ ", "arrow"), (terminal(flow["destination"]), "address")
    )


def _verdict(flow: FlowEntry) -> Text:
    told = [Text(words, style) for words, style in verdict(flow)]
    return told[0] if len(told) == 1 else Text(", ").join(told)


def flow_lines(
    flows: Sequence[FlowEntry], origin_ns: int, *, initiator: Collection[str], most: int | None = _MOST_FLOWS
) -> Lines:
    """Flows one below the other; arrows point away from the addresses of `initiator`."""
    columns = (
        Column("", "arrow"),
        Column("flow"),
        Column("SPI", "spi"),
        Column("packets", right=True),
        Column("octets", right=True),
        Column("seconds", "time"),
    )
    lines = [
        Line(
            (
                "→" if flow["source"] in initiator else "←",
                protocol_name(flow),
                terminal(flow["spi"]),
                integer(flow["packets"]),
                octets(flow["octets"]),
                f"{relative(flow['first_time_ns'], origin_ns)} … {relative(flow['last_time_ns'], origin_ns)}",
            ),
            _verdict(flow),
        )
        for flow in flows[:most]
    ]
    if most is not None and len(flows) > most:
        more = Text(f"and {plural(len(flows) - most, 'more flow')}", style="quiet")
        lines.append(Line(("", "", "", "", "", ""), more))
    return Lines(columns, lines, under=1)
