"""What became of IKE SAs, concluded from circumstances once all messages were seen.

Without keys nearly everything after the first exchange is hidden; lengths, order, times and silence still say a
lot. Every conclusion here sets the certainty to "inferred"; an error notify in the clear needs no conclusion.
`pairing.py` corrects what ESP and AH traffic refutes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from itertools import takewhile
from operator import itemgetter

from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.outcome import describe
from ipsecanalyze.sa.records import Certainty, Exchange, IkeSa, Peer, State
from ipsecanalyze.sa.sizes import content_of
from ipsecanalyze.sa.states import Event, advance
from ipsecanalyze.sa.track import Track

__all__ = ["conclude"]

_SECOND_NS = 1_000_000_000
_CREATE_CHILD_SA = int(ikev2.ExchangeType.CREATE_CHILD_SA)
_INFORMATIONAL = int(ikev2.ExchangeType.INFORMATIONAL)
#: Octets of IDr and AUTH at least: headers of 8 octets, one octet of identity, a MAC of 16 (RFC 7296 §3.5, §3.8).
_LEAST_FIRST_ANSWER = 9 + 24
#: Octets of AUTH alone: the last answer of an EAP authentication (RFC 7296 §2.16).
_LEAST_LAST_ANSWER = 24
#: Octets that SA, TSi and TSr of a Child SA add at least (RFC 7296 §3.3, §3.13).
_LEAST_CHILD = 28 + 24 + 24
#: A Delete payload for the IKE SA (RFC 7296 §3.11).
_DELETE_IKE = 8
#: An INFORMATIONAL so soon after IKE_AUTH, and nothing else ever, is no life of an IKE SA.
_SOON_NS = _SECOND_NS
#: Gaps between keepalive exchanges differ by this part of the longer one at most.
_PERIODIC = 0.15
#: How long the deletion of an IKEv1 SA may lag behind the one that replaced it.
_LAG_NS = 30 * _SECOND_NS


def conclude(tracks: list[Track]) -> None:
    """Set state, certainty, times, reason and outcome of the IKE SAs."""
    for track in tracks:
        if track.sa.version.startswith("2"):
            _judge_beginning_v2(track)
        else:
            _judge_beginning_v1(track)
    groups = _by_peers(tracks)
    # A rekeyed IKE SA ends with an INFORMATIONAL too, so it has to be known before deletions are looked for.
    for group in groups:
        _link_v2([sa for sa in group if sa.version.startswith("2")])
    for track in tracks:
        if track.sa.state is State.ESTABLISHED:
            _judge_end(track)
    for group in groups:
        _link_v1([sa for sa in group if sa.version.startswith("1")])
    for track in tracks:
        track.sa.outcome = describe(track.sa)


def _infer(sa: IkeSa, event: Event, reason: str = "") -> None:
    after = advance(sa.state, event)
    if after is not sa.state:
        sa.state = after
        sa.certainty = Certainty.INFERRED
        sa.reason = reason


# IKEv2


def _judge_beginning_v2(track: Track) -> None:
    sa = track.sa
    if sa.started_late:
        if track.later_exchanges or track.auth_answers:
            sa.established_ns = track.auth_answer_ns or None
            _infer(sa, Event.AUTHENTICATED)
    elif track.auth_answers:
        _judge_authentication(track)


def _judge_authentication(track: Track) -> None:
    sa = track.sa
    inside = content_of(track.auth_answer_octets, sa.chosen)
    needed = _LEAST_FIRST_ANSWER if track.auth_rounds <= 1 else _LEAST_LAST_ANSWER
    is_short = not track.is_fragmented_answer and inside.most < needed
    if not track.later_exchanges:
        if is_short:
            _infer(sa, Event.REFUSED, "the encrypted answer to IKE_AUTH is too short for anything but an error")
            return
        sa.established_ns = track.auth_answer_ns
        childless = not track.is_fragmented_answer and inside.is_exact and inside.most < needed + _LEAST_CHILD
        reason = "the answer to IKE_AUTH is too short to make a Child SA" if childless else ""
        _infer(sa, Event.AUTHENTICATED, reason)
        return
    first = next((e for e in sa.exchanges if e.exchange_type == _INFORMATIONAL), None)
    if (
        track.later_exchanges == 1
        and first is not None
        and first.initiated_by_initiator
        and first.first_time_ns - track.auth_answer_ns <= _SOON_NS
    ):
        # RFC 7296 §2.21.2: an initiator that does not accept the answer says so in an INFORMATIONAL.
        reason = "an INFORMATIONAL of the initiator follows IKE_AUTH at once, and nothing after it"
        _infer(sa, Event.REFUSED, reason)
        return
    sa.established_ns = track.auth_answer_ns
    _infer(sa, Event.AUTHENTICATED)


def _judge_end(track: Track) -> None:
    sa = track.sa
    if sa.version.startswith("1"):
        if _ends_with_delete_v1(track):
            sa.closed_ns = track.tail[0].time_ns
            who = "initiator" if track.tail[-1].from_initiator else "responder"
            reason = f"it ends with an Informational of the {who} that is not answered, as deletions are"
            _infer(sa, Event.DELETED, reason)
    elif _ends_with_delete(track):
        last = sa.exchanges[-1]
        sa.closed_ns = last.first_time_ns
        who = "initiator" if last.initiated_by_initiator else "responder"
        _infer(sa, Event.DELETED, f"the last exchange is an INFORMATIONAL of the {who}, as a deletion would be")


def _ends_with_delete(track: Track) -> bool:
    """Whether the last exchange looks like the deletion of the IKE SA and not like a liveness check."""
    sa = track.sa
    last = track.last.exchange if track.last is not None else None
    if last is None or last.exchange_type != _INFORMATIONAL or not last.answered or sa.exchanges[-1] is not last:
        return False
    if sa.started_late and sa.rekeys is None and track.later_exchanges < 2:
        # Nothing is known of it but this one exchange.
        return False
    if not content_of(track.informational_octets, sa.chosen).may_be(_DELETE_IKE):
        return False
    if track.informational_octets != track.earlier_informational_octets:
        return True
    # Two of the same length: liveness checks come at intervals.
    gap, earlier = track.informational_gap_ns, track.earlier_informational_gap_ns
    return abs(gap - earlier) > _PERIODIC * max(gap, earlier)


# IKEv1


def _judge_beginning_v1(track: Track) -> None:
    sa = track.sa
    if sa.started_late:
        if track.later_exchanges:
            _infer(sa, Event.AUTHENTICATED)
    elif track.phase1_end_ns or track.later_answers:
        sa.established_ns = track.phase1_end_ns or sa.last_time_ns
        _infer(sa, Event.AUTHENTICATED)
    elif track.phase1_i + track.phase1_r >= 3 and any(not tail.from_initiator for tail in track.tail):
        # RFC 2409 §5: with a wrong key the responder cannot read the initiator's identity.
        number = track.phase1_i + track.phase1_r
        likely = ", as with a wrong pre-shared key" if (sa.authentication_initiator or "").startswith("psk") else ""
        reason = f"the responder answered message {number} with an encrypted Informational{likely}"
        _infer(sa, Event.REFUSED, reason)


def _ends_with_delete_v1(track: Track) -> bool:
    tail = track.tail
    if not tail:
        return False
    last = tail[-1]
    run = list(takewhile(lambda each: each.from_initiator is last.from_initiator, reversed(tail)))
    if len(run) > 2 and len({each.length for each in run}) == 1:
        # R-U-THERE that nobody answers is sent again and again, always of one length (RFC 3706 §5.4).
        return False
    if len(run) > 1 or len(tail) == 1:
        return True
    before = tail[-2]
    is_acknowledged = before.length == last.length and last.time_ns - before.time_ns <= 2 * _SECOND_NS
    return not is_acknowledged


# One IKE SA after the other


def _by_peers(tracks: list[Track]) -> list[list[IkeSa]]:
    """IKE SAs of the same two addresses, where there are several."""
    groups: dict[tuple[str, str], list[IkeSa]] = defaultdict(list)
    for track in tracks:
        one, other = track.sa.initiator.address, track.sa.responder.address
        groups[(one, other) if one <= other else (other, one)].append(track.sa)
    return [group for group in groups.values() if len(group) > 1]


def _link_v2(sas: list[IkeSa]) -> None:
    # An IKE SA that was rekeyed ends with CREATE_CHILD_SA and the INFORMATIONAL that deletes it (RFC 7296 §2.18); the
    # new one shows up with its first encrypted exchange, message ID 0, whenever that is.
    ended = sorted(
        ((sa.exchanges[-2].last_time_ns, sa.first_time_ns, sa) for sa in sas if _ends_with_rekey(sa.exchanges)),
        key=itemgetter(0, 1),
    )
    times = [time_ns for time_ns, _, _ in ended]
    for sa in sas:
        if sa.started_late and sa.exchanges and sa.exchanges[0].message_id == 0:
            index = bisect_right(times, sa.first_time_ns) - 1
            if index >= 0:
                del times[index]
                rekeyed_ns, _, old = ended.pop(index)
                sa.established_ns = rekeyed_ns
                _replace(old, sa)


def _ends_with_rekey(exchanges: list[Exchange]) -> bool:
    return (
        len(exchanges) >= 2
        and exchanges[-1].exchange_type == _INFORMATIONAL
        and exchanges[-2].exchange_type == _CREATE_CHILD_SA
        and exchanges[-2].answered
    )


def _link_v1(sas: list[IkeSa]) -> None:
    alive = (State.ESTABLISHED, State.CLOSED)
    old: IkeSa | None = None
    for sa in sas:
        if sa.established_ns is None or sa.state not in alive:
            continue
        if old is not None and _is_same_pair(old, sa):
            overlaps = sa.established_ns <= (old.closed_ns or sa.established_ns)
            if overlaps and old.last_time_ns <= sa.established_ns + _LAG_NS:
                _replace(old, sa)
        old = sa


def _is_same_pair(one: IkeSa, other: IkeSa) -> bool:
    """Whether both were begun by the same side, from the same port: behind one NAT live many clients."""
    return all(
        not _places(mine).isdisjoint(_places(theirs))
        for mine, theirs in ((one.initiator, other.initiator), (one.responder, other.responder))
    )


def _places(peer: Peer) -> set[tuple[str, int]]:
    return {(peer.address, peer.port), *((address, port) for _, address, port in peer.moves)}


def _replace(old: IkeSa, new: IkeSa) -> None:
    new.rekeys = old.id
    _infer(old, Event.SUPERSEDED, f"{new.id} took over")
