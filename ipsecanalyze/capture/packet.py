"""What flows out of `capture/`: packets as the file holds them, and the IPsec datagrams found inside.

Only data lives here; reading is in `reader.py`, decoding in `decoder.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Datagram", "DatagramKind", "Encapsulation", "IcmpError", "Packet", "PacketKind"]


@dataclass(slots=True)
class Packet:
    """One record of a capture file."""

    time_ns: int
    """When it was captured: nanoseconds since 1970-01-01 UTC."""
    link_type: int
    """The LINKTYPE_ number of the interface it was captured on."""
    data: bytes
    """The octets that were kept (`len(data) <= wire_length` where a snap length cut them)."""
    wire_length: int
    """Octets on the wire."""
    number: int
    """The frame number, from 1, as Wireshark counts."""
    interface: int = 0
    """Index into the reader's interfaces (pcapng; always 0 for pcap)."""
    offset: int = 0
    """Where the record begins in the (uncompressed) file, in octets."""
    comments: tuple[str, ...] = ()
    """pcapng comments."""


class DatagramKind(StrEnum):
    """What a datagram carries."""

    IKE = "ike"
    ESP = "esp"
    AH = "ah"
    KEEPALIVE = "nat_keepalive"
    ICMP_ERROR = "icmp_error"


class PacketKind(StrEnum):
    """What a packet of the capture counts as; the first five are those of `DatagramKind`."""

    IKE = "ike"
    ESP = "esp"
    AH = "ah"
    KEEPALIVE = "nat_keepalive"
    ICMP_ERROR = "icmp_error"
    FRAGMENT = "fragment"
    OTHER = "other"
    MALFORMED = "malformed"


class Encapsulation(StrEnum):
    """What stands between IP and ESP: nothing, UDP (RFC 3948) or TCP (RFC 9329)."""

    NONE = "none"
    UDP = "udp"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class IcmpError:
    """An ICMP or ICMPv6 error (RFC 792, RFC 4443): who said what about which datagram."""

    type: int
    code: int
    mtu: int | None
    """Next-hop MTU of "fragmentation needed" / "packet too big", in octets."""
    description: str
    """In words, as in "host unreachable (communication administratively prohibited)"."""
    quoted: Datagram
    """The datagram it quotes, as far as the quotation goes."""


@dataclass(slots=True)
class Datagram:
    """One IKE message, ESP or AH packet, NAT keepalive, or an ICMP error that quotes one of these.

    `payload` begins with the IKE header (the non-ESP marker is taken off), the ESP or the AH header. For AH
    it goes to the end of the IP payload.
    """

    kind: DatagramKind
    source: str
    """The sender's address as text, as `inet_ntop` writes it."""
    destination: str
    payload: bytes
    frame: int
    """The frame that completed it (the last fragment or segment)."""
    time_ns: int
    length: int
    """Octets of the payload on the wire: more than `len(payload)` where the capture cut it."""
    source_port: int = 0
    """UDP or TCP port; 0 without either."""
    destination_port: int = 0
    encapsulation: Encapsulation = Encapsulation.NONE
    """For ESP: what carries it. For IKE: UDP behind a non-ESP marker (port 4500), TCP, or none (port 500)."""
    inferred: bool = False
    """True where nothing but the looks of the octets says that this is IPsec (unknown ports)."""
    ttl: int = 0
    """TTL or hop limit of the IP header next to it."""
    traffic_class: int = 0
    """DSCP and ECN as one octet."""
    dont_fragment: bool = False
    ip_id: int = 0
    vlan: tuple[int, ...] = ()
    """VLAN identifiers, outermost first."""
    fragments: int = 1
    """How many IP fragments it came in."""
    icmp: IcmpError | None = None
    interface: int = 0
    """Index of the capture's interface."""
    capture: int = 0
    """Index of the capture among those that are analysed together; frames count within one capture."""
    extensions: tuple[tuple[int, bytes], ...] = ()
    """AH, whose ICV covers them: what stands between it and the IP header, as `IpPacket` has it."""

    @property
    def truncated(self) -> bool:
        """True where the capture's snap length cut the payload."""
        return len(self.payload) < self.length
