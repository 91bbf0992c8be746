"""What is known of each IKE SA and Child SA: plain records that `tracker.py` fills and users hold.

Nothing here computes. Short sequences are tuples: an empty one costs nothing, and records come by the hundred
thousand. Wire objects are those of `ike/`; times are int nanoseconds, frames count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ipsecanalyze.capture.packet import Datagram, Encapsulation
from ipsecanalyze.ike.message import IkeMessage, parse_ike
from ipsecanalyze.ike.payloads.base import Payload

__all__ = [
    "Algorithm",
    "Certainty",
    "ChildSa",
    "Exchange",
    "IkeSa",
    "MessageRecord",
    "Mode",
    "NotifySeen",
    "Peer",
    "State",
]


class State(StrEnum):
    """The life of an IKE SA as a capture shows it (the transitions are in `states.py`)."""

    HALF_OPEN = "half-open"
    ESTABLISHED = "established"
    FAILED = "failed"
    CLOSED = "closed"
    REKEYED = "rekeyed"


class Mode(StrEnum):
    """How an IKEv1 SA is negotiated (RFC 2409 §5)."""

    MAIN = "main"
    AGGRESSIVE = "aggressive"


class Certainty(StrEnum):
    """Whether a statement was read off the packets or concluded from their circumstances."""

    OBSERVED = "observed"
    INFERRED = "inferred"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One chosen or offered transform, with the number and name of its registry.

    `type` is "ENCR", "PRF", "INTEG", "KE", "ESN", "ADDKE1" … for IKEv2, and "ENCR", "HASH", "AUTH", "KE", "PRF"
    for IKEv1 (whose lifetimes are in `IkeSa.lifetime_seconds`).
    """

    type: str
    id: int
    name: str
    key_length: int | None = None
    """In bits, where the transform has it."""


@dataclass(slots=True)
class NotifySeen:
    """A notify seen in the clear (or opened), where it stood and what its data says."""

    frame: int
    type: int
    name: str
    is_error: bool
    from_initiator: bool
    data: str = ""
    """The decoded data in words, "" where it has none."""


