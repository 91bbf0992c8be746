"""What every command does: read the captures, and write a document."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ipsecanalyze.cli.exits import DONE, UNREADABLE, complain
from ipsecanalyze.cli.interrupts import end_of_reading
from ipsecanalyze.cli.options import Reading
from ipsecanalyze.cli.output import open_output
from ipsecanalyze.cli.progress import ProgressLine
from ipsecanalyze.errors import IpsecAnalyzeError, UsageError

if TYPE_CHECKING:
    from ipsecanalyze.analysis import Analysis
    from ipsecanalyze.keys import KeyRing
    from ipsecanalyze.report.base import Reporter

__all__ = ["check_paths", "progress_line", "read_captures", "ring_of", "write_document"]

#: How many of the lines of keys that could not be read are told one by one.
_MOST_PROBLEMS = 5
#: Octets of captures that take longer to read than reports take to load.
_LARGE = 256 << 20


def read_captures(reading: Reading, *, output: str | None) -> tuple[Analysis | None, int]:
    """The analysis of all captures that can be read, and the exit code.

    Each that cannot is told in a line; the analysis is None where none could be read. `output` is where the result will
    go: none of the captures.
    """
    captures = reading.captures
    check_paths(reading, output)
    # Here, not above: a wrong option must not wait for the library to load.
    from ipsecanalyze.analysis import analyze

    errors: list[IpsecAnalyzeError] = []
    if (_total_octets(captures) or 0) >= _LARGE:
        threading.Thread(target=_load_reports, daemon=True).start()
    with end_of_reading(captures, follow=reading.follow) as goes_on, progress_line(reading) as progress:
        follow = goes_on if reading.follow else None
        analysis = analyze(
            captures, keys=ring_of(reading), jobs=reading.jobs, follow=follow, progress=progress.update, errors=errors
        )
    for error in errors:
        complain(error)
    return (analysis if len(errors) < len(captures) else None), (UNREADABLE if errors else DONE)


def _load_reports() -> None:
    """Load what the result will be written with, while the captures are read: the C core leaves a core for it."""
    with suppress(ImportError):
        import_module("ipsecanalyze.findings.find")
        import_module("ipsecanalyze.documents")
        import_module("ipsecanalyze.report.terminal")


def check_paths(reading: Reading, output: str | None) -> None:
    """Raise UsageError where the paths cannot be meant so."""
    captures, keys = reading.captures, reading.keys
    if output is not None:
        for path, what in (*((path, "captures") for path in captures), *((path, "key files") for path in keys)):
            if _is_same_file(path, output):
                raise UsageError(f"{output}: is one of the {what}, which would be replaced by the result")
    if (*captures, *keys).count("-") > 1:
        raise UsageError("standard input can be read only once")
    if "-" in captures or "-" in keys:
        # None where the descriptor was closed (`<&-`).
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        if sys.stdin.isatty():
            what = "a capture" if "-" in captures else "keys"
            raise UsageError(f"standard input is a terminal; pipe {what} into it")


def ring_of(reading: Reading) -> KeyRing | None:
    """The keys, None where none were given; lines that could not be read are told. Raises KeyFileError."""
    if not reading.keys:
        return None
    from ipsecanalyze.keys import load_keys

    ring = load_keys(reading.keys)
    for problem in ring.problems[:_MOST_PROBLEMS]:
        complain(problem)
    if ring.problem_count > _MOST_PROBLEMS:
        complain(f"and {ring.problem_count - _MOST_PROBLEMS} more lines of keys that could not be read")
    return ring


def progress_line(reading: Reading) -> ProgressLine:
    """How far the reading is."""
    return ProgressLine(_total_octets(reading.captures), sys.stderr, enabled=not reading.quiet)


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
