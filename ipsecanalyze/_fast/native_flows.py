"""The table of flows in C, behind the interface of `esp.flow.FlowTable`.

Flows live in the core until they are asked for; then each becomes a `Flow`. Errors of ICMP are tied to them here.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final

from ipsecanalyze._fast import _core
from ipsecanalyze._fast.columns import ENCAPSULATIONS, VlanStacks
from ipsecanalyze.capture.ip import address_text
from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.esp.flow import Flow, FlowKey, FlowTable

__all__ = ["NativeFlowTable"]

#: `struct flow_key` of core/flows.h: source, destination, SPI, IP version, protocol, encapsulation.
_KEY: Final = Struct("=16s16sIBBBx")
_PROTOCOLS: Final = ("ESP", "AH")
_ERRORS_KEPT: Final = 16


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _core_key(key: FlowKey) -> bytes:
    protocol, source, destination, spi, encapsulation = key
    octets = _packed(source)
    version = 4 if len(octets) == 4 else 6
    return _KEY.pack(
        octets, _packed(destination), spi, version, _PROTOCOLS.index(protocol), ENCAPSULATIONS.index(encapsulation)
    )


class NativeFlowTable(FlowTable):
    """Flows in the C core; `arrive` counts a packet that Python decoded."""

    __slots__ = ("_errors", "_late", "_more_errors", "core", "vlans")

    def __init__(self, limit: int = 250_000, gaps: int = 4_096, continuing: bool = False) -> None:
        super().__init__(limit, gaps, continuing)
        # The secret keeps who chooses the SPIs from choosing where they stand in the table.
        self.core = _core.Table(os.urandom(32), limit, gaps, continuing)
        self.vlans = VlanStacks()
        self._errors: dict[int, list[tuple[int, str]]] = {}
        self._more_errors: dict[int, int] = {}  # counted only, as a flow lists no more
        self._late: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.core.counts()[0]

    def __iter__(self) -> Iterator[Flow]:
        self._fetch()
        return iter(self._flows.values())

    def get(self, key: FlowKey, capture: int = 0) -> Flow | None:
        """The flow of that key, as far as it came; None where there is none. Never makes one."""
        del capture
        self._fetch()
        return self._flows.get(key)

    def arrive(self, protocol: str, datagram: Datagram, start: int) -> int:
        """Count an ESP or AH packet that the general path found; its SPI stands at `start` of the payload."""
        payload = datagram.payload
        spi = int.from_bytes(payload[start : start + 4])
        return self.core.arrive(
            _core_key((protocol, datagram.source, datagram.destination, spi, datagram.encapsulation)),
            datagram.time_ns,
            datagram.frame,
            datagram.length,
            int.from_bytes(payload[start + 4 : start + 8]),
            datagram.source_port << 16 | datagram.destination_port,
            self.vlans.number(datagram.vlan),
            datagram.ttl,
            datagram.traffic_class,
            datagram.dont_fragment,
            datagram.fragments > 1,
            datagram.truncated,
            datagram.inferred,
            datagram.capture,
        )

    def add_late_icmp_error(self, datagram: Datagram) -> None:
        """`add_icmp_error` for one that waited: flows that began behind it are not there for it yet."""
        self._late = (datagram.capture, datagram.frame)
        try:
            self.add_icmp_error(datagram)
        finally:
            self._late = None

    def finish(self) -> list[Flow]:
        """The flows in order of their first packet."""
        # Errors can come before the first packet that they are about, where captures are put one behind the other.
        stray, self._stray = self._stray, []
        for key, frame, description in stray:
            self._tie(key, frame, description)
        self._fetch()
        return list(self._flows.values())

    def python_table(self) -> FlowTable:
        """The same flows in a table of Python's, which can be merged; this table is used up."""
        self._fetch()
        return FlowTable(
            self.limit,
            self.gaps,
            self.continuing,
            self.dropped_packets,
            self.dropped_octets,
            self._flows,
            self._stray,
        )

    def _tie(self, key: FlowKey, frame: int, description: str) -> None:
        index = self.core.find(_core_key(key))
        if index >= 0 and (self._late is None or self._beginning(index) <= self._late):
            kept = self._errors.setdefault(index, [])
            if len(kept) < _ERRORS_KEPT:
                kept.append((frame, description))
            else:
                self._more_errors[index] = self._more_errors.get(index, 0) + 1
        else:
            super()._tie(key, frame, description)

    def _beginning(self, index: int) -> tuple[int, int]:
        """Capture and frame of a flow's first packet."""
        place, counts, *_ = self.core.export(index)
        return place[5], counts[1]

    def _fetch(self) -> None:
        """Bring `_flows` and the counts up to date."""
        self.core.settle()
        count, self.dropped_packets, self.dropped_octets = self.core.counts()
        self._flows.clear()
        for index in range(count):
            flow = self._flow(index)
            key = (flow.protocol, flow.source, flow.destination, flow.spi, flow.encapsulation)
            self._flows[key] = flow

    def _flow(self, index: int) -> Flow:
        place, *figures = self.core.export(index)
        source, destination, spi, protocol, encapsulation, capture = place
        key = (
            _PROTOCOLS[protocol],
            address_text(source),
            address_text(destination),
            spi,
            ENCAPSULATIONS[encapsulation],
        )
        flow = Flow.restore(key, capture, figures, self.vlans.stack, gaps=self.gaps, continuing=self.continuing)
        for frame, description in self._errors.get(index, ()):
            flow.add_icmp_error(frame, description)
        flow.icmp_error_count += self._more_errors.get(index, 0)
        return flow
