"""The command as its users run it: results, exit codes, and one line for every error."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import dpkt
import jsonschema
import pytest

import ipsecanalyze.analysis
from ipsecanalyze.cli import main

SCENARIO = "v2-psk-aescbc-a/wan.pcap"


@pytest.fixture
def capture(captures: Path) -> str:
    return str(next((captures / "v2-psk-aescbc-a").glob("wan.pcap*")))


@pytest.mark.parametrize("command", ["summarize", "messages", "flows"])
def test_text(command: str, capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, capture]) == 0
    out, err = capsys.readouterr()
    # By meta.json of the scenario.
    assert "198.51.100.1" in out
    assert ("c21a9f0d" in out) is (command != "messages")
    assert not err


@pytest.mark.parametrize("command", ["summarize", "messages", "flows"])
def test_json_fulfils_its_schema(command: str, capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--format", "json", capture]) == 0
    document = json.loads(capsys.readouterr().out)
    kind = document["schema"].removeprefix("ipsecanalyze.").removesuffix("/1")
    schema = json.loads(files("ipsecanalyze").joinpath(f"{kind}.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)


def test_messages_of_one_sa_with_all_fields(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "-v", "--sa", "ike-1", capture]) == 0
    out = capsys.readouterr().out
    assert "ENCR_AES_CBC" in out
    assert "IKE_AUTH [1] response" in out


def test_flows_sorted_and_cut(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flows", "--sort", "packets", "--top", "1", "-f", "csv", capture]) == 0
    [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    # By expected.json of the scenario.
    assert (row["spi"], row["packets"], row["lost"]) == ("c21a9f0d", "191", "0")


def test_many_flows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # One SPI per packet; of the third packet's SPI there are two.
    frames = [ethernet(esp(spi, number)) for spi, number in ((1000, 1), (1001, 1), (1002, 1), (1002, 5))] + [
        ethernet(esp(2000 + number, 1)) for number in range(300)
    ]
    path = tmp_path / "many.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for number, frame in enumerate(frames):
            writer.writepkt(frame, ts=1_700_000_000 + number)
    for words, shown in (([], 200), (["--all"], 303), (["--top", "250"], 250), (["-f", "csv"], 304)):
        assert main(["flows", *words, str(path)]) == 0
        out = capsys.readouterr().out
        assert len([line for line in out.splitlines() if "ESP" in line or line.startswith("protocol,")]) == shown
        assert ("and 103 more flows" in out) is (not words)
    assert main(["flows", "-f", "json", "--sort", "lost", "--top", "2", str(path)]) == 0
    flows = json.loads(capsys.readouterr().out)["flows"]
    assert [(flow["spi"], flow["lost"]) for flow in flows] == [("000003ea", 3), ("000003e8", 0)]


def esp(spi: int, sequence: int) -> bytes:
    return struct.pack(">II", spi, sequence) + bytes(40)


def ethernet(payload: bytes) -> bytes:
    """Ethernet and IPv4, made by dpkt."""
    packet = dpkt.ip.IP(p=50, src=bytes((10, 0, 0, 1)), dst=bytes((10, 0, 0, 2)), data=payload)
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(data=packet, type=0x0800))


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_other_formats(form: str, capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summarize", "--format", form, capture]) == 0
    assert "95fdb71f535797f6" in capsys.readouterr().out


def test_standard_input(capture: str) -> None:
    with Path(capture).open("rb") as stream:
        done = subprocess.run([sys.executable, "-m", "ipsecanalyze", "flows", "-"], stdin=stream, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"c21a9f0d" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["summarize"], 2, "Missing argument"),
        (["summarize", "--nonsense", "x"], 2, "No such option"),
        (["nonsense"], 2, "No such command"),
        (["summarize", "--format", "xml", "x"], 2, "'xml'"),
        (["summarize", "-", "-"], 2, "only once"),
        (["summarize", "/nonexistent/a.pcap"], 3, "/nonexistent/a.pcap"),
        (["summarize", "/nonexistent/\x1b[31m.pcap"], 3, r"\x1b[31m"),
        (["flows", os.devnull], 3, os.devnull),
        (["messages", os.curdir], 3, os.curdir),
    ],
)
def test_errors_are_one_line(words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == code
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("ipsecanalyze: ")
    assert err.count("\n") == 1
    assert told in err


def test_an_unreadable_capture_does_not_stop_the_others(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summarize", "/nonexistent", capture, "/absent"]) == 3
    out, err = capsys.readouterr()
    assert "c21a9f0d" in out
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["/nonexistent", "/absent"]


def test_unknown_sa(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "--sa", "ike-99", capture]) == 2
    assert "'ike-99'" in capsys.readouterr().err


def test_no_words_give_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: ipsecanalyze" in capsys.readouterr().out


def test_interrupted(capture: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ipsecanalyze.analysis, "analyze", interrupt)
    assert main(["summarize", capture]) == 130
    assert capsys.readouterr().err == "ipsecanalyze: interrupted\n"


def test_an_interrupted_pipe_gives_its_result(capture: str) -> None:
    """As a terminal does it: tcpdump and the command get Ctrl-C, tcpdump ends, the result is wanted."""
    command = [sys.executable, "-m", "ipsecanalyze", "flows", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # More than the pipe and its reader's buffers hold: when all is written, reading has begun.
        process.stdin.write(Path(capture).read_bytes())
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == b"ipsecanalyze: waiting for the input to end; interrupt again to give up\n"
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert b"c21a9f0d" in out


@pytest.mark.parametrize("words", [["messages", "-f", "json"], ["messages", "-v"], ["summarize"], ["flows"]])
def test_broken_pipe_is_quiet(words: list[str], capture: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ipsecanalyze", *words, capture]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("redirections", "code", "told"),
    [
        ("<&- 2>&1", 0, "c21a9f0d"),
        ("- <&- 2>&1", 2, "ipsecanalyze: standard input is closed\n"),
        (">&-", 2, "ipsecanalyze: standard output is closed\n"),
        ("-o /dev/null >&-", 0, ""),
        ("2>&-", 0, "c21a9f0d"),
        ("/nonexistent 2>&-", 3, "c21a9f0d"),
    ],
)
def test_closed_streams(redirections: str, code: int, told: str, capture: str) -> None:
    shell = f'"$0" -m ipsecanalyze flows "$1" {redirections}'
    done = subprocess.run(["sh", "-c", shell, sys.executable, capture], capture_output=True, text=True)
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    assert told in (done.stdout or done.stderr)


@pytest.mark.parametrize("command", ["summarize", "messages", "flows"])
def test_no_capture_is_replaced_by_the_result(
    command: str, capture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.pcap"
    own.write_bytes(Path(capture).read_bytes())
    (tmp_path / "link.pcap").symlink_to(own)
    assert main([command, capture, str(own), "-o", str(tmp_path / "link.pcap")]) == 2
    assert "is one of the captures" in capsys.readouterr().err
    assert own.read_bytes() == Path(capture).read_bytes()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_without_unicode(encoding: str, capture: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for words in (["summarize"], ["messages", "-v"], ["flows"], ["summarize", "-f", "html"]):
        command = [sys.executable, "-m", "ipsecanalyze", *words, capture]
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode(encoding)


def test_completion_script() -> None:
    environment = {**os.environ, "_IPSECANALYZE_COMPLETE": "bash_source"}
    done = subprocess.run([sys.executable, "-m", "ipsecanalyze"], capture_output=True, env=environment)
    assert b"_IPSECANALYZE_COMPLETE=bash_complete" in done.stdout
