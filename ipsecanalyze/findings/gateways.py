"""Findings by gateway: whom each concerns, and a grade for every address."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ipsecanalyze.findings.audit.grade import Grade, grade
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case, flow_subject
from ipsecanalyze.findings.find import audit_uncut, is_cut
from ipsecanalyze.findings.model import Finding, Severity

__all__ = ["Gateway", "gateways_of"]


@dataclass(slots=True)
class Gateway:
    """An address that negotiated IKE SAs, or sent ESP or AH."""

    address: str
    captures: dict[str, None] = field(default_factory=dict)
    """The paths of the captures that it is in, in order."""
    ike_sas: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def grade(self) -> Grade | None:
        """The verdict in a letter; None where nothing could be judged: ESP alone, with nothing to be said of it."""
        return grade(self.findings) if self.ike_sas or self.findings else None

    @property
    def severities(self) -> dict[Severity, int]:
        """Findings by severity, worst first."""
        counts = Counter(finding.severity for finding in self.findings)
        return {severity: counts[severity] for severity in reversed(Severity) if counts[severity]}

    @property
    def worst(self) -> str | None:
        """The slug of the worst finding."""
        return max(self.findings, key=lambda finding: finding.severity.rank).slug if self.findings else None


def gateways_of(judged: Iterable[tuple[Case, Sequence[Finding]]], profile: Profile | None = None) -> list[Gateway]:
    """The gateways of some sites, in order of appearance: who answered, was answered, or sent ESP or AH.

    Where findings were cut off because of their number, those of the profile are looked for once more, uncut: the
    grade of a gateway must not depend on how many others there are.
    """
    gateways: dict[str, Gateway] = {}
    for case, shown in judged:
        findings = list(audit_uncut(case, profile)) if profile is not None and is_cut(shown) else shown
        peers = _peers(case)
        for sa in case.ike_sas:
            if not sa.responder.spi and not sa.chosen:
                continue  # anybody can send a first message
            for address in dict.fromkeys((sa.initiator.address, sa.responder.address)):
                gateway = gateways.setdefault(address, Gateway(address))
                gateway.ike_sas += 1
                gateway.captures[case.captures[case.capture_of(sa)].path] = None
        for flow in case.flows:
            for address in dict.fromkeys((flow.source, flow.destination)):
                gateway = gateways.setdefault(address, Gateway(address))
                gateway.captures[case.captures[flow.capture].path] = None
        for finding in findings:
            for address in peers.get(finding.subject, ()):
                if address in gateways:
                    gateways[address].findings.append(finding)
    return list(gateways.values())


def _peers(case: Case) -> dict[str, tuple[str, ...]]:
    """Subject → the addresses that it concerns."""
    peers: dict[str, dict[str, None]] = defaultdict(dict)
    for subject, *addresses in _concerned(case):
        peers[subject].update(dict.fromkeys(addresses))
    return {subject: tuple(addresses) for subject, addresses in peers.items()}


def _concerned(case: Case) -> Iterator[tuple[str, ...]]:
    for sa in case.ike_sas:
        yield sa.id, sa.initiator.address, sa.responder.address
        yield sa.initiator.address, sa.initiator.address
        yield sa.responder.address, sa.responder.address
        for child in case.children_of(sa):
            yield child.id, sa.initiator.address, sa.responder.address
    for flow in case.flows:
        yield flow_subject(flow), flow.source, flow.destination
        if flow.child_sa is not None:
            yield flow.child_sa, flow.source, flow.destination
