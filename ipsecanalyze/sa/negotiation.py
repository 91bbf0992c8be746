"""What messages in the clear say: offers and choices, notifies, vendor IDs, nonces, identities, NAT detection.

Reads the payloads of one message into the record of its IKE SA and reports what that means as events of `states.py`.
Retransmissions never get here. Who sent the message and which exchange it belongs to was decided before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads import (
    IdPayload,
    KePayload,
    NatDetectionPayload,
    NoncePayload,
    NotifyPayload,
    SaPayload,
    VendorIdPayload,
)
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa import algorithms, nat
from ipsecanalyze.sa.exchanges import INITIAL_V2, PHASE1_V1
from ipsecanalyze.sa.fingerprint import Fingerprints
from ipsecanalyze.sa.records import Certainty, MessageRecord, Mode, NotifySeen, Peer
from ipsecanalyze.sa.states import Event, advance
from ipsecanalyze.sa.table import SaTable
from ipsecanalyze.sa.track import LISTED, Track

__all__ = ["Negotiation"]

_COOKIE = ikev2.NotifyType.COOKIE
_INVALID_KE = ikev2.NotifyType.INVALID_KE_PAYLOAD
_REDIRECT = ikev2.NotifyType.REDIRECT
_NAT_SOURCE = int(ikev2.NotifyType.NAT_DETECTION_SOURCE_IP)
_NAT_DESTINATION = int(ikev2.NotifyType.NAT_DETECTION_DESTINATION_IP)
#: Notify types below are errors, in both versions (RFC 7296 §3.10.1, RFC 2408 §3.14.1).
_STATUS = 16384


@dataclass(slots=True)
class _Clear:
    """The payloads of a message that matter, sorted."""

    offer: SaPayload | None = None
    notifies: list[NotifyPayload] = field(default_factory=list)
    errors: list[NotifyPayload] = field(default_factory=list)
    nat_v1: list[bytes] = field(default_factory=list)
    nat_sources: list[bytes] = field(default_factory=list)
    nat_destination: bytes | None = None
    has_nonce: bool = False
    parts: list[str] = field(default_factory=list)
    """For the fingerprint."""


class Negotiation:
    """Reads messages into the records of IKE SAs."""

    def __init__(self, table: SaTable) -> None:
        self._table = table
        self._fingerprints = Fingerprints()

    def read(self, track: Track, record: MessageRecord, message: IkeMessage) -> None:
        """Take a message of the IKE SA that is no retransmission."""
        sent_by_initiator = record.from_initiator is not False
        sender = track.sa.initiator if sent_by_initiator else track.sa.responder
        clear = _sort(message, sender)
        if clear.notifies:
            _note_notifies(track, record, clear.notifies, sent_by_initiator)
        if message.major == 2:
            self._read_v2(track, record, message, clear)
        else:
            self._read_v1(track, record, message, clear, sender)
        offer = clear.offer
        if offer is not None and not sender.fingerprint:
            body = record.datagram.payload[offer.offset : offer.offset + 4_096]
            octets = body[4 : int.from_bytes(body[2:4])] if len(body) >= 4 else b""
            sender.fingerprint = self._fingerprints.of(
                message.version_text, message.exchange_type, tuple(clear.parts), offer.proposals, octets
            )

    # IKEv2

    def _read_v2(self, track: Track, record: MessageRecord, message: IkeMessage, clear: _Clear) -> None:
        if message.exchange_type not in INITIAL_V2:
            if clear.errors and record.is_response:
                self._refused(track)
            return
        if clear.nat_sources or clear.nat_destination is not None:
            _detect_nat(track, record, clear.nat_sources, clear.nat_destination, "sha1")
        if not record.is_response:
            self._offered(track, record, clear)
        elif clear.offer is not None or message.next_payload == ikev2.PayloadType.SA or clear.has_nonce:
            # The snap length may have cut the SA payload; a resumed session has none (RFC 5723 §4.3).
            if clear.offer is not None:
                suites = algorithms.suites_v2(clear.offer.proposals)
                track.sa.chosen = suites[0] if suites else []
            self._happened(track, Event.ANSWER)
            self._table.answered(track)
        else:
            self._asked_again_or_refused(track, record, clear)

    def _offered(self, track: Track, record: MessageRecord, clear: _Clear) -> None:
        if clear.offer is not None:
            track.sa.offered = algorithms.suites_v2(clear.offer.proposals)
        self._happened(track, Event.OFFER)
        if any(notify.notify_type == _COOKIE for notify in clear.notifies):
            record.notes.append("returns the cookie")

    def _asked_again_or_refused(self, track: Track, record: MessageRecord, clear: _Clear) -> None:
        sa = track.sa
        for notify in clear.notifies:
            if notify.notify_type == _COOKIE:
                sa.cookie_rounds += 1
                record.notes.append("cookie requested")
            elif notify.notify_type == _INVALID_KE:
                wanted = int.from_bytes(notify.data[:2])
                refused = sa.initiator.key_exchange_groups[-1] if sa.initiator.key_exchange_groups else None
                if len(sa.invalid_ke_rounds) < LISTED:
                    sa.invalid_ke_rounds.append(wanted)
                name = ikev2.KeyExchange(wanted).name
                before = "" if refused is None else f"{ikev2.KeyExchange(refused).name} refused, "
                record.notes.append(f"{before}wants {name}")
            elif notify.notify_type >= _STATUS and notify.notify_type != _REDIRECT:
                continue
            else:
                self._refused(track)
                continue
            self._happened(track, Event.RETRY)
            self._table.expect_retry(track)

    # IKEv1

    def _read_v1(self, track: Track, record: MessageRecord, message: IkeMessage, clear: _Clear, sender: Peer) -> None:
        sa = track.sa
        if message.exchange_type not in PHASE1_V1:
            if clear.errors:
                self._refused(track)
            return
        if sa.mode is None:
            sa.mode = Mode.MAIN if message.exchange_type == ikev1.ExchangeType.IDENTITY_PROTECTION else Mode.AGGRESSIVE
        if clear.offer is not None:
            self._suites_v1(track, clear.offer, sent_by_initiator=sender is sa.initiator)
        if any(isinstance(payload, KePayload) for payload in message.payloads):
            group = next((a.id for a in sa.chosen or (sa.offered[0] if sa.offered else []) if a.type == "KE"), None)
            if group is not None and len(sender.key_exchange_groups) < LISTED:
                sender.key_exchange_groups.append(group)
        identity = message.find(IdPayload)
        if identity is not None and sender.identity is None:
            sender.identity = identity.text
        if clear.nat_v1:
            function = next((nat.HASHES_V1.get(a.id) for a in sa.chosen if a.type == "HASH"), None)
            function = function or nat.hash_by_length(len(clear.nat_v1[0]))
            if function is not None:
                # RFC 3947 §3.2: the receiver's address comes first, then those of the sender.
                _detect_nat(track, record, clear.nat_v1[1:], clear.nat_v1[0], function)

    def _suites_v1(self, track: Track, offer: SaPayload, *, sent_by_initiator: bool) -> None:
        sa = track.sa
        suites = algorithms.suites_v1(offer.proposals)
        if sent_by_initiator:
            sa.offered = suites
            self._happened(track, Event.OFFER)
            return
        sa.chosen = suites[0] if suites else []
        life = algorithms.lifetime(offer.proposals)
        sa.lifetime_seconds, sa.lifetime_kilobytes = life.seconds, life.kilobytes
        method = algorithms.authentication(offer.proposals)
        if method is not None:
            sa.authentication_initiator, sa.authentication_responder = algorithms.authentication_methods(method)
        self._happened(track, Event.ANSWER)
        self._table.answered(track)

    # Both

    def _refused(self, track: Track) -> None:
        self._happened(track, Event.REFUSED)
        track.sa.certainty = Certainty.OBSERVED

    def _happened(self, track: Track, event: Event) -> None:
        track.sa.state = advance(track.sa.state, event)


def _sort(message: IkeMessage, sender: Peer) -> _Clear:
    """Sort the payloads, and take from them what concerns the sender alone."""
    clear = _Clear()
    parts = clear.parts
    for payload in message.payloads:
        part = str(int(payload.type))
        # The order is that of their number in ordinary first messages.
        if isinstance(payload, NotifyPayload):
            kind = payload.notify_type
            part = f"{part}={kind}"
            clear.notifies.append(payload)
            if kind == _NAT_SOURCE:
                clear.nat_sources.append(payload.data)
            elif kind == _NAT_DESTINATION:
                clear.nat_destination = payload.data
            elif kind < _STATUS:
                clear.errors.append(payload)
        elif isinstance(payload, VendorIdPayload):
            part = f"{part}={payload.data[:16].hex()}"
            if len(sender.vendor_id_data) < LISTED and payload.data not in sender.vendor_id_data:
                sender.vendor_id_data.append(payload.data)
                sender.vendor_ids.append(payload.text)
        elif isinstance(payload, SaPayload):
            clear.offer = clear.offer or payload
        elif isinstance(payload, KePayload):
            if payload.group is not None:
                part = f"{part}={payload.group}"
                if len(sender.key_exchange_groups) < LISTED:
                    sender.key_exchange_groups.append(payload.group)
        elif isinstance(payload, NoncePayload):
            sender.nonce_length = len(payload.data)
            clear.has_nonce = True
        elif isinstance(payload, NatDetectionPayload):
            clear.nat_v1.append(payload.data)
        parts.append(part)
    return clear


def _note_notifies(track: Track, record: MessageRecord, notifies: list[NotifyPayload], from_initiator: bool) -> None:
    seen = track.sa.notifies
    frame = record.datagram.frame
    for notify in notifies[: LISTED - len(seen)]:
        kind = notify.registered
        seen.append(NotifySeen(frame, int(kind), kind.name, kind.is_error, from_initiator, notify.description))


def _detect_nat(
    track: Track, record: MessageRecord, sources: list[bytes], destination: bytes | None, function: str
) -> None:
    datagram: Datagram = record.datagram
    sa = track.sa
    sender, receiver = (
        (sa.initiator, sa.responder) if record.from_initiator is not False else (sa.responder, sa.initiator)
    )
    spis = datagram.payload[:16]
    if sources:
        expected = nat.detection_hash(spis, datagram.source, datagram.source_port, function)
        nat.note_source_hashes(sender, sources, expected)
        nat.judge(sender)
    if destination is not None:
        expected = nat.detection_hash(spis, datagram.destination, datagram.destination_port, function)
        nat.note_destination_hash(receiver, destination, expected)
        nat.judge(receiver)
