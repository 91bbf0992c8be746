"""From paths to a `KeyRing`: files and folders are read, each line by the reader that recognises it.

Files may be compressed (gzip, zstd), may mix formats, and may be of any size: memory depends on the keys found, time on
the octets read. Of captures the Decryption Secrets Blocks are read (pcapng).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ipsecanalyze.capture.pcap import is_pcap
from ipsecanalyze.capture.pcapng import is_pcapng
from ipsecanalyze.capture.reader import open_capture
from ipsecanalyze.capture.source import Source, open_source
from ipsecanalyze.errors import CaptureError, KeyFileError
from ipsecanalyze.keys.formats import Format, detect
from ipsecanalyze.keys.reader import Reader, Sink
from ipsecanalyze.keys.ring import KeyRing

__all__ = ["SECRETS_TYPES", "SECRETS_TYPE_ESP", "SECRETS_TYPE_KEYS", "load_keys", "load_secrets"]

#: Secrets types of Decryption Secrets Blocks: Wireshark's for ESP ("ESPS"), and ours ("IPKY"), whose content is the
#: JSON of `document.py`. What a block holds is recognised by its content all the same.
SECRETS_TYPE_ESP: Final = 0x45535053
SECRETS_TYPE_KEYS: Final = 0x49504B59
SECRETS_TYPES: Final = frozenset((SECRETS_TYPE_ESP, SECRETS_TYPE_KEYS))

_CHUNK: Final = 1 << 20
#: Longer lines are cut: no format has them.
_MAX_LINE: Final = 64 << 10
#: Keys that a full ring may drop before no more lines are read for it.
_MOST_IN_VAIN: Final = 100_000
_MAX_FILES: Final = 10_000
_MAX_DEPTH: Final = 8
#: A document of JSON may be a single line; `document.py` has the same limit.
_MAX_DOCUMENT: Final = 64 << 20
#: How deep files may name files (tcpdump's "file NAME"), and how many are named in all.
_MAX_DEPTH_OF_NAMES: Final = 4
_MAX_NAMED: Final = 100


def load_keys(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> KeyRing:
    """All keys of files and folders, whatever their formats ("-" is standard input).

    A folder is read with what is below it; files in it that hold no keys are passed over. Lines that cannot be read are
    in `KeyRing.problems`, with file and line. Raises KeyFileError where a path cannot be read at all.
    """
    ring = KeyRing()
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        name = os.fspath(path)
        if name != "-" and os.path.isdir(name):  # noqa: PTH112 - `Path.is_dir` raises where a name is too long
            _read_folder(ring, name)
        else:
            _read_file(ring, name, seen=())
    return ring


def load_secrets(blocks: Iterable[tuple[int, bytes]], path: str = "") -> KeyRing:
    """The keys in Decryption Secrets Blocks: (type, octets) as `CaptureReader.decryption_secrets` has them.

    Blocks of types that are for other protocols (TLS key logs, WireGuard) are passed over.
    """
    ring = KeyRing()
    for kind, data in blocks:
        if kind not in SECRETS_TYPES:
            continue
        sink = Sink(ring, path or "decryption secrets")
        _read_lines(sink, _lines(iter([data]), sink))
    return ring


def _read_folder(ring: KeyRing, folder: str) -> None:
    count = 0
    for root, folders, names in os.walk(folder, onerror=partial(_told, ring)):
        folders.sort()
        if os.path.relpath(root, folder).count(os.sep) >= _MAX_DEPTH - 1:
            folders.clear()
        for name in sorted(names):
            path = os.path.join(root, name)  # noqa: PTH118 - names need not be valid text
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
                    continue
            except OSError:
                continue
            count += 1
            if count > _MAX_FILES:
                ring.tell(folder, None, f"more than {_MAX_FILES} files; the rest is not read")
                return
            try:
                _read_file(ring, path, seen=(), in_folder=True)
            except KeyFileError as error:
                ring.tell(path, None, error.args[0])


def _told(ring: KeyRing, error: OSError) -> None:
    ring.tell(os.fsdecode(error.filename or ""), None, f"cannot be read: {error.strerror}")


@dataclass(slots=True)
class _Named:
    """Counts the files that others name."""

    count: int = 0


def _read_file(
    ring: KeyRing, path: str, *, seen: tuple[str, ...], named: _Named | None = None, in_folder: bool = False
) -> None:
    name = "standard input" if path == "-" else path
    named = _Named() if named is None else named
    sink = Sink(ring, name, partial(_include, ring, path, (*seen, path), named), in_folder=in_folder)
    try:
        with open_source(path) as source:
            first = source.read(_CHUNK)
            if is_pcapng(first) or is_pcap(first):
                if not in_folder:
                    _read_capture(ring, path)
                return
            if b"\0" in first[:4096]:
                if not in_folder:
                    ring.tell(name, None, "not text: no format of keys is binary")
                return
            formats = _read_lines(sink, _lines(_chunks(first, source), sink))
            for notice in source.notices.notices:
                sink.tell(notice.message)
    except CaptureError as error:
        raise KeyFileError(error.args[0], path=name) from error
    if not sink.found and not sink.told and not in_folder:
        what = f"no keys in it ({', '.join(formats)})" if formats else "no line is of a known format of keys"
        ring.tell(name, None, what)


def _read_capture(ring: KeyRing, path: str) -> None:
    if path == "-":
        raise KeyFileError("a capture with secrets cannot be read from standard input", path=path)
    with open_capture(path) as capture:
        for _ in capture:
            pass
        found = load_secrets(capture.decryption_secrets, path)
    if not len(found) and not found.problems:
        ring.tell(path, None, "a capture without secrets of IPsec")
    ring.merge(found)


def _include(ring: KeyRing, path: str, seen: tuple[str, ...], named: _Named, name: str) -> None:
    """The file that another one names, beside that one."""
    wanted = str(Path(path).parent / name)
    if len(seen) > _MAX_DEPTH_OF_NAMES or wanted in seen:
        raise ValueError("files name files in a ring, or too deeply")
    if not os.path.isfile(wanted):  # noqa: PTH113 - as above
        raise ValueError("it names a file that is not there")
    named.count += 1
    if named.count > _MAX_NAMED:
        raise ValueError(f"more than {_MAX_NAMED} files are named; the rest is not read")
    try:
        _read_file(ring, wanted, seen=seen, named=named)
    except KeyFileError as error:
        raise ValueError(f"it names a file that cannot be read: {error.args[0]}") from error


def _chunks(first: bytes, source: Source) -> Iterator[bytes]:
    while first:
        yield first
        first = source.read(_CHUNK)


def _lines(chunks: Iterator[bytes], sink: Sink) -> Iterator[str]:
    """Lines without their ends; sets the sink's line number. What is not UTF-8 survives a round trip."""
    rest, cut, number = b"", False, 0
    longest = _MAX_LINE
    for chunk in chunks:
        if not number and not cut and (rest + chunk[:1])[:1] == b"{":
            longest = _MAX_DOCUMENT
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            sink.line = number
            if not cut:
                yield _text(line, number, longest)
            cut = False
            longest = _MAX_LINE
        if cut:
            rest = b""
        elif len(rest) > longest:
            sink.line = number + 1
            yield _text(rest, number + 1, longest)
            rest, cut = b"", True
    if rest and not cut:
        sink.line = number + 1
        yield _text(rest, number + 1, longest)


def _text(line: bytes, number: int, longest: int) -> str:
    if number == 1 and line.startswith(b"\xef\xbb\xbf"):
        line = line[3:]
    return line[:longest].rstrip(b"\r").decode("utf-8", "surrogateescape")


def _read_lines(sink: Sink, lines: Iterable[str]) -> list[str]:
    """Give each line to a reader that recognises it; the titles of the formats that were met."""
    readers: dict[str, Reader] = {}
    active: Reader | None = None
    is_first = True
    for line in lines:
        if sink.ring.dropped > _MOST_IN_VAIN:
            sink.tell("the rest of the file is not read: it has more keys than are kept")
            break
        if active is not None and active.feed(line):
            continue
        if not line:
            continue
        found = detect(line, is_first=is_first)
        is_first = False
        if found is not None:
            active = _reader(found, readers, sink)
            active.feed(line)
    for reader in readers.values():
        reader.finish()
    return list(readers)


def _reader(found: Format, readers: dict[str, Reader], sink: Sink) -> Reader:
    reader = readers.get(found.title)
    if reader is None:
        reader = readers[found.title] = found.reader(sink)
    return reader
