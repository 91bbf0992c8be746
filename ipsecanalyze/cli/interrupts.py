"""What signals mean: those that end a program, and Ctrl-C while a capture comes through a pipe, or is followed.

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

__all__ = ["end_of_reading", "ended_in_order"]


@contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM (`timeout`) and SIGHUP end the command so that it leaves no half-written file beside its output."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    taken: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")):
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores it
                signal.signal(number, end)
                taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


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
