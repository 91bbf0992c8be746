"""One capture opened by several processes: the file is cut at record boundaries, and what each wrote is put in order.

Only where the pieces need nothing of each other, else nothing comes of it and the caller does it alone: each flow is
opened by one and the same key from its first packet on in every piece, there are no fragments, streams or unusual
ports, no extended sequence numbers, and each piece ends where the next one begins. So the result is that of one pass.
Workers are programs of their own and get what they need, keys too, through a pipe.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze._fast.native import NativePcap, NativeScanner
from ipsecanalyze._fast.parallel import cut
from ipsecanalyze.capture.reader import HEAD
from ipsecanalyze.crypto.esp import EspOpener
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.esp import Opening
from ipsecanalyze.opening.inner_file import InnerFile
from ipsecanalyze.opening.inside import Inside
from ipsecanalyze.opening.rows import RowScanner

__all__ = ["LEAST", "open_pieces", "serve"]

#: Octets of a file that are worth more than one process.
LEAST: Final = 64 << 20
_WINDOW: Final = 256 << 10
_COPIED: Final = 1 << 20


@dataclass(slots=True)
class Task:
    """What a worker is to do."""

    path: str
    start: int
    end: int
    capture: int
    limits: Limits
    keys: list[EspKeys] = field(repr=False)
    part: str
    """Where it writes."""


@dataclass(slots=True)
class FlowPart:
    """What a worker knows of a flow."""

    key: FlowKey
    result: FlowOpening
    inside: Inside | None
    unopened: int
    keys: EspKeys | None = field(repr=False)


@dataclass(slots=True)
class Part:
    """What came of a task."""

    stop: int
    packets: int
    flows: list[FlowPart]
    is_alone: bool
    """It needed nothing of other pieces."""


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
    tasks = _tasks(ring, path, capture, limits, jobs) if not opening.lanes and len(ring.esp) <= 10_000 else []
    if len(tasks) < 2:
        return False
    with tempfile.TemporaryDirectory(prefix="ipsecanalyze-") as folder:
        for number, task in enumerate(tasks):
            task.part = os.path.join(folder, str(number))  # noqa: PTH118
        parts = _run(tasks)
        if parts is None or not _belong_together(tasks, parts):
            return False
        for part in parts:
            for flow in part.flows:
                opening.take_part(flow.key, flow.result, flow.inside, flow.unopened, flow.keys)
        out.flush()
        for task, part in zip(tasks, parts, strict=True):
            with open(task.part, "rb") as stream:  # noqa: PTH123
                while piece := stream.read(_COPIED):
                    out.add_blocks(piece, 0)
            out.packets += part.packets
            progress(task.end)
    return True


def _tasks(ring: KeyRing, path: str, capture: int, limits: Limits, jobs: int) -> list[Task]:
    if any(keys.spi is None for keys in ring.esp):
        return []
    scanner = NativeScanner(ScanOptions(limits=Limits(flows=1)), path=path)
    with open(path, "rb") as stream:  # noqa: PTH123
        size = os.fstat(stream.fileno()).st_size
        head = stream.read(HEAD)
        if size < LEAST or len(head) < HEAD:
            return []
        scanner.take_window(memoryview(head), False)
        walker = scanner.walker
        if not isinstance(walker, NativePcap):
            return []
        start = walker.header.header_size
        begins = [start, *(piece.start for piece in cut(stream.fileno(), size, start, jobs, walker))]
    ends = [*begins[1:], size]
    return [Task(path, begin, end, capture, limits, ring.esp, "") for begin, end in zip(begins, ends, strict=True)]


def _run(tasks: Sequence[Task]) -> list[Part] | None:
    command = [sys.executable, "-c", "from ipsecanalyze.opening.parallel import serve; serve()"]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for task in tasks:
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            workers.append(worker)
            _send(worker.stdin, task)
        counts = [_receive(worker.stdout) for worker in workers]
        before = 0
        for worker, count in zip(workers, counts, strict=True):
            _send(worker.stdin, before)
            before += count
        parts = [_receive(worker.stdout) for worker in workers]
        return parts if all(worker.wait() == 0 for worker in workers) else None
    except (OSError, EOFError, pickle.UnpicklingError, TypeError):
        return None
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
            for stream in (worker.stdin, worker.stdout):
                if stream is not None:
                    stream.close()


def _send(stream: IO[bytes] | None, what: object) -> None:
    assert stream is not None  # noqa: S101 - for the type checker
    pickle.dump(what, stream)
    stream.flush()


def _receive(stream: IO[bytes] | None) -> Any:
    assert stream is not None  # noqa: S101 - for the type checker
    return pickle.load(stream)  # noqa: S301 - of a process that this one has started


def _belong_together(tasks: Sequence[Task], parts: Sequence[Part]) -> bool:
    """Whether one pass would have given the same."""
    if not all(part.is_alone and part.stop == task.end for task, part in zip(tasks, parts, strict=True)):
        return False
    keys: dict[FlowKey, EspKeys | None] = {}
    for part in parts:
        for flow in part.flows:
            if keys.setdefault(flow.key, flow.keys) != flow.keys:
                return False
    return True


# In the worker


def serve() -> None:
    """Do what standard input says."""
    task = _receive(sys.stdin.buffer)
    assert isinstance(task, Task)  # noqa: S101
    counter = NativeScanner(ScanOptions(limits=Limits(flows=1, gaps=1)), path=task.path)
    _scan(counter, task, 0)
    _send(sys.stdout.buffer, counter.walker.packets)
    frames = _receive(sys.stdin.buffer)
    assert isinstance(frames, int)  # noqa: S101
    opening = Opening(KeyRing(task.keys), flows=task.limits.flows)
    with open(task.part, "wb") as stream:  # noqa: PTH123
        out = InnerFile(stream, None)
        options = ScanOptions(limits=task.limits, protected_datagrams=True)
        scanner = RowScanner(opening, out, options, path=task.path, capture=task.capture)
        stop = _scan(scanner, task, frames)
        out.flush()
    _send(sys.stdout.buffer, _part(opening, scanner, stop, out.packets))


def _scan(scanner: NativeScanner, task: Task, frames: int) -> int:
    """Scan the piece; returns where that ended."""
    with open(task.path, "rb", buffering=0) as stream:  # noqa: PTH123
        head = stream.read(HEAD)
        scanner.take_window(memoryview(head), False)
        walker = scanner.walker
        walker.offset, walker.packets = task.start, frames
        window, kept, position = bytearray(_WINDOW), 0, task.start
        while True:
            if kept > len(window) // 2:
                window.extend(bytes(len(window)))
            with memoryview(window) as view:
                with view[kept : kept + max(0, task.end - position)] as room:
                    count = os.preadv(stream.fileno(), [room], position) if room else 0
                position += count
                end = kept + count
                with view[:end] as octets:
                    used, _ = scanner.take_window(octets, False)
            kept = end - used
            window[:kept] = window[used:end]
            if not count:
                return task.end - kept


def _part(opening: Opening, scanner: RowScanner, stop: int, packets: int) -> Part:
    counts = scanner.intake.decoder.fragment_counts
    alone = not (
        scanner.intake.watches
        or scanner.saw_fragments
        or counts.completed
        or scanner.facts.notice_counts
        or opening.dropped
    )
    flows = []
    for key, lane in opening.lanes.items():
        result = lane.finish()
        opener = lane.opener
        if opener is None:
            alone = alone and not lane.candidates
        else:
            alone = alone and lane.is_sure and isinstance(opener, EspOpener) and not result.esn and not result.notes
        inside = lane.inside if lane.opener is not None else None
        alone = alone and not result.conversations_dropped
        flows.append(FlowPart(key, result, inside, lane.unopened, opener.keys if opener is not None else None))
    return Part(stop, packets, flows, alone)
