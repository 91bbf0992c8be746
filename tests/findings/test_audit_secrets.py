"""Secrets that were given, IVs that can be foretold, answers that are larger than what was asked, versions told."""

from __future__ import annotations

import hmac
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipsecanalyze
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.cli import main
from ipsecanalyze.crypto.material import EspKeys, Psk
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.findings import Certainty, Finding, Severity
from ipsecanalyze.findings.audit.profile import profile_names
from ipsecanalyze.findings.audit.psk_hash import psk_hashes
from ipsecanalyze.findings.audit.secrets import strength_of_psk
from ipsecanalyze.findings.audit.spis import _is_counting
from ipsecanalyze.ike.payloads import AuthPayload, ConfigPayload
from ipsecanalyze.ike.payloads.configuration import ConfigurationAttribute
from ipsecanalyze.keys import KeyRing
from ipsecanalyze.sa.records import Algorithm, ChildSa

sys.path.insert(0, str(Path(__file__).parent))
from audit_made import HERE, SA_V1, START_NS, THERE, Wire, audited, message, notify, proposal, proposal_v1

CAPTURES = Path(__file__).parents[1] / "captures"

# Pre-shared keys


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (b"", 0, 0),
        (b"password", 0, 0),
        (b"P4ssw0rd!", 0, 0),
        (b"cisco123", 0, 0),
        (b"12345678", 20, 30),
        (b"abcabcabcabcabcabcabc", 0, 20),
        (b"x" * 1000, 0, 8),
        (b"correct horse", 64, 112),
        (b"0123456789abcdef0123456789abcde0", 112, 128),
        (bytes(range(200, 216)), 128, 128),
        (b"secret-Kd93kf02mFk39dkMw02lcoE9", 112, 256),
    ],
)
def test_strength_at_most(value: bytes, least: float, most: float) -> None:
    assert least <= strength_of_psk(value) <= most


@given(st.binary(max_size=300))
def test_any_octets_may_be_a_key(value: bytes) -> None:
    assert 0 <= strength_of_psk(value) <= 8 * len(value)


def test_drawn_keys_are_strong() -> None:
    draw = random.Random(5)
    for _ in range(2_000):
        assert strength_of_psk(draw.randbytes(16).hex().encode()) >= 112


def phase_1(mode: int, *psks: Psk) -> dict[str, list[Finding]]:
    wire = Wire()
    suite = proposal_v1((1, 7), (14, 256), (2, 4), (3, 1), (4, 14))
    wire.send(message(5, 0, mode, 0, 0, (SA_V1, suite), version=0x10), HERE, THERE)
    wire.send(message(5, 6, mode, 0, 0, (SA_V1, suite), version=0x10), THERE, HERE)
    return audited(replace(wire.case(), keys=KeyRing(psks)))


@pytest.mark.parametrize(
    ("mode", "value", "severity"),
    [
        (2, b"password", Severity.HIGH),
        (2, b"kDf93mfa", Severity.MEDIUM),
        (4, b"kDf93mfa", Severity.HIGH),
        (2, b"correct horse", Severity.LOW),
        (2, b"Kd93kf02mFk39dkMw02lcoE9", None),
    ],
)
def test_a_weak_pre_shared_key(mode: int, value: bytes, severity: Severity | None) -> None:
    found = phase_1(mode, Psk(value, (HERE, THERE))).get("weak-psk", [])
    assert [one.severity for one in found] == ([severity] if severity else [])
    for one in found:
        assert one.frames == (2,)
        assert one.certainty is Certainty.INFERRED
        assert value.decode() not in f"{one}"


def test_which_key_it_is_must_be_told_by_nobody() -> None:
    strong = Psk(b"Kd93kf02mFk39dkMw02lcoE9")
    assert "weak-psk" not in phase_1(2, Psk(b"password"), strong)
    assert "weak-psk" in phase_1(2, Psk(b"password"), Psk(b"secret"))
    assert "weak-psk" not in phase_1(2, *(Psk(b"password%d" % number) for number in range(20)))
    assert "weak-psk" not in phase_1(2, Psk(b"password", is_ppk=True))


