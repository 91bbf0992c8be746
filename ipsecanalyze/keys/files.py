"""Secrets on disk: key files that only their owner may read, and captures that carry their keys with them.

A file appears only when it is complete, whatever was there before; a failure leaves what was there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from ipsecanalyze.capture.pcapng import is_pcapng
from ipsecanalyze.capture.pcapng_blocks import BlockType
from ipsecanalyze.capture.reader import open_capture
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.capture.writer import write_capture
from ipsecanalyze.errors import UsageError
from ipsecanalyze.keys.document import write_json
from ipsecanalyze.keys.load import SECRETS_TYPE_KEYS
from ipsecanalyze.keys.ring import KeyRing

__all__ = ["write_capture_with_keys", "write_private"]

_CHUNK: Final = 1 << 20


def write_private(path: str | os.PathLike[str], text: str) -> None:
    """Write text to a file with mode 0600, whatever mode a file had that is replaced. Raises OSError."""
    with _private(path) as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))


def write_capture_with_keys(capture: str | os.PathLike[str], ring: KeyRing, target: str | os.PathLike[str]) -> None:
    """Copy a capture to a pcapng that has the keys in a Decryption Secrets Block, mode 0600.

    A pcapng is copied octet by octet, the block put behind its first section header; a pcap becomes a pcapng. The
    block's secrets type is ours, its content the JSON of `document.py`; other programs pass over it. Raises
    CaptureError where the capture cannot be read, UsageError where it is its own target, OSError.
    """
    with suppress(OSError):
        if os.path.samefile(capture, target):  # noqa: PTH121 - names need not be valid text
            raise UsageError(f"{os.fspath(target)}: is the capture, which would be replaced by the result")
    secrets = write_json(ring).encode("utf-8", "surrogateescape")
    with open_source(capture) as source:
        first = source.read(_CHUNK)
        if is_pcapng(first):
            with _private(target) as stream:
                while len(first) < 12 and (more := source.read(_CHUNK)):
                    first += more
                order = "<" if first[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
                size = int.from_bytes(first[4:8], "little" if order == "<" else "big")
                while len(first) < size and (more := source.read(_CHUNK)):
                    first += more
                stream.write(first[:size] + _block(secrets, order) + first[size:])
                while piece := source.read(_CHUNK):
                    stream.write(piece)
            return
    with open_capture(capture) as reader, _private(target) as stream:
        write_capture(_BehindHeader(stream, _block(secrets, "<")), reader)  # type: ignore[arg-type]


@contextmanager
def _private(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a device or a pipe is written to, not replaced
        with target.open("wb") as stream:
            yield stream
        return
    # Has mode 0600 from its beginning.
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".ipsecanalyze-")
    except OSError as error:  # of the file that was asked for, not of the one in between
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _block(secrets: bytes, order: str) -> bytes:
    """A Decryption Secrets Block (draft-ietf-opsawg-pcapng §4.7)."""
    pair = Struct(order + "II")
    size = 20 + len(secrets) + (-len(secrets) & 3)
    head = pair.pack(BlockType.DECRYPTION_SECRETS, size) + pair.pack(SECRETS_TYPE_KEYS, len(secrets))
    return head + secrets + bytes(-len(secrets) & 3) + Struct(order + "I").pack(size)


class _BehindHeader:
    """Writes a block behind the first that is written, which is the section header."""

    def __init__(self, stream: BinaryIO, block: bytes) -> None:
        self._stream = stream
        self._block = block

    def write(self, octets: bytes) -> int:
        """Write a block."""
        count = self._stream.write(octets)
        if self._block:
            self._stream.write(self._block)
            self._block = b""
        return count
