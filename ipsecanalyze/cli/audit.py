"""`ipsecanalyze audit`: what is weak by a standard, of one site or of many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipsecanalyze.cli.exits import DONE
from ipsecanalyze.cli.judging import exit_code, judging_options, reporter_of
from ipsecanalyze.cli.options import Reading, capture_arguments, output_options
from ipsecanalyze.cli.output import open_output
from ipsecanalyze.cli.work import read_captures, write_document
from ipsecanalyze.errors import UsageError

if TYPE_CHECKING:
    from ipsecanalyze.findings.case import Case
    from ipsecanalyze.report.base import Reporter

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze audit capture.pcap
  ipsecanalyze audit --profile bsi-tr-02102-3 --fail-on high capture.pcap
  ipsecanalyze audit --format csv -o gateways.csv captures/
"""


@click.command("audit", epilog=_EPILOG)
@capture_arguments
@output_options("text", "json", "markdown", "sarif", "csv")
@click.option("-p", "--profile", metavar="NAME", default="rfc", show_default=True, help="The standard to judge by.")
@click.option(
    "--export-psk-hash",
    "hashes",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write what aggressive mode gives away of pre-shared keys to FILE, for psk-crack and hashcat (5300, 5400).",
)
@judging_options
def command(
    reading: Reading, format_name: str, output: str | None, profile: str, hashes: str | None, fail_on: str | None
) -> int:
    """Say what is weak in what was offered and chosen, and grade the gateways.

    Profiles: rfc (RFC 8247 and 8221), nist-800-77r1, bsi-tr-02102-3, cnsa-2.0. A folder stands for the captures in it,
    each taken for a site of its own; captures named one by one are one story. CSV is the table of gateways.
    """
    from ipsecanalyze.findings.audit.profile import load_profile

    standard = load_profile(profile)
    if hashes is not None and hashes == (output or "-"):
        raise UsageError("--export-psk-hash and --output name the same file")
    code, judged, cases = DONE, [], []
    for site in _sites(reading.captures):
        analysis, ended = read_captures(replace(reading, captures=site), output=output)
        code = max(code, ended)
        if analysis is not None:
            findings = analysis.audit(profile)
            judged.append((analysis, findings))
            cases.append((analysis.case(), findings))
    if not judged:
        return code
    if hashes is not None:
        _export(hashes, [case for case, _ in cases])
    from ipsecanalyze.documents import audit_document
    from ipsecanalyze.findings.gateways import gateways_of

    document = audit_document(judged, gateways_of(cases, standard), standard)
    write_document(document, reporter_of(format_name, _text), output)
    return exit_code((finding for _, findings in judged for finding in findings), fail_on, code)


def _sites(captures: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The captures that are one story, and each of a folder apart."""
    named = tuple(path for path in captures if not Path(path).is_dir())
    if named:
        yield named
    for folder in captures:
        if Path(folder).is_dir():
            found = sorted(path for path in Path(folder).rglob("*") if path.is_file() and _is_capture(path))
            if not found:
                raise UsageError(f"{folder}: there is no capture in this folder")
            yield from ((str(path),) for path in found)


def _is_capture(path: Path) -> bool:
    """Whether its first octets are those of a capture, plain or compressed. What cannot be read is not passed over."""
    from ipsecanalyze import CaptureError, open_capture

    try:
        with open_capture(path) as reader:
            next(iter(reader), None)
    except CaptureError:
        return False
    except OSError:
        return True
    return True


def _export(path: str, cases: Sequence[Case]) -> None:
    """The lines of `psk_hash.py`: who reads them can search for the keys."""
    from ipsecanalyze.findings.audit.psk_hash import psk_hashes

    with open_output(path) as stream:
        stream.writelines(f"{line}\n" for case in cases for line in psk_hashes(case))


def _text() -> Reporter:
    from ipsecanalyze.report.findings import AuditText

    return AuditText()
