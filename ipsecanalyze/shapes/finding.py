"""The shapes of findings: what `summarize`, `diagnose` and `audit` say. See the package for the rules."""

from __future__ import annotations

from typing import Literal, TypedDict

from ipsecanalyze.shapes.capture import CaptureEntry
from ipsecanalyze.shapes.common import Count, WarningEntry

__all__ = ["AuditDocument", "DiagnosisDocument", "FindingEntry", "GatewayEntry", "ProfileEntry"]


class FindingEntry(TypedDict):
    """Something that is wrong or weak."""

    slug: str
    """Its name in the catalogue (docs/findings.md)."""
    topic: Literal["diagnosis", "audit"]
    """Whether it says what does not work, or what is weak."""
    severity: Literal["info", "low", "medium", "high", "critical"]
    """How bad it is."""
    certainty: Literal["observed", "inferred"]
    """Read off the packets, or concluded."""
    subject: str
    """What it is about."""
    capture: Count
    """The index in `captures` of the file that the frames are of."""
    frames: list[int]
    """The frames that it rests on (the first ones of many)."""
    title: str
    """In a line."""
    explanation: str
    """What happened and why it matters."""
    remedy: str
    """What to do."""
    references: list[str]
    """Where it is written."""


class DiagnosisDocument(TypedDict):
    """What `diagnose --format json` prints."""

    schema: Literal["ipsecanalyze.diagnosis/1"]
    """The version of this document."""
    captures: list[CaptureEntry]
    """The files that were read."""
    checked: list[str]
    """The slugs of all that was looked for."""
    limits: list[str]
    """What could not be looked at, and what would help."""
    findings: list[FindingEntry]
    """What does not work, worst first."""
    warnings: list[WarningEntry]
    """What the analysis itself has to say."""


class ProfileEntry(TypedDict):
    """The standard that was judged by."""

    name: str
    """As `--profile` takes it."""
    title: str
    """What it is called."""
    date: str
    """The edition that the profile follows."""


class GatewayEntry(TypedDict):
    """An address that negotiated IKE SAs, or sent ESP or AH."""

    address: str
    """The address."""
    captures: list[str]
    """The files that it is in."""
    ike_sas: Count
    """IKE SAs and attempts that it took part in."""
    grade: Literal["A", "B", "C", "D", "E", "F"] | None
    """The verdict in a letter (docs/findings.md); null where there is nothing to judge by: ESP without IKE and keys."""
    severities: dict[str, int]
    """Findings about its SAs by severity."""
    worst: str | None
    """The slug of the worst of them."""


class AuditDocument(TypedDict):
    """What `audit --format json` prints."""

    schema: Literal["ipsecanalyze.audit/1"]
    """The version of this document."""
    profile: list[ProfileEntry]
    """The standard that was judged by (one entry)."""
    captures: list[CaptureEntry]
    """The files that were read."""
    checked: list[str]
    """The slugs of all that was looked for."""
    limits: list[str]
    """What could not be looked at, and what would help."""
    gateways: list[GatewayEntry]
    """By address."""
    findings: list[FindingEntry]
    """What is weak, worst first."""
    warnings: list[WarningEntry]
    """What the analysis itself has to say."""
