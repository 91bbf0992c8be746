"""Reassembly of IP fragments, bounded in datagrams and octets.

Of overlapping IPv4 fragments the octets that came first win, and the overlap is told; an IPv6 datagram with
overlapping fragments is dropped (RFC 5722). Exact duplicates are ignored. Time is that of the capture: 30 s for IPv4
(RFC 791 leaves it open, Linux takes 30), 60 s for IPv6 (RFC 8200 §4.5).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from ipsecanalyze.capture.ip import Fragment, IpPacket, extension_headers
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.errors import WireError

__all__ = ["FragmentCounts", "Reassembler"]

TIMEOUT_NS: Final = {4: 30_000_000_000, 6: 60_000_000_000}
OVERHEAD: Final = 128
"""What a fragment costs beside its octets: tiny ones must not get around the limit."""

_Key = tuple[bytes, bytes, int, int, object]


@dataclass(slots=True)
class FragmentCounts:
    """What became of fragmented datagrams."""

    completed: int = 0
    incomplete: int = 0
    """Given up: timed out, pushed out by a limit, or unfinished at the end."""
    overlaps: int = 0
    duplicates: int = 0
    evicted: int = 0
    """Pushed out by a limit (also counted as incomplete)."""


@dataclass(slots=True)
class _Partial:
    """A datagram under reassembly: pieces sorted by offset that do not overlap."""

    version: int
    time_ns: int
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    """As captured: shorter than `end - start` where the snap length cut them."""
    covered: int = 0
    total: int | None = None
    first: IpPacket | None = None
    fragments: int = 0
    cost: int = 0
    dropped: bool = False
    """An IPv6 datagram whose fragments overlap: swallows what still comes."""


class Reassembler:
    """Takes fragments, gives whole packets."""

    def __init__(self, notices: NoticeLog, datagrams: int = 4_096, octets: int = 16 << 20) -> None:
        self.counts = FragmentCounts()
        self._notices = notices
        self._max_datagrams = datagrams
        self._max_octets = octets
        self._octets = 0
        self._partials: OrderedDict[_Key, _Partial] = OrderedDict()

    def add(self, packet: IpPacket, time_ns: int, frame: int, scope: object = None) -> IpPacket | None:
        """Take one fragment; returns the whole packet when it was the last missing.

        `scope` keeps apart what cannot belong together (VLAN, interface). Raises WireError for a fragment that cannot
        be: empty, not of a multiple of eight octets, or beyond the largest datagram.
        """
        fragment = packet.fragment
        if fragment is None:
            return packet
        self._check(packet, fragment)
        # RFC 8200 §4.5: IPv6 fragments belong together whatever their next header says.
        protocol = packet.protocol if packet.version == 4 else -1
        key = (packet.source, packet.destination, protocol, fragment.identification, scope)
        self._expire(time_ns)
        partial = self._partials.get(key)
        if partial is not None and time_ns - partial.time_ns > TIMEOUT_NS[packet.version]:
            self._give_up(key)
            partial = None
        if partial is None:
            partial = self._partials[key] = _Partial(packet.version, time_ns)
        if partial.dropped:
            return None
        before = partial.cost
        self._insert(partial, packet, fragment, frame)
        self._octets += partial.cost - before
        if partial.total == partial.covered and not partial.dropped:
            del self._partials[key]
            self._octets -= partial.cost
            self.counts.completed += 1
            return _join(partial)
        self._shrink(frame)
        return None

    def finish(self) -> None:
        """No more packets will come: what is unfinished is counted as incomplete."""
        self.counts.incomplete += len(self._partials)
        self._partials.clear()
        self._octets = 0

    @staticmethod
    def _check(packet: IpPacket, fragment: Fragment) -> None:
        layer, offset = f"ipv{packet.version}", packet.start
        if packet.length == 0 or (fragment.more and packet.length % 8):
            raise WireError(f"fragment of {packet.length} octets", layer=layer, offset=offset)
        if fragment.offset + packet.length > 0xFFFF:
            raise WireError("fragment beyond the largest datagram", layer=layer, offset=offset)

    def _insert(self, partial: _Partial, packet: IpPacket, fragment: Fragment, frame: int) -> None:
        start, end = fragment.offset, fragment.offset + packet.length
        data = packet.data[packet.start : packet.end]
        starts, ends = partial.starts, partial.ends
        at = bisect_left(starts, start)
        overlaps = (at > 0 and ends[at - 1] > start) or (at < len(starts) and starts[at] < end)
        if overlaps and at < len(starts) and starts[at] == start and ends[at] == end and partial.pieces[at] == data:
            self.counts.duplicates += 1
            return
        beyond = partial.total is not None and (end > partial.total or (not fragment.more and end != partial.total))
        short = not fragment.more and bool(ends) and ends[-1] > end
        if overlaps or beyond or short:
            self._overlap(partial, packet.version, frame, "overlap" if overlaps else "disagree where the datagram ends")
            if beyond or short or partial.dropped:
                return
        if not fragment.more:
            partial.total = end
        if start == 0 and partial.first is None:
            # The buffer of the frame is not kept, only the header.
            partial.first = replace(packet, data=b"", fragment=None)
            partial.cost += sum(len(octets) + OVERHEAD for _, octets in packet.extensions)
        partial.fragments += 1
        if overlaps:
            self._fill(partial, start, end, data)
        else:
            _put(partial, at, start, end, data)

    def _overlap(self, partial: _Partial, version: int, frame: int, what: str) -> None:
        self.counts.overlaps += 1
        self._notices.add("overlapping-fragments", f"IPv{version} fragments {what}", frame=frame)
        if version == 6:
            partial.dropped = True
            partial.cost = OVERHEAD
            partial.starts, partial.ends, partial.pieces = [], [], []

    @staticmethod
    def _fill(partial: _Partial, start: int, end: int, data: bytes) -> None:
        """Put in what the pieces that came before leave open between `start` and `end`."""
        position = start
        at = bisect_left(partial.starts, start)
        if at and partial.ends[at - 1] > position:
            position = partial.ends[at - 1]
        while position < end:
            following = partial.starts[at] if at < len(partial.starts) else end
            stop = min(following, end)
            if stop > position:
                _put(partial, at, position, stop, data[position - start : stop - start])
                at += 1
            if stop == end:
                break
            position = partial.ends[at]
            at += 1

    def _expire(self, time_ns: int) -> None:
        while self._partials:
            key, partial = next(iter(self._partials.items()))
            if time_ns - partial.time_ns <= TIMEOUT_NS[partial.version]:
                return
            self._give_up(key)

    def _shrink(self, frame: int) -> None:
        while self._partials and (len(self._partials) > self._max_datagrams or self._octets > self._max_octets):
            self._give_up(next(iter(self._partials)))
            self.counts.evicted += 1
            self._notices.add_once(
                "fragments-dropped", "too many fragmented datagrams at a time: the oldest are given up", frame=frame
            )

    def _give_up(self, key: _Key) -> None:
        self._octets -= self._partials.pop(key).cost
        self.counts.incomplete += 1


def _put(partial: _Partial, at: int, start: int, end: int, data: bytes) -> None:
    partial.starts.insert(at, start)
    partial.ends.insert(at, end)
    partial.pieces.insert(at, data)
    partial.covered += end - start
    partial.cost += len(data) + OVERHEAD


def _join(partial: _Partial) -> IpPacket:
    """The whole packet; where the snap length cut a piece, the octets up to there. Raises WireError."""
    pieces: list[bytes] = []
    for start, end, piece in zip(partial.starts, partial.ends, partial.pieces, strict=True):
        pieces.append(piece)
        if len(piece) < end - start:
            break
    data = b"".join(pieces)
    first, total = partial.first, partial.total
    assert first is not None and total is not None  # noqa: S101, PT018 - all of 0..total is covered
    whole = replace(first, data=data, start=0, end=len(data), length=total, fragments=partial.fragments)
    if whole.version == 6:
        extension_headers(whole)
    return whole
