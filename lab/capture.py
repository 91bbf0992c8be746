"""Capturing on several interfaces at once into one pcapng: packets of all tcpdumps, with the names of the interfaces.

    with recording(engine, taps, stream, comment) as one:
        ...                      # all of them listen from here on
    one.counts                   # what each tcpdump said at its end

The octets are written by us, so the file belongs to whom we say; a packet is in it (or in the pipe) when it came.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import BinaryIO

from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.reader import HEAD, make_walker
from ipsecanalyze.capture.writer import write_capture
from ipsecanalyze.errors import CaptureError

from .engine import Engine
from .errors import LabError
from .tap import Counts, Stream, Tap, open_stream

__all__ = ["Recording", "recording"]

#: When nothing came for this long, what was sent has arrived; after the longest wait it is enough anyway.
_QUIET_SECONDS = 0.25
_LONGEST_DRAIN = 3.0


class Recording:
    """A capture under way."""

    def __init__(self, taps: Sequence[Tap], stream: BinaryIO, comment: str) -> None:
        self.taps = tuple(taps)
        self.counts: dict[str, Counts] = {}
        """Tap → what its tcpdump counted; complete when the recording has ended."""
        self.problem: BaseException | None = None
        """What ended the writing early: a reader that went away, a full disk."""
        self.ended = threading.Event()
        """Set when no more is written."""
        self._stream = stream
        self._comment = comment
        self._written: Counter[int] = Counter()
        self._queue: SimpleQueue[Packet | None] = SimpleQueue()
        self._streams: list[Stream] = []
        self._threads: list[threading.Thread] = []
        self._last = time.monotonic()

    def start(self, engine: Engine, image: str | None) -> None:
        """Start all tcpdumps; returns when all listen. Raises LabError."""
        try:
            for tap in self.taps:
                self._streams.append(open_stream(engine, tap, image))
        except BaseException:
            for stream in self._streams:
                stream.stop()
                stream.close()
            raise
        for place, stream in enumerate(self._streams):
            self._thread(self._pump, place, stream)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def stop(self) -> None:
        """Let what is under way arrive, end all tcpdumps, and write what they still had."""
        begun = time.monotonic()
        while time.monotonic() < min(self._last + _QUIET_SECONDS, begun + _LONGEST_DRAIN) and not self.ended.is_set():
            time.sleep(0.02)
        for stream in self._streams:
            stream.stop()
        for thread in self._threads:
            thread.join()
        counts = [stream.close() for stream in self._streams]
        self._queue.put(None)
        self._writer.join()
        for place, tap in enumerate(self.taps):
            self.counts[tap.label] = replace(counts[place], written=self._written[place])

    def wait(self, goes_on: Callable[[], bool]) -> None:
        """Return when the writing has ended (all tcpdumps did, or nobody reads on), or `goes_on` says no."""
        while goes_on() and not self.ended.wait(0.1) and any(thread.is_alive() for thread in self._threads):
            pass

    def _thread(self, target: Callable[[int, Stream], None], place: int, stream: Stream) -> None:
        thread = threading.Thread(target=target, args=(place, stream), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _pump(self, place: int, stream: Stream) -> None:
        """From one tcpdump's octets to packets."""
        head = b""
        while len(head) < HEAD and (piece := stream.read()):
            head += piece
        if len(head) < HEAD - 4:  # it ended before it had written the file's header, of 24 octets
            return
        walker = make_walker(head)
        packets = walker.feed(head)
        while True:
            for packet in packets:
                packet.interface = place
                self._queue.put(packet)
                self._last = time.monotonic()
            piece = stream.read()
            if not piece:
                return
            packets = walker.feed(piece)

    def _write(self) -> None:
        names = {place: tap.label for place, tap in enumerate(self.taps)}
        try:
            write_capture(self._stream, self._packets(), interface_names=names, comment=self._comment, link_type=1)
            self._stream.flush()
        except (OSError, ValueError, CaptureError) as error:
            self.problem = error
        finally:
            self.ended.set()

    def _packets(self) -> Iterator[Packet]:
        while True:
            try:
                packet = self._queue.get_nowait()
            except Empty:
                self._stream.flush()
                packet = self._queue.get()
            if packet is None:
                return
            yield packet
            self._written[packet.interface] += 1


@contextmanager
def recording(
    engine: Engine, taps: Sequence[Tap], stream: BinaryIO, comment: str, image: str | None = None
) -> Iterator[Recording]:
    """Capture on these taps into `stream` while the context lasts. Raises LabError where one does not start."""
    if not taps:
        raise LabError("there is nothing to capture on", slug="capture")
    one = Recording(taps, stream, comment)
    one.start(engine, image)
    try:
        yield one
    finally:
        one.stop()
