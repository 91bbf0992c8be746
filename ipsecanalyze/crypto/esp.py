"""Opening ESP packets (RFC 4303): the ICV is verified, then the packet decrypted and its padding taken off.

An opener belongs to one SA and one thread; ciphers are made once. `open` is the hot path of decryption: per packet it
makes a few slices and one tuple. Keys that are not meant for the packet make a DecryptError, never anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ipsecanalyze.crypto.ciphers import Decrypt, InvalidTag, Octets
from ipsecanalyze.crypto.encryption import EncryptionAlgorithm, encryption_algorithm
from ipsecanalyze.crypto.extended import ExtendedSequence
from ipsecanalyze.crypto.integrity import INTEGRITY, Mac, integrity_algorithm
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import DecryptError

__all__ = ["NO_NEXT_HEADER", "EspOpener", "OpenedEsp"]

NO_NEXT_HEADER = 59
"""The next header of a dummy packet (RFC 4303 §2.6)."""

_WRONG_ICV = "the ICV is wrong: this is not the key, or the packet was changed"
_IPV4, _IPV6 = 4, 41
#: RFC 4303 §2.4: padding is 1, 2, 3, ...
_PADDINGS = tuple(bytes(range(1, size + 1)) for size in range(256))

#: (packet, high half of the sequence number or nothing) → plaintext with its trailer; raises DecryptError.
_Unseal = Callable[[Octets, bytes], Octets]


class OpenedEsp(NamedTuple):
    """What was inside an ESP packet."""

    payload: Octets
    """From the inner header on, without padding and trailer; TFC padding included."""
    next_header: int
    """IP protocol number of the payload: 4 and 41 in tunnel mode, 94 BEET's header, 108 IPComp, 59 a dummy."""
    padding: int
    """Octets of padding, TFC padding not counted."""
    padding_wrong: bool
    """The padding is not 1, 2, 3, ... as RFC 4303 §2.4 demands."""
    sequence_high: int | None
    """The high half of the extended sequence number; None where the SA has none."""
    verified: bool
    """The ICV was right; False: the SA has none, or its algorithm is not known."""

    @property
    def is_dummy(self) -> bool:
        """Whether it is a dummy packet, sent to hide how much traffic there is (RFC 4303 §2.6)."""
        return self.next_header == NO_NEXT_HEADER

    @property
    def tfc_octets(self) -> int:
        """Octets of TFC padding (RFC 4303 §2.7) behind an inner IP packet; 0 where no IP header tells the length."""
        payload, size = self.payload, len(self.payload)
        if self.next_header == _IPV4 and size >= 20 and payload[0] >> 4 == 4:
            inner = payload[2] << 8 | payload[3]
            return size - inner if 20 <= inner <= size else 0
        if self.next_header == _IPV6 and size >= 40 and payload[0] >> 4 == 6:
            inner = payload[4] << 8 | payload[5]
            return max(size - 40 - inner, 0) if inner else 0
        return 0

    @property
    def inner(self) -> Octets:
        """The payload without TFC padding."""
        tfc = self.tfc_octets
        return self.payload[:-tfc] if tfc else self.payload


