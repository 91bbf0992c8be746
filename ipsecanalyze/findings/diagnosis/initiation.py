"""The first exchange of an IKE SA: in how many rounds it comes through, and in which version."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import Dialogue, fallen_back, notifies_of, place, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, series, span
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import IkeSa

__all__ = ["cookie_challenge", "invalid_ke", "reply_ignored", "resumption_refused", "version_mismatch"]

_COOKIE = int(ikev2.NotifyType.COOKIE)
_INVALID_KE = int(ikev2.NotifyType.INVALID_KE_PAYLOAD)
#: The same number in IKEv1.
_INVALID_VERSION = int(ikev2.NotifyType.INVALID_MAJOR_VERSION)
_TICKET_NACK = int(ikev2.NotifyType.TICKET_NACK)
_INITIAL = frozenset((int(ikev2.ExchangeType.IKE_SA_INIT), int(ikev2.ExchangeType.IKE_SESSION_RESUME)))
#: A reply counts as ignored where the request comes so often after it, over so long.
_LEAST_IGNORED = 2
_IGNORED_NS = 1_000_000_000


def _went_on(sa: IkeSa) -> bool:
    """Whether the responder took an offer in the end."""
    return bool(sa.chosen) or any(exchange.exchange_type not in _INITIAL for exchange in sa.exchanges)


def _first_requests(sa: IkeSa) -> list[tuple[int, int]]:
    """(frame, time) of the first request of each round."""
    return [
        (exchange.requests[0], exchange.first_time_ns)
        for exchange in sa.exchanges
        if exchange.exchange_type in _INITIAL and exchange.requests
    ]


def _delay(sa: IkeSa) -> str:
    """How long it took from the first request of the first round to that of the last one."""
    rounds = _first_requests(sa)
    return span(rounds[-1][1] - rounds[0][1]) if len(rounds) > 1 else "no time"


def _with_repeats(case: Case, sa: IkeSa, frames: list[int]) -> list[int]:
    """Frames of messages, and of those that repeat them octet by octet."""
    known = set(frames)
    return frames + [r.datagram.frame for r in case.messages_of(sa) if r.retransmission_of in known]


@told_once
def cookie_challenge(case: Case) -> Iterator[Finding]:
    """The responder wanted to see its cookie before it went on (RFC 7296 §2.6)."""
    for sa in case.ike_sas:
        rounds = sa.cookie_rounds
        if not rounds:
            continue
        came_through = _went_on(sa)
        notifies = notifies_of(sa, _COOKIE)
        if not came_through:
            # The same cookie may be asked for again, in a response that is octet by octet the first one.
            rounds = max(rounds, sum(e.answered for e in sa.exchanges if e.exchange_type in _INITIAL))
            if rounds == 1 or not any(notify.from_initiator for notify in notifies):
                # Nobody came back with the cookie: of floods there are many of these, see `flood.py`.
                continue
        asker, peer = sa.initiator.address, sa.responder.address
        found = place(case, sa, _with_repeats(case, sa, [notify.frame for notify in notifies]))
        if came_through:
            severity = Severity.INFO if rounds == 1 else Severity.LOW
            title = f"{peer} asked {asker} to return a cookie before it went on"
            why = (
                f"{asker} returned it, and IKE_SA_INIT went on after {count_of(rounds, 'round')} of this, {_delay(sa)}"
                " later."
                " Responders ask for cookies when many IKE SAs are half-open there: under load, or in a flood."
            )
            remedy = (
                f"Nothing, as long as it is rare. If it is not, find out where the half-open IKE SAs at {peer} come"
                " from, or raise its threshold."
            )
        else:
            severity = Severity.MEDIUM
            title = f"{peer} asks {asker} for a cookie again and again"
            why = (
                f"It did so in {count_of(rounds, 'round')}, and never took what came back. A cookie is made of the"
                " initiator's address, SPI and nonce: it does not fit where the address or port changes from packet to"
                " packet (a NAT with several addresses, load balancing), where the request is not the same as before,"
                " or where several responders behind one address do not share the secret."
            )
            remedy = (
                f"See whether {asker} reaches {peer} from one address and port, and always the same machine behind"
                f" {peer}; if all is as it should be, raise the threshold for cookies at {peer}."
            )
        yield Finding(
            "cookie-challenge",
            severity,
            Certainty.OBSERVED,
            sa.id,
            title,
            f"{peer} answered the request of {asker} with a COOKIE notify instead of an answer. {why}",
            remedy,
            found.frames,
            ("RFC 7296 §2.6",),
            found.capture,
        )


@told_once
def invalid_ke(case: Case) -> Iterator[Finding]:
    """The responder wanted a key exchange method other than the one that the initiator guessed (RFC 7296 §1.2)."""
    for sa in case.ike_sas:
        if not sa.invalid_ke_rounds:
            continue
        asker, peer = sa.initiator.address, sa.responder.address
        wanted = [ikev2.KeyExchange(group).name for group in dict.fromkeys(sa.invalid_ke_rounds)]
        sent = sa.initiator.key_exchange_groups
        guess = ikev2.KeyExchange(sent[0]).name if sent else "another method"
        offered = [one.name for proposal in sa.offered for one in proposal if one.type == "KE"]
        frames = [notify.frame for notify in notifies_of(sa, _INVALID_KE) if not notify.from_initiator]
        # Opened messages have them too, of CREATE_CHILD_SA: `rekeying.py`.
        first = {
            frame for exchange in sa.exchanges if exchange.exchange_type in _INITIAL for frame in exchange.responses
        }
        rounds = [frame for frame, _ in _first_requests(sa)]
        found = place(case, sa, [*_with_repeats(case, sa, [frame for frame in frames if frame in first]), *rounds[:8]])
        listed = f" Its offer names {series(list(dict.fromkeys(offered)), 8)}." if offered else ""
        said = (
            f"{asker} sent a public value for {guess}, and {peer} answered INVALID_KE_PAYLOAD: it wants"
            f" {series(wanted)}."
        )
        if _went_on(sa):
            severity = Severity.INFO
            title = f"{asker} guessed {guess}, {peer} wanted {series(wanted)}: one more round trip"
            why = f"The next request had it and was taken, {_delay(sa)} after the first one."
            remedy = (
                f"To save the round trip, put {wanted[-1]} first in the proposal of {asker}; nothing is wrong"
                " otherwise."
            )
        else:
            severity = Severity.HIGH
            again = len(rounds) > 1
            title = f"{asker} and {peer} find no common key exchange: {guess} offered, {series(wanted)} wanted"
            why = (
                f"{asker} tried {count_of(len(rounds), 'time')}, with"
                f" {series([ikev2.KeyExchange(group).name for group in dict.fromkeys(sent)])}, and was refused each"
                " time."
                if again
                else f"{asker} did not try again: most likely it does not have {wanted[-1]}, or may not use it."
            )
            remedy = f"Allow {wanted[-1]} in the proposal of {asker}, or one of its own methods ({guess}) at {peer}."
        yield Finding(
            "invalid-ke-retry",
            severity,
            Certainty.OBSERVED,
            sa.id,
            title,
            f"{said}{listed} {why}{'' if severity is Severity.INFO else fallen_back(case, sa)}",
            remedy,
            found.frames,
            ("RFC 7296 §1.2", "RFC 7296 §2.7"),
            found.capture,
        )


@told_once
def version_mismatch(case: Case) -> Iterator[Finding]:
    """One side speaks a version of IKE that the other one does not (RFC 7296 §2.5)."""
    first: dict[tuple[int, frozenset[str]], IkeSa] = {}
    for sa in case.ike_sas:
        refusals = notifies_of(sa, _INVALID_VERSION) if sa.notifies else []
        if refusals:
            frames = [notify.frame for notify in refusals]
            yield _mismatch(case, sa, sa, frames, "answered INVALID_MAJOR_VERSION")
            continue
        key = (sa.initiator.spi, frozenset((sa.initiator.address, sa.responder.address)))
        other = first.setdefault(key, sa)
        if other is not sa and other.version != sa.version and not other.chosen:
            # The same initiator's SPI under two versions: the answer came in another one than the request.
            records = [*list(case.messages_of(other))[:8], *list(case.messages_of(sa))[:8]]
            frames = list(place_of(records).frames)
            yield _mismatch(case, other, sa, frames, f"answered in version {sa.version}")


def _mismatch(case: Case, sa: IkeSa, where: IkeSa, frames: list[int], what: str) -> Finding:
    by_initiator = any(notify.from_initiator for notify in notifies_of(where, _INVALID_VERSION))
    asker, peer = sa.initiator.address, sa.responder.address
    if by_initiator:
        asker, peer = peer, asker
    found = place(case, where, frames) if where is sa else None
    return Finding(
        "version-mismatch",
        Severity.HIGH,
        Certainty.OBSERVED,
        sa.id,
        f"{peer} does not speak the version of IKE that {asker} uses ({sa.version})",
        f"{asker} sent IKE of version {sa.version}, and {peer} {what}.{fallen_back(case, sa)}",
        f"Configure the same version on both sides, IKEv2 if both can: `version = 2` in swanctl.conf, `ikev2=insist`"
        f" (libreswan 5: `keyexchange=ikev2`) in ipsec.conf, on {asker} or on {peer}.",
        tuple(frames) if found is None else found.frames,
        ("RFC 7296 §2.5",),
        case.capture_of(sa) if found is None else found.capture,
    )


@told_once
def reply_ignored(case: Case) -> Iterator[Finding]:
    """A reply was captured, and yet the request came again and again, until the end."""
    for sa in case.ike_sas:
        if sa.retransmissions < _LEAST_IGNORED or not sa.exchanges:
            continue
        dialogue = Dialogue(case, sa)
        answered: dict[int, int] = {}
        ignored: dict[int, list[int]] = {}
        last_new = 0
        for index, record in enumerate(dialogue.records):
            if record.retransmission_of is None:
                last_new = index
                if record.response_to is not None:
                    answered.setdefault(record.response_to, index)
            elif record.retransmission_of in answered and not (record.is_response and sa.version.startswith("2")):
                ignored.setdefault(record.retransmission_of, []).append(index)
        for request, again in ignored.items():
            reply = answered[request]
            times = [dialogue.records[index].datagram.time_ns for index in again]
            reply_ns = dialogue.records[reply].datagram.time_ns
            # Where anything new followed, the reply was taken in the end.
            if last_new > reply or len(again) < _LEAST_IGNORED or times[-1] - reply_ns < _IGNORED_NS:
                continue
            if any(flow.last_time_ns > reply_ns for flow in case.flows_of(sa)):
                continue
            asked = dialogue.records[again[0]].datagram
            chosen = [dialogue.records[index] for index in (reply, *again)]
            origin = dialogue.at(request)
            found = place_of([*([origin] if origin is not None else []), *chosen])
            name = dialogue.records[reply].message.exchange_name
            yield Finding(
                "reply-ignored",
                Severity.HIGH,
                Certainty.OBSERVED,
                sa.id,
                f"{asked.source} repeats its {name} although {asked.destination} answered it",
                f"The reply of {asked.destination} is in frame {dialogue.records[reply].datagram.frame}, and"
                f" {asked.source} sent the same request {count_of(len(again), 'time')} more after it, over"
                f" {span(times[-1] - reply_ns)}. The reply is lost behind this capture point, or {asked.source} does"
                " not"
                f" take it: its firewall drops it, or its IKE daemon listens on another address or port"
                f" ({asked.source_port} was sent from).{fallen_back(case, sa)}",
                f"Capture at {asked.source} itself: if the reply gets there, let UDP ports 500 and 4500 in at its"
                " firewall and see which addresses its daemon listens on; its log says whether the reply was"
                " discarded.",
                found.frames,
                ("RFC 7296 §2.1",) if sa.version.startswith("2") else ("RFC 2408 §5.1",),
                found.capture,
            )


@told_once
def resumption_refused(case: Case) -> Iterator[Finding]:
    """The responder did not take the ticket of an earlier session (RFC 5723 §4.3)."""
    for sa in case.ike_sas:
        refusals = notifies_of(sa, _TICKET_NACK) if sa.notifies else []
        if not any(exchange.exchange_type == int(ikev2.ExchangeType.IKE_SESSION_RESUME) for exchange in sa.exchanges):
            continue
        if not refusals:
            continue
        found = place(case, sa, (notify.frame for notify in refusals))
        asker, peer = sa.initiator.address, sa.responder.address
        yield Finding(
            "resumption-refused",
            Severity.LOW,
            Certainty.OBSERVED,
            sa.id,
            f"{peer} does not resume the earlier session of {asker}",
            f"{asker} presented a ticket in IKE_SESSION_RESUME, and {peer} answered TICKET_NACK: the ticket is too old,"
            f" or from before a restart or of another gateway that does not share its key.{fallen_back(case, sa)}",
            "A full exchange takes its place, so nothing is broken; if it is frequent, let tickets live longer at"
            f" {peer}"
            " or share their key among the gateways.",
            found.frames,
            ("RFC 5723 §4.3",),
            found.capture,
        )
