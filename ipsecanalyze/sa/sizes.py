"""How much an encrypted payload can hold, from its length and the algorithms: what can be told without keys.

An SK payload is IV, ciphertext of the payloads with padding and one octet of padding length, and ICV
(RFC 7296 §3.14). Senders pad to the cipher's block and no further.
"""

from __future__ import annotations

from dataclasses import dataclass

from ipsecanalyze.sa.records import Algorithm

__all__ = ["Content", "content_of"]


@dataclass(frozen=True, slots=True)
class Content:
    """The least and the most octets that the payloads inside can have."""

    least: int
    most: int
    is_exact: bool
    """False where the algorithms are unknown, so that only the length itself limits."""

    def may_be(self, octets: int) -> bool:
        """Whether payloads of so many octets are possible."""
        return self.least <= octets <= self.most


@dataclass(frozen=True, slots=True)
class _Cipher:
    iv: int
    block: int
    icv: int | None = None
    """Of ciphers that authenticate; None where an integrity algorithm does it."""


_BLOCK_8, _BLOCK_16, _COUNTER = _Cipher(8, 8), _Cipher(16, 16), _Cipher(8, 1)
#: ENCR number → cipher (RFC 7296 §3.3.2, RFC 5282, RFC 5529, RFC 5930, RFC 7634).
_CIPHERS: dict[int, _Cipher] = {
    **dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8), _BLOCK_8),
    12: _BLOCK_16,
    13: _COUNTER,
    23: _BLOCK_16,
    24: _COUNTER,
    14: _Cipher(8, 1, 8),
    15: _Cipher(8, 1, 12),
    16: _Cipher(8, 1, 16),
    18: _Cipher(8, 1, 8),
    19: _Cipher(8, 1, 12),
    20: _Cipher(8, 1, 16),
    25: _Cipher(8, 1, 8),
    26: _Cipher(8, 1, 12),
    27: _Cipher(8, 1, 16),
    28: _Cipher(8, 1, 16),
}
#: INTEG number → octets of the ICV (RFC 7296 §3.3.2, RFC 4595, RFC 4868, RFC 4494).
_ICVS = {1: 12, 2: 12, 5: 12, 6: 16, 7: 20, 8: 12, 12: 16, 13: 24, 14: 32}
#: Some senders pad to four octets though the cipher needs no padding.
_LEAST_PADDING_UNIT = 4


def content_of(octets: int, chosen: list[Algorithm]) -> Content:
    """What an SK payload whose body has so many octets can hold under the algorithms of the IKE SA."""
    cipher = next((_CIPHERS.get(a.id) for a in chosen if a.type == "ENCR"), None)
    icv = next((_ICVS.get(a.id) for a in chosen if a.type == "INTEG"), None)
    if cipher is not None and cipher.icv is not None:
        icv = cipher.icv
    if cipher is None or icv is None:
        return Content(0, max(0, octets - 1), is_exact=False)
    padded = octets - cipher.iv - icv
    unit = max(cipher.block, _LEAST_PADDING_UNIT)
    return Content(max(0, padded - unit), max(0, padded - 1), is_exact=True)
