"""`ipsecanalyze lab` where it needs no engine: what it lists, what it refuses, and what it says."""

from __future__ import annotations

import json

import pytest

from ipsecanalyze.cli import main
from ipsecanalyze.lab import LabError, scenario_names
from ipsecanalyze.lab import engine as engine_module


@pytest.fixture
def no_engine(monkeypatch) -> None:
    def fail() -> None:
        raise LabError("Docker does not answer; is it running?\x1b[2J", slug="engine")

    monkeypatch.setattr(engine_module, "connect", fail)


def test_list(capsys) -> None:
    assert main(["lab", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == scenario_names()
    assert sum("[kernel]" in line for line in lines) == 3
    assert main(["lab", "list", "--format", "json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == scenario_names()


@pytest.mark.parametrize(
    "words",
    [["run", "ikev2-psk"], ["up", "ikev2-psk"], ["status"], ["capture", "moon"], ["keys"], ["down"], ["gc"], ["image"]],
)
def test_without_an_engine(no_engine, capsys, words: list[str]) -> None:
    assert main(["lab", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ipsecanalyze: Docker does not answer")
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run"], "say which scenarios"),
        (["run", "ikev2-psk", "--method", "host"], "nsenter or sidecar"),
        (["up", "nowhere"], "no scenario 'nowhere'"),
        (["up"], "Missing argument"),
    ],
)
def test_refusals(monkeypatch, capsys, words: list[str], text: str) -> None:
    monkeypatch.setattr(engine_module, "connect", lambda: None)
    assert main(["lab", *words]) == 2
    assert text in capsys.readouterr().err


def test_doctor_tells_what_is_missing(no_engine, monkeypatch, capsys) -> None:
    from ipsecanalyze.lab import doctor

    monkeypatch.setattr(doctor, "connect", engine_module.connect)
    assert main(["lab", "doctor"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("NO  docker")
    assert "\x1b" not in "".join(lines)
