"""Opening one encrypted message of IKEv1: with which keys, from which IV.

There is no checksum: what comes out is right where it is a chain of payloads, and the longer the search, the stricter
that is judged. Keys that opened one message are tried first on the next. The search is bounded for each IKE SA.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ipsecanalyze.crypto.ike import chain_end
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.ike.chain import parse_payloads
from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.tries import Tries
from ipsecanalyze.opening.v1_chains import Chains
from ipsecanalyze.opening.v1_keys import Cipher, ciphers, completed, derived_keys, given_keys, what_is_missing
from ipsecanalyze.opening.v1_phase1 import Phase1
from ipsecanalyze.registry.ikev1 import ExchangeType, PayloadType
from ipsecanalyze.sa.records import IkeSa

__all__ = ["Opening", "Trial"]

_QUICK: Final = int(ExchangeType.QUICK_MODE)
_HASH: Final = int(PayloadType.HASH)
#: What follows HASH in an exchange's messages, the likeliest first: guessed where the first block cannot be read.
_BEHIND_HASH: Final[dict[int, tuple[int, ...]]] = {
    _QUICK: (int(PayloadType.SA), int(PayloadType.NOTIFY)),
    int(ExchangeType.INFORMATIONAL): (int(PayloadType.DELETE), int(PayloadType.NOTIFY)),
    int(ExchangeType.TRANSACTION): (int(PayloadType.ATTRIBUTES),),
}
#: HMACs of SHA-1, SHA-256, MD5, SHA-384, SHA-512.
_HASH_OCTETS: Final = (20, 32, 16, 48, 64)
#: Octets that are decrypted in vain for one IKE SA, and what a short try counts as.
_BUDGET: Final = 8 << 20
_LEAST_TRY: Final = 1_024
#: Key sets in use: one, or one of each side where their pre-shared keys differ.
_IN_USE: Final = 4


@dataclass(slots=True)
class Opening:
    """What was inside a message."""

    chain: bytes
    """The payloads, without padding."""
    cipher: Cipher
    unknown: int = 0
    """Octets at the beginning of the chain that could not be read, as the IV is not known; in `chain` they are made up:
    a generic header that fits, and zeros."""


class Trial:
    """Tries keys on the messages of one IKE SA."""

    def __init__(self, sa: IkeSa, ring: KeyRing, phase1: Phase1, chains: Chains, in_all: Tries | None = None) -> None:
        self._in_all = Tries() if in_all is None else in_all
        self._sa, self._ring, self._phase1, self._chains = sa, ring, phase1, chains
        self.in_use: list[Cipher] = []
        """The sets of keys that opened something, the latest first."""
        self._budget = _BUDGET
        self._candidates: list[Cipher] = []
        self._made_of: tuple[bool, bool] | None = None

    def open(self, message: IkeMessage) -> Opening:
        """Open a message. Raises DecryptError with the reason why it does not open."""
        sealed = message.encrypted_data
        least = message.length - 28
        if least > len(sealed):
            raise DecryptError("the capture cut the message (snap length)", slug="truncated")
        if not sealed or len(sealed) % 8:
            raise DecryptError("what is encrypted is no whole number of cipher blocks", slug="length")
        for cipher in self.in_use:
            is_first = not self._chains.has(message.message_id)
            found = self._try(cipher, message) or _without_iv(cipher, message, is_first=is_first)
            if found is not None:
                return self._use(found)
        candidates = self._all()
        for cipher in candidates:
            if cipher.keys.sk_ei in [used.keys.sk_ei for used in self.in_use]:
                continue
            found = self._try(cipher, message)
            if found is None and not self._phase1.public and self._spend(message, cipher):
                found = _without_iv(cipher, message)
            if found is not None:
                return self._use(found)
        raise DecryptError(self._reason(candidates), slug="wrong-key" if candidates else "missing-key")

    def _reason(self, candidates: list[Cipher]) -> str:
        if not candidates:
            return what_is_missing(self._ring, self._phase1)
        if self.in_use:
            return "the keys that open other messages do not open it, or a message before it is not in the capture"
        if self._budget <= 0 or self._in_all.left <= 0:
            return "none of the keys that were tried opens it (there are too many to try them all)"
        if all(cipher.keys.skeyid and not cipher.is_own for cipher in candidates):
            return "none of the pre-shared keys at hand fits, or g^xy is that of another IKE SA"
        return "none of the keys at hand opens it"

    def _use(self, found: Opening) -> Opening:
        cipher = found.cipher
        if cipher in self.in_use:
            self.in_use.remove(cipher)
        else:
            cipher.keys = completed(cipher.keys, self._ring, self._phase1, self._sa)
            if cipher.prf is None:
                cipher.prf = cipher.keys.prf
        self.in_use.insert(0, cipher)
        del self.in_use[_IN_USE:]
        return found

    def _all(self) -> list[Cipher]:
        """All keys that may fit; made anew when more of phase 1 is known."""
        made_of = (self._phase1.is_whole, self._phase1.suite is not None)
        if made_of != self._made_of:
            self._made_of = made_of
            self._candidates = list(self._make())
        return self._candidates

    def _make(self) -> Iterator[Cipher]:
        known = set()
        for keys, is_own in given_keys(self._ring, self._phase1):
            known.add(keys.sk_ei)
            yield from ciphers(keys, self._phase1, is_own=is_own)
        for keys, _ in derived_keys(self._ring, self._phase1, self._sa):
            if keys.sk_ei not in known:
                known.add(keys.sk_ei)
                yield from ciphers(keys, self._phase1, is_own=False)

    def _spend(self, message: IkeMessage, cipher: Cipher) -> bool:
        """Count a try; False where there are none left."""
        if not cipher.is_own and cipher not in self.in_use:
            self._in_all.left -= 1
            if self._in_all.left <= 0:
                return False
        self._budget -= max(_LEAST_TRY, len(message.encrypted_data))
        return self._budget > 0

    def _try(self, cipher: Cipher, message: IkeMessage) -> Opening | None:
        """The message opened with one set of keys, from any IV that it may have."""
        sealed, block = message.encrypted_data, cipher.block_octets
        if len(sealed) % block:
            return None
        lax: Opening | None = None
        tried = set()
        try:
            ivs = self._chains.ivs(
                self._phase1, cipher.prf, cipher.encryption, block, message.exchange_type, message.message_id
            )
            for iv in ivs:
                if iv in tried or len(iv) != block:
                    continue
                tried.add(iv)
                if not self._spend(message, cipher):
                    return lax
                plain = bytes(cipher.decrypt(iv + sealed))
                end = _end(plain, message.next_payload)
                if end and _is_strict(plain, end, block):
                    return Opening(plain[:end], cipher)
                if end and cipher.is_own and lax is None:
                    lax = Opening(plain[:end], cipher)
        except DecryptError:
            return None
        return lax


def _without_iv(cipher: Cipher, message: IkeMessage, *, is_first: bool = False) -> Opening | None:
    """The message from its second block on: only the first one depends on the IV.

    It begins with HASH, whose length is known, and of whose header only what follows it has to be guessed.
    `is_first`: the keys opened another message, and this is the first one of its exchange in the capture.
    """
    guesses = _BEHIND_HASH.get(message.exchange_type)
    sealed, block = message.encrypted_data, cipher.block_octets
    if guesses is None or message.next_payload != _HASH or len(sealed) % block or len(sealed) <= block:
        return None
    try:
        plain = bytes(cipher.decrypt(bytes(block) + sealed))
    except DecryptError:
        return None
    known = cipher.hash_octets
    for size in (known,) if known else _HASH_OCTETS:
        for following in guesses:
            chain = bytes((following, 0)) + (4 + size).to_bytes(2) + bytes(block - 4) + plain[block:]
            end = _end(chain, _HASH)
            # A Delete can be read as a Notify, but hardly the other way round: its counts have to fit.
            if end and _is_strict(chain, end, block) and not parse_payloads(chain[:end], _HASH, 1)[2]:
                return Opening(chain[:end], cipher, block)
    if is_first and known and message.exchange_type == _QUICK and len(plain) == -(-(4 + known) // block) * block:
        # The third message of Quick Mode is HASH(3) alone.
        chain = b"\0\0" + (4 + known).to_bytes(2) + bytes(block - 4) + plain[block:]
        return Opening(chain[: 4 + known], cipher, block)
    return None


def _end(plain: bytes, first_type: int) -> int:
    """Where a chain of payloads ends; 0 where it is none."""
    try:
        return chain_end(plain, first_type)
    except DecryptError:
        return 0


def _is_strict(plain: bytes, end: int, block: int) -> bool:
    """Whether a chain is as RFC 2408 §3.2 has it: reserved octets are zero, and padding is no more than a block."""
    if len(plain) - end > block:
        return False
    position = 0
    while position < end:
        if plain[position + 1]:
            return False
        position += int.from_bytes(plain[position + 2 : position + 4])
    return True
