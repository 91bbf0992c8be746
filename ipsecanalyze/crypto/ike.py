"""Opening IKE messages: SK and SKF payloads of IKEv2, the encrypted messages of IKEv1.

What comes out is the chain of payloads that was inside, as octets; `ike/chain.py` reads them. Where an ICV is there it
is verified first: no unverified octet of IKEv2 gets out. An opener belongs to one generation of keys and one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ipsecanalyze.crypto.ciphers import InvalidTag
from ipsecanalyze.crypto.encryption import encryption_algorithm
from ipsecanalyze.crypto.integrity import integrity_algorithm
from ipsecanalyze.crypto.material import IkeKeys
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.ike.header import FLAG_INITIATOR, HEADER_OCTETS

__all__ = ["IkeOpener", "IkeV1Opener", "OpenedIke", "OpenedIkeV1", "chain_end", "join_fragments"]

_SK, _SKF = 46, 53
#: (header up to the IV, IV with all that follows) → plaintext with its padding; raises DecryptError.
_Unseal = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True)
class OpenedIke:
    """What was inside an SK or SKF payload; its ICV was right."""

    chain: bytes
    """The payloads, or of SKF the piece of them, without padding."""
    first_type: int
    """The type of the first payload; in all but the first fragment 0."""
    padding: bytes
    """The padding without its length octet; its content is the sender's choice (RFC 7296 §3.14)."""
    offset: int
    """Where the SK or SKF payload begins, in octets from the start of the message."""
    fragment_number: int = 0
    """From 1; 0: SK, so not a fragment."""
    total_fragments: int = 0


@dataclass(frozen=True, slots=True)
class OpenedIkeV1:
    """What was inside an encrypted message of IKEv1; only its HASH payload can tell whether it is genuine."""

    chain: bytes
    first_type: int
    padding: bytes
    next_iv: bytes
    """The last block of ciphertext: the IV of the next message of the same exchange (RFC 2409 Appendix B)."""


def join_fragments(pieces: Iterable[OpenedIke]) -> tuple[bytes, int]:
    """The chain of payloads that opened fragments have together, in any order, and the type of its first payload.

    Raises DecryptError("fragments") where one is missing, or they are not of one division (RFC 7383 §2.6). Which ones
    belong together is the business of `ike/fragments.py`.
    """
    ordered = sorted({piece.fragment_number: piece for piece in pieces}.items())
    total = ordered[-1][1].total_fragments if ordered else 0
    numbers = [number for number, _ in ordered]
    if not total or numbers != list(range(1, total + 1)) or any(piece.total_fragments != total for _, piece in ordered):
        raise DecryptError(f"{len(ordered)} fragments of {total} do not make a whole message", slug="fragments")
    return b"".join(piece.chain for _, piece in ordered), ordered[0][1].first_type


def _find_encrypted(message: bytes) -> tuple[int, int, int]:
    """(type, start, end) of the SK or SKF payload, which is the last one (RFC 7296 §3.14). Raises DecryptError."""
    if len(message) < HEADER_OCTETS:
        raise DecryptError("the message has no whole header", slug="too-short")
    declared = int.from_bytes(message[24:28])
    kind, position = message[16], HEADER_OCTETS
    limit = min(len(message), declared)
    while kind not in (_SK, _SKF):
        if kind == 0:
            raise DecryptError("the message has no encrypted payload", slug="no-encrypted-payload")
        length = int.from_bytes(message[position + 2 : position + 4])
        if length < 4 or position + length > limit:
            raise DecryptError("the payloads in front of the encrypted one cannot be read", slug="malformed")
        kind = message[position]
        position += length
    length = int.from_bytes(message[position + 2 : position + 4])
    end = position + length
    if end > len(message):
        raise DecryptError(f"{end - len(message)} octets of the message were not captured", slug="truncated")
    if length < (8 if kind == _SKF else 4):
        raise DecryptError("the encrypted payload is shorter than its header", slug="too-short")
    return kind, position, end


