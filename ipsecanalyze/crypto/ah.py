"""Verifying AH (RFC 4302): the ICV covers the whole IP packet but for what routers may change.

What is read is the IP packet from its first octet on, with whatever stands in front of AH, as it was captured: mutable
fields count as zero, predictable ones as they will be at the end of the way (RFC 4302 §3.3.3.1, Appendix A).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ipsecanalyze.crypto.ciphers import InvalidTag
from ipsecanalyze.crypto.encryption import encryption_algorithm
from ipsecanalyze.crypto.extended import ExtendedSequence
from ipsecanalyze.crypto.integrity import integrity_algorithm
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.registry.ikev2_transforms import Encr

__all__ = ["AhOpener", "VerifiedAh", "freeze"]

_AH, _HOP_BY_HOP, _ROUTING, _DESTINATION = 51, 0, 43, 60
#: RFC 4302 §A.1: no operation, security (RFC 1108, two), CIPSO, router alert, sender-directed delivery.
_IMMUTABLE_OPTIONS = frozenset((130, 133, 134, 148, 149))
_SOURCE_ROUTES = frozenset((131, 137))
_ZEROES = bytes(256)


class VerifiedAh(NamedTuple):
    """What stands behind an AH header whose ICV was right."""

    payload: bytes
    next_header: int
    sequence_high: int | None
    """The high half of the extended sequence number; None where the SA has none."""
    offset: int
    """Where AH begins in the IP packet."""


def freeze(packet: bytes) -> tuple[bytearray, int]:
    """The IP packet with its mutable fields as the ICV takes them, AH itself untouched; and where AH begins.

    Cut to the length that the IP header declares. Raises DecryptError: no AH, malformed, truncated.
    """
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _freeze_v4(packet)
    if version == 6:
        return _freeze_v6(packet)
    raise DecryptError("this is no IP packet", slug="malformed")


def _cut(packet: bytes, least: int, declared: Callable[[], int]) -> bytearray:
    if len(packet) < least:
        raise DecryptError("the IP header is cut", slug="truncated")
    length = declared()
    if length > len(packet):
        raise DecryptError(f"{length - len(packet)} octets of the packet were not captured", slug="truncated")
    return bytearray(packet[:length])


def _freeze_v4(packet: bytes) -> tuple[bytearray, int]:
    """RFC 4302 §3.3.3.1.1: type of service, flags, fragment offset, TTL and checksum are mutable, and most options."""
    data = _cut(packet, 20, lambda: packet[2] << 8 | packet[3])
    end = (data[0] & 15) * 4 if data else 0
    if end < 20 or end > len(data):
        raise DecryptError("the IP header is longer than its packet", slug="malformed")
    if data[9] != _AH:
        raise DecryptError("no AH follows the IP header", slug="malformed")
    data[1] = 0
    data[6:9] = bytes(3)
    data[10:12] = bytes(2)
    position = 20
    while position < end and data[position] != 0:
        if data[position] == 1:
            position += 1
            continue
        size = data[position + 1] if position + 1 < end else 0
        if size < 2 or position + size > end:
            raise DecryptError("the options of the IP header cannot be read", slug="malformed")
        if data[position] not in _IMMUTABLE_OPTIONS:
            if data[position] in _SOURCE_ROUTES and size >= 7 and data[position + 2] <= size - 3:
                # On its way the packet names the next hop; the last address of the route is the final destination.
                data[16:20] = data[position + size - 4 : position + size]
            data[position : position + size] = bytes(size)
        position += size
    return data, end


def _freeze_v6(packet: bytes) -> tuple[bytearray, int]:
    """RFC 4302 §3.3.3.1.2: traffic class, flow label and hop limit are mutable, and options that say so."""
    data = _cut(packet, 40, lambda: 40 + (packet[4] << 8 | packet[5]))
    data[0:4] = b"\x60\x00\x00\x00"
    data[7] = 0
    kind, position = data[6], 40
    while kind in (_HOP_BY_HOP, _ROUTING, _DESTINATION):
        size = 8 * data[position + 1] + 8 if position + 8 <= len(data) else 0
        if not size or position + size > len(data):
            raise DecryptError("the extension headers of the packet cannot be read", slug="malformed")
        if kind == _ROUTING:
            _freeze_routing(data, position, size)
        else:
            _freeze_options(data, position + 2, position + size)
        kind = data[position]
        position += size
    if kind != _AH:
        raise DecryptError("no AH follows the IPv6 header", slug="malformed")
    return data, position


def _freeze_options(data: bytearray, position: int, end: int) -> None:
    """The third bit of an option's type says that its data may change (RFC 8200 §4.2)."""
    while position < end:
        if data[position] == 0:
            position += 1
            continue
        size = data[position + 1] if position + 1 < end else end
        if position + 2 + size > end:
            raise DecryptError("the options of the packet cannot be read", slug="malformed")
        if data[position] & 0x20:
            data[position + 2 : position + 2 + size] = bytes(size)
        position += 2 + size


