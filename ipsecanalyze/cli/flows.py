"""`ipsecanalyze flows`: the table of ESP and AH flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipsecanalyze.cli.options import capture_arguments, output_options
from ipsecanalyze.cli.work import read_captures, write_document

if TYPE_CHECKING:
    from ipsecanalyze.report.base import Reporter

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze flows capture.pcap
  ipsecanalyze flows --sort lost --top 10 capture.pcap
  ipsecanalyze flows --format csv -o flows.csv capture.pcap
"""

_ORDERS = ("first", "packets", "octets", "lost")


@click.command("flows", epilog=_EPILOG)
@capture_arguments
@output_options("text", "csv", "json")
@click.option("--sort", type=click.Choice(_ORDERS), default="first", show_default=True, help="Most of it comes first.")
@click.option("--top", metavar="N", type=click.IntRange(min=1), help="Only the first N flows.")
def command(
    captures: tuple[str, ...],
    format_name: str,
    output: str | None,
    quiet: bool,
    sort: str,
    top: int | None,
) -> int:
    """List the ESP and AH flows, one way each, with loss, duplicates and reordering.

    CSV and JSON have more: sizes, times between packets, replay windows, TTLs, loss bursts and restarts (docs/json.md).
    """
    analysis, code = read_captures(captures, output=output, quiet=quiet)
    if analysis is None:
        return code
    document = analysis.flows_document()
    if sort != "first":
        document["flows"].sort(key=lambda flow: -flow[sort])  # type: ignore[literal-required]
    if top is not None:
        del document["flows"][top:]
    write_document(document, _reporter(format_name), output)
    return code


def _reporter(format_name: str) -> Reporter:
    if format_name == "json":
        from ipsecanalyze.report.base import JsonReport

        return JsonReport()
    from ipsecanalyze.report.flows import FlowsCsv, FlowsText

    return FlowsCsv() if format_name == "csv" else FlowsText()