def test_keys_of_nobody_here_are_not_judged() -> None:
    wire = Wire()
    wire.auth(wire.init(1))
    assert "weak-psk" not in audited(replace(wire.case(), keys=KeyRing([Psk(b"password")])))
    case = wire.case({3: (AuthPayload(type=39, method=2, data=b""),)})
    case.ike_sas[0].authentication_initiator = "psk"
    (finding,) = audited(replace(case, keys=KeyRing([Psk(b"password")])))["weak-psk"]
    assert finding.references == ("RFC 7296 §2.15",)


# Keys of ESP


def opened_flows(*spis: int, salts: tuple[bytes, ...] = (b"salt",), encryption: int = 20, back: bool = False):
    (model, *_) = ipsecanalyze.analyze(next((CAPTURES / "v2-psk-aescbc-a").glob("wan.pcap*"))).flows
    ends = (model.source, model.destination)
    ring, flows = KeyRing(), []
    for number, spi in enumerate(spis):
        source, destination = ends[::-1] if back and number % 2 else ends
        flow = replace(model, spi=spi, source=source, destination=destination, child_sa=None, ike_sa=None)
        flow.opening = FlowOpening(packets=9, opened=9, key_origin=f"keys:{number}")
        ring.add(EspKeys("ESP", source, destination, spi, encryption, b"k" * 16, salts[number % len(salts)]))
        flows.append(flow)
    return replace(Wire().case(), flows=flows, keys=ring, has_keys=True)


def test_two_sas_with_one_key() -> None:
    (finding,) = audited(opened_flows(0x1000, 0x2000, 0x3000))["reused-key"]
    assert finding.severity is Severity.HIGH
    assert finding.title.startswith("3 ESP SAs have the same key of ENCR_AES_GCM_16")
    assert "k" * 16 not in f"{finding}"
    assert "reused-key" not in audited(opened_flows(0x1000, 0x2000, salts=(b"salt", b"more")))
    (finding,) = audited(opened_flows(0x1000, 0x2000, encryption=12))["reused-key"]
    assert finding.severity is Severity.MEDIUM


def test_both_directions_with_one_spi_and_key() -> None:
    assert audited(opened_flows(0x1000, 0x1000, back=True))["reused-key"]


def test_an_sa_that_moves_keeps_its_key() -> None:
    case = opened_flows(0x1000, 0x1000)
    case.flows[1].source = "203.0.113.77"
    assert "reused-key" not in audited(case)


# IVs that can be foretold


def sent(*ivs: bytes, tail: bytes = b"") -> dict[str, list[Finding]]:
    """IKEv2 messages under AES-CBC with these IVs; `tail` is for what ends each."""
    wire = Wire()
    spis = wire.init(1, offer=proposal((1, 12, 256), (2, 5), (3, 12), (4, 19)))
    for number, iv in enumerate(ivs):
        body = iv + b"%048d" % number + (ivs[number + 1] if tail and number + 1 < len(ivs) else b"") + b"i" * 16
        wire.send(message(*spis, 37, 0x08, number, (46, body)), HERE, THERE)
    return audited(wire.case())


DRAWN = [random.Random(7).randbytes(16 * 8)[16 * place : 16 * place + 16] for place in range(8)]


def test_ivs_that_are_the_end_of_the_packet_before() -> None:
    (finding,) = sent(*DRAWN, tail=b"yes")["predictable-iv"]
    assert (finding.severity, finding.frames) == (Severity.MEDIUM, (4, 5, 6, 7, 8, 9, 10))
    assert "octets of the packet before" in finding.explanation
    assert "predictable-iv" not in sent(*DRAWN)


def test_ivs_that_count() -> None:
    (finding,) = sent(*(b"salt-of-it--" + number.to_bytes(4) for number in range(5)))["predictable-iv"]
    assert "its IVs count" in finding.explanation
    assert "predictable-iv" not in sent(*(b"salt-of-it--" + number.to_bytes(4) for number in range(3)))


