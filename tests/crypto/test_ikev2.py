"""IKEv2 from the shared secrets alone: every key that charon logged is derived, every message opened, AUTH verified."""

from __future__ import annotations

import json

import pytest

from ipsecanalyze.crypto import ikev2
from ipsecanalyze.crypto.ike import IkeOpener, join_fragments
from ipsecanalyze.crypto.material import IkeKeys
from ipsecanalyze.crypto.prf import prf_algorithm
from ipsecanalyze.crypto.signatures import verify_signature
from ipsecanalyze.crypto.suite import ChildSuite, IkeSuite
from ipsecanalyze.errors import DecryptError

from .following import CAPTURES, Log, find, find_all, messages, payloads, scenarios

SA, KE, IDI, IDR, CERT, AUTH, NONCE = 33, 34, 35, 36, 37, 39, 40
INIT, IKE_AUTH, CREATE_CHILD, INTERMEDIATE = 34, 35, 36, 43
V2 = [name for name in scenarios() if name.startswith("v2")]
EXPECTED_PRFS = {2, 5, 6, 7}


def ike_suite(proposal):
    chosen = {transform.type: transform for transform in proposal.transforms}
    integrity = chosen[3].id if 3 in chosen else 0
    return IkeSuite(chosen[1].id, chosen[2].id, integrity, chosen[1].key_length)


def child_suite(proposal):
    chosen = {transform.type: transform for transform in proposal.transforms}
    protocol = {2: "AH", 3: "ESP"}[proposal.protocol]
    return ChildSuite(
        encryption=chosen[1].id if 1 in chosen else 11,
        integrity=chosen[3].id if 3 in chosen else 0,
        key_bits=chosen[1].key_length if 1 in chosen else None,
        esn=bool(chosen[5].id),
        protocol=protocol,
    )


