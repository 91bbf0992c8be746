"""The scanner with the C core: plain records and packets are taken there, all else comes back and is decoded here.

`_core.Scan.run(octets, start, end, frame, last)` takes records until they are used up, or one is odd, or a packet is
strange, and returns (ending, position, frame, last, rows, packet): where it stopped, the last frame, the last time
(pcap: seconds; pcapng: ns), rows for `columns.py`, and the strange packet. That order is the capture's order, so what
Python decodes is counted exactly where it belongs.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias, cast

from ipsecanalyze._fast import _core
from ipsecanalyze._fast.columns import Octets, datagrams_of
from ipsecanalyze._fast.contract import ScanOptions
from ipsecanalyze._fast.intake import Intake
from ipsecanalyze._fast.native_flows import NativeFlowTable
from ipsecanalyze._fast.parallel import LEAST_PIECE, Adoption, Piece, cut
from ipsecanalyze._fast.scanner import BaseScanner
from ipsecanalyze._fast.windows import CHUNK, NEEDS_MORE, STRANGE_PACKET, Sliding
from ipsecanalyze.capture.conversations import Endpoint
from ipsecanalyze.capture.encapsulation import NAT_T_PORT
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Packet
from ipsecanalyze.capture.pcap import PcapHeader, PcapWalker
from ipsecanalyze.capture.pcapng import PcapngWalker
from ipsecanalyze.capture.reader import HEAD
from ipsecanalyze.capture.source import Source
from ipsecanalyze.capture.walker import Walker
from ipsecanalyze.esp.flow import FlowTable

__all__ = ["NativeScanner"]

#: Conversations that the core is told to leave to Python, before those are dropped that Python has forgotten.
_WATCHED: Final = 1 << 18
_64_BITS: Final = 1 << 64

#: An ESP or AH datagram that was decoded in Python: "ESP" or "AH", the datagram, where its SPI stands.
Protected: TypeAlias = tuple[str, Datagram, int]


class NativeIntake(Intake):
    """Takes what the core leaves to Python, and the core's counts."""

    def __init__(self, options: ScanOptions, flows: NativeFlowTable, capture: int, notices: NoticeLog) -> None:
        super().__init__(options, flows, capture, notices)
        self.limits = options.limits
        self.table = flows
        self.scan = _core.Scan(flows.core, capture, options.protected_datagrams)
        self.watches = False
        """Whether the core leaves conversations to Python."""
        self.follows = False
        """Whether the decoder follows any, port 4500 included: what comes later depends on what came before."""
        self._held: list[Protected] | None = None
        self._held_errors: list[Datagram] | None = None
        self.decoder.conversations.on_new = self._watch
        self.decoder.connections.on_new = self._watch

    def run(
        self, octets: Octets, position: int, end: int, state: tuple[int, int], walker: Walker
    ) -> tuple[int, int, tuple[int, int]]:
        """Take records of `octets[position:end]`; (ending, position, state), `state` being (frame, last time)."""
        frame, last = state
        while True:
            ending, position, frame, last, rows, packet = self.scan.run(octets, position, end, frame, last)
            if rows:
                self._take_rows(rows, octets)
            if ending != STRANGE_PACKET:
                return ending, position, (frame, last)
            _, at, captured, wire, time_ns, interface, record = packet
            link_type = walker.interfaces[interface].link_type
            data = bytes(octets[at : at + captured])
            self.decode(Packet(time_ns, link_type, data, wire, frame, interface, walker.offset + record))

    def take_odd(self, packet: Packet) -> None:
        """Count and decode a packet of a record that the core left to the walker of `capture/`."""
        self.count(packet)
        self.decode(packet)

    def flush(self) -> None:
        """Nothing waits here."""

    def take_row(self, row: bytes, payload: bytes, frames: int) -> None:
        """Take a row that was made ahead: `payload` is what it tells of, `frames` is what its frame number lacks."""
        for datagram in datagrams_of(row, payload, self.table.vlans, self.capture, alone=True, frames=frames):
            self._take_datagram(datagram)

    def take_counts(self, counts: tuple[int, int, int, int, list[int], int]) -> None:
        """Add what `_core.Scan.counts` gave."""
        octets, truncated, earliest, latest, verdicts, is_any = counts
        if is_any:
            self.add(sum(verdicts), octets, truncated, earliest, latest)
        for verdict in range(2, len(verdicts)):
            self.quick[verdict] += verdicts[verdict]

    @contextmanager
    def holding(self) -> Iterator[list[Protected]]:
        """Put ESP and AH that is decoded meanwhile into a list, instead of counting it."""
        held: list[Protected] = []
        self._held = held
        try:
            yield held
        finally:
            self._held = None

    @contextmanager
    def holding_errors(self) -> Iterator[None]:
        """Let ICMP errors wait for the flows that they are about."""
        held: list[Datagram] = []
        self._held_errors = held
        try:
            yield
        finally:
            self._held_errors = None
            for datagram in held:
                self.table.add_late_icmp_error(datagram)

    def _take_rows(self, rows: bytes, octets: Octets) -> None:
        for datagram in datagrams_of(rows, octets, self.table.vlans, self.capture):
            self._take_datagram(datagram)

    def _take_datagram(self, datagram: Datagram) -> None:
        if datagram.kind is DatagramKind.IKE:
            self.decoder.conversations.remember_spi(datagram.payload[:8])
        self.datagrams.append(datagram)

    def _protected(self, protocol: str, datagram: Datagram, start: int) -> None:
        if self.protected_datagrams:
            self.datagrams.append(datagram)
        if self._held is None:
            self.table.arrive(protocol, datagram, start)
        else:
            self._held.append((protocol, datagram, start))

    def _icmp_error(self, datagram: Datagram) -> None:
        if self._held_errors is None:
            super()._icmp_error(datagram)
        else:
            self._held_errors.append(datagram)

    def _watch(self, one: Endpoint, other: Endpoint) -> None:
        """The decoder follows a conversation: the core must leave its packets to Python."""
        self.follows = True
        if NAT_T_PORT in (one[1], other[1]):
            return  # it does so anyway
        self.watches = True
        if self.scan.watch(_endpoint(one), _endpoint(other)) > _WATCHED:
            self.scan.forget()
            for pair in (*self.decoder.conversations.pairs(), *self.decoder.connections.pairs()):
                self.scan.watch(*map(_endpoint, pair))


