"""IKEv2's keys: SKEYSEED, the seven keys of an IKE SA, their further generations, and the keys of Child SAs.

Nonces are the data of the Nonce payloads; secrets are g^ir, or what a KEM agreed on. Nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ipsecanalyze.crypto.material import EspKeys, IkeKeys
from ipsecanalyze.crypto.prf import prf_algorithm
from ipsecanalyze.crypto.suite import ChildSuite, IkeSuite, slices
from ipsecanalyze.ike.header import HEADER_OCTETS
from ipsecanalyze.registry.ikev2 import PayloadType

__all__ = [
    "child_keys",
    "initial_keys",
    "intermediate_auth",
    "key_pad_auth",
    "keys_from_seed",
    "next_generation",
    "rekeyed_keys",
    "signed_octets",
    "skeyseed",
    "with_ppk",
]

_KEY_PAD = b"Key Pad for IKEv2"


def skeyseed(prf: int, secret: bytes, nonce_i: bytes, nonce_r: bytes) -> bytes:
    """SKEYSEED = prf(Ni | Nr, g^ir) (RFC 7296 §2.14). Raises DecryptError for a PRF that is not supported."""
    row = prf_algorithm(prf)
    return row.compute(row.seed_key(nonce_i, nonce_r), secret)


def keys_from_seed(
    suite: IkeSuite,
    seed: bytes,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: int,
    spi_r: int,
    *,
    prf: int | None = None,
    origin: str = "",
) -> IkeKeys:
    """{SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) (RFC 7296 §2.14).

    `prf` is the one that expands, where it is not the suite's. Raises DecryptError.
    """
    row = prf_algorithm(suite.prf if prf is None else prf)
    size = prf_algorithm(suite.prf).octets
    integrity, encryption = suite.integrity_octets, suite.encryption_octets
    sizes = (size, integrity, integrity, encryption, encryption, size, size)
    octets = nonce_i + nonce_r + spi_i.to_bytes(8) + spi_r.to_bytes(8)
    sk_d, sk_ai, sk_ar, sk_ei, sk_er, sk_pi, sk_pr = slices(row.expand(seed, octets, sum(sizes)), *sizes)
    return IkeKeys(
        version=2,
        spi_i=spi_i,
        spi_r=spi_r,
        encryption=suite.encryption,
        integrity=suite.integrity,
        prf=suite.prf,
        sk_d=sk_d,
        sk_ai=sk_ai,
        sk_ar=sk_ar,
        sk_ei=sk_ei,
        sk_er=sk_er,
        sk_pi=sk_pi,
        sk_pr=sk_pr,
        skeyid=seed,
        origin=origin,
    )


def initial_keys(
    suite: IkeSuite, secret: bytes, nonce_i: bytes, nonce_r: bytes, spi_i: int, spi_r: int, *, origin: str = ""
) -> IkeKeys:
    """The keys that IKE_SA_INIT makes (RFC 7296 §2.14)."""
    seed = skeyseed(suite.prf, secret, nonce_i, nonce_r)
    return keys_from_seed(suite, seed, nonce_i, nonce_r, spi_i, spi_r, origin=origin)


def next_generation(
    suite: IkeSuite, keys: IkeKeys, secret: bytes, nonce_i: bytes, nonce_r: bytes, *, origin: str = ""
) -> IkeKeys:
    """The keys after an IKE_INTERMEDIATE with an additional key exchange (RFC 9370 §2.2.2).

    SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), expanded as before; nonces and SPIs are those of IKE_SA_INIT.
    """
    seed = prf_algorithm(suite.prf).compute(keys.sk_d, secret + nonce_i + nonce_r)
    return keys_from_seed(suite, seed, nonce_i, nonce_r, keys.spi_i, keys.spi_r, origin=origin)


def rekeyed_keys(
    old_prf: int,
    old_sk_d: bytes,
    suite: IkeSuite,
    secrets: Sequence[bytes],
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: int,
    spi_r: int,
    *,
    origin: str = "",
) -> tuple[IkeKeys, ...]:
    """The keys that may follow from the rekeying of an IKE SA (RFC 7296 §2.18, RFC 9370 §2.2.4), likeliest first.

    SKEYSEED = prf(SK_d (old), g^ir | Ni | Nr [| SK(1) | ...]) with the old SA's PRF; nonces and SPIs are those of the
    CREATE_CHILD_SA exchange. RFC 7296 lets the new SA's PRF expand it; there are implementations that use the old one.
    Where the two differ, two key sets are returned, of which what they open tells the right one.
    """
    row = prf_algorithm(old_prf)
    seed = row.compute(old_sk_d, _seeded(secrets, nonce_i, nonce_r))
    return tuple(
        keys_from_seed(suite, seed, nonce_i, nonce_r, spi_i, spi_r, prf=prf, origin=origin)
        for prf in dict.fromkeys((suite.prf, old_prf))
    )


def _seeded(secrets: Sequence[bytes], nonce_i: bytes, nonce_r: bytes) -> bytes:
    """SK(0) | Ni | Nr | SK(1) | ... | SK(n), with no secrets the nonces alone (RFC 9370 §2.2.4, RFC 7296 §2.17)."""
    return b"".join((*secrets[:1], nonce_i, nonce_r, *secrets[1:]))


def with_ppk(keys: IkeKeys, prf: int, ppk: bytes) -> IkeKeys:
    """The keys after a post-quantum pre-shared key was mixed into SK_d, SK_pi and SK_pr (RFC 8784 §3)."""
    row = prf_algorithm(prf)
    sk_d, sk_pi, sk_pr = (row.expand(ppk, key, row.octets) for key in (keys.sk_d, keys.sk_pi, keys.sk_pr))
    return replace(keys, sk_d=sk_d, sk_pi=sk_pi, sk_pr=sk_pr)


def child_keys(
    suite: ChildSuite,
    prf: int,
    sk_d: bytes,
    nonce_i: bytes,
    nonce_r: bytes,
    *,
    secrets: Sequence[bytes] = (),
    spi_i: int | None = None,
    spi_r: int | None = None,
    origin: str = "",
) -> tuple[EspKeys, EspKeys]:
    """The keys of a Child SA: from the exchange's initiator to its responder, and back (RFC 7296 §2.17).

    KEYMAT = prf+(SK_d, [g^ir |] Ni | Nr [| SK(1) | ...]). `spi_i` and `spi_r` are what initiator and responder said in
    their SA payloads: each chose the SPI of what it receives. The child of IKE_AUTH takes IKE_SA_INIT's nonces and no
    secret. Raises DecryptError.
    """
    octets = suite.octets
    material = prf_algorithm(prf).expand(sk_d, _seeded(secrets, nonce_i, nonce_r), 2 * octets)
    return suite.split(material[:octets], spi_r, origin), suite.split(material[octets:], spi_i, origin)


def signed_octets(prf: int, sk_p: bytes, message: bytes, nonce: bytes, id_body: bytes, int_auth: bytes = b"") -> bytes:
    """What the AUTH payload of one side is computed over (RFC 7296 §2.15).

    `message` is that side's own IKE_SA_INIT message (the last one sent, header included, without the non-ESP marker),
    `nonce` the other side's, `sk_p` its SK_pi or SK_pr, `id_body` its ID payload without the generic header;
    `int_auth` what IKE_INTERMEDIATE added: IntAuth_iN | IntAuth_rN | message ID of IKE_AUTH (RFC 9242 §3.3.2).
    """
    return message + nonce + prf_algorithm(prf).compute(sk_p, id_body) + int_auth


def key_pad_auth(prf: int, shared: bytes, octets: bytes) -> bytes:
    """AUTH = prf(prf(shared secret, "Key Pad for IKEv2"), octets) (RFC 7296 §2.15); a PSK, or EAP's MSK (§2.16)."""
    row = prf_algorithm(prf)
    return row.compute(row.compute(shared, _KEY_PAD), octets)


def intermediate_auth(
    prf: int, sk_p: bytes, message: bytes, encrypted_offset: int, chain: bytes, previous: bytes = b""
) -> bytes:
    """IntAuth of one message of IKE_INTERMEDIATE: prf(SK_p, previous IntAuth | A | P) (RFC 9242 §3.3.2).

    A is the message up to and with the SK payload's generic header, with both lengths as if P, the decrypted chain of
    payloads, followed in clear text; `encrypted_offset` is where the SK payload begins. Of a fragmented message it is
    the first fragment, which then counts as if it had an SK payload, and `chain` is what all fragments have together.
    SK_p is that of the keys which protect this message.
    """
    header = bytearray(message[: encrypted_offset + 4])
    header[24:28] = (len(header) + len(chain)).to_bytes(4)
    header[-2:] = (4 + len(chain)).to_bytes(2)
    announced = 16
    position = HEADER_OCTETS
    while position < encrypted_offset:
        announced = position
        position += max(int.from_bytes(header[position + 2 : position + 4]), 4)
    header[announced] = PayloadType.SK
    return prf_algorithm(prf).compute(sk_p, previous + header + chain)
