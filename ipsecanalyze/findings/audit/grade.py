"""A grade for a gateway: the worst of what an audit found, and how much of that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from ipsecanalyze.findings.model import Finding, Severity

__all__ = ["Grade", "grade"]

Grade: TypeAlias = Literal["A", "B", "C", "D", "E", "F"]


def grade(findings: Iterable[Finding]) -> Grade:
    """A letter from "A" (nothing above info) to "F" (what is sent can be read or forged).

    B: low at worst. C: medium at worst. D: high at worst, in one respect (slug); E: in several. F: critical.
    """
    worst = Severity.INFO
    high = set()
    for finding in findings:
        worst = max(worst, finding.severity, key=lambda severity: severity.rank)
        if finding.severity is Severity.HIGH:
            high.add(finding.slug)
    if worst is Severity.CRITICAL:
        return "F"
    if worst is Severity.HIGH:
        return "E" if len(high) > 1 else "D"
    return "C" if worst is Severity.MEDIUM else "B" if worst is Severity.LOW else "A"
