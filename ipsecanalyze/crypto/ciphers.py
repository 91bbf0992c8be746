"""Modes of operation, each made once for a key and then used for every packet: CBC, CTR, GCM, CCM, ChaCha20-Poly1305.

The ciphers are those of `cryptography`; here they are only kept from being made anew for each packet, which costs more
than to decrypt one. What they need from a packet (IV, nonce, associated data) is the business of `esp.py` and `ike.py`.

What is made here keeps state between calls and is not for several threads at a time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from ipsecanalyze.errors import DecryptError

__all__ = [
    "AeadOpen",
    "AeadStream",
    "Decrypt",
    "InvalidTag",
    "Octets",
    "block_cipher",
    "camellia_ccm",
    "cbc",
    "ccm",
    "chacha20_poly1305",
    "ctr",
    "gcm",
    "stream_of",
]

Octets = bytes | memoryview
#: IV and ciphertext → plaintext.
Decrypt = Callable[[Octets], Octets]
#: (nonce, ciphertext and ICV, associated data) → plaintext; raises InvalidTag.
AeadOpen = Callable[[bytes, Octets, Octets], bytes]
#: (nonce, octets of the ciphertext's beginning) → the same of the plaintext; nothing is verified.
AeadStream = Callable[[bytes, Octets], bytes]

#: Where the library keeps, or kept, what it would rather not have.
_HOMES = (
    "cryptography.hazmat.decrepit.ciphers.algorithms",
    "cryptography.hazmat.primitives.ciphers.algorithms",
)


def block_cipher(name: str, key: bytes) -> Any:
    """The library's algorithm object of a block cipher, "AES", "TripleDES"; DES is TripleDES with one key thrice.

    Raises DecryptError where the library has none.
    """
    if name == "AES":
        return AES(key)
    if name == "DES":
        name, key = "TripleDES", key * 3
    for home in _HOMES:
        try:
            found = getattr(importlib.import_module(home), name, None)
        except ImportError:
            continue
        if found is not None:
            return found(key)
    raise DecryptError(f"the cryptographic library has no {name}", slug="unsupported")


def _context(algorithm: Any, mode: Any, *, encrypt: bool = False) -> Any:
    """A cipher context; raises DecryptError where the library cannot do this pair of algorithm and mode."""
    try:
        cipher = Cipher(algorithm, mode)
        return cipher.encryptor() if encrypt else cipher.decryptor()
    except UnsupportedAlgorithm:
        reason = f"the cryptographic library has no {algorithm.name} in {mode.name} mode"
        raise DecryptError(reason, slug="unsupported") from None


def cbc(name: str, key: bytes, block: int) -> Decrypt:
    """Decrypt in CBC mode: IV and ciphertext, whole blocks of `block` octets, become plaintext."""
    update = _context(block_cipher(name, key), modes.CBC(bytes(block))).update

    def decrypt(data: Octets) -> bytes:
        if len(data) % block:
            raise DecryptError(f"{len(data)} octets are no whole blocks of {block}", slug="length")
        # In CBC the IV only takes the place of a ciphertext block. So one context serves all packets: given the IV as
        # the first block it makes one block of nonsense, which depends on the packet before and is dropped.
        plain: bytes = update(data)
        return plain[block:]

    return decrypt


def ctr(name: str, key: bytes, salt: bytes) -> Decrypt:
    """Decrypt in CTR mode: the counter block is salt (nonce), IV of 8 octets and 1 (RFC 3686 §4, RFC 5529 §2.3)."""
    one = b"\x00\x00\x00\x01"
    if name != "AES":
        stream = _keystream(name, key)
        return lambda data: stream(int.from_bytes(b"".join((salt, data[:8], one))), data[8:])
    algorithm = block_cipher(name, key)
    context = _context(algorithm, modes.CTR(bytes(16)))
    reset = getattr(context, "reset_nonce", None)

    def decrypt(data: Octets) -> bytes:
        nonlocal context
        start = b"".join((salt, data[:8], one))
        if reset is None:  # cryptography before 43
            context = _context(algorithm, modes.CTR(start))
        else:
            reset(start)
        plain: bytes = context.update(data[8:])
        return plain

    return decrypt


def _keystream(name: str, key: bytes) -> Callable[[int, Octets], bytes]:
    """CTR mode built on single blocks, where the library has none: (first counter block, data) → data."""
    update = _context(block_cipher(name, key), modes.ECB(), encrypt=True).update  # noqa: S305

    def apply(counter: int, data: Octets) -> bytes:
        size = len(data)
        # The counter is the block's last 32 bits, and no packet makes it wrap.
        blocks = b"".join((counter + i).to_bytes(16) for i in range((size + 15) // 16))
        stream = update(blocks)[:size]
        return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(size)

    return apply


def gcm(key: bytes, icv: int) -> AeadOpen:
    """Open AES-GCM with an ICV of 8, 12 or 16 octets (RFC 4106 §6, SP 800-38D)."""
    aead = AESGCM(key)
    if icv == 16:
        return aead.decrypt
    encrypt = aead.encrypt

    def decrypt(nonce: bytes, data: Octets, associated: Octets) -> bytes:
        # The library knows whole tags only, unless a cipher is made for each packet (six times slower). Encryption and
        # decryption are the same counter mode, so encrypting once decrypts, and encrypting that gives the whole tag.
        plain = encrypt(nonce, data[:-icv], None)[:-16]
        if encrypt(nonce, plain, associated)[-16 : icv - 16] != data[-icv:]:
            raise InvalidTag
        return plain

    return decrypt


def ccm(key: bytes, icv: int) -> AeadOpen:
    """Open AES-CCM with an ICV of 8, 12 or 16 octets and a nonce of 11 (RFC 4309)."""
    return AESCCM(key, tag_length=icv).decrypt


def chacha20_poly1305(key: bytes, icv: int) -> AeadOpen:
    """Open ChaCha20-Poly1305 (RFC 7634 §2); the ICV is always of 16 octets."""
    del icv
    return ChaCha20Poly1305(key).decrypt


def camellia_ccm(key: bytes, icv: int, name: str = "Camellia") -> AeadOpen:
    """Open CCM with another cipher than AES, of 16 octets a block, built on its single blocks (RFC 5529, RFC 3610)."""
    algorithm = block_cipher(name, key)
    stream = _keystream(name, key)

    def decrypt(nonce: bytes, data: Octets, associated: Octets) -> bytes:
        width = 15 - len(nonce)
        first = int.from_bytes(bytes((width - 1,)) + nonce + bytes(width))
        plain = stream(first + 1, data[:-icv])
        flags = (64 if associated else 0) + 8 * ((icv - 2) // 2) + width - 1
        blocks = bytes((flags,)) + nonce + len(plain).to_bytes(width)
        if associated:
            blocks += len(associated).to_bytes(2) + associated
            blocks += bytes(-len(blocks) % 16)
        blocks += plain + bytes(-len(plain) % 16)
        tag = _context(algorithm, modes.CBC(bytes(16)), encrypt=True).update(blocks)[-16:]
        if stream(first, tag)[:icv] != data[-icv:]:
            raise InvalidTag
        return plain

    return decrypt


def stream_of(mode: str, cipher: str, key: bytes) -> AeadStream:
    """Decrypt the beginning of what an AEAD of `mode` ("gcm", "ccm", "chacha") sealed, without its ICV.

    All of them encrypt with a stream, so encrypting once more decrypts.
    """
    if mode == "ccm" and cipher != "AES":
        stream = _keystream(cipher, key)
        return lambda nonce, data: stream(
            int.from_bytes(bytes((14 - len(nonce),)) + nonce + bytes(14 - len(nonce)) + b"\1"), data
        )
    aead = AESGCM(key) if mode == "gcm" else AESCCM(key) if mode == "ccm" else ChaCha20Poly1305(key)
    encrypt = aead.encrypt
    return lambda nonce, data: encrypt(nonce, data, None)[: len(data)]
