"""IKE and ESP in TCP (RFC 9329): TCP headers, and the table of connections that carry them.

A connection is followed when port 4500 is in it, or when it begins with the stream prefix `IKETCP`. The table is
bounded in connections and in octets; what goes is counted. The stream itself is `tcp_stream.py`'s.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ipsecanalyze.capture.conversations import Endpoint
from ipsecanalyze.capture.encapsulation import NAT_T_PORT, looks_like_ike
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.tcp_stream import PREFIX, Record, Segment, Stream, StreamState

__all__ = ["DirectedRecord", "TcpConnections"]

_PATIENCE: Final = 4
"""Segments that wait before an acknowledgement is taken as proof that the capture missed one."""
_BUSY_STREAMS: Final = 32
"""All connections together may hold as much as this many streams at their limit."""

DirectedRecord = tuple[Endpoint, Endpoint, Record]
"""(sender, receiver, message)."""


@dataclass(slots=True)
class _Connection:
    streams: dict[Endpoint, Stream] = field(default_factory=dict)
    """By sender."""
    originator: Endpoint | None = None
    """Who sent the SYN, or the stream prefix."""
    opening: int | None = None
    """The SYN's sequence number."""
    confirmed: bool = False
    """The stream prefix was seen."""
    ignored: bool = False
    """It began with something else: not IKE in TCP."""

    @property
    def held(self) -> int:
        return sum(stream.held for stream in self.streams.values())


