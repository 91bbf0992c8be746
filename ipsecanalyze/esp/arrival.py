"""What a flow is told of each of its packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Arrival", "Circumstances"]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What few packets have."""

    vlan: tuple[int, ...] = ()
    """VLAN identifiers, outermost first."""
    fragments: int = 1
    """How many IP fragments the packet came in."""
    truncated: bool = False
    """Whether the snap length cut it."""
    inferred: bool = False
    """Whether only the looks of its octets say that it is ESP (ports floated by a NAT)."""


#: One packet: (sequence number on the wire; octets from the ESP or AH header to the end of the IP payload; time in ns;
#: frame; TTL or hop limit; traffic class; don't-fragment bit; source port << 16 | destination port; `Circumstances` or
#: None where these are the ordinary ones). A plain tuple: it is made for every packet.
Arrival: TypeAlias = tuple[int, int, int, int, int, int, bool, int, Circumstances | None]
