"""Real captures: each one that is whole opens, with each source of keys, to the packets of its clear-text side."""

from __future__ import annotations

import hashlib
import io
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dpkt
import pytest

import ipsecanalyze
from ipsecanalyze._fast import IMPLEMENTATION
from ipsecanalyze.keys import load_keys
from ipsecanalyze.keys.document import write_json
from ipsecanalyze.keys.load import SECRETS_TYPE_KEYS, load_secrets
from ipsecanalyze.opening import export
from ipsecanalyze.opening.complete import complete_ring
from ipsecanalyze.opening.esp import Opening, open_file
from ipsecanalyze.opening.inner_file import InnerFile

sys.path.insert(0, str(Path(__file__).parent))
from esp_made import CAPTURES, checksum

SCENARIOS = sorted(path.parent for path in CAPTURES.glob("*/clear.sha256") if path.parent.name != "v2-oneway-4500-a")
SOURCES = ("xfrm-moon*", "xfrm-monitor-*", "esp_sa", "charon-*", "pluto-*", "sas.json", "")
#: The kernel's Serpent and Twofish, which nothing here computes: four flows.
CLOSED = {"manual-algos-tunnel-a": 24}


def keys_of(scenario: Path, source: str) -> list[str]:
    folder = scenario / "keys"
    return [str(path) for path in sorted(folder.glob(source))] if source else [str(folder)]


def wan(scenario: Path) -> Path:
    return next(path for path in sorted(scenario.glob("wan.pcap*")))


def digest(packet: bytes) -> bytes:
    data = bytearray(packet)
    if data[0] >> 4 == 4:
        data[8], data[10:12] = 0, bytes(2)
    else:
        data[7] = 0
    return hashlib.sha256(data).digest()[:8]


def clear(scenario: Path) -> set[bytes]:
    data = (scenario / "clear.sha256").read_bytes()
    return {data[at : at + 8] for at in range(0, len(data), 8)}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_every_scenario_opens_to_its_clear_text(scenario: Path, source: str) -> None:
    ring = load_keys(keys_of(scenario, source))
    if not ring.esp and not ring.ike:
        pytest.skip("no such source of keys")
    capture, wanted = wan(scenario), clear(scenario)
    opening = Opening(complete_ring([capture], ring))
    packets = list(open_file(opening, capture))
    results = opening.results().values()
    looked_at = sum(result.packets for result in results)
    opened = sum(result.opened for result in results)
    if source == "xfrm-moon*":  # of one moment: SAs before and after are not in it
        assert {result.reason for result in results} <= {"", "no-key", "unsupported", "truncated"}
        assert opened or "snap" in scenario.name
    elif source in ("xfrm-monitor-*", "") or scenario.name not in CLOSED:
        unopened = looked_at if "snap" in scenario.name else CLOSED.get(scenario.name, 0)
        assert looked_at - opened == unopened
    assert looked_at > 0
    assert not sum(result.icv_wrong + result.padding_wrong + result.malformed + result.skipped for result in results)
    inner = [packet.data for packet in packets]
    if scenario.name == "v2-gre-a":
        inner = [data[24:] for data in inner if data[22:24] == b"\x08\x00"]
        assert len(inner) == opened
    assert [data for data in inner if digest(data) not in wanted] == []
    times = [packet.time_ns for packet in packets]
    assert times == sorted(times)


@pytest.mark.parametrize("is_document", [False, True])
def test_what_the_library_lacks_is_told(is_document: bool) -> None:
    scenario = CAPTURES / "manual-algos-tunnel-a"
    ring = load_keys(keys_of(scenario, "xfrm-monitor-*"))
    if is_document:
        ring = load_secrets([(SECRETS_TYPE_KEYS, write_json(ring).encode())])
    opening = Opening(ring)
    list(open_file(opening, wan(scenario)))
    told = {result.explanation for result in opening.results().values() if result.reason == "unsupported"}
    assert told == {f"the cryptographic library has no {cipher}" for cipher in ("Serpent", "Twofish")}


