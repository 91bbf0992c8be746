"""The first exchange of an IKE SA: does it come through, and in how many rounds."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.case import Case, frames_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity

__all__ = ["cookie_challenge"]

_COOKIE = 16390


def cookie_challenge(case: Case) -> Iterator[Finding]:
    """The responder wanted to see its cookie before it went on (RFC 7296 §2.6)."""
    for sa in case.ike_sas:
        if not sa.cookie_rounds:
            continue
        loops = sa.cookie_rounds > 1 and not sa.chosen
        yield Finding(
            slug="cookie-challenge",
            severity=Severity.MEDIUM if loops else Severity.INFO,
            certainty=Certainty.OBSERVED,
            subject=sa.id,
            title=f"{sa.responder.address} asked {sa.initiator.address} to return a cookie first",
            explanation=f"{sa.cookie_rounds} cookie rounds.",
            remedy="Nothing, as long as the tunnel comes up.",
            frames=frames_of(notify.frame for notify in sa.notifies if notify.type == _COOKIE),
            references=("RFC 7296 §2.6",),
            capture=case.capture_of(sa),
        )
