"""The scanner with the C core: plain records and packets are taken there, all else comes back and is decoded here.

`_core.Scan.run(octets, start, end, frame, last)` takes records until they are used up, or one is odd, or a packet is
strange, and returns (ending, position, frame, last, rows, packet): where it stopped, the last frame, the last time
(pcap: seconds; pcapng: ns), rows for `columns.py`, and the strange packet. That order is the capture's order, so what
Python decodes is counted exactly where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from ipsecanalyze._fast import _core
from ipsecanalyze._fast.columns import Octets, datagrams_of
from ipsecanalyze._fast.contract import ScanOptions
from ipsecanalyze._fast.intake import Intake
from ipsecanalyze._fast.native_flows import NativeFlowTable
from ipsecanalyze._fast.scanner import BaseScanner
from ipsecanalyze.capture.conversations import Endpoint
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Packet
from ipsecanalyze.capture.pcap import PcapHeader, PcapWalker
from ipsecanalyze.capture.pcapng import PcapngWalker
from ipsecanalyze.capture.reader import HEAD
from ipsecanalyze.capture.source import Source
from ipsecanalyze.capture.walker import Walker
from ipsecanalyze.esp.flow import FlowTable

__all__ = ["NativeScanner"]

#: What `run` ended with, as in core/scan.h.
NEEDS_MORE, ODD_RECORD, STRANGE_PACKET = 0, 1, 2
#: Small enough to stay in a processor's second-level cache, where the kernel has just copied it to.
CHUNK: Final = 256 << 10
#: Conversations that the core is told to leave to Python, before those are dropped that Python has forgotten.
_WATCHED: Final = 1 << 18
_64_BITS: Final = 1 << 64


class NativeIntake(Intake):
    """Takes what the core leaves to Python, and the core's counts."""

    def __init__(self, options: ScanOptions, flows: NativeFlowTable, capture: int, notices: NoticeLog) -> None:
        super().__init__(options, flows, capture, notices)
        self.table = flows
        self.scan = _core.Scan(flows.core, capture, options.protected_datagrams)
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
                self._take_counts()
                return ending, position, (frame, last)
            _, at, captured, wire, time_ns, interface, record = packet
            link_type = walker.interfaces[interface].link_type
            data = bytes(octets[at : at + captured])
            self.decode(Packet(time_ns, link_type, data, wire, frame, interface, walker.offset + record))

    def flush(self) -> None:
        """Nothing waits here."""

    def _take_rows(self, rows: bytes, octets: Octets) -> None:
        remember = self.decoder.conversations.remember_spi
        for datagram in datagrams_of(rows, octets, self.table.vlans, self.capture):
            if datagram.kind is DatagramKind.IKE:
                remember(datagram.payload[:8])
            self.datagrams.append(datagram)

    def _take_counts(self) -> None:
        octets, truncated, earliest, latest, verdicts, is_any = self.scan.counts()
        if is_any:
            self.add(sum(verdicts), octets, truncated, earliest, latest)
        for verdict in range(2, len(verdicts)):
            self.quick[verdict] += verdicts[verdict]

    def _protected(self, protocol: str, datagram: Datagram, start: int) -> None:
        if self.protected_datagrams:
            self.datagrams.append(datagram)
        self.table.arrive(protocol, datagram, start)

    def _watch(self, one: Endpoint, other: Endpoint) -> None:
        """The decoder follows a conversation: the core must leave its packets to Python."""
        if self.scan.watch(_endpoint(one), _endpoint(other)) > _WATCHED:
            self.scan.forget()
            for pair in (*self.decoder.conversations.pairs(), *self.decoder.connections.pairs()):
                self.scan.watch(*map(_endpoint, pair))


def _endpoint(endpoint: Endpoint) -> bytes:
    return endpoint[0].ljust(16, b"\0") + endpoint[1].to_bytes(2)


