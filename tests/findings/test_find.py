"""What is made of the findings of all rules: order, bounds, rules that fail; and the words in their sentences."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze.documents import diagnosis_document
from ipsecanalyze.findings import Certainty, Defect, Finding, Severity, find
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.rule import Rule
from ipsecanalyze.findings.words import share, span
from ipsecanalyze.report.findings import DiagnosisText
from ipsecanalyze.report.findings_markdown import FindingsMarkdown

from .surgery import MS, analyzed, esp

LOW = Finding("esp-loss", Severity.LOW, Certainty.OBSERVED, "ESP 1", "some", "why.", "do.", (1,))


def test_the_worst_of_many_are_kept() -> None:
    many = [replace(LOW, subject=str(number)) for number in range(300)]
    worst = replace(LOW, severity=Severity.HIGH, subject="last")
    kept = find.in_order([*many, worst])
    assert kept[0] == worst
    assert len(kept) == find.MOST_PER_SLUG + 1
    assert (kept[-1].subject, kept[-1].severity) == ("201 more", Severity.LOW)


def test_as_many_as_are_told_are_told_without_more() -> None:
    assert len(find.in_order([LOW] * find.MOST_PER_SLUG)) == find.MOST_PER_SLUG


def test_a_rule_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_case: Case) -> Iterator[Finding]:
        yield LOW
        raise ValueError("so it is")

    monkeypatch.setattr(find, "DIAGNOSIS", (Rule(fails, ("path-mtu",)), *find.DIAGNOSIS))
    analysis = analyzed(tmp_path, [esp(n, n * MS) for n in range(1, 101) if n % 10])
    for _ in range(2):
        assert "esp-loss" in {finding.slug for finding in analysis.diagnose()}
    (notice,) = analysis.notices
    assert notice.slug == "rule-failed"
    assert "path-mtu" in notice.message
    for report in (DiagnosisText(), FindingsMarkdown()):
        stream = io.StringIO()
        report.write(diagnosis_document(analysis, []), stream)
        assert "path-mtu: looking for it failed" in stream.getvalue().replace("\\", "")


def test_why_something_is_less_than_certain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "DIAGNOSIS", (Rule(lambda _: [LOW], ("esp-loss",), frozenset(Defect)),))
    case = analyzed(tmp_path, [esp(n, n * MS) for n in range(5000, 5020)]).case()
    case.defects = {0: frozenset({Defect.STARTED_LATE, Defect.ONE_SIDED})}
    (finding,) = find.diagnose(case)
    assert finding.certainty is Certainty.INFERRED
    assert finding.explanation.endswith("because only one direction was captured and the capture began in the middle.")


def test_damage_of_a_capture_is_told(tmp_path: Path) -> None:
    path = tmp_path / "whole.pcapng"
    ipsecanalyze.write_capture(path, [esp(n, n * MS) for n in range(1, 21)])
    path.write_bytes(path.read_bytes()[:-30])
    analysis = ipsecanalyze.analyze(path)
    for report in (DiagnosisText(), FindingsMarkdown()):
        stream = io.StringIO()
        report.write(diagnosis_document(analysis, []), stream)
        assert "truncated-file" in stream.getvalue()


def test_an_empty_capture_is_not_called_sound(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcapng"
    ipsecanalyze.write_capture(path, [])
    analysis = ipsecanalyze.analyze(path)
    assert any("no packet" in limit for limit in diagnosis_document(analysis, analysis.diagnose())["limits"])


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (350_000, "350 µs"),
        (999_600, "1 ms"),
        (999_600_000, "1 s"),
        (7_680_000_000, "7.68 s"),
        (119_960_000_000, "2 min"),
        (7_000_000_000_000, "1.94 h"),
        (4_442_400_000_000_000, "1,234 h"),
        (0, "0 µs"),
    ],
)
def test_spans(nanoseconds: int, text: str) -> None:
    assert span(nanoseconds) == text


def test_shares() -> None:
    assert share(1, 10**9) == "less than 0.0001 %"
    assert share(1, 5000) == "0.02 %"
    assert share(31, 1000) == "3.1 %"
