"""`ipsecanalyze keys` as users call it."""

from __future__ import annotations

import json
import stat

import pytest

from ipsecanalyze.cli import main

KEY = "ce4f4b8f862c387b20e4f505cfc69cd4"


@pytest.fixture
def keys(captures) -> str:
    return str(captures / "v2-psk-aescbc-a" / "keys")


def test_show_hides_secrets(keys, capsys) -> None:
    assert main(["keys", "show", keys]) == 0
    text = capsys.readouterr().out
    assert "ESP c21a9f0d  192.0.2.1 → 198.51.100.1  AES_CBC 128 bits, HMAC_SHA2_256_128 256 bits" in text
    assert "IKEv2 95fdb71f535797f6 b96f40ed41a432a8" in text
    assert KEY not in text
    assert main(["keys", "show", keys, "--secrets"]) == 0
    assert KEY in capsys.readouterr().out


def test_show_json(keys, capsys) -> None:
    assert main(["keys", "show", keys, "--format", "json"]) == 0
    text = capsys.readouterr().out
    assert {entry["spi"] for entry in json.loads(text)["esp"]} == {"c21a9f0d", "c1cf6862"}
    assert KEY not in text


def test_convert_to_tables(keys, tmp_path, capsys) -> None:
    assert main(["keys", "convert", keys, "--to", "wireshark", "-o", str(tmp_path / "profile")]) == 0
    names = {path.name for path in (tmp_path / "profile").iterdir()}
    assert names == {"esp_sa", "ikev2_decryption_table"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (tmp_path / "profile").iterdir())
    assert "not converted: pre-shared keys (1)" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["json", "tcpdump"])
def test_convert_to_a_file(keys, tmp_path, to) -> None:
    target = tmp_path / "out"
    assert main(["keys", "convert", keys, "--to", to, "-o", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert main(["keys", "show", str(target)]) == 0


def test_convert_into_a_capture(keys, captures, tmp_path, capsys) -> None:
    target = str(tmp_path / "out.pcapng")
    capture = str(captures / "v2-psk-aescbc-a" / "wan.pcap")
    assert main(["keys", "convert", keys, "--to", "pcapng", "--capture", capture, "-o", target]) == 0
    capsys.readouterr()
    assert main(["keys", "show", target]) == 0
    assert "c21a9f0d" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "no-such-file"], 3),
        (["show"], 2),
        (["convert", "x", "--to", "wireshark"], 2),
        (["convert", "x", "--to", "pcapng", "-o", "y"], 2),
        (["convert", "x", "--to", "json", "--capture", "z"], 2),
    ],
)
def test_errors_are_one_line(words, code, capsys) -> None:
    assert main(["keys", *words]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_broken_lines_are_told_without_their_keys(tmp_path, capsys) -> None:
    path = tmp_path / "esp_sa"
    path.write_text(f'"IPv4","*","*","0x1","AES-CBC","0x{KEY}00","NULL",""\n')
    assert main(["keys", "show", str(path)]) == 0
    streams = capsys.readouterr()
    assert "esp_sa:1: " in streams.err
    assert KEY not in streams.err + streams.out


def test_derive_from_sk_d(captures, tmp_path, capsys) -> None:
    """What the kernel had installed comes out of the IKE SA's keys alone (no Child SA of this one has PFS)."""
    folder = captures / "v2-rekey-nopfs-a"
    ike_only = json.loads(_converted(folder / "keys" / "charon-moon.log.gz", capsys))
    del ike_only["esp"]
    ike_only.pop("shared_secrets", None)
    given = tmp_path / "ike.json"
    given.write_text(json.dumps(ike_only))
    assert main(["keys", "derive", str(folder / "wan.pcap.gz"), "--keys", str(given), "--to", "json"]) == 0
    derived = {entry["spi"]: entry["encryption_key"] for entry in json.loads(capsys.readouterr().out)["esp"]}
    installed = json.loads((folder / "keys" / "sas.json").read_text())
    # Those of the IKE SA that replaced the first one need the result of its key exchange.
    assert len(derived) >= 6
    for row in installed:
        if row["spi"][2:] in derived:
            assert row["aead_key"][2:].startswith(derived[row["spi"][2:]])


@pytest.mark.parametrize(("capture", "code"), [("missing.pcap", 3), ("keys.json", 3), ("folder", 3), ("-", 2)])
def test_derive_says_which_captures_it_cannot_read(tmp_path, monkeypatch, capsys, capture, code) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "keys.json").write_text('{"schema": "ipsecanalyze.keys/1", "psks": [{"value": "00"}]}')
    assert main(["keys", "derive", capture, "--keys", "keys.json"]) == code
    assert f"{capture}: " in capsys.readouterr().err


def _converted(path, capsys) -> str:
    assert main(["keys", "convert", str(path), "--to", "json"]) == 0
    return capsys.readouterr().out
