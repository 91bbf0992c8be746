"""The tight loop over pcapng blocks: Enhanced Packet Blocks that are whole and in order.

All other blocks, and all damage, are left to the walker of `capture/`.
"""

from __future__ import annotations

from struct import Struct

from ipsecanalyze._fast.intake import FLUSH_EVERY, Intake
from ipsecanalyze._fast.shortpath import ShortPath, Take
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcapng import PcapngWalker
from ipsecanalyze.capture.pcapng_blocks import BlockType
from ipsecanalyze.capture.walker import FARTHEST_NS, MAX_RECORD, Interface

__all__ = ["PcapngScan"]

_EPB = int(BlockType.ENHANCED_PACKET)
_EPB_HEAD = {order: Struct(order + "IIIIIII") for order in "<>"}
#: The shortest Enhanced Packet Block.
_EPB_SIZE = 32


class PcapngScan(PcapngWalker):
    """Walks pcapng blocks; plain packets go straight into the intake, the others come out as packets."""

    def __init__(self, notices: NoticeLog, intake: Intake, short: ShortPath) -> None:
        super().__init__(notices)
        self._intake = intake
        self._short = short
        # The section's interfaces, with their short paths.
        self._known: list[tuple[Interface, Take]] = []
        self._known_section = 0

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        position = 0
        while not self._lost:
            position = self._run(data, position)
            stop = position + self._whole_block(data, position)
            if stop == position:
                break
            odd: list[Packet] = []
            self._block(data, position, stop, odd)
            for packet in odd:
                self.packets += 1
                self._short.odd(packet)
            position = stop
        self.offset += position
        try:
            return position + super()._walk(data[position:] if position else data, final, packets)
        finally:
            self.offset -= position

    def _interfaces(self) -> list[tuple[Interface, Take]]:
        """The interfaces of the section so far; cheap when nothing was added, as it is asked behind every block."""
        if self._known_section != self.section_base:
            self._known, self._known_section = [], self.section_base
        for interface in self.interfaces[self.section_base + len(self._known) :]:
            self._known.append((interface, self._short.for_link(interface.link_type)))
        return self._known

    def _run(self, data: bytes, position: int) -> int:
        """Take plain packets from `position` on; returns where the first other block begins."""
        intake, short, section = self._intake, self._short, self.section_base
        fields = _EPB_HEAD[self.byte_order].unpack_from
        known = self._interfaces()
        quick, end, base = intake.quick, len(data), self.offset
        frame, octets, truncated, time_ns = self.packets, 0, 0, self._last_time_ns
        flush_at = frame - frame % FLUSH_EVERY + FLUSH_EVERY
        current, link_type, multiplier, divisor, offset_ns = -1, 0, 1, 1, 0
        take: Take
        earliest, latest = 1 << 128, -(1 << 128)
        while end - position >= _EPB_SIZE:
            kind, length, index, high, low, captured, wire = fields(data, position)
            following = position + length
            if (
                kind != _EPB
                or length & 3
                or captured + _EPB_SIZE > length
                or length > MAX_RECORD
                or following > end
                or captured > wire
                or index >= len(known)
                or data[following - 4 : following] != data[position + 4 : position + 8]
            ):
                break
            if index != current:
                current = index
                interface, take = known[index]
                link_type, intake.interface = interface.link_type, section + index
                multiplier, divisor, offset_ns = interface.multiplier, interface.divisor, interface.offset_ns
            stamp = (high << 32 | low) * multiplier // divisor + offset_ns
            if not -FARTHEST_NS <= stamp <= FARTHEST_NS:
                break
            time_ns = stamp
            start = position + 28
            stop = start + captured
            frame += 1
            octets += wire
            lost = wire - captured
            if lost:
                truncated += 1
            if time_ns > latest:
                latest = time_ns
            if time_ns < earliest:
                earliest = time_ns
            verdict = take(data, start, stop, lost, time_ns, frame)
            quick[verdict] += 1
            if verdict <= 1:  # Verdict.STRANGE or Verdict.UDP
                octets_kept = data[start:stop]
                packet = Packet(time_ns, link_type, octets_kept, wire, frame, section + index, base + position)
                short.general(packet, verdict)
            position = following
            if frame == flush_at:
                intake.flush_if_worth(frame)
                flush_at += FLUSH_EVERY
        if frame > self.packets:
            intake.add(frame - self.packets, octets, truncated, earliest, latest)
        self.packets, self._last_time_ns = frame, time_ns
        return position
