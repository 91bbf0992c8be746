"""The pcapng walker: sections, interfaces and packets from a stream of blocks, and the way on behind damage.

Sans-IO: octets in, `Packet`s out. Each section has its own byte order and interfaces; the walker's interfaces run
through all sections. Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Final

from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcapng_blocks import (
    BlockType,
    PacketBlock,
    is_pcapng,
    parse_enhanced_packet,
    parse_interface_block,
    parse_old_packet,
    parse_secrets,
    parse_section_header,
    parse_simple_packet,
    parse_statistics,
)
from ipsecanalyze.capture.walker import FARTHEST_NS, MAX_RECORD, SEARCH_WINDOW, Walker
from ipsecanalyze.errors import WireError

__all__ = ["PcapngWalker", "find_block", "is_pcapng"]

MAX_INTERFACES: Final = 4_096
MAX_COMMENTS: Final = 1_000
MAX_SECRETS: Final = 16 << 20
_KNOWN_TYPES: Final = {
    order: re.compile(
        b"(?=" + b"|".join(re.escape(Struct(order + "I").pack(kind)) for kind in BlockType) + b")", re.DOTALL
    )
    for order in "<>"
}


def _block_length(data: bytes, offset: int, byte_order: str) -> int:
    """The total length of the block at `offset`, 0 where it cannot be one; needs 12 octets of data there."""
    if data[offset : offset + 4] == b"\x0a\x0d\x0d\x0a":
        if not is_pcapng(data[offset : offset + 12]):
            return 0
        byte_order = ">" if data[offset + 8] == 0x1A else "<"
    length = int.from_bytes(data[offset + 4 : offset + 8], "big" if byte_order == ">" else "little")
    return length if 12 <= length <= MAX_RECORD and not length & 3 else 0


def find_block(data: bytes, start: int, byte_order: str) -> int | None:
    """Where the next whole block of a known type begins at or behind `start`, at most `SEARCH_WINDOW` octets on.

    It is believed when its two length fields agree. Takes time linear in the window.
    """
    stop = min(len(data), start + SEARCH_WINDOW)
    for match in _KNOWN_TYPES[byte_order].finditer(data, start, stop):
        offset = match.start()
        length = _block_length(data, offset, byte_order) if offset + 12 <= len(data) else 0
        end = offset + length
        if length and end <= len(data) and data[offset + 4 : offset + 8] == data[end - 4 : end]:
            return offset
    return None


class PcapngWalker(Walker):
    """Walks the blocks of a pcapng file; feed it the file from its very start."""

    format = "pcapng"

    def __init__(self, notices: NoticeLog | None = None) -> None:
        super().__init__(notices)
        self.byte_order = "<"
        """Of the section that is being read."""
        self.section_base = 0
        """Where the section's interfaces begin in `interfaces`."""
        self._dropped: dict[int, int] = {}
        self._secret_octets = 0
        self._last_time_ns = 0
        self._lost = False

    @property
    def dropped_packets(self) -> int | None:
        """The last figures of each interface, summed (pcapng isb_ifdrop + isb_osdrop); None where none are told."""
        return sum(self._dropped.values()) if self._dropped else None

    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        position, end = 0, len(data)
        while end - position >= 12:
            if self._lost:
                return end
            length = _block_length(data, position, self.byte_order)
            stop = position + length
            if length and stop > end and not final:
                self._wanted = length
                break
            if not length or stop > end or data[position + 4 : position + 8] != data[stop - 4 : stop]:
                found = self._recover(data, position, final, truncated=stop > end)
                if found is None:
                    break
                position = found
                continue
            self._block(data, position, stop, packets)
            position = stop
        if final and 0 < end - position < 12:
            self._tell_truncated(self.offset + position, end - position)
            position = end
        return position

    def _whole_block(self, data: bytes, position: int) -> int:
        """The length of the block at `position`; 0 where it is not all there, or not in order."""
        head = data[position : position + 12]
        if len(head) < 12:
            return 0
        order = self.byte_order
        if head[:4] == b"\x0a\x0d\x0d\x0a":
            order = ">" if head[8] == 0x1A else "<"
        length = int.from_bytes(head[4:8], "big" if order == ">" else "little")
        stop = position + length
        whole = 12 <= length <= MAX_RECORD and not length & 3 and stop <= len(data)
        return length if whole and data[stop - 4 : stop] == head[4:8] else 0

    def _block(self, data: bytes, position: int, stop: int, packets: list[Packet]) -> None:
        order = self.byte_order
        offset = self.offset + position
        kind = int.from_bytes(data[position : position + 4], "big" if order == ">" else "little")
        try:
            if kind == BlockType.ENHANCED_PACKET:
                self._packet(parse_enhanced_packet(data[position + 8 : stop - 4], order), offset, packets)
            elif kind == BlockType.SECTION_HEADER:
                self._section(data[position:stop])
            elif kind == BlockType.SIMPLE_PACKET:
                self._simple_packet(data[position + 8 : stop - 4], offset, packets)
            elif kind == BlockType.OLD_PACKET:
                self._packet(parse_old_packet(data[position + 8 : stop - 4], order), offset, packets)
            else:
                self._description(kind, data[position + 8 : stop - 4], offset)
        except WireError as error:
            self.notices.add("damaged-block", f"the block at offset {offset} is skipped: {error}", offset=offset)

    def _section(self, block: bytes) -> None:
        header = parse_section_header(block)
        self.byte_order = header.byte_order
        self.section_base = len(self.interfaces)
        self._comment(header.comments)

    def _description(self, kind: int, body: bytes, offset: int) -> None:
        """Blocks that describe the capture; unknown kinds and name resolution are skipped."""
        if kind == BlockType.INTERFACE:
            if len(self.interfaces) >= MAX_INTERFACES:
                self.notices.add_once("too-many-interfaces", f"more than {MAX_INTERFACES} interfaces", offset=offset)
                return
            interface = parse_interface_block(body, self.byte_order)
            self.interfaces.append(interface)
            self._comment(interface.comments)
        elif kind == BlockType.INTERFACE_STATISTICS:
            index, dropped, comments = parse_statistics(body, self.byte_order)
            # The counters run from the start of the capture, so the last block of an interface holds.
            if dropped is not None and index < len(self.interfaces) - self.section_base:
                self._dropped[self.section_base + index] = dropped
            self._comment(comments)
        elif kind == BlockType.DECRYPTION_SECRETS:
            secrets = parse_secrets(body, self.byte_order)
            self._secret_octets += len(body)
            if self._secret_octets <= MAX_SECRETS:
                self.decryption_secrets.append(secrets)
            else:
                self.notices.add_once(
                    "too-many-secrets", f"more than {MAX_SECRETS} octets of decryption secrets", offset=offset
                )

    def _simple_packet(self, body: bytes, offset: int, packets: list[Packet]) -> None:
        first = self.interfaces[self.section_base] if self.section_base < len(self.interfaces) else None
        self._packet(parse_simple_packet(body, self.byte_order, first.snaplen if first else 0), offset, packets)

    def _packet(self, block: PacketBlock, offset: int, packets: list[Packet]) -> None:
        index = self.section_base + block.interface
        if index >= len(self.interfaces):
            self.notices.add(
                "unknown-interface",
                f"the packet at offset {offset} is skipped: its section describes no interface {block.interface}",
                offset=offset,
            )
            return
        interface = self.interfaces[index]
        number = self.packets + len(packets) + 1
        if block.ticks is not None:
            self._last_time_ns = self._believable(interface.time_ns(block.ticks), number, offset)
        else:
            self.notices.add_once(
                "no-time-stamps",
                "Simple Packet Blocks have no time: they get that of the packet before them",
                frame=number,
                offset=offset,
            )
        captured = len(block.data)
        if captured > block.wire_length:
            self.notices.add(
                "captured-beyond-wire",
                f"frame {number} says that {captured} octets of {block.wire_length} were captured",
                frame=number,
                offset=offset,
            )
        packets.append(
            Packet(
                self._last_time_ns,
                interface.link_type,
                block.data,
                max(block.wire_length, captured),
                number,
                index,
                offset,
                block.comments,
            )
        )

    def _believable(self, time_ns: int, frame: int, offset: int) -> int:
        """The time, or the nearest that is not too far away."""
        if -FARTHEST_NS <= time_ns <= FARTHEST_NS:
            return time_ns
        self.notices.add_once(
            "time-out-of-range",
            f"frame {frame} says a time more than 146 years from 1970: such times are set to the nearest within",
            frame=frame,
            offset=offset,
        )
        return FARTHEST_NS if time_ns > 0 else -FARTHEST_NS

    def _comment(self, comments: tuple[str, ...]) -> None:
        room = MAX_COMMENTS - len(self.comments)
        self.comments.extend(comments[:room])
        if len(comments) > room:
            self.notices.add_once("too-many-comments", f"more than {MAX_COMMENTS} comments: the others are left out")

    def _recover(self, data: bytes, position: int, final: bool, truncated: bool) -> int | None:
        """Where to go on behind the damage at `position`, None where more octets are needed."""
        horizon = SEARCH_WINDOW + (256 << 10)
        if not final and len(data) - position < horizon:
            self._wanted = horizon
            return None
        offset = self.offset + position
        found = find_block(data, position + 1, self.byte_order)
        if found is not None:
            self.notices.add(
                "damaged-record",
                f"the block at offset {offset} is damaged; reading goes on {found - position} octets later",
                offset=offset,
            )
            return found
        if truncated:
            self._tell_truncated(offset, len(data) - position)
        else:
            self.notices.add(
                "damaged-record",
                f"the block at offset {offset} is damaged and no other follows within "
                f"{min(SEARCH_WINDOW, len(data) - position)} octets: the rest is not read",
                offset=offset,
            )
            self._lost = True
        return len(data)

    def _tell_truncated(self, offset: int, octets: int) -> None:
        self.notices.add(
            "truncated-file",
            f"the file ends inside the block at offset {offset} ({octets} octets of it)",
            offset=offset,
        )
