"""A grade for the table of gateways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from ipsecanalyze.findings.model import Finding, Severity

__all__ = ["Grade", "grade"]

Grade: TypeAlias = Literal["A", "B", "C", "D", "E", "F"]

_GRADES: dict[Severity, Grade] = {
    Severity.INFO: "A",
    Severity.LOW: "B",
    Severity.MEDIUM: "C",
    Severity.HIGH: "D",
    Severity.CRITICAL: "F",
}


def grade(findings: Iterable[Finding]) -> Grade:
    """A with nothing worse than info, then by the worst finding down to F."""
    worst = max((finding.severity for finding in findings), key=lambda severity: severity.rank, default=Severity.INFO)
    return _GRADES[worst]
