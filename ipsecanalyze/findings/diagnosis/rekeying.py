"""Rekeying: refused (PFS, most likely), or in the way of the other side's (RFC 7296 §2.8, §2.25).

The first Child SA of an IKEv2 SA is made in IKE_AUTH and never runs a key exchange of its own. So whether the sides
agree on PFS shows at the first rekeying, and not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.diagnosis.children import Refusal, refusals, retried
from ipsecanalyze.findings.diagnosis.refusal import offered_children
from ipsecanalyze.findings.evidence import fallen_back, notifies_of, place
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, series, span
from ipsecanalyze.ike.payloads import KePayload
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import Exchange, IkeSa, MessageRecord, State
from ipsecanalyze.sa.sizes import content_of

__all__ = ["rekey_collision", "rekey_failed"]

_NO_PROPOSAL = int(ikev2.NotifyType.NO_PROPOSAL_CHOSEN)
_INVALID_KE = int(ikev2.NotifyType.INVALID_KE_PAYLOAD)
_NO_ADDITIONAL = int(ikev2.NotifyType.NO_ADDITIONAL_SAS)
_TEMPORARY, _NOT_FOUND = int(ikev2.NotifyType.TEMPORARY_FAILURE), int(ikev2.NotifyType.CHILD_SA_NOT_FOUND)
_CHILD = int(ikev2.ExchangeType.CREATE_CHILD_SA)
_QUICK, _INFORMATIONAL_V1 = int(ikev1.ExchangeType.QUICK_MODE), int(ikev1.ExchangeType.INFORMATIONAL)
#: IKE header and header of the SK payload.
_AROUND = 28 + 4
#: Octets of SA, nonce, TSi and TSr of an answer that makes a Child SA at least (RFC 7296 §3.3, §3.9, §3.13).
_LEAST_CHILD = 28 + 20 + 24 + 24
_RACE_NS = 2_000_000_000
#: From so many temporary failures on it is no accident.
_OFTEN = 3


@told_once
def rekey_failed(case: Case) -> Iterator[Finding]:
    """A Child SA or the IKE SA could not be replaced."""
    for sa in case.ike_sas:
        if not sa.child_exchanges:
            continue
        if sa.decrypted:
            yield from _opened(case, sa)
        elif sa.version.startswith("2"):
            yield from _closed_v2(case, sa)
        else:
            yield from _closed_v1(case, sa)


def _opened(case: Case, sa: IkeSa) -> Iterator[Finding]:
    kinds = (_NO_PROPOSAL, _INVALID_KE, _NO_ADDITIONAL) if sa.version.startswith("2") else (_NO_PROPOSAL,)
    found = list(refusals(case, sa, *kinds))
    guesses = [refusal for refusal in found if refusal.notify.type == _INVALID_KE and retried(sa, refusal)]
    for refusal in guesses[:1]:
        yield _guessed(case, sa, refusal)
    failed = [refusal for refusal in found if refusal.is_rekey and refusal not in guesses]
    for of_ike in (False, True):
        same = [refusal for refusal in failed if refusal.is_of_ike is of_ike]
        if same:
            yield _failed(case, sa, same)


def _guessed(case: Case, sa: IkeSa, refusal: Refusal) -> Finding:
    found = place(case, sa, refusal.frames)
    wanted = refusal.notify.data or "another group"
    group = _group(refusal.request)
    return Finding(
        "invalid-ke-retry",
        Severity.INFO,
        Certainty.OBSERVED,
        sa.id,
        f"{refusal.asker} guessed {group or 'a group'} for a Child SA, {refusal.refuser} wanted {wanted}",
        f"{refusal.refuser} answered CREATE_CHILD_SA with INVALID_KE_PAYLOAD in frame {refusal.frame}; a later request"
        " came through. It costs one more round trip each time.",
        f"Put {wanted} first in the proposals for Child SAs of {refusal.asker}.",
        found.frames,
        ("RFC 7296 §1.3",),
        found.capture,
    )


def _group(request: MessageRecord | None) -> str:
    """The key exchange method of a request; "" where it has none."""
    for payload in (request.opened or ()) if request is not None else ():
        if isinstance(payload, KePayload):
            return ikev2.KeyExchange(payload.group).name if payload.group is not None else "a group"
    return ""


def _failed(case: Case, sa: IkeSa, failed: list[Refusal]) -> Finding:
    first = failed[0]
    asker, peer = first.asker, first.refuser
    _, offer = offered_children(first)
    group = _group(first.request)
    names = series(list(dict.fromkeys(refusal.notify.name for refusal in failed)))
    is_first = first.earlier <= 1 and not first.is_of_ike
    wanted = f" ({first.notify.data})" if first.notify.data else ""
    if first.is_of_ike and first.notify.type != _NO_ADDITIONAL:
        # An offer for an IKE SA always has a key exchange: this is no matter of PFS.
        why = (
            f"It is the IKE SA itself that was to be replaced, with a key exchange by {group or 'a group'}: {peer}"
            + (
                f" wants another group{wanted}."
                if first.notify.type == _INVALID_KE
                else " does not accept the algorithms that this IKE SA was made with, or the offer has changed."
            )
        )
    elif first.notify.type == _NO_ADDITIONAL:
        why = f"{peer} does not allow a further Child SA in this IKE SA, so it cannot be replaced."
    elif first.notify.type == _INVALID_KE:
        asked = f"a key exchange of its own (PFS) with {group}" if group else "no key exchange of its own (no PFS)"
        why = f"The request has {asked}, and {peer} wants {'another' if group else 'a'} group{wanted}."
    elif group:
        why = (
            f"The request asks for a key exchange of its own (PFS) with {group}: most likely {peer} wants none or"
            " another group."
        )
    else:
        why = f"The request has no key exchange of its own (no PFS): most likely {peer} demands one."
    when = (
        " It is the first rekeying: the Child SA before it came out of "
        + ("IKE_AUTH, which never runs a key exchange for it" if sa.version.startswith("2") else "the first Quick Mode")
        + ", so a difference in PFS shows only now."
        if is_first
        else ""
    )
    place_in = place(case, sa, [frame for refusal in failed for frame in refusal.frames])
    after = span(first.response.datagram.time_ns - sa.established_ns) if sa.established_ns is not None else ""
    again = f", and {count_of(len(failed) - 1, 'time')} more" if len(failed) > 1 else ""
    return Finding(
        "rekey-failed",
        Severity.HIGH,
        Certainty.OBSERVED,
        sa.id,
        f"{peer} refuses the rekeying of {'the IKE SA by ' if first.is_of_ike else ''}{asker}: {names}",
        f"{f'{after} after {sa.id} was established, ' if after else ''}{peer} answered the request to rekey with"
        f" {first.notify.name} in frame {first.frame}{again}. {asker} offered"
        f" {offer or 'what is not in the capture'}. {why}{when} When the lifetime is over, traffic stops.",
        _remedy(first),
        place_in.frames,
        ("RFC 7296 §1.3", "RFC 7296 §2.17") if sa.version.startswith("2") else ("RFC 2409 §5.5",),
        place_in.capture,
    )


def _remedy(refusal: Refusal) -> str:
    if refusal.notify.type == _NO_ADDITIONAL:
        return (
            f"See why {refusal.refuser} allows no more: it may allow no rekeying at all, and wants the IKE SA to be"
            " made anew before the lifetime is over (reauthentication)."
        )
    if refusal.is_of_ike:
        return (
            "Make the IKE proposals of both sides the same (`proposals` in swanctl.conf, `ike=` in ipsec.conf): the"
            " side that asks now may offer other suites than when it was asked."
        )
    return (
        "Set the same PFS group for the Child SA on both sides, or none on both: in swanctl.conf the group at the"
        " end of `esp_proposals`, in ipsec.conf `pfs=` and the group in `esp=`."
    )


# Without keys


def _closed_v2(case: Case, sa: IkeSa) -> Iterator[Finding]:
    """The last CREATE_CHILD_SA exchanges were answered with something too short to make a Child SA."""
    exchanges = [e for e in sa.exchanges if e.exchange_type == _CHILD and e.answered]
    if not exchanges or sa.fragmentation:
        return
    # One that came through puts an end to it: what was before was a wrong guess.
    lengths: dict[int, int] = {}
    wanted = {frame for exchange in exchanges for frame in exchange.responses[:1]}
    for record in case.messages_of(sa):
        if record.is_response and record.datagram.frame in wanted:
            lengths.setdefault(record.datagram.frame, record.datagram.length)
    failed: list[Exchange] = []
    for exchange in reversed(exchanges):
        octets = lengths.get(exchange.responses[0], 0)
        if not octets or content_of(octets - _AROUND, sa.chosen).most >= _LEAST_CHILD:
            break
        failed.append(exchange)
    failed.reverse()
    if not failed or (len(failed) == 1 and _lost_a_race(exchanges, failed[0])):
        return
    first = failed[0]
    is_first = first is exchanges[0]
    yield _inferred(case, sa, failed, is_first=is_first, what="CREATE_CHILD_SA",
                    how=f"an answer of {lengths[first.responses[0]]} octets, too short to make a Child SA")  # fmt: skip


def _lost_a_race(exchanges: list[Exchange], refused: Exchange) -> bool:
    """Whether the other side was replacing something at the same time: then TEMPORARY_FAILURE is no wonder."""
    return any(
        other.initiated_by_initiator is not refused.initiated_by_initiator
        and other.last_time_ns > refused.first_time_ns - _RACE_NS
        for other in exchanges
    )


def _closed_v1(case: Case, sa: IkeSa) -> Iterator[Finding]:
    """The last Quick Modes were answered by Informationals, though an earlier one came through."""
    quick = [e for e in sa.exchanges if e.exchange_type == _QUICK]
    if not quick or quick[-1].answered or not any(e.answered for e in quick):
        return
    failed: list[Exchange] = []
    for exchange in reversed(quick):
        if exchange.answered:
            break
        failed.append(exchange)
    failed.reverse()
    first = failed[0]
    errors = [
        e
        for e in sa.exchanges
        if e.exchange_type == _INFORMATIONAL_V1
        and e.initiated_by_initiator is not first.initiated_by_initiator
        and 0 <= e.first_time_ns - first.first_time_ns <= 10_000_000_000
    ]
    if errors:
        yield _inferred(case, sa, failed, is_first=len(quick) - len(failed) == 1, what="Quick Mode",
                        how="an encrypted Informational instead of its second message", answers=errors[:8])  # fmt: skip


def _inferred(
    case: Case,
    sa: IkeSa,
    failed: list[Exchange],
    *,
    is_first: bool,
    what: str,
    how: str,
    answers: list[Exchange] | None = None,
) -> Finding:
    first = failed[0]
    asker, peer = sa.initiator.address, sa.responder.address
    if not first.initiated_by_initiator:
        asker, peer = peer, asker
    frames = [frame for e in failed for frame in (*e.requests[:1], *e.responses[:1])]
    frames += [frame for e in answers or () for frame in e.requests[:1]]
    found = place(case, sa, frames)
    why = (
        " It is the first exchange of its kind after the tunnel came up, so it is most likely the first rekeying,"
        " and the sides differ in PFS: the first Child SA never ran a key exchange of its own."
        if is_first and sa.version.startswith("2")
        else " Most likely a rekeying, and the sides differ in the algorithms or the PFS group."
    )
    return Finding(
        "rekey-failed",
        Severity.HIGH,
        Certainty.INFERRED,
        sa.id,
        f"{peer} most likely refuses the {what} of {asker}",
        f"{asker} began {count_of(len(failed), f'{what} exchange')} that got {how}.{why} A further Child SA for other"
        f" networks that is refused looks the same; keys would tell.{fallen_back(case, sa)}",
        "Set the same PFS group for the Child SA on both sides, or none on both, and compare the ESP proposals; analyse"
        " again with keys (`--keys`) or look at the logs of both sides.",
        found.frames,
        ("RFC 7296 §1.3", "RFC 7296 §2.17") if sa.version.startswith("2") else ("RFC 2409 §5.5",),
        found.capture,
    )


# Collisions


@told_once
def rekey_collision(case: Case) -> Iterator[Finding]:
    """Both sides rekey at once, or one asks for what the other is just replacing (RFC 7296 §2.8.1, §2.25)."""
    for sa in case.ike_sas:
        if not sa.child_exchanges or not sa.version.startswith("2"):
            continue
        refused = notifies_of(sa, _TEMPORARY, _NOT_FOUND)
        if refused:
            yield _refused(case, sa, [(notify.frame, notify.name) for notify in refused])
            continue
        crossing = _crossing(sa)
        if crossing:
            yield _crossed(case, sa, crossing)


def _refused(case: Case, sa: IkeSa, refused: list[tuple[int, str]]) -> Finding:
    found = place(case, sa, (frame for frame, _ in refused))
    names = series(list(dict.fromkeys(name for _, name in refused)))
    often = len(refused) >= _OFTEN
    return Finding(
        "rekey-collision",
        Severity.MEDIUM if often else Severity.LOW,
        Certainty.OBSERVED,
        sa.id,
        f"{sa.initiator.address} and {sa.responder.address} get in each other's way when rekeying: {names}",
        f"{count_of(len(refused), 'request')} of {sa.id} {'was' if len(refused) == 1 else 'were'} refused with"
        f" {names}: the other side was replacing the same SA at that moment, or had deleted it already."
        " Whoever is refused tries again later, or keeps what the other"
        " side made." + (" So many are no accident: it may never come to an end." if often else ""),
        _CURE,
        found.frames,
        ("RFC 7296 §2.25",),
        found.capture,
    )


_CURE = (
    "Let only one side rekey, or spread the times: different lifetimes on both sides, in swanctl.conf `rekey_time` and"
    " `rand_time`, in ipsec.conf `rekeymargin=` and `rekeyfuzz=`."
)


def _crossing(sa: IkeSa) -> list[tuple[Exchange, Exchange]]:
    """Pairs of CREATE_CHILD_SA, one of each side, of which the second began before the first was answered."""
    both = [e for e in sa.exchanges if e.exchange_type == _CHILD and e.answered and e.round_trip_ns is not None]
    return [
        (one, other)
        for one, other in pairwise(both)
        if one.initiated_by_initiator is not other.initiated_by_initiator
        and other.first_time_ns < one.first_time_ns + (one.round_trip_ns or 0)
    ]


def _crossed(case: Case, sa: IkeSa, crossing: list[tuple[Exchange, Exchange]]) -> Finding:
    frames = [frame for pair in crossing for e in pair for frame in (*e.requests[:1], *e.responses[:1])]
    found = place(case, sa, frames)
    gap = min(other.first_time_ns - one.first_time_ns for one, other in crossing)
    over = "" if sa.state is not State.FAILED else " The IKE SA did not survive it."
    return Finding(
        "rekey-collision",
        Severity.LOW,
        Certainty.INFERRED,
        sa.id,
        f"{sa.initiator.address} and {sa.responder.address} rekeyed at the same time",
        f"{'Once' if len(crossing) == 1 else count_of(len(crossing), 'time')} both sides began CREATE_CHILD_SA"
        f" before the other's was answered, {span(gap)} apart."
        " If both replace the same SA, two new ones exist until the one with the lowest nonce is deleted; some"
        f" implementations keep both, or lose packets.{over}",
        _CURE,
        found.frames,
        ("RFC 7296 §2.8.1", "RFC 7296 §2.8.2"),
        found.capture,
    )
