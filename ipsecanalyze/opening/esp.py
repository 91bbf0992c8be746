"""Opens the ESP and AH of captures with given keys: `decrypt()`, and `Opening`, which keeps what became of each flow.

Streaming: memory depends on the number of flows, not of packets. Datagrams come from the scanner, so fragments, UDP
and TCP encapsulation are undone already. What is not opened has a reason (`reasons.py`), never an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Final

from ipsecanalyze._fast import make_flow_table, make_scanner
from ipsecanalyze._fast.contract import Limits, Scanner, ScanOptions
from ipsecanalyze.capture.packet import Datagram, DatagramKind
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.crypto.esp import OpenedEsp
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import CaptureError, DecryptError
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.keys import load_keys
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.complete import Path, complete_ring, has_ike, spooled
from ipsecanalyze.opening.inside import CONVERSATIONS, Inside
from ipsecanalyze.opening.keychain import KeyChain
from ipsecanalyze.opening.lane import Lane
from ipsecanalyze.opening.packets import PROTECTED, DecryptedPacket, Outer, ah_image, inner_packet

__all__ = ["Keys", "Opening", "as_ring", "decrypt", "open_file"]

#: What keys may be given as: a ring, a path, or paths.
Keys = KeyRing | Path | Iterable[Path]

_CHUNK: Final = 1 << 20
#: Notes on one flow.
_NOTES: Final = 8


def as_ring(keys: Keys | None) -> KeyRing:
    """A ring for what keys were given as. Raises KeyFileError where a path cannot be read."""
    if isinstance(keys, KeyRing):
        return keys
    return KeyRing() if keys is None else load_keys(keys)


class Opening:
    """Opens ESP and AH, datagram by datagram; `results()` says what came of it."""

    def __init__(self, ring: KeyRing, *, flows: int = Limits().flows, conversations: int = CONVERSATIONS) -> None:
        """Bounds: flows, and conversations inside of each."""
        self.chain = KeyChain(ring)
        self._conversations = conversations
        self._limit = flows
        self.lanes: dict[FlowKey, Lane] = {}
        """The flows so far."""
        self.dropped = 0
        """Packets of flows beyond the limit."""

    def lane(self, key: FlowKey) -> Lane | None:
        """The lane of a flow; None beyond the limit."""
        lane = self.lanes.get(key)
        if lane is None:
            if len(self.lanes) >= self._limit:
                return None
            lane = self.lanes[key] = Lane(key, self.chain, self._conversations)
        return lane

    def open(self, datagram: Datagram) -> DecryptedPacket | None:
        """Open a datagram; None for what is no ESP or AH, cannot be opened, or has no packet inside."""
        if datagram.kind is DatagramKind.ESP:
            return self._open(datagram, "ESP", 0, datagram.payload)
        if datagram.kind is DatagramKind.AH:
            missing = datagram.truncated or len(datagram.payload) < 12
            return self._open(datagram, "AH", 4, b"" if missing else ah_image(datagram))
        return None

    def _open(self, datagram: Datagram, protocol: str, start: int, packet: bytes) -> DecryptedPacket | None:
        payload = datagram.payload
        spi = int.from_bytes(payload[start : start + 4])
        key = (protocol, datagram.source, datagram.destination, spi, datagram.encapsulation)
        lane = self.lane(key)
        if lane is None:
            self.dropped += 1
            return None
        opened = lane.open(packet, datagram.length - len(payload))
        if opened is None:
            return None
        return self.unwrap(lane, opened, datagram)

    def unwrap(self, lane: Lane, opened: OpenedEsp, datagram: Datagram) -> DecryptedPacket | None:
        """Count what was opened, and make a packet of it; None where there is none in it."""
        protocol, _, _, spi, _ = lane.key
        if protocol == "AH" and opened.next_header in PROTECTED:
            lane.count(opened, None)  # it comes as a datagram of its own
            return None
        try:
            inner = inner_packet(opened, Outer.of(datagram))
        except DecryptError as error:
            lane.count_malformed()
            notes = lane.result.notes
            if error.reason not in notes and len(notes) < _NOTES:
                notes.append(error.reason)
            return None
        lane.count(opened, inner)
        if inner is None:
            return None
        at = 4 if protocol == "ESP" else 8
        sequence = (opened.sequence_high or 0) << 32 | int.from_bytes(datagram.payload[at : at + 4])
        return DecryptedPacket(
            inner, datagram.frame, datagram.time_ns, lane.key, spi, sequence, opened.next_header, datagram.capture
        )

    def take_part(
        self, key: FlowKey, result: FlowOpening, inside: Inside | None, unopened: int, keys: EspKeys | None
    ) -> None:
        """Put behind what is known of a flow what another process saw of the following piece of the capture."""
        lane = self.lanes.get(key)
        if lane is not None:
            lane.merge(result, inside, unopened)
            return
        lane = self.lanes[key] = Lane(key, self.chain, self._conversations)
        lane.restore(result, inside, unopened, keys)

    def results(self) -> dict[FlowKey, FlowOpening]:
        """What became of each flow, in order of their first packets."""
        return {key: lane.finish() for key, lane in self.lanes.items()}


def open_file(
    opening: Opening,
    path: Path,
    capture: int = 0,
    limits: Limits | None = None,
    progress: Callable[[int], None] | None = None,
    follow: Callable[[], bool] | None = None,
) -> Iterator[DecryptedPacket]:
    """The packets inside one capture. Raises CaptureError where it cannot be read."""
    limits = limits or Limits()
    options = ScanOptions(limits=limits, protected_datagrams=True)
    # Flows are counted by the scanner and thrown away.
    scanner = make_scanner(options, path=os.fspath(path), flows=make_flow_table(limits.flows, 16), capture=capture)
    with open_source(path, follow=follow) as source:
        while True:
            buffer = source.read(_CHUNK)
            for datagram in _fed(scanner, buffer, source.path):
                packet = opening.open(datagram)
                if packet is not None:
                    yield packet
            if not buffer:
                return
            if progress is not None:
                progress(source.consumed)


def _fed(scanner: Scanner, buffer: bytes, path: str) -> list[Datagram]:
    try:
        return scanner.feed(buffer, final=not buffer)
    except CaptureError as error:
        if error.path is None:
            raise CaptureError(str(error), path=path, offset=error.offset) from error
        raise


def decrypt(
    path_or_paths: Path | Iterable[Path], keys: Keys | None = None, *, limits: Limits | None = None
) -> Iterator[DecryptedPacket]:
    """The packets inside the ESP and AH of captures, in order, as far as the keys open them.

    `keys`: a `KeyRing`, or files and folders of any format that `load_keys` reads; keys in the captures themselves
    (pcapng Decryption Secrets Blocks) count too. Packets that cannot be opened are passed over: `analyze(…, keys=…)`
    tells why, flow by flow. Raises CaptureError or KeyFileError for what cannot be read.
    """
    paths: list[Path] = [path_or_paths] if isinstance(path_or_paths, str | os.PathLike) else list(path_or_paths)
    ring = as_ring(keys)
    with ExitStack() as stack:
        files = stack.enter_context(spooled(paths)) if has_ike(ring) else paths
        opening = Opening(complete_ring(files, ring), flows=(limits or Limits()).flows)
        for capture, path in enumerate(files):
            yield from open_file(opening, path, capture, limits)
