"""The suite of ESP without keys: on captures with known truth, and on flows made here of every format."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ipsecanalyze import analyze
from ipsecanalyze._fast import IMPLEMENTATION
from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.guess import SuiteGuess
from ipsecanalyze.esp.sequence import SequenceState
from ipsecanalyze.findings.audit.null_encryption import null_encryption
from ipsecanalyze.findings.audit.profile import load_profile
from ipsecanalyze.findings.inference import Sample, infer_suite, looks_unencrypted, samples, unencrypted_flows
from ipsecanalyze.findings.inference.formats import FORMATS, Format
from ipsecanalyze.findings.model import Certainty, Finding
from ipsecanalyze.sa.records import Algorithm

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "captures"
CLEAR = {"v2-null-a", "v2-gmac-a"}
#: TCP of Linux, as inner IPv4 packets: acknowledgements, a first segment, full and last segments.
TCP = (60, 52, 52, 1400, 1400, 52, 84, 52, 617, 52, 1400, 233, 64, 52, 1400, 905, 52, 118, 52, 1400)


def format_of(suite: str) -> Format:
    """The format that has a suite."""
    return next(one for one in FORMATS if suite in ["/".join(filter(None, pair)) for pair in one.suites])


def flow_of(packets: Sequence[bytes]) -> tuple[Flow, list[Sample]]:
    """A flow of ESP packets, and samples of all."""
    flow = Flow("ESP", "192.0.2.1", "198.51.100.1", 0x1001, Encapsulation.NONE, SequenceState())
    flow.update([(n, len(packet), n * 1000, n, 64, 0, False, 0, None) for n, packet in enumerate(packets, 1)])
    return flow, [Sample.of(packet, frame=n) for n, packet in enumerate(packets, 1)]


def padded(content: bytes, next_header: int, block: int = 4) -> bytes:
    """Contents with padding, its length and next header (RFC 4303 §2.4)."""
    pad = -(len(content) + 2) % block
    return content + bytes(range(1, pad + 1)) + bytes((pad, next_header))


def encrypted(form: Format, lengths: Sequence[int], rng: Random, *, counts: bool | None = None) -> list[bytes]:
    """ESP packets with contents of these lengths, encrypted: what is inside looks random, so it is."""
    salt, counts = rng.getrandbits(64), form.counts if counts is None else counts
    packets = []
    for number, length in enumerate(lengths, 1):
        iv = (salt ^ number).to_bytes(8) if counts else rng.randbytes(form.iv)
        room = len(padded(bytes(length), 4, form.block))
        packets.append(bytes.fromhex("00001001") + number.to_bytes(4) + iv + rng.randbytes(room + form.icv))
    return packets


def clear(contents: Sequence[bytes], next_header: int, icv: int, rng: Random, *, gmac: bool = False) -> list[bytes]:
    """ESP packets with contents in the clear."""
    return [
        bytes.fromhex("00001001")
        + number.to_bytes(4)
        + (number.to_bytes(8) if gmac else b"")
        + padded(content, next_header)
        + rng.randbytes(icv)
        for number, content in enumerate(contents, 1)
    ]


def ipv4(payload: bytes, protocol: int = 6) -> bytes:
    """An IPv4 packet with a right checksum."""
    header = bytearray(20)
    header[0], header[8], header[9] = 0x45, 64, protocol
    header[2:4] = (20 + len(payload)).to_bytes(2)
    header[12:16], header[16:20] = bytes((10, 1, 0, 10)), bytes((10, 2, 0, 10))
    total = sum(int.from_bytes(header[at : at + 2]) for at in range(0, 20, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = (total ^ 0xFFFF).to_bytes(2)
    return bytes(header) + payload


def tcp(rng: Random, size: int) -> bytes:
    """A TCP segment with so many octets behind its header."""
    numbers = rng.randbytes(8)
    return bytes.fromhex("c3500050") + numbers + bytes.fromhex("5010ffff") + rng.randbytes(2) + bytes(2 + size)


def udp(rng: Random, size: int) -> bytes:
    """A UDP datagram with so many octets in it."""
    return bytes.fromhex("c3500035") + (8 + size).to_bytes(2) + rng.randbytes(2 + size)


def judged(packets: Sequence[bytes], chosen: Sequence[Algorithm] = ()) -> SuiteGuess:
    """The guess for packets."""
    return infer_suite(*flow_of(packets), chosen)


def rows_of(folder: Path, least: int) -> list[Any]:
    """The rows of benchmarks/inference.py for a scenario."""
    path = ROOT / "benchmarks" / "inference.py"
    module = sys.modules.get("benchmark_inference")
    if module is None:
        spec = importlib.util.spec_from_file_location("benchmark_inference", path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules["benchmark_inference"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return list(module.rows(folder, least, True, True))


# Real captures


def test_captures_with_known_truth() -> None:
    """The reach: nine of ten flows with 20 packets right, none that is sure and wrong; here all are right."""
    found = [row for folder in sorted(CAPTURES.iterdir()) if folder.is_dir() for row in rows_of(folder, 20)]
    wrong = [(row.scenario, row.truth) for row in found if not row.is_right]
    assert len(found) > 100
    assert len(wrong) <= len(found) // 50, wrong
    assert not [row for row in found if row.is_sure_and_wrong]
    # Contents in the clear are read where they are, and nowhere else.
    assert {row.scenario for row in found if looks_unencrypted(row.flow.guess)} == CLEAR
    modes = [row.mode == row.flow.guess.mode for row in found]
    assert sum(modes) >= 0.9 * len(modes)


def test_the_few_packets_of_every_algorithm_of_linux() -> None:
    """Six pings tell the format of most; where they do not, that is admitted."""
    found = rows_of(CAPTURES / "manual-algos-tunnel-a", 2)
    assert {row.truth for row in found if not row.is_right} <= {"AES_CBC/HMAC_SHA2_512_256", "AES_CBC/NONE"}
    assert not [row for row in found if row.is_sure_and_wrong]


@pytest.mark.parametrize("name", sorted(CLEAR))
def test_unencrypted_flows_are_found_cheaply(name: str) -> None:
    analysis = analyze(next((CAPTURES / name).glob("wan.pcap*")))
    found = unencrypted_flows(analysis.captures, analysis.flows)
    assert {flow.spi for flow, _ in found} == {flow.spi for flow in analysis.flows}
    for flow, guess in found:
        assert guess.readable_frames
        assert all(flow.first_frame <= frame <= flow.last_frame for frame in guess.readable_frames)
        assert flow.guess is None


def test_encrypted_flows_are_not_found_unencrypted() -> None:
    for name in ("v2-psk-aescbc-a", "v2-ctr-a", "v2-transport-a", "v2-3des-weak-a"):
        analysis = analyze(next((CAPTURES / name).glob("wan.pcap*")))
        assert not unencrypted_flows(analysis.captures, analysis.flows)


def test_infer_fills_flows_and_documents() -> None:
    analysis = analyze(next((CAPTURES / "v2-null-a").glob("wan.pcap*")))
    assert all(entry["inferred"] is None for entry in analysis.flows_document()["flows"])
    guesses = analysis.infer()
    assert set(guesses) == {flow.key for flow in analysis.flows}
    for entry in analysis.flows_document()["flows"]:
        inferred = entry["inferred"]
        assert inferred is not None
        assert (inferred["suite"], inferred["unencrypted"]) == ("NULL/HMAC_SHA2_256_128", True)
        assert (inferred["mode"], inferred["iv"], inferred["icv_octets"]) == ("tunnel", "none", 16)


def test_both_scanners_take_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("v2-natt-a", "v2-ipfrag-a", "v2-tcp-a"):
        analysis = analyze(next((CAPTURES / name).glob("wan.pcap*")))
        wanted = {flow.key: flow.packets for flow in analysis.flows if flow.protocol == "ESP"}
        ways = []
        for implementation in (IMPLEMENTATION, "python"):
            monkeypatch.setattr(samples, "IMPLEMENTATION", implementation)
            ways.append(samples.take_samples(analysis.captures, wanted, each=24))
        assert ways[0] == ways[1]
        assert {key: len(taken) for key, taken in ways[0].items()} == {
            key: min(24, count) for key, count in wanted.items()
        }


def test_captures_that_are_gone_leave_lengths() -> None:
    analysis = analyze(next((CAPTURES / "v2-psk-aescbc-a").glob("wan.pcap*")))
    analysis.captures = [CaptureFacts("-"), CaptureFacts("/nowhere/at/all.pcap")]
    for guess in analysis.infer().values():
        assert (guess.packets, guess.iv) == (0, None)
        assert guess.candidates[0].name == "AES_CBC/HMAC_SHA2_256_128"
        assert "not looked at" in guess.reasons[0]


def clear_findings(capture: Path, keys: Path | None = None) -> list[Finding]:
    """What the rule says of a capture."""
    return list(null_encryption(analyze(capture, keys=keys).case(), load_profile()))


def test_the_audit_rule_names_packets_that_tshark_reads() -> None:
    capture = next((CAPTURES / "v2-null-a").glob("wan.pcap*"))
    (finding,) = clear_findings(capture)
    assert (finding.slug, finding.certainty) == ("null-encryption", Certainty.INFERRED)
    assert "NULL/HMAC_SHA2_256_128" in finding.explanation
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")
    options = ["-o", "esp.enable_null_encryption_decode_heuristic:TRUE", "-T", "fields", "-e", "frame.number"]
    told = subprocess.run(
        [program, "-r", str(capture), "-Y", "esp && ip.addr == 10.1.0.10", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finding.frames
    assert set(finding.frames) <= set(map(int, told.stdout.split()))


def test_the_audit_rule_is_silent_where_there_is_nothing_to_guess() -> None:
    folder = CAPTURES / "v2-null-a"
    assert not clear_findings(next(folder.glob("wan.pcap*")), keys=folder / "keys")
    assert not clear_findings(next((CAPTURES / "v2-psk-aescbc-a").glob("wan.pcap*")))


# Flows made here


@pytest.mark.parametrize(
    "suite",
    [
        "AES_CBC/HMAC_SHA1_96",
        "AES_CBC/HMAC_SHA2_256_128",
        "AES_CBC/HMAC_SHA2_384_192",
        "3DES/HMAC_SHA1_96",
        "3DES/HMAC_SHA2_256_128",
        "AES_GCM_16",
        "AES_GCM_12",
        "AES_CTR/HMAC_SHA2_512_256",
    ],
)
def test_tcp_in_a_tunnel(suite: str) -> None:
    guess = judged(encrypted(format_of(suite), TCP * 3, Random(suite)))
    assert guess.candidates[0].name == suite
    assert 0.5 < guess.candidates[0].probability <= 0.95
    assert (guess.block_octets, guess.icv_octets) == (format_of(suite).block, format_of(suite).icv)
    assert guess.mode == "tunnel"
    assert guess.iv == ("sequential" if format_of(suite).counts else "random")


def test_transport_mode_has_shorter_packets() -> None:
    guess = judged(encrypted(format_of("AES_GCM_16"), [length - 20 for length in TCP], Random(3)))
    assert (guess.candidates[0].name, guess.mode) == ("AES_GCM_16", "transport")
    assert guess.mode_probability > 0.8


@pytest.mark.parametrize("count", [1, 2, 5, 60])
@pytest.mark.parametrize("traffic", ["uniform", "constant"])
def test_nothing_is_sure_without_a_reason(traffic: str, count: int) -> None:
    """Lengths without a pattern, lengths that are all the same, few packets: no encrypted suite is certain."""
    rng = Random(f"{traffic} {count}")
    for form in FORMATS:
        if form.is_clear:
            continue
        lengths = (
            [rng.randint(28, 1400) for _ in range(count)] if traffic == "uniform" else [rng.randint(40, 1400)] * count
        )
        guess = judged(encrypted(form, lengths, rng))
        assert guess.candidates[0].probability <= 0.95
        assert not looks_unencrypted(guess)
        assert sum(one.probability for one in guess.candidates) == pytest.approx(1, abs=0.02)


def test_lengths_all_the_same_tell_little_of_blocks() -> None:
    """1,480 octets (TFC padding to the MTU) fit ten formats."""
    guess = judged(encrypted(format_of("AES_CBC/HMAC_SHA2_256_128"), [1430] * 50, Random(5)))
    assert guess.candidates[0].probability < 0.9
    assert len(guess.candidates) > 4
    assert any("All 50 packets have" in reason for reason in guess.reasons)


def test_random_ivs_of_counter_modes_are_possible() -> None:
    guess = judged(encrypted(format_of("AES_GCM_16"), TCP * 3, Random(6), counts=False))
    assert guess.iv == "random"
    assert guess.candidates[0].name == "AES_GCM_16"


def test_counters_without_a_salt_and_of_their_own() -> None:
    rng = Random(7)
    for first, step in ((1, 1), (1 << 20, 3), (rng.getrandbits(63), 1)):
        packets = [
            packet[:8] + (first + step * number).to_bytes(8) + packet[16:]
            for number, packet in enumerate(encrypted(format_of("AES_GCM_16"), TCP, rng))
        ]
        assert judged(packets).iv == "sequential"


def test_duplicates_are_no_pattern() -> None:
    """A packet that comes again has the same octets: that is no IV that counts, and nothing in the clear."""
    packets = encrypted(format_of("AES_CBC/HMAC_SHA2_256_128"), TCP, Random(8))
    flow, taken = flow_of(packets)
    guess = infer_suite(flow, [taken[0]] * 40)
    assert guess.packets == 1
    assert guess.iv is None
    assert not looks_unencrypted(guess)


def test_the_ike_sa_is_a_hint() -> None:
    packets = encrypted(format_of("AES_GCM_16"), TCP, Random(9))
    chacha = [Algorithm("ENCR", 28, "ENCR_CHACHA20_POLY1305")]
    guess = judged(packets, chacha)
    assert guess.candidates[0].name == "CHACHA20_POLY1305"
    assert "AES_GCM_16" in guess.candidates[0].alike
    assert any("IKE SA" in reason for reason in guess.reasons)
    phase1 = [Algorithm("ENCR", 7, "ENCR_AES_CBC", 128), Algorithm("HASH", 2, "SHA1")]
    assert judged(packets, phase1).candidates[0].name == "AES_GCM_16"


def test_ah_is_refused() -> None:
    flow = Flow("AH", "192.0.2.1", "198.51.100.1", 1, Encapsulation.NONE, SequenceState())
    with pytest.raises(ValueError, match="AH"):
        infer_suite(flow)


# In the clear (RFC 5879)


@pytest.mark.parametrize(
    ("icv", "mac"), [(0, "NONE"), (12, "HMAC_SHA1_96"), (16, "HMAC_SHA2_256_128"), (32, "HMAC_SHA2_512_256")]
)
@pytest.mark.parametrize("mode", ["tunnel", "transport"])
def test_null_encryption(icv: int, mac: str, mode: str) -> None:
    rng = Random(f"{icv} {mode}")
    segments = [tcp(rng, rng.choice((0, 12, 99, 700))) for _ in range(12)]
    contents, next_header = ([ipv4(one) for one in segments], 4) if mode == "tunnel" else (segments, 6)
    guess = judged(clear(contents, next_header, icv, rng))
    assert looks_unencrypted(guess)
    assert guess.candidates[0].name == f"NULL/{mac}"
    assert guess.candidates[0].probability > 0.95
    assert guess.mode == mode


def test_gmac_is_in_the_clear_behind_an_iv() -> None:
    rng = Random(11)
    guess = judged(clear([ipv4(udp(rng, 40 + n), 17) for n in range(8)], 4, 16, rng, gmac=True))
    assert looks_unencrypted(guess)
    assert (guess.candidates[0].name, guess.iv) == ("NULL_AUTH_AES_GMAC", "sequential")


def test_cut_packets_are_read_by_their_lengths() -> None:
    """With the trailer cut off, the inner packet's own length tells where padding and ICV begin."""
    rng = Random(12)
    packets = clear([ipv4(tcp(rng, n)) for n in range(0, 60, 5)], 4, 12, rng)
    flow, _ = flow_of(packets)
    guess = infer_suite(flow, [Sample.of(packet[:48], len(packet), n) for n, packet in enumerate(packets, 1)])
    assert looks_unencrypted(guess)
    assert guess.candidates[0].name == "NULL/HMAC_SHA1_96"


