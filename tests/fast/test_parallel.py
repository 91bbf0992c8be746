"""A capture scanned in pieces gives what a single pass gives, whatever is in it and wherever it is cut."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipsecanalyze._fast import make_scanner
from ipsecanalyze._fast.contract import Limits, ScanOptions

_core = pytest.importorskip("ipsecanalyze._fast._core", reason="the C core was not built")

CAPTURES = Path(__file__).parent.parent / "captures"


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pieces be worth a thread that are as small as the shipped captures have."""
    monkeypatch.setattr("ipsecanalyze._fast.parallel.LEAST_PIECE", 2_000)
    monkeypatch.setattr("ipsecanalyze._fast.native.LEAST_PIECE", 2_000)
    monkeypatch.setattr("ipsecanalyze._fast.native.CHUNK", 1_024)
    monkeypatch.setattr("ipsecanalyze._fast.windows.CHUNK", 1_024)


def scanned(path: Path, jobs: int, outcome: Any, limits: Limits | None = None) -> Any:
    scanner = make_scanner(ScanOptions(limits or Limits(), jobs), path="test", core="c")
    found: list[Any] = []
    scanner.scan_file(str(path), found.extend)
    return outcome((scanner, found))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*/*.pcap*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_shipped_captures(path: Path, outcome: Any, tmp_path: Path) -> None:
    octets = path.read_bytes()
    plain = tmp_path / "capture"
    plain.write_bytes(gzip.decompress(octets) if octets[:2] == b"\x1f\x8b" else octets)
    single = scanned(plain, 1, outcome)
    for jobs in (2, 3, 7):
        assert scanned(plain, jobs, outcome) == single


def frames_of(random: Random, count: int) -> list[bytes]:
    """ESP with loss, reordering and jumps; fragments, VLAN stacks, floated IKE, TCP 4500, ICMP errors, noise."""
    sequences = [1, 0xFFFF_FF00, 77]
    held: list[bytes] = []
    frames = []
    for _ in range(count):
        flow = random.randrange(3)
        sequences[flow] += random.choice((1, 1, 1, 1, 1, 2, 0, -3, 5000 if random.random() < 0.02 else 1))
        esp = struct.pack(">II", 0x1000 + flow, sequences[flow] & 0xFFFF_FFFF) + random.randbytes(random.randrange(60))
        kind = random.random()
        if kind < 0.8:
            frames.append(ethernet(ip(50, esp, flow)))
        elif kind < 0.84:
            # In two fragments, the second one later: what completes it is ESP that Python decodes.
            packet = ip(50, esp + bytes(64), flow)
            head, tail = packet[:44], packet[44:]
            identification = random.randrange(65536)
            frames.append(ethernet(refit(packet, head[20:], identification, 0x2000)))
            held.append(ethernet(refit(packet, tail, identification, 3)))
        elif kind < 0.88 and held:
            frames.append(held.pop(0))
        elif kind < 0.9:
            stack = b"".join(struct.pack(">HH", 0x8100, tag) for tag in range(random.randrange(1, 4)))
            frames.append(bytes(12) + stack + b"\x08\x00" + ip(50, esp, flow))
        elif kind < 0.91:
            port = random.choice((4500, 9000, 9001))
            frames.append(ethernet(ip(17, struct.pack(">HHHH", port, 12000, 8 + len(esp), 0) + esp, flow)))
        elif kind < 0.92:
            quoted = ip(50, esp, flow)[:28]
            frames.append(ethernet(ip(1, b"\x03\x03\0\0\0\0\0\0" + quoted, 9)))
        else:
            frames.append(ethernet(ip(6, struct.pack(">HHIIBBHHH", 443, 5000, 1, 1, 0x50, 16, 0, 0, 0), flow)))
    return frames


def ike_frame(port: int) -> bytes:
    """IKE_SA_INIT on a port that says nothing: from here on its conversation is known."""
    body = struct.pack(">QQBBBBII", 0x1122334455667788, 0, 40, 0x20, 34, 8, 0, 28 + 20) + struct.pack(">BBH", 0, 0, 20)
    message = bytes(4) + body + bytes(16)
    return ethernet(ip(17, struct.pack(">HHHH", port, 12000, 8 + len(message), 0) + message, 0))


def ethernet(packet: bytes) -> bytes:
    return bytes(12) + b"\x08\x00" + packet


def ip(protocol: int, payload: bytes, flow: int) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    return head + bytes((10, 0, 0, flow)) + bytes((10, 0, 1, 1)) + payload


def refit(packet: bytes, payload: bytes, identification: int, place: int) -> bytes:
    head = packet[:2] + struct.pack(">HHH", 20 + len(payload), identification, place)
    return head + packet[8:20] + payload


def write(path: Path, frames: list[bytes], random: Random, *, pcapng: bool) -> None:
    out = bytearray()
    time = 1_700_000_000_000_000
    if pcapng:
        out += struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        out += struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
    else:
        out += struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for frame in frames:
        time += random.randrange(-10, 3000)
        if pcapng:
            padded = frame + bytes(-len(frame) % 4)
            length = 32 + len(padded)
            out += struct.pack("<IIIIIII", 6, length, 0, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
            out += padded + struct.pack("<I", length)
            if random.random() < 0.01:
                out += struct.pack("<IIIIII", 5, 24, 0, 0, 0, 24)
        else:
            out += struct.pack("<IIII", time // 1_000_000, time % 1_000_000, len(frame), len(frame)) + frame
    path.write_bytes(out)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("pcapng", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_made_captures(seed: int, pcapng: bool, outcome: Any, tmp_path: Path) -> None:
    random = Random(seed)
    frames = frames_of(random, 3_000)
    if seed % 3 == 0:
        frames.insert(random.randrange(len(frames)), ike_frame(9000))
    path = tmp_path / "capture"
    write(path, frames, random, pcapng=pcapng)
    limits = Limits(flows=4, gaps=8) if seed % 4 == 1 else Limits()
    single = scanned(path, 1, outcome, limits)
    for jobs in (2, 5):
        assert scanned(path, jobs, outcome, limits) == single


@pytest.mark.usefixtures("small_pieces")
def test_pieces_are_adopted(monkeypatch: pytest.MonkeyPatch, outcome: Any, tmp_path: Path) -> None:
    """On an ordinary capture the work done ahead is used, or it would be of no use."""
    adopted: list[int] = []
    from ipsecanalyze._fast import parallel

    adopt = parallel.Adoption.adopt
    again: list[int] = []
    monkeypatch.setattr(
        parallel.Adoption, "adopt", lambda self, piece: (adopted.append(piece.frames), adopt(self, piece))
    )
    monkeypatch.setattr(parallel.Adoption, "_again", lambda *_: again.append(1))
    random = Random(1)
    frames = [ethernet(ip(50, struct.pack(">II", 9, n) + bytes(40), 1)) for n in range(1, 2_000)]
    path = tmp_path / "capture"
    write(path, frames, random, pcapng=False)
    result = scanned(path, 4, outcome)
    assert len(adopted) == 4
    assert sum(adopted) > 1_000
    assert not again
    assert result["facts"]["packets"] == len(frames)


@pytest.mark.usefixtures("small_pieces")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_captures(data: st.DataObject, outcome: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    random = Random(data.draw(st.integers(0, 1 << 16)))
    path = tmp_path_factory.mktemp("damage") / "capture"
    write(path, frames_of(random, 400), random, pcapng=data.draw(st.booleans()))
    octets = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(28, len(octets) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(octets[: data.draw(st.integers(len(octets) // 2, len(octets)))])
    assert scanned(path, 3, outcome) == scanned(path, 1, outcome)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("size", [4_000, 4_500, 5_023, 5_024, 6_000])
@pytest.mark.parametrize("damaged", [False, True])
def test_nothing_to_share(size: int, damaged: bool, outcome: Any, tmp_path: Path) -> None:
    """Large enough for pieces, but not behind what was read first; or no record is found where it would be cut."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, frame in enumerate(frames_of(Random(5), 100)):
        octets += struct.pack("<IIII", 1_700_000_000 + number, 0, len(frame), len(frame)) + frame
    path = tmp_path / "capture"
    path.write_bytes(octets[:1_100].ljust(size, b"\xff") if damaged else octets[:size])
    assert path.stat().st_size == size
    for jobs in (2, 3):
        assert scanned(path, jobs, outcome) == scanned(path, 1, outcome)


@pytest.mark.usefixtures("small_pieces")
def test_what_is_told_has_one_order(outcome: Any, tmp_path: Path) -> None:
    """Odd records and odd packets in turns, and more of them than are kept: the first ones are."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number in range(400):
        frame = bytes(12) + b"\x08\0" + bytes(60)  # no IPv4 header
        octets += struct.pack("<IIII", 1_700_000_000 + number, 0, len(frame), len(frame) - number % 3) + frame
    path = tmp_path / "capture"
    path.write_bytes(octets)
    limits = Limits(notices=250)
    single = scanned(path, 1, outcome, limits)
    for jobs in (2, 3):
        assert scanned(path, jobs, outcome, limits) == single
    slugs = [notice["slug"] for notice in single["facts"]["notices"]]
    assert slugs[:4] == ["malformed-ipv4", "captured-beyond-wire", "malformed-ipv4", "captured-beyond-wire"]
