"""Two capture points compared: shipped pairs against tshark's own lists of numbers, and pairs made for the purpose."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import ipsecanalyze
from ipsecanalyze import Comparison, Packet
from ipsecanalyze.cli.group import ipsecanalyze as command
from ipsecanalyze.findings import Certainty, Severity
from ipsecanalyze.findings.catalog import all_slugs, page
from ipsecanalyze.findings.compare import SLUGS

from .surgery import CAPTURES, MOON, MS, START_NS, SUN, esp, packets_of, written

S = 1000 * MS
PAIRS = [
    ("v2-loss-a", "wan.pcap", "wan-sun.pcap"),
    ("v2-natt-a", "wan.pcap", "wan-sun.pcap"),
    ("v2-oneway-esp-a", "wan.pcap", "wan-sun.pcap"),
    ("v2-espfrag-a", "wan-moon.pcap", "wan.pcap"),
]


def pair_of(scenario: str, one: str, other: str) -> tuple[Path, Path]:
    folder = CAPTURES / scenario
    paths = [next(iter(sorted(folder.glob(f"{name}*"))), None) for name in (one, other)]
    if None in paths:
        pytest.skip(f"{scenario} is shipped with one capture")
    return paths[0], paths[1]  # type: ignore[return-value]


def numbers_by_tshark(tshark: str, path: Path, folder: Path) -> dict[int, list[int]]:
    """SPI → sequence numbers in order of capture."""
    plain = folder / "plain.pcap"
    data = path.read_bytes()
    plain.write_bytes(gzip.decompress(data) if path.suffix == ".gz" else data)
    arguments = [tshark, "-r", plain, "-Y", "esp", "-T", "fields", "-e", "esp.spi", "-e", "esp.sequence"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    numbers: dict[int, list[int]] = {}
    for line in done.stdout.splitlines():
        spi, number = line.split("\t")
        numbers.setdefault(int(spi, 16), []).append(int(number))
    return numbers


@pytest.mark.parametrize(("scenario", "one", "other"), PAIRS, ids=[scenario for scenario, _, _ in PAIRS])
def test_what_is_lost_is_what_tshark_lists(
    scenario: str, one: str, other: str, tshark_path: str, tmp_path: Path
) -> None:
    paths = pair_of(scenario, one, other)
    comparison = ipsecanalyze.compare(*paths)
    here, there = (numbers_by_tshark(tshark_path, path, tmp_path) for path in paths)
    assert {flow.spi for flow in comparison.flows} == here.keys() | there.keys()
    for flow in comparison.flows:
        sides = set(here.get(flow.spi, ())), set(there.get(flow.spi, ()))
        near, far = sides[flow.first], sides[1 - flow.first]
        lost = {number for run in flow.lost_runs for number in range(run.first, run.last + 1)}
        assert lost == near - far
        assert flow.lost == len(lost)
        assert flow.common == len(near & far)
        assert flow.unseen == len(far - near)
        assert flow.uncovered == 0


def test_loss_agrees_with_what_was_injected() -> None:
    """netem: 3 % loss, 2 % duplicates, 5 % of packets at once and the others 12 ± 4 ms later, in both directions."""
    comparison = ipsecanalyze.compare(*pair_of("v2-loss-a", "wan.pcap", "wan-sun.pcap"))
    there, back = comparison.flows
    assert (there.first, back.first, there.order_by) == (0, 1, "ttl")
    assert [round(100 * flow.lost / (flow.common + flow.lost)) for flow in comparison.flows] == [2, 5]
    for flow in comparison.flows:
        assert flow.variation is not None
        assert 8 * MS < flow.variation.median_ns < 16 * MS
        assert flow.reordered > 30
    assert comparison.clock.round_trip_ns is not None
    assert 0 < comparison.clock.round_trip_ns < MS
    slugs = {finding.slug for finding in comparison.findings}
    assert slugs == {"lost-between", "reordered-between", "delayed-between"}
    lost = [finding for finding in comparison.findings if finding.slug == "lost-between"]
    assert [(finding.severity.value, finding.capture, len(finding.frames)) for finding in lost] == [
        ("high", 1, 12),
        ("medium", 0, 6),
    ]
    assert all(message.lost == 0 for message in comparison.ike)
    assert len(comparison.ike) == 6


def test_either_order_says_the_same() -> None:
    one, other = pair_of("v2-loss-a", "wan.pcap", "wan-sun.pcap")
    forth, back = ipsecanalyze.compare(one, other), ipsecanalyze.compare(other, one)
    for flow, again in zip(forth.flows, back.flows, strict=True):
        assert again.first == 1 - flow.first
        assert (again.lost, again.lost_runs, again.reordered) == (flow.lost, flow.lost_runs, flow.reordered)
        assert again.variation == flow.variation
    assert forth.clock.round_trip_ns == back.clock.round_trip_ns


@pytest.mark.parametrize("seconds", [5, -3600])
def test_a_wrong_clock_changes_the_offset_only(tmp_path: Path, seconds: int) -> None:
    one, other = pair_of("v2-loss-a", "wan.pcap", "wan-sun.pcap")
    moved = [
        replace(packet, time_ns=packet.time_ns + seconds * S) for packet in packets_of("v2-loss-a", "wan-sun.pcap")
    ]
    right, wrong = ipsecanalyze.compare(one, other), ipsecanalyze.compare(one, written(tmp_path / "m.pcapng", moved))
    for flow, again in zip(right.flows, wrong.flows, strict=True):
        assert (again.first, again.lost, again.reordered, again.uncovered) == (
            flow.first,
            flow.lost,
            flow.reordered,
            flow.uncovered,
        )
        assert flow.variation is not None
        assert again.variation is not None
        assert again.variation.median_ns == flow.variation.median_ns
    assert right.clock.offset_ns is not None
    assert wrong.clock.offset_ns == right.clock.offset_ns + seconds * S
    assert wrong.clock.round_trip_ns == right.clock.round_trip_ns


def test_clocks_that_drift(tmp_path: Path) -> None:
    draw = random.Random(3)
    there = [esp(n, n * 10 * MS, ttl=64) for n in range(1, 1001)]
    back = [esp(n, n * 10 * MS + 3 * MS, spi=2, source=SUN, destination=MOON, ttl=63) for n in range(1, 1001)]

    def later(packet: Packet) -> Packet:
        there = packet.data[8] == 64
        delay = draw.randrange(50_000, 90_000) * (1 if there else -1)
        drifted = (packet.time_ns - START_NS) * 200 // 1_000_000
        return moved(packet, delay + drifted, ttl=63 if there else 64)

    here = sorted(there + back, key=lambda packet: packet.time_ns)
    comparison = compared(tmp_path, here, [later(packet) for packet in here])
    assert comparison.clock.drift_ppm == pytest.approx(200, rel=0.05)
    assert "clocks-drift" in {notice.slug for notice in comparison.notices}
    steady = compared(tmp_path, here, [moved(p, 60_000 if p.data[8] == 64 else -60_000, 127 - p.data[8]) for p in here])
    assert steady.clock.drift_ppm is None


def test_a_nat_between() -> None:
    comparison = ipsecanalyze.compare(*pair_of("v2-natt-a", "wan.pcap", "wan-sun.pcap"))
    (finding,) = [finding for finding in comparison.findings if finding.slug == "rewritten-between"]
    assert "192.0.2.1 is 198.51.100.254 behind it" in finding.title
    assert "addresses and ports" in finding.title
    assert "192.0.2.1 port 4500" in finding.explanation
    assert "198.51.100.254 port 25861" in finding.explanation
    assert all(flow.lost == 0 for flow in comparison.flows)
    assert all(all(message.copies) for message in comparison.ike)


def test_everything_of_one_direction_is_lost() -> None:
    comparison = ipsecanalyze.compare(*pair_of("v2-oneway-esp-a", "wan.pcap", "wan-sun.pcap"))
    worst = comparison.findings[0]
    assert worst.slug == "lost-between"
    assert worst.severity == Severity.HIGH
    assert worst.title.startswith("None of 32 ESP packets from 198.51.100.1 to 192.0.2.1")
    assert worst.capture == 1


def test_only_large_packets_are_lost() -> None:
    """The router refuses packets with DF that are larger than 1300 octets."""
    comparison = ipsecanalyze.compare(*pair_of("v2-espfrag-a", "wan-moon.pcap", "wan.pcap"))
    (finding,) = [finding for finding in comparison.findings if finding.slug == "lost-between"]
    assert "have 1,480 octets or more behind the IP header, and all of packets with DF that came" in finding.explanation
    assert "Clamp the TCP MSS" in finding.remedy


def test_ike_that_does_not_come_through() -> None:
    comparison = ipsecanalyze.compare(*pair_of("v2-oneway-4500-a", "wan.pcap", "wan-sun.pcap"))
    worst = comparison.findings[0]
    assert worst.slug == "lost-between"
    assert "IKE_AUTH" in worst.explanation
    assert worst.frames == (5, 6, 7)


def test_other_tunnels_do_not_pass_the_point(tmp_path: Path) -> None:
    whole = [esp(n, n * MS, ttl=64) for n in range(1, 30)]
    foreign = [esp(n, n * MS + 100, spi=0xABCD0001, source="203.0.113.1", ttl=64) for n in range(1, 30)]
    mixed = sorted(whole + foreign, key=lambda packet: packet.time_ns)
    behind = [moved(packet, 2 * MS) for packet in whole]
    comparison = compared(tmp_path, mixed, behind)
    assert [flow.spi for flow in comparison.flows] == [0xC0FFEE01]
    assert [notice.slug for notice in comparison.notices] == ["seen-at-one-point"]


def moved(packet: Packet, delay_ns: int, ttl: int = 63) -> Packet:
    """A packet of raw IPv4 at the next point."""
    data = bytearray(packet.data)
    data[8] = ttl
    return replace(packet, data=bytes(data), time_ns=packet.time_ns + delay_ns)


def compared(folder: Path, one: list[Packet], other: list[Packet], **options: int) -> Comparison:
    return ipsecanalyze.compare(written(folder / "a.pcapng", one), written(folder / "b.pcapng", other), **options)


def test_only_the_common_time_counts(tmp_path: Path) -> None:
    sent = [esp(n, n * 10 * MS, ttl=64) for n in range(1, 201)]
    seen = [
        moved(packet, 3 * MS + 7 * S) for n, packet in enumerate(sent, 1) if 50 <= n <= 150 and n not in (70, 71, 90)
    ]
    comparison = compared(tmp_path, sent, seen)
    (flow,) = comparison.flows
    assert (flow.common, flow.lost, flow.uncovered) == (98, 3, 99)
    assert [(run.first, run.last) for run in flow.lost_runs] == [(70, 71), (90, 90)]
    assert comparison.clock.offset_ns is None


def test_random_loss_delay_and_order(tmp_path: Path) -> None:
    """What is found is what was done to the packets."""
    draw = random.Random(11)
    sent = [esp(n, n * MS, ttl=64) for n in range(1, 1001)]
    lost = set(draw.sample(range(10, 990), 40))
    arrived = [moved(packet, draw.randrange(1, 8) * MS + n) for n, packet in enumerate(sent, 1) if n not in lost]
    arrived.sort(key=lambda packet: packet.time_ns)
    (flow,) = compared(tmp_path, sent, arrived).flows
    assert {number for run in flow.lost_runs for number in range(run.first, run.last + 1)} == lost
    highest = reordered = latest = 0
    rank = {number: at for at, number in enumerate(n for n in range(1, 1001) if n not in lost)}
    for packet in arrived:
        place = rank[int.from_bytes(packet.data[24:28])]
        if place < highest:
            reordered, latest = reordered + 1, max(latest, highest - place)
        highest = max(highest, place)
    assert (flow.reordered, flow.largest_lateness) == (reordered, latest)


def test_two_sas_with_one_spi(tmp_path: Path) -> None:
    """Told apart by their octets, behind a NAT too."""
    one = [esp(n, n * MS, ttl=64) for n in range(1, 40)]
    other = [
        replace(packet, data=packet.data[:28] + bytes(reversed(packet.data[28:])))
        for packet in (esp(n, n * MS + 9, ttl=64, source="192.0.2.7") for n in range(1, 40))
    ]
    here = sorted(one + other, key=lambda packet: packet.time_ns)
    there = []
    for packet in here:
        data = bytearray(moved(packet, 2 * MS).data)
        data[12:16] = bytes([198, 51, 100, 77 if data[15] == 7 else 71])
        there.append(replace(packet, data=bytes(data), time_ns=packet.time_ns + 2 * MS))
    comparison = compared(tmp_path, here, there)
    ends = {(flow.tracks[0].source, flow.tracks[1].source) for flow in comparison.flows if all(flow.tracks)}  # type: ignore[union-attr]
    assert ends == {("192.0.2.1", "198.51.100.71"), ("192.0.2.7", "198.51.100.77")}
    assert all(flow.lost == 0 for flow in comparison.flows)


def test_numbers_that_overflow_between_the_beginnings(tmp_path: Path) -> None:
    sent = [esp(n, (n - 2**32) * MS + S, ttl=64) for n in range(2**32 - 50, 2**32 + 200)]
    (flow,) = compared(tmp_path, sent, [moved(packet, MS) for packet in sent[100:]]).flows
    assert (flow.common, flow.lost, flow.uncovered) == (150, 0, 100)


def test_the_same_ttl_makes_it_inferred(tmp_path: Path) -> None:
    sent = [esp(n, n * MS, ttl=64) for n in range(1, 101)]
    comparison = compared(tmp_path, sent, [moved(p, MS, ttl=64) for n, p in enumerate(sent) if n % 20 != 10])
    assert {finding.certainty for finding in comparison.findings if finding.slug == "lost-between"} == {
        Certainty.INFERRED
    }
    assert comparison.flows[0].order_by == "clock"


def test_a_limit_is_told(tmp_path: Path) -> None:
    sent = [esp(n, n * MS, ttl=64) for n in range(1, 101)]
    comparison = compared(tmp_path, sent, [moved(packet, MS) for packet in sent], limit=60)
    assert comparison.flows[0].common == 60
    assert [notice.slug for notice in comparison.notices] == ["comparison-limit"] * 2


def test_nothing_in_common(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [esp(1, 0)], [esp(1, 0, spi=7, source=SUN, destination=MOON)])
    assert [notice.slug for notice in comparison.notices] == ["seen-at-one-point", "nothing-in-common"]
    assert comparison.findings == []


def test_document_and_command() -> None:
    one, other = pair_of("v2-loss-a", "wan.pcap", "wan-sun.pcap")
    done = CliRunner().invoke(command, ["compare", "-q", "-f", "json", str(one), str(other)], standalone_mode=False)
    document = json.loads(done.stdout)
    schema = json.loads(files("ipsecanalyze").joinpath("comparison.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    assert document == json.loads(ipsecanalyze.compare(one, other).to_json())
    assert done.return_value == 0
    text = CliRunner().invoke(
        command, ["compare", "-q", str(one), str(other), "--fail-on", "high"], standalone_mode=False
    )
    assert text.return_value == 1
    assert "A→B  caf4ec30   235     6" in text.stdout
    assert text.stdout == ipsecanalyze.compare(one, other).summary()


def test_each_slug_has_a_page() -> None:
    for slug in SLUGS:
        assert slug in all_slugs()
        assert page(slug).fixes.keys() == {"strongSwan", "libreswan", "Cisco IOS", "FortiOS"}
