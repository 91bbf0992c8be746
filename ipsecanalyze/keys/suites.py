"""What readers and writers know of algorithms: lengths of keys, salts and ICVs, by IANA's numbers.

No cryptography here. Every reader makes its `EspKeys` by `esp_keys`, so that equal keys from different sources are
equal objects: salt split off, `icv_octets` only where it differs from what the algorithm prescribes.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.registry.ikev2 import Encr, Integ

__all__ = [
    "CIPHERS",
    "INTEG_OCTETS",
    "Cipher",
    "aead_of",
    "encryption_name",
    "esp_keys",
    "icv_octets_of",
    "integrity_name",
    "integrity_of",
    "split_salt",
]


@dataclass(frozen=True, slots=True)
class Cipher:
    """The lengths of an encryption algorithm, in octets."""

    keys: Container[int]
    salt: int = 0
    icv: int = 0
    """Of AEAD; 0: there is an integrity algorithm beside it."""


_AES = (16, 24, 32)

CIPHERS: Final = MappingProxyType(
    {
        int(number): cipher
        for number, cipher in (
            (Encr.ENCR_DES, Cipher((8,))),
            (Encr.ENCR_3DES, Cipher((24,))),
            (Encr.ENCR_CAST, Cipher(range(5, 17))),
            (Encr.ENCR_BLOWFISH, Cipher(range(5, 57))),
            (Encr.ENCR_NULL, Cipher((0,))),
            (Encr.ENCR_AES_CBC, Cipher(_AES)),
            (Encr.ENCR_AES_CTR, Cipher(_AES, salt=4)),  # RFC 3686 §5.1
            (Encr.ENCR_AES_CCM_8, Cipher(_AES, salt=3, icv=8)),  # RFC 4309 §7.1
            (Encr.ENCR_AES_CCM_12, Cipher(_AES, salt=3, icv=12)),
            (Encr.ENCR_AES_CCM_16, Cipher(_AES, salt=3, icv=16)),
            (Encr.ENCR_AES_GCM_8, Cipher(_AES, salt=4, icv=8)),  # RFC 4106 §8.1
            (Encr.ENCR_AES_GCM_12, Cipher(_AES, salt=4, icv=12)),
            (Encr.ENCR_AES_GCM_16, Cipher(_AES, salt=4, icv=16)),
            (Encr.ENCR_NULL_AUTH_AES_GMAC, Cipher(_AES, salt=4, icv=16)),  # RFC 4543 §5.1
            (Encr.ENCR_CAMELLIA_CBC, Cipher(_AES)),
            (Encr.ENCR_CAMELLIA_CTR, Cipher(_AES, salt=4)),  # RFC 5529 §3.1
            (Encr.ENCR_CAMELLIA_CCM_8, Cipher(_AES, salt=3, icv=8)),
            (Encr.ENCR_CAMELLIA_CCM_12, Cipher(_AES, salt=3, icv=12)),
            (Encr.ENCR_CAMELLIA_CCM_16, Cipher(_AES, salt=3, icv=16)),
            (Encr.ENCR_CHACHA20_POLY1305, Cipher((32,), salt=4, icv=16)),  # RFC 7634 §2
            (Encr.ENCR_AES_CCM_8_IIV, Cipher(_AES, salt=3, icv=8)),  # RFC 8750
            (Encr.ENCR_AES_GCM_16_IIV, Cipher(_AES, salt=4, icv=16)),
            (Encr.ENCR_CHACHA20_POLY1305_IIV, Cipher((32,), salt=4, icv=16)),
            (Encr.ENCR_SERPENT_CBC, Cipher(_AES)),
            (Encr.ENCR_TWOFISH_CBC, Cipher(_AES)),
        )
    }
)

#: INTEG transform ID → octets of the ICV.
INTEG_OCTETS: Final = MappingProxyType(
    {
        int(number): octets
        for number, octets in (
            (Integ.NONE, 0),
            (Integ.AUTH_HMAC_MD5_96, 12),
            (Integ.AUTH_HMAC_SHA1_96, 12),
            (Integ.AUTH_AES_XCBC_96, 12),
            (Integ.AUTH_HMAC_MD5_128, 16),
            (Integ.AUTH_HMAC_SHA1_160, 20),
            (Integ.AUTH_AES_CMAC_96, 12),
            (Integ.AUTH_AES_128_GMAC, 16),
            (Integ.AUTH_AES_192_GMAC, 16),
            (Integ.AUTH_AES_256_GMAC, 16),
            (Integ.AUTH_HMAC_SHA2_256_128, 16),
            (Integ.AUTH_HMAC_SHA2_384_192, 24),
            (Integ.AUTH_HMAC_SHA2_512_256, 32),
        )
    }
)

_FAMILIES = MappingProxyType(
    {
        "md5": (Integ.AUTH_HMAC_MD5_96, Integ.AUTH_HMAC_MD5_128),
        "sha1": (Integ.AUTH_HMAC_SHA1_96, Integ.AUTH_HMAC_SHA1_160),
        "sha256": (Integ.AUTH_HMAC_SHA2_256_128,),
        "sha384": (Integ.AUTH_HMAC_SHA2_384_192,),
        "sha512": (Integ.AUTH_HMAC_SHA2_512_256,),
        "xcbc": (Integ.AUTH_AES_XCBC_96,),
        "cmac": (Integ.AUTH_AES_CMAC_96,),
    }
)

_AEADS = MappingProxyType(
    {
        "gcm": {8: Encr.ENCR_AES_GCM_8, 12: Encr.ENCR_AES_GCM_12, 16: Encr.ENCR_AES_GCM_16},
        "ccm": {8: Encr.ENCR_AES_CCM_8, 12: Encr.ENCR_AES_CCM_12, 16: Encr.ENCR_AES_CCM_16},
        "camellia-ccm": {8: Encr.ENCR_CAMELLIA_CCM_8, 12: Encr.ENCR_CAMELLIA_CCM_12, 16: Encr.ENCR_CAMELLIA_CCM_16},
        "gmac": {16: Encr.ENCR_NULL_AUTH_AES_GMAC},
        "chacha20": {16: Encr.ENCR_CHACHA20_POLY1305},
    }
)


def integrity_of(family: str, octets: int | None = None) -> tuple[int, int | None]:
    """INTEG transform ID of "sha256" and the like, with the ICV's length where that is not the prescribed one."""
    numbers = _FAMILIES[family]
    for number in numbers:
        if octets in (None, INTEG_OCTETS[number]):
            return int(number), None
    return int(numbers[0]), octets


