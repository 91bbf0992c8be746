"""What captures lack is told, and lowers the certainty of the rest; whole captures are not blamed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze.findings import Certainty, Defect, Severity
from ipsecanalyze.findings.diagnosis.quality import defects_of

from .surgery import MOON, MS, SUN, analyzed, esp, findings, is_esp, kept, packets_of, source_of

QUALITY = {"one-sided-capture", "truncated-capture", "mirrored-capture", "capture-drops", "capture-started-late"}


def both_ways(count: int) -> list[ipsecanalyze.Packet]:
    there = [esp(number, number * 10 * MS) for number in range(1, count + 1)]
    back = [
        esp(number, number * 10 * MS + MS, spi=0xBEEF0002, source=SUN, destination=MOON)
        for number in range(1, count + 1)
    ]
    return sorted(there + back, key=lambda packet: packet.time_ns)


def test_a_whole_capture_lacks_nothing(tmp_path: Path) -> None:
    assert not QUALITY & findings(tmp_path, both_ways(20)).keys()


def test_one_side_of_a_negotiation_and_its_traffic(tmp_path: Path) -> None:
    whole = packets_of("v2-psk-aescbc-a")
    found = findings(tmp_path, kept(whole, lambda packet: source_of(packet) == MOON))
    (finding,) = found["one-sided-capture"]
    assert finding.certainty is Certainty.OBSERVED
    assert f"{MOON} to {SUN}" in finding.title
    assert finding.frames
    assert "esp-one-way" not in found


def test_esp_of_one_side_without_ike_blames_nobody(tmp_path: Path) -> None:
    found = findings(tmp_path, [esp(number, number * 10 * MS) for number in range(1, 40)])
    assert found["one-sided-capture"][0].certainty is Certainty.INFERRED
    assert "esp-one-way" not in found


def test_a_request_that_nobody_answers_is_not_one_sided(tmp_path: Path) -> None:
    whole = packets_of("v2-psk-aescbc-a")
    assert "one-sided-capture" not in findings(tmp_path, whole[:1])


def test_cut_packets_name_cut_frames(tmp_path: Path) -> None:
    whole = both_ways(20)
    cut = [replace(packet, data=packet.data[:60]) if at % 4 == 0 else packet for at, packet in enumerate(whole)]
    (finding,) = findings(tmp_path, cut)["truncated-capture"]
    assert finding.frames == tuple(range(1, 41, 4))
    assert "10 of 40 packets" in finding.title


@pytest.mark.parametrize("step", [0, 1], ids=["same port", "both sides of a router"])
def test_a_mirror_port_is_not_the_network(tmp_path: Path, step: int) -> None:
    doubled = []
    for packet in both_ways(20):
        copy = bytearray(packet.data)
        copy[8] -= step
        doubled += [packet, replace(packet, data=bytes(copy), time_ns=packet.time_ns + 20_000)]
    found = findings(tmp_path, doubled)
    (finding,) = found["mirrored-capture"]
    assert "40 of 80" in finding.title
    assert finding.frames[:4] == (1, 2, 5, 6)  # of the first flow
    assert "duplicate-packets" not in found


def test_a_few_copies_are_no_mirror(tmp_path: Path) -> None:
    whole = both_ways(20)
    whole.insert(11, replace(whole[10], time_ns=whole[10].time_ns + 20_000))
    assert "mirrored-capture" not in findings(tmp_path, whole)


def test_numbers_missing_at_the_sender_are_the_captures_loss(tmp_path: Path) -> None:
    packets = [
        esp(number, number * 10 * MS, ttl=64, link_type=276) for number in range(1, 101) if not 30 <= number < 60
    ]
    back = [
        esp(number, number * 10 * MS + MS, spi=2000, source=SUN, destination=MOON, ttl=60, link_type=276)
        for number in range(1, 101)
        if number % 10
    ]
    found = findings(tmp_path, sorted(packets + back, key=lambda packet: packet.time_ns))
    assert found["capture-drops"][0].certainty is Certainty.INFERRED
    assert all(finding.severity == Severity.LOW for finding in found["esp-loss"])
    assert all(finding.certainty is Certainty.INFERRED for finding in found["esp-loss"])


def test_a_late_start(tmp_path: Path) -> None:
    packets = [esp(number, number * MS) for number in range(5000, 5020)]
    packets += [esp(number, number * MS + 1000, spi=2000, source=SUN, destination=MOON) for number in range(7000, 7020)]
    (finding,) = findings(tmp_path, packets)["capture-started-late"]
    assert finding.severity == Severity.INFO
    assert "5,000" in finding.explanation


def test_an_sa_that_moves_is_no_late_start(tmp_path: Path) -> None:
    packets = [esp(number, number * MS) for number in range(1, 50)]
    packets += [esp(number, number * MS, source="192.0.2.33") for number in range(50, 90)]
    assert "capture-started-late" not in findings(tmp_path, packets)


def test_defects_by_capture(tmp_path: Path) -> None:
    """Of two captures, only the one that has them."""
    whole = packets_of("v2-psk-aescbc-a")
    analysis = analyzed(tmp_path, kept(whole, lambda packet: is_esp(packet) and source_of(packet) == MOON))
    assert defects_of(analysis.case()) == {0: frozenset({Defect.ONE_SIDED})}
