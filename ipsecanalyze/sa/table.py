"""The table of IKE SAs: finding the one that a message belongs to, making new ones, and its limits.

An IKE SA is known by its pair of SPIs, whatever the addresses: moves to port 4500, new NAT mappings and MOBIKE change
nothing. A first message has no responder SPI yet; it is known by the initiator's SPI and address, so that the same
SPI from two addresses is two attempts. The table reads headers only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.sa.records import IkeSa, MessageRecord, Peer, State
from ipsecanalyze.sa.track import Track

__all__ = ["SaTable"]

#: How long after a COOKIE or INVALID_KE_PAYLOAD another SPI from the same address continues the attempt.
_RETRY_NS = 10 * 1_000_000_000


class SaTable:
    """IKE SAs by SPIs.

    At most `half_open` attempts that never got past their first exchange are kept, the oldest is dropped first;
    at most `ike_sas` in all, where attempts give way and nothing else does. `on_drop` gets the records of what is
    dropped.
    """

    def __init__(self, half_open: int, ike_sas: int, on_drop: Callable[[list[MessageRecord]], None]) -> None:
        self._half_open_limit = max(1, half_open)
        self._limit = max(1, ike_sas)
        self._on_drop = on_drop
        self._tracks: dict[str, Track] = {}
        # Ordered: taking the first entry of a plain dict again and again is quadratic.
        self._unproven: OrderedDict[str, Track] = OrderedDict()
        self._by_pair: dict[tuple[int, int], Track] = {}
        self._by_first: dict[tuple[int, str], Track] = {}
        self._by_retry: dict[tuple[str, str], Track] = {}
        self._made = 0
        self.dropped = 0
        """Attempts that the limits pushed out."""
        self.refused = 0
        """Messages for which no IKE SA could be made any more."""

    def __len__(self) -> int:
        return len(self._tracks)

    def tracks(self) -> list[Track]:
        """All IKE SAs, in order of their first message."""
        return list(self._tracks.values())

    def by_pair(self, spi_i: int, spi_r: int) -> Track | None:
        """The IKE SA with these SPIs."""
        return self._by_pair.get((spi_i, spi_r))

    def by_first(self, spi_i: int, address: str) -> Track | None:
        """The attempt with this initiator SPI from this initiator's address."""
        return self._by_first.get((spi_i, address))

    def retried(self, initiator: str, responder: str, time_ns: int) -> Track | None:
        """The attempt between these addresses that was just asked for a cookie or another group."""
        if not self._by_retry:
            return None
        track = self._by_retry.get((initiator, responder))
        return track if track is not None and time_ns - track.sa.last_time_ns <= _RETRY_NS else None

    def new(
        self, datagram: Datagram, version: str, spi_i: int, spi_r: int, *, from_initiator: bool, late: bool
    ) -> Track | None:
        """Make an IKE SA for its first message; None where the table is full of proven ones."""
        if len(self._tracks) >= self._limit or len(self._unproven) >= self._half_open_limit:
            oldest = next(iter(self._unproven.values()), None)
            if oldest is None:
                self.refused += 1
                return None
            self._drop(oldest)
        self._made += 1
        source, destination = datagram.source, datagram.destination
        if from_initiator:
            initiator = Peer(source, datagram.source_port, spi_i)
            responder = Peer(destination, datagram.destination_port, spi_r)
        else:
            initiator = Peer(destination, datagram.destination_port, spi_i)
            responder = Peer(source, datagram.source_port, spi_r)
        sa = IkeSa(f"ike-{self._made}", version, None, State.HALF_OPEN, initiator, responder)
        sa.first_time_ns = datagram.time_ns
        sa.started_late = late
        track = Track(sa, (spi_i, spi_r))
        self._tracks[sa.id] = track
        self._unproven[sa.id] = track
        if spi_r:
            self._by_pair[spi_i, spi_r] = track
        if not late:
            track.initial_key = (spi_i, initiator.address)
            self._by_first[track.initial_key] = track
        return track

    def bind(self, track: Track, spi_r: int) -> None:
        """The responder answered under its own SPI."""
        if track.spi_pair[1] == 0:
            track.spi_pair = (track.spi_pair[0], spi_r)
            track.sa.responder.spi = spi_r
            self._by_pair[track.spi_pair] = track

    def rename(self, track: Track, spi_i: int) -> None:
        """The initiator goes on under another SPI after a cookie or another group was asked for."""
        self._forget_first(track)
        track.spi_pair = (spi_i, track.spi_pair[1])
        track.sa.initiator.spi = spi_i
        track.initial_key = (spi_i, track.sa.initiator.address)
        self._by_first[track.initial_key] = track

    def expect_retry(self, track: Track) -> None:
        """Another first message may follow, perhaps under another SPI."""
        self._end_retry(track)
        track.retry_key = (track.sa.initiator.address, track.sa.responder.address)
        self._by_retry[track.retry_key] = track

    def answered(self, track: Track) -> None:
        """The responder took a proposal: no other SPI will follow."""
        track.was_answered = True
        self._end_retry(track)

    def prove(self, track: Track) -> None:
        """Both sides went beyond the first exchange: no flood pushes it out any more."""
        track.is_proven = True
        self._unproven.pop(track.sa.id, None)

    def _drop(self, track: Track) -> None:
        self.dropped += 1
        del self._tracks[track.sa.id]
        self._unproven.pop(track.sa.id, None)
        if self._by_pair.get(track.spi_pair) is track:
            del self._by_pair[track.spi_pair]
        self._forget_first(track)
        self._end_retry(track)
        self._on_drop(track.records)

    def _forget_first(self, track: Track) -> None:
        key = track.initial_key
        if key is not None and self._by_first.get(key) is track:
            del self._by_first[key]

    def _end_retry(self, track: Track) -> None:
        key = track.retry_key
        if key is not None:
            track.retry_key = None
            if self._by_retry.get(key) is track:
                del self._by_retry[key]
