"""The shapes of IKE SAs and Child SAs. See the package for the rules."""

from __future__ import annotations

from typing import Literal, TypedDict

from ipsecanalyze.shapes.common import AlgorithmEntry, Count, EspSpi, IcmpErrorEntry, IkeSpi

__all__ = [
    "AuthenticationEntry",
    "ChildSaEntry",
    "ExchangeEntry",
    "IkeSaEntry",
    "MoveEntry",
    "NotifyEntry",
    "PeerEntry",
    "SelectorsEntry",
]


class MoveEntry(TypedDict):
    """A peer that was seen at a new place."""

    frame: Count
    """Where it was first seen there."""
    address: str
    """The new address."""
    port: Count
    """The new port."""


class PeerEntry(TypedDict):
    """One side of an IKE SA."""

    address: str
    """Its address, as first seen."""
    port: Count
    """Its UDP or TCP port, as first seen."""
    spi: IkeSpi
    """Its IKE SPI (IKEv1: cookie); zeros where it never answered."""
    identity: str | None
    """Who it says it is; null where that is encrypted."""
    vendor_ids: list[str]
    """Names of its vendor IDs with versions, hexadecimal digits for unknown ones."""
    vendor_id_data: list[str]
    """Its vendor IDs as they were sent, in hexadecimal digits."""
    behind_nat: bool | None
    """By the NAT detection hashes; null where none tells."""
    nat_source_match: bool | None
    """Whether a hash of its own address (NAT_DETECTION_SOURCE_IP) fits what was captured."""
    nat_destination_match: bool | None
    """Whether the other side's hash of its address (NAT_DETECTION_DESTINATION_IP) fits what was captured."""
    nonce_length: Count | None
    """Octets of its nonce."""
    key_exchange_groups: list[int]
    """The group of each KE payload it sent."""
    moves: list[MoveEntry]
    """Where it went: port 4500, a new NAT mapping, MOBIKE."""
    fingerprint: str
    """A stable description of its first message (docs/fingerprint.md); "" without one."""


class AuthenticationEntry(TypedDict):
    """How the peers proved who they are; null where that is encrypted."""

    initiator: str | None
    """The initiator's method."""
    responder: str | None
    """The responder's method."""


class NotifyEntry(TypedDict):
    """A notify where it stood."""

    frame: Count
    """The frame it came in."""
    type: Count
    """Its number."""
    name: str
    """Its name."""
    is_error: bool
    """Whether its number is in the range of errors."""
    from_initiator: bool
    """Whether the initiator of the IKE SA sent it."""
    data: str
    """What its data says, in words; "" where it has none."""


class ExchangeEntry(TypedDict):
    """Request and response under one message ID (IKEv2), or the messages of one phase (IKEv1)."""

    exchange_type: Count
    """IANA's number."""
    name: str
    """IANA's name."""
    message_id: Count
    """The message ID."""
    initiated_by: Literal["initiator", "responder"]
    """The side of the IKE SA that began it."""
    requests: list[int]
    """Frames of the request: its first transmission (all fragments), then retransmissions."""
    responses: list[int]
    """Frames of the response; empty where none was captured."""
    first_time_ns: int
    """Its first message."""
    last_time_ns: int
    """Its last message."""
    round_trip_ns: int | None
    """From the first transmission of the request to the response."""
    retransmissions: Count
    """Messages that were sent again."""
    retransmission_times_ns: list[int]
    """When the request was sent again (bounded)."""
    fragments_expected: Count
    """Fragments that its messages say they have; 0 without fragmentation."""
    fragments_seen: Count
    """Different fragments that were captured."""


