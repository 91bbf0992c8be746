"""The version of IKE."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.verdict import cell_text, severity_of, year_of
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.sa.records import IkeSa

__all__ = ["ikev1_in_use"]


def ikev1_in_use(case: Case, profile: Profile) -> Iterator[Finding]:
    """IKEv1 is historic (RFC 9395)."""
    found: Gathering[IkeSa] = Gathering()
    for sa in case.ike_sas:
        if sa.version == "1.0":
            where = [
                lambda sa=sa, place=place: (case.capture_of(sa), sa.frames[place]) if len(sa.frames) > place else None
                for place in (0, 1)
            ]
            found.add((sa.initiator.address, sa.responder.address), sa, sa.id, *where)

    def told(group: Group[IkeSa]) -> Finding:
        sa = group.first
        cell = profile.cell("version", "IKEv1", year=year_of(sa.first_time_ns))
        mode = f" in {sa.mode.value} mode" if sa.mode is not None else ""
        return Finding(
            slug="ikev1-in-use",
            severity=severity_of(cell) or Severity.MEDIUM,
            certainty=Certainty.OBSERVED,
            subject=sa.id,
            title="IKEv1 is in use",
            explanation=f"{sa.initiator.address} and {sa.responder.address} use IKEv1{mode} ({sa.id}). "
            f"{cell_text(cell, 'IKEv1')} Its algorithms, its fixes and its analyses end where those of IKEv2 go on."
            + group.others("IKE SA", "IKE SAs"),
            remedy="Configure IKEv2 on both sides (strongSwan: `version = 2`; libreswan: `keyexchange=ikev2`).",
            frames=group.frames,
            references=tuple(dict.fromkeys((cell.clause, "RFC 9395 §3"))),
            capture=group.capture,
        )

    yield from found.findings(told)
