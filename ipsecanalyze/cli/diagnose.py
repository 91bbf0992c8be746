"""`ipsecanalyze diagnose`: why a tunnel does not come up, or does not carry what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipsecanalyze.cli.judging import exit_code, judging_options, reporter_of
from ipsecanalyze.cli.options import Reading, capture_arguments, output_options
from ipsecanalyze.cli.work import read_captures, write_document

if TYPE_CHECKING:
    from ipsecanalyze.report.base import Reporter

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze diagnose capture.pcap
  ipsecanalyze diagnose --keys charon.log capture.pcap
  ipsecanalyze diagnose --explain no-proposal-chosen
"""


@click.command("diagnose", epilog=_EPILOG)
@capture_arguments
@output_options("text", "json", "markdown", "sarif")
@judging_options
def command(reading: Reading, format_name: str, output: str | None, fail_on: str | None) -> int:
    """Say in plain words what does not work, worst first, each with the frames that show it.

    Where nothing is wrong, it says what was looked for. With keys it sees more: who was refused and why, what was
    agreed, and which packets do not open.
    """
    analysis, code = read_captures(reading, output=output)
    if analysis is None:
        return code
    from ipsecanalyze.documents import diagnosis_document

    findings = analysis.diagnose()
    write_document(diagnosis_document(analysis, findings), reporter_of(format_name, _text), output)
    return exit_code(findings, fail_on, code)


def _text() -> Reporter:
    from ipsecanalyze.report.findings import DiagnosisText

    return DiagnosisText()
