"""Encryption algorithms by IANA's number: sizes of key, salt, IV, block and ICV, and what opens them.

One row an algorithm. A row that nothing opens still tells the sizes, so that key material can be split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from ipsecanalyze.crypto.ciphers import (
    AeadOpen,
    AeadStream,
    Decrypt,
    camellia_ccm,
    cbc,
    ccm,
    chacha20_poly1305,
    ctr,
    gcm,
    stream_of,
)
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.registry.ikev2_transforms import Encr

__all__ = ["ENCRYPTION", "EncryptionAlgorithm", "encryption_algorithm"]

_AES = (16, 24, 32)


@dataclass(frozen=True, slots=True)
class EncryptionAlgorithm:
    """What the RFC of an encryption algorithm prescribes; all sizes in octets."""

    number: int
    name: str
    mode: str
    """"null", "cbc", "ctr", "gmac" (integrity alone), an AEAD's "gcm", "ccm", "chacha"; "none": nothing opens it."""
    cipher: str = ""
    """The block cipher, as the library names it."""
    key_octets: tuple[int, ...] = ()
    """Allowed sizes of the key without its salt."""
    default_key: int | None = None
    """The size where no Key Length attribute is sent; None: it has to be sent."""
    salt_octets: int = 0
    iv_octets: int = 0
    """On the wire; 0 with an implicit IV."""
    block_octets: int = 1
    icv_octets: int = 0
    """Of AEAD and GMAC; 0: integrity is another algorithm's."""
    implicit_iv: bool = False
    """The IV is the sequence number (RFC 8750)."""

    @property
    def is_aead(self) -> bool:
        """Whether it has an ICV of its own (combined mode, GMAC included)."""
        return self.icv_octets > 0

    @property
    def key_is_bounded(self) -> bool:
        """Whether only listed key sizes are good; Blowfish and CAST take a range, of which the ends are listed."""
        return self.cipher not in ("Blowfish", "CAST5")

    def key_size(self, key_bits: int | None) -> int:
        """Octets of a key, without salt, of the negotiated length; raises DecryptError where it is missing or bad."""
        octets = self.default_key if key_bits is None else key_bits // 8
        if octets is None:
            raise DecryptError(f"{self.name} has several key lengths, and none is told", slug="key-length")
        self._check_size(octets)
        return octets

    def check(self, key: bytes, salt: bytes) -> None:
        """Raise DecryptError where key or salt cannot be of this algorithm."""
        self._check_size(len(key))
        if len(salt) != self.salt_octets:
            reason = f"the salt of {self.name} has {self.salt_octets} octets, not {len(salt)}"
            raise DecryptError(reason, slug="salt-length")

    def _check_size(self, octets: int) -> None:
        sizes = self.key_octets
        good = octets in sizes if self.key_is_bounded or not sizes else sizes[0] <= octets <= sizes[-1]
        if not good and (sizes or octets):
            allowed = ("or " if self.key_is_bounded else "to ").join(f"{size} " for size in sizes) or "0 "
            raise DecryptError(f"a key of {self.name} has {allowed}octets, not {octets}", slug="key-length")

    def decrypter(self, key: bytes, salt: bytes) -> Decrypt:
        """What decrypts IV and ciphertext (AEAD excepted). Raises DecryptError: bad sizes, or nothing can."""
        self.check(key, salt)
        if self.mode == "null":
            return lambda data: data
        if self.mode == "cbc":
            return cbc(self.cipher, key, self.block_octets)
        if self.mode == "ctr":
            return ctr(self.cipher, key, salt)
        raise self._unsupported()

    def aead(self, key: bytes, salt: bytes, icv_octets: int | None = None) -> AeadOpen:
        """What opens an AEAD, given (nonce, ciphertext and ICV, associated data). Raises DecryptError as above."""
        self.check(key, salt)
        icv = self.icv_octets if icv_octets is None else icv_octets
        opener = _AEADS.get(self.mode if self.cipher in ("", "AES") else f"{self.mode} {self.cipher}")
        if opener is None:
            raise self._unsupported()
        if icv not in ((16,) if self.mode in ("chacha", "gmac") else (8, 12, 16)):
            raise DecryptError(f"{self.name} has no ICV of {icv} octets", slug="icv-length")
        return opener(key, icv)

    def stream(self, key: bytes, salt: bytes) -> AeadStream:
        """What decrypts the beginning of what an AEAD sealed, unverified. Raises DecryptError as above."""
        self.check(key, salt)
        if self.mode not in ("gcm", "ccm", "chacha"):
            raise self._unsupported()
        return stream_of(self.mode, self.cipher, key)

    def _unsupported(self) -> DecryptError:
        reason = (
            f"the cryptographic library has no {self.cipher}"
            if self.mode == "none"
            else f"{self.name} is not supported"
        )
        return DecryptError(reason, slug="unsupported")


