"""IKE SAs that end in ways worth telling: sent elsewhere, or deleted as soon as they were up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import notifies_of, place, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, span
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import IkeSa, State

__all__ = ["early_delete", "redirected"]

_REDIRECT = int(ikev2.NotifyType.REDIRECT)
_REDIRECTED_FROM = int(ikev2.NotifyType.REDIRECTED_FROM)
#: Redirections of one initiator that make a loop (RFC 5685 has five in five minutes).
_LOOP = 5
#: An IKE SA that is deleted so soon was good for nothing; several that live for so short a time keep starting over.
_AT_ONCE_NS = 3_000_000_000
_SHORT_NS = 60_000_000_000
_AGAIN = 3


@told_once
def redirected(case: Case) -> Iterator[Finding]:
    """A gateway sent its client to another one (RFC 5685)."""
    told: dict[str, int] = defaultdict(int)
    sent_away: set[tuple[str, str]] = set()
    for sa in case.ike_sas:
        notifies = notifies_of(sa, _REDIRECT, _REDIRECTED_FROM) if sa.notifies else []
        if not notifies:
            continue
        client, gateway = sa.initiator.address, sa.responder.address
        sent = [notify for notify in notifies if notify.type == _REDIRECT and not notify.from_initiator]
        arrived = [notify for notify in notifies if notify.type == _REDIRECTED_FROM and notify.from_initiator]
        sent_away.update((client, f"from {gateway}") for _ in sent)
        if not sent and (not arrived or (client, arrived[0].data) in sent_away):
            continue
        told[client] += 1
        loops = told[client] >= _LOOP
        found = place(case, sa, (notify.frame for notify in sent or arrived))
        if sent:
            title = f"{gateway} redirects {client} {sent[0].data or 'to another gateway'}"
            what = f"{gateway} sent REDIRECT ({sent[0].data or 'without a readable address'}) to {client}"
            when = " before the IKE SA was up" if sa.established_ns is None else " in the established IKE SA"
        else:
            title = f"{client} comes to {gateway} because it was redirected ({arrived[0].data})"
            what = f"{client} says in its first message to {gateway} that it was redirected {arrived[0].data}"
            when = ""
        loop = f" It is the {told[client]}th redirection of this client in the capture." if loops else ""
        yield Finding(
            "redirected",
            Severity.MEDIUM if loops else Severity.INFO,
            Certainty.OBSERVED,
            sa.id,
            title,
            f"{what}{when}. A load balancer does that, or a gateway that is full or about to go down.{loop}",
            "See why the gateways send it on and on: each seems to think that another one is responsible."
            if loops
            else "Nothing, if it is meant; otherwise see the redirect settings of the gateway, and that the client may"
            " reach the other one.",
            found.frames,
            ("RFC 5685 §3",) if sa.established_ns is None else ("RFC 5685 §5",),
            found.capture,
        )


def early_delete(case: Case) -> Iterator[Finding]:
    """IKE SAs that were deleted as soon as they were there, or lived for a short time again and again."""
    short: dict[tuple[str, str], list[IkeSa]] = defaultdict(list)
    for sa in case.ike_sas:
        if sa.state is not State.CLOSED or sa.established_ns is None or sa.closed_ns is None or sa.started_late:
            continue
        if 0 <= sa.closed_ns - sa.established_ns < _SHORT_NS and not notifies_of(sa, _REDIRECT):
            short[sa.initiator.address, sa.responder.address].append(sa)
    for (initiator, responder), sas in short.items():
        if len(sas) >= _AGAIN:
            yield _flapping(case, initiator, responder, sas)
            continue
        for sa in sas:
            if (sa.closed_ns or 0) - (sa.established_ns or 0) < _AT_ONCE_NS:
                yield _at_once(case, sa)


def _delete_of(case: Case, sa: IkeSa) -> list[int]:
    return [record.datagram.frame for record in case.messages_of(sa) if record.datagram.time_ns == sa.closed_ns]


def _who(sa: IkeSa) -> str:
    last = sa.exchanges[-1] if sa.exchanges else None
    if last is None:
        return "one side"
    return sa.initiator.address if last.initiated_by_initiator else sa.responder.address


def _at_once(case: Case, sa: IkeSa) -> Finding:
    life = (sa.closed_ns or 0) - (sa.established_ns or 0)
    found = place(case, sa, _delete_of(case, sa))
    packets = sum(flow.packets for flow in case.flows_of(sa))
    twin = case.next_established(sa)
    other = f" {twin.id} between the same peers stayed: it may have been one of two." if twin is not None else ""
    return Finding(
        "early-delete",
        Severity.LOW if twin is not None else Severity.MEDIUM,
        sa.certainty,
        sa.id,
        f"{_who(sa)} deleted the IKE SA {span(life)} after it was established",
        f"It was established, and deleted {span(life)} later,"
        f" {'after ' + count_of(packets, 'ESP or AH packet') if packets else 'before any ESP or AH'}. That is"
        " done by policy: the Child SA or address that was wanted was not given, the peer's certificate is accepted"
        f" but not authorized, another IKE SA with the same identity exists, or a user ended it.{other}",
        f"Look at the log of {_who(sa)} at that time: it says why it deleted it.",
        found.frames,
        ("RFC 7296 §1.4.1",) if sa.version.startswith("2") else ("RFC 2408 §3.15",),
        found.capture,
    )


def _flapping(case: Case, initiator: str, responder: str, sas: list[IkeSa]) -> Finding:
    lives = [(sa.closed_ns or 0) - (sa.established_ns or 0) for sa in sas]
    records = [record for sa in sas[:32] for record in case.messages_of(sa) if record.datagram.time_ns == sa.closed_ns]
    found = place_of(records)
    shortest, longest = span(min(lives)), span(max(lives))
    told = f"between {shortest} and {longest}" if shortest != longest else f"for {shortest}"
    certain = all(sa.certainty is Certainty.OBSERVED for sa in sas)
    return Finding(
        "early-delete",
        Severity.MEDIUM,
        Certainty.OBSERVED if certain else Certainty.INFERRED,
        f"{initiator} - {responder}",
        f"{count_of(len(sas), 'IKE SA')} of {initiator} and {responder} were deleted within a minute each",
        f"They lived {told}: the tunnel comes up and is taken down again and"
        " again. A policy that is not met, two configurations that replace each other (the same identity from two"
        " places), or a liveness check of something inside the tunnel does that.",
        f"Look at the logs of {_who(sas[0])}, which deleted the first one, for the reason; see that no two gateways use"
        " the same identity.",
        found.frames,
        ("RFC 7296 §1.4.1",) if sas[0].version.startswith("2") else ("RFC 2408 §3.15",),
        found.capture,
    )
