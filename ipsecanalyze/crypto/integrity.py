"""Integrity algorithms by IANA's number: sizes of key and ICV, and a MAC made once for a key.

GMAC (RFC 4543) needs a nonce and is opened like AEAD; its rows here tell the sizes for AH.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hmac import HMAC

from ipsecanalyze.crypto.ciphers import Octets
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.registry.ikev2_transforms import Integ

__all__ = ["INTEGRITY", "IntegrityAlgorithm", "Mac", "aes_cmac", "aes_xcbc", "integrity_algorithm"]

#: (data, more data behind it) → the whole MAC, before truncation.
Mac = Callable[[Octets, bytes], bytes]


def hmac_of(algorithm: type[hashes.HashAlgorithm]) -> Callable[[bytes], Mac]:
    """HMAC (RFC 2104): a copy of the keyed state for each packet costs half of a new one."""

    def make(key: bytes) -> Mac:
        copy = HMAC(key, algorithm()).copy

        def mac(data: Octets, tail: bytes = b"") -> bytes:
            state = copy()
            state.update(data)
            if tail:
                state.update(tail)
            return state.finalize()

        return mac

    return make


def aes_cmac(key: bytes) -> Mac:
    """AES-CMAC (RFC 4493, SP 800-38B)."""
    copy = CMAC(AES(key)).copy

    def mac(data: Octets, tail: bytes = b"") -> bytes:
        state = copy()
        state.update(bytes(data))
        if tail:
            state.update(tail)
        return state.finalize()

    return mac


def aes_xcbc(key: bytes) -> Mac:
    """AES-XCBC-MAC (RFC 3566 §4) with a key of 16 octets; all 16 octets of the MAC."""
    derive = Cipher(AES(key), modes.ECB()).encryptor().update  # noqa: S305
    k1 = derive(b"\x01" * 16)
    k2, k3 = (int.from_bytes(derive(bytes((i,)) * 16)) for i in (2, 3))
    update = Cipher(AES(k1), modes.CBC(bytes(16))).encryptor().update
    last = 0

    def mac(data: Octets, tail: bytes = b"") -> bytes:
        nonlocal last
        message = b"".join((data, tail))
        size = len(message)
        if size and size % 16 == 0:
            mask = k2
        else:
            message += b"\x80" + bytes(-(size + 1) % 16)
            mask = k3
        # The context chains on from the message before: taking its last block out of the first one of this message
        # begins a new chain.
        if len(message) == 16:
            mask ^= last
            head = b""
        else:
            head = (int.from_bytes(message[:16]) ^ last).to_bytes(16) + message[16:-16]
        final = (int.from_bytes(message[-16:]) ^ mask).to_bytes(16)
        result = update(head + final)[-16:]
        last = int.from_bytes(result)
        return result

    return mac


@dataclass(frozen=True, slots=True)
class IntegrityAlgorithm:
    """What the RFC of an integrity algorithm prescribes; all sizes in octets."""

    number: int
    name: str
    key_octets: int = 0
    icv_octets: int = 0
    make: Callable[[bytes], Mac] | None = None
    """Makes the MAC of a key; None: nothing here computes it."""
    salt_octets: int = 0
    iv_octets: int = 0
    """In front of the ICV (GMAC in AH)."""

    @property
    def is_gmac(self) -> bool:
        """Whether it is GMAC, which takes a nonce."""
        return self.iv_octets > 0

    def check(self, key: bytes) -> None:
        """Raise DecryptError where the key cannot be of this algorithm.

        RFC 4868 §2.1.1 fixes the length of HMAC keys; other lengths are taken, as kernels take them (RFC 2104 §2).
        """
        if self.make is None or self.make in (aes_cmac, aes_xcbc):
            if len(key) != self.key_octets:
                reason = f"a key of {self.name} has {self.key_octets} octets, not {len(key)}"
                raise DecryptError(reason, slug="key-length")
        elif not key:
            raise DecryptError(f"{self.name} has no key", slug="missing-key")

    def mac(self, key: bytes) -> Mac:
        """The MAC with a key. Raises DecryptError: bad key, or nothing here computes it."""
        if self.make is None:
            raise DecryptError(f"{self.name} is not supported", slug="unsupported")
        self.check(key)
        return self.make(key)


INTEGRITY: MappingProxyType[int, IntegrityAlgorithm] = MappingProxyType(
    {
        integ.value: IntegrityAlgorithm(integ.value, integ.name, *sizes)
        for integ, *sizes in (
            (Integ.NONE,),
            (Integ.AUTH_HMAC_MD5_96, 16, 12, hmac_of(hashes.MD5)),
            (Integ.AUTH_HMAC_SHA1_96, 20, 12, hmac_of(hashes.SHA1)),
            (Integ.AUTH_DES_MAC, 8, 8),
            (Integ.AUTH_KPDK_MD5, 16, 16),
            (Integ.AUTH_AES_XCBC_96, 16, 12, aes_xcbc),
            (Integ.AUTH_HMAC_MD5_128, 16, 16, hmac_of(hashes.MD5)),
            (Integ.AUTH_HMAC_SHA1_160, 20, 20, hmac_of(hashes.SHA1)),
            (Integ.AUTH_AES_CMAC_96, 16, 12, aes_cmac),
            (Integ.AUTH_AES_128_GMAC, 16, 16, None, 4, 8),
            (Integ.AUTH_AES_192_GMAC, 24, 16, None, 4, 8),
            (Integ.AUTH_AES_256_GMAC, 32, 16, None, 4, 8),
            (Integ.AUTH_HMAC_SHA2_256_128, 32, 16, hmac_of(hashes.SHA256)),
            (Integ.AUTH_HMAC_SHA2_384_192, 48, 24, hmac_of(hashes.SHA384)),
            (Integ.AUTH_HMAC_SHA2_512_256, 64, 32, hmac_of(hashes.SHA512)),
        )
    }
)
"""INTEG transform ID → its row."""


def integrity_algorithm(number: int) -> IntegrityAlgorithm:
    """The row of an INTEG transform ID; raises DecryptError where there is none."""
    row = INTEGRITY.get(number)
    if row is None:
        raise DecryptError(f"{Integ(number).name} is not supported", slug="unsupported")
    return row
