"""A capture that several processes open gives the octets of one, or is left to one."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ipsecanalyze._fast import IMPLEMENTATION
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.writer import write_capture
from ipsecanalyze.errors import CaptureError, IpsecAnalyzeError
from ipsecanalyze.keys import KeyRing
from ipsecanalyze.opening.export import write_inner

sys.path.insert(0, str(Path(__file__).parent))
from esp_made import MOON, SUN, Cbc, Gcm, frames, inner, ipv4, udp

pytestmark = pytest.mark.skipif(IMPLEMENTATION != "c", reason="only the C core's scans are shared")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Cut small files too; says for each whether that was of use."""
    from ipsecanalyze.opening import parallel

    monkeypatch.setattr(parallel, "LEAST", 1)
    monkeypatch.setattr(parallel, "PIECE", 16 << 10)
    monkeypatch.setattr(parallel, "PER_KEY", 0)
    used: list[bool] = []
    usual = parallel.open_pieces

    def note(*words: Any) -> bool:
        used.append(usual(*words))
        return used[-1]

    monkeypatch.setattr(parallel, "open_pieces", note)
    return used


def write(path: Path, packets: list[Packet]) -> Path:
    for number, packet in enumerate(packets, 1):
        packet.number, packet.time_ns = number, 1_700_000_000_000_000_000 + number * 1_000
    write_capture(path, packets, format="pcap")
    return path


def run(path: Path, ring: KeyRing, jobs: int) -> tuple[bytes, dict[Any, Any], int]:
    out = io.BytesIO()
    opening, packets = write_inner([path], ring, out, jobs=jobs)
    return out.getvalue(), {key: asdict(value) for key, value in opening.results().items()}, packets


def test_pieces_give_the_same(tmp_path: Path, small_pieces: list[bool]) -> None:
    sas: list[Gcm | Cbc] = [Gcm(0x1000), Cbc(0x2000), Gcm(0x3000, bytes(16))]
    payloads = [sas[number % 3].protect(inner(number, 200 + number % 50)) for number in range(900)]
    path = write(tmp_path / "a.pcap", frames(payloads))
    ring = KeyRing([sa.keys for sa in sas[:2]])  # none for the third
    assert run(path, ring, 3) == run(path, ring, 1)
    assert small_pieces == [True]


@pytest.mark.parametrize("what", ["forged", "extended", "two keys", "fragments"])
def test_what_needs_the_whole_is_done_alone(tmp_path: Path, small_pieces: list[bool], what: str) -> None:
    sa = Gcm(extended=what == "extended")
    payloads = [sa.protect(inner(number, 200)) for number in range(400)]
    keys = [sa.keys]
    if what == "forged":
        payloads[:2] = [sa.spi.to_bytes(4) + bytes(80)] * 2
    if what == "two keys":
        other = Gcm(key=bytes(16))
        payloads[200:] = [other.protect(inner(number, 200)) for number in range(200)]
        keys.append(other.keys)
    packets = frames(payloads)
    if what == "fragments":
        first = bytearray(packets[7].data[:84])
        first[2:4], first[6:8] = (84).to_bytes(2), b"\x20\0"
        packets[7] = replace(packets[7], data=bytes(first), wire_length=84)
    path = write(tmp_path / "a.pcap", packets)
    assert run(path, KeyRing(keys), 3) == run(path, KeyRing(keys), 1)
    assert small_pieces == [False]


def in_tcp(stream: bytes) -> list[bytes]:
    """A connection to port 4500 that begins as RFC 9329 says, as IP packets that are no messages."""
    packets, sequence = [], 1_000
    parts = [b"", b"IKETCP", *(stream[at : at + 777] for at in range(0, len(stream), 777))]
    for number, part in enumerate(parts):
        head = (40_000).to_bytes(2) + (4_500).to_bytes(2) + sequence.to_bytes(4) + (1).to_bytes(4)
        head += b"\x50" + (b"\x18" if number else b"\2") + b"\xff\xff" + bytes(4)
        packets.append(ipv4(MOON, SUN, 6, head + part))
        sequence += len(part) + (not number)
    return packets


