"""What the walkers of both capture formats share: octets go in piece by piece, whole records come out.

A walker does no input or output. It keeps only the record that is not complete yet, so memory does not depend
on the size of the file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Packet

__all__ = ["FARTHEST_NS", "MAX_RECORD", "SEARCH_WINDOW", "Interface", "Walker"]

MAX_RECORD = 16 << 20
"""No record or block that is longer than this many octets is believed."""
SEARCH_WINDOW = 1 << 20
"""How far behind damage a record is looked for, in octets."""
FARTHEST_NS = 1 << 62
"""No packet's time is further from 1970 than this many nanoseconds, which are 146 years."""


@dataclass(frozen=True, slots=True)
class Interface:
    """One capture interface: pcapng's Interface Description Block, or what the pcap header says.

    A time stamp of `n` ticks is `n * multiplier // divisor + offset_ns` nanoseconds since 1970: exact integers for
    every resolution, powers of ten and of two alike.
    """

    link_type: int
    snaplen: int = 0
    """Octets kept of each packet, 0 where there is no limit."""
    name: str = ""
    description: str = ""
    multiplier: int = 1_000
    divisor: int = 1
    offset_ns: int = 0
    """if_tsoffset in nanoseconds."""
    filter: str = ""
    """The capture filter."""
    os: str = ""
    comments: tuple[str, ...] = ()

    def time_ns(self, ticks: int) -> int:
        """A time stamp of this interface in nanoseconds since 1970 (rounded down below one)."""
        return ticks * self.multiplier // self.divisor + self.offset_ns


class Walker(ABC):
    """Finds the packets in the octets of one capture, fed in order."""

    format: ClassVar[str]
    """The file format: "pcap" or "pcapng"."""

    def __init__(self, notices: NoticeLog | None = None) -> None:
        self.notices = notices if notices is not None else NoticeLog()
        self.interfaces: list[Interface] = []
        self.comments: list[str] = []
        self.decryption_secrets: list[tuple[int, bytes]] = []
        self.packets = 0
        """Packets handed out so far."""
        self.offset = 0
        """Where in the file the octets begin that are not used up yet."""
        self._rest = bytearray()
        self._wanted = 1
        """Octets that `_rest` must have before looking again can bring anything new."""

    @property
    def dropped_packets(self) -> int | None:
        """What the capture's own statistics say was dropped; None where it has none."""
        return None

    def feed(self, buffer: bytes, final: bool = False) -> list[Packet]:
        """Take the next octets of the (uncompressed) file; `final` says that no more will come.

        Returns the packets that became complete. Never raises for what the octets say: damage becomes a notice.
        """
        rest = self._rest
        if rest:
            rest += buffer
            if len(rest) < self._wanted and not final:
                return []
            buffer = bytes(rest)
        self._wanted = 1
        packets: list[Packet] = []
        used = self._walk(buffer, final, packets)
        self.offset += used
        self._rest = bytearray(buffer[used:])
        self.packets += len(packets)
        return packets

    @abstractmethod
    def _walk(self, data: bytes, final: bool, packets: list[Packet]) -> int:
        """Append the packets of `data` and return how many octets are used up; may set `_wanted`."""