class TcpConnections:
    """Follows the connections; `feed` takes the segments of one after another."""

    def __init__(self, notices: NoticeLog, connections: int = 1_024, stream_octets: int = 1 << 20) -> None:
        self.evicted = 0
        """Connections forgotten because of the limits."""
        self.gaps = 0
        """Places where the capture misses octets of a stream."""
        self._notices = notices
        self._limit = connections
        self._stream_octets = stream_octets
        self._held = 0
        self._table: OrderedDict[tuple[Endpoint, Endpoint], _Connection] = OrderedDict()
        self.on_new: Callable[[Endpoint, Endpoint], None] | None = None
        """Called for each connection that was not followed."""

    def pairs(self) -> list[tuple[Endpoint, Endpoint]]:
        """The connections that are followed."""
        return list(self._table)

    def wants(self, source: Endpoint, destination: Endpoint, data: bytes, start: int) -> bool:
        """Whether the segment whose payload begins at `data[start]` belongs to a connection that is followed."""
        if source[1] == NAT_T_PORT or destination[1] == NAT_T_PORT or data.startswith(PREFIX, start):
            return True
        return bool(self._table) and _key(source, destination) in self._table

    def feed(self, source: Endpoint, destination: Endpoint, segment: Segment) -> list[DirectedRecord]:
        """Take a segment from `source`; returns (sender, receiver, message) for all that became complete."""
        key = _key(source, destination)
        connection = self._table.get(key)
        if segment.reset:
            if connection is not None:
                self._forget(key)
            return []
        if segment.syn:
            self._open(key, connection, source, destination, segment)
            return []
        if connection is None:
            connection = self._follow(key)
        self._table.move_to_end(key)
        before = connection.held
        records: list[DirectedRecord] = []
        if not connection.ignored:
            records = self._data(connection, source, destination, segment)
        self._held += connection.held - before
        self._shrink()
        return records

    def finish(self) -> Iterator[DirectedRecord]:
        """No more packets will come: what still waits behind gaps, as far as it can be understood."""
        for key, connection in self._table.items():
            for sender, stream in connection.streams.items():
                receiver = key[1] if key[0] == sender else key[0]
                if stream.waiting and not connection.ignored:
                    losses = stream.losses
                    for record in stream.skip_gap():
                        yield sender, receiver, record
                    self._tell_losses(stream, losses, None)
                if stream.unfinished and connection.confirmed:
                    self._notices.add("tcp-unfinished", "the capture ends inside a message of an IKE TCP stream")
        self._table.clear()
        self._held = 0

    def _follow(self, key: tuple[Endpoint, Endpoint]) -> _Connection:
        if self.on_new is not None:
            self.on_new(*key)
        connection = self._table[key] = _Connection()
        return connection

    def _open(
        self,
        key: tuple[Endpoint, Endpoint],
        connection: _Connection | None,
        source: Endpoint,
        destination: Endpoint,
        segment: Segment,
    ) -> None:
        """SYN or SYN+ACK: whoever sends it begins a stream; a SYN that is no retransmission, a new connection."""
        answers = segment.acknowledgement is not None
        if connection is not None and not answers and connection.opening != segment.sequence:
            self._forget(key)
            connection = None
        if connection is None:
            connection = self._follow(key)
            self._shrink()
        if not answers:
            connection.opening = segment.sequence
        if connection.originator is None:
            connection.originator = destination if answers else source
        if source not in connection.streams:
            connection.streams[source] = Stream(segment.sequence + 1, StreamState.START)

    def _data(
        self, connection: _Connection, source: Endpoint, destination: Endpoint, segment: Segment
    ) -> list[DirectedRecord]:
        records: list[DirectedRecord] = []
        frame = segment.context.frame
        stream = connection.streams.get(source)
        if segment.length and (stream is None or stream.state is StreamState.START):
            stream = self._begin(connection, stream, source, destination, segment)
            if stream is None:
                return []
        if stream is not None and segment.length:
            losses = stream.losses
            found = stream.add(segment)
            if stream.held > self._stream_octets:
                found += stream.skip_gap()
            records = [(source, destination, record) for record in found]
            self._tell_losses(stream, losses, frame)
            connection.confirmed |= stream.prefixed
        other = connection.streams.get(destination)
        acknowledged = segment.acknowledgement
        if (
            other is not None
            and acknowledged is not None
            and other.waiting >= _PATIENCE
            and other.gap_before(other.unwrap(acknowledged))
        ):
            losses = other.losses
            records += [(destination, source, record) for record in other.skip_gap()]
            self._tell_losses(other, losses, frame)
        return records

    def _begin(
        self,
        connection: _Connection,
        stream: Stream | None,
        source: Endpoint,
        destination: Endpoint,
        segment: Segment,
    ) -> Stream | None:
        """The first octets of a direction: the prefix confirms the connection; what else it may be is judged here.

        None where the connection turns out to be something else.
        """
        payload = segment.payload
        at_start = stream is None or stream.unwrap(segment.sequence) == stream.position
        if at_start and payload.startswith(PREFIX):
            connection.confirmed, connection.originator = True, source
            if destination not in connection.streams and segment.acknowledgement is not None:
                # The responder sends nothing before the prefix, so its first octet is the one acknowledged.
                connection.streams[destination] = Stream(segment.acknowledgement, StreamState.START)
        if stream is None:
            state = StreamState.START if payload.startswith(PREFIX) else StreamState.SEEK
            stream = connection.streams[source] = Stream(segment.sequence, state)
            return stream
        if not at_start or connection.confirmed or (stream.unfinished or PREFIX.startswith(payload)):
            return stream
        # The stream's very first octets, and no prefix was seen: believed only if they are strictly IKE.
        if connection.originator == source and not looks_like_ike(payload, 6, len(payload), segment.length - 6):
            connection.ignored = True
            connection.streams.clear()
            self._notices.add(
                "tcp-not-ike",
                "a TCP connection on port 4500 does not begin with the IKETCP prefix: not followed",
                frame=segment.context.frame,
            )
            return None
        stream.state = StreamState.SEEK
        return stream

    def _tell_losses(self, stream: Stream, before: int, frame: int | None) -> None:
        for _ in range(stream.losses - before):
            self.gaps += 1
            self._notices.add("tcp-gap", "the capture misses octets of an IKE TCP stream", frame=frame)

    def _forget(self, key: tuple[Endpoint, Endpoint]) -> None:
        self._held -= self._table.pop(key).held

    def _shrink(self) -> None:
        while len(self._table) > self._limit or self._held > self._stream_octets * _BUSY_STREAMS:
            self._forget(next(iter(self._table)))
            self.evicted += 1
            self._notices.add_once("streams-dropped", "too many TCP streams at a time: the oldest are forgotten")


def _key(one: Endpoint, other: Endpoint) -> tuple[Endpoint, Endpoint]:
    return (one, other) if one <= other else (other, one)