class Follower:
    """One IKE SA after the other, from the secrets of key exchanges alone."""

    def __init__(self, scenario):
        self.psk = scenarios()[scenario]["psk"]
        self.log = Log(scenario)
        self.keys: dict[tuple[int, int], IkeKeys] = {}
        self.suites: dict[tuple[int, int], IkeSuite] = {}
        self.openers: dict[tuple[int, int], IkeOpener] = {}
        self.init: dict[int, list] = {0: None, 1: None}
        self.nonces = (b"", b"")
        self.int_auth = {True: b"", False: b""}
        self.requests: dict = {}
        self.fragments: dict = {}
        self.first_fragments: dict = {}
        self.inner_types: dict[int, list[int]] = {}
        self.children = []
        self.verified = 0
        self.prfs = set()

    def install(self, keys, suite):
        pair = keys.spi_i, keys.spi_r
        self.keys[pair], self.suites[pair] = keys, suite
        self.openers[pair] = IkeOpener(keys)
        self.prfs.add(suite.prf)
        log = self.log
        assert keys.skeyid == log.take("SKEYSEED")
        assert keys.sk_d == log.take("Sk_d secret")
        if log.peek() == "Sk_ai secret":
            assert keys.sk_ai == log.take("Sk_ai secret")
            assert keys.sk_ar == log.take("Sk_ar secret")
        assert keys.sk_ei == log.take("Sk_ei secret")
        assert keys.sk_er == log.take("Sk_er secret")
        assert keys.sk_pi == log.take("Sk_pi secret")
        assert keys.sk_pr == log.take("Sk_pr secret")

    def take(self, seen):
        message = seen.message
        if message.exchange_type == INIT:
            self.take_init(seen)
            return
        opener = self.openers[message.spi_i, message.spi_r]
        opened = opener.open(seen.data)
        assert message.payloads[-1].offset == opened.offset
        chain, first, offset, frame = opened.chain, opened.first_type, opened.offset, seen.frame
        if opened.total_fragments:
            pieces = self.fragments.setdefault((message.message_id, message.flags), {})
            pieces[opened.fragment_number] = opened
            if opened.fragment_number == 1:
                self.first_fragments[message.message_id, message.flags] = seen
            self.inner_types[seen.frame] = [53]
            if len(pieces) < opened.total_fragments:
                return
            chain, first = join_fragments(reversed(list(pieces.values())))
            offset = pieces[1].offset
            seen = self.first_fragments[message.message_id, message.flags]
        found = payloads(chain, first, 2)
        self.inner_types[frame] = [53 if opened.total_fragments else 46, *(payload.type for payload in found)]
        key = message.spi_i, message.spi_r, message.message_id, message.from_initiator ^ message.is_response
        if message.exchange_type == INTERMEDIATE:
            self.take_int_auth(seen, offset, chain)
        if not message.is_response:
            self.requests[key] = found
            if message.exchange_type == IKE_AUTH:
                self.verify(seen, found, True)
            return
        request = self.requests[key]
        if message.exchange_type == INTERMEDIATE:
            self.take_intermediate(message, found)
        elif message.exchange_type == IKE_AUTH:
            self.verify(seen, found, False)
            if find(found, SA):
                self.take_child(message, request, found, self.nonces)
        elif message.exchange_type == CREATE_CHILD:
            nonces = find(request, NONCE).data, find(found, NONCE).data
            if find(found, SA).proposals[0].protocol == 1:
                self.take_rekey(message, request, found, nonces)
            else:
                self.take_child(message, request, found, nonces)

    def take_init(self, seen):
        message = seen.message
        self.init[int(message.is_response)] = seen
        if not message.is_response:
            return
        request = self.init[0].message
        self.nonces = find(request.payloads, NONCE).data, find(message.payloads, NONCE).data
        suite = ike_suite(find(message.payloads, SA).proposals[0])
        secret = self.log.take("key exchange secret")
        self.install(ikev2.initial_keys(suite, secret, *self.nonces, message.spi_i, message.spi_r), suite)

    def take_int_auth(self, seen, offset, chain):
        keys = self.keys[seen.message.spi_i, seen.message.spi_r]
        of_initiator = seen.message.from_initiator
        sk_p = keys.sk_pi if of_initiator else keys.sk_pr
        self.int_auth[of_initiator] = ikev2.intermediate_auth(
            keys.prf, sk_p, seen.data, offset, chain, self.int_auth[of_initiator]
        )
        assert self.log.take("IntAuth_N = prf(Sk_px, data)") == self.int_auth[of_initiator]

    def take_intermediate(self, message, found):
        pair = message.spi_i, message.spi_r
        assert find(found, KE)
        secret = self.log.take("key exchange secret")
        suite = self.suites[pair]
        self.install(ikev2.next_generation(suite, self.keys[pair], secret, *self.nonces), suite)

    def take_rekey(self, message, request, found, nonces):
        old = message.spi_i, message.spi_r
        proposal = find(found, SA).proposals[0]
        suite = ike_suite(proposal)
        spi_i, spi_r = (int.from_bytes(find(part, SA).proposals[0].spi) for part in (request, found))
        secret = self.log.take("key exchange secret")
        choices = ikev2.rekeyed_keys(
            self.suites[old].prf, self.keys[old].sk_d, suite, [secret], *nonces, spi_i, spi_r, origin="test"
        )
        assert len(choices) == 1
        self.install(choices[0], suite)

    def take_child(self, message, request, found, nonces):
        pair = message.spi_i, message.spi_r
        proposal = find(found, SA).proposals[0]
        spi_i, spi_r = (int.from_bytes(find(part, SA).proposals[0].spi) for part in (request, found))
        secrets = [self.log.take("key exchange secret")] if find(found, KE) else []
        suite = child_suite(proposal)
        to_r, to_i = ikev2.child_keys(
            suite, self.suites[pair].prf, self.keys[pair].sk_d, *nonces, secrets=secrets, spi_i=spi_i, spi_r=spi_r
        )
        assert (to_r.spi, to_i.spi) == (spi_r, spi_i)
        if suite.protocol == "ESP" and suite.encryption != 11:
            assert to_r.encryption_key + to_r.salt == self.log.take("encryption initiator key")
            assert to_i.encryption_key + to_i.salt == self.log.take("encryption responder key")
        if suite.integrity:
            assert to_r.integrity_key == self.log.take("integrity initiator key")
            assert to_i.integrity_key == self.log.take("integrity responder key")
        self.children += [to_r, to_i]

    def verify(self, seen, found, of_initiator):
        keys = self.keys[seen.message.spi_i, seen.message.spi_r]
        auth, identity = find(found, AUTH), find(found, IDI if of_initiator else IDR)
        sk_p = keys.sk_pi if of_initiator else keys.sk_pr
        int_auth = b""
        if self.int_auth[True]:
            int_auth = self.int_auth[True] + self.int_auth[False] + seen.message.message_id.to_bytes(4)
        own, nonce = (self.init[0], self.nonces[1]) if of_initiator else (self.init[1], self.nonces[0])
        octets = ikev2.signed_octets(keys.prf, sk_p, own.data, nonce, identity.body(), int_auth)
        if auth.method == 2:
            assert auth.data == ikev2.key_pad_auth(keys.prf, self.psk.encode(), octets)
            assert auth.data != ikev2.key_pad_auth(keys.prf, b"another", octets)
        else:
            certificate = find_all(found, CERT)[0].data
            assert verify_signature(auth.method, auth.data, octets, certificate)
            assert not verify_signature(auth.method, auth.data, octets + b"x", certificate)
        self.verified += 1


