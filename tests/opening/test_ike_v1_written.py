"""IKEv1 written octet by octet, with a key schedule of its own (RFC 2409 §5, Appendix B): what no capture shows."""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.capture.packet import Datagram, DatagramKind
from ipsecanalyze.crypto.ciphers import block_cipher
from ipsecanalyze.crypto.material import IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys import KeyRing
from ipsecanalyze.opening.ike_v1 import open_v1
from ipsecanalyze.opening.revealed import Revealed
from ipsecanalyze.opening.v1_trial import Trial
from ipsecanalyze.sa.records import Certainty, IkeSa, MessageRecord, State
from ipsecanalyze.sa.tracker import Tracker

HERE, THERE = "192.0.2.1", "198.51.100.1"
COOKIES = (0x1111111111111111, 0x2222222222222222)
SECRET, PSK = b"g" * 128, b"a pre-shared key"
SA, KE, ID, HASH, NONCE, NOTIFY, DELETE, ATTR = 1, 4, 5, 8, 10, 11, 12, 14
MAIN, AGGRESSIVE, INFORMATIONAL, TRANSACTION, QUICK = 2, 4, 5, 6, 32
#: Phase 1 numbers of cipher and hash (RFC 2409 Appendix A) → octets of key and block; name of the hash.
DES, TRIPLE_DES, AES_CBC, CAMELLIA = 1, 5, 7, 8
HASHES = {1: "md5", 2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512"}
Bodies = list[tuple[int, bytes]]


def chain(bodies: Bodies) -> bytes:
    following = [kind for kind, _ in bodies[1:]] + [0]
    return b"".join(
        struct.pack(">BBH", after, 0, 4 + len(body)) + body for after, (_, body) in zip(following, bodies, strict=True)
    )


def attributes(*pairs: tuple[int, int]) -> bytes:
    return b"".join(struct.pack(">HH", 0x8000 | kind, value) for kind, value in pairs)


def proposal(number: int, protocol: int, spi: bytes, transform: int, *pairs: tuple[int, int], last: bool) -> bytes:
    one = struct.pack(">BBHBBH", 0, 0, 8 + len(attributes(*pairs)), 1, transform, 0) + attributes(*pairs)
    size = 8 + len(spi) + len(one)
    return struct.pack(">BBHBBBB", 0 if last else 2, 0, size, number, protocol, len(spi), 1) + spi + one


def sa_body(*proposals: tuple[Any, ...]) -> bytes:
    out = struct.pack(">II", 1, 1)
    for index, one in enumerate(proposals):
        out += proposal(*one, last=index == len(proposals) - 1)
    return out


def identity(kind: int, data: bytes, protocol: int = 0, port: int = 0) -> tuple[int, bytes]:
    return ID, struct.pack(">BBH", kind, protocol, port) + data


def address(text: str) -> bytes:
    return socket.inet_aton(text)


def notify(kind: int, protocol: int = 1, spi: bytes = b"", data: bytes = b"") -> tuple[int, bytes]:
    return NOTIFY, struct.pack(">IBBH", 1, protocol, len(spi), kind) + spi + data


def delete_ike() -> tuple[int, bytes]:
    return DELETE, struct.pack(">IBBH", 1, 1, 16, 1) + struct.pack(">QQ", *COOKIES)


@dataclass
class Talk:
    """Two peers, and what they send."""

    cipher: int = AES_CBC
    bits: int | None = 128
    digest: int = 2
    method: int = 1
    aggressive: bool = False
    sent: list[Datagram] = field(default_factory=list)
    ka: bytes = b""
    skeyid: bytes = b""
    skeyid_d: bytes = b""
    skeyid_a: bytes = b""
    ivs: dict[int, bytes] = field(default_factory=dict)
    nonces: dict[bool, bytes] = field(default_factory=lambda: {True: b"i" * 20, False: b"r" * 24})
    public: dict[bool, bytes] = field(default_factory=lambda: {True: b"x" * 128, False: b"y" * 128})
    ids: dict[bool, bytes] = field(
        default_factory=lambda: {
            True: struct.pack(">BBH", 2, 0, 0) + b"here.example",
            False: struct.pack(">BBH", 3, 0, 0) + b"there@example",
        }
    )

    @property
    def block(self) -> int:
        return 16 if self.cipher in (AES_CBC, CAMELLIA) else 8

    def prf(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, HASHES[self.digest])

    def hash(self, data: bytes) -> bytes:
        return hashlib.new(HASHES[self.digest], data).digest()

    def offer(self) -> bytes:
        length = () if self.bits is None else ((14, self.bits),)
        return sa_body(
            (1, 1, b"", 1, (1, self.cipher), *length, (2, self.digest), (3, self.method), (4, 2), (11, 1), (12, 28800))
        )

    def send(self, exchange: int, message_id: int, first: int, content: bytes, *, back: bool, flags: int = 0) -> None:
        spi_r = 0 if not self.sent else COOKIES[1]
        octets = struct.pack(
            ">QQBBBBII", COOKIES[0], spi_r, first, 0x10, exchange, flags, message_id, 28 + len(content)
        )
        ends = (THERE, HERE) if back else (HERE, THERE)
        frame = len(self.sent) + 1
        payload = octets + content
        time_ns = 1_700_000_000_000_000_000 + frame * 10_000_000
        self.sent.append(Datagram(DatagramKind.IKE, *ends, payload, frame, time_ns, len(payload), 500, 500))

    def clear(self, exchange: int, bodies: Bodies, *, back: bool = False) -> None:
        self.send(exchange, 0, bodies[0][0], chain(bodies), back=back)

    def sealed(self, exchange: int, message_id: int, bodies: Bodies, *, back: bool = False) -> None:
        plain = chain(bodies)
        plain += bytes(-len(plain) % self.block)
        iv = self.ivs.get(message_id)
        if iv is None:
            iv = self.hash(self.ivs[0] + struct.pack(">I", message_id))[: self.block]
        key = self.ka * 3 if self.cipher == DES else self.ka
        if self.cipher == CAMELLIA:
            algorithm = block_cipher("Camellia", key)  # where the library keeps it depends on its version
        else:
            algorithm = AES(key) if self.cipher == AES_CBC else TripleDES(key)
        encryptor = Cipher(algorithm, modes.CBC(iv)).encryptor()
        octets = encryptor.update(plain) + encryptor.finalize()
        self.ivs[message_id] = octets[-self.block :]
        self.send(exchange, message_id, bodies[0][0], octets, back=back, flags=1)

    def derive(self, psk: bytes = PSK) -> None:
        self.skeyid = self.prf(psk, self.nonces[True] + self.nonces[False])
        if self.method != 1:
            self.skeyid = self.prf(self.nonces[True] + self.nonces[False], SECRET)
        tail = SECRET + struct.pack(">QQ", *COOKIES)
        self.skeyid_d = self.prf(self.skeyid, tail + b"\0")
        self.skeyid_a = self.prf(self.skeyid, self.skeyid_d + tail + b"\1")
        skeyid_e = self.prf(self.skeyid, self.skeyid_a + tail + b"\2")
        octets = {DES: 8, TRIPLE_DES: 24}.get(self.cipher, (self.bits or 128) // 8)
        self.ka = skeyid_e
        if octets > len(skeyid_e):
            piece = self.ka = self.prf(skeyid_e, b"\0")
            while len(self.ka) < octets:
                piece = self.prf(skeyid_e, piece)
                self.ka += piece
        self.ka = self.ka[:octets]
        self.ivs = {0: self.hash(self.public[True] + self.public[False])[: self.block]}

    def proof(self, *, of_initiator: bool) -> tuple[int, bytes]:
        cookies = COOKIES if of_initiator else COOKIES[::-1]
        data = self.public[of_initiator] + self.public[not of_initiator] + struct.pack(">QQ", *cookies)
        return HASH, self.prf(self.skeyid, data + self.offer() + self.ids[of_initiator])

    def beginning(self) -> None:
        """Main mode up to message 4."""
        self.clear(MAIN, [(SA, self.offer())])
        self.clear(MAIN, [(SA, self.offer())], back=True)
        self.clear(MAIN, [(KE, self.public[True]), (NONCE, self.nonces[True])])
        self.clear(MAIN, [(KE, self.public[False]), (NONCE, self.nonces[False])], back=True)
        self.derive()

    def phase1(self, *, sealed_end: bool = True) -> None:
        if self.aggressive:
            mine, theirs = (ID, self.ids[True]), (ID, self.ids[False])
            self.clear(AGGRESSIVE, [(SA, self.offer()), (KE, self.public[True]), (NONCE, self.nonces[True]), mine])
            self.derive()
            answer = [(SA, self.offer()), (KE, self.public[False]), (NONCE, self.nonces[False]), theirs]
            self.clear(AGGRESSIVE, [*answer, self.proof(of_initiator=False)], back=True)
            if sealed_end:
                self.sealed(AGGRESSIVE, 0, [self.proof(of_initiator=True)])
            else:
                self.clear(AGGRESSIVE, [self.proof(of_initiator=True)])
            return
        self.beginning()
        self.sealed(MAIN, 0, [(ID, self.ids[True]), self.proof(of_initiator=True)])
        self.sealed(MAIN, 0, [(ID, self.ids[False]), self.proof(of_initiator=False)], back=True)

    def later(self, exchange: int, message_id: int, bodies: Bodies, *, back: bool = False, nonce: bytes = b"") -> None:
        """A message with HASH(1) or, with a nonce, HASH(2)."""
        covered = struct.pack(">I", message_id) + nonce + chain(bodies)
        self.sealed(exchange, message_id, [(HASH, self.prf(self.skeyid_a, covered)), *bodies], back=back)

    def quick(
        self, message_id: int, offer: bytes, answer: bytes, *more: tuple[int, bytes], by_responder: bool = False
    ) -> None:
        nonce_i, nonce_r = b"q" * 16, b"Q" * 17
        self.later(QUICK, message_id, [(SA, offer), (NONCE, nonce_i), *more], back=by_responder)
        self.later(QUICK, message_id, [(SA, answer), (NONCE, nonce_r), *more], back=not by_responder, nonce=nonce_i)
        data = b"\0" + struct.pack(">I", message_id) + nonce_i + nonce_r
        self.sealed(QUICK, message_id, [(HASH, self.prf(self.skeyid_a, data))], back=by_responder)

    def keymat(self, protocol: int, spi: int, octets: int, secret: bytes = b"") -> bytes:
        """RFC 2409 §5.5, for the nonces of `quick`."""
        seed = secret + bytes((protocol,)) + struct.pack(">I", spi) + b"q" * 16 + b"Q" * 17
        piece = out = self.prf(self.skeyid_d, seed)
        while len(out) < octets:
            piece = self.prf(self.skeyid_d, piece + seed)
            out += piece
        return out[:octets]

    def open(self, *keys: Any, skip: int = 0) -> tuple[IkeSa, list[MessageRecord], Revealed]:
        tracker = Tracker()
        for datagram in self.sent[skip:]:
            tracker.feed(datagram)
        tracker.finish()
        [sa] = tracker.ike_sas
        records = list(tracker.messages)
        ring = KeyRing(keys or [Psk(PSK), SharedSecret(SECRET, *COOKIES)])
        return sa, records, open_v1(sa, records, ring)


def esp(number: int, spi: int, *pairs: tuple[int, int], transform: int = 12) -> tuple[Any, ...]:
    return (number, 3, struct.pack(">I", spi), transform, *pairs)


AES_SHA1 = ((4, 1), (5, 2), (6, 128))


def said(records: list[MessageRecord]) -> list[str]:
    return [note for record in records for note in record.notes]


def check_all_verified(records: list[MessageRecord], revealed: Revealed) -> None:
    assert not revealed.failed
    for record in records:
        if record.message.is_encrypted:
            assert record.opened is not None
            assert [note for note in record.notes if note.endswith("verified")], record.datagram.frame
    assert not [note for note in said(records) if note.endswith("wrong")]


@pytest.mark.parametrize("digest", sorted(HASHES))
@pytest.mark.parametrize(
    "suite", [(DES, None), (TRIPLE_DES, None), (AES_CBC, 128), (AES_CBC, 192), (AES_CBC, 256), (CAMELLIA, 256)]
)
@pytest.mark.parametrize("aggressive", [False, True])
def test_every_suite_opens(suite: tuple[int, int | None], digest: int, aggressive: bool) -> None:
    talk = Talk(*suite, digest, aggressive=aggressive)
    talk.phase1()
    talk.quick(0xABCD, sa_body(esp(1, 0xAAAA0001, *AES_SHA1)), sa_body(esp(1, 0xBBBB0001, *AES_SHA1)))
    talk.later(INFORMATIONAL, 0x77, [delete_ike()])
    sa, records, revealed = talk.open()
    check_all_verified(records, revealed)
    assert (sa.initiator.identity, sa.responder.identity) == ("here.example", "there@example")
    assert (sa.state, sa.certainty) == (State.CLOSED, Certainty.OBSERVED)
    [child] = revealed.children
    assert (child.initiator_spi, child.responder_spi) == (0xAAAA0001, 0xBBBB0001)
    for keys in child.keys:
        assert keys.spi is not None
        assert keys.encryption_key + keys.integrity_key == talk.keymat(3, keys.spi, 36)
        assert keys.destination == (THERE if keys.spi == 0xBBBB0001 else HERE)
    # Without identities of their own it is about the two hosts.
    assert child.selectors_initiator == [f"{HERE}/32"]
    assert child.selectors_responder == [f"{THERE}/32"]


@pytest.mark.parametrize("digest", sorted(HASHES))
@pytest.mark.parametrize(
    "suite", [(DES, None), (TRIPLE_DES, None), (AES_CBC, 128), (AES_CBC, 192), (AES_CBC, 256), (CAMELLIA, 128)]
)
def test_ka_alone_from_the_middle_on(suite: tuple[int, int | None], digest: int) -> None:
    """Neither cipher nor hash is known: both are found by sizes."""
    talk = Talk(*suite, digest)
    talk.phase1()
    talk.quick(0xABCD, sa_body(esp(1, 0xAAAA0001, *AES_SHA1)), sa_body(esp(1, 0xBBBB0001, *AES_SHA1)))
    talk.later(INFORMATIONAL, 0x77, [notify(36136, spi=struct.pack(">QQ", *COOKIES), data=b"\0\0\0\7")], back=True)
    sa, _, revealed = talk.open(IkeKeys(1, COOKIES[0], sk_ei=talk.ka, sk_er=talk.ka), skip=6)
    assert not revealed.failed
    assert (sa.state, sa.certainty) == (State.ESTABLISHED, Certainty.OBSERVED)
    assert [notify.data for notify in sa.notifies] == ["sequence 7"]
    [child] = revealed.children
    assert child.initiator_spi == 0xAAAA0001
    assert child.missing


def test_signatures_need_no_pre_shared_key() -> None:
    talk = Talk(method=3)
    talk.beginning()
    talk.sealed(MAIN, 0, [(ID, talk.ids[True]), (9, b"s" * 128)])
    talk.sealed(MAIN, 0, [(ID, talk.ids[False]), (9, b"t" * 128)], back=True)
    sa, records, revealed = talk.open(SharedSecret(SECRET, *COOKIES))
    assert not revealed.failed
    assert revealed.keys[0].sk_d == talk.skeyid_d
    # Without certificates nothing is verified.
    assert not [note for note in said(records) if "SIG" in note]
    assert sa.certainty is Certainty.INFERRED


def test_aggressive_mode_that_ends_in_the_clear() -> None:
    talk = Talk(aggressive=True)
    talk.phase1(sealed_end=False)
    talk.quick(0xABCD, sa_body(esp(1, 1, *AES_SHA1)), sa_body(esp(1, 2, *AES_SHA1)))
    sa, records, revealed = talk.open()
    check_all_verified(records, revealed)
    assert [note for note in said(records) if "HASH_" in note] == ["HASH_R verified", "HASH_I verified"]
    assert (sa.state, sa.certainty) == (State.ESTABLISHED, Certainty.OBSERVED)


def test_the_responder_may_begin_a_quick_mode() -> None:
    talk = Talk()
    talk.phase1()
    ids = (identity(4, address("10.2.0.0") + address("255.255.0.0")), identity(1, address("10.1.0.7"), 6, 443))
    talk.quick(9, sa_body(esp(1, 5, *AES_SHA1)), sa_body(esp(1, 6, *AES_SHA1)), *ids, by_responder=True)
    _, records, revealed = talk.open()
    check_all_verified(records, revealed)
    [child] = revealed.children
    assert (child.initiator_spi, child.responder_spi) == (6, 5)
    assert (child.initiator_address, child.responder_address) == (HERE, THERE)
    assert child.selectors_initiator == ["10.1.0.7/32[tcp/443]"]
    assert child.selectors_responder == ["10.2.0.0/16"]
    assert {keys.spi: keys.encryption_key for keys in child.keys} == {spi: talk.keymat(3, spi, 16) for spi in (5, 6)}
    assert {keys.spi: keys.destination for keys in child.keys} == {6: HERE, 5: THERE}


def test_bundles_modes_and_attributes() -> None:
    talk = Talk()
    talk.phase1()
    pairs = ((4, 4), (5, 5), (6, 256), (11, 1))

    def side(spi: int) -> bytes:
        ah = (1, 2, struct.pack(">I", spi), 5, (4, 2), (5, 5))
        other = esp(2, 99, (4, 1), transform=3)
        comp = (1, 4, b"\x12\x34", 2, (4, 2))
        return sa_body(ah, esp(1, spi + 1, *pairs, transform=12), comp, other)

    answer = sa_body(
        (1, 2, struct.pack(">I", 0x200), 5, (4, 2), (5, 5)),
        esp(1, 0x201, *pairs),
        (1, 4, b"\x56\x78", 2, (4, 2)),
    )
    talk.quick(3, side(0x100), answer)
    _, records, revealed = talk.open()
    check_all_verified(records, revealed)
    ah, esp_child = revealed.children
    assert (ah.protocol, ah.initiator_spi, ah.responder_spi, ah.mode) == ("AH", 0x100, 0x200, "transport")
    assert [(a.type, a.name) for a in ah.chosen] == [("INTEG", "AUTH_HMAC_SHA2_256_128"), ("IPCOMP", "IPCOMP_DEFLATE")]
    assert [keys.integrity_key for keys in ah.keys] == [talk.keymat(2, spi, 32) for spi in (0x200, 0x100)]
    assert (esp_child.protocol, esp_child.mode, esp_child.esn) == ("ESP", "transport", True)
    assert [a.type for a in esp_child.chosen] == ["ENCR", "INTEG", "ESN", "IPCOMP"]
    assert esp_child.chosen[0].key_length == 256
    assert all(keys.esn for keys in esp_child.keys)
    assert esp_child.keys[0].encryption_key + esp_child.keys[0].integrity_key == talk.keymat(3, 0x201, 64)


def test_combined_modes_and_unknown_algorithms() -> None:
    talk = Talk()
    talk.phase1()
    gcm = ((4, 3), (6, 128))
    talk.quick(3, sa_body(esp(1, 1, *gcm, transform=20)), sa_body(esp(1, 2, *gcm, transform=20)))
    talk.quick(4, sa_body(esp(1, 3, (4, 1), transform=21)), sa_body(esp(1, 4, (4, 1), transform=21)))
    _, records, revealed = talk.open()
    check_all_verified(records, revealed)
    first, second = revealed.children
    assert (first.mode, first.chosen[0].name) == ("tunnel", "ENCR_AES_GCM_16")
    assert first.keys[0].encryption_key + first.keys[0].salt == talk.keymat(3, 2, 20)
    assert not second.keys
    assert second.missing == "one of its algorithms is not supported"


def test_each_quick_mode_has_its_own_secret() -> None:
    talk = Talk()
    talk.phase1()
    pairs = (*AES_SHA1, (3, 2))
    secrets = [bytes((0x30 + number,)) * 128 for number in range(40)]
    for number in range(40):
        offer, answer = sa_body(esp(1, 100 + number, *pairs)), sa_body(esp(1, 200 + number, *pairs))
        talk.quick(number + 1, offer, answer, (KE, b"k" * 128))
    ring = [Psk(PSK), SharedSecret(SECRET, *COOKIES), *(SharedSecret(secret, *COOKIES) for secret in secrets)]
    _, records, revealed = talk.open(*ring)
    check_all_verified(records, revealed)
    for number, child in enumerate(revealed.children):
        assert child.has_key_exchange
        assert child.chosen[-1].name == "MODP_1024"
        assert len(child.keys) == 32  # bounded
        assert child.keys[0].encryption_key == talk.keymat(3, 200 + number, 16, secrets[number])
    _, _, revealed = talk.open(Psk(PSK), SharedSecret(SECRET, *COOKIES))
    assert all("PFS" in child.missing for child in revealed.children)


# How it went


def test_a_refused_quick_mode_leaves_the_ike_sa() -> None:
    talk = Talk()
    talk.phase1()
    talk.later(QUICK, 5, [(SA, sa_body(esp(1, 1, *AES_SHA1))), (NONCE, b"n" * 16)])
    talk.later(INFORMATIONAL, 6, [notify(14, 3, b"\0\0\0\1")], back=True)
    for keys in ((), (IkeKeys(1, COOKIES[0], sk_ei=talk.ka, sk_er=talk.ka),)):
        sa, _, revealed = talk.open(*keys)
        assert not revealed.children
        assert (sa.state, sa.certainty) == (State.ESTABLISHED, Certainty.OBSERVED)
        assert "the responder refused the Quick Mode: NO_PROPOSAL_CHOSEN" in sa.outcome


@pytest.mark.parametrize("kind", ["AUTHENTICATION_FAILED", "INVALID_ID_INFORMATION"])
def test_a_refused_identity_fails(kind: str) -> None:
    talk = Talk()
    talk.beginning()
    talk.sealed(MAIN, 0, [(ID, talk.ids[True]), talk.proof(of_initiator=True)])
    talk.later(INFORMATIONAL, 6, [notify({"AUTHENTICATION_FAILED": 24, "INVALID_ID_INFORMATION": 18}[kind])], back=True)
    sa, records, revealed = talk.open()
    check_all_verified(records, revealed)
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.OBSERVED)
    assert sa.outcome == f"the responder refused: {kind}"
    assert sa.initiator.identity == "here.example"


def test_the_initiator_may_refuse_the_last_message() -> None:
    talk = Talk()
    talk.phase1()
    talk.later(INFORMATIONAL, 6, [notify(24)])
    sa, _, _ = talk.open()
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.OBSERVED)
    assert sa.established_ns is None
    assert "the initiator refused: AUTHENTICATION_FAILED" in sa.outcome