def _endpoint(endpoint: Endpoint) -> bytes:
    return endpoint[0].ljust(16, b"\0") + endpoint[1].to_bytes(2)


class _AtOnce(list[Packet]):
    """A list for a walker to put packets into, which hands them over instead of keeping them."""

    def __init__(self, on_packet: Callable[[Packet], None]) -> None:
        super().__init__()
        self.count_taken = 0
        self._on_packet = on_packet

    def append(self, packet: Packet, /) -> None:
        """Hand it over."""
        self.count_taken += 1
        self._on_packet(packet)


class NativeWalker(Walker):
    """What the walkers below can do more: look at octets where they are, and go on behind a piece scanned ahead."""

    @property
    @abstractmethod
    def reads_on(self) -> bool:
        """False where damage has ended the reading."""

    @property
    @abstractmethod
    def section(self) -> tuple[str, int, int]:
        """What records are read by: byte order, first interface, number of interfaces."""

    @property
    @abstractmethod
    def last(self) -> int:
        """The time of the last record, as `_core.Scan.run` takes and gives it."""

    @last.setter
    @abstractmethod
    def last(self, last: int) -> None: ...

    @abstractmethod
    def set_up(self, scan: _core.Scan) -> None:
        """Tell a scan of the core how records are read."""

    @abstractmethod
    def time_at(self, record: bytes) -> int | None:
        """The seconds of a record that begins so; None where times are not what records are judged by."""

    def take(self, octets: memoryview, final: bool, on_packet: Callable[[Packet], None]) -> int:
        """Like `feed`, for a caller that keeps what is not used up, and gives it again with what follows.

        `on_packet` is called for packets that no tight loop would take, as they come: so what is told of packets and
        of records has one order, wherever the windows begin. Returns how many octets were used up.
        """
        if len(octets) < self._wanted and not final:
            return 0
        self._wanted = 1
        packets = _AtOnce(on_packet)
        used = self._walk(cast("bytes", octets), final, packets)
        self.offset += used
        self.packets += packets.count_taken
        return used


