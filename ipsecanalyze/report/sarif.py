"""Findings as SARIF 2.1.0 (OASIS), which code hosts and dashboards of scanners read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

from ipsecanalyze._version import __version__

if TYPE_CHECKING:
    from ipsecanalyze.shapes import AuditDocument, DiagnosisDocument, FindingEntry

__all__ = ["SarifReport"]

_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
#: What code hosts sort by: a number from 0 to 10, as of CVSS.
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}


@dataclass(frozen=True, slots=True)
class SarifReport:
    """Writes a diagnosis or an audit document as SARIF."""

    titles: Mapping[str, str]
    """Slug → what it is in general."""

    def write(self, document: DiagnosisDocument | AuditDocument, stream: TextIO) -> None:
        """Write the log."""
        paths = [capture["path"] for capture in document["captures"]]
        used = list(dict.fromkeys(finding["slug"] for finding in document["findings"]))
        rules = [self._rule(slug, document) for slug in used]
        results = [_result(finding, used, paths) for finding in document["findings"]]
        driver = {
            "name": "ipsecanalyze",
            "version": __version__,
            "informationUri": "https://github.com/ipsecanalyze/ipsecanalyze",
            "rules": rules,
        }
        log = {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}],
        }
        json.dump(log, stream, indent=1, ensure_ascii=True)
        stream.write("\n")

    def _rule(self, slug: str, document: DiagnosisDocument | AuditDocument) -> dict[str, Any]:
        worst = min(
            (_SCORES[finding["severity"]] for finding in document["findings"] if finding["slug"] == slug),
            key=lambda score: -float(score),
        )
        return {
            "id": slug,
            "shortDescription": {"text": self.titles.get(slug, slug)},
            "properties": {"security-severity": worst, "tags": ["security", "ipsec"]},
        }


def _result(finding: FindingEntry, rules: list[str], paths: list[str]) -> dict[str, Any]:
    path = paths[finding["capture"]] if paths else "-"
    # SARIF knows lines and octets of files, not frames: these are named in the message and among the properties.
    location = {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}}}
    frames = ", ".join(map(str, finding["frames"]))
    text = f"{finding['title']}. {finding['explanation']} {finding['remedy']}"
    return {
        "ruleId": finding["slug"],
        "ruleIndex": rules.index(finding["slug"]),
        "level": _LEVELS[finding["severity"]],
        "message": {"text": f"{text} Frames: {frames}." if frames else text},
        "locations": [{**location, "logicalLocations": [{"name": finding["subject"], "kind": "resource"}]}],
        "properties": {key: finding[key] for key in ("severity", "certainty", "subject", "frames", "references")},
    }


def _uri(path: str) -> str:
    """A path as a URI, or as a reference relative to where the command ran (RFC 3986)."""
    octets = path.encode("utf-8", "surrogateescape")
    if path.startswith("/"):
        # Two slashes at the beginning of a reference would make its first folder a host.
        return "file:///" + quote(octets.lstrip(b"/"))
    return quote(octets)
