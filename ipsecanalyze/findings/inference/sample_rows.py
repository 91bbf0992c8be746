"""Samples on the short way: rows of the C core, of which those of flows that are done are passed over."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from ipsecanalyze._fast.columns import ROW, Octets, datagrams_of
from ipsecanalyze._fast.contract import ScanOptions
from ipsecanalyze._fast.native import NativeIntake, NativeScanner
from ipsecanalyze._fast.native_flows import NativeFlowTable
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind

if TYPE_CHECKING:
    from ipsecanalyze.findings.inference.samples import Sampling

__all__ = ["SampleScanner"]

_SIZE: Final = ROW.size
#: The number of the flow stands last in a row; rows of anything else have this one.
_FLOWS: Final = Struct(f"={_SIZE - 4}xI")
_NO_FLOW: Final = 0xFFFFFFFF


class _SampleIntake(NativeIntake):
    def __init__(self, scanner: SampleScanner, options: ScanOptions, table: NativeFlowTable, capture: int) -> None:
        super().__init__(options, table, capture, scanner.notices)
        self._sampling = scanner.sampling
        self._done: set[int] = set()

    def _take_rows(self, rows: bytes, octets: Octets) -> None:
        done, at = self._done, 0
        for (flow,) in _FLOWS.iter_unpack(rows):
            if flow not in done:
                (datagram,) = datagrams_of(rows[at : at + _SIZE], octets, self.table.vlans, self.capture)
                if self._take(datagram) and flow != _NO_FLOW:
                    done.add(flow)
            at += _SIZE

    def _take(self, datagram: Datagram) -> bool:
        """Take a packet; whether its flow is done."""
        if datagram.kind is DatagramKind.IKE:
            self.decoder.conversations.remember_spi(datagram.payload[:8])
            return False
        return self._sampling.offer(datagram) is not None

    def _take_datagram(self, datagram: Datagram) -> None:
        self._take(datagram)

    def _protected(self, protocol: str, datagram: Datagram, start: int) -> None:
        del protocol, start
        self._take(datagram)


class SampleScanner(NativeScanner):
    """Scans a capture with the C core for the packets that a `Sampling` wants."""

    def __init__(self, sampling: Sampling, options: ScanOptions, *, path: str, capture: int) -> None:
        self.sampling = sampling
        table = NativeFlowTable(options.limits.flows, 16)
        super().__init__(options, path=path, flows=table, capture=capture)
        self._intake = _SampleIntake(self, options, table, capture)

    @property
    def notices(self) -> NoticeLog:
        """Where damage is told."""
        return self._notices
