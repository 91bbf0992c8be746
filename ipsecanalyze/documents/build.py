"""The documents as a whole: which lists stand in which.

The entries of the lists are made in `captures.py`, `sas.py`, `flows.py` and `messages.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.documents.captures import capture_entry, warning_entry
from ipsecanalyze.documents.flows import flow_entry
from ipsecanalyze.documents.messages import message_entry
from ipsecanalyze.documents.sas import child_sa_entry, ike_sa_entry
from ipsecanalyze.errors import Notice
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.sa.records import ChildSa, IkeSa, MessageRecord
from ipsecanalyze.shapes import FindingEntry, FlowsDocument, MessagesDocument, SummaryDocument

__all__ = ["AnalysisLike", "flows_document", "messages_document", "summary_document"]


class AnalysisLike(Protocol):
    """What the documents read of an analysis."""

    @property
    def captures(self) -> Sequence[CaptureFacts]:
        """The files that were read."""

    @property
    def ike_sas(self) -> Sequence[IkeSa]:
        """IKE SAs and attempts at one."""

    @property
    def child_sas(self) -> Sequence[ChildSa]:
        """Pairs of ESP or AH SAs."""

    @property
    def flows(self) -> Sequence[Flow]:
        """ESP and AH flows."""

    @property
    def messages(self) -> Sequence[MessageRecord]:
        """IKE messages."""

    @property
    def findings(self) -> Sequence[Any]:
        """What is wrong or weak."""

    @property
    def notices(self) -> Sequence[Notice]:
        """What the analysis itself has to say."""


def summary_document(analysis: AnalysisLike) -> SummaryDocument:
    """The document of `summarize --format json` (docs/json.md)."""
    return {
        "schema": "ipsecanalyze.summary/1",
        "captures": [capture_entry(capture) for capture in analysis.captures],
        "ike_sas": [ike_sa_entry(sa) for sa in analysis.ike_sas],
        "child_sas": [child_sa_entry(child) for child in analysis.child_sas],
        "flows": [flow_entry(flow) for flow in analysis.flows],
        "findings": [_finding_entry(finding) for finding in analysis.findings],
        "warnings": [warning_entry(notice) for notice in analysis.notices],
    }


def flows_document(analysis: AnalysisLike) -> FlowsDocument:
    """The document of `flows --format json`."""
    return {
        "schema": "ipsecanalyze.flows/1",
        "captures": [capture_entry(capture) for capture in analysis.captures],
        "flows": [flow_entry(flow) for flow in analysis.flows],
        "warnings": [warning_entry(notice) for notice in analysis.notices],
    }


def messages_document(analysis: AnalysisLike, *, tree: bool = True) -> MessagesDocument:
    """The document of `messages --format json`; without `tree` the fields inside the payloads are left out."""
    return {
        "schema": "ipsecanalyze.messages/1",
        "captures": [capture_entry(capture) for capture in analysis.captures],
        "ike_sas": [ike_sa_entry(sa) for sa in analysis.ike_sas],
        "messages": [message_entry(record, tree=tree) for record in analysis.messages],
        "warnings": [warning_entry(notice) for notice in analysis.notices],
    }


def _finding_entry(finding: Any) -> FindingEntry:
    return {
        "slug": finding.slug,
        "severity": finding.severity,
        "certainty": finding.certainty,
        "subject": finding.subject,
        "frames": list(finding.frames),
        "title": finding.title,
        "explanation": finding.explanation,
        "remedy": finding.remedy,
        "references": list(finding.references),
    }