#: GMAC is GCM with nothing to encrypt (RFC 4543 §3.3).
_AEADS: MappingProxyType[str, Callable[[bytes, int], AeadOpen]] = MappingProxyType(
    {"gcm": gcm, "gmac": gcm, "ccm": ccm, "ccm Camellia": camellia_ccm, "chacha": chacha20_poly1305}
)


def _cbc(
    encr: Encr, cipher: str, sizes: tuple[int, ...], block: int, default: int | None = None
) -> EncryptionAlgorithm:
    return EncryptionAlgorithm(encr, encr.name, "cbc", cipher, sizes, default, iv_octets=block, block_octets=block)


def _ctr(encr: Encr, cipher: str) -> EncryptionAlgorithm:
    return EncryptionAlgorithm(encr, encr.name, "ctr", cipher, _AES, salt_octets=4, iv_octets=8)


def _aead(encr: Encr, mode: str, cipher: str, salt: int, icv: int, iv: int = 8) -> EncryptionAlgorithm:
    # RFC 5529 §4: Camellia without a Key Length attribute has 128 bits.
    sizes, default = ((32,), 32) if mode == "chacha" else (_AES, 16 if cipher == "Camellia" else None)
    return EncryptionAlgorithm(
        encr, encr.name, mode, cipher, sizes, default, salt, iv, icv_octets=icv, implicit_iv=iv == 0
    )


def _closed(encr: Encr, cipher: str, sizes: tuple[int, ...], block: int) -> EncryptionAlgorithm:
    return EncryptionAlgorithm(encr, encr.name, "none", cipher, sizes, None, iv_octets=block, block_octets=block)


ENCRYPTION: MappingProxyType[int, EncryptionAlgorithm] = MappingProxyType(
    {
        row.number: row
        for row in (
            _cbc(Encr.ENCR_DES, "DES", (8,), 8, 8),
            _cbc(Encr.ENCR_3DES, "TripleDES", (24,), 8, 24),
            _closed(Encr.ENCR_RC5, "RC5", (5, 16, 20), 8),
            _cbc(Encr.ENCR_IDEA, "IDEA", (16,), 8, 16),
            _cbc(Encr.ENCR_CAST, "CAST5", (5, 16), 8, 16),
            _cbc(Encr.ENCR_BLOWFISH, "Blowfish", (5, 56), 8, 16),
            EncryptionAlgorithm(Encr.ENCR_NULL, Encr.ENCR_NULL.name, "null", default_key=0),
            _cbc(Encr.ENCR_AES_CBC, "AES", _AES, 16),
            _ctr(Encr.ENCR_AES_CTR, "AES"),
            _aead(Encr.ENCR_AES_CCM_8, "ccm", "AES", 3, 8),
            _aead(Encr.ENCR_AES_CCM_12, "ccm", "AES", 3, 12),
            _aead(Encr.ENCR_AES_CCM_16, "ccm", "AES", 3, 16),
            _aead(Encr.ENCR_AES_GCM_8, "gcm", "AES", 4, 8),
            _aead(Encr.ENCR_AES_GCM_12, "gcm", "AES", 4, 12),
            _aead(Encr.ENCR_AES_GCM_16, "gcm", "AES", 4, 16),
            _aead(Encr.ENCR_NULL_AUTH_AES_GMAC, "gmac", "AES", 4, 16),
            _cbc(Encr.ENCR_CAMELLIA_CBC, "Camellia", _AES, 16, 16),
            _ctr(Encr.ENCR_CAMELLIA_CTR, "Camellia"),
            _aead(Encr.ENCR_CAMELLIA_CCM_8, "ccm", "Camellia", 3, 8),
            _aead(Encr.ENCR_CAMELLIA_CCM_12, "ccm", "Camellia", 3, 12),
            _aead(Encr.ENCR_CAMELLIA_CCM_16, "ccm", "Camellia", 3, 16),
            _aead(Encr.ENCR_CHACHA20_POLY1305, "chacha", "", 4, 16),
            _aead(Encr.ENCR_AES_CCM_8_IIV, "ccm", "AES", 3, 8, 0),
            _aead(Encr.ENCR_AES_GCM_16_IIV, "gcm", "AES", 4, 16, 0),
            _aead(Encr.ENCR_CHACHA20_POLY1305_IIV, "chacha", "", 4, 16, 0),
            _closed(Encr.ENCR_SERPENT_CBC, "Serpent", _AES, 16),
            _closed(Encr.ENCR_TWOFISH_CBC, "Twofish", _AES, 16),
        )
    }
)
"""ENCR transform ID → its row."""


def encryption_algorithm(number: int) -> EncryptionAlgorithm:
    """The row of an ENCR transform ID; raises DecryptError where there is none."""
    row = ENCRYPTION.get(number)
    if row is None:
        raise DecryptError(f"{Encr(number).name} is not supported", slug="unsupported")
    return row
