"""What the tracker remembers of an IKE SA beside the record that users get.

Data only. `exchanges.py`, `negotiation.py` and `table.py` fill it, `conclusions.py` reads it; nobody outside `sa/`
sees it. Everything in it is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ipsecanalyze.sa.records import Exchange, IkeSa, MessageRecord

__all__ = ["EXCHANGES", "FRAMES", "LISTED", "Fragments", "Pending", "Tail", "Track"]

#: Frames kept per IKE SA, and transmissions per exchange.
FRAMES = 4_096
#: Entries kept of any other list of an IKE SA (exchanges, notifies, moves …).
LISTED = 256
#: Exchanges kept per IKE SA: the first half and the latest half.
EXCHANGES = 1_024


@dataclass(slots=True)
class Fragments:
    """RFC 7383 fragments of an exchange: of the request and of the response."""

    expected: list[int] = field(default_factory=lambda: [0, 0])
    seen: list[int] = field(default_factory=lambda: [0, 0])


@dataclass(slots=True)
class Pending:
    """An exchange that more messages may belong to."""

    exchange: Exchange
    seen: dict[int, int] = field(default_factory=dict)
    """What identifies a transmission → frame of the first, and behind it in 64 bits the hash of its octets."""
    frame: int = 0
    """IKEv2: the first frame of the request. IKEv1: the latest message that was new."""
    time_ns: int = 0
    from_initiator: bool = True
    """Who sent the message in `frame`."""
    fragments: Fragments | None = None


@dataclass(slots=True)
class Tail:
    """An IKEv1 Informational among those that an IKE SA ends with."""

    from_initiator: bool
    length: int
    time_ns: int


@dataclass(slots=True)
class Track:
    """The tracker's memory of an IKE SA."""

    sa: IkeSa
    spi_pair: tuple[int, int]
    """The SPIs under which it is found; the second is 0 as long as the responder has none."""
    initial_key: tuple[int, str] | None = None
    """(initiator's SPI, its address), under which first messages find it."""
    retry_key: tuple[str, str] | None = None
    """(initiator's, responder's address) under which another SPI may follow a COOKIE or INVALID_KE_PAYLOAD."""
    records: list[MessageRecord] = field(default_factory=list)
    """Its messages among those kept; emptied once the SA is proven."""
    is_proven: bool = False
    """Both sides went beyond the first exchange: a flood does not push it out."""
    encrypted_sides: int = 0
    """Bit 0: the initiator sent something encrypted, bit 1: the responder did."""
    pending: dict[int, Pending] = field(default_factory=dict)
    request_id_i: int = -1
    """IKEv2: the highest message ID of a request by the initiator; -1 without one."""
    request_id_r: int = -1
    told: int = 0
    """A bit for each notice that is told once per SA."""
    last: Pending | None = None
    """The exchange that began last."""
    previous_ns: int = 0
    """The time of the message before the current one; 0 for the first."""
    was_answered: bool = False
    """The responder took a proposal."""
    is_fragmented_answer: bool = False
    """The last IKE_AUTH response came in fragments."""
    auth_rounds: int = 0
    auth_answers: int = 0
    auth_answer_octets: int = 0
    """What the SK payload of the last IKE_AUTH response holds (IV, content, padding, ICV)."""
    auth_answer_ns: int = 0
    later_exchanges: int = 0
    """IKEv2: exchanges after IKE_AUTH. IKEv1: after phase 1."""
    later_answers: int = 0
    informational_octets: int = 0
    """What the SK payload of the last INFORMATIONAL request holds."""
    informational_gap_ns: int = 0
    """Time between the last INFORMATIONAL request and the message before."""
    earlier_informational_octets: int = 0
    earlier_informational_gap_ns: int = 0
    phase1_i: int = 0
    """IKEv1: messages of phase 1 by the initiator that were no retransmissions."""
    phase1_r: int = 0
    phase1_end_ns: int = 0
    tail: tuple[Tail, ...] = ()
    """IKEv1: the Informationals that nothing else followed (bounded)."""
