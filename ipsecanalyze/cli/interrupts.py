"""What Ctrl-C means while a capture comes through a pipe.

In `tcpdump … -w - | ipsecanalyze summarize -` it reaches both programs, and is the only way to end the capture: the
result must follow, not be thrown away.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ipsecanalyze.cli.exits import complain

__all__ = ["ended_by_its_input"]


@contextmanager
def ended_by_its_input(captures: Sequence[str]) -> Iterator[None]:
    """The first Ctrl-C leaves it to what writes into the pipe to end; the next one is the usual KeyboardInterrupt.

    Changes nothing where no capture comes through a pipe.
    """
    if "-" not in captures or not _is_pipe() or threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.getsignal(signal.SIGINT)

    def wait(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, usual)
        complain("waiting for the input to end; interrupt again to give up")

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError):
        return False