def config(kind: int, *pairs: tuple[int, int | bytes]) -> tuple[int, bytes]:
    out = struct.pack(">BBH", kind, 0, 7)
    for number, value in pairs:
        if isinstance(value, int):
            out += struct.pack(">HH", 0x8000 | number, value)
        else:
            out += struct.pack(">HH", number, len(value)) + value
    return ATTR, out


@pytest.mark.parametrize("status", [0, 1])
def test_the_user_is_refused_or_not(status: int) -> None:
    talk = Talk()
    talk.phase1()
    talk.later(TRANSACTION, 5, [config(1, (16521, b""), (16522, b""))], back=True)
    talk.later(TRANSACTION, 5, [config(2, (16521, b"al\x1bice"), (16522, b"S3cret!"))])
    talk.later(TRANSACTION, 6, [config(3, (16527, status))], back=True)
    talk.later(TRANSACTION, 6, [config(4, (16527, status))])
    talk.later(INFORMATIONAL, 7, [delete_ike()], back=True)
    sa, records, revealed = talk.open()
    check_all_verified(records, revealed)
    assert sa.authentication_initiator == "psk+xauth (user al\\x1bice)"
    if status:
        assert (sa.state, sa.reason) == (State.CLOSED, "the responder deleted it in frame 11")
        assert "deleted by the responder" in sa.outcome
    else:
        assert (sa.state, sa.certainty) == (State.FAILED, Certainty.OBSERVED)
        assert sa.reason == "the responder refused the user al\\x1bice"
    assert "S3cret!" not in repr([record.opened for record in records])
    assert not [note for note in said(records) if "S3cret" in note]