def _freeze_routing(data: bytearray, position: int, size: int) -> None:
    """A routing header as it is at the final destination (RFC 4302 §A.2, types 0 and 2)."""
    kind, left = data[position + 2], data[position + 3]
    if not left:
        return
    count = (size - 8) // 16
    if kind not in (0, 2) or left > count:
        raise DecryptError(f"a routing header of type {kind} on its way is not supported", slug="unsupported")
    start = position + 8 + 16 * (count - left)
    end = position + 8 + 16 * count
    route = bytes(data[24:40] + data[start:end])
    data[24:40] = route[-16:]
    data[start:end] = route[:-16]
    data[position + 3] = 0


class AhOpener:
    """Verifies the packets of one SA of AH.

    Raises DecryptError where the algorithm is not supported, or its key or ICV is not of a size that it has.
    """

    def __init__(self, keys: EspKeys) -> None:
        self.keys = keys
        row = integrity_algorithm(keys.integrity)
        if row.number == 0 or not keys.is_checked:
            raise DecryptError("AH without integrity algorithm", slug="unsupported")
        self._iv_octets = row.iv_octets
        self._is_right: Callable[[bytearray, int, bytes, bytes], bool]
        if row.is_gmac:
            self.icv_octets = row.icv_octets
            row.check(keys.integrity_key)
            self._is_right = _gmac(keys)
        else:
            mac = row.mac(keys.integrity_key)
            self.icv_octets = icv = row.icv_octets if keys.icv_octets is None else keys.icv_octets
            if not 4 <= icv <= len(mac(b"", b"")):
                raise DecryptError(f"{row.name} has no ICV of {icv} octets", slug="icv-length")

            def is_right(data: bytearray, at: int, found: bytes, high: bytes) -> bool:
                data[at : at + icv] = _ZEROES[:icv]
                return mac(bytes(data), high)[:icv] == found

            self._is_right = is_right
        self._extended = keys.esn
        self.sequence = ExtendedSequence(keys.sequence_high)
        """What is known of extended sequence numbers."""

    def open(self, packet: bytes, high: int | None = None) -> VerifiedAh:
        """Verify an IP packet that carries AH, whole and reassembled.

        `high`: the high half of its sequence number, where the caller knows it; otherwise it is inferred. Raises
        DecryptError: "icv", "truncated", "too-short", "malformed", "unsupported".
        """
        data, offset = freeze(packet)
        at = offset + 12
        end = offset + 4 * (data[offset + 1] + 2) if at <= len(data) else 0
        if end > len(data) or at + self._iv_octets + self.icv_octets > end:
            raise DecryptError(f"AH of this SA has an ICV of {self.icv_octets} octets", slug="too-short")
        at += self._iv_octets
        # What fills the ICV up to whole words is covered as it is (RFC 4302 §3.3.3.2.1).
        found = bytes(data[at : at + self.icv_octets])
        low = int.from_bytes(data[offset + 8 : offset + 12])
        for guess in self._guesses(low, high):
            if self._is_right(data, at, found, b"" if guess is None else guess.to_bytes(4)):
                self._extended = guess is not None
                if guess is not None:
                    self.sequence.accept(low, guess)
                return VerifiedAh(bytes(packet[end : len(data)]), data[offset], guess, offset)
        self.sequence.reject()
        raise DecryptError("the ICV is wrong: this is not the key, or the packet was changed", slug="icv")

    def _guesses(self, low: int, high: int | None) -> Iterator[int | None]:
        if not self._extended:
            yield None
        if self._extended is not False:
            if high is not None:
                yield high
            else:
                yield from self.sequence.candidates(low)


def _gmac(keys: EspKeys) -> Callable[[bytearray, int, bytes, bytes], bool]:
    """AES-GMAC (RFC 4543 §4): the ICV field has the IV in front of the ICV."""
    opener = encryption_algorithm(Encr.ENCR_NULL_AUTH_AES_GMAC).aead(keys.integrity_key, keys.salt)

    def is_right(data: bytearray, at: int, found: bytes, high: bytes) -> bool:
        nonce = keys.salt + data[at - 8 : at]
        data[at : at + len(found)] = _ZEROES[: len(found)]
        # Whether the IV counts as zero too, readers of the RFC have understood both ways.
        whole = bytes(data)
        for covered in (whole, whole[: at - 8] + _ZEROES[:8] + whole[at:]):
            try:
                opener(nonce, found, covered + high)
            except InvalidTag:
                continue
            return True
        return False

    return is_right
