"""The shipped captures: what must be found is found, what must not is not, and the frames named show what is claimed.

`tests/captures/diagnosis.json` says what each scenario must yield with its keys (made with the captures, by who
injected the faults). docs/findings.md has the table of what is found;
`UPDATE_DOCS=1 pytest tests/findings/test_corpus.py` writes it.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze import Severity
from ipsecanalyze.findings import Finding
from ipsecanalyze.findings.catalog import is_audit, slugs

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests" / "captures"
TRUTH = json.loads((CAPTURES / "diagnosis.json").read_text())
SCENARIOS = sorted(path.parent for path in CAPTURES.glob("*/meta.json"))
#: No fault was injected, and no more may be said ("loose").
HEALTHY = [folder for folder in SCENARIOS if TRUTH[folder.name] == {"diagnosis": []}]

#: There is no COOKIE notify in this capture: the responder did not answer the flood at all.
NOT_IN_THE_PACKETS = {("v2-cookie-a", "cookie-challenge")}

#: What the frames of a finding must hold, by tshark: all of them, or at least one.
EVIDENCE = {
    "no-proposal-chosen": ("all", "isakmp"),
    "invalid-ke-retry": ("any", "isakmp.notify.msgtype == 17"),
    "nat-detected": (
        "any",
        "isakmp.notify.msgtype == 16388 || isakmp.notify.msgtype == 16389 || isakmp.typepayload == 20",
    ),
    "redirected": ("all", "isakmp"),
    "nat-t-blocked": ("all", "isakmp"),
    "dpd-timeout": ("all", "isakmp"),
    "authentication-failed": ("all", "isakmp"),
    "ts-unacceptable": ("all", "isakmp"),
    "esp-one-way": ("all", "esp || isakmp"),
    "duplicate-packets": ("all", "esp || ah"),
    "esp-reordering": ("all", "esp || ah"),
    "truncated-capture": ("all", "frame.cap_len < frame.len"),
    "ikev1-in-use": ("all", "isakmp.version == 0x10"),
    "aggressive-mode-psk": ("all", "isakmp.exchangetype == 4"),
}


def capture_of(folder: Path) -> Path:
    return next(iter(sorted(folder.glob("wan.pcap*"))))


@cache
def findings_of(folder: Path, with_keys: bool) -> list[Finding]:
    """All of them, with the frames that a second look at the packets gives, however large the capture is."""
    analysis = analysis_of(folder, with_keys)
    return [*analysis.diagnose(), *analysis.audit()]


@cache
def analysis_of(folder: Path, with_keys: bool) -> ipsecanalyze.Analysis:
    keys = folder / "keys"
    return ipsecanalyze.analyze(capture_of(folder), keys=[keys] if with_keys and keys.is_dir() else None)


def diagnosed(folder: Path, with_keys: bool) -> list[Finding]:
    return [finding for finding in findings_of(folder, with_keys) if not is_audit(finding.slug)]


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_what_must_be_found_is_found(folder: Path) -> None:
    found = {finding.slug for finding in diagnosed(folder, with_keys=True)}
    wanted = {slug for slug in TRUTH[folder.name]["diagnosis"] if (folder.name, slug) not in NOT_IN_THE_PACKETS}
    assert wanted <= found


@pytest.mark.parametrize("with_keys", [False, True], ids=["without keys", "with keys"])
@pytest.mark.parametrize("folder", HEALTHY, ids=lambda folder: folder.name)
def test_healthy_tunnels_are_left_alone(folder: Path, with_keys: bool) -> None:
    assert not {finding.slug for finding in diagnosed(folder, with_keys) if finding.severity >= Severity.MEDIUM}


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_each_finding_is_complete(folder: Path) -> None:
    analysis = analysis_of(folder, with_keys=True)
    packets = analysis.captures[0].packets
    found = findings_of(folder, with_keys=True)
    assert "rule-failed" not in {notice.slug for notice in analysis.notices}
    for finding in found:
        assert finding.slug in slugs()
        assert finding.title
        assert not finding.title.endswith(".")
        assert finding.explanation.endswith((".", ")", '"'))
        assert finding.remedy.endswith((".", ")", "`", "?"))
        assert list(finding.frames) == sorted(set(finding.frames))
        assert all(1 <= frame <= packets for frame in finding.frames)


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_the_frames_hold_what_is_claimed(folder: Path, tshark_path: str) -> None:
    for finding in findings_of(folder, with_keys=True):
        if finding.slug not in EVIDENCE:
            continue
        how, display_filter = EVIDENCE[finding.slug]
        if folder.name == "v2-tcp-a":  # tshark 4.0 sees nothing in RFC 9329's framing
            continue
        command = [
            tshark_path,
            "-n",
            "-r",
            capture_of(folder),
            "-Y",
            display_filter,
            "-T",
            "fields",
            "-e",
            "frame.number",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        shown = set(map(int, done.stdout.split()))
        named = set(finding.frames)
        assert named, finding.slug
        assert (named <= shown) if how == "all" else (named & shown), (finding.slug, sorted(named - shown))


def test_the_table_in_the_docs() -> None:
    page = ROOT / "docs" / "findings.md"
    before, marked = page.read_text("utf-8").split("<!-- table -->\n")
    after = marked.split("<!-- end table -->")[1]
    text = f"{before}<!-- table -->\n{table()}<!-- end table -->{after}"
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(text, "utf-8")
    assert page.read_text("utf-8") == text


def table() -> str:
    lines = ["| capture | diagnosis | audit (medium and above) |", "| --- | --- | --- |"]
    for folder in SCENARIOS:
        found = findings_of(folder, with_keys=True)
        wrong = dict.fromkeys(f.slug for f in found if not is_audit(f.slug))
        weak = dict.fromkeys(f.slug for f in found if is_audit(f.slug) and f.severity >= Severity.MEDIUM)
        lines.append(f"| {folder.name} | {', '.join(wrong) or '-'} | {', '.join(weak) or '-'} |")
    return "\n".join(lines) + "\n"