class MessageRecord:
    """One IKE message in its place: the row of a ladder diagram.

    Unless it was given, `message` is read from the datagram again whenever it is asked for: parsed messages weigh
    ten times their octets, and few users look at all of them.
    """

    __slots__ = (
        "_message",
        "_notes",
        "datagram",
        "from_initiator",
        "ike_sa",
        "is_response",
        "opened",
        "response_to",
        "retransmission_of",
        "round_trip_ns",
    )

    datagram: Datagram
    from_initiator: bool | None
    """Sent by the initiator of the IKE SA; None where that cannot be known."""
    is_response: bool | None
    """IKEv2: the R flag. IKEv1: sent by the side that did not begin the exchange."""
    retransmission_of: int | None
    """The frame of the first transmission."""
    response_to: int | None
    """The frame of the request it answers."""
    round_trip_ns: int | None
    """From the first transmission of the request to this response."""
    ike_sa: IkeSa | None
    opened: tuple[Payload, ...] | None
    """The payloads that were inside, once opened with keys; of a fragmented message with its last fragment."""

    def __init__(
        self,
        datagram: Datagram,
        message: IkeMessage | None = None,
        from_initiator: bool | None = None,
        is_response: bool | None = None,
        retransmission_of: int | None = None,
        response_to: int | None = None,
        round_trip_ns: int | None = None,
        ike_sa: IkeSa | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.datagram = datagram
        self._message = message
        self.from_initiator = from_initiator
        self.is_response = is_response
        self.retransmission_of = retransmission_of
        self.response_to = response_to
        self.round_trip_ns = round_trip_ns
        self.ike_sa = ike_sa
        self.opened = None
        self._notes = notes

    @property
    def message(self) -> IkeMessage:
        """The message; for the last fragment of an IKEv1 message (Cisco's fragmentation) the whole one."""
        return self._message if self._message is not None else parse_ike(self.datagram.payload)

    def hold(self, message: IkeMessage) -> None:
        """Keep a message that the datagram alone does not give: reassembled, or opened with keys."""
        self._message = message

    @property
    def notes(self) -> list[str]:
        """What the tracker has to say about it, in words: "cookie requested", "group 14 refused, wants 15"."""
        if self._notes is None:
            self._notes = []
        return self._notes

    def __repr__(self) -> str:
        sa = self.ike_sa.id if self.ike_sa is not None else None
        return f"MessageRecord(frame={self.datagram.frame}, ike_sa={sa!r}, from_initiator={self.from_initiator})"


@dataclass(slots=True)
class Exchange:
    """Request and response under one message ID (IKEv2), or the run of messages of one phase (IKEv1)."""

    exchange_type: int
    name: str
    message_id: int
    initiated_by_initiator: bool
    requests: tuple[int, ...] = ()
    """Frames of the request: the first transmission (all fragments) and then retransmissions."""
    responses: tuple[int, ...] = ()
    first_time_ns: int = 0
    last_time_ns: int = 0
    round_trip_ns: int | None = None
    retransmissions: int = 0
    retransmission_times_ns: tuple[int, ...] = ()
    """When the request was sent again (bounded)."""
    fragments_expected: int = 0
    fragments_seen: int = 0

    @property
    def answered(self) -> bool:
        """Whether a response is in the capture."""
        return bool(self.responses)


@dataclass(slots=True)
class Peer:
    """One side of an IKE SA."""

    address: str
    port: int
    spi: int
    identity: str | None = None
    vendor_ids: tuple[str, ...] = ()
    """Names with versions, hex for unknown ones, in order of appearance."""
    vendor_id_data: tuple[bytes, ...] = ()
    behind_nat: bool | None = None
    """Computed from the NAT detection hashes (RFC 7296 §2.23, RFC 3947 §3.2); None where no hash tells."""
    nat_source_match: bool | None = None
    """Whether a hash of its own address (NAT_DETECTION_SOURCE_IP) fits what was captured: no NAT in front of the
    capture point, seen from here."""
    nat_destination_match: bool | None = None
    """Whether the other side's hash of this one's address (NAT_DETECTION_DESTINATION_IP) fits what was captured: no
    NAT between the capture point and the other side that changes this one's address."""
    nonce_length: int | None = None
    """In octets."""
    key_exchange_groups: tuple[int, ...] = ()
    """The group of each KE payload sent, in order."""
    moves: tuple[tuple[int, str, int], ...] = ()
    """(frame, address, port) each time the side was seen somewhere new: 500→4500, NAT, MOBIKE."""
    fingerprint: str = ""
    """A stable description of what the side's first message looked like; docs/fingerprint.md. "" without one."""


@dataclass(slots=True)
class IkeSa:
    """An IKE SA (or the attempt at one): everything that happened between two peers under its SPIs."""

    id: str
    version: str
    """"1.0" or "2.0"."""
    mode: Mode | None
    state: State
    initiator: Peer
    responder: Peer
    certainty: Certainty = Certainty.OBSERVED
    """Of `state`: without keys most endings are concluded from circumstances."""
    started_late: bool = False
    """Its initial exchange is not in the capture."""
    offered: list[list[Algorithm]] = field(default_factory=list)
    """The initiator's last offer: a list per proposal (IKEv1: per transform)."""
    chosen: list[Algorithm] = field(default_factory=list)
    """What the responder took; empty as long as it took nothing."""
    encapsulation: Encapsulation = Encapsulation.NONE
    fragmentation: bool = False
    """Fragments (RFC 7383, or Cisco's for IKEv1) were used."""
    authentication_initiator: str | None = None
    authentication_responder: str | None = None
    messages: int = 0
    retransmissions: int = 0
    exchanges: list[Exchange] = field(default_factory=list)
    """In order of appearance (bounded; `exchange_counts` counts all)."""
    exchange_counts: dict[str, int] = field(default_factory=dict)
    """Exchange name → messages, retransmissions included."""
    notifies: list[NotifySeen] = field(default_factory=list)
    cookie_rounds: int = 0
    invalid_ke_rounds: tuple[int, ...] = ()
    """The group that each INVALID_KE_PAYLOAD asked for."""
    child_exchanges: int = 0
    """CREATE_CHILD_SA or Quick Mode exchanges seen, though encrypted."""
    frames: list[int] = field(default_factory=list)
    """The frames of its messages (bounded)."""
    icmp_errors: tuple[tuple[int, str], ...] = ()
    """(frame, description) of ICMP errors about its messages (bounded)."""
    lifetime_seconds: int | None = None
    lifetime_kilobytes: int | None = None
    nat_keepalives: int = 0
    first_time_ns: int = 0
    last_time_ns: int = 0
    established_ns: int | None = None
    """When the last message that made it was captured (IKE_AUTH response, end of phase 1)."""
    closed_ns: int | None = None
    """When the message that ended it was captured."""
    rekeys: str | None = None
    """The id of the IKE SA that it replaces; inferred from times and addresses unless `decrypted`."""
    children: list[str] = field(default_factory=list)
    decrypted: bool = False
    reason: str = ""
    """Why `state` is what it is, as a clause, where that was concluded from circumstances."""
    outcome: str = ""
    """One sentence: what came of it and why."""


@dataclass(slots=True)
class ChildSa:
    """A pair of ESP or AH SAs: observed in opened messages, or inferred from a pair of flows."""

    id: str
    ike_sa: str | None
    protocol: str
    """"ESP" or "AH"."""
    initiator_spi: int | None
    """The SPI that the initiator of the IKE SA chose: it is on packets towards the initiator."""
    responder_spi: int | None
    mode: str | None = None
    chosen: list[Algorithm] = field(default_factory=list)
    esn: bool | None = None
    selectors_initiator: list[str] = field(default_factory=list)
    selectors_responder: list[str] = field(default_factory=list)
    rekeys: str | None = None
    certainty: Certainty = Certainty.INFERRED
