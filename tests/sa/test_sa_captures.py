"""IKE SAs of the shipped captures against what tshark counted and what was configured."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from ipsecanalyze.sa.records import Encapsulation
from ipsecanalyze.sa.tracker import Tracker

CAPTURES = Path(__file__).parent.parent / "captures"
SCENARIOS = sorted(path.parent.name for path in CAPTURES.glob("*/expected.json"))

NAMES_V1 = {
    "Identity Protection (Main Mode)": "IDENTITY_PROTECTION",
    "Aggressive": "AGGRESSIVE",
    "Quick Mode": "QUICK_MODE",
    "Informational": "INFORMATIONAL",
    "Transaction": "TRANSACTION",
    "Transaction (Config Mode)": "TRANSACTION",
}
WORDS = {
    "aes128": ("ENCR_AES_CBC", 128), "aes192": ("ENCR_AES_CBC", 192), "aes256": ("ENCR_AES_CBC", 256),
    "aes192ctr": ("ENCR_AES_CTR", 192), "3des": ("ENCR_3DES", None), "aes128ccm16": ("ENCR_AES_CCM_16", 128),
    "aes256gcm16": ("ENCR_AES_GCM_16", 256), "chacha20poly1305": ("ENCR_CHACHA20_POLY1305", None),
    "modp1024": ("MODP_1024", None), "modp1536": ("MODP_1536", None), "modp2048": ("MODP_2048", None),
    "modp3072": ("MODP_3072", None), "ecp256": ("ECP_256", None), "ecp384": ("ECP_384", None),
    "curve25519": ("CURVE25519", None), "ke1_mlkem768": ("ML_KEM_768", None),
}  # fmt: skip


def tracked(kit, scenario: str) -> Tracker:
    tracker = Tracker()
    for datagram in kit.capture(scenario):
        tracker.feed(datagram)
    tracker.finish()
    return tracker


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "v2-tcp-a"])
def test_exchanges_and_spis_are_those_of_tshark(kit, scenario) -> None:
    expected = json.loads((CAPTURES / scenario / "expected.json").read_text())
    tracker = tracked(kit, scenario)
    counted: Counter[str] = Counter()
    for name, count in expected["ike_exchanges"].items():
        plain = re.sub(r" (request|response)$", "", name)
        counted[NAMES_V1.get(plain, plain)] += count
    ours: Counter[str] = Counter()
    for sa in tracker.ike_sas:
        ours.update(sa.exchange_counts)
        assert sum(sa.exchange_counts.values()) == sa.messages == len(sa.frames)
    # tshark counts the messages that ICMP errors quote as messages, and Cisco fragments once put together.
    quoted = sum(len(sa.icmp_errors) for sa in tracker.ike_sas)
    assert ours.total() == counted.total() - quoted or scenario == "v1-main-cert-a"
    assert ours.keys() == counted.keys()
    if not quoted and scenario != "v1-main-cert-a":
        assert ours == counted
    responders = {f"{sa.initiator.spi:016x}/{sa.responder.spi:016x}" for sa in tracker.ike_sas}
    pairs = {pair for pair in expected["ike_spi_pairs"] if not pair.endswith("/0000000000000000")}
    assert {pair for pair in responders if not pair.endswith("/0000000000000000")} == pairs


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_suites_versions_and_modes_are_those_configured(kit, scenario) -> None:
    meta = json.loads((CAPTURES / scenario / "meta.json").read_text())
    tracker = tracked(kit, scenario)
    proposal = meta.get("ike_proposal")
    chosen = [sa for sa in tracker.ike_sas if sa.chosen]
    for sa in tracker.ike_sas:
        assert sa.version == f"{meta['ike_version']}.0"
        if meta["ike_version"] == 1:
            assert sa.mode is not None
            assert meta.get("exchange_mode") in (sa.mode.value, None)
    if not isinstance(proposal, str) or not chosen:
        return
    words = re.split(r"[-;]", proposal)
    wanted = {WORDS[word] for word in words if word in WORDS}
    names = {(a.name, a.key_length) for a in chosen[0].chosen}
    missing = wanted - names
    # A scenario that offers two groups gets one of them.
    assert not missing or {name.split("_")[0] for name, _ in missing} == {"MODP"}
    for word, integrity in (("sha1", "SHA1"), ("sha256", "SHA2_256"), ("sha384", "SHA2_384"), ("sha512", "SHA2_512")):
        if word in words or f"prf{word}" in words:
            assert any(integrity in name for name, _ in names)


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "v2-tcp-a"])
def test_nat_verdicts_are_what_was_set_up(kit, scenario) -> None:
    meta = json.loads((CAPTURES / scenario / "meta.json").read_text())
    for sa in tracked(kit, scenario).ike_sas:
        if sa.initiator.behind_nat is not None and not scenario.startswith("v2-cookie"):
            assert sa.initiator.behind_nat is bool(meta["nat"])
        assert not sa.responder.behind_nat


def test_ike_in_tcp(kit) -> None:
    (sa,) = tracked(kit, "v2-tcp-a").ike_sas
    assert sa.encapsulation is Encapsulation.TCP
    assert sa.exchange_counts == {"IKE_SA_INIT": 2, "IKE_AUTH": 2, "INFORMATIONAL": 2}


def test_no_shipped_capture_causes_a_notice(kit) -> None:
    told = {scenario: tracked(kit, scenario).notices for scenario in SCENARIOS}
    assert {scenario: notices for scenario, notices in told.items() if notices} == {}
