"""The contract of a scanner: what every implementation takes and gives.

A scanner walks the records of one capture, decodes them down to IPsec, aggregates ESP and AH into flows, and hands
over as datagrams what Python must see: IKE, NAT keepalives and ICMP errors (ESP and AH too when asked, for decryption).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.errors import Notice
from ipsecanalyze.esp.flow import FlowTable

__all__ = ["CaptureFacts", "Counts", "Limits", "ScanOptions", "Scanner"]


@dataclass(slots=True)
class Limits:
    """What a stranger's packets may make the analysis remember; what a limit drops is counted and told."""

    flows: int = 250_000
    """ESP and AH flows; each takes 1.3 to 2 thousand octets of memory."""
    gaps: int = 4_096
    """Holes remembered in a flow's sequence numbers; older ones are settled as lost."""
    fragments: int = 4_096
    """IP datagrams under reassembly at a time."""
    fragment_octets: int = 16 << 20
    """Octets of fragments held at a time."""
    streams: int = 1_024
    """TCP streams under reassembly at a time."""
    stream_octets: int = 1 << 20
    """Octets held out of order in a TCP stream."""
    conversations: int = 65_536
    """UDP conversations on unusual ports that were recognised as IKE."""
    notices: int = 1_000
    """Notices kept per capture; all are counted by slug."""
    half_open: int = 10_000
    """IKE SAs that never got past their first exchange."""
    ike_sas: int = 200_000
    """IKE SAs in all."""
    messages: int = 500_000
    """IKE messages kept for ladders."""
    message_octets: int = 128 << 20
    """Octets of IKE messages kept for ladders."""


@dataclass(slots=True)
class ScanOptions:
    """How to scan."""

    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    """Threads that may share one capture (the C core); the result does not depend on it."""
    protected_datagrams: bool = False
    """Hand over ESP and AH datagrams too (for decryption)."""


@dataclass(slots=True)
class Counts:
    """Packets by what they are; each packet counts once, but for TCP segments that carry several messages."""

    ike: int = 0
    esp: int = 0
    ah: int = 0
    nat_keepalive: int = 0
    icmp_error: int = 0
    fragment: int = 0
    """Fragments that did not complete a datagram."""
    other: int = 0
    malformed: int = 0


@dataclass(slots=True)
class CaptureFacts:
    """What is known of one capture file once it was read."""

    path: str
    format: str = ""
    """"pcap" or "pcapng"."""
    compression: str | None = None
    link_types: list[int] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    packets: int = 0
    octets: int = 0
    """Octets on the wire, summed over the packets."""
    first_time_ns: int | None = None
    last_time_ns: int | None = None
    truncated_packets: int = 0
    dropped_packets: int | None = None
    """What the capture's statistics say the kernel dropped (pcapng isb_ifdrop + isb_osdrop)."""
    comments: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    notices: list[Notice] = field(default_factory=list)
    notice_counts: dict[str, int] = field(default_factory=dict)
    """Slug → how often, also beyond `Limits.notices`."""
    decryption_secrets: list[tuple[int, bytes]] = field(default_factory=list, repr=False)
    """(secrets type, data) of pcapng Decryption Secrets Blocks."""


class Scanner(Protocol):
    """Scans one capture; feed it piece by piece, in order."""

    flows: FlowTable
    facts: CaptureFacts

    def feed(self, buffer: bytes, final: bool = False) -> list[Datagram]:
        """Take the next octets of the (uncompressed) file; `final` says that no more will come.

        Returns the datagrams that Python must see, in file order. Raises CaptureError only where the
        octets are no capture at all.
        """

    def scan_file(
        self,
        path: str,
        on_datagrams: Callable[[list[Datagram]], None],
        progress: Callable[[int], None] | None = None,
        follow: Callable[[], bool] | None = None,
    ) -> None:
        """Read a whole file ("-" is standard input), by content gzip, zstd or plain; `progress` gets octets read.

        As long as `follow()` says so, the end of the file is waited at for more.
        """