class EspOpener:
    """Opens the packets of one SA.

    Raises DecryptError where an algorithm is not supported, or a key, salt or ICV is not of a size that it has.
    """

    def __init__(self, keys: EspKeys) -> None:
        self.keys = keys
        self._row = row = encryption_algorithm(keys.encryption)
        self._unseal: _Unseal
        self._wrong_icv = _WRONG_ICV
        self.classic: tuple[Mac | None, Decrypt] | None = None
        """What verifies and what decrypts, where that is not one and the same."""
        if row.is_aead:
            icv = row.icv_octets if keys.icv_octets is None else keys.icv_octets
            self._unseal = _aead(row, keys, icv)
            self.verifies = True
        else:
            mac, icv = _mac(keys)
            usual = INTEGRITY[keys.integrity].key_octets if mac else 0
            if len(keys.integrity_key) != usual and mac:
                self._wrong_icv += f"; its integrity key has {len(keys.integrity_key)} octets, {usual} are usual"
            self.classic = mac, row.decrypter(keys.encryption_key, keys.salt)
            self._unseal = _classic(*self.classic, icv, self._wrong_icv)
            self.verifies = mac is not None
        self.icv_octets = icv
        self.least = 8 + row.iv_octets + max(row.block_octets, 2) + icv
        """Octets of its shortest packet."""
        # Without an ICV, nothing depends on the high half (an implicit IV has always one), and nothing could tell it.
        self._extended: bool | None = keys.esn if self.verifies else False
        self.sequence = ExtendedSequence(keys.sequence_high)
        """What is known of extended sequence numbers."""

    def open(self, packet: Octets, high: int | None = None, *, missing: int = 0) -> OpenedEsp:
        """Verify and open a packet, from the SPI to the last octet of the ICV.

        `high`: the high half of its sequence number, where the caller knows it; otherwise it is inferred. `missing`:
        octets that the capture cut off. Raises DecryptError: "truncated", "too-short", "icv", "length", "padding"
        (the padding is longer than the packet; or, where no ICV vouches for it, is not 1, 2, 3, ...).
        """
        if missing:
            raise DecryptError(f"{missing} octets of the packet were not captured, so it has no ICV", slug="truncated")
        if len(packet) < self.least:
            raise self._too_short(packet)
        if self._extended is False:
            plain = self._unseal(packet, b"")
            high = None
        else:
            plain, high = self._search(packet, high)
        return self.finish(plain, high)

    def unseal(self, packet: Octets) -> tuple[Octets, int | None] | DecryptError:
        """The first half of `open` for a whole packet, for callers that do the second one themselves (`finish`).

        The plaintext with its trailer, and the high half of its sequence number; or the error, which is not raised.
        """
        try:
            if len(packet) < self.least:
                return self._too_short(packet)
            if self._extended is not False:
                return self._search(packet, None)
            return self._unseal(packet, b""), None
        except DecryptError as error:
            return error

    def _too_short(self, packet: Octets) -> DecryptError:
        reason = f"an ESP packet of this SA has {self.least} octets at least, this one {len(packet)}"
        return DecryptError(reason, slug="too-short")

    def glimpse(self, packet: Octets, high: int | None = None) -> Octets:
        """The beginning of the payload of a packet that the capture cut, as far as it can be decrypted.

        Nothing is verified, and trailer or ICV may be among the last octets: good for looking at inner headers, no
        more. `high` is needed for implicit IVs only. Raises DecryptError: "too-short".
        """
        row, keys = self._row, self.keys
        start = 8 + row.iv_octets
        if len(packet) <= start:
            raise DecryptError("nothing of the payload was captured", slug="too-short")
        if row.mode == "gmac":
            return packet[start:]
        if not row.is_aead:
            usable = (len(packet) - start) // row.block_octets * row.block_octets
            return row.decrypter(keys.encryption_key, keys.salt)(packet[8 : start + usable])
        if row.implicit_iv:
            low = int.from_bytes(packet[4:8])
            guess = high if high is not None else self.sequence.near(low) if self._extended else 0
            iv: Octets = guess.to_bytes(4) + low.to_bytes(4)
        else:
            iv = packet[8:start]
        return row.stream(keys.encryption_key, keys.salt)(keys.salt + iv, packet[start:])

    def finish(self, plain: Octets, high: int | None) -> OpenedEsp:
        """Take padding, pad length and next header off (RFC 4303 §2.4 to §2.6): the second half of `open`."""
        size = plain[-2]
        end = len(plain) - 2 - size
        if end < 0:
            reason = f"padding of {size} octets in {len(plain) - 2}" + ("" if self.verifies else ": wrong key?")
            raise DecryptError(reason, slug="padding")
        wrong = plain[end:-2] != _PADDINGS[size]
        if wrong and not self.verifies:
            raise DecryptError("the padding is not 1, 2, 3, ...: the key is another one", slug="padding")
        return OpenedEsp(plain[:end], plain[-1], size, wrong, high, self.verifies)

    def _search(self, packet: Octets, high: int | None) -> tuple[Octets, int | None]:
        """Open a packet of an SA that has extended sequence numbers, or may have (RFC 4303 §2.2.1, Appendix A)."""
        low = int.from_bytes(packet[4:8])
        if self._extended is None:
            # One packet that opens tells for all.
            try:
                plain = self._unseal(packet, b"")
            except DecryptError as error:
                if error.slug != "icv":
                    raise
            else:
                self._extended = False
                return plain, None
        for guess in self.sequence.candidates(low) if high is None else (high,):
            try:
                plain = self._unseal(packet, guess.to_bytes(4))
            except DecryptError as error:
                if error.slug != "icv":
                    raise
                continue
            self._extended = True
            self.sequence.accept(low, guess)
            return plain, guess
        self.sequence.reject()
        raise DecryptError(self._wrong_icv, slug="icv")


