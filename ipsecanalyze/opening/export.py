"""Opens captures and writes what was inside to a pcapng file: `write_inner()`.

Where the C core runs, rows take the short way (`rows.py`); the result does not depend on that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from ipsecanalyze._fast import IMPLEMENTATION
from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze.errors import CaptureError, IpsecAnalyzeError
from ipsecanalyze.opening.complete import Path, capture_secrets, complete_ring
from ipsecanalyze.opening.esp import Keys, Opening, as_ring, open_file
from ipsecanalyze.opening.inner_file import InnerFile, Sink

__all__ = ["write_inner"]

_COMMENT = "inner packets of IPsec, with the times of the packets around them"


def write_inner(
    paths: Iterable[Path],
    keys: Keys,
    stream: Sink,
    *,
    limits: Limits | None = None,
    progress: Callable[[int], None] | None = None,
    errors: list[IpsecAnalyzeError] | None = None,
) -> tuple[Opening, int]:
    """Write the packets inside the ESP and AH of captures; returns what is known of the flows, and how many they were.

    `progress` is called with the octets read so far. Raises CaptureError for a file that cannot be read at all; where
    `errors` is given, such errors are put there instead, and the other files are read.
    """
    captures, limits = list(paths), limits or Limits()
    opening = Opening(complete_ring(captures, as_ring(keys)), flows=limits.flows)
    out = InnerFile(stream, _COMMENT)
    before = 0
    for capture, path in enumerate(captures):
        latest = 0

        def report(octets: int) -> None:
            nonlocal latest
            latest = octets
            if progress is not None:
                progress(before + octets)  # noqa: B023 - called while this is what it was

        try:
            opening.add_secrets(capture_secrets(path))
            _write_file(opening, out, path, capture, limits, report)
        except CaptureError as error:
            if errors is None:
                raise
            errors.append(error)
        before += latest
    out.flush()
    return opening, out.packets


def _write_file(
    opening: Opening,
    out: InnerFile,
    path: Path,
    capture: int,
    limits: Limits,
    progress: Callable[[int], None],
) -> None:
    if IMPLEMENTATION == "c":
        from ipsecanalyze.opening.rows import RowScanner

        options = ScanOptions(limits=limits, protected_datagrams=True)
        scanner = RowScanner(opening, out, options, path=os.fspath(path), capture=capture)
        scanner.scan_file(os.fspath(path), lambda _: None, progress)
        return
    for packet in open_file(opening, path, capture, limits, progress):
        out.add(packet)
