"""The scanner in pure Python: the walkers and the decoder of `capture/`, with a short path for plain packets.

What it gives is what the general path gives, packet for packet; the short path is only faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipsecanalyze._fast.contract import CaptureFacts, ScanOptions
from ipsecanalyze._fast.intake import Intake
from ipsecanalyze._fast.shortpath import ShortPath, Verdict
from ipsecanalyze._fast.walk_pcap import PcapScan
from ipsecanalyze._fast.walk_pcapng import PcapngScan
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, PacketKind
from ipsecanalyze.capture.pcap import PcapWalker
from ipsecanalyze.capture.reader import HEAD, make_walker
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.capture.walker import Walker
from ipsecanalyze.errors import CaptureError
from ipsecanalyze.esp.flow import FlowTable

__all__ = ["PythonScanner"]

_CHUNK: Final = 1 << 20


class PythonScanner:
    """Scans one capture; see `contract.Scanner`.

    `flows` is complete after `flush()`, and after the last octets were fed; in between, packets may wait.
    With `short_path` off every packet takes the general path (for comparing the two).
    """

    def __init__(
        self,
        options: ScanOptions | None = None,
        *,
        path: str = "-",
        flows: FlowTable | None = None,
        capture: int = 0,
        short_path: bool = True,
    ) -> None:
        self.options = options if options is not None else ScanOptions()
        limits = self.options.limits
        self.flows = flows if flows is not None else FlowTable(limits.flows, limits.gaps)
        self._notices = NoticeLog(limits.notices)
        self.facts = CaptureFacts(path, notices=self._notices.notices, notice_counts=self._notices.counts)
        self._intake = Intake(self.options, self.flows, capture, self._notices)
        self._short = ShortPath(self._intake, enabled=short_path)
        self._walker: Walker | None = None
        self._head = b""

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
            walker = self._walker = self._begin(buffer[:HEAD])
        for packet in walker.feed(buffer, final):
            self._short.odd(packet)
        if final:
            self._intake.finish()
        self._update_facts(walker)
        datagrams, self._intake.datagrams = self._intake.datagrams, []
        return datagrams

    def flush(self) -> None:
        """Put every packet fed so far into `flows`."""
        self._intake.flush()

    def scan_file(
        self,
        path: str,
        on_datagrams: Callable[[list[Datagram]], None],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Read a whole file ("-" is standard input); `progress` gets the octets of the file read so far.

        Raises CaptureError where it cannot be read or is no capture.
        """
        with open_source(path, self._notices) as source:
            self.facts.compression = source.compression
            try:
                while buffer := source.read(_CHUNK):
                    datagrams = self.feed(buffer)
                    if datagrams:
                        on_datagrams(datagrams)
                    if progress is not None:
                        progress(source.consumed)
                on_datagrams(self.feed(b"", final=True))
            except CaptureError as error:
                if error.path is None:
                    raise CaptureError(str(error), path=source.path, offset=error.offset) from error
                raise

    def _begin(self, head: bytes) -> Walker:
        walker = make_walker(head, self._notices)
        self.facts.format = walker.format
        if isinstance(walker, PcapWalker):
            return PcapScan(walker.header, self._notices, self._intake, self._short)
        return PcapngScan(self._notices, self._intake, self._short)

    def _update_facts(self, walker: Walker) -> None:
        facts, intake = self.facts, self._intake
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
