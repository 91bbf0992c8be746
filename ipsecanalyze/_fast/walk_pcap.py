"""The tight loop over pcap records.

What is odd in a record is left to the walker of `capture/`, from there on to the end of the octets at hand.
"""

from __future__ import annotations

from struct import Struct

from ipsecanalyze._fast.intake import FLUSH_EVERY, Intake
from ipsecanalyze._fast.shortpath import ShortPath
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcap import DAY, PcapHeader, PcapWalker

__all__ = ["PcapScan"]


class PcapScan(PcapWalker):
    """Walks pcap records; plain ones go straight into the intake, the others come out as packets."""

    def __init__(self, header: PcapHeader, notices: NoticeLog, intake: Intake, short: ShortPath) -> None:
        super().__init__(header, notices)
        self._intake = intake
        self._short = short
        self._take = short.for_link(header.link_type)

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        position = min(self._skip, len(data))
        self._skip -= position
        if self._skip:
            return position
        position = self._run(data, position)
        # What stopped the loop: the end, a record that is not complete, or an odd one.
        self.offset += position
        try:
            return position + super()._walk(data[position:] if position else data, final, packets)
        finally:
            self.offset -= position

    def _run(self, data: bytes, position: int) -> int:
        """Take plain records from `position` on; returns where the first other one begins."""
        header, intake, short, take = self.header, self._intake, self._short, self._take
        unpack: Struct = header.record_struct
        fields, size = unpack.unpack_from, header.record_header_size
        units, scale = (1_000_000_000, 1) if header.nanoseconds else (1_000_000, 1_000)
        limit = min(header.record_limit, header.snaplen or header.record_limit)
        quick, end, base, link_type = intake.quick, len(data), self.offset, header.link_type
        last = self.last_seconds
        second_ns = -1 if last is None else last * 1_000_000_000
        frame, octets, truncated = self.packets, 0, 0
        flush_at = frame - frame % FLUSH_EVERY + FLUSH_EVERY
        earliest, latest = 1 << 64, -1
        while end - position >= size:
            seconds, fraction, captured, wire = fields(data, position)
            start = position + size
            stop = start + captured
            if stop > end or captured > wire or captured > limit or fraction >= units:
                break
            if seconds != last:
                if last is not None and not -DAY <= seconds - last <= DAY:
                    break
                last = seconds
                second_ns = seconds * 1_000_000_000
            time_ns = second_ns + fraction * scale
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
                packet = Packet(time_ns, link_type, data[start:stop], wire, frame, 0, base + position)
                short.general(packet, verdict)
            position = stop
            if frame == flush_at:
                intake.flush_if_worth(frame)
                flush_at += FLUSH_EVERY
        if latest >= 0:
            intake.add(frame - self.packets, octets, truncated, earliest, latest)
        self.last_seconds = last
        self.packets = frame
        return position