class IkeSaEntry(TypedDict):
    """An IKE SA, or the attempt at one."""

    id: str
    """Its name in this document."""
    version: Literal["1.0", "2.0"]
    """The version of IKE."""
    mode: Literal["main", "aggressive"] | None
    """IKEv1's phase 1; null for IKEv2."""
    state: Literal["half-open", "established", "failed", "closed", "rekeyed"]
    """Where it stood at the end of the capture."""
    certainty: Literal["observed", "inferred"]
    """Of `state`: without keys most endings are concluded from circumstances."""
    reason: str
    """Why `state` is what it is, where that was concluded; "" otherwise."""
    started_late: bool
    """Whether its initial exchange is not in the capture."""
    outcome: str
    """What came of it and why, in a sentence."""
    initiator: PeerEntry
    """Who began."""
    responder: PeerEntry
    """Who was asked."""
    offered: list[list[AlgorithmEntry]]
    """The initiator's last offer, a list per proposal (IKEv1: per transform)."""
    chosen: list[AlgorithmEntry]
    """What the responder took; empty where it took nothing."""
    authentication: AuthenticationEntry
    """How the peers proved who they are."""
    encapsulation: Literal["none", "udp", "tcp"]
    """What it moved to behind a NAT or firewall: UDP port 4500, or TCP."""
    fragmentation: bool
    """Whether IKE fragments were used (RFC 7383, or Cisco's of IKEv1)."""
    messages: Count
    """Messages, retransmissions included."""
    retransmissions: Count
    """Messages that were sent again."""
    exchanges: dict[str, Count]
    """Exchange name → messages, retransmissions included."""
    exchange_log: list[ExchangeEntry]
    """The exchanges in order (bounded; `exchanges` counts all)."""
    notifies: list[str]
    """Names of the notifies that were seen, each once, in order."""
    notify_log: list[NotifyEntry]
    """The notifies where they stood (bounded)."""
    cookie_rounds: Count
    """How often a cookie was asked for (RFC 7296 §2.6)."""
    invalid_ke_rounds: list[int]
    """The group that each INVALID_KE_PAYLOAD asked for (RFC 7296 §1.3)."""
    child_exchanges: Count
    """CREATE_CHILD_SA or Quick Mode exchanges, though encrypted."""
    frames: list[int]
    """The frames of its messages (bounded)."""
    icmp_errors: list[IcmpErrorEntry]
    """ICMP errors about its messages (bounded)."""
    lifetime_seconds: Count | None
    """The lifetime that was chosen (IKEv1)."""
    lifetime_kilobytes: Count | None
    """The volume that was chosen (IKEv1)."""
    nat_keepalives: Count
    """NAT keepalives between its peers."""
    first_time_ns: int
    """Its first message."""
    last_time_ns: int
    """Its last message."""
    established_time_ns: int | None
    """The last message that made it; null where it is not in the capture."""
    closed_time_ns: int | None
    """The message that ended it; null where it is not in the capture."""
    rekeys: str | None
    """The IKE SA that it replaces; inferred unless `decrypted`."""
    children: list[str]
    """Its Child SAs."""
    decrypted: bool
    """Whether its messages were opened with keys."""


class SelectorsEntry(TypedDict):
    """Traffic selectors of a Child SA (RFC 7296 §2.9)."""

    initiator: list[str]
    """TSi."""
    responder: list[str]
    """TSr."""


class ChildSaEntry(TypedDict):
    """A pair of ESP or AH SAs."""

    id: str
    """Its name in this document."""
    ike_sa: str | None
    """The IKE SA that made it."""
    protocol: Literal["ESP", "AH"]
    """What protects the packets."""
    mode: Literal["tunnel", "transport", "beet"] | None
    """Null where that is encrypted."""
    initiator_spi: EspSpi | None
    """The SPI on packets towards the initiator of the IKE SA."""
    responder_spi: EspSpi | None
    """The SPI on packets towards the responder."""
    chosen: list[AlgorithmEntry]
    """Its algorithms; empty where they are encrypted."""
    esn: bool | None
    """Whether sequence numbers have 64 bits."""
    traffic_selectors: SelectorsEntry
    """What may go through it."""
    rekeys: str | None
    """The Child SA that it replaces."""
    certainty: Literal["observed", "inferred"]
    """Read off opened messages, or concluded from addresses and times."""
