"""Where results go: standard output, or a file that appears only when it is complete."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, BinaryIO, TextIO, cast

from ipsecanalyze.errors import UsageError

__all__ = ["open_binary_output", "open_output"]


@contextmanager
def open_output(path: str | None) -> Iterator[TextIO]:
    """A text stream for the result: standard output for None and "-", else a file in UTF-8.

    The file is written beside its place and moved there at the end, so that a failure leaves what was there before.
    Raises OSError where it cannot be written, UsageError where standard output is closed.
    """
    if path is None or path == "-":
        if sys.stdout is None:  # `>&-`
            raise UsageError("standard output is closed")
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that lacks a character gets an escape, not an error.
            sys.stdout.reconfigure(errors="backslashreplace")
        yield sys.stdout
    elif _is_special(path):
        with open(path, "w", encoding="utf-8") as stream:  # noqa: PTH123
            yield stream
    else:
        with _replacing(path) as stream:
            yield cast("TextIO", stream)


@contextmanager
def open_binary_output(path: str) -> Iterator[BinaryIO]:
    """A stream of octets for the result, else as `open_output`."""
    if path == "-":
        if sys.stdout is None:
            raise UsageError("standard output is closed")
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal; a capture is no text")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif _is_special(path):
        with open(path, "wb") as special:  # noqa: PTH123
            yield special
    else:
        with _replacing(path, binary=True) as stream:
            yield cast("BinaryIO", stream)


def _is_special(path: str) -> bool:
    """Devices and pipes are written as they are: nothing may take their place."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False


@contextmanager
def _replacing(path: str, *, binary: bool = False) -> Iterator[IO[Any]]:
    target = os.path.realpath(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".ipsecanalyze-")  # noqa: PTH120
    except OSError as error:
        # Users know the name that they gave, not this one.
        error.filename = path
        raise
    try:
        settings: dict[str, Any] = {"mode": "wb"} if binary else {"mode": "w", "encoding": "utf-8", "newline": ""}
        with open(handle, **settings) as stream:  # noqa: PTH123
            yield stream
        os.chmod(temporary, _mode(target))  # noqa: PTH101
        os.replace(temporary, target)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _mode(target: str) -> int:
    """The permissions of the file that is replaced, or those that a new file gets."""
    try:
        return stat.S_IMODE(os.stat(target).st_mode)  # noqa: PTH116
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
