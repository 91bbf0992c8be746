"""`diagnose` and `audit` on the command line: SARIF, folders with all kinds of files, second looks that cannot be."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from ipsecanalyze.cli import main

BAD_NAME = "a|b<img src=x>:\x1b[31m.pcap"


@pytest.fixture
def capture(captures: Path) -> Path:
    return captures / "v2-noprop-ike-a" / "wan.pcap.gz"


def sarif_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main([*words, "--format", "sarif"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
    return run


def test_sarif_names_files_by_uri(
    tmp_path: Path, capture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(capture, BAD_NAME)
    for path, uri in (
        (BAD_NAME, "a%7Cb%3Cimg%20src%3Dx%3E%3A%1B%5B31m.pcap"),
        (f"/{capture}", f"file://{capture}"),
    ):
        run = sarif_of(capsys, "diagnose", path)
        uris = {
            location["physicalLocation"]["artifactLocation"]["uri"]
            for result in run["results"]
            for location in result["locations"]
        }
        assert uris == {uri}


def test_a_folder_of_all_kinds(tmp_path: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(capture, folder / "sub" / BAD_NAME)
    (folder / "note.txt").write_text("no capture")
    (folder / "empty.pcap").touch()
    (folder / "gone").symlink_to("nowhere")
    (folder / "round").symlink_to("..")
    assert main(["audit", "-q", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "a|b<img" in text
    assert main(["audit", "-q", "--format", "markdown", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "<img" not in text
    assert "\x1b" not in text


def test_standard_input_is_not_looked_at_again(
    captures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = (captures / "v2-loss-a" / "wan.pcap.gz").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    assert main(["diagnose", "-q", "--format", "json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert any("second time" in limit for limit in document["limits"])


def test_exit_codes(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = [main(["diagnose", "-q", "--fail-on", severity, str(capture)]) for severity in ("info", "high", "critical")]
    assert codes == [1, 1, 0]
    assert main(["diagnose", "--explain", "\x1b[31mno"]) == 2
    assert "\x1b" not in capsys.readouterr().err
