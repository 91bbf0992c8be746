"""Wireshark's tables `ikev1_decryption_table` and `ikev2_decryption_table`, which save-keys writes too.

IKEv1: initiator's cookie, the final key. IKEv2: both SPIs, SK_ei, SK_er, encryption, SK_ai, SK_ar, integrity. Octets
are hexadecimal without quotes. Several lines for the same SPIs are generations of one SA in their order (RFC 9370).
"""

from __future__ import annotations

import re
from typing import Final

from ipsecanalyze.crypto.material import IkeKeys
from ipsecanalyze.keys.reader import Sink, from_hex, shown
from ipsecanalyze.keys.suites import split_salt
from ipsecanalyze.keys.uat import fields, plain, spi_of
from ipsecanalyze.registry.ikev2 import Encr

__all__ = [
    "ENCRYPTION_NAMES",
    "INTEGRITY_NAMES",
    "Ikev1TableReader",
    "Ikev2TableReader",
    "recognises_v1",
    "recognises_v2",
]

_AEAD: Final = {
    (8, "GCM"): Encr.ENCR_AES_GCM_8,
    (12, "GCM"): Encr.ENCR_AES_GCM_12,
    (16, "GCM"): Encr.ENCR_AES_GCM_16,
    (8, "CCM"): Encr.ENCR_AES_CCM_8,
    (12, "CCM"): Encr.ENCR_AES_CCM_12,
    (16, "CCM"): Encr.ENCR_AES_CCM_16,
}
#: (ENCR transform ID, bits of the key) → name.
ENCRYPTION_NAMES: Final = {
    (int(Encr.ENCR_3DES), 192): "3DES [RFC2451]",
    (int(Encr.ENCR_NULL), 0): "NULL [RFC2410]",
    **{(int(Encr.ENCR_AES_CBC), bits): f"AES-CBC-{bits} [RFC3602]" for bits in (128, 192, 256)},
    **{(int(Encr.ENCR_AES_CTR), bits): f"AES-CTR-{bits} [RFC5930]" for bits in (128, 192, 256)},
    **{
        (int(number), bits): f"AES-{mode}-{bits} with {octets} octet ICV [RFC5282]"
        for (octets, mode), number in _AEAD.items()
        for bits in (128, 192, 256)
    },
}
#: INTEG transform ID → name; HMAC_SHA2_256_96 and those of unknown kind have none.
INTEGRITY_NAMES: Final = {
    0: "NONE [RFC4306]",
    1: "HMAC_MD5_96 [RFC2403]",
    2: "HMAC_SHA1_96 [RFC2404]",
    6: "HMAC_MD5_128 [RFC4595]",
    7: "HMAC_SHA1_160 [RFC4595]",
    12: "HMAC_SHA2_256_128 [RFC4868]",
    13: "HMAC_SHA2_384_192 [RFC4868]",
    14: "HMAC_SHA2_512_256 [RFC4868]",
}
_ENCRYPTION: Final = {plain(name): pair for pair, name in ENCRYPTION_NAMES.items()}
_INTEGRITY: Final = {plain(name): number for number, name in INTEGRITY_NAMES.items()}
_ANY: Final = re.compile(r"any(\d+)-?bits?ofauthentication.*|hmacsha225696")
_SPI: Final = r'\s*"?(?:0x)?[0-9a-fA-F]{16}"?\s*,'
_V1: Final = re.compile(_SPI + r'\s*"?(?:0x)?[0-9a-fA-F]{2,}"?\s*')
_V2: Final = re.compile(_SPI + _SPI + r"(?:[^,]*,){4}")


def recognises_v1(line: str) -> bool:
    """Whether the line is one of `ikev1_decryption_table`."""
    return "," in line and _V1.fullmatch(line) is not None


def recognises_v2(line: str) -> bool:
    """Whether the line is one of `ikev2_decryption_table`."""
    return "," in line and _V2.match(line) is not None


class Ikev1TableReader:
    """Reads a line at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def feed(self, line: str) -> bool:
        """Take a line."""
        if not recognises_v1(line):
            return line.startswith("#")
        try:
            cookie, text = fields(line)
            key = from_hex(text)
            if len(key) < 5:
                raise ValueError("no cipher of IKEv1 has so short a key")  # noqa: TRY301
            self._sink.add(IkeKeys(version=1, spi_i=spi_of(cookie, 8) or 0, sk_ei=key, sk_er=key))
        except ValueError as error:
            self._sink.tell(f"not a line of the table ikev1_decryption_table: {error}")
        return True

    def finish(self) -> None:
        """Nothing is pending."""


class Ikev2TableReader:
    """Reads a line at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def feed(self, line: str) -> bool:
        """Take a line."""
        if not recognises_v2(line):
            return line.startswith("#")
        try:
            self._sink.add(_v2_keys(fields(line)))
        except ValueError as error:
            self._sink.tell(f"not a line of the table ikev2_decryption_table: {error}")
        return True

    def finish(self) -> None:
        """Nothing is pending."""


def _v2_keys(row: list[str]) -> IkeKeys:
    if len(row) != 8:
        raise ValueError(f"it has {len(row)} columns, not 8")
    pair = _ENCRYPTION.get(plain(row[4]))
    if pair is None:
        raise ValueError(f"unknown encryption {shown(row[4])}")
    encryption, bits = pair
    integrity = _INTEGRITY.get(plain(row[7]))
    if integrity is None and _ANY.fullmatch(plain(row[7])) is None:
        raise ValueError(f"unknown integrity {shown(row[7])}")
    sk_ei, sk_er = from_hex(row[2]), from_hex(row[3])
    for key in (sk_ei, sk_er):
        if len(split_salt(encryption, key)[0]) * 8 != bits:
            raise ValueError(f"a key of {len(key)} octets is impossible for {shown(row[4])}")
    return IkeKeys(
        spi_i=spi_of(row[0], 8) or 0,
        spi_r=spi_of(row[1], 8) or 0,
        encryption=encryption,
        # "ANY n bits": as negotiated.
        integrity=integrity,
        sk_ei=sk_ei,
        sk_er=sk_er,
        sk_ai=from_hex(row[5]),
        sk_ar=from_hex(row[6]),
    )