def aead_of(family: str, octets: int = 16) -> int:
    """ENCR transform ID of "gcm", "ccm", "gmac", "chacha20" with that ICV. Raises ValueError where there is none."""
    try:
        return int(_AEADS[family][octets])
    except KeyError:
        raise ValueError(f"{family} has no ICV of {octets} octets") from None


def icv_octets_of(keys: EspKeys) -> int:
    """How long the ICV is that these keys make."""
    cipher = CIPHERS.get(keys.encryption)
    if cipher is not None and cipher.icv:
        return cipher.icv
    return INTEG_OCTETS.get(keys.integrity, 0) if keys.icv_octets is None else keys.icv_octets


def split_salt(encryption: int, material: bytes) -> tuple[bytes, bytes]:
    """The key and the salt behind it. Raises ValueError, without secrets, where it has an impossible length."""
    cipher = CIPHERS.get(encryption)
    if cipher is None:
        return material, b""
    size = len(material) - cipher.salt
    if size not in cipher.keys:
        extra = f", {cipher.salt} of them the salt" if cipher.salt else ""
        raise ValueError(f"a key of {len(material)} octets{extra} is impossible for {encryption_name(encryption)}")
    return material[:size], material[size:]


def esp_keys(
    material: bytes,
    *,
    protocol: str = "ESP",
    source: str | None = None,
    destination: str | None = None,
    spi: int | None = None,
    encryption: int = Encr.ENCR_NULL,
    integrity: int = Integ.NONE,
    integrity_key: bytes = b"",
    icv_octets: int | None = None,
    is_checked: bool = True,
    esn: bool | None = None,
    sequence_high: int | None = None,
    mode: str | None = None,
    origin: str = "",
) -> EspKeys:
    """`EspKeys` in their one form from a key with its salt. Raises ValueError, without secrets."""
    key, salt = split_salt(int(encryption), material)
    cipher = CIPHERS.get(int(encryption))
    if cipher is not None and cipher.icv:
        integrity, integrity_key, icv_octets, is_checked = Integ.NONE, b"", None, True
    if integrity != Integ.NONE:
        if not integrity_key:
            raise ValueError(f"{integrity_name(integrity)} has no key")
        if integrity in (Integ.AUTH_AES_XCBC_96, Integ.AUTH_AES_CMAC_96) and len(integrity_key) != 16:
            raise ValueError(f"a key of {len(integrity_key)} octets is impossible for {integrity_name(integrity)}")
    if is_checked and icv_octets == INTEG_OCTETS.get(int(integrity)):
        icv_octets = None
    return EspKeys(
        protocol=protocol,
        source=source,
        destination=destination,
        spi=spi,
        encryption=int(encryption),
        encryption_key=key,
        salt=salt,
        integrity=int(integrity),
        integrity_key=integrity_key,
        icv_octets=icv_octets,
        is_checked=is_checked,
        esn=esn,
        sequence_high=sequence_high,
        mode=mode,
        origin=origin,
    )


def encryption_name(number: int) -> str:
    """As IANA, without the prefix: "AES_CBC", "NULL_AUTH_AES_GMAC"."""
    return Encr(number).name.removeprefix("ENCR_")


def integrity_name(number: int) -> str:
    """As IANA, without the prefix: "HMAC_SHA2_256_128"."""
    return Integ(number).name.removeprefix("AUTH_")
