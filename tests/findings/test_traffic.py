"""Diagnosis of ESP and AH: on captures made for it, and on shipped ones with packets taken out."""

from __future__ import annotations

import gzip
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze import Packet
from ipsecanalyze.documents import diagnosis_document
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.findings import Certainty, Finding, Severity, traces

from .surgery import CAPTURES, MOON, MS, SUN, analyzed, esp, findings, is_esp, kept, number_of, packets_of, source_of

S = 1000 * MS


def back(count: int, every_ns: int = 10 * MS) -> list[Packet]:
    """Traffic of the other direction, so that nothing is one-sided."""
    return [esp(n, n * every_ns + MS, spi=0xBEEF0002, source=SUN, destination=MOON) for n in range(1, count + 1)]


def in_time(*lists: list[Packet]) -> list[Packet]:
    return sorted((packet for packets in lists for packet in packets), key=lambda packet: packet.time_ns)


def changed(packet: Packet) -> Packet:
    """The same header with other contents."""
    return replace(packet, data=packet.data[:-20] + bytes(20))


def only(found: dict[str, list[Finding]], slug: str) -> Finding:
    (finding,) = found[slug]
    return finding


# Loss


def test_loss_names_the_packets_around_it(tmp_path: Path) -> None:
    packets = [esp(n, n * 10 * MS) for n in range(1, 101) if n not in (20, 21, 22, 60)]
    found = only(findings(tmp_path, packets), "esp-loss")
    assert found.frames == (19, 20, 56, 57)
    assert found.severity == Severity.MEDIUM
    assert "4 never came by here" in found.explanation
    assert "2 runs, the longest of 3" in found.explanation


def test_a_single_loss_is_low(tmp_path: Path) -> None:
    packets = [esp(n, n * 10 * MS) for n in range(1, 301) if n != 20]
    assert only(findings(tmp_path, packets), "esp-loss").severity == Severity.LOW


def test_a_jump_of_the_counter_is_no_loss(tmp_path: Path) -> None:
    """A failover goes on with a higher number (RFC 6311)."""
    packets = [esp(n, n * MS) for n in (*range(1, 50), *range(1_000_000, 1_000_050))]
    assert "esp-loss" not in findings(tmp_path, packets)


def test_octets_that_were_fed_have_findings_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "made.pcapng"
    ipsecanalyze.write_capture(path, [esp(n, n * MS) for n in range(1, 101) if n % 10])
    analyzer = ipsecanalyze.Analyzer()
    analyzer.feed(path.read_bytes(), name=str(path))
    (finding,) = [finding for finding in analyzer.finish().diagnose() if finding.slug == "esp-loss"]
    assert finding.frames == ()


def test_loss_at_rekeys(tmp_path: Path) -> None:
    whole = packets_of("v2-rekey-pfs-a")
    first, second, third = 0xCC6E90DD, 0xCF7B2270, 0xC9CA1E03

    def stays(packet: Packet) -> bool:
        return not (
            (is_esp(packet, first) and 62 <= number_of(packet) <= 66)
            or (is_esp(packet, second) and (number_of(packet) <= 2 or 53 <= number_of(packet) <= 57))
            or (is_esp(packet, third) and number_of(packet) <= 2)
        )

    found = findings(tmp_path, kept(whole, stays))
    finding = only(found, "loss-at-rekey")
    assert finding.subject == "ike-1"
    assert finding.frames
    assert "loss-at-rekey" not in findings(tmp_path, whole)


def test_loss_all_over_is_not_at_rekeys(tmp_path: Path) -> None:
    draw = random.Random(5)
    whole = packets_of("v2-rekey-pfs-a")
    found = findings(tmp_path, kept(whole, lambda packet: not is_esp(packet) or draw.random() > 0.1))
    assert "esp-loss" in found
    assert "loss-at-rekey" not in found


# Order


