"""IKEv1 from PSK and shared secrets: charon's keys are derived, messages opened, every HASH payload verified."""

from __future__ import annotations

import json

import pytest

from ipsecanalyze.crypto import ikev1
from ipsecanalyze.crypto.ike import IkeV1Opener
from ipsecanalyze.crypto.prf import prf_algorithm
from ipsecanalyze.crypto.signatures import verify_phase1_signature
from ipsecanalyze.crypto.suite import ChildSuite, IkeSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.registry.ikev1 import phase1_encr, phase1_prf
from ipsecanalyze.registry.ikev1_ipsec import ikev2_encr, ikev2_integ

from .conftest import slug_of
from .following import CAPTURES, Log, find, messages, payloads, scenarios

SA, KE, ID, CERT, HASH, SIG, NONCE = 1, 4, 5, 6, 8, 9, 10
MAIN, AGGRESSIVE, INFORMATIONAL, TRANSACTION, QUICK = 2, 4, 5, 6, 32
V1 = [name for name in scenarios() if name.startswith("v1")]


def attributes(transform):
    return {attribute.type: attribute.number for attribute in transform.attributes}


class Phase1:
    """One ISAKMP SA."""

    def __init__(self, cookie_i):
        self.cookie_i, self.cookie_r = cookie_i, 0
        self.parts = {True: {}, False: {}}
        self.initiator = None
        self.keys = self.opener = None
        self.iv = b""
        self.ivs = {}
        self.quick = {}


class Follower:
    def __init__(self, scenario):
        self.psk = scenarios()[scenario]["psk"]
        self.log = Log(scenario)
        self.sas = {}
        self.inner_types = {}
        self.hashes = self.signatures = self.children = 0

    def skip_hashes(self):
        self.log.skip("HASH_I", "HASH_R", "Hash", "Hash(1)", "Hash(2)", "Hash(3)")

    def take(self, seen):
        message = seen.message
        sa = self.sas.setdefault(message.spi_i, Phase1(message.spi_i))
        sa.initiator = sa.initiator or seen.source
        of_initiator = seen.source == sa.initiator
        if message.spi_r:
            sa.cookie_r = message.spi_r
        if not message.is_encrypted:
            found = message.payloads
        elif message.exchange_type in (MAIN, AGGRESSIVE):
            opened = sa.opener.open(seen.data, sa.iv)
            sa.iv = opened.next_iv
            found = payloads(opened.chain, opened.first_type, 1)
            self.inner_types[seen.frame] = [payload.type for payload in found]
        else:
            self.take_later(sa, seen)
            return
        for payload in found:
            sa.parts[of_initiator].setdefault(payload.type, payload)
        both = sa.parts[True], sa.parts[False]
        if sa.keys is None and all(KE in part and NONCE in part for part in both):
            self.derive(sa)
        if sa.keys is not None and any(payload.type in (HASH, SIG) for payload in found):
            self.verify(sa, of_initiator)

    def derive(self, sa):
        ours, theirs = sa.parts[True], sa.parts[False]
        chosen = attributes(theirs[SA].proposals[0].transforms[0])
        prf, encryption = phase1_prf(chosen[2]), phase1_encr(chosen[1])
        suite = IkeSuite(encryption, prf, 0, chosen.get(14))
        self.skip_hashes()
        log = self.log
        secret = log.take("shared Diffie Hellman secret")
        psk = self.psk.encode() if self.psk else None
        skeyid = ikev1.skeyid(prf, chosen[3], ours[NONCE].data, theirs[NONCE].data, psk=psk, secret=secret)
        assert skeyid == log.take("SKEYID")
        sa.keys = keys = ikev1.phase1_keys(suite, skeyid, secret, sa.cookie_i, sa.cookie_r)
        assert keys.sk_d == log.take("SKEYID_d")
        assert keys.sk_ai == keys.sk_ar == log.take("SKEYID_a")
        assert keys.skeyid_e == log.take("SKEYID_e")
        assert keys.sk_ei == keys.sk_er == log.take("encryption key Ka")
        sa.iv = ikev1.phase1_iv(prf, encryption, ours[KE].data, theirs[KE].data)
        assert sa.iv == log.take("initial IV")
        sa.opener = IkeV1Opener(keys)

    def verify(self, sa, of_initiator):
        own, other = sa.parts[of_initiator], sa.parts[not of_initiator]
        cookies = (sa.cookie_i, sa.cookie_r) if of_initiator else (sa.cookie_r, sa.cookie_i)
        expected = ikev1.phase1_hash(
            *(sa.keys.prf, sa.keys.skeyid, own[KE].data, other[KE].data),
            *(*cookies, sa.parts[True][SA].body(), own[ID].body()),
        )
        if SIG in own:
            assert verify_phase1_signature(own[SIG].data, expected, own[CERT].data)
            assert not verify_phase1_signature(own[SIG].data, expected[::-1], own[CERT].data)
            self.signatures += 1
        else:
            assert own[HASH].data == expected
            self.hashes += 1

    def take_later(self, sa, seen):
        message, prf = seen.message, sa.keys.prf
        mid = message.message_id
        iv = sa.ivs.get(mid) or ikev1.message_iv(prf, sa.iv, mid)
        opened = sa.opener.open(seen.data, iv)
        sa.ivs[mid] = opened.next_iv
        found = payloads(opened.chain, opened.first_type, 1)
        self.inner_types[seen.frame] = [payload.type for payload in found]
        assert found[0].type == HASH
        value, rest = ikev1.split_hash(opened.chain)
        assert value == found[0].data
        so_far = sa.quick.setdefault(mid, []) if message.exchange_type == QUICK else []
        nonces = [find(part, NONCE).data for part in so_far]
        if len(so_far) == 2:
            expected = ikev1.hash_3(prf, sa.keys.sk_ai, mid, *nonces)
        else:
            expected = ikev1.exchange_hash(prf, sa.keys.sk_ai, mid, rest, *nonces)
        assert found[0].data == expected
        self.hashes += 1
        so_far.append(found)
        if message.exchange_type == QUICK and len(so_far) == 2:
            self.take_child(sa, *so_far)

    def take_child(self, sa, request, response):
        spi_i, spi_r = (int.from_bytes(find(part, SA).proposals[0].spi) for part in (request, response))
        transform = find(response, SA).proposals[0].transforms[0]
        chosen = attributes(transform)
        suite = ChildSuite(ikev2_encr(transform.id), ikev2_integ(chosen[5]), chosen.get(6))
        self.skip_hashes()
        nonces = find(request, NONCE).data, find(response, NONCE).data
        # charon logs what is expanded: [secret |] protocol | SPI | Ni | Nr
        seed = self.log.take("initiator SA seed")
        secret = seed[: len(seed) - 5 - len(b"".join(nonces))]
        assert bool(secret) == bool(find(response, KE))
        to_r, to_i = ikev1.quick_mode_keys(suite, sa.keys.prf, sa.keys.sk_d, *nonces, spi_i, spi_r, secret=secret)
        assert (to_r.spi, to_i.spi) == (spi_r, spi_i)
        assert to_r.encryption_key + to_r.salt == self.log.take("encryption initiator key")
        assert to_i.encryption_key + to_i.salt == self.log.take("encryption responder key")
        assert to_r.integrity_key == self.log.take("integrity initiator key")
        assert to_i.integrity_key == self.log.take("integrity responder key")
        self.children += 1


