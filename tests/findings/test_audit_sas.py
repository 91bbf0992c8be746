"""SAs as such: lifetimes, PFS, ESN, IVs, SPIs, floods, post-quantum protection, versions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.findings import Finding, Severity
from ipsecanalyze.sa.records import Algorithm, ChildSa

sys.path.insert(0, str(Path(__file__).parent))
from audit_made import HASHES, HERE, SA_V1, START_NS, THERE, Wire, audited, message, notify, proposal, proposal_v1

CAPTURES = Path(__file__).parents[1] / "captures"
SECOND = 1_000_000_000


def shipped(name: str, profile: str = "rfc", *, with_keys: bool = True) -> dict[str, list[Finding]]:
    folder = CAPTURES / name
    keys = [folder / "keys"] if with_keys else None
    found: dict[str, list[Finding]] = {}
    for finding in ipsecanalyze.analyze(next(iter(sorted(folder.glob("wan.pcap*")))), keys=keys).audit(profile):
        found.setdefault(finding.slug, []).append(finding)
    return found


def phase_1(life: int) -> Wire:
    wire = Wire()
    suite = proposal_v1((1, 7), (14, 256), (2, 4), (3, 1), (4, 14), (11, 1), (12, life))
    wire.send(message(5, 0, 2, 0, 0, (SA_V1, suite), version=0x10), HERE, THERE)
    wire.send(message(5, 6, 2, 0, 0, (SA_V1, suite), version=0x10), THERE, HERE)
    return wire


def test_ikev1() -> None:
    (finding,) = audited(phase_1(3600).case())["ikev1-in-use"]
    assert (finding.severity, finding.frames) == (Severity.MEDIUM, (1, 2))
    assert audited(phase_1(3600).case(), "cnsa-2.0")["ikev1-in-use"][0].severity is Severity.HIGH


@pytest.mark.parametrize(
    ("life", "profile", "is_long"),
    [
        (28_800, "rfc", False),
        (28_800, "bsi-tr-02102-3", False),
        (43_200, "nist-800-77r1", False),
        (0, "rfc", True),
    ],
)
def test_agreed_lifetimes(life: int, profile: str, is_long: bool) -> None:
    assert ("long-lifetime" in audited(phase_1(life).case(), profile)) is is_long


def test_lifetimes_of_four_octets() -> None:
    case = phase_1(1).case()
    case.ike_sas[0].lifetime_seconds = 86_401
    (finding,) = audited(case, "nist-800-77r1")["long-lifetime"]
    assert finding.frames == (2,)
    assert "long-lifetime" not in audited(case, "rfc")


def test_observed_age() -> None:
    wire = Wire()
    spis = wire.init(1)
    wire.auth(spis)
    wire.send(message(*spis, 37, 0x08, 2, (46, b"i" * 64)), HERE, THERE, after_ms=90_000_000)
    (finding,) = audited(wire.case(), "bsi-tr-02102-3")["long-lifetime"]
    assert "25 h" in finding.title


def test_announced_reauthentication() -> None:
    wire = Wire()
    wire.init(1, extra=(HASHES, notify(16403, (90_000).to_bytes(4))))
    findings = audited(wire.case(), "nist-800-77r1")["long-lifetime"]
    assert findings[0].frames == (1, 2)


def test_pfs() -> None:
    assert "no-pfs" not in shipped("v2-rekey-pfs-a")
    assert "no-pfs" not in shipped("v1-rekey-pfs-a")
    assert "no-pfs" not in shipped("v2-psk-aescbc-a")  # made by IKE_AUTH
    (finding,) = shipped("v2-rekey-nopfs-a")["no-pfs"]
    assert finding.severity is Severity.LOW
    assert finding.frames[:2] == (130, 131)
    assert shipped("v2-rekey-nopfs-a", "bsi-tr-02102-3")["no-pfs"][0].severity is Severity.MEDIUM
    assert shipped("v1-main-psk-a")["no-pfs"]


def flow(packets: int, duration_ns: int, octets: int) -> ipsecanalyze.Flow:
    analysis = ipsecanalyze.analyze(next((CAPTURES / "v2-psk-aescbc-a").glob("wan.pcap*")))
    made = analysis.flows[0]
    made.packets, made.octets, made.last_time_ns = packets, octets, made.first_time_ns + duration_ns
    made.child_sa = "child-1"
    return made


def case_of(made: ipsecanalyze.Flow, *algorithms: tuple[str, str], esn: bool | None):
    case = Wire().case()
    chosen = [Algorithm(kind, 0, name) for kind, name in algorithms]
    child = ChildSa("child-1", None, "ESP", 1, 2, chosen=chosen, esn=esn)
    return replace(case, child_sas=[child], flows=[made])


def test_esn_at_high_rates() -> None:
    aes = ("ENCR", "ENCR_AES_GCM_16")
    fast = flow(1_000_000, 10 * SECOND, 10**9)
    (finding,) = audited(case_of(fast, aes, esn=False))["no-esn"]
    assert "11.9 h" in finding.title
    assert "no-esn" not in audited(case_of(fast, aes, esn=True))
    assert "no-esn" not in audited(case_of(fast, aes, esn=None))
    assert "no-esn" not in audited(case_of(flow(1_000_000, 40 * SECOND, 10**9), aes, esn=False))


@pytest.mark.parametrize(
    ("octets", "severity"), [(10**6, Severity.LOW), (2 << 30, Severity.MEDIUM), (33 << 30, Severity.HIGH)]
)
def test_volume_against_the_birthday_bound(octets: int, severity: Severity) -> None:
    made = flow(1_000, SECOND, octets)
    (finding,) = audited(case_of(made, ("ENCR", "ENCR_3DES"), ("INTEG", "AUTH_HMAC_SHA2_256_128"), esn=False))[
        "small-block-volume"
    ]
    assert finding.severity is severity
    assert "small-block-volume" not in audited(case_of(made, ("ENCR", "ENCR_AES_CBC"), esn=False))


def test_no_integrity() -> None:
    wire = Wire()
    case = wire.case()
    wire.init(1)
    case = wire.case()
    chosen = [Algorithm("ENCR", 12, "ENCR_AES_CBC", 256)]
    child = ChildSa("child-1", case.ike_sas[0].id, "ESP", 1, 2, chosen=chosen, esn=False)
    (finding,) = audited(replace(case, child_sas=[child]))["no-integrity"]
    assert finding.severity is Severity.CRITICAL
    child.chosen = [Algorithm("ENCR", 20, "ENCR_AES_GCM_16", 256)]
    assert "no-integrity" not in audited(replace(case, child_sas=[child]))


# IVs


def test_ivs_of_ike_messages() -> None:
    wire = Wire()
    spis = wire.init(1)
    for number, body in ((1, b"A" * 8 + b"x" * 60), (2, b"B" * 8 + b"x" * 60), (3, b"A" * 8 + b"y" * 60)):
        wire.send(message(*spis, 37, 0x08, number, (46, body)), HERE, THERE)
        wire.send(message(*spis, 37, 0x20, number, (46, b"%08d" % number + b"A" * 60)), THERE, HERE)
    (finding,) = audited(wire.case())["iv-reuse"]
    assert (finding.severity, finding.frames) == (Severity.CRITICAL, (3, 7))


def test_a_message_that_is_sent_again_reuses_nothing() -> None:
    wire = Wire()
    spis = wire.init(1)
    for _ in range(3):
        wire.send(message(*spis, 37, 0x08, 1, (46, b"A" * 70)), HERE, THERE)
    assert "iv-reuse" not in audited(wire.case())


def test_ivs_of_cbc_are_longer_and_less_fatal() -> None:
    wire = Wire()
    offer = proposal((1, 12, 256), (2, 5), (3, 12), (4, 19))
    spis = wire.init(1, offer=offer)
    wire.send(message(*spis, 37, 0x08, 1, (46, b"A" * 8 + b"x" * 80)), HERE, THERE)
    wire.send(message(*spis, 37, 0x08, 2, (46, b"A" * 8 + b"y" * 80)), HERE, THERE)
    assert "iv-reuse" not in audited(wire.case())
    wire.send(message(*spis, 37, 0x08, 3, (46, b"A" * 8 + b"y" * 8 + b"z" * 72)), HERE, THERE)
    (finding,) = audited(wire.case())["iv-reuse"]
    assert (finding.severity, finding.frames) == (Severity.MEDIUM, (4, 5))


def test_ivs_of_esp() -> None:
    made = flow(3, SECOND, 400)
    case = case_of(made, ("ENCR", "ENCR_AES_GCM_16"), esn=False)

    def packet(frame: int, iv: bytes, fill: bytes) -> Datagram:
        octets = made.spi.to_bytes(4) + frame.to_bytes(4) + iv + fill * 64
        return Datagram(
            DatagramKind.ESP, made.source, made.destination, octets, frame, START_NS, len(octets), 0, 0,
            Encapsulation.NONE,
        )  # fmt: skip

    packets = [packet(10, b"AAAAAAAA", b"x"), packet(11, b"BBBBBBBB", b"x"), packet(12, b"AAAAAAAA", b"y")]
    case.look_again = lambda capture: packets
    (finding,) = audited(case)["iv-reuse"]
    assert (finding.severity, finding.frames) == (Severity.CRITICAL, (10, 12))
    packets.pop()
    assert "iv-reuse" not in audited(case)


def test_shipped_captures_reuse_no_iv() -> None:
    for name in ("v2-cert-gcm-esn-a", "v2-replay-a", "v2-psk-aescbc-a", "v2-chacha-a"):
        assert "iv-reuse" not in shipped(name)


# SPIs


def test_spis_that_count() -> None:
    wire = Wire()
    for number in range(6):
        wire.init(number, spis=(0x1000 + number, 0x7000_0000_0000_0000 ^ (number * 0x123456789ABCDEF)))
    (finding,) = audited(wire.case())["predictable-spi"]
    assert (finding.subject, finding.frames) == (HERE, (1, 3, 5, 7, 9, 11))
    assert finding.severity is Severity.MEDIUM


def test_drawn_spis() -> None:
    wire = Wire()
    for number in range(6):
        wire.init(number)
    assert "predictable-spi" not in audited(wire.case())


def test_spis_that_come_again() -> None:
    wire = Wire()
    for number in range(2):
        wire.init(number, spis=(0x1234567812345678, 0xA000 + number * 0x1111_1111_1111), there=f"198.51.100.{number}")
    found = audited(wire.case())
    assert any("1234567812345678" in one.title for one in found["predictable-spi"])


# Responders


def flood(count: int, gap_ms: float = 50) -> Wire:
    wire = Wire()
    for number in range(count):
        wire.init(number, here=f"203.0.113.{number}", after_ms=gap_ms)
    return wire


def test_floods_without_cookies() -> None:
    (finding,) = audited(flood(30).case())["no-flood-protection"]
    assert (finding.subject, finding.severity) == (THERE, Severity.MEDIUM)
    assert "30 half-open IKE SAs" in finding.title
    assert finding.frames[:2] == (1, 2)


def test_few_or_slow_ones_are_no_flood() -> None:
    assert "no-flood-protection" not in audited(flood(12).case())
    assert "no-flood-protection" not in audited(flood(30, gap_ms=10_000).case())


def test_a_better_choice_is_no_downgrade() -> None:
    wire = Wire()
    offer = proposal((1, 12, 128), (1, 12, 256), (2, 5), (3, 12), (4, 19), (4, 14))
    wire.init(1, offer=offer, choice=proposal((1, 12, 256), (2, 5), (3, 12), (4, 19)))
    assert "downgrade-possible" not in audited(wire.case())
    wire = Wire()
    wire.init(1, offer=offer, choice=proposal((1, 12, 128), (2, 5), (3, 12), (4, 19)))
    (finding,) = audited(wire.case())["downgrade-possible"]
    assert (finding.severity, finding.frames) == (Severity.INFO, (1, 2))


# Post-quantum


def test_post_quantum() -> None:
    assert "no-post-quantum" not in shipped("v2-pq-mlkem-a", with_keys=False)
    (finding,) = shipped("v2-psk-aescbc-a")["no-post-quantum"]
    analysis = ipsecanalyze.analyze(next((CAPTURES / "v2-psk-aescbc-a").glob("wan.pcap*")))
    assert f"{sum(flow.octets for flow in analysis.flows):,} octets" in finding.title
    assert finding.severity is Severity.INFO
    assert shipped("v2-psk-aescbc-a", "cnsa-2.0")["no-post-quantum"][0].severity is Severity.MEDIUM
    assert "no-post-quantum" not in shipped("v1-main-psk-a")
    assert shipped("v1-main-cert-a")["no-post-quantum"]


def test_ppk_of_both_sides() -> None:
    for extra, is_protected in (((HASHES, notify(16435)), True), ((HASHES,), False)):
        wire = Wire()
        spis = wire.init(1, extra=extra)
        wire.auth(spis)
        assert ("no-post-quantum" not in audited(wire.case())) is is_protected


def test_ppk_that_was_offered_and_not_used() -> None:
    from ipsecanalyze.ike.payloads import AuthPayload

    wire = Wire()
    wire.auth(wire.init(1, extra=(HASHES, notify(16435))))
    case = wire.case({3: (AuthPayload(type=39, method=2, data=b""),)})
    assert "no-post-quantum" in audited(case)


def test_nothing_sent_yet() -> None:
    wire = Wire()
    wire.auth(wire.init(1))
    (finding,) = audited(wire.case())["no-post-quantum"]
    assert finding.title == "An IKE SA rests on classical key exchange alone"