def test_the_replay_window_counts_new_packets_only(tmp_path: Path) -> None:
    order = [*range(1, 10), *range(11, 111), 10, *range(111, 120)]
    found = findings(tmp_path, in_time([esp(n, at * MS) for at, n in enumerate(order)], back(20)))
    finding = only(found, "replay-window-exceeded")
    assert "1 with 32, 1 with 64, 0 with 128" in finding.explanation
    assert "128 or more" in finding.remedy
    analysis = analyzed(tmp_path, [esp(n, at * MS) for at, n in enumerate(order)])
    (alone,) = [finding for finding in analysis.diagnose() if finding.slug == "replay-window-exceeded"]
    assert alone.frames == (order.index(10) + 1,)


def test_replays_far_behind_do_not_exceed_the_window(tmp_path: Path) -> None:
    packets = [esp(n, n * 20 * MS) for n in range(1, 150)] + [esp(n, 5 * S + n * MS) for n in range(1, 6)]
    found = findings(tmp_path, packets)
    assert "replay-window-exceeded" not in found
    replay = only(found, "duplicate-packets")
    assert replay.severity == Severity.MEDIUM
    assert "a replay" in replay.title
    assert replay.frames == (1, 2, 3, 4, 5, 150, 151, 152, 153, 154)


def test_order_that_tcp_minds(tmp_path: Path) -> None:
    def swapped(far: int) -> list[Packet]:
        order = list(range(1, 101))
        for at in range(0, 100, 20):
            order.insert(at + far, order.pop(at))
        return [esp(n, at * MS) for at, n in enumerate(order)]

    assert only(findings(tmp_path, swapped(1)), "esp-reordering").severity == Severity.INFO
    assert only(findings(tmp_path, swapped(5)), "esp-reordering").severity == Severity.LOW


def test_copies_at_once_are_the_networks(tmp_path: Path) -> None:
    packets = [esp(n, n * 10 * MS) for n in range(1, 101)]
    for at in (80, 50, 20):
        packets.insert(at + 1, replace(packets[at], time_ns=packets[at].time_ns + MS))
    finding = only(findings(tmp_path, packets), "duplicate-packets")
    assert finding.severity == Severity.LOW
    assert finding.certainty is Certainty.OBSERVED
    assert finding.frames == (21, 22, 52, 53, 83, 84)


# Traffic


def later(packets: list[Packet], after: int, delay_ns: int) -> list[Packet]:
    """The same with all behind a packet later."""
    return [replace(p, time_ns=p.time_ns + delay_ns) if at >= after else p for at, p in enumerate(packets)]


def test_a_tunnel_that_carries_nothing(tmp_path: Path) -> None:
    ike = kept(packets_of("v2-psk-aescbc-a"), lambda packet: not is_esp(packet))
    first_close = len(ike) - 2
    found = findings(tmp_path, later(ike, first_close, 200 * S))
    finding = only(found, "no-esp-traffic")
    assert finding.severity == Severity.MEDIUM
    assert finding.certainty is Certainty.INFERRED
    assert "no-esp-traffic" not in findings(tmp_path, later(packets_of("v2-psk-aescbc-a"), 300, 200 * S))


def test_one_way_with_keys_and_without() -> None:
    folder = CAPTURES / "v2-oneway-esp-a"
    path = next(folder.glob("wan.pcap*"))
    for analysis in (ipsecanalyze.analyze(path), ipsecanalyze.analyze(path, keys=folder / "keys")):
        (finding,) = [finding for finding in analysis.diagnose() if finding.slug == "esp-one-way"]
        assert finding.severity == Severity.HIGH
        assert "29 ESP packets went from 192.0.2.1 to 198.51.100.1" in finding.explanation


