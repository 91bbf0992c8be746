"""Which message answers which, and which was sent again.

IKEv2 says it in the header: message ID, R flag, I flag (RFC 7296 §2.2). IKEv1 has exchanges of several messages under
one message ID (RFC 2408 §3.1), so there order decides. Each function takes one message and updates the exchange, the
counts and the record's relations; what a message contains is none of its business.
"""

from __future__ import annotations

from collections.abc import Callable

from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.ike.fragments import FragmentBook, FragmentStatus, fragment_key
from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads.encrypted import EncryptedFragmentPayload
from ipsecanalyze.sa.records import Exchange, MessageRecord
from ipsecanalyze.sa.track import EXCHANGES, FRAMES, LISTED, Fragments, Pending, Track

__all__ = ["INITIAL_V2", "PHASE1_V1", "Tell", "is_repeated_offer", "match_v1", "match_v2", "note_fragment"]

#: IKE_SA_INIT and IKE_SESSION_RESUME: message ID 0 again and again, with different contents.
INITIAL_V2 = frozenset((34, 38))
#: Main and aggressive mode.
PHASE1_V1 = frozenset((2, 4))
#: Exchanges that stay open for retransmissions, per IKE SA.
_OPEN = 64
_64_BITS = (1 << 64) - 1
#: Tells once per IKE SA: (track, bit, slug, message, frame).
Tell = Callable[[Track, int, str, str, int], None]

_GAP, _BACKWARDS, _WINDOW = 1, 2, 4


def match_v2(
    track: Track,
    record: MessageRecord,
    message: IkeMessage,
    name: str,
    fragment: EncryptedFragmentPayload | None,
    tell: Tell,
) -> Pending:
    """Find the exchange of an IKEv2 message; `record` says who sent it and whether it is a response.

    A retransmission is bitwise the same (RFC 7296 §2.1); beyond the initial exchange the same header, length and
    fragment number are enough, as nothing else may be sent under one message ID.
    """
    datagram = record.datagram
    is_response = record.is_response is True
    by_initiator = record.from_initiator is not is_response
    kind = message.exchange_type
    key = message.message_id << 9 | kind << 1 | by_initiator
    digest = hash(datagram.payload)
    if kind in INITIAL_V2:
        token = digest << 1 | is_response
    else:
        token = datagram.length << 33 | is_response
        if fragment is not None:
            token |= fragment.total_fragments << 17 | fragment.fragment_number << 1
    pending = track.pending.get(key)
    if pending is None:
        pending = _begin(track, key, name, message, by_initiator, datagram)
        if not is_response and kind not in INITIAL_V2:
            _check_window(track, pending, datagram, tell)
    elif kind in INITIAL_V2 and not is_response and pending.frame and token not in pending.seen:
        pending = _begin(track, key, name, message, by_initiator, datagram)
    if not _seen_before(track, pending, record, token, digest):
        _relate_v2(pending, record, datagram, is_response)
    _count(pending, datagram, is_response)
    return pending


def match_v1(track: Track, record: MessageRecord, message: IkeMessage, name: str) -> Pending:
    """Find the exchange of an IKEv1 message; sets `record.is_response` to "not from who began the exchange".

    A message answers the latest new one of the other side. A retransmission is bitwise the same.
    """
    datagram = record.datagram
    from_initiator = record.from_initiator
    if from_initiator is None:
        # Seen from its middle on: who began is unknown, but two sides there are.
        from_initiator = datagram.source == track.sa.initiator.address
    key = message.message_id << 9 | message.exchange_type << 1
    pending = track.pending.get(key)
    if pending is None:
        pending = _begin(track, key, name, message, from_initiator, datagram)
    exchange = pending.exchange
    is_response = from_initiator is not exchange.initiated_by_initiator
    record.is_response = is_response
    digest = hash(datagram.payload)
    if not _seen_before(track, pending, record, digest << 1 | from_initiator, digest):
        if pending.frame and pending.from_initiator is not from_initiator:
            record.response_to = pending.frame
            record.round_trip_ns = datagram.time_ns - pending.time_ns
            if exchange.round_trip_ns is None and is_response:
                exchange.round_trip_ns = record.round_trip_ns
        pending.frame, pending.time_ns, pending.from_initiator = datagram.frame, datagram.time_ns, from_initiator
    _count(pending, datagram, is_response)
    return pending


def is_repeated_offer(track: Track, message: IkeMessage, octets: bytes) -> bool:
    """Whether a first message was seen before, octet by octet."""
    is_v2 = message.major == 2
    # The initiator's side: in IKEv2 the exchange is its own and the message no response, in IKEv1 the sender is it.
    key = message.message_id << 9 | message.exchange_type << 1 | is_v2
    pending = track.pending.get(key)
    return pending is not None and hash(octets) << 1 | (not is_v2) in pending.seen