def test_gcm_may_count() -> None:
    wire = Wire()
    spis = wire.init(1)
    for number in range(9):
        wire.send(message(*spis, 37, 0x08, number, (46, number.to_bytes(8) + b"x" * 60)), HERE, THERE)
    assert "predictable-iv" not in audited(wire.case())


@pytest.mark.parametrize("is_chained", [True, False])
def test_ivs_of_esp_that_are_the_end_of_the_packet_before(is_chained: bool) -> None:
    flow = opened_flows(0x1000).flows[0]
    flow.child_sa, flow.packets = "child-1", 8
    child = ChildSa("child-1", None, "ESP", 1, 2, chosen=[Algorithm("ENCR", 12, "ENCR_AES_CBC", 128)])
    packets = []
    for frame, iv in enumerate(DRAWN, 1):
        following = DRAWN[frame] if is_chained and frame < len(DRAWN) else bytes(16)
        octets = flow.spi.to_bytes(4) + frame.to_bytes(4) + iv + b"%032d" % frame + following + bytes(12)
        ends = flow.source, flow.destination
        packets += 2 * [
            Datagram(DatagramKind.ESP, *ends, octets, frame, START_NS, len(octets), 0, 0, Encapsulation.NONE)
        ]  # a mirrored capture has each twice
    case = replace(Wire().case(), flows=[flow], child_sas=[child])
    case.look_again = lambda capture: packets
    assert ("predictable-iv" in audited(case)) is is_chained


# SPIs: chance alone calls nobody predictable


def test_drawn_spis_are_not_predictable() -> None:
    draw = random.Random(11)
    for trial in range(10_000):
        count = 4 + trial % 30
        assert not _is_counting([draw.getrandbits(64) for _ in range(count)], 1 << 16)
        # strongSwan draws from c0000000 to cfffffff.
        assert not _is_counting([0xC0000000 | draw.getrandbits(28) for _ in range(count)], 1 << 8)


# Answers that are larger than what was asked


def answered(times: int, octets: int = 40, *, goes_on: bool = False) -> dict[str, list[Finding]]:
    wire = Wire()
    suite = proposal_v1((1, 7), (14, 256), (2, 4), (3, 1), (4, 14))
    wire.send(message(5, 0, 2, 0, 0, (SA_V1, suite), version=0x10), HERE, THERE)
    for _ in range(times):
        answer = message(5, 6, 2, 0, 0, (SA_V1, suite), (13, bytes(octets)), version=0x10)
        wire.send(answer, THERE, HERE, after_ms=4_000)
    if goes_on:
        wire.send(message(5, 6, 2, 0, 0, (4, b"k" * 256), (10, b"n" * 16), version=0x10), HERE, THERE)
    return audited(wire.case())


def test_answers_again_and_again() -> None:
    (finding,) = answered(5)["amplification"]
    assert (finding.severity, finding.subject, finding.frames) == (Severity.LOW, THERE, (1, 2, 3, 4, 5, 6))
    assert answered(5, 300)["amplification"][0].severity is Severity.MEDIUM
    assert "amplification" not in answered(1)
    assert "amplification" not in answered(5, goes_on=True)


# Versions told


def test_application_version_inside() -> None:
    wire = Wire()
    wire.auth(wire.init(1))
    told = ConfigPayload(type=47, config_type=2, attributes=(ConfigurationAttribute(7, b"gate 1.2"),))
    asked = ConfigPayload(type=47, config_type=1, attributes=(ConfigurationAttribute(7, b""),))
    (finding,) = audited(wire.case({3: (asked,), 4: (told,)}))["implementation-exposed"]
    assert (finding.severity, finding.subject, finding.frames) == (Severity.INFO, THERE, (4,))
    assert "gate 1.2" in finding.title


# What aggressive mode gives away


