"""IKEv1's keys, IVs and hashes (RFC 2409): SKEYID and what follows from it, Quick Mode's key material, HASH payloads.

`prf` is the IKEv2 number of the HMAC of the negotiated hash. Payload bodies are without the generic header.
"""

from __future__ import annotations

from ipsecanalyze.crypto.encryption import encryption_algorithm
from ipsecanalyze.crypto.material import EspKeys, IkeKeys
from ipsecanalyze.crypto.prf import prf_algorithm
from ipsecanalyze.crypto.suite import ChildSuite, IkeSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.registry.ikev1 import Phase1AuthMethod

__all__ = [
    "exchange_hash",
    "expand_skeyid_e",
    "hash_3",
    "message_iv",
    "phase1_hash",
    "phase1_iv",
    "phase1_keys",
    "quick_mode_keys",
    "skeyid",
    "split_hash",
]

_PSK = frozenset((1, 65001, 65002))
#: Signatures: DSS, RSA, ECDSA (RFC 4754), Hybrid's and XAUTH's (draft-ietf-ipsec-isakmp-hybrid-auth, -xauth).
_SIGNATURES = frozenset((2, 3, 8, 9, 10, 11, 64221, 64222, 64223, 64224, 65003, 65004, 65005, 65006))
_PROTOCOLS = {"AH": 2, "ESP": 3}


def skeyid(
    prf: int,
    method: int,
    nonce_i: bytes,
    nonce_r: bytes,
    *,
    psk: bytes | None = None,
    secret: bytes | None = None,
) -> bytes:
    """SKEYID, by the authentication method of Phase 1 (RFC 2409 §5, `Phase1AuthMethod` numbers).

    A pre-shared key needs `psk`, signatures need `secret` (g^xy). Raises DecryptError where it is missing, and for
    authentication by public key encryption, which hides the nonces.
    """
    row = prf_algorithm(prf)
    if method in _PSK:
        if psk is None:
            raise DecryptError("the pre-shared key is needed", slug="missing-key")
        return row.compute(psk, nonce_i + nonce_r)
    if method in _SIGNATURES:
        if secret is None:
            raise DecryptError("the shared secret g^xy is needed", slug="missing-key")
        return row.compute(nonce_i + nonce_r, secret)
    raise DecryptError(f"keys of {Phase1AuthMethod(method).name} are not derived here", slug="unsupported")


def expand_skeyid_e(prf: int, skeyid_e: bytes, octets: int) -> bytes:
    """The encryption key Ka of `octets` octets out of SKEYID_e (RFC 2409 Appendix B)."""
    if octets <= len(skeyid_e):
        return skeyid_e[:octets]
    row = prf_algorithm(prf)
    block = result = row.compute(skeyid_e, b"\x00")
    while len(result) < octets:
        block = row.compute(skeyid_e, block)
        result += block
    return result[:octets]


def phase1_keys(
    suite: IkeSuite, skeyid: bytes, secret: bytes, cookie_i: int, cookie_r: int, *, origin: str = ""
) -> IkeKeys:
    """SKEYID_d, SKEYID_a, SKEYID_e and Ka from SKEYID and g^xy (RFC 2409 §5, Appendix B). Raises DecryptError."""
    row = prf_algorithm(suite.prf)
    cookies = cookie_i.to_bytes(8) + cookie_r.to_bytes(8)
    skeyid_d = row.compute(skeyid, secret + cookies + b"\x00")
    skeyid_a = row.compute(skeyid, skeyid_d + secret + cookies + b"\x01")
    skeyid_e = row.compute(skeyid, skeyid_a + secret + cookies + b"\x02")
    ka = expand_skeyid_e(suite.prf, skeyid_e, suite.encryption_octets)
    return IkeKeys(
        version=1,
        spi_i=cookie_i,
        spi_r=cookie_r,
        encryption=suite.encryption,
        integrity=0,
        prf=suite.prf,
        sk_d=skeyid_d,
        sk_ai=skeyid_a,
        sk_ar=skeyid_a,
        sk_ei=ka,
        sk_er=ka,
        skeyid=skeyid,
        skeyid_e=skeyid_e,
        origin=origin,
    )


