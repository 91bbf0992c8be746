"""One direction of a TCP connection that carries IKE and ESP: segments in, framed messages out.

Sorts segments that came out of order, drops what was sent twice, and takes the stream apart by RFC 9329's length
fields. Where the beginning of a message was lost it is found again only by strict signs. Positions are sequence
numbers counted on beyond 32 bits, so nothing here wraps. Source: RFC 9329 §3, §4.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ipsecanalyze.capture.encapsulation import NON_ESP_MARKER, looks_like_ike

__all__ = ["PREFIX", "Record", "Segment", "SegmentContext", "Stream", "StreamState"]

PREFIX: Final = b"IKETCP"
OVERHEAD: Final = 256
"""What a segment that waits costs beside its octets."""
_SMALLEST_ESP: Final = 10


@dataclass(frozen=True, slots=True)
class SegmentContext:
    """What a datagram inherits from the packet of its last segment."""

    frame: int
    time_ns: int
    ttl: int
    traffic_class: int
    dont_fragment: bool
    ip_id: int
    vlan: tuple[int, ...]
    fragments: int
    interface: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment; `payload` is what was captured of `length` octets."""

    sequence: int
    acknowledgement: int | None
    syn: bool
    reset: bool
    payload: bytes
    length: int
    context: SegmentContext


@dataclass(frozen=True, slots=True)
class Record:
    """One message of the stream, without its length field (but with the non-ESP marker)."""

    payload: bytes
    length: int
    context: SegmentContext
    inferred: bool


class StreamState(Enum):
    """How the next octet of the stream is to be understood."""

    START = auto()
    """The stream prefix, or the first length field."""
    FRAMED = auto()
    """A length field or the message behind it."""
    SEEK = auto()
    """Not known: the start of a message is looked for at the start of each segment."""