def test_the_hash_of_aggressive_mode_is_that_of_the_key(tmp_path: Path) -> None:
    """HASH_R (RFC 2409 §5), computed from the fields of the line and the pre-shared key of the capture."""
    folder = CAPTURES / "v1-aggr-psk-a"
    (capture,) = folder.glob("wan.pcap*")
    secrets = json.loads((folder / "keys" / "ikev1_secrets.json").read_text())
    written = tmp_path / "hashes.txt"
    assert (
        main(["audit", "-q", "-o", str(tmp_path / "audit.txt"), "--export-psk-hash", str(written), str(capture)]) == 0
    )
    (line,) = written.read_text().splitlines()
    fields = [bytes.fromhex(field) for field in line.split(":")]
    public_r, public_i, cookie_r, cookie_i, sa_i, id_r, nonce_i, nonce_r, hash_r = fields
    skeyid = hmac.digest(bytes.fromhex(secrets["psks"][0]["value"]), nonce_i + nonce_r, "sha1")
    assert skeyid.hex() == secrets["ike"][0]["skeyid"]
    assert hmac.digest(skeyid, public_r + public_i + cookie_r + cookie_i + sa_i + id_r, "sha1") == hash_r
    assert secrets["psks"][0]["value"] not in line


def test_nothing_is_written_of_main_mode_and_ikev2(tmp_path: Path) -> None:
    written = tmp_path / "hashes.txt"
    for name in ("v1-main-psk-a", "v2-psk-aescbc-a"):
        (capture,) = (CAPTURES / name).glob("wan.pcap*")
        options = ["-q", "-o", str(tmp_path / "audit.txt"), "--export-psk-hash", str(written)]
        assert main(["audit", *options, str(capture)]) == 0
        assert written.read_text() == ""
    assert main(["audit", "-q", "--export-psk-hash", "-", str(capture)]) == 2


def test_cut_messages_give_no_hash() -> None:
    wire = Wire()
    suite = proposal_v1((1, 7), (14, 256), (2, 2), (3, 1), (4, 14))
    rest = (4, b"k" * 256), (10, b"n" * 16), (5, b"\x02\0\0\0moon"), (8, b"h" * 20)
    wire.send(message(5, 0, 4, 0, 0, (SA_V1, suite), *rest[:3], version=0x10), HERE, THERE)
    wire.send(message(5, 6, 4, 0, 0, (SA_V1, suite), *rest, version=0x10), THERE, HERE)
    (line,) = psk_hashes(wire.case())
    assert line.count(":") == 8
    wire.sent[1] = replace(wire.sent[1], payload=wire.sent[1].payload[:-30])
    assert not list(psk_hashes(wire.case()))


# Whatever comes


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damaged_conversations_break_no_rule(draw: random.Random) -> None:
    """A rule that fails is a notice of the case; there must be none."""
    wire = Wire()
    spis = wire.init(1, extra=(notify(16390, b"c" * 20), (43, b"strongSwan"), (38, b"\x04" + b"x" * 20)))
    wire.auth(spis)
    for number in range(3):
        wire.send(message(*spis, 37, 0x08, number + 2, (46, b"%016d" % number + bytes(80))), HERE, THERE)
    suite = proposal_v1((1, 7), (14, 256), (2, 4), (3, 1), (4, 14))
    rest = (4, b"k" * 256), (10, b"n" * 16), (5, b"\x02\0\0\0moon"), (8, b"h" * 20), (13, b"v" * 16)
    wire.send(message(5, 0, 4, 0, 0, (SA_V1, suite), *rest[:3], version=0x10), HERE, THERE)
    wire.send(message(5, 6, 4, 0, 0, (SA_V1, suite), *rest, version=0x10), THERE, HERE)
    for _ in range(draw.randint(1, 5)):
        place = draw.randrange(len(wire.sent))
        octets = bytearray(wire.sent[place].payload)
        if octets and draw.random() < 0.6:
            octets[draw.randrange(len(octets))] = draw.choice((0, 1, 255, draw.randrange(256)))
        else:
            octets = octets[: draw.randint(0, len(octets))] + draw.randbytes(draw.randrange(30))
        wire.sent[place] = replace(wire.sent[place], payload=bytes(octets))
    case = replace(wire.case(), keys=KeyRing([Psk(b"secret")]))
    for name in profile_names():
        audited(case, name)
    assert not case.notices
    assert all(line.count(":") == 8 for line in psk_hashes(case))
