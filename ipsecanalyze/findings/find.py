"""All rules over a case, and what comes out put in order: worst first, each as sure as the capture allows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ipsecanalyze.errors import Notice
from ipsecanalyze.findings.audit import RULES as AUDIT
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.diagnosis import RULES as DIAGNOSIS
from ipsecanalyze.findings.diagnosis.quality import defects_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.rule import Rule

__all__ = ["MOST_PER_SLUG", "audit", "audit_uncut", "diagnose", "in_order", "is_cut"]

#: Findings of one slug that are kept: a flood must not drown the rest.
MOST_PER_SLUG = 100
_MORE = " more"


def diagnose(case: Case) -> list[Finding]:
    """What does not work, and what the captures lack for saying more; worst first."""
    _find_defects(case)
    return in_order(finding for rule in DIAGNOSIS for finding in _as_sure_as(case, rule, _looked(case, rule)))


def audit(case: Case, profile: Profile) -> list[Finding]:
    """What is weak by the standards of a profile; worst first."""
    return in_order(audit_uncut(case, profile))


def audit_uncut(case: Case, profile: Profile) -> Iterator[Finding]:
    """All that `audit` finds, before those of one slug that are too many are cut off."""
    _find_defects(case)
    for rule in AUDIT:
        yield from _as_sure_as(case, rule, _looked(case, rule, profile))


def is_cut(findings: Iterable[Finding]) -> bool:
    """Whether `in_order` has left findings out."""
    return any(finding.subject.endswith(_MORE) for finding in findings)


def _find_defects(case: Case) -> None:
    if case.defects:
        return
    try:
        case.defects = defects_of(case)
    except Exception as error:
        case.notices.append(_failed("the look at what captures lack", error))


def _looked(case: Case, rule: Rule, *profile: Profile) -> Iterator[Finding]:
    """What a rule finds. One that fails must not take the others with it: it becomes a warning that names it."""
    try:
        yield from rule.look(case, *profile)
    except Exception as error:
        case.notices.append(_failed(" and ".join(rule.slugs), error))


def _failed(what: str, error: Exception) -> Notice:
    message = f"{what}: looking for it failed ({type(error).__name__}: {error}); please report this"
    return Notice("rule-failed", message)


def _as_sure_as(case: Case, rule: Rule, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Lower the certainty of what rests on a capture that lacks what the rule needs."""
    for finding in findings:
        lacks = sorted(rule.shaken_by & case.defects.get(finding.capture, frozenset()))
        if not lacks:
            yield finding
            continue
        doubt = f" This is less than certain, because {' and '.join(lacks)}."
        yield replace(finding, certainty=Certainty.INFERRED, explanation=finding.explanation + doubt)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first; of one slug only so many, the worst of them, and how many more there are."""
    counts: Counter[str] = Counter()
    by_severity: dict[str, dict[Severity, list[Finding]]] = defaultdict(lambda: defaultdict(list))
    for finding in findings:
        counts[finding.slug] += 1
        same = by_severity[finding.slug][finding.severity]
        if len(same) <= MOST_PER_SLUG:
            same.append(finding)
    kept: list[Finding] = []
    for slug, severities in by_severity.items():
        worst = [finding for severity in sorted(severities, reverse=True) for finding in severities[severity]]
        kept += worst[:MOST_PER_SLUG]
        if counts[slug] > MOST_PER_SLUG:
            more, following = counts[slug] - MOST_PER_SLUG, worst[MOST_PER_SLUG]
            kept.append(
                replace(
                    following,
                    subject=f"{more:,}{_MORE}",
                    title=f"{following.title}: {more:,} more like this",
                    explanation=(
                        f"{counts[slug]:,} findings of this kind; the worst {MOST_PER_SLUG} are told one by one."
                    ),
                    frames=(),
                )
            )
    return sorted(kept, key=lambda finding: -finding.severity.rank)
