"""Opening IKE messages: the RFC's example, wrong keys, changed and cut messages, any octets."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto import ikev1, ikev2
from ipsecanalyze.crypto.encryption import ENCRYPTION
from ipsecanalyze.crypto.ike import IkeOpener, IkeV1Opener, OpenedIke, join_fragments
from ipsecanalyze.crypto.material import IkeKeys
from ipsecanalyze.crypto.suite import IkeSuite

from .conftest import outcome, read_vectors, slug_of
from .following import Log, find, messages
from .test_ikev2 import ike_suite

H = bytes.fromhex
SA, NONCE = 33, 40


def test_the_example_of_rfc_7634():
    vector = read_vectors("rfc")["ike"]
    keys = IkeKeys(encryption=vector["encryption"], sk_er=H(vector["sk_e"]))
    opened = IkeOpener(keys).open(H(vector["message"]))
    assert opened.chain.hex() == vector["chain"]
    assert opened.first_type == vector["first_type"]
    assert opened.padding == b""
    assert opened.offset == 28
    assert slug_of(IkeOpener(keys).open, H(vector["message"]), from_initiator=True) == "missing-key"


@cache
def sample(scenario):
    """The keys of a scenario and its IKE_AUTH request."""
    request, response, auth = messages(scenario)[:3]
    suite = ike_suite(find(response.message.payloads, SA).proposals[0])
    secret = Log(scenario).take("key exchange secret")
    nonces = (find(part.message.payloads, NONCE).data for part in (request, response))
    keys = ikev2.initial_keys(suite, secret, *nonces, response.message.spi_i, response.message.spi_r)
    return keys, auth.data


SCENARIOS = ["v2-3des-weak-a", "v2-psk-aescbc-a", "v2-ctr-a", "v2-ccm-a", "v2-chacha-a", "v2-rekey-nopfs-a"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_changed_cut_and_foreign_messages(scenario):
    keys, message = sample(scenario)
    opener = IkeOpener(keys)
    opened = opener.open(message)
    assert opened.first_type == 35
    assert opener.open(message + b"behind").chain == opened.chain
    for position in (0, 19, 23, 28, 40, len(message) - 1):
        changed = bytearray(message)
        changed[position] ^= 0x01
        assert slug_of(opener.open, bytes(changed)) in {"icv", "malformed"}
    assert slug_of(opener.open, message, from_initiator=False) == "icv"
    assert slug_of(opener.open, message[:-1]) == "truncated"
    assert slug_of(opener.open, message[:27]) == "too-short"
    assert slug_of(opener.open, messages(scenario)[0].data) == "no-encrypted-payload"
    for size in range(32, len(message), 7):
        assert outcome(opener.open, message[:size])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_wrong_and_missing_keys(scenario):
    keys, message = sample(scenario)
    assert slug_of(IkeOpener(replace(keys, sk_ei=keys.sk_ei[:-1])).open, message) == "key-length"
    assert slug_of(IkeOpener(replace(keys, sk_ei=b"")).open, message) == "missing-key"
    if keys.sk_ai:
        assert slug_of(IkeOpener(replace(keys, sk_ai=b"")).open, message) in {"missing-key", "key-length"}
        assert slug_of(IkeOpener(replace(keys, sk_ai=bytes(len(keys.sk_ai)))).open, message) == "icv"
        assert slug_of(IkeOpener(replace(keys, integrity=0)).open, message) == "unsupported"
        assert slug_of(IkeOpener(replace(keys, integrity=9)).open, message) == "unsupported"
    else:
        assert slug_of(IkeOpener(replace(keys, sk_ei=bytes(len(keys.sk_ei)))).open, message) == "icv"
    assert slug_of(IkeOpener(replace(keys, encryption=30)).open, message) == "unsupported"
    assert slug_of(IkeOpener, replace(keys, encryption=None)) == "unsupported"
    negotiated = IkeOpener(
        replace(keys, encryption=None, integrity=None), encryption=keys.encryption, integrity=keys.integrity
    )
    assert negotiated.open(message).first_type == 35


def test_keys_stay_out_of_repr():
    keys, _ = sample("v2-psk-aescbc-a")
    for secret in (keys.sk_d, keys.sk_ei, keys.sk_pi, keys.skeyid):
        assert secret.hex() not in repr(keys)
        assert repr(secret) not in repr(keys)


def test_fragments_that_do_not_make_a_message():
    first, second, third = (OpenedIke(bytes((n,)), 35 if n == 1 else 0, b"", 28, n, 3) for n in (1, 2, 3))
    assert join_fragments([third, first, second, first]) == (b"\1\2\3", 35)
    other = replace(second, total_fragments=2)
    for pieces in ([], [first, third], [first, second], [first, other, third], [replace(first, total_fragments=0)]):
        assert slug_of(join_fragments, pieces) == "fragments"


def v1_keys():
    return ikev1.phase1_keys(IkeSuite(12, 2, 0, 128), b"i" * 20, b"secret", 1, 2)


def test_ikev1_messages():
    found = messages("v1-main-psk-a")
    opener = IkeV1Opener(v1_keys())
    data = found[4].data
    assert slug_of(opener.open, data, bytes(16)) == "wrong-key"
    assert slug_of(opener.open, data, bytes(8)) == "length"
    assert slug_of(opener.open, data[:-1], bytes(16)) == "truncated"
    assert slug_of(opener.open, data[:30], bytes(16)) == "too-short"
    assert slug_of(opener.open, data[:24] + (len(data) - 3).to_bytes(4) + data[28:], bytes(16)) == "length"
    assert slug_of(IkeV1Opener, IkeKeys(version=1, encryption=12)) == "missing-key"
    assert slug_of(IkeV1Opener, IkeKeys(version=1)) == "unsupported"
    assert slug_of(IkeV1Opener, IkeKeys(version=1, encryption=20, sk_ei=bytes(20))) == "unsupported"
    assert slug_of(IkeV1Opener, IkeKeys(version=1, encryption=12, sk_ei=bytes(15))) == "key-length"


@given(st.sampled_from(SCENARIOS), st.binary(max_size=150), st.booleans())
def test_any_octets_open_or_raise_decrypt_error(scenario, octets, keep_header):
    keys, message = sample(scenario)
    if keep_header:
        octets = message[:24] + (28 + len(octets)).to_bytes(4) + octets
    assert outcome(IkeOpener(keys).open, octets)
    assert outcome(IkeV1Opener(v1_keys()).open, octets, bytes(16)) in {
        *("", "too-short", "truncated", "length", "wrong-key"),
    }


@given(
    st.sampled_from(sorted(ENCRYPTION)),
    st.sampled_from([0, 2, 3, 5, 9, 12, 99]),
    st.binary(max_size=40),
    st.binary(max_size=40),
)
def test_any_keys_open_or_raise_decrypt_error(encryption, integrity, key, mac_key):
    _, message = sample("v2-psk-aescbc-a")
    keys = IkeKeys(encryption=encryption, integrity=integrity, sk_ei=key, sk_ai=mac_key, sk_er=key, sk_ar=mac_key)
    assert outcome(lambda: IkeOpener(keys).open(message))
    assert outcome(lambda: IkeV1Opener(keys).open(message, bytes(16)))
