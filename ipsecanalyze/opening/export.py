"""Opens captures and writes what was inside to a pcapng file: `write_inner()`.

Where the C core runs, rows take the short way (`rows.py`); the result does not depend on that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path as FilePath

from ipsecanalyze._fast import IMPLEMENTATION
from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze.errors import CaptureError, IpsecAnalyzeError
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.complete import Path, complete_ring, has_ike, spooled
from ipsecanalyze.opening.esp import Keys, Opening, as_ring, open_file
from ipsecanalyze.opening.inner_file import InnerFile, Nowhere, Sink

__all__ = ["Nowhere", "open_flows", "write_inner"]

_COMMENT = "inner packets of IPsec, with the times of the packets around them"


def write_inner(
    paths: Iterable[Path],
    keys: Keys,
    stream: Sink,
    *,
    limits: Limits | None = None,
    jobs: int = 1,
    follow: Callable[[], bool] | None = None,
    progress: Callable[[int], None] | None = None,
    errors: list[IpsecAnalyzeError] | None = None,
) -> tuple[Opening, int]:
    """Write the packets inside the ESP and AH of captures; returns what is known of the flows, and how many they were.

    A large file is shared by `jobs` processes where its pieces need nothing of each other; the result does not depend
    on that. `progress` is called with the octets read so far. The end of the last file is waited at for more as long as
    `follow()` says so. Raises CaptureError for a file that cannot be read at all; where
    `errors` is given, such errors are put there instead, and the other files are read.
    """
    ring = as_ring(keys)
    with ExitStack() as stack:
        captures = list(paths)
        if has_ike(ring):
            captures = stack.enter_context(spooled(captures))
        return _write(
            captures, complete_ring(captures, ring), stream, limits or Limits(), follow, progress, errors, jobs
        )


def open_flows(paths: Iterable[Path], ring: KeyRing, flows: Iterable[Flow], limits: Limits) -> None:
    """Open the packets of flows that are known already, and tell each flow what came of it.

    `ring` is complete. Captures that cannot be read are passed over.
    """
    opening, _ = _write(list(paths), ring, Nowhere(), limits, None, None, [])
    results = opening.results()
    for flow in flows:
        key = (flow.protocol, flow.source, flow.destination, flow.spi, flow.encapsulation)
        flow.opening = result = results.get(key)
        if result is not None:
            flow.decrypted_packets, flow.icv_failures = result.opened, result.icv_wrong


def _write(
    captures: list[Path],
    ring: KeyRing,
    stream: Sink,
    limits: Limits,
    follow: Callable[[], bool] | None,
    progress: Callable[[int], None] | None,
    errors: list[IpsecAnalyzeError] | None,
    jobs: int = 1,
) -> tuple[Opening, int]:
    opening = Opening(ring, flows=limits.flows)
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
            if jobs > 1 and follow is None and _by_pieces(opening, ring, out, path, capture, limits, jobs, report):
                before += latest
                continue
            _write_file(opening, out, path, capture, limits, report, follow if capture == len(captures) - 1 else None)
        except CaptureError as error:
            if errors is None:
                raise
            errors.append(error)
        before += latest
    out.flush()
    return opening, out.packets


def _by_pieces(
    opening: Opening,
    ring: KeyRing,
    out: InnerFile,
    path: Path,
    capture: int,
    limits: Limits,
    jobs: int,
    progress: Callable[[int], None],
) -> bool:
    """Whether several processes opened a large file."""
    if IMPLEMENTATION != "c" or not FilePath(path).is_file():
        return False
    from ipsecanalyze.opening.parallel import open_pieces

    return open_pieces(opening, ring, out, os.fspath(path), capture, limits, jobs, progress)


def _write_file(
    opening: Opening,
    out: InnerFile,
    path: Path,
    capture: int,
    limits: Limits,
    progress: Callable[[int], None],
    follow: Callable[[], bool] | None,
) -> None:
    if IMPLEMENTATION == "c":
        from ipsecanalyze.opening.rows import RowScanner

        options = ScanOptions(limits=limits, protected_datagrams=True)
        scanner = RowScanner(opening, out, options, path=os.fspath(path), capture=capture)
        scanner.scan_file(os.fspath(path), lambda _: None, progress, follow)
        return
    for packet in open_file(opening, path, capture, limits, progress, follow):
        out.add(packet)
