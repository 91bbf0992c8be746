"""What messages in the clear say: offers and choices, notifies, vendor IDs, nonces, identities, NAT detection.

Reads the payloads of one message into the record of its IKE SA and reports what that means as events of `states.py`.
Retransmissions never get here. Who sent the message and which exchange it belongs to was decided before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads import (
    IdPayload,
    KePayload,
    NatDetectionPayload,
    NoncePayload,
    NotifyPayload,
    SaPayload,
    VendorIdPayload,
    notify_data,
)
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa import algorithms, nat
from ipsecanalyze.sa.exchanges import INITIAL_V2, PHASE1_V1
from ipsecanalyze.sa.fingerprint import VENDOR_ID_OCTETS, Fingerprints, Part
from ipsecanalyze.sa.records import Algorithm, Certainty, MessageRecord, Mode, NotifySeen, Peer
from ipsecanalyze.sa.states import Event, advance
from ipsecanalyze.sa.table import SaTable
from ipsecanalyze.sa.track import LISTED, Track

__all__ = ["Negotiation"]

_COOKIE = int(ikev2.NotifyType.COOKIE)
_INVALID_KE = int(ikev2.NotifyType.INVALID_KE_PAYLOAD)
_REDIRECT = int(ikev2.NotifyType.REDIRECT)
_NAT_SOURCE = int(ikev2.NotifyType.NAT_DETECTION_SOURCE_IP)
_NAT_DESTINATION = int(ikev2.NotifyType.NAT_DETECTION_DESTINATION_IP)
#: Notification data whose words are remembered: what everyone sends, and nothing that is different each time.
_REMEMBERED_OCTETS = 16
_NAT_HASHES = (_NAT_SOURCE, _NAT_DESTINATION)
#: Notify types below are errors, in both versions (RFC 7296 §3.10.1, RFC 2408 §3.14.1).
_STATUS = 16384


@dataclass(slots=True)
class _Clear:
    """The payloads of a message that matter, sorted."""

    octets: bytes
    """The message."""
    offer: SaPayload | None = None
    offer_octets: bytes = b""
    """The body of the SA payload, to know it again by."""
    notifies: list[NotifyPayload] = field(default_factory=list)
    look: list[Part] = field(default_factory=list)
    """The payloads in order, for the fingerprint."""
    nat_v1: tuple[bytes, ...] = ()
    nat_sources: tuple[bytes, ...] = ()
    nat_destination: bytes | None = None
    has_error: bool = False
    has_nonce: bool = False
    has_cookie: bool = False


class Negotiation:
    """Reads messages into the records of IKE SAs."""

    def __init__(self, table: SaTable) -> None:
        self._table = table
        self._fingerprints = Fingerprints()
        self._suites = algorithms.Suites()

    def read(self, track: Track, record: MessageRecord, message: IkeMessage, octets: bytes) -> None:
        """Take a message of the IKE SA, with its octets, that is no retransmission."""
        sender = track.sa.responder if record.from_initiator is False else track.sa.initiator
        clear = _sort(message, sender, octets)
        if clear.notifies:
            _note_notifies(track, record, message, clear.notifies)
        if message.major == 2:
            self._read_v2(track, record, message, clear)
        else:
            self._read_v1(track, record, message, clear, sender)
        offer = clear.offer
        if offer is not None and not sender.fingerprint:
            look = tuple(clear.look)
            sender.fingerprint = self._fingerprints.of(message, look, offer.proposals, clear.offer_octets)

    # IKEv2

    def _read_v2(self, track: Track, record: MessageRecord, message: IkeMessage, clear: _Clear) -> None:
        if message.exchange_type not in INITIAL_V2:
            if clear.has_error and record.is_response:
                self._refused(track)
            return
        if clear.nat_sources or clear.nat_destination is not None:
            _detect_nat(track, record, clear, clear.nat_sources, clear.nat_destination, "sha1")
        if not record.is_response:
            if clear.offer is not None:
                track.sa.offered = self._suites.of(2, clear.offer.proposals, clear.offer_octets)
            self._happened(track, Event.OFFER)
            if clear.has_cookie:
                record.notes.append("returns the cookie")
        elif clear.offer is not None or message.next_payload == ikev2.PayloadType.SA or clear.has_nonce:
            # The snap length may have cut the SA payload; a resumed session has none (RFC 5723 §4.3).
            if clear.offer is not None:
                suites = self._suites.of(2, clear.offer.proposals, clear.offer_octets)
                track.sa.chosen = suites[0] if suites else []
            self._happened(track, Event.ANSWER)
            self._table.answered(track)
        else:
            self._asked_again_or_refused(track, record, clear)

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
                    sa.invalid_ke_rounds += (wanted,)
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
            if clear.has_error:
                self._refused(track)
            return
        if sa.mode is None:
            sa.mode = Mode.MAIN if message.exchange_type == ikev1.ExchangeType.IDENTITY_PROTECTION else Mode.AGGRESSIVE
        if clear.offer is not None:
            suites = self._suites.of(1, clear.offer.proposals, clear.offer_octets)
            self._suites_v1(track, suites, clear.offer, sent_by_initiator=sender is sa.initiator)
        if any(isinstance(payload, KePayload) for payload in message.payloads):
            group = next((a.id for a in sa.chosen or (sa.offered[0] if sa.offered else []) if a.type == "KE"), None)
            if group is not None and len(sender.key_exchange_groups) < LISTED:
                sender.key_exchange_groups += (group,)
        identity = message.find(IdPayload)
        if identity is not None and sender.identity is None:
            sender.identity = identity.text
        if clear.nat_v1:
            function = next((nat.HASHES_V1.get(a.id) for a in sa.chosen if a.type == "HASH"), None)
            function = function or nat.hash_by_length(len(clear.nat_v1[0]))
            if function is not None:
                # RFC 3947 §3.2: the receiver's address comes first, then those of the sender.
                _detect_nat(track, record, clear, clear.nat_v1[1:], clear.nat_v1[0], function)

    def _suites_v1(
        self, track: Track, suites: list[list[Algorithm]], offer: SaPayload, *, sent_by_initiator: bool
    ) -> None:
        sa = track.sa
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


def _sort(message: IkeMessage, sender: Peer, octets: bytes) -> _Clear:
    """Sort the payloads, and take from them what concerns the sender alone."""
    clear = _Clear(octets)
    look = clear.look
    for payload in message.payloads:
        # The order is that of their number in ordinary first messages.
        kind: int = payload.type
        if isinstance(payload, NotifyPayload):
            _sort_notify(clear, payload)
        elif isinstance(payload, KePayload) and payload.group is not None:
            look.append((kind, payload.group))
            if len(sender.key_exchange_groups) < LISTED:
                sender.key_exchange_groups += (payload.group,)
        elif isinstance(payload, VendorIdPayload):
            look.append((kind, payload.data[:VENDOR_ID_OCTETS]))
            _note_vendor_id(sender, payload)
        else:
            look.append(kind)
            if isinstance(payload, NoncePayload):
                sender.nonce_length = len(payload.data)
                clear.has_nonce = True
            elif isinstance(payload, SaPayload):
                if clear.offer is None:
                    start = payload.offset
                    clear.offer = payload
                    clear.offer_octets = octets[start + 4 : start + int.from_bytes(octets[start + 2 : start + 4])]
            elif isinstance(payload, NatDetectionPayload):
                clear.nat_v1 += (payload.data,)
    return clear


def _sort_notify(clear: _Clear, payload: NotifyPayload) -> None:
    kind = payload.notify_type
    clear.look.append((payload.type, kind))
    clear.notifies.append(payload)
    if kind == _NAT_SOURCE:
        clear.nat_sources += (payload.data,)
    elif kind == _NAT_DESTINATION:
        clear.nat_destination = payload.data
    elif kind == _COOKIE:
        clear.has_cookie = True
    elif kind < _STATUS:
        clear.has_error = True


def _note_vendor_id(sender: Peer, payload: VendorIdPayload) -> None:
    known = sender.vendor_id_data
    if len(known) < LISTED and payload.data not in known:
        sender.vendor_id_data += (payload.data,)
        sender.vendor_ids += (payload.text,)


@lru_cache(maxsize=1024)
def _worded(major: int, kind: int, data: bytes) -> tuple[str, bool, str]:
    """Name, whether it is an error, and the data in words."""
    registered = ikev2.NotifyType(kind) if major == 2 else ikev1.NotifyType(kind)
    describe = notify_data.describe_v2 if major == 2 else notify_data.describe_v1
    return registered.name, registered.is_error, describe(kind, data) if data else ""


def _note_notifies(track: Track, record: MessageRecord, message: IkeMessage, notifies: list[NotifyPayload]) -> None:
    seen = track.sa.notifies
    frame = record.datagram.frame
    from_initiator = record.from_initiator is not False
    major = message.major
    for notify in notifies[: LISTED - len(seen)]:
        kind, data = notify.notify_type, notify.data
        if not data or kind in _NAT_HASHES:
            # The NAT detection hashes say nothing in words; what they mean is in `Peer.behind_nat`.
            name, is_error, words = _worded(major, kind, b"")
        elif len(data) <= _REMEMBERED_OCTETS:
            name, is_error, words = _worded(major, kind, data)
        else:
            name, is_error, _ = _worded(major, kind, b"")
            words = notify.description
        seen.append(NotifySeen(frame, kind, name, is_error, from_initiator, words))


def _detect_nat(
    track: Track,
    record: MessageRecord,
    clear: _Clear,
    sources: tuple[bytes, ...],
    destination: bytes | None,
    function: str,
) -> None:
    datagram, sa = record.datagram, track.sa
    sender, receiver = sa.initiator, sa.responder
    if record.from_initiator is False:
        sender, receiver = receiver, sender
    spis = clear.octets[:16]
    if sources:
        expected = nat.detection_hash(spis, datagram.source, datagram.source_port, function)
        nat.note_source_hashes(sender, sources, expected)
        nat.judge(sender)
    if destination is not None:
        expected = nat.detection_hash(spis, datagram.destination, datagram.destination_port, function)
        nat.note_destination_hash(receiver, destination, expected)
        nat.judge(receiver)