def _begin(track: Track, key: int, name: str, message: IkeMessage, by_initiator: bool, datagram: Datagram) -> Pending:
    time_ns = datagram.time_ns
    exchange = Exchange(message.exchange_type, name, message.message_id, by_initiator, (), (), time_ns, time_ns)
    listed = track.sa.exchanges
    if len(listed) >= EXCHANGES:
        del listed[EXCHANGES // 2]
    listed.append(exchange)
    pending = Pending(exchange)
    open_exchanges = track.pending
    before = open_exchanges.get(key)
    if before is not None:
        # Another first request under message ID 0 (cookie, another group): the old one may be sent again too.
        if len(before.seen) < LISTED:
            pending.seen = before.seen
    elif len(open_exchanges) >= _OPEN:
        del open_exchanges[next(iter(open_exchanges))]
    open_exchanges[key] = track.last = pending
    return pending


def _seen_before(track: Track, pending: Pending, record: MessageRecord, token: int, digest: int) -> bool:
    datagram = record.datagram
    first = pending.seen.get(token)
    if first is None:
        if len(pending.seen) < FRAMES:
            pending.seen[token] = datagram.frame << 64 | digest & _64_BITS
        return False
    frame, first_digest = first >> 64, first & _64_BITS
    record.retransmission_of = frame
    if digest & _64_BITS != first_digest:
        record.notes.append(f"differs from frame {frame}, which it should repeat")
    track.sa.retransmissions += 1
    exchange = pending.exchange
    exchange.retransmissions += 1
    if not record.is_response and len(exchange.retransmission_times_ns) < LISTED:
        exchange.retransmission_times_ns += (datagram.time_ns,)
    return True


def _relate_v2(pending: Pending, record: MessageRecord, datagram: Datagram, is_response: bool) -> None:
    exchange = pending.exchange
    if not is_response:
        if not pending.frame:
            pending.frame, pending.time_ns = datagram.frame, datagram.time_ns
    elif pending.frame:
        record.response_to = pending.frame
        record.round_trip_ns = datagram.time_ns - pending.time_ns
        if exchange.round_trip_ns is None:
            exchange.round_trip_ns = record.round_trip_ns


def note_fragment(
    pending: Pending, message: IkeMessage, fragment: EncryptedFragmentPayload, frame: int, book: FragmentBook[int]
) -> None:
    """Count an RFC 7383 fragment of an exchange; `book` knows which ones were seen."""
    status, found = book.add(fragment_key(message), fragment, frame)
    if status in (FragmentStatus.INVALID, FragmentStatus.STALE, FragmentStatus.DUPLICATE):
        return
    if pending.fragments is None:
        pending.fragments = Fragments()
    counts = pending.fragments
    side = message.is_response
    counts.expected[side], counts.seen[side] = found.total, len(found.pieces)
    pending.exchange.fragments_expected = sum(counts.expected)
    pending.exchange.fragments_seen = sum(counts.seen)


def _count(pending: Pending, datagram: Datagram, is_response: bool) -> None:
    exchange = pending.exchange
    exchange.last_time_ns = datagram.time_ns
    if is_response:
        if len(exchange.responses) < LISTED:
            exchange.responses += (datagram.frame,)
    elif len(exchange.requests) < LISTED:
        exchange.requests += (datagram.frame,)


def _check_window(track: Track, pending: Pending, datagram: Datagram, tell: Tell) -> None:
    """Compare the message ID of a new request with the one before (RFC 7296 §2.2, §2.3)."""
    exchange = pending.exchange
    side = exchange.initiated_by_initiator
    highest = track.request_id_i if side else track.request_id_r
    current = exchange.message_id
    who = "initiator" if side else "responder"
    if highest >= 0:
        if current > highest + 1:
            missing = f"{highest + 1} to {current - 1}" if current > highest + 2 else str(highest + 1)
            text = f"requests of the {who} with message ID {missing} are not in the capture"
            tell(track, _GAP << 3 * side, "message-id-gap", text, datagram.frame)
        elif current < highest:
            text = f"message ID {current} of the {who} comes after {highest}"
            tell(track, _BACKWARDS << 3 * side, "message-id-backwards", text, datagram.frame)
            return
        before = _unanswered(track, side, current - 1)
        if before:
            text = (
                f"the {who} sent request {current} though no answer to {current - 1} is in the capture "
                "(one request at a time, unless SET_WINDOW_SIZE allows more)"
            )
            tell(track, _WINDOW << 3 * side, "message-id-window", text, datagram.frame)
    if side:
        track.request_id_i = current
    else:
        track.request_id_r = current


def _unanswered(track: Track, side: bool, message_id: int) -> bool:
    for other in reversed(track.pending.values()):
        exchange = other.exchange
        if exchange.message_id == message_id and exchange.initiated_by_initiator is side:
            return not exchange.responses
    return False
