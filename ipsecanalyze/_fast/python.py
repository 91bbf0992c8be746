"""The scanner in pure Python: the walkers and the decoder of `capture/`, with a short path for plain packets.

What it gives is what the general path gives, packet for packet; the short path is only faster.
"""

from __future__ import annotations

from ipsecanalyze._fast.contract import ScanOptions
from ipsecanalyze._fast.intake import Intake
from ipsecanalyze._fast.scanner import BaseScanner
from ipsecanalyze._fast.shortpath import ShortPath
from ipsecanalyze._fast.walk_pcap import PcapScan
from ipsecanalyze._fast.walk_pcapng import PcapngScan
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcap import PcapWalker
from ipsecanalyze.capture.walker import Walker
from ipsecanalyze.esp.flow import FlowTable

__all__ = ["PythonScanner"]


class PythonScanner(BaseScanner):
    """Scans one capture; see `contract.Scanner`.

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
        options = options if options is not None else ScanOptions()
        limits = options.limits
        super().__init__(options, path, flows if flows is not None else FlowTable(limits.flows, limits.gaps))
        self._intake = Intake(options, self.flows, capture, self._notices)
        self._short = ShortPath(self._intake, enabled=short_path)

    def _adopt(self, walker: Walker) -> Walker:
        if isinstance(walker, PcapWalker):
            return PcapScan(walker.header, self._notices, self._intake, self._short)
        return PcapngScan(self._notices, self._intake, self._short)

    def _take(self, packet: Packet) -> None:
        self._short.odd(packet)