def _mac(keys: EspKeys) -> tuple[Mac | None, int]:
    """The MAC of an SA, None where nothing is verified, and the octets of its ICV."""
    icv = keys.icv_octets
    if not keys.is_checked:
        if icv is not None and icv < 0:
            raise DecryptError(f"no ICV has {icv} octets", slug="icv-length")
        return None, icv or 0
    row = integrity_algorithm(keys.integrity)
    if row.number == 0:
        return None, 0
    mac = row.mac(keys.integrity_key)
    if icv is None:
        return mac, row.icv_octets
    if not 4 <= icv <= len(mac(b"", b"")):
        raise DecryptError(f"{row.name} has no ICV of {icv} octets", slug="icv-length")
    return mac, icv


def _classic(mac: Mac | None, decrypt: Decrypt, icv: int, wrong_icv: str) -> _Unseal:
    """Encrypt-then-MAC: the ICV is over all in front of it, and the high half behind that (RFC 4303 §2.8)."""
    if mac is None:
        return lambda packet, _: decrypt(packet[8:-icv] if icv else packet[8:])

    def unseal(packet: Octets, high: bytes) -> Octets:
        covered = packet[:-icv]
        # The capture is not an oracle for anybody: no need for a comparison in constant time.
        if mac(covered, high)[:icv] != packet[-icv:]:
            raise DecryptError(wrong_icv, slug="icv")
        return decrypt(covered[8:])

    return unseal


def _aead(row: EncryptionAlgorithm, keys: EspKeys, icv: int) -> _Unseal:
    """Combined modes: associated data is SPI and sequence number, with the high half in between (RFC 4106 §5)."""
    opener, salt = row.aead(keys.encryption_key, keys.salt, icv), keys.salt

    def unseal(packet: Octets, high: bytes) -> bytes:
        try:
            if high:
                return opener(salt + packet[8:16], packet[16:], b"".join((packet[:4], high, packet[4:8])))
            return opener(salt + packet[8:16], packet[16:], packet[:8])
        except InvalidTag:
            raise DecryptError(_WRONG_ICV, slug="icv") from None

    def unseal_implicit(packet: Octets, high: bytes) -> bytes:
        # RFC 8750 §5: the IV is the sequence number, in 64 bits.
        try:
            nonce = b"".join((salt, high or bytes(4), packet[4:8]))
            return opener(nonce, packet[8:], b"".join((packet[:4], high, packet[4:8])))
        except InvalidTag:
            raise DecryptError(_WRONG_ICV, slug="icv") from None

    def unseal_gmac(packet: Octets, high: bytes) -> Octets:
        # RFC 4543 §3.3: all is associated data, the IV too, and nothing is encrypted.
        try:
            opener(salt + packet[8:16], packet[-icv:], b"".join((packet[:4], high, packet[4:-icv])))
        except InvalidTag:
            raise DecryptError(_WRONG_ICV, slug="icv") from None
        return packet[16:-icv]

    return unseal_gmac if row.mode == "gmac" else unseal_implicit if row.implicit_iv else unseal