@pytest.mark.parametrize("scenario", V1)
def test_everything_follows_from_the_secrets(scenario):
    follower = Follower(scenario)
    for seen in messages(scenario):
        follower.take(seen)
    follower.skip_hashes()
    assert not follower.log.rows
    assert follower.hashes > 3
    assert follower.children
    assert follower.signatures == (2 if "cert" in scenario else 0)
    expected = json.loads((CAPTURES / scenario / "expected.json").read_text())["ike_messages"]
    opened = 0
    for row in expected:
        if row["decrypted_by_tshark"] is True and row["frame"] in follower.inner_types:
            types = [int(number) for number in row["payload_types"].split(",")]
            assert [kind for kind in types if kind not in (2, 3)] == follower.inner_types[row["frame"]]
            opened += 1
    assert opened


def test_ka_is_expanded_where_skeyid_e_is_short():
    # RFC 2409 Appendix B: K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1), ...
    prf = prf_algorithm(1)
    k1 = prf.compute(b"e" * 16, b"\0")
    k2 = prf.compute(b"e" * 16, k1)
    assert ikev1.expand_skeyid_e(1, b"e" * 16, 24) == (k1 + k2)[:24]
    assert ikev1.expand_skeyid_e(1, b"e" * 16, 16) == b"e" * 16
    assert ikev1.expand_skeyid_e(2, b"e" * 20, 8) == b"e" * 8


def test_a_hash_payload_that_cannot_be_read():
    for chain in (b"", b"\0\0\0", b"\0\0\0\x03", b"\0\0\0\x09hash"):
        assert slug_of(ikev1.split_hash, chain) == "malformed"
    assert ikev1.split_hash(b"\x0a\0\0\x08hashrest") == (b"hash", b"rest")


def test_methods_that_are_refused_or_lack_a_secret():
    assert slug_of(ikev1.skeyid, 2, 1, b"i", b"r") == "missing-key"
    assert slug_of(ikev1.skeyid, 2, 3, b"i", b"r", psk=b"psk") == "missing-key"
    for method in (4, 5, 65008, 999):
        assert slug_of(ikev1.skeyid, 2, method, b"i", b"r", psk=b"psk", secret=b"s") == "unsupported"
    with pytest.raises(DecryptError, match="RSA_ENCRYPTION"):
        ikev1.skeyid(2, 4, b"i", b"r")
