"""Algorithms as strongSwan and libreswan print them in proposals: "AES_CBC_128", "AES_GCM_16_256", "HMAC_SHA1_96"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ipsecanalyze.registry.ikev2 import Encr, Integ, KeyExchange, Prf

__all__ = ["Suite", "encryption_of", "integrity_of_name", "read_suite"]

_ENCRYPTION: Final = {
    "3DES_CBC": Encr.ENCR_3DES,
    "DES_CBC": Encr.ENCR_DES,
    "AES_CBC": Encr.ENCR_AES_CBC,
    "AES_CTR": Encr.ENCR_AES_CTR,
    "AES": Encr.ENCR_AES_CBC,
    "CAMELLIA_CBC": Encr.ENCR_CAMELLIA_CBC,
    "CAMELLIA_CTR": Encr.ENCR_CAMELLIA_CTR,
    "CAMELLIA": Encr.ENCR_CAMELLIA_CBC,
    "CAST_CBC": Encr.ENCR_CAST,
    "BLOWFISH_CBC": Encr.ENCR_BLOWFISH,
    "SERPENT_CBC": Encr.ENCR_SERPENT_CBC,
    "TWOFISH_CBC": Encr.ENCR_TWOFISH_CBC,
    "CHACHA20_POLY1305": Encr.ENCR_CHACHA20_POLY1305,
    "NULL": Encr.ENCR_NULL,
    "NULL_AES_GMAC": Encr.ENCR_NULL_AUTH_AES_GMAC,
    "NULL_AUTH_AES_GMAC": Encr.ENCR_NULL_AUTH_AES_GMAC,
    "AES_GCM_A": Encr.ENCR_AES_GCM_8,
    "AES_GCM_B": Encr.ENCR_AES_GCM_12,
    "AES_GCM_C": Encr.ENCR_AES_GCM_16,
    "AES_CCM_A": Encr.ENCR_AES_CCM_8,
    "AES_CCM_B": Encr.ENCR_AES_CCM_12,
    "AES_CCM_C": Encr.ENCR_AES_CCM_16,
    **{
        f"{cipher}_{octets}": Encr[f"ENCR_{cipher}_{octets}"]
        for cipher in ("AES_GCM", "AES_CCM", "CAMELLIA_CCM")
        for octets in (8, 12, 16)
    },
}
_INTEGRITY: Final[dict[str, tuple[int, int | None]]] = {
    **{name.removeprefix("AUTH_"): (int(number), None) for name, number in Integ.__members__.items()},
    "AES_XCBC_96": (int(Integ.AUTH_AES_XCBC_96), None),
    "HMAC_SHA2_256_96": (int(Integ.AUTH_HMAC_SHA2_256_128), 12),
    "HMAC_SHA2_256_TRUNCBUG": (int(Integ.AUTH_HMAC_SHA2_256_128), 12),
    "HMAC_SHA1": (int(Integ.AUTH_HMAC_SHA1_96), None),
    "HMAC_MD5": (int(Integ.AUTH_HMAC_MD5_96), None),
    "HMAC_SHA2_256": (int(Integ.AUTH_HMAC_SHA2_256_128), None),
    "HMAC_SHA2_384": (int(Integ.AUTH_HMAC_SHA2_384_192), None),
    "HMAC_SHA2_512": (int(Integ.AUTH_HMAC_SHA2_512_256), None),
}
_KEY_EXCHANGES: Final = {name.replace("_", ""): int(number) for name, number in KeyExchange.__members__.items()}


@dataclass(slots=True)
class Suite:
    """What a proposal says, by IANA's numbers; None: nothing."""

    encryption: int | None = None
    integrity: int | None = None
    icv_octets: int | None = None
    prf: int | None = None
    key_exchanges: tuple[int, ...] = ()
    esn: bool | None = None


def encryption_of(name: str) -> int | None:
    """ENCR transform ID, with or without the bits of the key behind the name."""
    number = _ENCRYPTION.get(name)
    if number is None:
        number = _ENCRYPTION.get(re.sub(r"_(?:128|160|192|256|288|448)$", "", name))
    return None if number is None else int(number)


def integrity_of_name(name: str) -> tuple[int, int | None] | None:
    """INTEG transform ID, with the ICV's length where it is not the prescribed one."""
    return _INTEGRITY.get(name)


def read_suite(text: str) -> Suite:
    """The algorithms between "/" or "-": "AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048"."""
    suite = Suite()
    for name in re.split(r"[/-]", text):
        if name in ("EXT_SEQ", "NO_EXT_SEQ"):
            suite.esn = name == "EXT_SEQ"
        elif name.startswith("PRF_"):
            member = Prf.__members__.get(name)
            suite.prf = None if member is None else int(member)
        elif (group := _group(name)) is not None:
            suite.key_exchanges += (group,)
        elif (integrity := _INTEGRITY.get(name)) is not None:
            suite.integrity, suite.icv_octets = integrity
        elif (encryption := encryption_of(name)) is not None:
            suite.encryption = encryption
    return suite


def _group(name: str) -> int | None:
    plain = re.sub(r"^KE\d_", "", name).replace("_", "")
    return _KEY_EXCHANGES.get(plain) if plain not in ("NONE", "NULL") else None
