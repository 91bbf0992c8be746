"""Answers in fragments of which some are missing; requests of that kind are told of in `silence.py`."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import fallen_back, place
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once

__all__ = ["answer_in_pieces"]


@told_once
def answer_in_pieces(case: Case) -> Iterator[Finding]:
    """The answer came in fragments of which some are missing, and the request comes again and again."""
    for sa in case.ike_sas:
        last = sa.exchanges[-1] if sa.exchanges and sa.fragmentation and sa.retransmissions else None
        if last is None or not last.answered or last.fragments_seen >= last.fragments_expected:
            continue
        if not last.retransmission_times_ns or case.flows_of(sa):
            continue
        asker, peer = sa.initiator.address, sa.responder.address
        if not last.initiated_by_initiator:
            asker, peer = peer, asker
        found = place(case, sa, (*last.requests, *last.responses))
        missing = last.fragments_expected - last.fragments_seen
        yield Finding(
            "fragments-lost",
            Severity.HIGH,
            Certainty.INFERRED,
            sa.id,
            f"Fragments of the {last.name} exchange of {asker} and {peer} are lost",
            f"{missing} of {last.fragments_expected} fragments of request and answer (RFC 7383) are not in this"
            " capture,"
            f" and {asker} sent its request again {len(last.retransmission_times_ns)} times: the message cannot be put"
            f" together.{fallen_back(case, sa)}",
            f"Find what drops packets of UDP between {asker} and {peer}; smaller fragments may pass"
            " (`charon.fragment_size` in strongswan.conf), and so may less to send (fewer certificates).",
            found.frames,
            ("RFC 7383 §2.6",),
            found.capture,
        )