def test_dummies_and_junk_do_not_hide_the_rest() -> None:
    rng = Random(13)
    packets = clear([ipv4(tcp(rng, n)) for n in range(20)], 4, 16, rng)
    packets[5:6] = clear([rng.randbytes(46)], 59, 16, rng)
    packets[9] = packets[9][:8] + rng.randbytes(len(packets[9]) - 8)
    assert looks_unencrypted(judged(packets))


def test_one_packet_is_not_enough_for_transport_mode() -> None:
    """What ciphertext could be by chance is not claimed."""
    rng = Random(14)
    assert not looks_unencrypted(judged(clear([tcp(rng, 30)], 6, 16, rng)))


def test_random_octets_are_never_read() -> None:
    rng = Random(15)
    for _ in range(300):
        size = rng.randrange(40, 200) * 4
        packets = [bytes(4) + n.to_bytes(4) + rng.randbytes(size) for n in range(1, rng.choice((2, 5, 30)))]
        assert not looks_unencrypted(judged(packets))


def test_hostile_packets_only_make_a_guess() -> None:
    rng = Random(16)
    for size in (0, 1, 7, 8, 9, 15, 16, 17, 65_535):
        packets = [bytes(min(size, 8)) + rng.randbytes(max(0, size - 8)) for _ in range(3)]
        guess = judged(packets)
        assert guess.candidates
    flow, taken = flow_of([bytes(8 + 1 + n) for n in range(5)])
    assert infer_suite(flow, taken).candidates
    assert infer_suite(Flow("ESP", "192.0.2.1", "198.51.100.1", 1, Encapsulation.NONE, SequenceState())).candidates


def test_each_suite_stands_in_one_format() -> None:
    names = [pair for form in FORMATS for pair in form.suites]
    assert len(names) == len(set(names))
    assert len({(form.iv, form.block, form.icv, form.is_clear) for form in FORMATS}) == len(FORMATS)