def follow(scenario):
    follower = Follower(scenario)
    for seen in messages(scenario):
        follower.take(seen)
    return follower


@pytest.mark.parametrize("scenario", V2)
def test_everything_follows_from_the_secrets(scenario):
    follower = follow(scenario)
    assert not follower.log.rows
    assert follower.verified == 2
    assert follower.children
    # What tshark, with keys, found inside (without substructures); it cannot open all algorithms.
    expected = json.loads((CAPTURES / scenario / "expected.json").read_text())["ike_messages"]
    for row in expected:
        if row["decrypted_by_tshark"] is True and row["frame"] in follower.inner_types:
            types = [int(number) for number in row["payload_types"].split(",")]
            assert [kind for kind in types if kind not in (2, 3)] == follower.inner_types[row["frame"]]


def test_the_scenarios_have_what_they_should():
    followers = [follow(name) for name in V2]
    assert set().union(*(follower.prfs for follower in followers)) == EXPECTED_PRFS
    suites = {suite.encryption for follower in followers for suite in follower.suites.values()}
    assert suites >= {3, 12, 13, 16, 20, 28}
    assert {len(follower.keys) for follower in followers} == {1, 2}
    assert any(53 in types for follower in followers for types in follower.inner_types.values())


def test_rekeying_with_another_prf_gives_both_choices():
    suite = IkeSuite(encryption=12, prf=7, integrity=14, key_bits=256)
    new, old = ikev2.rekeyed_keys(5, b"d" * 32, suite, [b"secret"], b"i" * 32, b"r" * 32, 1, 2)
    seed = prf_algorithm(5).compute(b"d" * 32, b"secret" + b"i" * 32 + b"r" * 32)
    assert new.skeyid == old.skeyid == seed
    assert len(new.sk_d) == len(old.sk_d) == 64
    stream = b"i" * 32 + b"r" * 32 + (1).to_bytes(8) + (2).to_bytes(8)
    assert new.sk_d == prf_algorithm(7).expand(seed, stream, 64)
    assert old.sk_d == prf_algorithm(5).expand(seed, stream, 64)


def test_further_secrets_follow_the_nonces():
    suite = ChildSuite(encryption=20, key_bits=128)
    first, _ = ikev2.child_keys(suite, 5, b"d" * 32, b"i" * 16, b"r" * 16, secrets=[b"S0", b"S1", b"S2"])
    material = prf_algorithm(5).expand(b"d" * 32, b"S0" + b"i" * 16 + b"r" * 16 + b"S1S2", 40)
    assert first.encryption_key + first.salt == material[:20]


def test_ppk_changes_what_rfc_8784_says():
    keys = IkeKeys(sk_d=b"d" * 32, sk_pi=b"i" * 32, sk_pr=b"r" * 32, sk_ei=b"e" * 16, sk_ai=b"a" * 32)
    mixed = ikev2.with_ppk(keys, 5, b"ppk")
    assert mixed.sk_d == prf_algorithm(5).expand(b"ppk", b"d" * 32, 32)
    assert mixed.sk_pi == prf_algorithm(5).compute(b"ppk", b"i" * 32 + b"\x01")
    assert mixed.sk_pr == prf_algorithm(5).compute(b"ppk", b"r" * 32 + b"\x01")
    assert (mixed.sk_ei, mixed.sk_ai) == (keys.sk_ei, keys.sk_ai)


def test_fixed_length_prfs_take_half_of_the_nonces_for_the_seed_only():
    nonces = b"i" * 32, b"r" * 32
    seed = ikev2.skeyseed(4, b"secret", *nonces)
    assert seed == prf_algorithm(4).compute(b"i" * 8 + b"r" * 8, b"secret")
    keys = ikev2.initial_keys(IkeSuite(12, 4, 5, 128), b"secret", *nonces, 1, 2)
    assert len(keys.sk_d) == len(keys.sk_pi) == 16
    assert keys.sk_d == prf_algorithm(4).compute(seed, b"".join(nonces) + bytes(7) + b"\1" + bytes(7) + b"\2" + b"\1")


def test_unsupported_suites_are_told():
    with pytest.raises(DecryptError, match="PRF_HMAC_TIGER"):
        ikev2.initial_keys(IkeSuite(12, 3, 2, 128), b"secret", b"", b"", 1, 2)
    with pytest.raises(DecryptError, match="several key lengths"):
        ikev2.initial_keys(IkeSuite(12, 2, 2), b"secret", b"", b"", 1, 2)
