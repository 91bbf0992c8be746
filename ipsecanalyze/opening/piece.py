"""One piece of a capture opened by a process of its own, which `parallel.py` has started: `serve()`.

It is told what to do through its standard input, answers through standard output, and writes blocks to files that it
was given open.
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Any, Final

from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze._fast.windows import Sliding
from ipsecanalyze.capture.reader import HEAD
from ipsecanalyze.crypto.esp import EspOpener
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import CaptureError
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.esp import Opening
from ipsecanalyze.opening.inner_file import InnerFile, Nowhere
from ipsecanalyze.opening.inside import Inside
from ipsecanalyze.opening.rows import RowScanner

__all__ = ["FlowPart", "Part", "Piece", "Work", "receive", "send", "serve"]

#: Conversations of a flow within a piece: it has not more packets, as a rule. The bound is for the whole.
_CONVERSATIONS: Final = 1 << 16


@dataclass(slots=True)
class Work:
    """What a worker has to know."""

    path: str
    capture: int
    limits: Limits
    keys: list[EspKeys] = field(repr=False)
    slots: list[int]
    """Descriptors of the files that it writes to, in turns, of full size; none where nobody wants the packets."""


@dataclass(slots=True)
class Piece:
    """A piece of the file, and how many packets are in front of it."""

    start: int
    end: int
    frames: int


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
    """What came of a piece."""

    stop: int
    packets: int
    octets: int
    """Of the blocks that were written."""
    flows: list[FlowPart]
    is_alone: bool
    """It needed nothing of other pieces."""


def send(stream: IO[bytes] | None, what: object) -> None:
    """Put an object into a pipe."""
    assert stream is not None  # noqa: S101 - for the type checker
    pickle.dump(what, stream)
    stream.flush()


def receive(stream: IO[bytes] | None) -> Any:
    """The next object of a pipe; raises EOFError where the other end is gone."""
    assert stream is not None  # noqa: S101 - for the type checker
    return pickle.load(stream)  # noqa: S301 - of a process that this one has started, or that has started this one


def serve() -> None:
    """Open pieces until no more come."""
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        work: Work = receive(sys.stdin.buffer)
        ring = KeyRing(work.keys)
        slots = [mmap.mmap(slot, 0) for slot in work.slots]
        for turn in count():
            piece: Piece = receive(sys.stdin.buffer)
            part = _open(work, ring, piece, slots[turn % len(slots)] if slots else None)
            send(sys.stdout.buffer, part)


def _open(work: Work, ring: KeyRing, piece: Piece, slot: mmap.mmap | None) -> Part:
    opening = Opening(ring, flows=work.limits.flows, conversations=_CONVERSATIONS)
    if slot is not None:
        slot.seek(0)
    out = InnerFile(slot if slot is not None else Nowhere(), None)
    options = ScanOptions(limits=work.limits, protected_datagrams=True)
    scanner = RowScanner(opening, out, options, path=work.path, capture=work.capture)
    try:
        stop = _scan(scanner, work.path, piece)
        out.flush()
    except (ValueError, OSError, MemoryError, CaptureError):  # the slot is full; or one process alone will tell
        return Part(0, 0, 0, [], False)
    return _part(opening, scanner, stop, out.packets, slot.tell() if slot is not None else 0)


def _scan(scanner: RowScanner, path: str, piece: Piece) -> int:
    """Scan the piece; returns where that ended."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        scanner.take_window(memoryview(stream.read(HEAD)), False)
        walker = scanner.walker
        walker.offset, walker.packets = piece.start, piece.frames
        window, position = Sliding(), piece.start

        def readinto(room: memoryview) -> int:
            with room[: max(0, piece.end - position)] as wanted:
                return os.preadv(stream.fileno(), [wanted], position) if wanted else 0

        # What is left at the end of a piece is not the end of a capture.
        while count := window.step(readinto, lambda octets, _: scanner.take_window(octets, False)[0]):
            position += count
        return position - window.kept


def _part(opening: Opening, scanner: RowScanner, stop: int, packets: int, octets: int) -> Part:
    counts = scanner.intake.decoder.fragment_counts
    alone = not (
        scanner.intake.follows
        or scanner.saw_fragments
        or counts.completed
        or scanner.facts.notice_counts
        or opening.dropped
    )
    flows = []
    for key, lane in opening.lanes.items():
        result = lane.finish()
        opener = lane.opener
        inside = None
        if opener is None:
            alone = alone and not lane.candidates
        else:
            inside = lane.inside
            alone = alone and lane.is_sure and isinstance(opener, EspOpener) and not result.esn and not result.notes
            alone = alone and inside.has_all
        flows.append(FlowPart(key, result, inside, lane.unopened, opener.keys if opener is not None else None))
    return Part(stop, packets, octets, flows, alone)
