"""One capture point: what a capture has of each SA, packet by packet, and of IKE messages.

A packet of ESP or AH is told by its SPI and sequence number, an IKE message by its header and its octets: neither is
changed on the way, not even by a NAT. 28 octets are kept of each ESP or AH packet; beyond a limit packets are counted
only.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from zlib import crc32

from ipsecanalyze._fast import make_flow_table, make_scanner
from ipsecanalyze._fast.contract import CaptureFacts, Limits, ScanOptions
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.errors import CaptureError

__all__ = ["MOST_PACKETS", "IkeCopy", "IkeKey", "Point", "Track", "read_point"]

#: ESP and AH packets of a capture that are remembered, and IKE messages.
MOST_PACKETS = 5_000_000
MOST_IKE = 200_000
#: SAs that are told apart.
_MOST_TRACKS = 100_000
_VARIANTS = 16
#: Packets of an SA of which the octets are remembered, to know it again where others have its SPI.
_DIGESTS, _DIGESTED = 64, 24
_CHUNK = 1 << 20
_MASK, _HALF = 0xFFFF_FFFF, 0x8000_0000


@dataclass(slots=True)
class Track:
    """The packets of one SA from one address to another, in order of capture."""

    protocol: str
    spi: int
    source: str
    destination: str
    numbers: array[int] = field(default_factory=lambda: array("q"))
    """Sequence numbers, unwrapped to 64 bits."""
    times: array[int] = field(default_factory=lambda: array("q"))
    """Nanoseconds since 1970."""
    frames: array[int] = field(default_factory=lambda: array("L"))
    sizes: array[int] = field(default_factory=lambda: array("i"))
    """Octets from the ESP or AH header on, on the wire; negative where the packet may be fragmented (no DF)."""
    ports: tuple[tuple[int, int], ...] = ()
    """In order of appearance (the first ones)."""
    encapsulations: tuple[Encapsulation, ...] = ()
    ttls: dict[int, int] = field(default_factory=dict)
    digests: dict[int, int] = field(default_factory=dict)
    """Number → checksum of the octets, of the first packets."""

    def take(self, datagram: Datagram, number: int) -> None:
        """Take the next packet."""
        if self.numbers:
            last = self.numbers[-1]
            number = last + ((number - last + _HALF) & _MASK) - _HALF
        self.numbers.append(number)
        self.times.append(datagram.time_ns)
        self.frames.append(datagram.frame)
        whole = datagram.dont_fragment or ":" in self.source
        self.sizes.append(datagram.length if whole else -datagram.length)
        self.ttls[datagram.ttl] = self.ttls.get(datagram.ttl, 0) + 1
        pair = datagram.source_port, datagram.destination_port
        if pair not in self.ports and len(self.ports) < _VARIANTS:
            self.ports = (*self.ports, pair)
        if datagram.encapsulation not in self.encapsulations:
            self.encapsulations = (*self.encapsulations, datagram.encapsulation)
        if len(self.digests) < _DIGESTS:
            self.digests.setdefault(number & _MASK, crc32(datagram.payload[:_DIGESTED]))

    @property
    def ttl(self) -> int:
        """The TTL that most packets have."""
        return max(self.ttls, key=lambda ttl: (self.ttls[ttl], ttl))


class IkeCopy(NamedTuple):
    """One transmission of an IKE message."""

    time_ns: int
    frame: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    ttl: int


#: SPIs, version, exchange type, flags, message ID, checksum of the octets.
IkeKey: TypeAlias = tuple[bytes, int, int, int, int, int]


@dataclass(slots=True)
class Point:
    """What one capture has."""

    facts: CaptureFacts
    tracks: dict[tuple[str, int, str, str], Track] = field(default_factory=dict)
    ike: dict[IkeKey, list[IkeCopy]] = field(default_factory=dict)
    packets: int = 0
    """ESP and AH packets that are remembered."""
    left_out: int = 0
    """Packets and messages beyond the limits."""
    _messages: int = 0

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """(source, destination) of everything."""
        found = {(track.source, track.destination) for track in self.tracks.values()}
        return found | {(copy.source, copy.destination) for copies in self.ike.values() for copy in copies}

    def take(self, datagram: Datagram, most: int) -> None:
        """Take a datagram."""
        if datagram.kind is DatagramKind.ESP:
            self._take_protected("ESP", datagram, 0, most)
        elif datagram.kind is DatagramKind.AH:
            self._take_protected("AH", datagram, 4, most)
        elif datagram.kind is DatagramKind.IKE:
            self._take_ike(datagram)

    def _take_protected(self, protocol: str, datagram: Datagram, at: int, most: int) -> None:
        payload = datagram.payload
        if len(payload) < at + 8:
            return
        if self.packets >= most:
            self.left_out += 1
            return
        spi, number = int.from_bytes(payload[at : at + 4]), int.from_bytes(payload[at + 4 : at + 8])
        key = protocol, spi, datagram.source, datagram.destination
        track = self.tracks.get(key)
        if track is None:
            if len(self.tracks) >= _MOST_TRACKS:
                self.left_out += 1
                return
            track = self.tracks[key] = Track(*key)
        track.take(datagram, number)
        self.packets += 1

    def _take_ike(self, datagram: Datagram) -> None:
        payload = datagram.payload
        if len(payload) < 28 or self._messages >= MOST_IKE:
            self.left_out += len(payload) >= 28
            return
        self._messages += 1
        # Cut messages are equal as far as they go only if both captures cut them alike.
        version, exchange, flags = payload[17:20]
        key = bytes(payload[:16]), version, exchange, flags, int.from_bytes(payload[20:24]), crc32(payload)
        self.ike.setdefault(key, []).append(
            IkeCopy(
                datagram.time_ns,
                datagram.frame,
                datagram.source,
                datagram.source_port,
                datagram.destination,
                datagram.destination_port,
                datagram.ttl,
            )
        )


def read_point(
    path: str,
    capture: int = 0,
    *,
    name: str | None = None,
    most: int = MOST_PACKETS,
    progress: Callable[[int], None] | None = None,
) -> Point:
    """What the capture at `path` ("-" is standard input) has, in one pass. Raises CaptureError."""
    flows = make_flow_table(Limits().flows, 16)  # counted by the scanner, and thrown away
    scanner = make_scanner(ScanOptions(protected_datagrams=True), path=name or path, flows=flows, capture=capture)
    point = Point(scanner.facts)
    with open_source(path) as source:
        while True:
            buffer = source.read(_CHUNK)
            try:
                found = scanner.feed(buffer, final=not buffer)
            except CaptureError as error:
                raise error if error.path is not None else CaptureError(str(error), path=name or path) from error
            for datagram in found:
                point.take(datagram, most)
            if not buffer:
                break
            if progress is not None:
                progress(source.consumed)
    # Some facts are known at the end only.
    point.facts = scanner.facts
    return point