class IkeOpener:
    """Opens the messages that one generation of IKEv2 keys protects.

    Raises DecryptError where an algorithm is not supported or a key is missing or not of its size.
    """

    def __init__(
        self,
        keys: IkeKeys,
        *,
        encryption: int | None = None,
        integrity: int | None = None,
        icv_octets: int | None = None,
    ) -> None:
        """`encryption` and `integrity` are what was negotiated, for keys that do not know."""
        encr = keys.encryption if keys.encryption is not None else encryption
        integ = keys.integrity if keys.integrity is not None else integrity
        if encr is None:
            raise DecryptError("the encryption algorithm is not known", slug="unsupported")
        self.keys = keys
        self._numbers = (encr, integ or 0, icv_octets)
        self._unseal: dict[bool, _Unseal] = {}

    def open(self, message: bytes, *, from_initiator: bool | None = None) -> OpenedIke:
        """Verify and open a message, from the first octet of the header on (without the non-ESP marker).

        `from_initiator`: sent by the initiator of the IKE SA; None: as the header's flag says. RFC 7296 §3.14,
        RFC 7383 §2.5, RFC 5282 §3. Raises DecryptError.
        """
        if from_initiator is None:
            from_initiator = len(message) > 19 and bool(message[19] & FLAG_INITIATOR)
        kind, start, end = _find_encrypted(message)
        number = total = 0
        body = start + 4
        if kind == _SKF:
            number, total = int.from_bytes(message[body : body + 2]), int.from_bytes(message[body + 2 : body + 4])
            body += 4
        unseal = self._unseal.get(from_initiator)
        if unseal is None:
            unseal = self._unseal[from_initiator] = self._make(from_initiator)
        plain = unseal(message[:body], message[body:end])
        if not plain or plain[-1] >= len(plain):
            raise DecryptError("the padding is longer than what was encrypted", slug="padding")
        chain_end = len(plain) - 1 - plain[-1]
        return OpenedIke(plain[:chain_end], message[start], plain[chain_end:-1], start, number, total)

    def _make(self, from_initiator: bool) -> _Unseal:
        keys = self.keys
        encryption, integrity, icv_octets = self._numbers
        row = encryption_algorithm(encryption)
        key = keys.sk_ei if from_initiator else keys.sk_er
        if row.implicit_iv or row.mode == "gmac":
            raise DecryptError(f"{row.name} is not for IKE (RFC 8750 §6, RFC 4543 §2)", slug="unsupported")
        if not key and row.mode != "null":
            raise DecryptError(f"SK_e{'i' if from_initiator else 'r'} is not known", slug="missing-key")
        cut = len(key) - row.salt_octets
        key, salt = key[:cut] if cut > 0 else b"", key[max(cut, 0) :]
        if row.is_aead:
            return _aead(row.aead(key, salt, icv_octets), salt, icv_octets or row.icv_octets)
        decrypt = row.decrypter(key, salt)
        check = integrity_algorithm(integrity)
        if not integrity:
            raise DecryptError("the integrity algorithm is not known", slug="unsupported")
        mac = check.mac(keys.sk_ai if from_initiator else keys.sk_ar)
        icv = icv_octets or check.icv_octets
        least = row.iv_octets + row.block_octets + icv

        def unseal(head: bytes, sealed: bytes) -> bytes:
            if len(sealed) < least:
                raise DecryptError(f"the encrypted payload needs {least} octets", slug="too-short")
            if mac(head + sealed[:-icv], b"")[:icv] != sealed[-icv:]:
                raise _wrong_icv()
            return bytes(decrypt(sealed[:-icv]))

        return unseal


def _wrong_icv() -> DecryptError:
    return DecryptError("the ICV is wrong: these are not the keys, or the message was changed", slug="icv")


def _aead(opener: Callable[[bytes, bytes, bytes], bytes], salt: bytes, icv: int) -> _Unseal:
    """RFC 5282 §3, RFC 7634 §3: the IV has 8 octets, associated data is all in front of it."""

    def unseal(head: bytes, sealed: bytes) -> bytes:
        if len(sealed) < 9 + icv:
            raise DecryptError(f"the encrypted payload needs {9 + icv} octets", slug="too-short")
        try:
            return opener(salt + sealed[:8], sealed[8:], head)
        except InvalidTag:
            raise _wrong_icv() from None

    return unseal


class IkeV1Opener:
    """Decrypts the messages of an IKEv1 SA, given Ka and each message's IV (RFC 2409 §5, Appendix B)."""

    def __init__(self, keys: IkeKeys, *, encryption: int | None = None) -> None:
        """Raises DecryptError where the algorithm is not supported or the key is missing or not of its size."""
        number = keys.encryption if keys.encryption is not None else encryption
        if number is None:
            raise DecryptError("the encryption algorithm is not known", slug="unsupported")
        row = encryption_algorithm(number)
        if row.mode != "cbc":
            raise DecryptError(f"{row.name} is not for IKEv1", slug="unsupported")
        if not keys.sk_ei:
            raise DecryptError("the encryption key Ka is not known", slug="missing-key")
        self._decrypt = row.decrypter(keys.sk_ei, b"")
        self.block_octets = row.block_octets

    def open(self, message: bytes, iv: bytes) -> OpenedIkeV1:
        """Decrypt a message, from the first octet of the header on.

        Raises DecryptError("wrong-key") where what comes out is no chain of payloads: another key, or another IV.
        """
        if len(message) < HEADER_OCTETS + self.block_octets:
            raise DecryptError("the message has no whole block", slug="too-short")
        if len(iv) != self.block_octets:
            raise DecryptError(f"the IV has {self.block_octets} octets, not {len(iv)}", slug="length")
        declared = int.from_bytes(message[24:28])
        if declared > len(message):
            raise DecryptError(f"{declared - len(message)} octets of the message were not captured", slug="truncated")
        sealed = message[HEADER_OCTETS : max(declared, HEADER_OCTETS)]
        plain = bytes(self._decrypt(iv + sealed))
        end = chain_end(plain, message[16])
        return OpenedIkeV1(plain[:end], message[16], plain[end:], (iv + sealed)[-self.block_octets :])


def chain_end(plain: bytes, first_type: int) -> int:
    """Where a chain of IKEv1 payloads ends in its decrypted message; raises DecryptError where it is none."""
    kind, position = first_type, 0
    while kind:
        if position + 4 > len(plain):
            break
        length = int.from_bytes(plain[position + 2 : position + 4])
        # The reserved octet is not looked at: some senders fill it.
        if length < 4 or position + length > len(plain):
            break
        kind = plain[position]
        position += length
    else:
        return position
    raise DecryptError("what was decrypted is no chain of payloads: wrong key or IV", slug="wrong-key")
