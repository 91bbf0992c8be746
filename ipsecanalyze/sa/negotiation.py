"""What messages in the clear say: offers and choices, notifies, vendor IDs, nonces, identities, NAT detection.

Reads the payloads of one message into the record of its IKE SA and reports what that means as events of `states.py`.
Retransmissions never get here. Who sent the message and which exchange it belongs to was decided before.
"""

from __future__ import annotations

from functools import lru_cache

from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads import IdPayload, KePayload, Proposal, notify_data
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.registry.vendor_ids import identify
from ipsecanalyze.sa import algorithms, nat
from ipsecanalyze.sa.clear import STATUS, Clear
from ipsecanalyze.sa.exchanges import INITIAL_V2, PHASE1_V1
from ipsecanalyze.sa.fingerprint import Fingerprints
from ipsecanalyze.sa.records import Algorithm, Certainty, MessageRecord, Mode, NotifySeen, Peer
from ipsecanalyze.sa.states import Event, advance
from ipsecanalyze.sa.table import SaTable
from ipsecanalyze.sa.track import LISTED, Track

__all__ = ["Negotiation"]

_COOKIE = int(ikev2.NotifyType.COOKIE)
_INVALID_KE = int(ikev2.NotifyType.INVALID_KE_PAYLOAD)
_REDIRECT = int(ikev2.NotifyType.REDIRECT)
_SA_V2 = int(ikev2.PayloadType.SA)
#: Their data, hashes, says nothing in words; what it means is in `Peer.behind_nat`.
_NAT_HASHES = (int(ikev2.NotifyType.NAT_DETECTION_SOURCE_IP), int(ikev2.NotifyType.NAT_DETECTION_DESTINATION_IP))
#: Notification data whose words are remembered: what everyone sends, and nothing that is different each time.
_REMEMBERED_OCTETS = 16


class Negotiation:
    """Reads messages into the records of IKE SAs."""

    def __init__(self, table: SaTable) -> None:
        self._table = table
        self._fingerprints = Fingerprints()
        self._suites = algorithms.Suites()

    def read(self, track: Track, record: MessageRecord, message: IkeMessage, clear: Clear) -> None:
        """Take a message of the IKE SA that is no retransmission: its header, and what it says in the clear.

        Of IKEv1 messages the payloads are looked at too.
        """
        sender = track.sa.responder if record.from_initiator is False else track.sa.initiator
        _note_sender(sender, clear)
        if clear.notifies:
            _note_notifies(track, record, message.major, clear.notifies)
        if message.major == 2:
            self._read_v2(track, record, message, clear)
        else:
            self._read_v1(track, record, message, clear, sender)
        if clear.proposals is not None and not sender.fingerprint:
            sender.fingerprint = self._fingerprints.of(message, tuple(clear.look), clear.proposals, clear.offer)

    # IKEv2

    def _read_v2(self, track: Track, record: MessageRecord, message: IkeMessage, clear: Clear) -> None:
        if message.exchange_type not in INITIAL_V2:
            if clear.has_error and record.is_response:
                self._refused(track)
            return
        if clear.nat_sources or clear.nat_destination is not None:
            _detect_nat(track, record, clear, clear.nat_sources, clear.nat_destination, "sha1")
        if not record.is_response:
            if clear.proposals is not None:
                track.sa.offered = self._suites.of(2, clear.proposals, clear.offer)
            self._happened(track, Event.OFFER)
            if clear.has_cookie:
                record.notes.append("returns the cookie")
        elif clear.proposals is not None or clear.nonce_length is not None or message.next_payload == _SA_V2:
            # The snap length may have cut the SA payload; a resumed session has none (RFC 5723 §4.3).
            if clear.proposals is not None:
                suites = self._suites.of(2, clear.proposals, clear.offer)
                track.sa.chosen = suites[0] if suites else []
            self._happened(track, Event.ANSWER)
            self._table.answered(track)
        else:
            self._asked_again_or_refused(track, record, clear)

    def _asked_again_or_refused(self, track: Track, record: MessageRecord, clear: Clear) -> None:
        sa = track.sa
        for kind, data in clear.notifies:
            if kind == _COOKIE:
                sa.cookie_rounds += 1
                record.notes.append("cookie requested")
            elif kind == _INVALID_KE:
                wanted = int.from_bytes(data[:2])
                refused = sa.initiator.key_exchange_groups[-1] if sa.initiator.key_exchange_groups else None
                if len(sa.invalid_ke_rounds) < LISTED:
                    sa.invalid_ke_rounds += (wanted,)
                name = ikev2.KeyExchange(wanted).name
                before = "" if refused is None else f"{ikev2.KeyExchange(refused).name} refused, "
                record.notes.append(f"{before}wants {name}")
            elif kind >= STATUS and kind != _REDIRECT:
                continue
            else:
                self._refused(track)
                continue
            self._happened(track, Event.RETRY)
            self._table.expect_retry(track)

    # IKEv1

    def _read_v1(self, track: Track, record: MessageRecord, message: IkeMessage, clear: Clear, sender: Peer) -> None:
        sa = track.sa
        if message.exchange_type not in PHASE1_V1:
            if clear.has_error:
                self._refused(track)
            return
        if sa.mode is None:
            sa.mode = Mode.MAIN if message.exchange_type == ikev1.ExchangeType.IDENTITY_PROTECTION else Mode.AGGRESSIVE
        if clear.proposals is not None:
            suites = self._suites.of(1, clear.proposals, clear.offer)
            self._suites_v1(track, suites, clear.proposals, sent_by_initiator=sender is sa.initiator)
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
        self, track: Track, suites: list[list[Algorithm]], proposals: tuple[Proposal, ...], *, sent_by_initiator: bool
    ) -> None:
        sa = track.sa
        if sent_by_initiator:
            sa.offered = suites
            self._happened(track, Event.OFFER)
            return
        sa.chosen = suites[0] if suites else []
        life = algorithms.lifetime(proposals)
        sa.lifetime_seconds, sa.lifetime_kilobytes = life.seconds, life.kilobytes
        method = algorithms.authentication(proposals)
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


