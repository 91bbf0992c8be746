"""What both scanners are: a walker over the records, an intake, and what is known of the capture.

The two differ in the walkers and the intake that they are made of; reading, facts and errors are the same here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from ipsecanalyze._fast.contract import CaptureFacts, ScanOptions
from ipsecanalyze._fast.intake import Intake
from ipsecanalyze._fast.shortpath import Verdict
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, Packet, PacketKind
from ipsecanalyze.capture.reader import HEAD, make_walker
from ipsecanalyze.capture.source import Source, open_source
from ipsecanalyze.capture.walker import Walker
from ipsecanalyze.errors import CaptureError
from ipsecanalyze.esp.flow import FlowTable

__all__ = ["BaseScanner"]

CHUNK: Final = 1 << 20


class BaseScanner(ABC):
    """Scans one capture; see `contract.Scanner`.

    `flows` is complete after `flush()`, and after the last octets were fed; in between, packets may wait.
    """

    def __init__(self, options: ScanOptions | None, path: str, flows: FlowTable) -> None:
        self.options = options if options is not None else ScanOptions()
        self.flows = flows
        self._notices = NoticeLog(self.options.limits.notices)
        self.facts = CaptureFacts(path, notices=self._notices.notices, notice_counts=self._notices.counts)
        self._walker: Walker | None = None
        self._head = b""

    _intake: Intake

    @abstractmethod
    def _adopt(self, walker: Walker) -> Walker:
        """The walker to go on with, for one that `capture/` chose by the file's first octets."""

    @abstractmethod
    def _take(self, packet: Packet) -> None:
        """Take a packet of a record that no tight loop would take."""

    def feed(self, buffer: bytes, final: bool = False) -> list[Datagram]:
        """Take the next octets of the capture; returns the datagrams that Python must see, in file order.

        Raises CaptureError where the octets are no capture at all.
        """
        walker = self._walker
        if walker is None:
            self._head += buffer
            if len(self._head) < HEAD and not final:
                return []
            buffer, self._head = self._head, b""
            walker = self._begin(buffer)
        for packet in walker.feed(buffer, final):
            self._take(packet)
        return self._fed(final)

    def flush(self) -> None:
        """Put every packet fed so far into `flows`."""
        self._intake.flush()

    def scan_file(
        self,
        path: str,
        on_datagrams: Callable[[list[Datagram]], None],
        progress: Callable[[int], None] | None = None,
        follow: Callable[[], bool] | None = None,
    ) -> None:
        """Read a whole file ("-" is standard input); `progress` gets the octets of the file read so far.

        As long as `follow()` says so, the end of the file is waited at for more.
        Raises CaptureError where the file cannot be read or is no capture.
        """
        with open_source(path, self._notices, follow) as source:
            self.facts.compression = source.compression
            try:
                self._scan(source, on_datagrams, progress)
            except CaptureError as error:
                if error.path is None:
                    raise CaptureError(str(error), path=source.path, offset=error.offset) from error
                raise

    def _scan(
        self, source: Source, on_datagrams: Callable[[list[Datagram]], None], progress: Callable[[int], None] | None
    ) -> None:
        while buffer := source.read(CHUNK):
            datagrams = self.feed(buffer)
            if datagrams:
                on_datagrams(datagrams)
            if progress is not None:
                progress(source.consumed)
        on_datagrams(self.feed(b"", final=True))

    def _begin(self, head: bytes) -> Walker:
        walker = make_walker(head[:HEAD], self._notices)
        self.facts.format = walker.format
        self._walker = self._adopt(walker)
        return self._walker

    def _fed(self, final: bool) -> list[Datagram]:
        """What came of the octets that were just taken."""
        if final:
            self._intake.finish()
        self._update_facts()
        datagrams, self._intake.datagrams = self._intake.datagrams, []
        return datagrams

    def _update_facts(self) -> None:
        facts, intake, walker = self.facts, self._intake, self._walker
        assert walker is not None  # noqa: S101 - for the type checker
        facts.packets, facts.octets, facts.truncated_packets = intake.packets, intake.octets, intake.truncated
        facts.first_time_ns, facts.last_time_ns = intake.earliest, intake.latest
        facts.link_types = list(dict.fromkeys(interface.link_type for interface in walker.interfaces))
        facts.interfaces = [interface.name for interface in walker.interfaces]
        facts.comments = walker.comments
        facts.dropped_packets = walker.dropped_packets
        facts.decryption_secrets = walker.decryption_secrets
        counts = intake.decoder.counts
        for kind in PacketKind:
            setattr(facts.counts, kind.value, counts[kind])
        facts.counts.ike += intake.quick[Verdict.IKE]
        facts.counts.esp += intake.quick[Verdict.ESP]
        facts.counts.ah += intake.quick[Verdict.AH]
        facts.counts.other += intake.quick[Verdict.OTHER]
