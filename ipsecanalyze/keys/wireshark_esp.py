"""Wireshark's table `esp_sa`, which strongSwan's save-keys plugin writes too.

Protocol, source, destination, SPI, encryption, its key (with the salt behind it), authentication, its key; newer
releases add the kind of sequence numbers and the high bits. Addresses may have wildcards, the SPI may be "*".
save-keys writes GCM under its old name with "ANY 128 bit authentication": that is GCM with an ICV of 16 octets.
"""

from __future__ import annotations

import re
from typing import Final

from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.keys.reader import Sink, from_hex, shown
from ipsecanalyze.keys.suites import CIPHERS, aead_of, esp_keys, integrity_of
from ipsecanalyze.keys.uat import fields, plain, spi_of
from ipsecanalyze.registry.ikev2 import Encr

__all__ = ["ENCRYPTION_NAMES", "INTEGRITY_NAMES", "NEWER_ENCRYPTION_NAMES", "EspSaReader", "recognises"]

#: As Wireshark 4.0 spells them.
ENCRYPTION_NAMES: Final = {
    int(Encr.ENCR_NULL): "NULL",
    int(Encr.ENCR_3DES): "TripleDES-CBC [RFC2451]",
    int(Encr.ENCR_AES_CBC): "AES-CBC [RFC3602]",
    int(Encr.ENCR_AES_CTR): "AES-CTR [RFC3686]",
    int(Encr.ENCR_DES): "DES-CBC [RFC2405]",
    int(Encr.ENCR_CAST): "CAST5-CBC [RFC2144]",
    int(Encr.ENCR_BLOWFISH): "BLOWFISH-CBC [RFC2451]",
    int(Encr.ENCR_TWOFISH_CBC): "TWOFISH-CBC",
    int(Encr.ENCR_AES_GCM_8): "AES-GCM with 8 octet ICV [RFC4106]",
    int(Encr.ENCR_AES_GCM_12): "AES-GCM with 12 octet ICV [RFC4106]",
    int(Encr.ENCR_AES_GCM_16): "AES-GCM with 16 octet ICV [RFC4106]",
}
#: What newer releases add.
NEWER_ENCRYPTION_NAMES: Final = {
    int(Encr.ENCR_CHACHA20_POLY1305): "ChaCha20 with Poly1305 [RFC7634]",
    int(Encr.ENCR_CHACHA20_POLY1305_IIV): "ChaCha20 with Poly1305 and IIV [RFC7634 & RFC8750]",
    int(Encr.ENCR_AES_GCM_16_IIV): "AES-GCM with IIV and 16 octet ICV [RFC4106 & RFC8750]",
}
#: (INTEG transform ID, octets of the ICV) → name.
INTEGRITY_NAMES: Final = {
    (0, 0): "NULL",
    (2, 12): "HMAC-SHA-1-96 [RFC2404]",
    (12, 12): "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]",
    (12, 16): "HMAC-SHA-256-128 [RFC4868]",
    (13, 24): "HMAC-SHA-384-192 [RFC4868]",
    (14, 32): "HMAC-SHA-512-256 [RFC4868]",
    (1, 12): "HMAC-MD5-96 [RFC2403]",
}

_ENCRYPTION: Final = {
    plain(name): number for names in (ENCRYPTION_NAMES, NEWER_ENCRYPTION_NAMES) for number, name in names.items()
}
_ENCRYPTION["3des-cbc"] = int(Encr.ENCR_3DES)
#: The old name, where the length of the ICV stands in the column of the authentication.
_OLD_GCM: Final = plain("AES-GCM [RFC4106]")
_INTEGRITY: Final = {plain(name): pair for pair, name in INTEGRITY_NAMES.items()}
_INTEGRITY["none"] = (0, 0)
_ANY: Final = re.compile(r"any(\d+)bits?(of)?authentication.*")
_START: Final = re.compile(r'\s*"?(?:IPv4|IPv6|Any|\*)"?\s*,', re.IGNORECASE)


def recognises(line: str) -> bool:
    """Whether the line is one of this table."""
    return line.count(",") >= 4 and _START.match(line) is not None


class EspSaReader:
    """Reads a line at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def feed(self, line: str) -> bool:
        """Take a line."""
        if not recognises(line):
            return line.startswith("#")
        try:
            self._sink.add(_keys(fields(line)))
        except ValueError as error:
            self._sink.tell(f"not a line of the table esp_sa: {error}")
        return True

    def finish(self) -> None:
        """Nothing is pending."""


def _keys(row: list[str]) -> EspKeys:
    if len(row) not in (8, 10):
        raise ValueError(f"it has {len(row)} columns, not 8 or 10")
    _, source, destination, spi, encryption_name, key, integrity_name, integrity_key = row[:8]
    name = plain(integrity_name)
    octets: int | None
    if (any_bits := _ANY.fullmatch(name)) is not None and int(any_bits[1]) in (64, 96, 128, 160, 192, 256):
        integrity, octets, is_checked = 0, int(any_bits[1]) // 8, False
    elif name == "mac-ripemd-160-96":  # no IKE can negotiate it
        integrity, octets, is_checked = 0, 12, False
    elif name in _INTEGRITY:
        integrity, octets = _INTEGRITY[name]
        is_checked = True
    else:
        raise ValueError(f"unknown authentication {shown(integrity_name)}")
    name = plain(encryption_name)
    if name == _OLD_GCM:
        encryption = aead_of("gcm", 16 if is_checked else octets or 16)
    elif name in _ENCRYPTION:
        encryption = _ENCRYPTION[name]
    else:
        raise ValueError(f"unknown encryption {shown(encryption_name)}")
    if integrity:
        integrity, octets = integrity_of(
            {1: "md5", 2: "sha1", 12: "sha256", 13: "sha384", 14: "sha512"}[integrity], octets
        )
    esn = {"32-bit": False, "64-bit": True}.get(row[8].lower()) if len(row) == 10 else None
    return esp_keys(
        _octets(key, encryption),
        source=source,
        destination=destination,
        spi=spi_of(spi, 4),
        encryption=encryption,
        integrity=integrity,
        integrity_key=_octets(integrity_key, None),
        icv_octets=octets,
        is_checked=is_checked,
        esn=esn,
        sequence_high=spi_of(row[9], 4) if len(row) == 10 and esn else None,
    )


def _octets(text: str, encryption: int | None) -> bytes:
    """A key: hexadecimal behind 0x, else Wireshark takes the characters; hexadecimal where only that can be a key."""
    if text[:2] in ("0x", "0X"):
        return from_hex(text)
    raw = text.encode("utf-8", "surrogateescape")
    cipher = CIPHERS.get(encryption) if encryption is not None else None
    if cipher is None or len(raw) - cipher.salt not in cipher.keys:
        try:
            return from_hex(text)
        except ValueError:
            return raw
    return raw