@pytest.mark.parametrize("what", ["TCP", "UDP"])
def test_what_is_followed_on_port_4500_is_done_alone(tmp_path: Path, small_pieces: list[bool], what: str) -> None:
    """A stream, or ESP that is told by the IKE before it: the pieces behind know nothing of these."""
    sa = Gcm()
    payloads = [sa.protect(inner(number, 200)) for number in range(400)]
    if what == "TCP":
        data = in_tcp(b"".join((2 + len(payload)).to_bytes(2) + payload for payload in payloads))
    else:
        ike = bytes(range(1, 9)) + bytes(8) + bytes((33, 0x20, 34, 8)) + bytes(4) + (68).to_bytes(4)
        ike += (40).to_bytes(4) + bytes(36)
        # Port 443: nothing but what looks like IKE is believed to be IPsec.
        messages = [bytes(4) + ike, *payloads]
        data = [ipv4(MOON, SUN, 17, (443).to_bytes(2) + udp(4_500, one)[2:]) for one in messages]
    path = write(tmp_path / "a.pcap", [Packet(0, 101, one, len(one), 0) for one in data])
    found = run(path, KeyRing([sa.keys]), 3)
    assert found == run(path, KeyRing([sa.keys]), 1)
    assert found[2] == 400
    assert small_pieces == [False]


class Pipe(io.BytesIO):
    """What cannot be written again."""

    def tell(self) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("stream", [io.BytesIO, Pipe])
@pytest.mark.parametrize("late", [False, True])
def test_what_was_written_is_taken_back(
    tmp_path: Path, small_pieces: list[bool], stream: type[io.BytesIO], late: bool
) -> None:
    """One forged packet at the end is none of the pieces' business; one at the beginning of the last piece is."""
    sa = Gcm()
    payloads = [sa.protect(inner(number, 200)) for number in range(900)]
    if late:
        payloads += [sa.spi.to_bytes(4) + bytes(80)] * 300
    path = write(tmp_path / "a.pcap", frames(payloads))
    out = stream()
    before = b"what was there"
    out.write(before)
    opening, packets = write_inner([path, path], KeyRing([sa.keys]), out, jobs=2)
    assert small_pieces[:1] == [not late]
    alone = io.BytesIO()
    opening_alone, _ = write_inner([path, path], KeyRing([sa.keys]), alone)
    assert out.getvalue() == before + alone.getvalue()
    assert packets == 1800
    assert opening.results() == opening_alone.results()


def test_many_conversations(tmp_path: Path, small_pieces: list[bool]) -> None:
    """More than a flow's table holds: those that come first are in it, however the file is cut."""
    sa = Gcm()
    payloads = [sa.protect(ipv4("10.1.0.10", "10.2.0.10", 17, udp(number % 700, bytes(40)))) for number in range(1500)]
    path = write(tmp_path / "a.pcap", frames(payloads))
    ring = KeyRing([sa.keys])
    assert run(path, ring, 2) == run(path, ring, 1)
    assert small_pieces == [True]
    (result,) = run(path, ring, 2)[1].values()
    assert result["conversations_dropped"] > 1000


