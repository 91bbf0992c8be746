"""Where the octets of a capture come from: a file or standard input, decompressed by what its first octets say.

The only place of the package that opens captures. Memory is bounded whatever a compressed stream expands to;
a stream that is cut or damaged gives what could be decompressed, and a notice.
"""

from __future__ import annotations

import errno
import importlib
import os
import stat
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Protocol, Self, cast

from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.errors import CaptureError

__all__ = ["Source", "open_source"]

CHUNK: Final = 64 << 10
_PATIENCE_SECONDS: Final = 0.1
"""Between two looks at a file that is followed."""
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
#: Octets given to a decompressor at a time: what they can expand to is about 16 MiB (zlib 1:1032, zstd 1:32768).
PIECES: Final = {"gzip": 16 << 10, "zstd": 512}


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, /) -> bytes: ...


def _zstd() -> tuple[_Decompressor, type[Exception]]:
    if sys.version_info >= (3, 14):
        module = importlib.import_module("compression.zstd")
        return module.ZstdDecompressor(), module.ZstdError
    module = importlib.import_module("zstandard")
    return module.ZstdDecompressor().decompressobj(), module.ZstdError


def _compression(head: bytes) -> str | None:
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    # Frames may be preceded by skippable ones (RFC 8878 §3.1.2), as pzstd writes them.
    if head.startswith(ZSTD_MAGIC) or (len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
        return "zstd"
    return None


class Source:
    """The decompressed octets of one capture: `read(size)` until it returns nothing."""

    def __init__(
        self,
        stream: BinaryIO,
        path: str,
        notices: NoticeLog | None = None,
        *,
        owned: bool = True,
        follow: Callable[[], bool] | None = None,
    ) -> None:
        self.path = path
        self.notices = notices if notices is not None else NoticeLog()
        self.consumed = 0
        """Octets read from the file itself, for progress."""
        self._stream = stream
        self._owned = owned
        self._follow = follow
        self._ready = bytearray()
        self._input = b""
        self._ended = False
        self._decompressor: _Decompressor | None = None
        self._failures: type[Exception] = zlib.error
        while len(self._input) < 4:
            piece = self._read_stream(CHUNK)
            if not piece:
                break
            self._input += piece
        self.compression = _compression(self._input)
        """How the file is compressed: "gzip", "zstd" or None."""
        if self.compression is None:
            self._ready += self._input
        else:
            self._new_member()

    def read(self, size: int = 256 << 10) -> bytes:
        """At most `size` octets, fewer where no more are at hand; b"" at the end. Raises CaptureError."""
        if self.compression is None:
            if not self._ready:
                return self._read_stream(size)
        else:
            while not self._ready and not self._ended:
                self._decompress()
        result = bytes(self._ready[:size])
        del self._ready[:size]
        return result

    def readinto(self, room: memoryview) -> int:
        """Like `read`, into `room`; how many octets it was."""
        readinto = getattr(self._stream, "readinto1", None)
        if self.compression is not None or self._ready or readinto is None:
            octets = self.read(len(room))
            room[: len(octets)] = octets
            return len(octets)
        count = 0
        try:
            while not (count := readinto(room)) and self._waits():
                pass
        except OSError as error:
            self._fail(error)
        self.consumed += count
        return count

    @property
    def place(self) -> tuple[int, int] | None:
        """(file descriptor, size) of an ordinary file that is not compressed, for reading it anywhere; else None."""
        if self.compression is not None or not self._owned or self._follow is not None:
            return None
        fd = self._stream.fileno()
        status = os.fstat(fd)
        return (fd, status.st_size) if stat.S_ISREG(status.st_mode) else None

    def close(self) -> None:
        """Close the file (never standard input)."""
        if self._owned:
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read_stream(self, size: int) -> bytes:
        # What a pipe has at hand, without waiting for more.
        read = getattr(self._stream, "read1", self._stream.read)
        try:
            while not (piece := read(size)) and self._waits():
                pass
        except OSError as error:
            self._fail(error)
            return b""
        self.consumed += len(piece)
        return piece

    def _waits(self) -> bool:
        """Whether to try again at the end of a file that is followed; some time has passed then."""
        if self._follow is None or not self._follow():
            return False
        time.sleep(_PATIENCE_SECONDS)
        return True

    def _fail(self, error: OSError) -> None:
        reason = f"cannot be read: {error.strerror or error}"
        if not self.consumed:
            raise CaptureError(reason, path=self.path) from error
        self.notices.add("read-error", f"the file {reason}; the rest is missing", offset=self.consumed)

    def _new_member(self) -> None:
        if self.compression == "gzip":
            self._decompressor = cast("_Decompressor", zlib.decompressobj(wbits=31))
        else:
            self._decompressor, self._failures = _zstd()

    def _decompress(self) -> None:
        """Give the decompressor its next piece; sets `_ended` at the end, foreseen or not."""
        decompressor = self._decompressor
        if decompressor is not None and decompressor.eof:
            self._input = decompressor.unused_data + self._input
            self._decompressor = decompressor = None
        if not self._input:
            self._input = self._read_stream(CHUNK)
        if not self._input:
            self._ended = True
            if decompressor is not None:
                self._tell("truncated-compression", f"the {self.compression} stream is cut; what it gave is used")
            return
        if decompressor is None:
            self._next_member()
            return
        size = PIECES[self.compression or "gzip"]
        piece, self._input = self._input[:size], self._input[size:]
        try:
            self._ready += decompressor.decompress(piece)
        except self._failures as error:
            self._ended = True
            self._tell(
                "damaged-compression", f"the {self.compression} stream is damaged ({error}); the rest is not read"
            )

    def _next_member(self) -> None:
        """Behind one compressed member: another one, padding, or something that does not belong there."""
        while len(self._input) < 4:
            piece = self._read_stream(CHUNK)
            if not piece:
                break
            self._input += piece
        if _compression(self._input) == self.compression:
            self._new_member()
            return
        if not self._input.strip(b"\0"):  # tapes and block devices pad with zeros, as gzip(1) tolerates
            self._input = b""
            return
        self._ended = True
        self._tell("trailing-data", f"what follows the {self.compression} stream is not read")

    def _tell(self, slug: str, message: str) -> None:
        self.notices.add(slug, message, offset=self.consumed - len(self._input))


def open_source(
    path: str | os.PathLike[str], notices: NoticeLog | None = None, follow: Callable[[], bool] | None = None
) -> Source:
    """Open a capture for reading, "-" for standard input, decompressing gzip and zstd by content.

    At the end of the file more is waited for as long as `follow()` says so.
    Raises CaptureError (one line) where there is no such file, it is a directory, or may not be read.
    """
    name = os.fspath(path)
    if name == "-":
        return Source(sys.stdin.buffer, "standard input", notices, owned=False, follow=follow)
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - the Source closes it
    except (OSError, ValueError) as error:
        raise CaptureError(_reason(error), path=name) from error
    try:
        return Source(stream, name, notices, follow=follow)
    except BaseException:
        stream.close()
        raise


def _reason(error: OSError | ValueError) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ENOENT:
        return "no such file"
    if code == errno.EISDIR:
        return "is a directory, not a capture"
    if code in (errno.EACCES, errno.EPERM):
        return "may not be read (permission denied)"
    return f"cannot be opened: {error.strerror or error if isinstance(error, OSError) else error}"
