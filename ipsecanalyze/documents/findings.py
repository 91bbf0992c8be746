"""Entries and documents of findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.documents.captures import capture_entry, warning_entry
from ipsecanalyze.errors import Notice
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.catalog import is_audit, slugs
from ipsecanalyze.findings.gateways import Gateway
from ipsecanalyze.findings.model import Finding
from ipsecanalyze.findings.words import series
from ipsecanalyze.sa.records import IkeSa
from ipsecanalyze.shapes import AuditDocument, DiagnosisDocument, FindingEntry, GatewayEntry

__all__ = ["Judged", "audit_document", "diagnosis_document", "finding_entry"]


class Judged(Protocol):
    """What these documents read of an analysis."""

    @property
    def captures(self) -> Sequence[CaptureFacts]:
        """The files that were read."""

    @property
    def ike_sas(self) -> Sequence[IkeSa]:
        """IKE SAs and attempts at one."""

    @property
    def notices(self) -> Sequence[Notice]:
        """What the analysis itself has to say."""

    def not_looked_at_again(self) -> list[str]:
        """What the second look at the packets left out."""


def finding_entry(finding: Finding, before: int = 0) -> FindingEntry:
    """A finding; `before` captures stand before those of its analysis."""
    return {
        "slug": finding.slug,
        "topic": "audit" if is_audit(finding.slug) else "diagnosis",
        "severity": finding.severity.value,
        "certainty": finding.certainty.value,
        "subject": finding.subject,
        "capture": before + finding.capture,
        "frames": list(finding.frames),
        "title": finding.title,
        "explanation": finding.explanation,
        "remedy": finding.remedy,
        "references": list(finding.references),
    }


def diagnosis_document(analysis: Judged, findings: Sequence[Finding]) -> DiagnosisDocument:
    """The document of `diagnose --format json`."""
    return {
        "schema": "ipsecanalyze.diagnosis/1",
        "captures": [capture_entry(facts) for facts in analysis.captures],
        "checked": [slug for slug in slugs() if not is_audit(slug)],
        "limits": [*_limits([analysis]), *analysis.not_looked_at_again()],
        "findings": [finding_entry(finding) for finding in findings],
        "warnings": [warning_entry(notice) for notice in analysis.notices],
    }


def audit_document(
    judged: Sequence[tuple[Judged, Sequence[Finding]]], gateways: Sequence[Gateway], profile: Profile
) -> AuditDocument:
    """The document of `audit --format json`: of one analysis, or of several sites apart."""
    findings: list[FindingEntry] = []
    before = 0
    for analysis, found in judged:
        findings += (finding_entry(finding, before) for finding in found)
        before += len(analysis.captures)
    ranks = ("critical", "high", "medium", "low", "info")
    return {
        "schema": "ipsecanalyze.audit/1",
        "profile": [{"name": profile.name, "title": profile.title, "date": profile.date}],
        "captures": [capture_entry(facts) for analysis, _ in judged for facts in analysis.captures],
        "checked": [slug for slug in slugs() if is_audit(slug)],
        "limits": list(_limits([analysis for analysis, _ in judged])),
        "gateways": [_gateway_entry(gateway) for gateway in gateways],
        "findings": sorted(findings, key=lambda entry: ranks.index(entry["severity"])),
        "warnings": [warning_entry(notice) for analysis, _ in judged for notice in analysis.notices],
    }


def _gateway_entry(gateway: Gateway) -> GatewayEntry:
    return {
        "address": gateway.address,
        "captures": list(gateway.captures),
        "ike_sas": gateway.ike_sas,
        "grade": gateway.grade,
        "severities": {severity.value: count for severity, count in gateway.severities.items()},
        "worst": gateway.worst,
    }


def _limits(analyses: Sequence[Judged]) -> Iterator[str]:
    """What could not be looked at."""
    closed = sum(1 for analysis in analyses for sa in analysis.ike_sas if sa.established_ns and not sa.decrypted)
    if closed:
        some = "1 IKE SA" if closed == 1 else f"{closed:,} IKE SAs"
        yield (
            f"{some} could not be opened: identities, authentication, Child SAs and their rekeys are judged from "
            "outside; --keys opens them (docs/keys.md)"
        )
    empty = [facts.path for analysis in analyses for facts in analysis.captures if not facts.packets]
    if empty:
        yield f"there is no packet in {series(empty)}"
    if analyses and not any(analysis.ike_sas for analysis in analyses):
        yield "there is no IKE in it: nothing can be said about how the tunnels came up"
