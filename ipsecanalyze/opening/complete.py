"""The one place where a ring of keys is completed by what the captures themselves tell, before ESP is opened.

Captures are read twice then, so standard input is spooled to a temporary file: `spooled`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from ipsecanalyze._fast import make_scanner
from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.capture.pcapng import is_pcapng
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.errors import CaptureError
from ipsecanalyze.keys import load_secrets
from ipsecanalyze.keys.ring import KeyRing

if TYPE_CHECKING:
    from ipsecanalyze.sa.tracker import Tracker

__all__ = ["Path", "complete_ring", "has_ike", "spooled"]

#: A file's path, or "-" for standard input.
Path = str | os.PathLike[str]


def has_ike(ring: KeyRing) -> bool:
    """Whether ESP keys may follow from what is on the ring."""
    return bool(ring.ike or ring.shared_secrets or ring.psks)


def complete_ring(paths: Iterable[Path], ring: KeyRing) -> KeyRing:
    """The ring, with the keys that captures hold (pcapng), and those that follow from IKE messages in them.

    What can be read only once (standard input, a pipe) is not looked at. Captures that cannot be read are passed over:
    who reads them next tells that.
    """
    limits = Limits(flows=1)
    complete = KeyRing()
    complete.merge(ring)
    wanted = has_ike(ring)
    files = [os.fspath(path) for path in paths if FilePath(path).is_file()]
    looked_at = [(capture, path) for capture, path in enumerate(files) if wanted or _is_pcapng(path)]
    if not looked_at and not wanted:
        return complete
    # Here, not above: IKE takes long to load, and many a capture needs nothing of it.
    from ipsecanalyze.sa.tracker import Tracker

    tracker = Tracker(limits)
    for capture, path in looked_at:
        try:
            scanner = make_scanner(ScanOptions(limits=limits), path=path, capture=capture)
            scanner.scan_file(path, lambda found: _feed(tracker, found))
        except CaptureError:
            continue
        secrets = scanner.facts.decryption_secrets
        if secrets:
            complete.merge(load_secrets(secrets, path))
    tracker.finish()
    if not has_ike(complete):
        return complete
    from ipsecanalyze.opening.ike import open_ike

    return open_ike(tracker.ike_sas, tracker.messages, complete).ring


def _feed(tracker: Tracker, found: Iterable[Datagram]) -> None:
    for datagram in found:
        tracker.feed(datagram)


def _is_pcapng(path: str) -> bool:
    try:
        with open_source(path) as source:
            return is_pcapng(source.read(28))
    except CaptureError:
        return False


@contextmanager
def spooled(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The paths, with a temporary file in the place of standard input, which can be read more than once."""
    if "-" not in paths:
        yield list(paths)
        return
    with tempfile.NamedTemporaryFile(prefix="ipsecanalyze-") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool, 1 << 20)
        spool.flush()
        yield [spool.name if path == "-" else path for path in paths]