class NativePcap(NativeWalker, PcapWalker):
    """Walks pcap records in C; what is odd is left to the walker of `capture/`."""

    def __init__(self, header: PcapHeader, notices: NoticeLog, intake: NativeIntake) -> None:
        super().__init__(header, notices)
        self._intake = intake
        self.set_up(intake.scan)

    @property
    def reads_on(self) -> bool:
        """False where damage has ended the reading."""
        return not self._skip

    @property
    def section(self) -> tuple[str, int, int]:
        """The same for the whole file."""
        return self.header.byte_order, 0, 1

    @property
    def last(self) -> int:
        """Seconds; -1 before the first record."""
        return -1 if self.last_seconds is None else self.last_seconds

    @last.setter
    def last(self, last: int) -> None:
        self.last_seconds = None if last < 0 else last

    def set_up(self, scan: _core.Scan) -> None:
        """Tell a scan of the core how records are read."""
        header = self.header
        big, size = header.byte_order == ">", header.record_header_size
        scan.pcap(big, header.nanoseconds, size, self._record_limit, header.link_type)

    @property
    def _record_limit(self) -> int:
        return min(self.header.record_limit, self.header.snaplen or self.header.record_limit)

    def skip(self, octets: Octets, until: int) -> tuple[int, int]:
        """Pass over whole records, the last of which ends at `until` or behind: (where that ended, how many)."""
        header = self.header
        return _core.skip_records(
            octets, until, header.byte_order == ">", header.record_header_size, self._record_limit
        )

    def time_at(self, record: bytes) -> int | None:
        """Its seconds."""
        return int(self.header.record_struct.unpack_from(record)[0]) if len(record) >= 16 else None

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        position = min(self._skip, len(data))
        self._skip -= position
        if self._skip:
            return position
        state = (self.packets, self.last)
        ending, position, (self.packets, self.last) = self._intake.run(data, position, len(data), state, self)
        if ending == NEEDS_MORE and not final:
            return position
        self.offset += position
        try:
            return position + super()._walk(bytes(data[position:]), final, packets)
        finally:
            self.offset -= position


class NativePcapng(NativeWalker, PcapngWalker):
    """Walks Enhanced Packet Blocks in C; all other blocks, and all damage, are left to the walker of `capture/`."""

    def __init__(self, notices: NoticeLog, intake: NativeIntake) -> None:
        super().__init__(notices)
        self._intake = intake
        self._told: tuple[str, int, int] | None = None

    @property
    def reads_on(self) -> bool:
        """False where damage has ended the reading."""
        return not self._lost

    @property
    def section(self) -> tuple[str, int, int]:
        """Byte order, first interface, number of interfaces."""
        return self.byte_order, self.section_base, len(self.interfaces)

    @property
    def last(self) -> int:
        """Nanoseconds; 0 before the first packet."""
        return self._last_time_ns

    @last.setter
    def last(self, last: int) -> None:
        self._last_time_ns = last

    def time_at(self, record: bytes) -> int | None:
        """Blocks are not judged by their times."""
        del record
        return None

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        position, base = 0, self.offset
        try:
            while not self._lost:
                if self.section != self._told:
                    self.set_up(self._intake.scan)
                    self._told = self.section
                state = (self.packets, self.last)
                ending, position, (self.packets, self.last) = self._intake.run(data, position, len(data), state, self)
                if ending == NEEDS_MORE and not final:
                    return position
                stop = position + self._whole_block(data, position)
                if stop == position:
                    break
                odd: list[Packet] = []
                self.offset = base + position
                self._block(bytes(data[position:stop]), 0, stop - position, odd)
                self.offset = base
                for packet in odd:
                    self.packets += 1
                    self._intake.take_odd(packet)
                position = stop
            self.offset = base + position
            return position + super()._walk(bytes(data[position:]), final, packets)
        finally:
            self.offset = base

    def set_up(self, scan: _core.Scan) -> None:
        """Tell a scan of the core of the section's interfaces."""
        rows = []
        for interface in self.interfaces[self.section_base :]:
            fits = max(interface.multiplier, interface.divisor) < _64_BITS and abs(interface.offset_ns) < _64_BITS >> 2
            scale = (interface.multiplier, interface.divisor, interface.offset_ns) if fits else (1, 1, 0)
            rows.append((interface.link_type, int(fits), *scale))
        scan.section(self.byte_order == ">", self.section_base, rows)


