"""The documents as a whole: which lists stand in which.

Each exists complete, and as a stream whose lists are iterators, for writing what need not be in memory at once. For
reports that show few of many flows there are outlines: complete, but for flows whose entries are made when looked at.
The entries of the lists are made in `captures.py`, `sas.py`, `flows.py` and `messages.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.documents.captures import capture_entry, warning_entry
from ipsecanalyze.documents.findings import finding_entry
from ipsecanalyze.documents.flows import flow_entry, flow_views
from ipsecanalyze.documents.messages import message_entry
from ipsecanalyze.documents.sas import child_sa_entry, ike_sa_entry
from ipsecanalyze.errors import Notice
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.model import Finding
from ipsecanalyze.sa.records import ChildSa, IkeSa, MessageRecord
from ipsecanalyze.shapes import FlowsDocument, MessagesDocument, SummaryDocument

__all__ = [
    "AnalysisLike",
    "flows_document",
    "flows_outline",
    "flows_stream",
    "messages_document",
    "messages_stream",
    "summary_document",
    "summary_outline",
    "summary_stream",
]


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
    def findings(self) -> Sequence[Finding]:
        """What is wrong or weak."""

    @property
    def notices(self) -> Sequence[Notice]:
        """What the analysis itself has to say."""


def summary_stream(analysis: AnalysisLike) -> dict[str, Any]:
    """The document of `summarize --format json`, its lists as iterators: entries are made as they are taken."""
    return {
        "schema": "ipsecanalyze.summary/1",
        "captures": map(capture_entry, analysis.captures),
        "ike_sas": map(ike_sa_entry, analysis.ike_sas),
        "child_sas": map(child_sa_entry, analysis.child_sas),
        "flows": map(flow_entry, analysis.flows),
        "findings": map(finding_entry, analysis.findings),
        "warnings": map(warning_entry, analysis.notices),
    }


def flows_stream(analysis: AnalysisLike) -> dict[str, Any]:
    """The document of `flows --format json`, its lists as iterators."""
    return {
        "schema": "ipsecanalyze.flows/1",
        "captures": map(capture_entry, analysis.captures),
        "flows": map(flow_entry, analysis.flows),
        "warnings": map(warning_entry, analysis.notices),
    }


def messages_stream(analysis: AnalysisLike, *, tree: bool = True) -> dict[str, Any]:
    """The document of `messages --format json`, its lists as iterators; for `tree` see `messages_document`."""
    return {
        "schema": "ipsecanalyze.messages/1",
        "captures": map(capture_entry, analysis.captures),
        "ike_sas": map(ike_sa_entry, analysis.ike_sas),
        "messages": (message_entry(record, tree=tree) for record in analysis.messages),
        "warnings": map(warning_entry, analysis.notices),
    }


def summary_document(analysis: AnalysisLike) -> SummaryDocument:
    """The document of `summarize --format json` (docs/json.md)."""
    return cast("SummaryDocument", _complete(summary_stream(analysis)))


def flows_document(analysis: AnalysisLike) -> FlowsDocument:
    """The document of `flows --format json`."""
    return cast("FlowsDocument", _complete(flows_stream(analysis)))


def messages_document(analysis: AnalysisLike, *, tree: bool = True) -> MessagesDocument:
    """The document of `messages --format json`; without `tree` the fields inside the payloads are left out."""
    return cast("MessagesDocument", _complete(messages_stream(analysis, tree=tree)))


def summary_outline(analysis: AnalysisLike) -> SummaryDocument:
    """The summary document for reports: read its flows field by field."""
    return cast("SummaryDocument", _complete({**summary_stream(analysis), "flows": flow_views(analysis.flows)}))


def flows_outline(analysis: AnalysisLike) -> FlowsDocument:
    """The flows document for reports: read its flows field by field."""
    return cast("FlowsDocument", _complete({**flows_stream(analysis), "flows": flow_views(analysis.flows)}))


def _complete(stream: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else list(value) for name, value in stream.items()}
