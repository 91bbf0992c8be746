"""What every command does: read the captures, and write a document."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ipsecanalyze.cli.exits import DONE, UNREADABLE, complain
from ipsecanalyze.cli.output import open_output
from ipsecanalyze.cli.progress import ProgressLine
from ipsecanalyze.errors import IpsecAnalyzeError, UsageError

if TYPE_CHECKING:
    from ipsecanalyze.analysis import Analysis
    from ipsecanalyze.report.base import Reporter

__all__ = ["read_captures", "write_document"]


def read_captures(captures: Sequence[str], *, quiet: bool) -> tuple[Analysis | None, int]:
    """The analysis of all captures that can be read, and the exit code.

    Each that cannot is told in a line; the analysis is None where none could be read.
    """
    if captures.count("-") > 1:
        raise UsageError("standard input can be read only once")
    if "-" in captures and sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe a capture into it")
    # Here, not above: a wrong option must not wait for the library to load.
    from ipsecanalyze.analysis import analyze

    errors: list[IpsecAnalyzeError] = []
    with ProgressLine(_total_octets(captures), sys.stderr, enabled=not quiet) as progress:
        analysis = analyze(captures, progress=progress.update, errors=errors)
    for error in errors:
        complain(error)
    return (analysis if len(errors) < len(captures) else None), (UNREADABLE if errors else DONE)


def _total_octets(captures: Sequence[str]) -> int | None:
    """Octets of all files; None where that cannot be known."""
    total = 0
    for path in captures:
        if path == "-":
            return None
        try:
            total += os.stat(path).st_size  # noqa: PTH116 - names need not be valid text
        except OSError:
            continue
    return total or None


def write_document(document: Mapping[str, Any], reporter: Reporter, output: str | None) -> None:
    """Write the document to the file, or to standard output."""
    with open_output(output) as stream:
        reporter.write(document, stream)