@pytest.mark.parametrize("name", ["v2-transport-a", "v2-ah-transport-a", "v2-beet-a"])
def test_packets_between_gateways_are_whole(name: str) -> None:
    """Their checksums are over the addresses of the rebuilt header, so that is right too."""
    scenario = CAPTURES / name
    packets = list(ipsecanalyze.decrypt(wan(scenario), scenario / "keys"))
    kinds: Counter[int] = Counter()
    for packet in packets:
        ip = dpkt.ip.IP(packet.data)
        assert checksum(packet.data[:20]) == 0
        assert ip.len == len(packet.data)
        kinds[ip.p] += 1
        payload = packet.data[20:]
        if ip.p == 1:
            assert checksum(payload) == 0
        elif payload[6:8] != b"\0\0":  # UDP may have none
            pseudo = packet.data[12:20] + bytes((0, ip.p)) + len(payload).to_bytes(2)
            assert checksum(pseudo + payload) == 0
    assert set(kinds) == {1, 6, 17}
    assert len(packets) == sum(kinds.values()) > 100


ALL_WITH_KEYS = sorted(path.parent for path in CAPTURES.glob("*/keys"))


@pytest.mark.skipif(IMPLEMENTATION != "c", reason="there is one way only without the C core")
@pytest.mark.parametrize("scenario", ALL_WITH_KEYS, ids=lambda path: path.name)
def test_the_short_way_gives_the_same_octets(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = load_keys(scenario / "keys")

    def run() -> tuple[bytes, dict[Any, Any], int]:
        out = io.BytesIO()
        opening, packets = export.write_inner(sorted(scenario.glob("wan*.pcap*")), ring, out)
        return out.getvalue(), {key: asdict(value) for key, value in opening.results().items()}, packets

    short = run()
    monkeypatch.setattr(export, "IMPLEMENTATION", "python")
    assert run() == short


def test_what_is_written_reads_back() -> None:
    scenario = CAPTURES / "v2-psk-aescbc-a"
    ring = load_keys(scenario / "keys")
    packets = list(ipsecanalyze.decrypt(wan(scenario), ring))
    stream = io.BytesIO()
    out = InnerFile(stream, "words")
    for packet in packets:
        out.add(packet)
    out.flush()
    stream.seek(0)
    read = list(dpkt.pcapng.Reader(stream))
    assert [data for _, data in read] == [packet.data for packet in packets]
    assert [round(float(time) * 1e6) for time, _ in read] == [packet.time_ns // 1000 for packet in packets]


def test_comments_tell_frame_spi_and_sequence(tmp_path: Path) -> None:
    scenario = CAPTURES / "v2-psk-aescbc-a"
    path = tmp_path / "inner.pcapng"
    with path.open("wb") as stream:
        export.write_inner([wan(scenario)], load_keys(scenario / "keys"), stream)
    with ipsecanalyze.open_capture(path) as reader:
        packets = list(reader)
        assert not reader.notices
    assert packets[0].comments == ("frame 7, ESP SPI c21a9f0d, sequence 1",)
    assert packets[0].link_type == 101
    outer = list(ipsecanalyze.open_capture(wan(scenario)))
    for packet in packets:
        frame = int(packet.comments[0].split()[1].rstrip(","))
        assert outer[frame - 1].time_ns == packet.time_ns


def test_analysis_tells_what_is_inside() -> None:
    scenario = CAPTURES / "v2-psk-aescbc-a"
    analysis = ipsecanalyze.analyze(wan(scenario), keys=scenario / "keys")
    first = analysis.flows[0]
    assert (first.decrypted_packets, first.icv_failures) == (191, 0)
    assert first.opening is not None
    assert first.opening.algorithms == "AES_CBC_128/HMAC_SHA2_256_128"
    found = [(one.protocol, one.port, one.packets) for one in first.opening.conversations]
    assert found == [("tcp", 5001, 176), ("udp", 5002, 10), ("icmp", None, 5)]
    assert "opened 191 of 191" in analysis.summary(width=200)
    assert analysis.flows_document()["flows"][0]["opening"]["next_headers"] == {"4": 191}
    assert ipsecanalyze.analyze(wan(scenario)).flows[0].opening is None


def test_to_scapy() -> None:
    pytest.importorskip("scapy")
    scenario = CAPTURES / "v2-psk-aescbc-a"
    packet = next(ipsecanalyze.decrypt(wan(scenario), scenario / "keys"))
    assert packet.to_scapy().dst == "10.2.0.10"
    assert "data" not in repr(packet)
