"""Algorithms: what meta.json of each shipped capture says was chosen is told exactly, by every profile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze.findings import Certainty, Finding, Severity
from ipsecanalyze.findings.audit.negotiated import algorithms_of_flow
from ipsecanalyze.findings.audit.profile import profile_names

sys.path.insert(0, str(Path(__file__).parent))
from audit_made import HERE, SA_V1, THERE, Wire, audited, message, proposal, proposal_v1

CAPTURES = Path(__file__).parents[1] / "captures"
#: Words of proposals → (kind, names of what they stand for in IKE, in ESP).
WORDS = {
    "3des": ("encryption", "ENCR_3DES"),
    "null": ("null", "ENCR_NULL"),
    "chacha20poly1305": ("encryption", "ENCR_CHACHA20_POLY1305"),
    "modp1024": ("key-exchange", "MODP_1024"),
    "modp1536": ("key-exchange", "MODP_1536"),
    "modp2048": ("key-exchange", "MODP_2048"),
    "modp3072": ("key-exchange", "MODP_3072"),
    "ecp256": ("key-exchange", "ECP_256"),
    "ecp384": ("key-exchange", "ECP_384"),
    "curve25519": ("key-exchange", "CURVE25519"),
    "ke1_mlkem768": ("key-exchange", "ML_KEM_768"),
}
HASHES = {
    "sha1": ("SHA1", "AUTH_HMAC_SHA1_96"),
    "sha256": ("SHA2_256", "AUTH_HMAC_SHA2_256_128"),
    "sha2_256": ("SHA2_256", "AUTH_HMAC_SHA2_256_128"),
    "sha384": ("SHA2_384", "AUTH_HMAC_SHA2_384_192"),
    "sha512": ("SHA2_512", "AUTH_HMAC_SHA2_512_256"),
}
#: What each profile advises against, of what the corpus has: written here once more, from the documents.
WEAK = {
    "rfc": {"ENCR_3DES", "PRF_HMAC_SHA1", "SHA1", "AUTH_HMAC_SHA1_96", "MODP_1024", "MODP_1536"},
    "nist-800-77r1": {
        *("ENCR_3DES", "ENCR_CHACHA20_POLY1305", "PRF_HMAC_SHA1", "SHA1", "AUTH_HMAC_SHA1_96"),
        *("MODP_1024", "MODP_1536", "CURVE25519"),
    },
    "bsi-tr-02102-3": {
        *("ENCR_3DES", "PRF_HMAC_SHA1", "SHA1", "AUTH_HMAC_SHA1_96"),
        *("MODP_1024", "MODP_1536", "MODP_2048"),
    },
    "cnsa-2.0": {
        *("ENCR_3DES", "ENCR_CHACHA20_POLY1305", "ENCR_AES_CBC-128", "ENCR_AES_GCM_16-128", "ENCR_AES_CCM_16-128"),
        *("ENCR_AES_CTR-192", "PRF_HMAC_SHA1", "SHA1", "PRF_HMAC_SHA2_256", "SHA2_256", "AUTH_HMAC_SHA1_96"),
        *("AUTH_HMAC_SHA2_256_128", "MODP_1024", "MODP_1536", "MODP_2048", "CURVE25519", "ECP_256", "ML_KEM_768"),
    },
}
CIPHER = re.compile(r"aes(128|192|256)(gcm16|ccm16|ctr|gmac|)")
MODES = {"": "AES_CBC", "gcm16": "AES_GCM_16", "ccm16": "AES_CCM_16", "ctr": "AES_CTR"}


#: No common proposal; cut before the proposals; refused by the other side.
UNREADABLE = ("v1-noprop-a", "v2-noprop-ike-a", "v2-snap96-a")
METAS = {
    path.parent.name: meta
    for path in sorted(CAPTURES.glob("*/meta.json"))
    if isinstance((meta := json.loads(path.read_text())).get("ike_proposal"), str)
    and path.parent.name not in UNREADABLE
}


def names_in(proposal_text: str, *, is_ike: bool, version: int) -> set[str]:
    """The algorithms that a proposal of strongSwan or libreswan stands for."""
    found = set()
    words = re.split(r"[-;]", proposal_text.removeprefix("ESP ").removeprefix("AH "))
    is_aead = "gcm16" in proposal_text or "ccm16" in proposal_text or "chacha" in proposal_text
    for word in words:
        cipher = CIPHER.fullmatch(word)
        if cipher and cipher[2] != "gmac":
            found.add(f"ENCR_{MODES[cipher[2]]}-{cipher[1]}")
        elif word in WORDS:
            found.add(WORDS[word][1])
        elif word.removeprefix("prf") in HASHES:
            name, integrity = HASHES[word.removeprefix("prf")]
            if is_ike:
                found.add(name if version == 1 else f"PRF_HMAC_{name}")
            if not (is_ike and (version == 1 or is_aead)):
                found.add(integrity)
    return found


@cache
def analysis(name: str, *, with_keys: bool) -> ipsecanalyze.Analysis:
    folder = CAPTURES / name
    keys = [folder / "keys"] if with_keys and (folder / "keys").is_dir() else None
    return ipsecanalyze.analyze(next(iter(sorted(folder.glob("wan.pcap*")))), keys=keys)


def told(findings: list[Finding], protocols: str) -> set[str]:
    """The algorithms that findings on chosen ones name in their titles."""
    slugs = ("weak-encryption", "weak-prf", "weak-integrity", "weak-key-exchange")
    found = set()
    for finding in findings:
        match = re.search(rf"chosen for ({protocols}): (.+)", finding.title)
        if finding.slug in slugs and match:
            found |= set(re.split(r", | and ", match[2]))
    return found


@pytest.mark.parametrize("profile", profile_names())
@pytest.mark.parametrize("name", METAS)
def test_what_was_chosen_is_told_exactly(name: str, profile: str) -> None:
    meta = METAS[name]
    version = meta["ike_version"]
    wanted = names_in(meta["ike_proposal"], is_ike=True, version=version) & WEAK[profile]
    if name == "v2-invalid-ke-a":
        wanted.discard("MODP_2048")  # offered first; the responder wanted and got MODP_3072
    without = analysis(name, with_keys=False).audit(profile)
    assert told(without, "IKE") == wanted
    assert told(without, "ESP|AH") == set()
    if not any(child.chosen for child in analysis(name, with_keys=True).child_sas):
        return
    inside = names_in(str(meta["child_proposal"]), is_ike=False, version=version) & WEAK[profile]
    if "rekey-pfs" not in name:
        inside -= {"MODP_2048", "MODP_1536"}
    with_keys = analysis(name, with_keys=True).audit(profile)
    assert told(with_keys, "IKE") == wanted
    assert told(with_keys, "ESP|AH") == inside


ODD = {"3des", "sha1", "null", "modp1024", "modp1536", "aes128gmac"}
STRONG = [
    name
    for name, meta in METAS.items()
    if not ODD & set(re.split(r"[- ;]", f"{meta['ike_proposal']} {meta['child_proposal']}"))
    and meta["ike_version"] == 2
]


@pytest.mark.parametrize("with_keys", [False, True])
@pytest.mark.parametrize("name", STRONG)
def test_strong_tunnels_have_nothing_high_by_the_rfcs(name: str, with_keys: bool) -> None:
    findings = analysis(name, with_keys=with_keys).audit("rfc")
    assert not [(one.slug, one.title) for one in findings if one.severity >= Severity.HIGH]


def test_null_encryption_with_keys_and_without() -> None:
    for name, frames in (("v2-null-a", {6}), ("v2-gmac-a", {4})):
        (finding,) = (one for one in analysis(name, with_keys=True).audit() if one.slug == "null-encryption")
        assert (finding.severity, finding.certainty) == (Severity.CRITICAL, Certainty.OBSERVED)
        assert set(finding.frames) == frames
        (finding,) = (one for one in analysis(name, with_keys=False).audit() if one.slug == "null-encryption")
        assert (finding.severity, finding.certainty) == (Severity.CRITICAL, Certainty.INFERRED)


def test_flows_of_manual_keys_are_judged_by_the_key_that_opens_them() -> None:
    findings = analysis("manual-algos-tunnel-a", with_keys=True).audit()
    told_of = {(one.slug, one.severity) for one in findings}
    assert ("weak-encryption", Severity.CRITICAL) in told_of  # DES
    assert ("weak-integrity", Severity.HIGH) in told_of  # HMAC-MD5
    assert ("null-encryption", Severity.CRITICAL) in told_of
    flows = analysis("manual-algos-tunnel-a", with_keys=True).flows
    assert all(algorithms_of_flow(flow) for flow in flows if flow.opening is not None and flow.opening.opened)


def test_volume_of_small_blocks() -> None:
    findings = [one for one in analysis("v2-3des-weak-a", with_keys=True).audit() if one.slug == "small-block-volume"]
    assert len(findings) == 2
    assert all(one.severity is Severity.LOW for one in findings)
    assert any("219,456 octets" in one.title for one in findings)


# Offers


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("v1-noprop-a", {"ENCR_3DES", "MD5", "MODP_1024"}),
        ("v2-noprop-ike-a", {"AUTH_HMAC_SHA1_96", "PRF_HMAC_SHA1"}),
    ],
)
def test_offers_that_were_refused(name: str, names: set[str]) -> None:
    findings = analysis(name, with_keys=False).audit()
    (finding,) = (one for one in findings if one.slug == "weak-offer")
    assert set(re.split(r", | and ", finding.title.split(": ")[1])) == names
    assert finding.severity is Severity.LOW
    assert not [one for one in findings if one.slug.startswith("weak-") and one.slug != "weak-offer"]


def test_what_was_only_offered_is_kept_apart() -> None:
    wire = Wire()
    offer = proposal((1, 20, 256), (1, 3), (1, 2), (2, 5), (2, 1), (4, 19), (4, 2))
    wire.init(1, offer=offer, choice=proposal((1, 20, 256), (2, 5), (4, 19)))
    found = audited(wire.case())
    (finding,) = found["weak-offer"]
    assert (finding.severity, finding.frames) == (Severity.LOW, (1,))
    for name in ("ENCR_3DES", "ENCR_DES", "PRF_HMAC_MD5", "MODP_1024"):
        assert name in finding.explanation
    assert "ENCR_AES_GCM_16-256 were" not in finding.explanation
    assert not {"weak-encryption", "weak-prf", "weak-key-exchange"} & found.keys()
    assert "downgrade-possible" not in found


def test_a_weak_choice_is_no_offer_and_a_downgrade() -> None:
    wire = Wire()
    offer = proposal((1, 12, 256), (1, 2), (2, 5), (3, 12), (4, 14), (4, 1))
    wire.init(1, offer=offer, choice=proposal((1, 2), (2, 5), (3, 12), (4, 1)), group=14)
    found = audited(wire.case())
    assert found["weak-encryption"][0].severity is Severity.CRITICAL
    assert found["weak-key-exchange"][0].severity is Severity.CRITICAL
    assert found["weak-encryption"][0].frames == (2,)
    assert "weak-offer" not in found
    (finding,) = found["downgrade-possible"]
    assert (finding.severity, finding.frames) == (Severity.MEDIUM, (1, 2))
    assert "ENCR_DES though ENCR_AES_CBC-256 was offered" in finding.explanation


def test_a_refused_offer_is_an_offer() -> None:
    wire = Wire()
    wire.init(1, offer=proposal((1, 3), (2, 5), (3, 2), (4, 2)), group=14, answer=False)
    wire.send(b"", THERE, HERE)
    wire.sent.pop()
    (finding,) = audited(wire.case())["weak-offer"]
    assert "chosen was nothing" in finding.explanation


def test_many_sas_of_two_gateways_are_one_finding() -> None:
    wire = Wire()
    for number in range(40):
        wire.init(number, offer=proposal((1, 3), (2, 5), (3, 12), (4, 19)))
    (finding,) = audited(wire.case())["weak-encryption"]
    assert len(finding.frames) == 32
    assert "39 more IKE SAs" in finding.explanation


def test_years_with_an_end_are_those_of_the_capture() -> None:
    wire = Wire()
    wire.init(1, offer=proposal((1, 12, 256), (2, 5), (3, 12), (4, 14)), group=14)
    assert audited(wire.case(), "bsi-tr-02102-3")["weak-key-exchange"][0].severity is Severity.MEDIUM
    wire = Wire(time_ns=1_600_000_000_000_000_000)  # 2020
    wire.init(1, offer=proposal((1, 12, 256), (2, 5), (3, 12), (4, 14)), group=14)
    assert audited(wire.case(), "bsi-tr-02102-3")["weak-key-exchange"][0].severity is Severity.LOW


def test_the_profile_says_what_to_use() -> None:
    wire = Wire()
    wire.init(1, offer=proposal((1, 20, 256), (2, 7), (4, 19)))
    (finding,) = audited(wire.case(), "cnsa-2.0")["weak-key-exchange"]
    assert "ML_KEM_1024" in finding.remedy
    assert HERE in finding.explanation


@pytest.mark.parametrize(
    ("name", "slug", "display_filter"),
    [
        ("v2-3des-weak-a", "weak-encryption", "isakmp.tf.id.encr == 3 && isakmp.flag_r == 1"),
        ("v2-3des-weak-a", "weak-prf", "isakmp.tf.id.prf == 2 && isakmp.flag_r == 1"),
        ("v2-3des-weak-a", "weak-integrity", "isakmp.tf.id.integ == 2 && isakmp.flag_r == 1"),
        ("v2-3des-weak-a", "weak-key-exchange", "isakmp.tf.id.dh == 2 && isakmp.flag_r == 1"),
        ("v1-aggr-psk-a", "weak-prf", "isakmp.ike.attr.hash_algorithm == 2 && ip.src == 198.51.100.1"),
        ("v1-aggr-psk-a", "identity-exposed", "isakmp.id.data.fqdn"),
        ("v1-main-cert-a", "identity-exposed", "isakmp.ike.certreq.authority.sig"),
        ("v1-xauth-a", "weak-authentication", "isakmp.ike.attr.authentication_method == 65001"),
        ("v2-null-a", "null-encryption", "esp"),
        ("v2-psk-aescbc-a", "no-post-quantum", "isakmp.exchangetype == 34"),
    ],
)
def test_evidence_by_tshark(name: str, slug: str, display_filter: str, tshark_path: str) -> None:
    capture = next(iter(sorted((CAPTURES / name).glob("wan.pcap*"))))
    command = [tshark_path, "-n", "-r", capture, "-Y", display_filter, "-T", "fields", "-e", "frame.number"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = set(map(int, done.stdout.split()))
    findings = [one for one in analysis(name, with_keys=False).audit() if one.slug == slug]
    assert findings
    for finding in findings:
        assert finding.frames
        assert set(finding.frames) <= shown


# IKE itself, and what no profile knows


def chosen(*transforms: tuple[int, int] | tuple[int, int, int], group: int = 14, profile: str = "rfc"):
    octets = {31: 32, 20: 96, 25: 48}.get(group, 256)
    wire = Wire()
    wire.init(1, offer=proposal(*transforms), group=group, publics=(b"\x55" * octets, b"\x56" * octets))
    return audited(wire.case(), profile)


@pytest.mark.parametrize("encryption", [(1, 11), (1, 21, 128)], ids=["NULL", "GMAC"])
def test_an_ike_sa_that_encrypts_nothing(encryption: tuple[int, ...]) -> None:
    (finding,) = chosen(encryption, (2, 5), (3, 12), (4, 14))["null-encryption"]
    assert (finding.severity, finding.frames) == (Severity.CRITICAL, (2,))
    assert finding.title.startswith("IKE encrypts nothing")


@pytest.mark.parametrize("transforms", [(), ((3, 0),)], ids=["missing", "NONE"])
def test_an_ike_sa_without_integrity(transforms: tuple[tuple[int, int], ...]) -> None:
    (finding,) = chosen((1, 12, 128), (2, 5), *transforms, (4, 14))["no-integrity"]
    assert (finding.severity, finding.frames) == (Severity.CRITICAL, (2,))
    assert "no-integrity" not in chosen((1, 20, 128), (2, 5), *transforms, (4, 14))


def test_ikev1_has_no_transform_for_integrity() -> None:
    wire = Wire()
    suite = proposal_v1((1, 7), (14, 256), (2, 4), (3, 1), (4, 14))
    wire.send(message(5, 0, 2, 0, 0, (SA_V1, suite), version=0x10), HERE, THERE)
    wire.send(message(5, 6, 2, 0, 0, (SA_V1, suite), version=0x10), THERE, HERE)
    assert "no-integrity" not in audited(wire.case())


def test_strong_algorithms_beyond_a_standard_are_not_called_weak() -> None:
    (finding,) = chosen((1, 20, 256), (2, 5), (4, 31), group=31, profile="nist-800-77r1")["weak-key-exchange"]
    assert finding.title == "Key exchange beyond what the profile allows was chosen for IKE: CURVE25519"
    (finding,) = chosen((1, 20, 256), (2, 7), (4, 20), (6, 36), group=20, profile="cnsa-2.0")["weak-key-exchange"]
    assert finding.title.startswith("Key exchange beyond")


def test_groups_that_no_standard_mentions_any_more() -> None:
    (finding,) = chosen((1, 20, 256), (2, 5), (4, 25), group=25)["weak-key-exchange"]
    assert (finding.severity, finding.references) == (Severity.MEDIUM, ("SP 800-57pt1r5 §5.6.1",))
    assert "96 bits" in finding.explanation
    assert "weak-key-exchange" not in chosen((1, 20, 256), (2, 5), (4, 15))
