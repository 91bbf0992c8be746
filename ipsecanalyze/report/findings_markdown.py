"""Findings as Markdown, for tickets and reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from ipsecanalyze.report.text import markdown, plural

if TYPE_CHECKING:
    from ipsecanalyze.shapes import AuditDocument, DiagnosisDocument, FindingEntry, GatewayEntry

__all__ = ["FindingsMarkdown"]


@dataclass(frozen=True, slots=True)
class FindingsMarkdown:
    """Writes a diagnosis or an audit document as Markdown."""

    def write(self, document: DiagnosisDocument | AuditDocument, stream: TextIO) -> None:
        """Write the page."""
        stream.writelines(f"{block}\n\n" for block in _blocks(document))


def _blocks(document: DiagnosisDocument | AuditDocument) -> Iterator[str]:
    captures = [capture["path"] for capture in document["captures"]]
    if document["schema"] == "ipsecanalyze.audit/1":
        profile = document["profile"][0]
        yield f"# Audit by {markdown(profile['title'])} ({markdown(profile['date'])})"
    else:
        yield "# Diagnosis"
    yield "\n".join(f"* {markdown(path)}" for path in captures)
    if document["schema"] == "ipsecanalyze.audit/1" and document["gateways"]:
        yield _gateways(document["gateways"])
    if not document["findings"]:
        yield f"Nothing was found. Looked for: {', '.join(document['checked'])}."
    for finding in document["findings"]:
        yield from _finding(finding, captures)
    if document["limits"]:
        yield "\n".join(f"* Not seen: {markdown(limit)}" for limit in document["limits"])


def _finding(finding: FindingEntry, captures: list[str]) -> Iterator[str]:
    yield f"## {finding['severity'].upper()}: {markdown(finding['title'])}"
    yield markdown(finding["explanation"])
    yield f"**To do:** {markdown(finding['remedy'])}"
    facts = [f"`{finding['slug']}`", markdown(finding["subject"]), finding["certainty"]]
    if finding["frames"]:
        frames = ", ".join(map(str, finding["frames"]))
        facts.append(
            f"frames {frames}" + (f" of {markdown(captures[finding['capture']])}" if len(captures) > 1 else "")
        )
    facts += (markdown(reference) for reference in finding["references"])
    yield " · ".join(facts)


def _gateways(gateways: list[GatewayEntry]) -> str:
    lines = ["| gateway | grade | IKE SAs | findings | worst |", "| --- | --- | ---: | --- | --- |"]
    for gateway in gateways:
        told = ", ".join(f"{count} {severity}" for severity, count in gateway["severities"].items())
        cells = (markdown(gateway["address"]), gateway["grade"], str(gateway["ike_sas"]), told, gateway["worst"] or "")
        lines.append(f"| {' | '.join(cells)} |")
    return f"{plural(len(gateways), 'gateway')}:\n\n" + "\n".join(lines)