def test_other_deletions_do_not_end_it() -> None:
    talk = Talk()
    talk.phase1()
    talk.quick(5, sa_body(esp(1, 1, *AES_SHA1)), sa_body(esp(1, 2, *AES_SHA1)))
    talk.later(INFORMATIONAL, 6, [(DELETE, struct.pack(">IBBHQQ", 1, 1, 16, 1, 5, 6))])
    spis = struct.pack(">6I", 1, 2, 3, 4, 5, 6)
    talk.later(INFORMATIONAL, 7, [(DELETE, struct.pack(">IBBH", 1, 3, 4, 6) + spis)])
    sa, records, _ = talk.open()
    assert sa.state is State.ESTABLISHED
    assert records[-2].notes[-1] == "deletes another IKE SA"
    assert records[-1].notes[-1] == "deletes ESP 00000001, 00000002, 00000003, 00000004 and 2 more"


# Bounds


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0
    original = Trial._spend

    def counted(self: Trial, message: Any, cipher: Any) -> bool:
        nonlocal tries
        tries += 1
        return original(self, message, cipher)

    monkeypatch.setattr(Trial, "_spend", counted)
    talk = Talk()
    talk.phase1()
    for number in range(1, 400):
        talk.later(INFORMATIONAL, number, [notify(36136, data=b"\0\0\0\1")])
    noise = [IkeKeys(1, sk_ei=number.to_bytes(16), sk_er=number.to_bytes(16)) for number in range(1, 2_000)]
    sa, records, revealed = talk.open(*noise)
    assert not revealed.opened
    assert not sa.decrypted
    assert sum(revealed.failed.values()) == 401
    assert tries < 10_000 + 64 * 401
    assert any("too many" in reason for reason in revealed.failed)
    # Not every message is told of one by one.
    assert len([note for note in said(records) if note.startswith("not opened")]) < 10


