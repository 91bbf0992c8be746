"""Signatures of AUTH and SIG payloads, made here with keys of each kind; real ones are in test_ikev1 and _ikev2."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto.signatures import verify_phase1_signature, verify_signature

from .conftest import outcome, slug_of

H = bytes.fromhex
OCTETS = b"what is signed"
#: AlgorithmIdentifiers of RFC 7427 Appendix A.
SHA256_WITH_RSA = H("300d06092a864886f70d01010b0500")
ECDSA_SHA256 = H("300a06082a8648ce3d040302")
ED25519 = H("300506032b6570")
PSS_SHA256 = H(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
    "300d06096086480165030402010500a203020120"
)


@cache
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


def public(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def named(identifier, signature):
    return bytes((len(identifier),)) + identifier + signature


def both(method, data, certificate):
    assert verify_signature(method, data, OCTETS, certificate)
    assert not verify_signature(method, data, OCTETS + b"!", certificate)


def test_rsa():
    key = rsa_key()
    for digest in (hashes.SHA1(), hashes.SHA256()):
        both(1, key.sign(OCTETS, padding.PKCS1v15(), digest), public(key))
    both(14, named(SHA256_WITH_RSA, key.sign(OCTETS, padding.PKCS1v15(), hashes.SHA256())), public(key))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    both(14, named(PSS_SHA256, key.sign(OCTETS, pss, hashes.SHA256())), public(key))


@pytest.mark.parametrize(
    ("method", "curve", "digest", "size"),
    [
        (9, ec.SECP256R1(), hashes.SHA256(), 32),
        (10, ec.SECP384R1(), hashes.SHA384(), 48),
        (11, ec.SECP521R1(), hashes.SHA512(), 66),
    ],
)
def test_ecdsa(method, curve, digest, size):
    key = ec.generate_private_key(curve)
    signature = key.sign(OCTETS, ec.ECDSA(digest))
    raw = b"".join(number.to_bytes(size) for number in decode_dss_signature(signature))
    both(method, raw, public(key))
    assert verify_phase1_signature(raw, OCTETS, public(key))
    assert not verify_phase1_signature(raw, b"another", public(key))
    assert not verify_signature(method, raw[:-1], OCTETS, public(key))
    if method == 9:
        both(14, named(ECDSA_SHA256, signature), public(key))


def test_ed25519():
    key = ed25519.Ed25519PrivateKey.generate()
    both(14, named(ED25519, key.sign(OCTETS)), public(key))
    assert slug_of(verify_phase1_signature, b"x", b"y", public(key)) == "unsupported"


def test_what_cannot_be_verified_is_told():
    key = rsa_key()
    assert slug_of(verify_signature, 1, b"x", OCTETS, b"no certificate") == "certificate"
    assert slug_of(verify_signature, 3, b"x", OCTETS, public(key)) == "unsupported"
    assert slug_of(verify_signature, 9, bytes(64), OCTETS, public(key)) == "unsupported"
    assert slug_of(verify_signature, 14, named(ECDSA_SHA256, b"x"), OCTETS, public(key)) == "unsupported"
    assert slug_of(verify_signature, 14, named(b"\x30\x80", b"x"), OCTETS, public(key)) == "malformed"
    assert not verify_signature(14, b"", OCTETS, public(key))
    assert not verify_phase1_signature(b"short", OCTETS, public(key))


@given(st.sampled_from([1, 9, 14]), st.binary(max_size=300), st.binary(max_size=60))
def test_any_octets_raise_nothing_else(method, data, certificate):
    assert outcome(verify_signature, method, data, OCTETS, public(rsa_key())) in {"", "unsupported", "malformed"}
    assert outcome(verify_signature, method, data, OCTETS, certificate) == "certificate"
    assert outcome(verify_phase1_signature, data, OCTETS, public(rsa_key())) in {"", "unsupported"}