class NativeScanner(BaseScanner):
    """Scans one capture with the C core; see `contract.Scanner`."""

    def __init__(
        self,
        options: ScanOptions | None = None,
        *,
        path: str = "-",
        flows: FlowTable | None = None,
        capture: int = 0,
    ) -> None:
        options = options if options is not None else ScanOptions()
        limits = options.limits
        table = flows if flows is not None else NativeFlowTable(limits.flows, limits.gaps)
        if not isinstance(table, NativeFlowTable):
            raise TypeError("the C core counts in a table of its own: NativeFlowTable")
        super().__init__(options, path, table)
        self._intake: NativeIntake = NativeIntake(options, table, capture, self._notices)

    def _adopt(self, walker: Walker) -> NativeWalker:
        if isinstance(walker, PcapWalker):
            return NativePcap(walker.header, self._notices, self._intake)
        return NativePcapng(self._notices, self._intake)

    def _take(self, packet: Packet) -> None:
        self._intake.take_odd(packet)

    def _scan(
        self, source: Source, on_datagrams: Callable[[list[Datagram]], None], progress: Callable[[int], None] | None
    ) -> None:
        """As in the base class, but without a copy, and where that is worth it in several threads."""
        reader = _Reader(self, on_datagrams, progress)
        place = source.place if self.options.jobs > 1 and not self.options.protected_datagrams else None
        if place is not None and place[1] >= 2 * LEAST_PIECE:
            reader.read_pieces(*place, self.options.jobs)
        else:
            reader.read_all(source.readinto, lambda: source.consumed)

    def take_window(self, octets: memoryview, final: bool) -> tuple[int, list[Datagram]]:
        """Take the next octets, of which those before what was left over last time are gone.

        Returns how many were used up, and the datagrams that Python must see.
        """
        if self._walker is None:
            if len(octets) < HEAD and not final:
                return 0, []
            self._begin(bytes(octets[:HEAD]))
        used = self.walker.take(octets, final, self._take)
        if final:
            return used, self._fed(final)
        # Facts can wait: this is done for every window of the file.
        found, self._intake.datagrams = self._intake.datagrams, []
        return used, found

    def _update_facts(self) -> None:
        self._intake.take_counts(self._intake.scan.counts())
        super()._update_facts()

    @property
    def walker(self) -> NativeWalker:
        """The walker, once the first octets were taken."""
        return cast("NativeWalker", self._walker)

    @property
    def intake(self) -> NativeIntake:
        """Where packets go."""
        return self._intake


class _Reader:
    """Reads octets to where the core looks at them."""

    def __init__(
        self,
        scanner: NativeScanner,
        on_datagrams: Callable[[list[Datagram]], None],
        progress: Callable[[int], None] | None,
    ) -> None:
        self._scanner = scanner
        self._on_datagrams = on_datagrams
        self._progress = progress
        self._window = Sliding()

    def read_all(self, readinto: Callable[[memoryview], int], consumed: Callable[[], int]) -> None:
        """Read to the end."""
        while self._step(readinto):
            if self._progress is not None:
                self._progress(consumed())

    def read_pieces(self, fd: int, size: int, jobs: int) -> None:
        """Read a file of `size` octets in pieces, all of them ahead but for what shows how to read them."""
        position, end = 0, CHUNK

        def readinto(room: memoryview) -> int:
            nonlocal position
            count = os.preadv(fd, [room[: max(0, end - position)]], position)
            position += count
            return count

        self._step(readinto)
        walker, intake = self._scanner.walker, self._scanner.intake
        pieces = cut(fd, size, walker.offset, jobs, walker) if walker.reads_on and not intake.watches else []
        if pieces:
            pieces.insert(0, Piece(walker.offset, pieces[0].start))
        adoption = Adoption(fd, walker, intake)
        try:
            for piece in pieces:
                piece.begin(fd, walker, intake)
            for piece in pieces:
                end = piece.start
                while position < end and self._step(readinto):
                    self._tell(position, pieces)
                while not piece.wait(0.1):
                    self._tell(position, pieces)
                if adoption.fits(piece):
                    adoption.adopt(piece)
                    position, self._window.kept = walker.offset, 0
                    self._on_datagrams(self._scanner.take_window(memoryview(b""), False)[1])
                    self._tell(position, pieces)
        finally:
            for piece in pieces:
                piece.end_early()
        # The file may have grown meanwhile.
        end = 1 << 62
        self.read_all(readinto, lambda: position)

    def _tell(self, position: int, pieces: list[Piece]) -> None:
        if self._progress is not None:
            self._progress(position + sum(piece.stop - piece.start for piece in pieces if piece.start >= position))

    def _step(self, readinto: Callable[[memoryview], int]) -> bool:
        """Read once, and let the scanner take it; False where that was the end."""
        found: list[Datagram] = []

        def take(octets: memoryview, is_end: bool) -> int:
            used, found[:] = self._scanner.take_window(octets, is_end)
            return used

        count = self._window.step(readinto, take)
        if found or not count:
            self._on_datagrams(found)
        return count > 0
