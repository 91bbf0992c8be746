"""`ipsecanalyze compare`: what became of packets between two capture points."""

from __future__ import annotations

import click

from ipsecanalyze.cli.judging import exit_code
from ipsecanalyze.cli.options import Reading, output_options
from ipsecanalyze.cli.work import check_paths, progress_line, write_document

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze compare moon.pcap sun.pcap
  ipsecanalyze compare --format json moon.pcap sun.pcap
  ssh gateway 'cat b.pcap' | ipsecanalyze compare a.pcap -
"""


@click.command("compare", epilog=_EPILOG)
@click.argument("captures", metavar="CAPTURE CAPTURE", nargs=2, type=click.Path(allow_dash=True))
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@output_options("text", "json")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    help="Look at the first N ESP and AH packets of each capture; 5,000,000 unless said.",
)
@click.option(
    "--fail-on",
    metavar="SEVERITY",
    type=click.Choice(("info", "low", "medium", "high", "critical")),
    help="Exit with 1 if there is a finding so bad or worse: info, low, medium, high, critical.",
)
def command(
    captures: tuple[str, str],
    quiet: bool,
    format_name: str,
    output: str | None,
    limit: int | None,
    fail_on: str | None,
) -> int:
    """Compare two captures of the same traffic, taken at two points of its way.

    Packets are known again by SPI and sequence number, also behind a NAT, and IKE messages by their octets; no keys are
    needed. It says which are lost between the points and when, how delays vary, what is overtaken, and what is
    rewritten.
    """
    reading = Reading(captures, quiet)
    check_paths(reading, output)
    from ipsecanalyze.comparison import compare
    from ipsecanalyze.findings.compare.points import MOST_PACKETS

    with progress_line(reading) as progress:
        comparison = compare(*captures, limit=limit or MOST_PACKETS, progress=progress.update)
    if format_name == "json":
        from ipsecanalyze.report.base import JsonReport

        write_document(comparison.to_dict(), JsonReport(), output)
    else:
        from ipsecanalyze.report.compare import ComparisonText

        write_document(comparison.to_dict(), ComparisonText(), output)
    return exit_code(comparison.findings, fail_on, 0)
