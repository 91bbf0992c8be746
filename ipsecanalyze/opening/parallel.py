"""One capture opened by several processes: pieces of the file are dealt round, what comes of them is put in order.

Only where the pieces need nothing of each other, else nothing comes of it and the caller does it alone: each flow is
opened by one and the same key from its first packet on in every piece, there are no fragments, streams or unusual
ports, no extended sequence numbers, and each piece ends where the next one begins. So the result is that of one pass.

Workers are programs of their own (`piece.py`) and get what they need, keys too, through a pipe. Pieces are small: what
is in them is copied to its place while the next ones are opened, out of memory that is used again and again.
"""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import BinaryIO, Final, TypeAlias, cast

from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze._fast.native import NativePcap, NativeScanner
from ipsecanalyze.capture.pcap import is_pcap
from ipsecanalyze.capture.reader import HEAD
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.esp import Opening
from ipsecanalyze.opening.inner_file import InnerFile, Nowhere, Sink
from ipsecanalyze.opening.piece import Part, Piece, Work, receive, send

__all__ = ["LEAST", "PER_KEY", "PIECE", "open_pieces"]

#: Octets of a file that are worth more than one process: below, starting them and putting their work together takes
#: longer than it saves (measured with two cores and AES-GCM).
LEAST: Final = 512 << 20
#: Octets of a piece, and how many more for each key: a piece begins with an index of them.
PIECE: Final = 16 << 20
PER_KEY: Final = 16 << 10
_MOST_KEYS: Final = 10_000
#: What comes of a piece is not larger than so many times the piece, as a rule: comments on very short packets.
_INFLATED: Final = 2
#: Pieces that a worker has at a time: one to open, one to be copied meanwhile.
_SLOTS: Final = 2
#: Modules come from where this process has them from, never from the folder that it happens to be in.
_SERVE: Final = "import sys; sys.path[:] = sys.argv[1:]; from ipsecanalyze.opening.piece import serve; serve()"
#: Larger than any record.
_WINDOW: Final = 1 << 20
#: A process, and the files that it writes to.
_Worker: TypeAlias = tuple[subprocess.Popen[bytes], list[int]]


class _LostError(Exception):
    """A worker is gone."""


def open_pieces(
    opening: Opening,
    ring: KeyRing,
    out: InnerFile,
    path: str,
    capture: int,
    limits: Limits,
    jobs: int,
    progress: Callable[[int], None],
) -> bool:
    """Open a capture with so many processes; False where that cannot be: nothing is changed then."""
    if opening.lanes or os.name != "posix" or not _suits(path, ring):
        return False
    if not sys.executable or getattr(sys, "frozen", False):  # no interpreter that could be started
        return False
    out.flush()
    size = PIECE + PER_KEY * len(ring.esp)
    with ExitStack() as stack:
        place = _place(out.stream)
        target = out
        if place is None and not isinstance(out.stream, Nowhere):
            # What was written to a pipe cannot be taken back.
            try:
                spool = stack.enter_context(tempfile.TemporaryFile())
            except OSError:
                return False
            target = InnerFile(spool, None)
        before = target.packets
        room = 0 if isinstance(out.stream, Nowhere) else _INFLATED * size + _WINDOW
        work = Work(path, capture, limits, ring.esp, [])
        try:
            workers = stack.enter_context(_workers(min(jobs, _most(path, size)), room))
            done = _open(opening, workers, work, _pieces(path, size), target, progress)
        except _LostError:
            done = False
        except OSError:
            if target is out:
                raise  # the result cannot be written
            done = False  # there is no room to keep it, and one process need not
        if not done:
            opening.lanes.clear()
            if place is not None:
                cast("BinaryIO", out.stream).seek(place)
                cast("BinaryIO", out.stream).truncate()
            target.packets = before
            return False
        if target is not out:
            spool.flush()
            _copy(spool.fileno(), spool.tell(), out)
            out.packets += target.packets
    return True


def _suits(path: str, ring: KeyRing) -> bool:
    """Whether it is a large pcap file, not a compressed one, and keys are not too many to be told to each worker."""
    if len(ring.esp) > _MOST_KEYS or any(key.spi is None for key in ring.esp):
        return False
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
            return os.fstat(stream.fileno()).st_size >= LEAST and is_pcap(stream.read(HEAD))
    except OSError:
        return False  # who reads it alone tells why