def phase1_iv(prf: int, encryption: int, public_i: bytes, public_r: bytes) -> bytes:
    """The IV of the first encrypted message of Phase 1: hash(g^xi | g^xr), cut to a block (RFC 2409 Appendix B)."""
    block = encryption_algorithm(encryption).block_octets
    return prf_algorithm(prf).hash(public_i + public_r)[:block]


def message_iv(prf: int, last_block: bytes, message_id: int) -> bytes:
    """The IV of the first message of a later exchange: hash(last block of Phase 1 | M-ID) (RFC 2409 Appendix B)."""
    return prf_algorithm(prf).hash(last_block + message_id.to_bytes(4))[: len(last_block)]


def quick_mode_keys(
    suite: ChildSuite,
    prf: int,
    skeyid_d: bytes,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: int,
    spi_r: int,
    *,
    secret: bytes = b"",
    origin: str = "",
) -> tuple[EspKeys, EspKeys]:
    """The keys of a Quick Mode: from its initiator to its responder, and back (RFC 2409 §5.5).

    K1 = prf(SKEYID_d, [g(qm)^xy |] protocol | SPI | Ni | Nr), Kn = prf(SKEYID_d, K(n-1) | ...), for each direction with
    the SPI that its receiver chose. `secret` is that of PFS. Raises DecryptError.
    """
    row = prf_algorithm(prf)
    octets = suite.octets
    protocol = bytes((_PROTOCOLS[suite.protocol],))

    def one_way(spi: int) -> EspKeys:
        seed = secret + protocol + spi.to_bytes(4) + nonce_i + nonce_r
        block = material = row.compute(skeyid_d, seed)
        while len(material) < octets:
            block = row.compute(skeyid_d, block + seed)
            material += block
        return suite.split(material[:octets], spi, origin)

    return one_way(spi_r), one_way(spi_i)


def phase1_hash(
    prf: int,
    skeyid: bytes,
    public: bytes,
    other_public: bytes,
    cookie: int,
    other_cookie: int,
    sa_body: bytes,
    id_body: bytes,
) -> bytes:
    """HASH_I or HASH_R (RFC 2409 §5): prf(SKEYID, own g^x | other's | own cookie | other's | SAi_b | own ID_b)."""
    data = public + other_public + cookie.to_bytes(8) + other_cookie.to_bytes(8) + sa_body + id_body
    return prf_algorithm(prf).compute(skeyid, data)


def split_hash(chain: bytes) -> tuple[bytes, bytes]:
    """(hash, payloads behind it) of an opened chain that begins with a HASH payload (RFC 2409 §5.5, §5.7).

    `chain` is without padding. Raises DecryptError("malformed").
    """
    length = int.from_bytes(chain[2:4])
    if not 4 <= length <= len(chain):
        raise DecryptError("the HASH payload cannot be read", slug="malformed")
    return chain[4:length], chain[length:]


def exchange_hash(prf: int, skeyid_a: bytes, message_id: int, payloads: bytes, nonce_i: bytes = b"") -> bytes:
    """HASH(1): prf(SKEYID_a, M-ID | payloads behind the HASH payload); HASH(2) with `nonce_i` (RFC 2409 §5.5, §5.7).

    Informational and transaction exchanges (draft-ietf-ipsec-isakmp-mode-cfg) carry HASH(1).
    """
    return prf_algorithm(prf).compute(skeyid_a, message_id.to_bytes(4) + nonce_i + payloads)


def hash_3(prf: int, skeyid_a: bytes, message_id: int, nonce_i: bytes, nonce_r: bytes) -> bytes:
    """HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b) (RFC 2409 §5.5)."""
    return prf_algorithm(prf).compute(skeyid_a, b"\x00" + message_id.to_bytes(4) + nonce_i + nonce_r)
