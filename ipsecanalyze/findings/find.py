"""All rules over a case, and what comes out put in order: worst first, each as sure as the capture allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ipsecanalyze.findings.audit import RULES as AUDIT
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.diagnosis import RULES as DIAGNOSIS
from ipsecanalyze.findings.diagnosis.quality import defects_of
from ipsecanalyze.findings.model import Certainty, Finding
from ipsecanalyze.findings.rule import Rule

__all__ = ["MOST_PER_SLUG", "audit", "diagnose", "in_order"]

#: Findings of one slug that are kept: a flood must not drown the rest.
MOST_PER_SLUG = 100


def diagnose(case: Case) -> list[Finding]:
    """What does not work, and what the captures lack for saying more; worst first."""
    case.defects = defects_of(case)
    return in_order(finding for rule in DIAGNOSIS for finding in _as_sure_as(case, rule, rule.look(case)))


def audit(case: Case, profile: Profile) -> list[Finding]:
    """What is weak by the standards of a profile; worst first."""
    case.defects = defects_of(case)
    return in_order(finding for rule in AUDIT for finding in _as_sure_as(case, rule, rule.look(case, profile)))


def _as_sure_as(case: Case, rule: Rule, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Lower the certainty of what rests on a capture that lacks what the rule needs."""
    for finding in findings:
        lacks = sorted(rule.shaken_by & case.defects.get(finding.capture, frozenset()))
        if not lacks:
            yield finding
            continue
        doubt = f" Less than certain, as of this capture {' and '.join(lacks)}."
        yield replace(finding, certainty=Certainty.INFERRED, explanation=finding.explanation + doubt)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first; of one slug only so many, and how many more there are."""
    counts: Counter[str] = Counter()
    kept: list[Finding] = []
    last: dict[str, Finding] = {}
    for finding in findings:
        counts[finding.slug] += 1
        if counts[finding.slug] <= MOST_PER_SLUG:
            kept.append(finding)
        last[finding.slug] = finding
    for slug, count in counts.items():
        if count > MOST_PER_SLUG:
            more = count - MOST_PER_SLUG
            kept.append(
                replace(
                    last[slug],
                    subject=f"{more} more",
                    title=f"{last[slug].title}: {more} more like this",
                    explanation=f"{count} findings of this kind; the first {MOST_PER_SLUG} are told one by one.",
                    frames=(),
                )
            )
    return sorted(kept, key=lambda finding: -finding.severity.rank)
