"""Many attempts that nobody goes on with: a flood of first messages, most likely with forged senders."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import place_of
from ipsecanalyze.findings.model import MOST_FRAMES, Certainty, Finding, Severity
from ipsecanalyze.findings.words import count_of, span
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import IkeSa, State

__all__ = ["ike_flood"]

_COOKIE = int(ikev2.NotifyType.COOKIE)
#: A flood has so many attempts, and from so many senders; without many senders it has to be larger.
_LEAST, _LEAST_SENDERS, _LEAST_OF_ONE = 10, 8, 100
#: More than this is no accident, and more than this is an attack that a responder feels.
_MANY, _VERY_MANY = 100, 1_000


def _is_one_shot(sa: IkeSa) -> bool:
    """Whether each of its requests came once, and none brought a cookie back."""
    if any(len(exchange.requests) != 1 for exchange in sa.exchanges):
        return False
    # The first request of each round is another attempt, unless it was a refused key exchange that it mends.
    return not sa.invalid_ke_rounds and not any(n.type == _COOKIE and n.from_initiator for n in sa.notifies)


def ike_flood(case: Case) -> Iterator[Finding]:
    """Half-open IKE SAs at one responder whose initiators said one thing once, and never came back.

    Whoever wants a tunnel sends its request again (RFC 7296 §2.1): who never does is no peer, or not where it says.
    """
    attempts: dict[str, list[IkeSa]] = defaultdict(list)
    established: Counter[str] = Counter()
    for sa in case.ike_sas:
        established[sa.responder.address] += sa.established_ns is not None
        if sa.state is State.HALF_OPEN and not sa.started_late and not sa.retransmissions and _is_one_shot(sa):
            attempts[sa.responder.address].append(sa)
    for responder, sas in attempts.items():
        senders = {sa.initiator.address for sa in sas}
        # Where a cookie was asked for, the next attempt of the same sender counts as going on with it.
        count = sum(len(sa.exchanges) for sa in sas)
        if count < _LEAST or (len(senders) < _LEAST_SENDERS and count < _LEAST_OF_ONE):
            continue
        first, last = sas[0].first_time_ns, max(sa.last_time_ns for sa in sas)
        capture = case.capture_of(sas[0])
        records = [r for sa in sas[: 2 * MOST_FRAMES] for r in case.messages_of(sa)[:1]]
        found = place_of(records)
        cookies = sum(sa.cookie_rounds for sa in sas)
        answered = sum(1 for sa in sas if sa.chosen)
        defence = (
            f"{responder} asked {count_of(cookies, 'of them', 'of them')} for a cookie, so it defends itself: forged"
            " senders cost it nothing more than an answer."
            if cookies
            else f"{responder} asked none of them for a cookie, and"
            f" {f'took the offers of {answered:,} of them' if answered else 'answered none of them in this capture'}."
        )
        yield Finding(
            "ike-flood",
            Severity.HIGH
            if count >= _VERY_MANY and not cookies
            else Severity.MEDIUM
            if count >= _MANY
            else Severity.LOW,
            Certainty.INFERRED,
            responder,
            f"{count_of(count, 'attempt')} from {count_of(len(senders), 'address', 'addresses')} at {responder}"
            " that nobody went on with",
            f"In {span(last - first)} came {count_of(count, 'first message')} with a new SPI each from"
            f" {count_of(len(senders), 'address', 'addresses')}; none was sent again or followed by anything, as real"
            f" initiators would do. That is what a flood with forged senders looks like, or a scan. {defence}"
            f" {count_of(established[responder], 'IKE SA') if established[responder] else 'No IKE SA'} with the same"
            " responder came to be in this capture.",
            f"Have {responder} ask for cookies when many IKE SAs are half-open (`charon.cookie_threshold` in"
            " strongswan.conf, `ddos-mode=` in libreswan's ipsec.conf), limit half-open IKE SAs per address, and filter"
            " forged senders at the border.",
            found.frames,
            ("RFC 7296 §2.6", "RFC 8019 §3"),
            capture,
        )
