"""Peers that answered once and do so no more: liveness checks without an answer (RFC 7296 §2.4, RFC 3706)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import fallen_back, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, span
from ipsecanalyze.ike.payloads import NotifyPayload
from ipsecanalyze.registry import ikev1
from ipsecanalyze.sa.records import IkeSa, MessageRecord, State

__all__ = ["dead_peer", "unanswered_v1"]

_INFORMATIONAL = int(ikev1.ExchangeType.INFORMATIONAL)
_R_U_THERE, _ACK = int(ikev1.NotifyType.R_U_THERE), int(ikev1.NotifyType.R_U_THERE_ACK)
#: A peer counts as dead after so many checks, sent at intervals of at least so much.
_LEAST_SENT = 3
_INTERVAL_NS = 500_000_000


def dead_peer(
    *,
    case: Case,
    sa: IkeSa,
    told: str,
    since_ns: int,
    ends: tuple[str, str],
    frames: tuple[int, ...],
    capture: int,
    certainty: Certainty,
) -> Finding:
    """A peer that answered once and does so no more; `ends` are who asks and who is silent."""
    asker, silent = ends
    still = [flow for flow in case.flows_of(sa) if flow.source == silent and flow.last_time_ns > since_ns]
    esp = (
        f" ESP of {silent} still arrives (until {span(max(f.last_time_ns for f in still) - since_ns)} later), so the"
        " host is there and only IKE is lost."
        if still
        else ""
    )
    return Finding(
        "dpd-timeout",
        Severity.HIGH,
        certainty,
        sa.id,
        f"{silent} stopped answering {asker}",
        f"{told} It had answered before: it went down, lost its state, or the path to it broke.{esp}"
        f"{fallen_back(case, sa)}",
        f"Find out what happened to {silent} at that time. For a quicker recovery shorten liveness checks and let them"
        " restart the tunnel: in swanctl.conf `dpd_delay` of the connection and `dpd_action = restart` of the child, in"
        " ipsec.conf `dpddelay=`.",
        frames,
        ("RFC 7296 §2.4",) if sa.version.startswith("2") else ("RFC 3706 §5",),
        capture,
    )


@told_once
def unanswered_v1(case: Case) -> Iterator[Finding]:
    """IKEv1: R-U-THERE without R-U-THERE-ACK at the end of an IKE SA; without keys, what looks like them."""
    for sa in case.ike_sas:
        if not sa.version.startswith("1") or sa.state is State.FAILED or sa.established_ns is None:
            continue
        if sum(exchange.exchange_type == _INFORMATIONAL for exchange in sa.exchanges[-2 * _LEAST_SENT :]) < _LEAST_SENT:
            continue
        records = [r for r in case.messages_of(sa) if r.retransmission_of is None]
        asks = _opened_checks(records) if sa.decrypted else []
        certainty = Certainty.OBSERVED if asks else Certainty.INFERRED
        asks = asks or _likely_checks(records)
        if len(asks) < _LEAST_SENT:
            continue
        first = asks[0].datagram
        told = (
            f"{first.source} sent {count_of(len(asks), 'R-U-THERE')} in"
            f" {span(asks[-1].datagram.time_ns - first.time_ns)}, and no answer of {first.destination} is in this"
            " capture."
        )
        if certainty is Certainty.INFERRED:
            told = (
                f"{count_of(len(asks), 'Informational')} of one length, which look like R-U-THERE, were sent by"
                f" {first.source} in {span(asks[-1].datagram.time_ns - first.time_ns)} without any answer of"
                f" {first.destination}."
            )
        frames, capture = place_of(asks)
        yield dead_peer(
            case=case,
            sa=sa,
            told=told,
            since_ns=first.time_ns,
            ends=(first.source, first.destination),
            frames=frames,
            capture=capture,
            certainty=certainty,
        )


def _kinds(record: MessageRecord) -> set[int]:
    return {payload.notify_type for payload in record.opened or () if isinstance(payload, NotifyPayload)}


def _opened_checks(records: Sequence[MessageRecord]) -> list[MessageRecord]:
    """The R-U-THERE of one side since the other side was heard last."""
    run: list[MessageRecord] = []
    for record in reversed(records):
        if run and record.datagram.source != run[-1].datagram.source:
            break
        if _R_U_THERE in _kinds(record):
            run.append(record)
    return run[::-1]


def _likely_checks(records: Sequence[MessageRecord]) -> list[MessageRecord]:
    run: list[MessageRecord] = []
    for record in reversed(records):
        datagram = record.datagram
        if datagram.length < 20 or record.datagram.payload[18:19] != bytes((_INFORMATIONAL,)):
            break
        if run:
            later = run[-1].datagram
            if datagram.source != later.source or datagram.length != later.length:
                break
            if later.time_ns - datagram.time_ns < _INTERVAL_NS:
                break
        run.append(record)
    return run[::-1]
