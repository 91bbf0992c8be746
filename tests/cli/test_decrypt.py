"""`ipsecanalyze decrypt`, and --keys of the other commands: what is written, where, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

import ipsecanalyze
from ipsecanalyze.cli import main

SCENARIO = Path(__file__).parents[1] / "captures" / "v2-psk-aescbc-a"
CAPTURE, KEYS = str(SCENARIO / "wan.pcap"), str(SCENARIO / "keys")
ALL = Path(__file__).parents[1] / "captures"


def test_writes_a_capture_and_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "inner.pcapng"
    assert main(["decrypt", CAPTURE, "--keys", KEYS, "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "opened 191 of 191" in text
    assert "inside: 10.1.0.10 → 10.2.0.10 tcp/5001 176, udp/5002 10, icmp 5" in text
    assert "wrote 366 inner packets" in " ".join(text.split())
    assert len(list(ipsecanalyze.open_capture(out))) == 366


@pytest.mark.parametrize("name", ["v2-psk-aescbc-a", "v2-snap96-a", "manual-algos-tunnel-a", "v2-noprop-ike-a"])
def test_json_fulfils_its_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(next((ALL / name).glob("wan.pcap*")))
    assert main(["decrypt", path, "--keys", str(ALL / name / "keys"), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    schema = json.loads(files("ipsecanalyze").joinpath("decrypt.schema.json").read_text("utf-8"))
    for part in (schema, *schema["$defs"].values()):
        part["additionalProperties"] = False
    jsonschema.validate(document, schema)
    assert document["output"] is None


def test_pipes(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ipsecanalyze", "decrypt", "-", "--keys", KEYS, "-o", "-"]
    done = subprocess.run(words, input=Path(CAPTURE).read_bytes(), capture_output=True, check=True)
    assert b"opened 366 of 366" in done.stderr
    path = tmp_path / "inner.pcapng"
    path.write_bytes(done.stdout)
    assert len(list(ipsecanalyze.open_capture(path))) == 366


def test_stdin_with_keys_of_ike(tmp_path: Path) -> None:
    """It is read twice, from a copy."""
    logs = sorted(map(str, (ALL / "v2-chacha-a" / "keys").glob("charon-*")))
    capture = next((ALL / "v2-chacha-a").glob("wan.pcap*")).read_bytes()
    words = [sys.executable, "-m", "ipsecanalyze", "flows", "-", "-f", "json", "--keys", *logs]
    done = subprocess.run(words, input=capture, capture_output=True, check=True)
    document = json.loads(done.stdout)
    assert document["captures"][0]["path"] == "-"
    assert all(flow["opening"]["opened"] == flow["packets"] for flow in document["flows"])


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "inner.pcapng"
    out.write_text("what was there before")
    assert main(["decrypt", str(tmp_path / "none.pcap"), "--keys", KEYS, "-o", str(out)]) == 3
    assert out.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [out]
    assert main(["decrypt", CAPTURE, "--keys", str(tmp_path / "none")]) == 3
    assert main(["flows", CAPTURE, "--keys", str(tmp_path / "none")]) == 3
    assert main(["decrypt", CAPTURE, str(tmp_path / "none.pcap"), "--keys", KEYS, "-o", str(out)]) == 3
    assert len(list(ipsecanalyze.open_capture(out))) == 366
    assert main(["decrypt", CAPTURE, "--keys", KEYS, "-o", CAPTURE]) == 2
    assert main(["decrypt", CAPTURE, "--keys", CAPTURE, "-o", str(out)]) == 0
    text = capsys.readouterr()
    assert "no-key" in text.out
    assert "Traceback" not in text.err


def test_a_key_file_is_not_replaced(tmp_path: Path) -> None:
    keys = tmp_path / "esp_sa"
    keys.write_bytes((SCENARIO / "keys" / "esp_sa").read_bytes())
    assert main(["decrypt", CAPTURE, "--keys", str(keys), "-o", str(keys)]) == 2


@pytest.mark.parametrize("command", ["summarize", "flows"])
def test_other_commands_show_what_was_opened(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, CAPTURE, "--keys", KEYS]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "opened 175 of 175" in text
    assert "10.2.0.10 → 10.1.0.10 tcp/5001" in text


def test_csv_has_a_column_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flows", "--format", "csv", CAPTURE, "--keys", KEYS]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    cells = dict(zip(header.split(","), first.split(","), strict=True))
    assert cells["opening_opened"] == "191"