def test_esp_on_an_sa_of_before(tmp_path: Path) -> None:
    whole = packets_of("v2-psk-aescbc-a")
    start, end = whole[0].time_ns, whole[-1].time_ns
    template = next(packet for packet in whole if is_esp(packet))
    stale = []
    for at in range(60):
        data = bytearray(template.data)
        data[34:38], data[38:42] = b"\xde\xad\x00\x01", (9000 + at).to_bytes(4)
        time_ns = start - S + at * (end - start + S) // 60
        stale.append(replace(template, data=bytes(data), time_ns=time_ns))
    finding = only(findings(tmp_path, in_time(whole, stale)), "esp-unknown-spi")
    assert finding.subject == "ESP dead0001"
    assert finding.frames[0] == 1


# Size


def test_icmp_and_fragments(tmp_path: Path) -> None:
    folder = CAPTURES / "v2-espfrag-a"
    found = [f for f in ipsecanalyze.analyze(next(folder.glob("wan-moon.pcap*"))).diagnose() if f.slug == "path-mtu"]
    assert [(finding.severity.value, len(finding.frames)) for finding in found] == [("medium", 4), ("low", 9)]
    assert "MTU of 1,300 octets" in found[0].explanation


# Counters


def test_exhaustion_is_projected(tmp_path: Path) -> None:
    top = 2**32 - 400_000
    packets = [esp(top + n, n * MS) for n in range(2000)]
    finding = only(findings(tmp_path, packets), "sequence-exhaustion")
    assert finding.severity == Severity.HIGH
    assert "6.63 min" in finding.title
    slow = [esp(2**31 + n, n * 10 * MS) for n in range(2000)]
    assert "sequence-exhaustion" not in findings(tmp_path, slow)


def test_a_counter_that_begins_anew(tmp_path: Path) -> None:
    packets = [esp(n, n * MS) for n in range(1, 500)] + [changed(esp(n, S + n * MS, ip_id=7)) for n in range(1, 200)]
    finding = only(findings(tmp_path, packets), "sequence-restart")
    assert finding.severity == Severity.HIGH
    assert finding.frames == (500,)
    assert "from 499 to 1" in finding.explanation


def test_without_a_second_look_a_restart_may_be_a_replay(tmp_path: Path) -> None:
    packets = [esp(n, n * MS) for n in range(1, 500)] + [esp(n, S + n * MS) for n in range(1, 200)]
    path = tmp_path / "made.pcapng"
    ipsecanalyze.write_capture(path, packets)
    analyzer = ipsecanalyze.Analyzer()
    analyzer.feed(path.read_bytes(), name=str(path))
    analysis = analyzer.finish()
    (finding,) = [finding for finding in analysis.diagnose() if finding.slug == "sequence-restart"]
    assert "replay" in finding.explanation
    assert any("second time" in limit for limit in diagnosis_document(analysis, [finding])["limits"])
    looked = analyzed(tmp_path, packets)
    found = {finding.slug for finding in looked.diagnose()}
    assert "duplicate-packets" in found
    assert "sequence-restart" not in found
    assert not any("second time" in limit for limit in diagnosis_document(looked, [])["limits"])


def test_a_part_that_is_looked_at_again_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = analyzed(tmp_path, [esp(n, n * MS) for n in range(1, 101) if n % 10])
    assert not analysis.not_looked_at_again()
    monkeypatch.setattr(traces, "MOST_DATAGRAMS", 50)
    (told,) = analysis.not_looked_at_again()
    assert "90 IPsec packets" in told
    assert "first 50" in told


def test_ah_is_never_told_to_go_in_udp(tmp_path: Path) -> None:
    for scenario, advised in (("v2-psk-aescbc-a", True), ("v2-ah-tunnel-a", False)):
        whole = packets_of(scenario)
        start = whole[0].time_ns
        one_way = kept(whole, lambda packet: source_of(packet) != SUN or packet.data[23] not in (50, 51))
        slow = [replace(packet, time_ns=start + 10 * (packet.time_ns - start)) for packet in one_way]
        finding = only(findings(tmp_path, slow), "esp-one-way")
        assert ("NAT-T" in finding.remedy) is advised