@settings(max_examples=60)
@given(data=st.data())
def test_hostile_content_behind_right_keys(data: st.DataObject) -> None:
    class Liar(Talk):
        def sealed(self, exchange: int, message_id: int, bodies: Bodies, *, back: bool = False) -> None:
            changed = []
            for kind, body in bodies:
                octets = bytearray(body)
                if octets and data.draw(st.booleans()):
                    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
                changed.append((kind, bytes(octets[: data.draw(st.sampled_from((None, 0, 3, 9)))])))
            super().sealed(exchange, message_id, changed, back=back)

    talk = Liar()
    talk.phase1()
    ids = (identity(4, address("10.2.0.0") + address("255.255.0.0")), identity(1, address("10.1.0.7"), 6, 443))
    offer, answer = sa_body(esp(1, 5, *AES_SHA1, (3, 2))), sa_body(esp(1, 6, *AES_SHA1, (3, 2)))
    talk.quick(3, offer, answer, (KE, b"k" * 128), *ids, by_responder=data.draw(st.booleans()))
    talk.later(TRANSACTION, 4, [config(2, (16521, b"alice"), (16527, 0), (1, address("10.9.0.1")))])
    talk.later(INFORMATIONAL, 5, [notify(24), delete_ike()])
    _, records, revealed = talk.open()
    closed = sum(revealed.failed.values())
    assert revealed.opened + closed == len([record for record in records if record.message.is_encrypted])
