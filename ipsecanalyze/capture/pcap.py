"""Classic pcap: the file header, the record walker, and how it finds its way again behind damage.

Sans-IO: octets in, `Packet`s out. Reads both byte orders, microseconds and nanoseconds, and the "modified" format
of Alexey Kuznetzov's libpcap patch. Source: draft-ietf-opsawg-pcap; libpcap's savefile format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.walker import MAX_RECORD, SEARCH_WINDOW, Interface, Walker
from ipsecanalyze.errors import WireError

__all__ = ["PCAP_MAGICS", "PcapHeader", "PcapWalker", "find_record", "is_pcap", "parse_pcap_header"]

#: First four octets → byte order, nanoseconds, modified.
PCAP_MAGICS: Final = {
    bytes.fromhex("a1b2c3d4"): (">", False, False),
    bytes.fromhex("d4c3b2a1"): ("<", False, False),
    bytes.fromhex("a1b23c4d"): (">", True, False),
    bytes.fromhex("4d3cb2a1"): ("<", True, False),
    bytes.fromhex("a1b2cd34"): (">", False, True),
    bytes.fromhex("34cdb2a1"): ("<", False, True),
}
HEADER_SIZE: Final = 24
COMMON_SNAPLEN: Final = 256 << 10
"""Records up to this many octets are believed, whatever the file header says (as libpcap does)."""
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class PcapHeader:
    """The header of a pcap file, and what follows from it for the records."""

    byte_order: str
    """"<" or ">", as `struct` writes it."""
    nanoseconds: bool
    """The second half of a time stamp counts nanoseconds, not microseconds."""
    snaplen: int
    link_type: int
    fcs_length: int
    """Octets of frame check sequence at the end of each packet, 0 where the header does not say."""
    modified: bool
    """Record headers are 24 octets long (Kuznetzov's patch), not 16."""
    header_size: int = HEADER_SIZE

    @property
    def record_header_size(self) -> int:
        """Octets before each packet."""
        return 24 if self.modified else 16

    @property
    def record_limit(self) -> int:
        """No record with more octets than this is believed."""
        return min(max(self.snaplen, COMMON_SNAPLEN), MAX_RECORD)

    @property
    def record_struct(self) -> Struct:
        """Seconds, fraction, captured octets, octets on the wire."""
        return Struct(self.byte_order + "IIII")

    def interface(self) -> Interface:
        """The one interface that a pcap file has."""
        return Interface(self.link_type, self.snaplen, multiplier=1 if self.nanoseconds else 1_000)


def is_pcap(buffer: bytes) -> bool:
    """Whether the first four octets are a pcap magic."""
    return buffer[:4] in PCAP_MAGICS


def parse_pcap_header(buffer: bytes) -> PcapHeader:
    """Read the file header at the start of `buffer`; raises WireError where it is none or is cut short."""
    magic = PCAP_MAGICS.get(bytes(buffer[:4]))
    if magic is None:
        raise WireError("no pcap magic", layer="pcap", offset=0)
    if len(buffer) < HEADER_SIZE:
        raise WireError(
            f"the file header needs {HEADER_SIZE} octets, {len(buffer)} are there",
            layer="pcap",
            offset=len(buffer),
            slug="truncated",
        )
    byte_order, nanoseconds, modified = magic
    snaplen, link = Struct(byte_order + "II").unpack_from(buffer, 16)
    # The upper bits of the field carry the FCS length in units of two octets, behind a flag (bit 26).
    fcs_length = (link >> 28) * 2 if link & 0x0400_0000 else 0
    return PcapHeader(byte_order, nanoseconds, snaplen, link & 0x03FF_FFFF, fcs_length, modified)


def _candidates(data: bytes, start: int, stop: int, byte_order: str, reference: int | None) -> Iterable[int]:
    """Offsets where a record header may begin: those whose seconds share their upper half with `reference`."""
    if reference is None:
        return range(start, stop)
    upper = reference >> 16
    halves = [value.to_bytes(2) for value in (upper - 1, upper, upper + 1) if 0 <= value <= 0xFFFF]
    if byte_order == ">":
        pattern = b"(?=" + b"|".join(re.escape(half) for half in halves) + b")"
        return (match.start() for match in re.compile(pattern).finditer(data, start, stop))
    pattern = b"(?=" + b"|".join(re.escape(half[::-1]) for half in halves) + b")"
    return (match.start() - 2 for match in re.compile(pattern).finditer(data, start + 2, stop + 2))


def find_record(data: bytes, start: int, header: PcapHeader, reference: int | None, final: bool = True) -> int | None:
    """Where the next believable record begins at or behind `start`, at most `SEARCH_WINDOW` octets on.

    Believable is a chain of three record headers with times within a day of `reference` (seconds; None where
    no time is known yet) and of each other; at the end of the file one that ends exactly there will do. Takes time
    linear in the window.
    """
    for offset in _candidates(data, start, min(len(data), start + SEARCH_WINDOW), header.byte_order, reference):
        if _chain(data, offset, header, reference, final):
            return offset
    return None


def _chain(data: bytes, offset: int, header: PcapHeader, reference: int | None, final: bool) -> bool:
    unpack, size = header.record_struct.unpack_from, header.record_header_size
    units = 1_000_000_000 if header.nanoseconds else 1_000_000
    end = len(data)
    # One record that ends with the file is believed by its time; where no time is known yet, two are needed.
    needed = 2 if reference is None else 1
    for links in range(3):
        if offset + size > end:
            return links >= needed and final and (offset == end or links == 2)
        seconds, fraction, captured, wire = unpack(data, offset)
        if fraction >= units or not 0 < captured <= COMMON_SNAPLEN or captured > wire or wire > MAX_RECORD:
            return False
        if reference is not None and abs(seconds - reference) > DAY:
            return False
        reference = seconds
        offset += size + captured
    return True


class PcapWalker(Walker):
    """Walks the records behind a pcap file header; feed it the file from its very start."""

    format = "pcap"

    def __init__(self, header: PcapHeader, notices: NoticeLog | None = None) -> None:
        super().__init__(notices)
        self.header = header
        self.interfaces.append(header.interface())
        self.last_seconds: int | None = None
        """The time of the record read last, by which the next one is judged."""
        self._skip = header.header_size

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        header = self.header
        unpack, size, limit = header.record_struct.unpack_from, header.record_header_size, header.record_limit
        units, scale = (1_000_000_000, 1) if header.nanoseconds else (1_000_000, 1_000)
        snaplen = header.snaplen or limit
        link_type, base, number, end = header.link_type, self.offset, self.packets, len(data)
        position = min(self._skip, end)
        self._skip -= position
        last = self.last_seconds
        while end - position >= size:
            seconds, fraction, captured, wire = unpack(data, position)
            stop = position + size + captured
            verdict = captured <= limit
            if verdict and (
                captured > wire
                or captured > snaplen
                or fraction >= units
                or not -DAY <= seconds - (seconds if last is None else last) <= DAY
            ):
                if stop + size > end and not final:
                    self._wanted = stop + size - position
                    break
                verdict = self._plausible_next(data, stop, seconds)
            if not verdict or (final and stop > end):
                self.last_seconds = last
                found = self._recover(data, position, final, truncated=verdict)
                if found is None:
                    break
                position = found
                continue
            if stop > end:
                self._wanted = stop - position
                break
            if captured > wire:
                self._tell_excess(number + 1, base + position, captured, wire)
                wire = captured
            number += 1
            packets.append(
                Packet(
                    seconds * 1_000_000_000 + fraction * scale,
                    link_type,
                    data[position + size : stop],
                    wire,
                    number,
                    0,
                    base + position,
                )
            )
            last = seconds
            position = stop
        self.last_seconds = last
        if final and 0 < end - position < size:
            self._tell_truncated(base + position, end - position)
            position = end
        return position

    def _plausible_next(self, data: bytes, offset: int, seconds: int) -> bool:
        """Whether an odd record may be believed: another one follows it, or the end of the file."""
        header = self.header
        if offset >= len(data):
            return offset == len(data)
        if offset + header.record_header_size > len(data):
            return True
        following, fraction, captured, _ = header.record_struct.unpack_from(data, offset)
        # Packets may be days apart, so a sane fraction of a second is as good as a time close by.
        sane = fraction < (1_000_000_000 if header.nanoseconds else 1_000_000) or abs(following - seconds) <= DAY
        return bool(captured <= header.record_limit and sane)

    def _recover(self, data: bytes, position: int, final: bool, truncated: bool) -> int | None:
        """Where to go on behind the damage at `position`, None where more octets are needed."""
        horizon = SEARCH_WINDOW + 3 * (COMMON_SNAPLEN + self.header.record_header_size)
        if not final and len(data) - position < horizon:
            self._wanted = horizon
            return None
        found = find_record(data, position + 1, self.header, self.last_seconds, final)
        offset = self.offset + position
        if found is not None:
            self.notices.add(
                "damaged-record",
                f"the record at offset {offset} is damaged; reading goes on {found - position} octets later",
                offset=offset,
            )
            return found
        if truncated:
            self._tell_truncated(offset, len(data) - position)
        else:
            self.notices.add(
                "damaged-record",
                f"the record at offset {offset} is damaged and no other follows within "
                f"{min(SEARCH_WINDOW, len(data) - position)} octets: the rest is not read",
                offset=offset,
            )
            self._stop_reading()
        return len(data)

    def _stop_reading(self) -> None:
        self._skip = 1 << 62

    def _tell_truncated(self, offset: int, octets: int) -> None:
        self.notices.add(
            "truncated-file",
            f"the file ends inside the record at offset {offset} ({octets} octets of it)",
            offset=offset,
        )

    def _tell_excess(self, frame: int, offset: int, captured: int, wire: int) -> None:
        self.notices.add(
            "captured-beyond-wire",
            f"frame {frame} says that {captured} octets of {wire} were captured",
            frame=frame,
            offset=offset,
        )