def test_wrong_icvs(tmp_path: Path) -> None:
    analysis = analyzed(tmp_path, in_time([esp(n, n * MS) for n in range(1, 51)], back(50, MS)))
    flow = analysis.flows[0]
    flow.opening = FlowOpening(packets=50, opened=48, icv_wrong=2, reason="icv", explanation="2 of 50")
    analysis.flows[1].opening = FlowOpening(packets=50, icv_wrong=50, reason="wrong-key", explanation="all")
    some, everything = [finding for finding in analysis.diagnose() if finding.slug == "icv-failures"]
    assert (some.severity, some.certainty) == (Severity.HIGH, Certainty.OBSERVED)
    assert (everything.severity, everything.certainty) == (Severity.MEDIUM, Certainty.INFERRED)


# Evidence


def by_tshark(tshark: str, path: Path, folder: Path, *fields: str) -> list[list[str]]:
    """The fields of each frame."""
    plain = folder / "plain.pcap"
    data = path.read_bytes()
    plain.write_bytes(gzip.decompress(data) if path.suffix == ".gz" else data)
    arguments = [tshark, "-r", plain, "-T", "fields", *(part for field in fields for part in ("-e", field))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_frames_show_loss_and_copies(tshark_path: str, tmp_path: Path) -> None:
    path = next((CAPTURES / "v2-loss-a").glob("wan.pcap*"))
    rows = by_tshark(tshark_path, path, tmp_path, "esp.spi", "esp.sequence")
    seen: dict[str, list[int]] = {}
    for spi, number in rows:
        if spi:
            seen.setdefault(spi, []).append(int(number))
    found = {finding.slug: finding for finding in ipsecanalyze.analyze(path).diagnose()}
    for slug in ("esp-loss", "duplicate-packets", "esp-reordering"):
        finding = found[slug]
        spi = f"0x{finding.subject.removeprefix('ESP ')}"
        shown = [rows[frame - 1] for frame in finding.frames]
        assert {row[0] for row in shown} == {spi}
        numbers = [int(row[1]) for row in shown]
        if slug == "esp-loss":
            lost = set(range(1, max(seen[spi]))) - set(seen[spi])
            around = {number + 1 for number in lost} | {number - 1 for number in lost}
            assert set(numbers) == around - lost
        elif slug == "duplicate-packets":
            assert sorted(numbers) == sorted(2 * [*set(numbers)])
            assert set(numbers) == {number for number in seen[spi] if seen[spi].count(number) > 1}
        else:
            before = [[int(row[1]) for row in rows[: frame - 1] if row[0] == spi] for frame in finding.frames]
            assert all(max(earlier) > number for earlier, number in zip(before, numbers, strict=True))


def test_frames_show_icmp_and_fragments(tshark_path: str, tmp_path: Path) -> None:
    path = next((CAPTURES / "v2-espfrag-a").glob("wan-moon.pcap*"))
    rows = by_tshark(tshark_path, path, tmp_path, "icmp.type", "icmp.code", "ip.frag_offset", "ip.flags.mf")
    refused, cut = [finding for finding in ipsecanalyze.analyze(path).diagnose() if finding.slug == "path-mtu"]
    assert all(rows[frame - 1][:2] == ["3", "4"] for frame in refused.frames)
    assert all(rows[frame - 1][2] not in ("", "0") or rows[frame - 1][3] in ("1", "True") for frame in cut.frames)


def test_frames_show_the_replayed_packets(tshark_path: str, tmp_path: Path) -> None:
    path = next((CAPTURES / "v2-replay-a").glob("wan.pcap*"))
    rows = by_tshark(tshark_path, path, tmp_path, "esp.spi", "esp.sequence")
    (finding,) = [one for one in ipsecanalyze.analyze(path).diagnose() if one.slug == "duplicate-packets"]
    shown = [tuple(rows[frame - 1]) for frame in finding.frames]
    assert len(shown) == 24
    assert set(shown[:12]) == set(shown[12:])
