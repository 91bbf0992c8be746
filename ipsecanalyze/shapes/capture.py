"""The shape of a capture file. See the package for the rules."""

from __future__ import annotations

from typing import TypedDict

from ipsecanalyze.shapes.common import Count, WarningEntry

__all__ = ["CaptureEntry", "CountsEntry"]


class CountsEntry(TypedDict):
    """Packets of a capture by what they are."""

    ike: Count
    """IKE messages."""
    esp: Count
    """ESP packets."""
    ah: Count
    """AH packets."""
    nat_keepalive: Count
    """NAT keepalives (RFC 3948 §2.3)."""
    icmp_error: Count
    """ICMP errors that quote one of these."""
    fragment: Count
    """IP fragments that did not complete a datagram."""
    other: Count
    """Everything that is not IPsec."""
    malformed: Count
    """Packets whose headers contradict themselves."""


class CaptureEntry(TypedDict):
    """A capture file."""

    path: str
    """As it was given; "-" is standard input."""
    format: str
    """"pcap" or "pcapng"."""
    compression: str | None
    """"gzip" or "zstd", found by content."""
    link_types: list[int]
    """LINKTYPE_ numbers, in order of appearance."""
    interfaces: list[str]
    """Interface names (pcapng)."""
    packets: Count
    """Packets read."""
    octets: Count
    """Octets on the wire, over all packets."""
    first_time_ns: int | None
    """The earliest packet."""
    last_time_ns: int | None
    """The latest packet."""
    truncated_packets: Count
    """Packets that the snap length cut."""
    dropped_packets: Count | None
    """Packets that the capturing system says it lost (pcapng statistics)."""
    comments: list[str]
    """Comments of the file (pcapng)."""
    counts: CountsEntry
    """Packets by what they are."""
    warnings: list[WarningEntry]
    """What was odd about the file or its packets, as many as the limits keep."""
    warning_counts: dict[str, Count]
    """Slug → how often, also beyond what `warnings` keeps."""
