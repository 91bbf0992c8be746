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
    warnings = list(_warnings(document))
    if warnings:
        yield "\n".join(warnings)


def _warnings(document: DiagnosisDocument | AuditDocument) -> Iterator[str]:
    """Of each kind the first, as a capture may have very many."""
    for capture in document["captures"]:
        first = {warning["slug"]: warning for warning in reversed(capture["warnings"])}
        for slug, count in capture["warning_counts"].items():
            message = f": {markdown(first[slug]['message'])}" if slug in first else ""
            more = f", and {count - 1:,} more" if count > 1 else ""
            yield f"* Warning of {markdown(capture['path'])}: `{slug}`{message}{more}"
    for warning in document["warnings"]:
        yield f"* Warning: `{warning['slug']}`: {markdown(warning['message'])}"


def _finding(finding: FindingEntry, captures: list[str]) -> Iterator[str]:
    yield f"## {finding['severity'].upper()}: {markdown(finding['title'])}"
    yield markdown(finding["explanation"])
    yield f"**To do:** {markdown(finding['remedy'])}"
    facts = [f"`{finding['slug']}`", markdown(finding["subject"]), finding["certainty"]]
    if finding["frames"]:
        frames = ", ".join(map(str, finding["frames"]))
        facts.append(
            f"frame{'s' * (len(finding['frames']) > 1)} {frames}"
            + (f" of {markdown(captures[finding['capture']])}" if len(captures) > 1 else "")
        )
    facts += (markdown(reference) for reference in finding["references"])
    yield " · ".join(facts)


def _gateways(gateways: list[GatewayEntry]) -> str:
    lines = ["| gateway | grade | IKE SAs | findings | worst |", "| --- | --- | ---: | --- | --- |"]
    for gateway in gateways:
        told = ", ".join(f"{count} {severity}" for severity, count in gateway["severities"].items())
        cells = (
            markdown(gateway["address"]),
            gateway["grade"] or "not judged",
            str(gateway["ike_sas"]),
            told,
            gateway["worst"] or "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return f"{plural(len(gateways), 'gateway')}:\n\n" + "\n".join(lines)
