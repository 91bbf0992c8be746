"""The proof: comparing LAN and tunnel, comparing sources of keys, expectations, and what is public of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

import ipsecanalyze
from ipsecanalyze.capture.packet import Encapsulation, Packet
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.keys import KeyRing
from ipsecanalyze.lab.bundle import public_log
from ipsecanalyze.lab.compare import Selector, compare, lan_packets, one_hop
from ipsecanalyze.lab.expectations import read_expectations
from ipsecanalyze.lab.keys import KeySource, cross_check, derived, load_sources
from ipsecanalyze.lab.report import report_html, report_text
from ipsecanalyze.lab.scenario import load_scenario
from ipsecanalyze.lab.table import Table
from ipsecanalyze.lab.tap import Counts, parse_counts
from ipsecanalyze.lab.verdict import (
    Check,
    check_captures,
    check_diagnosis,
    check_expectations,
    check_keys,
    check_packets,
)
from ipsecanalyze.opening.packets import DecryptedPacket

NEAR, FAR = "10.1.0.0/24", "10.2.0.0/24"
SELECTOR = Selector.of([NEAR], [FAR])


def ping(source: str, target: str, ttl: int, number: int) -> bytes:
    return bytes(IP(src=source, dst=target, ttl=ttl) / ICMP(seq=number) / b"payload")


def opened(data: bytes, sequence: int, spi: int = 0xC0FFEE) -> DecryptedPacket:
    flow = ("ESP", "192.0.2.1", "192.0.2.2", spi, Encapsulation.UDP)
    return DecryptedPacket(data, sequence, 0, flow, spi, sequence, 4)


@given(st.integers(2, 254), st.integers(-1, 1), st.booleans())
def test_one_hop_is_what_a_router_does(ttl: int, step: int, v6: bool) -> None:
    def packet(hops: int) -> bytes:
        head = (
            IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=hops)
            if v6
            else IP(src="10.1.0.1", dst="10.2.0.1", ttl=hops)
        )
        return bytes(head / UDP(sport=1, dport=2) / b"x")

    assert one_hop(packet(ttl), step) == packet(ttl + step)


def test_equal_sides() -> None:
    lan = [
        ping("10.1.0.10", "10.2.0.10", 64, 1),
        ping("10.2.0.10", "10.1.0.10", 62, 1),
        ping("10.1.0.10", "8.8.8.8", 9, 9),
    ]
    inside = [opened(ping("10.1.0.10", "10.2.0.10", 63, 1), 1), opened(ping("10.2.0.10", "10.1.0.10", 63, 1), 1, 5)]
    result = compare(lan, inside, SELECTOR)
    assert result.exact
    assert (result.lan, result.opened, result.equal) == (2, 2, 2)


def test_replays_count_once() -> None:
    packet = opened(ping("10.1.0.10", "10.2.0.10", 63, 1), 7)
    result = compare([ping("10.1.0.10", "10.2.0.10", 64, 1)], [packet, packet], SELECTOR)
    assert result.exact
    assert result.replays == 1


@pytest.mark.parametrize("change", ["lost", "surplus", "octet", "ttl"])
def test_any_difference_is_found(change: str) -> None:
    lan = [ping("10.1.0.10", "10.2.0.10", 64, number) for number in range(3)]
    inside = [ping("10.1.0.10", "10.2.0.10", 63, number) for number in range(3)]
    if change == "lost":
        inside.pop()
    elif change == "surplus":
        inside.append(ping("10.9.9.9", "10.2.0.10", 63, 8))
    elif change == "octet":
        inside[1] = inside[1][:-1] + b"!"
    else:
        inside[1] = ping("10.1.0.10", "10.2.0.10", 62, 1)
    result = compare(lan, [opened(data, number) for number, data in enumerate(inside)], SELECTOR)
    assert not result.exact
    assert result.missing or result.surplus


def test_nothing_to_compare_proves_nothing() -> None:
    assert not compare([], [], SELECTOR).exact


def test_lan_packets_of_frames() -> None:
    inner = ping("10.1.0.10", "10.2.0.10", 64, 1)
    frames = [
        bytes(Ether(type=0x0800)) + inner + bytes(20),
        bytes(Ether() / ARP()),
        b"short",
        bytes(Ether(type=0x0800)),
    ]
    packets = [Packet(0, 1, frame, len(frame), number) for number, frame in enumerate(frames, 1)]
    assert list(lan_packets(packets)) == [inner]


def source(name: str, *keys: EspKeys) -> KeySource:
    return KeySource(name, KeyRing(keys))


def sa(spi: int, key: bytes) -> EspKeys:
    return EspKeys(spi=spi, encryption=12, encryption_key=key, integrity=12, integrity_key=key * 2)


def test_sources_that_agree() -> None:
    check = cross_check([source("moon", sa(1, b"k" * 16), sa(2, b"l" * 16)), source("sun", sa(1, b"k" * 16))])
    assert check.agreed
    assert check.confirmed == 1
    assert check.alone == ["ESP 00000002: moon"]
    assert not all(one.passed for one in check_keys(check, needed=True))


def test_sources_that_disagree() -> None:
    check = cross_check([source("moon", sa(1, b"k" * 16)), source("sun", sa(1, b"x" * 16))])
    assert not check.agreed
    texts = [one.text for one in check_keys(check, needed=True) if not one.passed]
    assert any("moon and sun have different keys" in text for text in texts)
    assert b"k".hex() * 16 not in " ".join(texts)


def test_candidates_agree_with_the_one_that_is_right() -> None:
    check = cross_check([source("derived", sa(1, b"k" * 16), sa(1, b"y" * 16)), source("moon", sa(1, b"k" * 16))])
    assert check.agreed
    assert check.confirmed == 1


def test_derived_keys_of_a_shipped_capture(captures) -> None:
    folder = captures / "v2-psk-aescbc-a"
    sources = load_sources(sorted(path for path in (folder / "keys").iterdir() if path.is_file()))
    follows = derived(sources, [folder / "wan.pcap"])
    assert follows is not None
    check = cross_check([*sources, follows])
    assert check.agreed
    assert check.confirmed == 2


def test_expectations_of_a_shipped_capture(captures) -> None:
    folder = captures / "v2-psk-aescbc-a"
    analysis = ipsecanalyze.analyze(folder / "wan.pcap", keys=ipsecanalyze.load_keys(folder / "keys"))
    right = {
        "version": "2.0",
        "state": "established|closed",
        "child_sas": 1,
        "chosen": ["MODP_2048"],
        "exchanges": ["IKE_AUTH"],
    }
    wrong = {"version": "1.0", "chosen": ["MODP_1024"], "lost": 5, "notifies": ["NO_SUCH"], "log": ["nowhere"]}
    good = list(check_expectations(read_expectations(Table(dict(right), "t")), analysis, []))
    assert all(one.passed for one in good), [one.text for one in good]
    bad = list(check_expectations(read_expectations(Table(dict(wrong), "t")), analysis, []))
    assert sum(not one.passed for one in bad) == 5
    assert [one.passed for one in check_packets("open", None, analysis)] == [True]
    assert [one.passed for one in check_packets("none", None, analysis)] == [False]


def test_last_words_of_tcpdump() -> None:
    words = "listening on eth1\n12 packets captured\n14 packets received by filter\n1 packet dropped by kernel\n"
    assert parse_counts(words) == Counts(12, 14, 1)
    assert parse_counts("") == Counts()
    counts = {
        "good": Counts(1, 1, 0, written=1),
        "dropped": Counts(1, 1, 2, written=1),
        "silent": Counts(),
        "not written": Counts(5, 5, 0, written=4),
        "early": Counts(1, 1, 0, written=1, early=True),
    }
    checks = list(check_captures(counts))
    assert [one.passed for one in checks] == [True, False, False, False, False]
    assert "1 of them were not written" in checks[3].text
    assert "ended before it was told to" in checks[4].text


@pytest.mark.parametrize(("wanted", "passed"), [((), False), (("esp-loss",), True), (("nat-detected",), False)])
def test_diagnosis_is_what_was_expected_and_nothing_else(wanted: tuple[str, ...], passed: bool) -> None:
    def finding(slug: str, severity: Severity) -> Finding:
        return Finding(slug, severity, Certainty.OBSERVED, "ike-1", "title", "explanation", "remedy")

    findings = [finding("esp-loss", Severity.HIGH), finding("esp-reordering", Severity.INFO)]
    checks = list(check_diagnosis(read_expectations(Table({"diagnosis": list(wanted)}, "t")), findings))
    assert all(one.passed for one in checks) is passed
    assert all(one.passed for one in check_diagnosis(read_expectations(Table({}, "t")), findings[1:]))


def test_each_node_has_to_tell_its_keys() -> None:
    check = cross_check([source("moon charon.log", sa(1, b"k" * 16)), source("derived from IKE", sa(1, b"k" * 16))])
    assert all(one.passed for one in check_keys(check, needed=True, nodes=["moon"]))
    assert [one.text for one in check_keys(check, needed=True, nodes=["moon", "sun"]) if not one.passed] == [
        "sun itself told no keys"
    ]


def test_public_logs_have_no_dumps() -> None:
    log = (
        "2026-11-26T04:00:38 14[IKE] IKE_SA moon-sun[2] established\n"
        "2026-11-26T04:00:38 14[IKE] Sk_ei secret => 32 bytes @ 0x7f\n"
        "2026-11-26T04:00:38 14[IKE]    0: A1 B2 C3 D4 A1 B2 C3 D4 A1 B2 C3 D4 A1 B2 C3 D4  ................\n"
        "2026-11-26T04:00:38 14[IKE]   16: A1 B2                                            ..\n"
        "2026-11-26T04:00:38 14[CHD] using AES_CBC for encryption\n"
    )
    assert public_log(log).splitlines() == [log.splitlines()[0], log.splitlines()[-1]]


def test_reports_escape() -> None:
    scenario = load_scenario("ikev2-psk")
    checks = [Check(True, "fine"), Check(False, "<script>alert(1)</script>\x1b[2J")]
    page = report_html(scenario, checks, "<b>\n", None, "userspace", proved=False)
    assert "<script>" not in page
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "did not prove" in page
    assert "NOT PROVED" in report_text(scenario, checks, proved=False)