def _most(path: str, octets: int) -> int:
    """How many pieces of about so many octets there may be."""
    with _or_lost():
        return -(-os.stat(path).st_size // octets)  # noqa: PTH116


@contextmanager
def _or_lost() -> Iterator[None]:
    """What the system refuses here is no matter for one process alone, or it is told there."""
    try:
        yield
    except OSError as error:
        raise _LostError from error


def _place(stream: Sink) -> int | None:
    """Where a stream stands, if it can be brought back there: at the end of a file."""
    file = cast("BinaryIO", stream)
    try:
        at = file.tell()
        return at if file.seek(0, os.SEEK_END) == at and file.truncate(at) == at else None
    except (AttributeError, OSError, ValueError):
        return None


def _pieces(path: str, octets: int) -> Iterator[Piece]:
    """The file in pieces of about so many octets. Raises _LostError where records are not plain."""
    scanner = NativeScanner(ScanOptions(limits=Limits(flows=1)), path=path)
    with _or_lost(), open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        size = os.fstat(stream.fileno()).st_size
        scanner.take_window(memoryview(stream.read(HEAD)), False)
        walker = scanner.walker
        if not isinstance(walker, NativePcap):
            raise _LostError
        start = position = walker.header.header_size
        frames = ahead = 0
        window = bytearray(_WINDOW)
        with memoryview(window) as view:
            while position < size:
                count = os.preadv(stream.fileno(), [window], position)
                with view[:count] as part:
                    used, records = walker.skip(part, start + octets - position)
                if not used:
                    raise _LostError
                position += used
                frames += records
                if position >= start + octets or position >= size:
                    yield Piece(start, position, ahead)
                    start, ahead = position, frames


@contextmanager
def _workers(jobs: int, room: int) -> Iterator[list[_Worker]]:
    """Processes, each with the files that it writes to, of so many octets, if any; they end with the context.

    Ctrl-C is the business of this process alone: they are in a group of their own.
    """
    command = [sys.executable, "-P", "-c", _SERVE, *sys.path]
    workers: list[_Worker] = []
    with ExitStack() as stack:
        try:
            for _ in range(jobs):
                with _or_lost():
                    slots = [stack.enter_context(_slot(room)).fileno() for _ in range(_SLOTS if room else 0)]
                    workers.append((_start(command, slots), slots))
            yield workers
        finally:
            for worker, _ in workers:
                worker.kill()
                worker.wait()
                for pipe in (worker.stdin, worker.stdout):
                    assert pipe is not None  # noqa: S101 - for the type checker
                    with suppress(OSError):  # what was not sent cannot be sent any more
                        pipe.close()


def _start(command: list[str], slots: list[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - this program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=slots, process_group=0
    )


def _slot(room: int) -> BinaryIO:
    """A file in memory where there is such a thing; what of it is not used takes none."""
    made = os.memfd_create("ipsecanalyze") if hasattr(os, "memfd_create") else None
    file = os.fdopen(made, "r+b") if made is not None else cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - closed by the caller
    file.truncate(room)
    return file


def _open(
    opening: Opening,
    workers: list[_Worker],
    work: Work,
    pieces: Iterator[Piece],
    out: InnerFile,
    progress: Callable[[int], None],
) -> bool:
    """Whether the pieces belong together, and one pass would have given the same. Raises _LostError."""
    keys: dict[FlowKey, EspKeys | None] = {}
    for piece, part, slot in _parts(workers, work, pieces):
        if not part.is_alone or part.stop != piece.end:
            return False
        for flow in part.flows:
            if keys.setdefault(flow.key, flow.keys) != flow.keys:
                return False
            opening.take_part(flow.key, flow.result, flow.inside, flow.unopened, flow.keys)
        if len(keys) > work.limits.flows:
            return False
        if slot is not None:
            _copy(slot, part.octets, out)
        out.packets += part.packets
        progress(piece.end)
    return True


def _parts(workers: list[_Worker], work: Work, pieces: Iterator[Piece]) -> Iterator[tuple[Piece, Part, int | None]]:
    """What comes of the pieces, in order, and the file where it is until the next one is asked for.

    The file is cut while its beginning is being opened.
    """
    jobs = len(workers)
    dealt: deque[Piece] = deque()
    try:
        for worker, slots in workers:
            send(worker.stdin, replace(work, slots=slots))
        for number, piece in enumerate(islice(pieces, _SLOTS * jobs)):
            send(workers[number % jobs][0].stdin, piece)
            dealt.append(piece)
        number = 0
        while dealt:
            worker, slots = workers[number % jobs]
            following = next(pieces, None)
            part = receive(worker.stdout)
            yield dealt.popleft(), part, slots[number // jobs % _SLOTS] if slots else None
            if following is not None:
                send(worker.stdin, following)
                dealt.append(following)
            number += 1
    except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
        raise _LostError from error


def _copy(slot: int, octets: int, out: InnerFile) -> None:
    """Copy blocks from a file that is in memory, as a rule."""
    if octets:
        with mmap.mmap(slot, octets, access=mmap.ACCESS_READ) as whole, memoryview(whole) as view:
            out.add_blocks(view, 0)