class Stream:
    """One direction. `held` octets are kept, in order or waiting for a segment before them."""

    __slots__ = (
        "_arrivals",
        "_buffer",
        "_candidate",
        "_holes",
        "_spi",
        "_waiting",
        "held",
        "inferred",
        "losses",
        "position",
        "prefixed",
        "state",
    )

    def __init__(self, position: int, state: StreamState) -> None:
        self.position = position
        """Of the octet that is expected next."""
        self.state = state
        self.inferred = False
        self.prefixed = False
        """It began with the stream prefix."""
        self.losses = 0
        """How often the start of the next message became unknown."""
        self.held = 0
        self._arrivals = 0
        self._buffer = bytearray()
        self._holes: list[tuple[int, int]] = []
        self._waiting: list[tuple[int, int, bytes, int, SegmentContext]] = []
        self._spi = b""
        self._candidate: list[Record] = []

    @property
    def waiting(self) -> int:
        """Segments that wait for one before them."""
        return len(self._waiting)

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun that is not complete."""
        return bool(self._buffer)

    def unwrap(self, sequence: int) -> int:
        """The position of a 32-bit sequence number: the nearest to what is expected."""
        return self.position + ((sequence - self.position + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000

    def add(self, segment: Segment) -> list[Record]:
        """Take a segment with payload; returns the messages that it completes."""
        position = self.unwrap(segment.sequence)
        records: list[Record] = []
        if position > self.position:
            self._arrivals += 1
            item = (position, self._arrivals, segment.payload, segment.length, segment.context)
            heapq.heappush(self._waiting, item)
            self.held += len(segment.payload) + OVERHEAD
            return records
        self._deliver(position, segment.payload, segment.length, segment.context, records)
        self._drain(records, segment.context)
        return records

    def gap_before(self, position: int) -> bool:
        """Whether the other side acknowledged up to `position` what the capture has not seen."""
        return bool(self._waiting) and self._waiting[0][0] <= position

    def skip_gap(self) -> list[Record]:
        """Give up what is missing before the waiting segments, and go on with them."""
        records: list[Record] = []
        while self._waiting:
            self._lose()
            self.position = max(self.position, self._waiting[0][0])
            self._drain(records, None)
        return records

    def _drain(self, records: list[Record], context: SegmentContext | None) -> None:
        """Deliver what waited and fits now; `context` is of the segment that filled the hole."""
        while self._waiting and self._waiting[0][0] <= self.position:
            position, _, payload, length, own = heapq.heappop(self._waiting)
            self.held -= len(payload) + OVERHEAD
            self._deliver(position, payload, length, context or own, records)

    def _deliver(
        self, position: int, payload: bytes, length: int, context: SegmentContext, records: list[Record]
    ) -> None:
        """Append what is new of a segment that begins at or before the expected position."""
        known = self.position - position
        if known >= length:
            return
        payload, length = payload[known:], length - known
        if self.state is StreamState.SEEK and not self._synchronise(payload, length, context, records):
            self.position += length
            return
        missing = length - len(payload)
        if missing:
            self._holes.append((self.position + len(payload), self.position + length))
        self._buffer += payload
        self._buffer += bytes(missing)
        self.position += length
        self.held += length
        self._take_messages(context, records)

    def _take_messages(self, context: SegmentContext, records: list[Record]) -> None:
        if self.state is StreamState.START and not self._start():
            return
        buffer = self._buffer
        while len(buffer) >= 2 and self.state is StreamState.FRAMED:
            begin = self.position - len(buffer)
            valid = self._valid(begin)
            size = buffer[0] << 8 | buffer[1]
            if valid < 2 or size < 2:
                self._lose()
                return
            if len(buffer) < size:
                return
            payload = bytes(buffer[2 : min(size, valid)])
            self._consume(size)
            if size > 2:
                self._spi = payload[:4] if payload[:3] != b"\0\0\0" else self._spi
                records.append(Record(payload, size - 2, context, self.inferred))

    def _start(self) -> bool:
        """The stream prefix, which the originator sends and nobody else need send."""
        head = bytes(self._buffer[: len(PREFIX)])
        if head == PREFIX:
            self._consume(len(PREFIX))
            self.prefixed = True
        elif PREFIX.startswith(head):
            return False
        self.state = StreamState.FRAMED
        return True

    def _consume(self, size: int) -> None:
        del self._buffer[:size]
        self.held -= size
        begin = self.position - len(self._buffer)
        self._holes = [hole for hole in self._holes if hole[1] > begin]

    def _valid(self, begin: int) -> int:
        """Octets from `begin` up to the first that the snap length cut."""
        return self._holes[0][0] - begin if self._holes else len(self._buffer)

    def _lose(self) -> None:
        """The start of the next message is not known any more."""
        self.losses += 1
        self.held -= len(self._buffer)
        self._buffer.clear()
        self._holes.clear()
        self.state = StreamState.SEEK

    def _synchronise(self, payload: bytes, length: int, context: SegmentContext, records: list[Record]) -> bool:
        """Whether a message surely begins with this segment: IKE by its strict look, ESP by an SPI seen before.

        An SPI counts as seen when it was in this stream before, or in an earlier segment that whole messages fill
        exactly; that segment's messages are given out then.
        """
        size, spi = int.from_bytes(payload[:2]), payload[2:6]
        if spi == NON_ESP_MARKER:
            found = looks_like_ike(payload, 6, min(size, len(payload)), size - 6)
        else:
            found = bool(self._spi) and spi == self._spi and size >= _SMALLEST_ESP
        if found:
            records.extend(self._candidate)
            self._candidate = []
            self.state, self.inferred = StreamState.FRAMED, True
        elif not self._candidate and (frames := _exact_frames(payload, length)):
            self._spi = spi
            self._candidate = [Record(payload[a:b], b - a, context, True) for a, b in frames]
        return found


def _exact_frames(payload: bytes, length: int) -> list[tuple[int, int]]:
    """The messages of a segment that consists of whole ones, all looking like ESP; else nothing."""
    frames: list[tuple[int, int]] = []
    offset = 0
    while offset < len(payload):
        size = int.from_bytes(payload[offset : offset + 2])
        if size < _SMALLEST_ESP or payload[offset + 2 : offset + 5] == b"\0\0\0":
            return []
        frames.append((offset + 2, offset + size))
        offset += size
    return frames if offset == length == len(payload) else []
