"""What Ctrl-C means while a capture comes through a pipe, or is followed as it grows.

In `tcpdump … -w - | ipsecanalyze summarize -` it reaches both programs, and is the only way to end the capture: the
result must follow, not be thrown away. So it is with `--follow`.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ipsecanalyze.cli.exits import complain

__all__ = ["end_of_reading"]


@contextmanager
def end_of_reading(captures: Sequence[str], *, follow: bool) -> Iterator[Callable[[], bool]]:
    """Gives what says whether to read on.

    Where a capture comes through a pipe or is followed, the first Ctrl-C ends the reading (what writes into the pipe
    gets it too, and ends); the next one is the usual KeyboardInterrupt.
    """
    piped = "-" in captures and _is_pipe()
    if not (piped or follow) or threading.current_thread() is not threading.main_thread():
        yield lambda: True
        return
    usual = signal.getsignal(signal.SIGINT)
    goes_on = True

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal goes_on
        goes_on = False
        signal.signal(signal.SIGINT, usual)
        if piped:
            complain("waiting for the input to end; interrupt again to give up")

    signal.signal(signal.SIGINT, end)
    try:
        yield lambda: goes_on
    finally:
        signal.signal(signal.SIGINT, usual)


def _is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError):
        return False