def _note_sender(sender: Peer, clear: Clear) -> None:
    """Take what concerns the sender alone."""
    if clear.nonce_length is not None:
        sender.nonce_length = clear.nonce_length
    if clear.groups and len(sender.key_exchange_groups) < LISTED:
        sender.key_exchange_groups += clear.groups
    for data in clear.vendor_ids:
        known = sender.vendor_id_data
        if len(known) < LISTED and data not in known:
            sender.vendor_id_data += (data,)
            sender.vendor_ids += (identify(data).label,)


@lru_cache(maxsize=1024)
def _worded(major: int, kind: int, data: bytes) -> tuple[str, bool, str]:
    """Name, whether it is an error, and the data in words."""
    registered = ikev2.NotifyType(kind) if major == 2 else ikev1.NotifyType(kind)
    return registered.name, registered.is_error, _describe(major, kind, data) if data else ""


def _describe(major: int, kind: int, data: bytes) -> str:
    return notify_data.describe_v2(kind, data) if major == 2 else notify_data.describe_v1(kind, data)


def _note_notifies(track: Track, record: MessageRecord, major: int, notifies: list[tuple[int, bytes]]) -> None:
    seen = track.sa.notifies
    frame = record.datagram.frame
    from_initiator = record.from_initiator is not False
    for kind, data in notifies[: LISTED - len(seen)]:
        if not data or kind in _NAT_HASHES:
            name, is_error, words = _worded(major, kind, b"")
        elif len(data) <= _REMEMBERED_OCTETS:
            name, is_error, words = _worded(major, kind, data)
        else:
            name, is_error, _ = _worded(major, kind, b"")
            words = _describe(major, kind, data)
        seen.append(NotifySeen(frame, kind, name, is_error, from_initiator, words))


def _detect_nat(
    track: Track,
    record: MessageRecord,
    clear: Clear,
    sources: tuple[bytes, ...],
    destination: bytes | None,
    function: str,
) -> None:
    datagram, sa = record.datagram, track.sa
    sender, receiver = sa.initiator, sa.responder
    if record.from_initiator is False:
        sender, receiver = receiver, sender
    if sources:
        expected = nat.detection_hash(clear.spis, datagram.source, datagram.source_port, function)
        nat.note_source_hashes(sender, sources, expected)
        nat.judge(sender)
    if destination is not None:
        expected = nat.detection_hash(clear.spis, datagram.destination, datagram.destination_port, function)
        nat.note_destination_hash(receiver, destination, expected)
        nat.judge(receiver)
