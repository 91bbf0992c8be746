"""A second look at the packets of a capture file, for what no flow remembers: which frames were doubled, late, cut.

The only place of `findings/` that reads files. Everything is bounded; what was not looked at is told by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ipsecanalyze._fast import make_flow_table, make_scanner
from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.errors import CaptureError

__all__ = ["datagrams_of", "is_readable"]

_CHUNK = 1 << 20


def is_readable(path: str | None) -> bool:
    """Whether there can be a second look: at files, and not at pipes or what was fed."""
    return path is not None and Path(path).is_file()


def datagrams_of(path: str, capture: int = 0, most: int | None = None) -> Iterator[Datagram]:
    """The IPsec datagrams of a capture file, ESP and AH among them, in order; at most so many.

    Ends where the file cannot be read (any more): the first look at it has told that.
    """
    if not is_readable(path):
        return
    # Flows are counted by the scanner and thrown away.
    scanner = make_scanner(
        ScanOptions(protected_datagrams=True), path=path, flows=make_flow_table(Limits().flows, 16), capture=capture
    )
    left = most
    try:
        with open_source(path) as source:
            while True:
                buffer = source.read(_CHUNK)
                found = scanner.feed(buffer, final=not buffer)
                if left is not None:
                    found = found[:left]
                    left -= len(found)
                yield from found
                if not buffer or left == 0:
                    return
    except (CaptureError, OSError):
        return
