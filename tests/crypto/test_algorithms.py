"""Ciphers, MACs and PRFs against the vectors of NIST and of the RFCs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto.ciphers import InvalidTag, camellia_ccm, cbc, ccm, ctr, gcm
from ipsecanalyze.crypto.encryption import ENCRYPTION, encryption_algorithm
from ipsecanalyze.crypto.integrity import INTEGRITY, aes_cmac, aes_xcbc, integrity_algorithm
from ipsecanalyze.crypto.prf import PRFS, prf_algorithm
from ipsecanalyze.errors import DecryptError

from .conftest import outcome

H = bytes.fromhex


def test_gcm_of_nist(vectors):
    rows = vectors("algorithms")["gcm"]
    assert {len(row["tag"]) // 2 for row in rows} == {8, 12, 16}
    for row in rows:
        opener = gcm(H(row["key"]), len(row["tag"]) // 2)
        sealed = H(row["ct"]) + H(row["tag"])
        if row["pt"] is None:
            with pytest.raises(InvalidTag):
                opener(H(row["iv"]), sealed, H(row["aad"]))
        else:
            assert opener(H(row["iv"]), sealed, H(row["aad"])).hex() == row["pt"]


@pytest.mark.parametrize("make", [ccm, lambda key, icv: camellia_ccm(key, icv, "AES")], ids=["library", "built"])
def test_ccm_of_nist(vectors, make):
    rows = vectors("algorithms")["ccm"]
    assert {row["icv"] for row in rows} == {8, 12, 16}
    for row in rows:
        opener = make(H(row["key"]), row["icv"])
        sealed = H(row["ct"])
        assert opener(H(row["nonce"]), sealed, H(row["aad"])).hex() == row["pt"]
        with pytest.raises(InvalidTag):
            opener(H(row["nonce"]), sealed[:-1] + bytes((sealed[-1] ^ 1,)), H(row["aad"]))


def test_ctr_of_rfc_3686(vectors):
    for row in vectors("algorithms")["ctr"]:
        block = H(row["block"])
        assert block[12:] == b"\x00\x00\x00\x01"
        assert ctr("AES", H(row["key"]), block[:4])(block[4:12] + H(row["ct"])).hex() == row["pt"]


def test_ctr_built_on_blocks_equals_the_library(vectors):
    from ipsecanalyze.crypto.ciphers import _keystream

    for row in vectors("algorithms")["ctr"]:
        assert _keystream("AES", H(row["key"]))(int(row["block"], 16), H(row["ct"])).hex() == row["pt"]


@pytest.mark.parametrize(
    ("name", "cipher", "block"), [("camellia_cbc", "Camellia", 16), ("triple_des_cbc", "TripleDES", 8)]
)
def test_cbc(vectors, name, cipher, block):
    for row in vectors("algorithms")[name]:
        decrypt = cbc(cipher, H(row["key"]), block)
        for _ in range(2):  # one context for all packets
            assert decrypt(H(row["iv"]) + H(row["ct"])).hex() == row["pt"]


def test_cbc_of_old_ciphers(vectors):
    rows = vectors("algorithms")["cbc"]
    assert {row["cipher"] for row in rows} >= {"Blowfish", "CAST5"}
    for row in rows:
        decrypt = cbc(row["cipher"], H(row["key"]), 8)
        assert decrypt(H(row["iv"]) + H(row["ct"])).hex() == row["pt"]


def test_cbc_of_rfc_3602(vectors):
    for key, iv, plain, sealed in vectors("rfc")["cbc"]:
        decrypt = encryption_algorithm(12).decrypter(H(key), b"")
        assert decrypt(H(iv) + H(sealed)).hex() == plain
        assert bytes(decrypt(memoryview(H(iv) + H(sealed)))).hex() == plain


def test_hmac(vectors):
    by_hash = {"md5": 6, "sha1": 7, "sha256": 12, "sha384": 13, "sha512": 14}
    rows = vectors("algorithms")["hmac"]
    assert {row["hash"] for row in rows} == set(by_hash)
    for row in rows:
        mac = integrity_algorithm(by_hash[row["hash"]]).mac(H(row["key"]))
        message, size = H(row["message"]), len(row["mac"]) // 2
        for _ in range(2):
            assert mac(message, b"")[:size].hex() == row["mac"]
            assert mac(message[:3], message[3:])[:size].hex() == row["mac"]


def test_hmac_icv_of_rfc_4868(vectors):
    for number, key, message, icv in vectors("rfc")["hmac_icv"]:
        row = integrity_algorithm(number)
        assert row.mac(H(key) * row.key_octets)(H(message), b"")[: row.icv_octets].hex() == icv


def test_cmac(vectors):
    for row in vectors("algorithms")["cmac"]:
        message = H(row["message"])
        assert aes_cmac(H(row["key"]))(message, b"").hex() == row["mac"]
        assert aes_cmac(H(row["key"]))(message[:5], message[5:]).hex() == row["mac"]


def test_xcbc(vectors):
    vector = vectors("rfc")["xcbc"]
    mac = aes_xcbc(H(vector["key"]))
    for _ in range(2):  # the chain of one message must not reach the next one
        for message, expected in vector["macs"]:
            assert mac(H(message), b"").hex() == expected
            assert mac(H(message)[:3], H(message)[3:]).hex() == expected


def test_prf_on_aes(vectors):
    vector = vectors("rfc")["prf"]
    for number, key, output in vector["outputs"]:
        assert prf_algorithm(number).compute(H(key), H(vector["message"])).hex() == output


def test_prf_plus_is_made_of_rounds():
    for number in PRFS:
        row = prf_algorithm(number)
        first = row.compute(b"key", b"seed\x01")
        second = row.compute(b"key", first + b"seed\x02")
        assert row.expand(b"key", b"seed", row.octets + 3) == first + second[:3]
        assert row.expand(b"key", b"seed", 0) == b""
        assert len(row.expand(b"key", b"seed", 255 * row.octets)) == 255 * row.octets
        with pytest.raises(DecryptError):
            row.expand(b"key", b"seed", 255 * row.octets + 1)


def test_seed_key_takes_half_of_the_nonces_on_aes():
    nonces = b"i" * 16, b"r" * 32
    assert prf_algorithm(5).seed_key(*nonces) == b"i" * 16 + b"r" * 32
    assert prf_algorithm(4).seed_key(*nonces) == prf_algorithm(8).seed_key(*nonces) == b"i" * 8 + b"r" * 8


@pytest.mark.parametrize("number", [0, 4, 9, 10, 22, 32, 999, 65535])
def test_unknown_encryption_is_told(number):
    with pytest.raises(DecryptError) as caught:
        encryption_algorithm(number).decrypter(bytes(16), b"")
    assert caught.value.slug == "unsupported"


def test_what_the_library_lacks_is_told():
    for number, name in ((4, "RC5"), (1026, "Serpent"), (1027, "Twofish")):
        row = encryption_algorithm(number)
        with pytest.raises(DecryptError, match=f"the cryptographic library has no {name}") as caught:
            row.decrypter(bytes(16), b"")
        assert caught.value.slug == "unsupported"
        assert row.iv_octets == row.block_octets
    with pytest.raises(DecryptError, match="has no Serpent"):
        cbc("Serpent", bytes(16), 16)
    for lookup in (lambda: prf_algorithm(3), lambda: integrity_algorithm(99), lambda: integrity_algorithm(3).mac(b"k")):
        with pytest.raises(DecryptError) as caught:
            lookup()
        assert caught.value.slug == "unsupported"


def test_every_row_makes_its_opener_for_each_key_size():
    for row in ENCRYPTION.values():
        if row.mode == "none":
            continue
        for size in row.key_octets or (0,):
            make = row.aead if row.is_aead else row.decrypter
            assert callable(make(bytes(range(1, size + 1)), bytes(row.salt_octets)))
    for row in INTEGRITY.values():
        if row.make:
            assert len(row.mac(bytes(row.key_octets))(b"", b"")) >= row.icv_octets


@given(st.sampled_from(sorted(ENCRYPTION)), st.binary(max_size=70), st.binary(max_size=5))
def test_keys_of_any_size_open_or_are_told(number, key, salt):
    row = ENCRYPTION[number]
    make = row.aead if row.is_aead else row.decrypter
    assert outcome(make, key, salt) in {"", "key-length", "salt-length", "unsupported"}


def test_key_sizes():
    assert encryption_algorithm(12).key_size(256) == 32
    assert encryption_algorithm(28).key_size(None) == 32
    assert encryption_algorithm(7).key_size(448) == 56
    for number, bits in ((12, None), (12, 100), (28, 128), (7, 456), (11, 8)):
        with pytest.raises(DecryptError) as caught:
            encryption_algorithm(number).key_size(bits)
        assert caught.value.slug == "key-length"