def test_a_worker_that_is_gone(tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    from ipsecanalyze.opening import parallel

    sa = Gcm()
    path = write(tmp_path / "a.pcap", frames([sa.protect(inner(number, 200)) for number in range(300)]))
    monkeypatch.setattr(parallel, "_SERVE", "raise SystemExit(3)")
    assert run(path, KeyRing([sa.keys]), 2) == run(path, KeyRing([sa.keys]), 1)
    assert small_pieces == [False]


def test_a_record_that_is_cut_off(tmp_path: Path, small_pieces: list[bool]) -> None:
    sa = Gcm()
    path = write(tmp_path / "a.pcap", frames([sa.protect(inner(number, 200)) for number in range(300)]))
    path.write_bytes(path.read_bytes()[:-5])
    assert run(path, KeyRing([sa.keys]), 2) == run(path, KeyRing([sa.keys]), 1)
    assert small_pieces == [False]


def test_pieces_that_become_too_large(
    tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ipsecanalyze.opening import parallel

    sa = Gcm()
    path = write(tmp_path / "a.pcap", frames([sa.protect(inner(number, 200)) for number in range(300)]))
    monkeypatch.setattr(parallel, "_INFLATED", 0)
    monkeypatch.setattr(parallel, "_WINDOW", 9_000)
    assert run(path, KeyRing([sa.keys]), 2) == run(path, KeyRing([sa.keys]), 1)
    assert small_pieces == [False]


def esp(path: Path, packets: int = 300) -> tuple[Path, KeyRing]:
    sa = Gcm()
    return write(path, frames([sa.protect(inner(number, 200)) for number in range(packets)])), KeyRing([sa.keys])


def test_a_worker_that_takes_nothing(tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be sent to it cannot be sent either when its pipe is closed."""
    from ipsecanalyze.opening import parallel

    path, ring = esp(tmp_path / "a.pcap")
    more = KeyRing([*ring.esp, *(Gcm(spi=0x10000 + number).keys for number in range(3_000))])
    monkeypatch.setattr(parallel, "_SERVE", "import os; os.close(0); import time; time.sleep(30)")
    assert run(path, more, 2) == run(path, more, 1)
    assert small_pieces == [False]


@pytest.mark.parametrize("what", ["_start", "_slot", "_copy", "tempfile.TemporaryFile"])
def test_what_the_system_refuses(
    tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """No process, no memory, no room for what goes into a pipe: one process needs none of these."""
    from ipsecanalyze.opening import parallel

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path, ring = esp(tmp_path / "a.pcap")
    monkeypatch.setattr(f"{parallel.__name__}.{what}", refuse)
    out = Pipe()
    write_inner([path], ring, out, jobs=2)
    assert out.getvalue() == run(path, ring, 1)[0]
    assert small_pieces == [False]


def test_a_result_that_cannot_be_written(tmp_path: Path, small_pieces: list[bool]) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > 20_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    path, ring = esp(tmp_path / "a.pcap")
    with pytest.raises(OSError, match="No space"):
        write_inner([path], ring, Full(), jobs=2)
    assert small_pieces == []


def test_files_that_cannot_be_read(
    tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are told as by one process, the other files are read, and workers keep silent."""
    from ipsecanalyze.opening import parallel

    path, ring = esp(tmp_path / "a.pcap")
    usual = parallel._suits

    def gone(name: str, ring: KeyRing) -> bool:
        fits = usual(name, ring)
        if name.endswith("b.pcap"):
            Path(name).unlink()
        return fits

    monkeypatch.setattr(parallel, "_suits", gone)
    (tmp_path / "b.pcap").write_bytes(path.read_bytes())
    errors: list[IpsecAnalyzeError] = []
    _, packets = write_inner([tmp_path / "b.pcap", path], ring, io.BytesIO(), jobs=2, errors=errors)
    assert [type(error) for error in errors] == [CaptureError]
    assert packets == 300
    assert small_pieces == [False, True]
    monkeypatch.setattr("builtins.open", lambda *_, **__: (_ for _ in ()).throw(PermissionError()))
    assert not usual(str(path), ring)
    assert capfd.readouterr() == ("", "")


def test_modules_of_the_folder_are_not_loaded(
    tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Captures may lie in a folder of strangers' files."""
    path, ring = esp(tmp_path / "a.pcap")
    for name in ("pickle.py", "mmap.py", "ipsecanalyze.py", "typing.py"):
        (tmp_path / name).write_text("raise SystemExit('loaded')")
    monkeypatch.chdir(tmp_path)
    assert run(path, ring, 2) == run(path, ring, 1)
    assert small_pieces == [True]
    assert capfd.readouterr() == ("", "")


def test_no_more_workers_than_pieces(tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    from ipsecanalyze.opening import parallel

    started = 0
    usual = parallel._start

    def start(*words: Any) -> Any:
        nonlocal started
        started += 1
        return usual(*words)

    monkeypatch.setattr(parallel, "_start", start)
    path, ring = esp(tmp_path / "a.pcap", 100)
    assert run(path, ring, 64) == run(path, ring, 1)
    assert small_pieces == [True]
    assert started == -(-path.stat().st_size // (16 << 10)) == 2


def test_ctrl_c_is_not_for_workers(tmp_path: Path, small_pieces: list[bool]) -> None:
    """They are in a group of their own, and end when the first process says so."""
    from ipsecanalyze.opening import parallel

    with parallel._workers(1, 0) as ((worker, _),):
        assert os.getpgid(worker.pid) == worker.pid
    assert worker.returncode == -signal.SIGKILL


class Unbuffered(io.RawIOBase):
    """Takes a part of what it is given, as a pipe whose reader goes away does; nothing behind `most` octets."""

    def __init__(self, most: int | None = None) -> None:
        self.octets = bytearray()
        self.most = most

    def write(self, data: Any) -> int | None:
        if self.most is not None and len(self.octets) >= self.most:
            return None
        part = bytes(data[:1_000])
        self.octets += part
        return len(part)


@pytest.mark.parametrize("jobs", [1, 2])
def test_streams_without_a_buffer(tmp_path: Path, small_pieces: list[bool], jobs: int) -> None:
    path, ring = esp(tmp_path / "a.pcap")
    out = Unbuffered()
    write_inner([path], ring, out, jobs=jobs)
    assert bytes(out.octets) == run(path, ring, 1)[0]
    with pytest.raises(BlockingIOError):
        write_inner([path], ring, Unbuffered(20_000), jobs=jobs)


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("frozen", True)])
def test_no_interpreter_to_start(
    tmp_path: Path, small_pieces: list[bool], monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Python inside of another program: what stands in `sys.executable` may be that program."""
    monkeypatch.setattr(sys, name, value, raising=False)
    path, ring = esp(tmp_path / "a.pcap")
    assert run(path, ring, 2) == run(path, ring, 1)
    assert small_pieces == [False]
