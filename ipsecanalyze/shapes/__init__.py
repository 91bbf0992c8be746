"""The shapes of the JSON documents, field by field: typed dictionaries and nothing else.

This package is the reference. The JSON Schemas that ship and the tables of docs/json.md are generated from it
(docs/generate.py), the text under a field is its description there. Times are nanoseconds since 1970-01-01 UTC,
sizes are octets. Fields may be added; a field whose meaning changes needs a new number in `schema`.
"""

from __future__ import annotations

from ipsecanalyze.shapes.capture import CaptureEntry, CountsEntry
from ipsecanalyze.shapes.common import AlgorithmEntry, IcmpErrorEntry, WarningEntry
from ipsecanalyze.shapes.compare import (
    ClockEntry,
    ComparisonDocument,
    FlowBetweenEntry,
    IkeBetweenEntry,
    LostRunEntry,
    SightEntry,
    VariationEntry,
)
from ipsecanalyze.shapes.document import (
    DecryptDocument,
    DecryptFlowEntry,
    FlowsDocument,
    MessagesDocument,
    SummaryDocument,
)
from ipsecanalyze.shapes.finding import AuditDocument, DiagnosisDocument, FindingEntry, GatewayEntry, ProfileEntry
from ipsecanalyze.shapes.flow import (
    BreakEntry,
    CandidateEntry,
    DistributionEntry,
    FlowEntry,
    InferredEntry,
    InnerEntry,
    OpeningEntry,
)
from ipsecanalyze.shapes.ike import (
    AuthenticationEntry,
    ChildSaEntry,
    ExchangeEntry,
    IkeSaEntry,
    MoveEntry,
    NotifyEntry,
    PeerEntry,
    SelectorsEntry,
)
from ipsecanalyze.shapes.message import MessageEntry, PayloadEntry, TreeEntry

__all__ = [
    "AlgorithmEntry",
    "AuditDocument",
    "AuthenticationEntry",
    "BreakEntry",
    "CandidateEntry",
    "CaptureEntry",
    "ChildSaEntry",
    "ClockEntry",
    "ComparisonDocument",
    "CountsEntry",
    "DecryptDocument",
    "DecryptFlowEntry",
    "DiagnosisDocument",
    "DistributionEntry",
    "ExchangeEntry",
    "FindingEntry",
    "FlowBetweenEntry",
    "FlowEntry",
    "FlowsDocument",
    "GatewayEntry",
    "IcmpErrorEntry",
    "IkeBetweenEntry",
    "IkeSaEntry",
    "InferredEntry",
    "InnerEntry",
    "LostRunEntry",
    "MessageEntry",
    "MessagesDocument",
    "MoveEntry",
    "NotifyEntry",
    "OpeningEntry",
    "PayloadEntry",
    "PeerEntry",
    "ProfileEntry",
    "SelectorsEntry",
    "SightEntry",
    "SummaryDocument",
    "TreeEntry",
    "VariationEntry",
    "WarningEntry",
]
