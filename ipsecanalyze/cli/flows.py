"""`ipsecanalyze flows`: the table of ESP and AH flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipsecanalyze.cli.options import Reading, capture_arguments, output_options
from ipsecanalyze.cli.work import read_captures, write_document

if TYPE_CHECKING:
    from ipsecanalyze.esp.flow import Flow
    from ipsecanalyze.report.base import Reporter

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze flows capture.pcap
  ipsecanalyze flows --infer capture.pcap
  ipsecanalyze flows --sort lost --top 10 capture.pcap
  ipsecanalyze flows --format csv -o flows.csv capture.pcap
"""

_ORDERS = ("first", "packets", "octets", "lost")


@click.command("flows", epilog=_EPILOG)
@capture_arguments
@output_options("text", "csv", "json")
@click.option("--sort", type=click.Choice(_ORDERS), default="first", show_default=True, help="Most of it comes first.")
@click.option("--top", metavar="N", type=click.IntRange(min=1), help="Only the first N flows.")
@click.option("--infer", is_flag=True, help="Guess the algorithms of ESP from how its packets look, without keys.")
@click.option("--all", "show_all", is_flag=True, help="Show every flow as text too, not only the first 200.")
def command(
    reading: Reading,
    format_name: str,
    output: str | None,
    sort: str,
    top: int | None,
    infer: bool,
    show_all: bool,
) -> int:
    """List the ESP and AH flows, one way each, with loss, duplicates and reordering.

    CSV and JSON have more: sizes, times between packets, replay windows, TTLs, loss bursts and restarts (docs/json.md).
    """
    analysis, code = read_captures(reading, output=output)
    if analysis is None:
        return code
    from ipsecanalyze.documents import flows_outline, flows_stream

    if sort != "first":
        analysis.flows.sort(key=lambda flow: -_amount(flow, sort))
    if top is not None:
        del analysis.flows[top:]
    if infer:
        analysis.infer()
    document = flows_outline(analysis) if format_name == "text" else flows_stream(analysis)
    write_document(document, _reporter(format_name, show_all=show_all or top is not None), output)
    return code


def _amount(flow: Flow, order: str) -> int:
    return {"packets": flow.packets, "octets": flow.octets, "lost": flow.sequence.lost}[order]


def _reporter(format_name: str, *, show_all: bool) -> Reporter:
    if format_name == "json":
        from ipsecanalyze.report.base import JsonReport

        return JsonReport()
    from ipsecanalyze.report.flows import FlowsCsv, FlowsText

    if format_name == "csv":
        return FlowsCsv()
    return FlowsText(most=None) if show_all else FlowsText()
