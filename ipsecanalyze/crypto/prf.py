"""Pseudorandom functions by IANA's number, and prf+ (RFC 7296 §2.13).

IKEv1's PRFs are the HMACs of the negotiated hash (RFC 2409 §4), so they have the same numbers here.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from types import MappingProxyType

from ipsecanalyze.crypto.integrity import aes_cmac, aes_xcbc
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.registry.ikev2_transforms import Prf

__all__ = ["PRFS", "PrfAlgorithm", "prf_algorithm"]


@dataclass(frozen=True, slots=True)
class PrfAlgorithm:
    """A PRF; all sizes in octets."""

    number: int
    name: str
    octets: int
    """Of the output; also the preferred key size, so of SK_d, SK_pi, SK_pr (RFC 7296 §2.13, §2.14)."""
    digest: str = ""
    """The hash behind the HMAC; empty: built on AES."""

    def compute(self, key: bytes, data: bytes) -> bytes:
        """prf(key, data). A key of any length (RFC 2104 §2; RFC 4434 §2, RFC 4615 §3 for those on AES)."""
        if self.digest:
            return hmac.digest(key, data, self.digest)
        if self.number == Prf.PRF_AES128_XCBC:
            make = aes_xcbc
            if len(key) < 16:
                key += bytes(16 - len(key))
        else:
            make = aes_cmac
        if len(key) != 16:
            key = make(bytes(16))(key, b"")
        return make(key)(data, b"")

    def expand(self, key: bytes, seed: bytes, octets: int) -> bytes:
        """The first `octets` of prf+(key, seed) (RFC 7296 §2.13). Raises DecryptError beyond 255 rounds."""
        if octets > 255 * self.octets:
            raise DecryptError(f"prf+ ends after 255 rounds of {self.octets} octets", slug="key-length")
        block, result, round_number = b"", b"", 0
        while len(result) < octets:
            round_number += 1
            block = self.compute(key, block + seed + bytes((round_number,)))
            result += block
        return result[:octets]

    def seed_key(self, nonce_i: bytes, nonce_r: bytes) -> bytes:
        """Ni | Nr as the key of SKEYSEED: those on AES take the first 64 bits of each (RFC 7296 §2.14)."""
        return nonce_i + nonce_r if self.digest else nonce_i[:8] + nonce_r[:8]

    def hash(self, data: bytes) -> bytes:
        """The negotiated hash of IKEv1, which the HMAC is made of (RFC 2409 §4)."""
        if not self.digest:
            raise DecryptError(f"{self.name} is not made of a hash", slug="unsupported")
        return hashlib.new(self.digest, data, usedforsecurity=False).digest()


PRFS: MappingProxyType[int, PrfAlgorithm] = MappingProxyType(
    {
        prf.value: PrfAlgorithm(prf.value, prf.name, octets, digest)
        for prf, octets, digest in (
            (Prf.PRF_HMAC_MD5, 16, "md5"),
            (Prf.PRF_HMAC_SHA1, 20, "sha1"),
            (Prf.PRF_AES128_XCBC, 16, ""),
            (Prf.PRF_HMAC_SHA2_256, 32, "sha256"),
            (Prf.PRF_HMAC_SHA2_384, 48, "sha384"),
            (Prf.PRF_HMAC_SHA2_512, 64, "sha512"),
            (Prf.PRF_AES128_CMAC, 16, ""),
        )
    }
)
"""PRF transform ID → its row."""


def prf_algorithm(number: int) -> PrfAlgorithm:
    """The row of a PRF transform ID; raises DecryptError where there is none."""
    row = PRFS.get(number)
    if row is None:
        raise DecryptError(f"{Prf(number).name} is not supported", slug="unsupported")
    return row