class NativeWalker(Walker):
    """What the walkers below can do more: look at octets where they are."""

    def take(self, octets: memoryview, final: bool) -> tuple[int, list[Packet]]:
        """Like `feed`, for a caller that keeps what is not used up, and gives it again with what follows.

        Returns how many octets were used up, and the packets that no tight loop would take.
        """
        if len(octets) < self._wanted and not final:
            return 0, []
        self._wanted = 1
        packets: list[Packet] = []
        used = self._walk(cast("bytes", octets), final, packets)
        self.offset += used
        self.packets += len(packets)
        return used, packets


class NativePcap(NativeWalker, PcapWalker):
    """Walks pcap records in C; what is odd is left to the walker of `capture/`."""

    def __init__(self, header: PcapHeader, notices: NoticeLog, intake: NativeIntake) -> None:
        super().__init__(header, notices)
        self._intake = intake
        limit = min(header.record_limit, header.snaplen or header.record_limit)
        big_endian = header.byte_order == ">"
        intake.scan.pcap(big_endian, header.nanoseconds, header.record_header_size, limit, header.link_type)

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        position = min(self._skip, len(data))
        self._skip -= position
        if self._skip:
            return position
        last = -1 if self.last_seconds is None else self.last_seconds
        ending, position, (self.packets, last) = self._intake.run(
            data, position, len(data), (self.packets, last), self
        )
        self.last_seconds = None if last < 0 else last
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

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        position, base = 0, self.offset
        try:
            while not self._lost:
                self._tell_section()
                ending, position, (self.packets, self._last_time_ns) = self._intake.run(
                    data, position, len(data), (self.packets, self._last_time_ns), self
                )
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
                    self._intake.count(packet)
                    self._intake.decode(packet)
                position = stop
            self.offset = base + position
            return position + super()._walk(bytes(data[position:]), final, packets)
        finally:
            self.offset = base

    def _tell_section(self) -> None:
        """Tell the core of the section's interfaces, where these have changed."""
        now = (self.byte_order, self.section_base, len(self.interfaces))
        if now == self._told:
            return
        self._told = now
        rows = []
        for interface in self.interfaces[self.section_base :]:
            fits = max(interface.multiplier, interface.divisor) < _64_BITS and abs(interface.offset_ns) < _64_BITS >> 2
            scale = (interface.multiplier, interface.divisor, interface.offset_ns) if fits else (1, 1, 0)
            rows.append((interface.link_type, int(fits), *scale))
        self._intake.scan.section(self.byte_order == ">", self.section_base, rows)


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
        self._intake.count(packet)
        self._intake.decode(packet)

    def _scan(
        self, source: Source, on_datagrams: Callable[[list[Datagram]], None], progress: Callable[[int], None] | None
    ) -> None:
        """As in the base class, but without a copy: octets are read to where the core looks at them."""
        window = bytearray(CHUNK)
        kept = 0
        while True:
            if kept > len(window) // 2:
                window.extend(bytes(len(window)))
            with memoryview(window) as view, view[kept:] as room:
                count = source.readinto(room)
            final = not count
            end = kept + count
            walker = self._walker
            if walker is None:
                if end < HEAD and not final:
                    kept = end
                    continue
                walker = self._begin(bytes(window[:end]))
            assert isinstance(walker, NativeWalker)  # noqa: S101 - for the type checker
            kept = self._take_window(walker, window, end, final)
            datagrams = self._fed(final)
            if datagrams or final:
                on_datagrams(datagrams)
            if final:
                return
            if progress is not None:
                progress(source.consumed)

    def _take_window(self, walker: NativeWalker, window: bytearray, end: int, final: bool) -> int:
        """Let the walker take `window[:end]`; what it leaves is moved to the front, and counted."""
        with memoryview(window) as view, view[:end] as octets:
            used, packets = walker.take(octets, final)
        for packet in packets:
            self._take(packet)
        rest = end - used
        window[:rest] = window[used:end]
        return rest
