"""From the result of an analysis to its JSON documents, and nothing else: no text for people, no input or output.

A document is built from plain dictionaries, so that `json.dumps` takes it as it is. Its shape is in
`ipsecanalyze/shapes/`; the schemas beside the package (`ipsecanalyze/*.schema.json`) are made from that. Reports
render documents and never records, so nothing is shown that the JSON does not have.
"""

from __future__ import annotations

from ipsecanalyze.documents.build import (
    AnalysisLike,
    flows_document,
    flows_outline,
    flows_stream,
    messages_document,
    messages_stream,
    summary_document,
    summary_outline,
    summary_stream,
)
from ipsecanalyze.documents.compare import comparison_document
from ipsecanalyze.documents.decrypt import decrypt_document
from ipsecanalyze.documents.findings import audit_document, diagnosis_document
from ipsecanalyze.shapes import DecryptDocument, FlowsDocument, MessagesDocument, SummaryDocument

__all__ = [
    "AnalysisLike",
    "DecryptDocument",
    "FlowsDocument",
    "MessagesDocument",
    "SummaryDocument",
    "audit_document",
    "comparison_document",
    "decrypt_document",
    "diagnosis_document",
    "flows_document",
    "flows_outline",
    "flows_stream",
    "messages_document",
    "messages_stream",
    "summary_document",
    "summary_outline",
    "summary_stream",
]
