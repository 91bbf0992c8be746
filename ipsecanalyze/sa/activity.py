"""Facts about encrypted messages that conclusions are drawn from: which exchange, how long, when.

Takes each message once (no retransmissions), after its exchange is known. Nothing is concluded here.
"""

from __future__ import annotations

from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads import EncryptedFragmentPayload, EncryptedPayload
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.exchanges import INITIAL_V2, PHASE1_V1
from ipsecanalyze.sa.records import MessageRecord
from ipsecanalyze.sa.track import Pending, Tail, Track

__all__ = ["note_activity"]

_IKE_AUTH = int(ikev2.ExchangeType.IKE_AUTH)
_CREATE_CHILD_SA = int(ikev2.ExchangeType.CREATE_CHILD_SA)
_INFORMATIONAL = int(ikev2.ExchangeType.INFORMATIONAL)
_INTERMEDIATE = int(ikev2.ExchangeType.IKE_INTERMEDIATE)
_MAIN = int(ikev1.ExchangeType.IDENTITY_PROTECTION)
_QUICK = int(ikev1.ExchangeType.QUICK_MODE)
_INFORMATIONAL_V1 = int(ikev1.ExchangeType.INFORMATIONAL)
#: Informationals remembered of those at the end of an IKEv1 SA.
_TAIL = 8


def note_activity(
    track: Track, record: MessageRecord, message: IkeMessage, pending: Pending, encrypted: EncryptedPayload | None
) -> None:
    """Take a message of the IKE SA; `encrypted` is the SK or SKF payload of an IKEv2 message."""
    if message.major == 1:
        _note_v1(track, record, message, pending)
    elif message.exchange_type not in INITIAL_V2 and encrypted is not None:
        _note_v2(track, record, message.exchange_type, pending, encrypted)


def _is_first(pending: Pending) -> bool:
    return len(pending.exchange.requests) + len(pending.exchange.responses) == 1


def _note_v2(track: Track, record: MessageRecord, kind: int, pending: Pending, encrypted: EncryptedPayload) -> None:
    octets = len(encrypted.data) + encrypted.missing
    datagram = record.datagram
    if kind == _IKE_AUTH:
        if not record.is_response:
            track.auth_rounds += _is_first(pending)
            return
        track.auth_answers += 1
        track.is_fragmented_answer = isinstance(encrypted, EncryptedFragmentPayload)
        track.auth_answer_octets = octets
        track.auth_answer_ns = datagram.time_ns
        return
    if kind == _INTERMEDIATE:
        return
    if _is_first(pending):
        track.later_exchanges += 1
        track.sa.child_exchanges += kind == _CREATE_CHILD_SA
    if record.is_response:
        track.later_answers += 1
    elif kind == _INFORMATIONAL and _is_first(pending):
        track.earlier_informational_octets = track.informational_octets
        track.earlier_informational_gap_ns = track.informational_gap_ns
        track.informational_octets = octets
        track.informational_gap_ns = datagram.time_ns - track.previous_ns if track.previous_ns else 0


def _note_v1(track: Track, record: MessageRecord, message: IkeMessage, pending: Pending) -> None:
    kind = message.exchange_type
    datagram = record.datagram
    from_initiator = record.from_initiator is not False
    if kind in PHASE1_V1:
        track.phase1_i += from_initiator
        track.phase1_r += not from_initiator
        record.notes.append(f"message {track.phase1_i + track.phase1_r}")
        # Main mode ends with the responder's third message, aggressive mode with the initiator's second one.
        if track.phase1_i >= (3 if kind == _MAIN else 2) and track.phase1_r >= (3 if kind == _MAIN else 1):
            track.phase1_end_ns = track.phase1_end_ns or datagram.time_ns
        track.tail = ()
        return
    if not message.is_encrypted:
        return
    if _is_first(pending):
        track.later_exchanges += 1
        track.sa.child_exchanges += kind == _QUICK
    if kind != _INFORMATIONAL_V1:
        track.later_answers += bool(record.is_response)
        track.tail = ()
    else:
        is_initiator = (
            datagram.source == track.sa.initiator.address if record.from_initiator is None else from_initiator
        )
        track.tail = (*track.tail[1 - _TAIL :], Tail(is_initiator, datagram.length, datagram.time_ns))
