"""One capture over all cores: the file is cut at record boundaries, the pieces are scanned in threads by the C core.

The first piece is scanned as ever. The others are scanned ahead (`Piece`), from where a record seems to begin, and
what Python must see of them is only listed. Then one after another is adopted: only where the scan before it ended
exactly at its beginning, and nothing that the scan has learnt meanwhile would have changed what was done ahead. What
cannot be adopted is scanned again in its turn. So the result is that of a single pass, always; only the time differs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ipsecanalyze._fast import _core
from ipsecanalyze._fast.columns import ROW
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcap import DAY, PcapHeader, find_record
from ipsecanalyze.capture.pcapng import PcapngWalker, find_block
from ipsecanalyze.capture.walker import SEARCH_WINDOW

if TYPE_CHECKING:
    from ipsecanalyze._fast.native import NativeIntake, NativeWalker, Protected

__all__ = ["LEAST_PIECE", "Adoption", "Piece", "cut"]

LEAST_PIECE: Final = 16 << 20
"""Octets of a piece that are worth a thread."""
CHUNK: Final = 512 << 10
#: Packets that Python must see, of one piece: beyond, the piece ends.
_LISTED: Final = 100_000
STRANGE_PACKET: Final = 2


@dataclass(slots=True)
class Listed:
    """A packet, or a row of `columns.py`, that Python must see; offsets are those in the file."""

    frame: int
    start: int
    captured: int
    row: bytes | None = None
    wire: int = 0
    time_ns: int = 0
    interface: int = 0
    record: int = 0
    following: int = 0
    """Where the next record begins."""


@dataclass(slots=True)
class Piece:
    """A piece of the file, scanned ahead; frames count from its beginning."""

    start: int
    end: int
    """Where it should end; `stop` is where it did."""
    stop: int = 0
    frames: int = 0
    first: int | None = None
    """The seconds of its first record; None where times are not what records are judged by (pcapng)."""
    last: int = -1
    """The time of its last record, as `_core.Scan.run` gives it."""
    section: tuple[str, int, int] = ("", 0, 0)
    """What `NativeWalker.section` was when it began."""
    table: _core.Table | None = None
    counts: tuple[int, int, int, int, list[int], int] = (0, 0, 0, 0, [], 0)
    listed: list[Listed] = field(default_factory=list)
    error: BaseException | None = None
    _thread: threading.Thread | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def begin(self, fd: int, walker: NativeWalker, intake: NativeIntake) -> None:
        """Scan it in a thread of its own."""
        limits = intake.limits
        self.table = _core.Table(os.urandom(32), limits.flows, limits.gaps, True)
        scan = _core.Scan(self.table, intake.capture, False)
        walker.set_up(scan)
        self.section = walker.section
        self.stop = self.start
        self.first = walker.time_at(os.pread(fd, 16, self.start))
        self._thread = threading.Thread(target=self._run, args=(fd, scan), daemon=True, name="ipsecanalyze-scan")
        self._thread.start()

    def end_early(self) -> None:
        """Let the thread come to its end, and wait for it."""
        self._ended.set()
        self.wait()

    def wait(self) -> None:
        """Wait for the thread."""
        # In slices: a wait without end would keep Ctrl-C waiting too.
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(0.1)

    def _run(self, fd: int, scan: _core.Scan) -> None:
        try:
            self._scan(fd, scan)
        except BaseException as error:
            self.error = error
        self.counts = scan.counts()

    def _scan(self, fd: int, scan: _core.Scan) -> None:
        for window, base, end in windows(fd, self):
            position = 0
            while True:
                ending, position, self.frames, self.last, rows, packet = scan.run(
                    window, position, end, self.frames, self.last
                )
                self.stop = base + position
                if rows:
                    self._list_rows(rows, base)
                if ending == STRANGE_PACKET:
                    _, at, captured, wire, time_ns, interface, record = packet
                    self.listed.append(
                        Listed(
                            self.frames, base + at, captured, None, wire, time_ns, interface, base + record, self.stop
                        )
                    )
                if self._ended.is_set() or len(self.listed) > _LISTED:
                    return
                if ending != STRANGE_PACKET:
                    break
            if ending:
                return

    def _list_rows(self, rows: bytes, base: int) -> None:
        for at in range(0, len(rows), ROW.size):
            row = rows[at : at + ROW.size]
            start, _, frame, captured, *_ = ROW.unpack(row)
            self.listed.append(Listed(frame, base + start, captured, row))


def windows(fd: int, piece: Piece) -> Iterator[tuple[bytearray, int, int]]:
    """The octets of a piece, in windows: (buffer, offset of its beginning, octets in it).

    Each begins at `piece.stop`, which the caller moves on; ends where nothing more comes of that.
    """
    window, kept, begin = bytearray(CHUNK), 0, piece.stop
    while True:
        if kept > len(window) // 2:
            window.extend(bytes(len(window)))
        position = begin + kept
        with memoryview(window) as view, view[kept : kept + max(0, piece.end - position)] as room:
            count = os.preadv(fd, [room], position) if room else 0
        if not count:
            return
        end = kept + count
        yield window, begin, end
        used = piece.stop - begin
        kept, begin = end - used, piece.stop
        window[:kept] = window[used:end]


def cut(fd: int, size: int, start: int, jobs: int, walker: NativeWalker) -> list[Piece]:
    """The pieces behind the first one, from where records seem to begin; none where the file is not worth it."""
    count = min(jobs, (size - start) // LEAST_PIECE)
    begins = []
    for number in range(1, count):
        offset = start + (size - start) * number // count
        found = _find(os.pread(fd, SEARCH_WINDOW, offset), walker)
        if found is not None:
            begins.append(offset + found)
    return [Piece(begin, end) for begin, end in zip(begins, [*begins[1:], size], strict=True) if begin < end]


def _find(data: bytes, walker: NativeWalker) -> int | None:
    header: PcapHeader | None = getattr(walker, "header", None)
    if header is not None:
        return find_record(data, 0, header, None, final=False)
    assert isinstance(walker, PcapngWalker)  # noqa: S101 - for the type checker
    return find_block(data, 0, walker.byte_order)


class Adoption:
    """Puts a piece that was scanned ahead behind what was scanned so far."""

    def __init__(self, fd: int, walker: NativeWalker, intake: NativeIntake) -> None:
        self._fd = fd
        self._walker = walker
        self._intake = intake

    def fits(self, piece: Piece) -> bool:
        """Whether what was done ahead is what would be done now."""
        walker, last = self._walker, self._walker.last
        return (
            piece.error is None
            and piece.frames > 0
            and walker.offset == piece.start
            and walker.reads_on
            and walker.section == piece.section
            and (piece.first is None or last < 0 or abs(piece.first - last) <= DAY)
            and not self._intake.watches
        )

    def adopt(self, piece: Piece) -> None:
        """Take it; the walker stands behind it then."""
        walker, intake = self._walker, self._intake
        base = walker.packets
        with intake.holding_errors():
            held, stop = self._take_listed(piece, base)
            is_whole = stop == piece.stop and not held
            if is_whole and piece.table is not None and intake.table.core.merge(piece.table, base):
                intake.take_counts(piece.counts)
            else:
                self._again(piece, base, held, stop)
        walker.packets, walker.offset, walker.last = base + piece.frames, stop, piece.last

    def _take_listed(self, piece: Piece, base: int) -> tuple[dict[int, list[Protected]], int]:
        """Let Python see what was listed. Returns ESP and AH among it by frame, and where the piece ends now:

        earlier, where something was learnt that the rest was scanned without.
        """
        intake = self._intake
        held: dict[int, list[Protected]] = {}
        for one in piece.listed:
            data = os.pread(self._fd, one.captured, one.start)
            if one.row is not None:
                intake.take_row(one.row, data, base)
                continue
            link_type = self._walker.interfaces[one.interface].link_type
            frame = base + one.frame
            packet = Packet(one.time_ns, link_type, data, one.wire, frame, one.interface, one.record)
            with intake.holding() as found:
                intake.decode(packet)
            if found:
                held[one.frame] = found
            if intake.watches:
                piece.frames = one.frame
                return held, one.following
        return held, piece.stop

    def _again(self, piece: Piece, base: int, held: dict[int, list[Protected]], stop: int) -> None:
        """Scan it once more, now into the table: what Python has seen is not looked at again, only counted."""
        intake = self._intake
        scan = _core.Scan(intake.table.core, intake.capture, False)
        self._walker.set_up(scan)
        again = Piece(piece.start, stop, stop=piece.start)
        frame, last = base, -1
        for window, begin, end in windows(self._fd, again):
            position = 0
            while True:
                ending, position, frame, last, _, _ = scan.run(window, position, end, frame, last)
                if ending != STRANGE_PACKET:
                    break
                for protocol, datagram, at in held.get(frame - base, ()):
                    intake.table.arrive(protocol, datagram, at)
            again.stop = begin + position
        intake.take_counts(scan.counts())
        piece.last = last
