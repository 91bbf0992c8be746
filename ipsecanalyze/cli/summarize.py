"""`ipsecanalyze summarize`: the page that says what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipsecanalyze.cli.options import Reading, capture_arguments, output_options
from ipsecanalyze.cli.work import read_captures, write_document

if TYPE_CHECKING:
    from ipsecanalyze.report.base import Reporter

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze summarize capture.pcap
  ipsecanalyze summarize --format json capture.pcap | jq '.ike_sas[].state'
  ipsecanalyze summarize --format html -o summary.html capture.pcap
"""


@click.command("summarize", epilog=_EPILOG)
@capture_arguments
@output_options("text", "json", "markdown", "html")
@click.option("--all", "show_all", is_flag=True, help="Show every tunnel and address pair, however many there are.")
def command(reading: Reading, format_name: str, output: str | None, show_all: bool) -> int:
    """Say what the IPsec in captures did.

    For each capture, what it holds; for each IKE SA a card with its peers, what was offered and chosen, what happened
    when, and the ESP and AH flows that belong to it; then flows whose IKE is not in the capture, and warnings.
    """
    analysis, code = read_captures(reading, output=output)
    if analysis is None:
        return code
    from ipsecanalyze.documents import summary_outline, summary_stream

    document = summary_stream(analysis) if format_name == "json" else summary_outline(analysis)
    write_document(document, _reporter(format_name, show_all=show_all), output)
    return code


def _reporter(format_name: str, *, show_all: bool) -> Reporter:
    if format_name == "json":
        from ipsecanalyze.report.base import JsonReport

        return JsonReport()
    if format_name == "html":
        from ipsecanalyze.report.html import SummaryHtml

        return SummaryHtml()
    if format_name == "markdown":
        from ipsecanalyze.report.markdown import SummaryMarkdown

        return SummaryMarkdown()
    from ipsecanalyze.report.terminal import SummaryText

    return SummaryText(most=None) if show_all else SummaryText()
