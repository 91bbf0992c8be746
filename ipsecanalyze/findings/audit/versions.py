"""The version of IKE."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case, frames_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity

__all__ = ["ikev1_in_use"]


def ikev1_in_use(case: Case, profile: Profile) -> Iterator[Finding]:
    """IKEv1 is historic (RFC 9395)."""
    del profile
    for sa in case.ike_sas:
        if sa.version == "1.0":
            yield Finding(
                slug="ikev1-in-use",
                severity=Severity.MEDIUM,
                certainty=Certainty.OBSERVED,
                subject=sa.id,
                title="IKEv1 is in use",
                explanation="IKEv1 was moved to historic status in 2023.",
                remedy="Configure IKEv2 on both sides.",
                frames=frames_of(sa.frames[:2]),
                references=("RFC 9395 §3",),
                capture=case.capture_of(sa),
            )
