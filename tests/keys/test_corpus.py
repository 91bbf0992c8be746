"""Every source that a scenario has agrees with what its makers read from the kernel and the logs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.keys import load_keys
from ipsecanalyze.keys.suites import icv_octets_of

AEAD = {
    "rfc4106(gcm(aes))": (20, 4),
    "rfc4309(ccm(aes))": (16, 3),
    "rfc4543(gcm(aes))": (21, 4),
    "rfc7539esp(chacha20,poly1305)": (28, 4),
}
ENCRYPTION = {
    "cbc(aes)": 12,
    "cbc(des3_ede)": 3,
    "cbc(des)": 2,
    "cbc(cast5)": 6,
    "cbc(blowfish)": 7,
    "cbc(camellia)": 23,
    "cbc(serpent)": 1026,
    "cbc(twofish)": 1027,
    "rfc3686(ctr(aes))": 13,
    "ecb(cipher_null)": 11,
}
INTEGRITY = {
    "hmac(md5)": 1,
    "hmac(sha1)": 2,
    "xcbc(aes)": 5,
    "cmac(aes)": 8,
    "hmac(sha256)": 12,
    "hmac(sha384)": 13,
    "hmac(sha512)": 14,
}
#: pluto asks the kernel what it can do by an SA of no use, with other keys each time.
PROBE = 0x01000000
Facts = tuple[str, int, bytes, int, bytes, int]


def truth(folder: Path) -> dict[tuple[str, int], Facts]:
    """(protocol, SPI) → what the SA's keys are."""
    found = {}
    for sa in json.loads((folder / "keys" / "sas.json").read_text()):
        if sa["proto"] not in ("esp", "ah"):
            continue
        if sa.get("aead"):
            key = bytes.fromhex(sa["aead_key"][2:])
            encryption, _ = AEAD[sa["aead"]]
        else:
            key = bytes.fromhex((sa.get("enc_key") or "0x")[2:])
            encryption = ENCRYPTION[sa["enc"]] if sa.get("enc") else 11
        integrity = INTEGRITY[sa["auth"]] if sa.get("auth") else 0
        octets = sa["icv_bits"] // 8 if sa.get("icv_bits") else 0
        auth_key = bytes.fromhex(sa["auth_key"][2:]) if sa.get("auth") else b""
        found[sa["proto"].upper(), int(sa["spi"], 16)] = (
            sa["proto"].upper(), encryption, key, integrity, auth_key, octets,
        )  # fmt: skip
    return found


def facts(keys: EspKeys) -> Facts:
    """The same of keys that were read."""
    key = keys.encryption_key + keys.salt
    return (keys.protocol, keys.encryption, key, keys.integrity, keys.integrity_key, icv_octets_of(keys))


def sources(folder: Path) -> list[Path]:
    return [path for path in sorted((folder / "keys").iterdir()) if path.name not in ("sas.json", "ike_keys.json.gz")]


def test_sources_agree_with_the_kernel(scenario: Path) -> None:
    known = truth(scenario)
    for path in sources(scenario):
        ring = load_keys(path)
        assert all(problem.what.startswith("no keys in it") for problem in ring.problems), ring.problems
        for keys in ring.esp:
            if keys.spi is None or keys.spi == PROBE:
                continue
            expected = known[keys.protocol, keys.spi]
            if keys.is_checked:
                assert facts(keys) == expected, path
            else:  # Wireshark's tables cannot name XCBC and CMAC
                assert facts(keys)[1:3] == expected[1:3]
                assert keys.icv_octets == expected[5]


def test_the_monitor_has_every_sa(scenario: Path) -> None:
    ring = load_keys(sorted((scenario / "keys").glob("xfrm-monitor-*")))
    assert {(keys.protocol, keys.spi) for keys in ring.esp} >= set(truth(scenario))


def test_a_folder_is_all_its_files(scenario: Path) -> None:
    ring = load_keys(scenario / "keys")
    assert {(keys.protocol, keys.spi) for keys in ring.esp if keys.spi is not None} == set(truth(scenario))
    assert not ring.problems
    # However many sources there are, an SA's keys are there once, but for what a table cannot name.
    # NAT and MOBIKE give it other addresses.
    checked = [(k.protocol, k.spi, k.source, k.destination) for k in ring.esp if k.is_checked and k.spi != PROBE]
    assert len(checked) == len(set(checked))


