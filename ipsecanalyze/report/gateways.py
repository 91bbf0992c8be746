"""The table of gateways as CSV, for the auditor's spreadsheet."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from ipsecanalyze.report.text import csv_cell

if TYPE_CHECKING:
    from ipsecanalyze.shapes import AuditDocument

__all__ = ["GatewaysCsv"]

_SEVERITIES = ("critical", "high", "medium", "low", "info")


@dataclass(frozen=True, slots=True)
class GatewaysCsv:
    """Writes the gateways of an audit document as CSV, a line per address."""

    def write(self, document: AuditDocument, stream: TextIO) -> None:
        """Write the table."""
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("gateway", "grade", "ike_sas", *_SEVERITIES, "worst", "captures", "first_capture"))
        for gateway in document["gateways"]:
            counts = (gateway["severities"].get(severity, 0) for severity in _SEVERITIES)
            captures = gateway["captures"]
            row = (
                gateway["address"],
                gateway["grade"],
                gateway["ike_sas"],
                *counts,
                gateway["worst"],
                len(captures),
                captures[0],
            )
            writer.writerow([csv_cell(cell) for cell in row])
