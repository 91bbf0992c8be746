"""The first packets of flows, looked at a second time: flows keep lengths, and inference wants some octets.

Done only where inference is asked for. Bounded in flows and packets; reading ends as soon as every flow has its
packets. Where the C core runs, `sample_rows.py` passes over what is not wanted without making objects of it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ipsecanalyze._fast import IMPLEMENTATION, make_flow_table, make_scanner
from ipsecanalyze._fast.contract import CaptureFacts, Limits, Scanner, ScanOptions
from ipsecanalyze.capture.packet import Datagram, DatagramKind
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.errors import CaptureError
from ipsecanalyze.esp.flow import FlowKey

__all__ = ["Sample", "Sampling", "take_samples"]

#: Octets kept of the beginning and of the end of a packet: headers inside, and padding in front of the longest ICV.
_HEAD, _TAIL = 80, 48
#: Packets kept of a flow, and in all.
_EACH, _IN_ALL = 64, 200_000
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A piece of one ESP packet."""

    length: int
    """On the wire, from the ESP header on."""
    head: bytes
    """Its first octets, the ESP header among them."""
    tail: bytes = b""
    """Its last octets; empty where the capture cut it."""
    frame: int = 0
    capture: int = 0
    """Index of the capture that the frame is of."""

    @classmethod
    def of(cls, packet: bytes, length: int | None = None, frame: int = 0, capture: int = 0) -> Sample:
        """Of an ESP packet, as far as it was captured."""
        length = len(packet) if length is None else length
        return cls(length, packet[:_HEAD], packet[-_TAIL:] if len(packet) == length else b"", frame, capture)

    @property
    def sequence(self) -> int:
        """The sequence number on the wire."""
        return int.from_bytes(self.head[4:8])


@dataclass(slots=True)
class Sampling:
    """The samples so far, and of which flows more are wanted."""

    wanted: dict[FlowKey, int]
    """Flow → packets that are wanted yet."""
    taken: dict[FlowKey, list[Sample]] = field(default_factory=dict)

    def offer(self, datagram: Datagram) -> FlowKey | None:
        """Take a packet if it is wanted; the flow's key where no more of that are."""
        if datagram.kind is not DatagramKind.ESP:
            return None
        payload = datagram.payload
        spi = int.from_bytes(payload[:4])
        key = ("ESP", datagram.source, datagram.destination, spi, datagram.encapsulation)
        left = self.wanted.get(key)
        if left is None:
            return key
        self.taken.setdefault(key, []).append(Sample.of(payload, datagram.length, datagram.frame, datagram.capture))
        if left > 1:
            self.wanted[key] = left - 1
            return None
        del self.wanted[key]
        return key


def take_samples(
    captures: Sequence[CaptureFacts], packets: dict[FlowKey, int], limits: Limits | None = None, each: int = _EACH
) -> dict[FlowKey, list[Sample]]:
    """The first packets of flows (`each` or fewer), of which so many are in the captures.

    Captures that cannot be read are passed over. Standard input is not read again: its flows have no samples.
    """
    each = max(2, min(each, _IN_ALL // max(1, len(packets))))
    sampling = Sampling({key: min(each, count) for key, count in packets.items()})
    for index, facts in enumerate(captures):
        if facts.path == "-" or not os.path.isfile(facts.path):  # noqa: PTH113 - names need not be valid text
            continue
        if not sampling.wanted:
            break
        try:
            _read(facts.path, index, sampling, limits or Limits())
        except CaptureError:
            continue
    return sampling.taken


def _read(path: str, index: int, sampling: Sampling, limits: Limits) -> None:
    scanner = _scanner(path, index, sampling, limits)
    with open_source(path) as source:
        while sampling.wanted:
            buffer = source.read(_CHUNK)
            for datagram in scanner.feed(buffer, final=not buffer):
                sampling.offer(datagram)
            if not buffer:
                return


def _scanner(path: str, index: int, sampling: Sampling, limits: Limits) -> Scanner:
    options = ScanOptions(limits=limits, protected_datagrams=True)
    if IMPLEMENTATION == "c":
        from ipsecanalyze.findings.inference.sample_rows import SampleScanner

        return SampleScanner(sampling, options, path=path, capture=index)
    return make_scanner(options, path=path, flows=make_flow_table(limits.flows, 16), capture=index)
