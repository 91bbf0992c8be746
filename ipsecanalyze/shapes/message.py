"""The shape of an IKE message. See the package for the rules."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from ipsecanalyze.shapes.common import Count, IkeSpi, WarningEntry

__all__ = ["MessageEntry", "PayloadEntry", "TreeEntry"]


class PayloadEntry(TypedDict):
    """A payload of an IKE message."""

    type: Count
    """IANA's number."""
    label: str
    """Short name as RFCs write it: "SA", "KE", "TSi"."""
    offset: Count
    """Where it begins, in octets from the start of the message; of an opened one, of what was inside."""
    opened: bool
    """Whether it was inside an encrypted payload or message, which was opened with keys."""
    critical: bool
    """IKEv2's critical bit."""
    summary: str
    """What it says, in a few words: "KE[MODP_2048]"."""
    is_error: bool
    """Whether it is malformed, or a notify of an error."""


class TreeEntry(TypedDict):
    """A field of a message."""

    offset: Count
    """Where it stands, in octets from the start of the message; behind "opened", of what was inside."""
    name: str
    """Its name."""
    value: str
    """Its value in words."""
    level: Count
    """How deep it is nested."""


class MessageEntry(TypedDict):
    """An IKE message."""

    capture: Count
    """Index into `captures`."""
    frame: Count
    """The frame that completed it, counted from 1 within its capture."""
    time_ns: int
    """When it was captured."""
    source: str
    """Who sent it."""
    source_port: Count
    """From which port."""
    destination: str
    """To whom."""
    destination_port: Count
    """To which port."""
    encapsulation: Literal["none", "udp", "tcp"]
    """UDP behind a non-ESP marker (port 4500), TCP, or none (port 500)."""
    certainty: Literal["observed", "inferred"]
    """Inferred where only the looks of the octets say that this is IKE (unusual ports)."""
    ike_sa: str | None
    """The IKE SA it belongs to."""
    version: str
    """The version of IKE that its header names."""
    initiator_spi: IkeSpi
    """The initiator's SPI (IKEv1: cookie)."""
    responder_spi: IkeSpi
    """The responder's SPI (IKEv1: cookie)."""
    exchange_type: Count
    """IANA's number."""
    exchange: str
    """IANA's name."""
    flags: Count
    """The octet of flags."""
    message_id: Count
    """The message ID."""
    length: Count
    """Octets, as its header says."""
    encrypted: bool
    """Whether payloads of it are encrypted."""
    from_initiator: bool | None
    """Sent by the initiator of the IKE SA; null where that cannot be known."""
    is_response: bool | None
    """Answers another message; null where that cannot be known."""
    retransmission_of: Count | None
    """The frame of the first transmission."""
    response_to: Count | None
    """The frame of the request that it answers."""
    round_trip_ns: int | None
    """From the first transmission of the request to this response."""
    payloads: list[PayloadEntry]
    """Its payloads in order."""
    notes: list[str]
    """What the analysis has to say about it."""
    warnings: list[WarningEntry]
    """What is malformed about it."""
    tree: NotRequired[list[TreeEntry]]
    """All its fields; only where the tree was asked for."""
