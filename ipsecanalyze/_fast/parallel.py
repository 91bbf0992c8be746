"""One capture over all cores: the file is cut at record boundaries, the pieces are scanned in threads by the C core.

All pieces are scanned ahead (`Piece`), the first one from where the scan stands, the others from where a record seems
to begin, and what Python must see of them is only listed. Then one after another is adopted: only where the scan
before it ended exactly at its beginning, and nothing that the scan has learnt meanwhile would have changed what was
done ahead. What cannot be adopted is scanned again in its turn. So the result is that of a single pass, always; only
the time differs.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ipsecanalyze._fast import _core
from ipsecanalyze._fast.columns import ROW
from ipsecanalyze._fast.windows import NEEDS_MORE, STRANGE_PACKET, Window
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcap import DAY, PcapHeader, find_record
from ipsecanalyze.capture.pcapng import PcapngWalker, find_block
from ipsecanalyze.capture.walker import SEARCH_WINDOW

if TYPE_CHECKING:
    from ipsecanalyze._fast.native import NativeIntake, NativeWalker, Protected

__all__ = ["LEAST_PIECE", "Adoption", "Piece", "cut"]

LEAST_PIECE: Final = 16 << 20
"""Octets of a piece that are worth a thread."""
#: Packets that Python must see, of one piece: beyond, the piece ends.
_LISTED: Final = 100_000


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
        while not self.wait(0.1):
            pass

    def wait(self, seconds: float) -> bool:
        """Wait for the thread; whether it has ended. In slices: a wait without end would keep Ctrl-C waiting too."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self, fd: int, scan: _core.Scan) -> None:
        try:
            self._scan(fd, scan)
        except BaseException as error:
            self.error = error
        self.counts = scan.counts()

    def _scan(self, fd: int, scan: _core.Scan) -> None:
        window = Window(fd, self.stop, self.end)
        ending = NEEDS_MORE
        while ending in (NEEDS_MORE, STRANGE_PACKET) and not self._ended.is_set() and len(self.listed) <= _LISTED:
            ending, self.frames, self.last, rows, packet = window.run(scan, self.frames, self.last)
            base, self.stop = window.begin, window.place
            if rows:
                self._list_rows(rows, base)
            if ending == STRANGE_PACKET:
                _, at, captured, wire, time_ns, interface, record = packet
                self.listed.append(
                    Listed(self.frames, base + at, captured, None, wire, time_ns, interface, base + record, self.stop)
                )

    def _list_rows(self, rows: bytes, base: int) -> None:
        for at in range(0, len(rows), ROW.size):
            row = rows[at : at + ROW.size]
            start, _, frame, captured, *_ = ROW.unpack(row)
            self.listed.append(Listed(frame, base + start, captured, row))


def cut(fd: int, size: int, start: int, jobs: int, walker: NativeWalker) -> list[Piece]:
    """The pieces behind the first one, from where records seem to begin; none where the file is not worth it."""
    count = min(jobs, (size - start) // LEAST_PIECE)
    begins = []
    for number in range(1, count):
        offset = start + (size - start) * number // count
        found = _find(os.pread(fd, SEARCH_WINDOW, offset), walker)
        if found is not None:
            begins.append(offset + found)
    return [Piece(begin, end) for begin, end in zip(begins, [*begins, size][1:], strict=True) if begin < end]


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
        window = Window(self._fd, piece.start, stop)
        frame, last, ending = base, -1, NEEDS_MORE
        while ending in (NEEDS_MORE, STRANGE_PACKET):
            ending, frame, last, _, _ = window.run(scan, frame, last)
            if ending == STRANGE_PACKET:
                for protocol, datagram, at in held.get(frame - base, ()):
                    intake.table.arrive(protocol, datagram, at)
        intake.take_counts(scan.counts())
        piece.last = last
