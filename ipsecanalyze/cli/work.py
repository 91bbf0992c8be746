"""What every command does: read the captures, and write a document."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ipsecanalyze.cli.exits import DONE, UNREADABLE, complain
from ipsecanalyze.cli.interrupts import end_of_reading
from ipsecanalyze.cli.options import Reading
from ipsecanalyze.cli.output import open_output
from ipsecanalyze.cli.progress import ProgressLine
from ipsecanalyze.errors import IpsecAnalyzeError, UsageError

if TYPE_CHECKING:
    from ipsecanalyze.analysis import Analysis
    from ipsecanalyze.report.base import Reporter

__all__ = ["read_captures", "write_document"]


def read_captures(reading: Reading, *, output: str | None) -> tuple[Analysis | None, int]:
    """The analysis of all captures that can be read, and the exit code.

    Each that cannot is told in a line; the analysis is None where none could be read. `output` is where the result will
    go: none of the captures.
    """
    captures = reading.captures
    if output is not None and any(_is_same_file(path, output) for path in captures):
        raise UsageError(f"{output}: is one of the captures, which would be replaced by the result")
    if captures.count("-") > 1:
        raise UsageError("standard input can be read only once")
    if "-" in captures:
        # None where the descriptor was closed (`<&-`).
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        if sys.stdin.isatty():
            raise UsageError("standard input is a terminal; pipe a capture into it")
    # Here, not above: a wrong option must not wait for the library to load.
    from ipsecanalyze.analysis import analyze

    errors: list[IpsecAnalyzeError] = []
    bar = ProgressLine(_total_octets(captures), sys.stderr, enabled=not reading.quiet)
    with end_of_reading(captures, follow=reading.follow) as goes_on, bar as progress:
        follow = goes_on if reading.follow else None
        analysis = analyze(captures, jobs=reading.jobs, follow=follow, progress=progress.update, errors=errors)
    for error in errors:
        complain(error)
    return (analysis if len(errors) < len(captures) else None), (UNREADABLE if errors else DONE)


def _is_same_file(capture: str, output: str) -> bool:
    try:
        # Devices and pipes keep what they are: reading from one and writing to it is no loss.
        return os.path.isfile(output) and os.path.samefile(capture, output)  # noqa: PTH113, PTH121
    except OSError:
        return False


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