LOGS = sorted((Path(__file__).parents[1] / "captures").glob("*/keys/charon-*.log.gz"))
V2 = {
    "Sk_d secret": "sk_d",
    "Sk_ai secret": "sk_ai",
    "Sk_ar secret": "sk_ar",
    "Sk_ei secret": "sk_ei",
    "Sk_er secret": "sk_er",
    "Sk_pi secret": "sk_pi",
    "Sk_pr secret": "sk_pr",
    "SKEYSEED": "skeyid",
}
V1 = {
    "SKEYID": "skeyid",
    "SKEYID_d": "sk_d",
    "SKEYID_a": "sk_ai",
    "SKEYID_e": "skeyid_e",
    "encryption key Ka": "sk_ei",
}


@pytest.mark.parametrize("log", LOGS, ids=lambda path: f"{path.parents[1].name}-{path.name}")
def test_charon_gives_all_keys_of_ike_sas_in_order(log: Path) -> None:
    gateway = log.name.split("-")[1].partition(".")[0]
    entries = json.loads(gzip.decompress((log.parent / "ike_keys.json.gz").read_bytes()))
    entries = [entry for entry in entries if entry["gateway"] == gateway]
    ring = load_keys(log)
    assert not ring.problems
    for version, names in ((2, V2), (1, V1)):
        for label, name in names.items():
            expected = [bytes.fromhex(entry["hex"]) for entry in entries if entry["name"] == label]
            assert [
                getattr(keys, name) for keys in ring.ike if keys.version == version and getattr(keys, name)
            ] == expected
    labels = ("key exchange secret", "DH secret", "shared Diffie Hellman secret")
    secrets = [bytes.fromhex(entry["hex"]) for entry in entries if entry["name"] in labels]
    assert {secret.value for secret in ring.shared_secrets} >= set(secrets)
    spis = [tuple(int(text, 16) for text in entry["spis"]) for entry in entries if "spis" in entry]
    for keys, expected_spis in zip(ring.ike, spis, strict=False):
        assert (keys.spi_i, keys.spi_r) in (expected_spis, (0, 0))


@pytest.mark.parametrize("log", LOGS, ids=lambda path: f"{path.parents[1].name}-{path.name}")
def test_charon_ties_each_key_to_its_spi(log: Path) -> None:
    known = truth(log.parents[1])
    found = {(keys.protocol, keys.spi): keys for keys in load_keys(log).esp}
    assert set(found) == set(known)
    addresses = {
        (sa["proto"].upper(), int(sa["spi"], 16)): (sa["src"], sa["dst"])
        for sa in json.loads((log.parent / "sas.json").read_text())
    }
    for place, keys in found.items():
        assert facts(keys) == known[place]
        assert (keys.source, keys.destination) == addresses[place]


def test_generations_of_rfc_9370_stay_apart_and_ordered() -> None:
    folder = Path(__file__).parents[1] / "captures" / "v2-pq-mlkem-a" / "keys"
    ring = load_keys(folder)
    assert len(ring.ike) == 2
    first, second = ring.ike_for(0x1E2D97F4C4E8CA25, 0x5D41EA2086A53A44)
    assert first.sk_ei.hex().startswith("6ac9ed68")
    assert second.sk_ei.hex().startswith("02008e66")
    assert [secret.method for secret in ring.shared_secrets_for(first.spi_i, first.spi_r)] == [31, 36]


def test_a_table_completes_what_the_log_did_not_say() -> None:
    """charon does not log the SPIs of a rekeyed IKE SA; save-keys writes them."""
    folder = Path(__file__).parents[1] / "captures" / "v2-rekey-pfs-a" / "keys"
    ring = load_keys(folder)
    assert len(ring.ike) == 2
    assert all(keys.spi_i and keys.spi_r and keys.sk_d for keys in ring.ike)
    alone = load_keys(folder / "charon-moon.log.gz")
    assert [bool(keys.spi_i) for keys in alone.ike] == [True, False]
    assert [keys.sk_d for keys in alone.ike_for(0x518F93DC3ECD9081, 0x323D8AA8F648C945)] == [alone.ike[1].sk_d]


def test_psks() -> None:
    captures = Path(__file__).parents[1] / "captures"
    strongswan = load_keys(captures / "v2-psk-aescbc-a" / "keys")
    assert [psk.value for psk in strongswan.psks] == [b"corpus-psk-Alpha-7391"]
    libreswan = load_keys(captures / "lsw-v2-a" / "keys")
    assert [psk.value for psk in libreswan.psks] == [b"corpus-psk-Alpha-7391"]
    assert libreswan.psks[0].identities == ("@moon.corpus.example", "@sun.corpus.example")
