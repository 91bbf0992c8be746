"""The formats that ESP packets have on the wire, and which suites share one: the table that inference chooses from.

A format is what can be seen at all: octets of the IV, what the protected part is a multiple of, octets of the ICV, and
whether the contents can be read. Key lengths, and algorithms with the same four, cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ipsecanalyze.sa.records import Algorithm

__all__ = ["FORMATS", "Format", "favoured"]


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """One format, the suites that have it, and how common they are."""

    iv: int
    """Octets of the explicit IV."""
    block: int
    """The protected part, from behind the IV to the ICV, is a multiple of so many octets."""
    icv: int
    suites: tuple[tuple[str, str], ...]
    """(encryption, integrity); the most used one first."""
    prior: float
    """Relative. An estimate of how often gateways choose any of them: defaults of common software, RFC 8221 §5."""
    is_clear: bool = False
    """NULL encryption: the contents can be read."""

    @property
    def counts(self) -> bool:
        """Whether the IV has only to be unique, so that most implementations count (RFC 4106 §3.1, RFC 3686 §3.1)."""
        return self.iv == 8 and self.block == 4


#: By octets of the ICV: integrity algorithms, the most used one first (RFC 2404, RFC 4868, RFC 3566, RFC 4494).
#: SHA2-256 with 96 bits is that of early Linux kernels (draft-ietf-ipsec-ciph-sha-256-00).
_MACS: Final = {
    0: ("NONE",),
    12: ("HMAC_SHA1_96", "HMAC_MD5_96", "AES_XCBC_96", "AES_CMAC_96", "HMAC_SHA2_256_96"),
    16: ("HMAC_SHA2_256_128",),
    24: ("HMAC_SHA2_384_192",),
    32: ("HMAC_SHA2_512_256",),
}
_BLOCKS_16: Final = ("AES_CBC", "CAMELLIA_CBC", "SERPENT_CBC", "TWOFISH_CBC")
_BLOCKS_8: Final = ("3DES", "DES", "BLOWFISH", "CAST", "IDEA", "RC5")


def _pairs(ciphers: Sequence[str], icv: int) -> tuple[tuple[str, str], ...]:
    """Every cipher with every MAC of that length."""
    return tuple((cipher, mac) for cipher in ciphers for mac in _MACS[icv])


def _alone(*ciphers: str) -> tuple[tuple[str, str], ...]:
    return tuple((cipher, "") for cipher in ciphers)


def _formats() -> Iterator[Format]:
    for icv, prior in ((16, 0.30), (12, 0.13), (32, 0.03), (24, 0.02), (0, 0.003)):
        yield Format(16, 16, icv, _pairs(_BLOCKS_16, icv), prior)
    for icv, prior in ((12, 0.03), (16, 0.006), (24, 0.001), (32, 0.001), (0, 0.0005)):
        yield Format(8, 8, icv, _pairs(_BLOCKS_8, icv), prior)
    # RFC 4106, 4309, 5529, 7634; RFC 3686 with a MAC.
    streams = ("AES_CTR", "CAMELLIA_CTR")
    sixteen = _alone("AES_GCM_16", "CHACHA20_POLY1305", "AES_CCM_16", "CAMELLIA_CCM_16")
    yield Format(8, 4, 16, sixteen + _pairs(streams, 16), 0.38)
    yield Format(8, 4, 12, _alone("AES_GCM_12", "AES_CCM_12", "CAMELLIA_CCM_12") + _pairs(streams, 12), 0.01)
    yield Format(8, 4, 8, _alone("AES_GCM_8", "AES_CCM_8", "CAMELLIA_CCM_8"), 0.005)
    yield Format(8, 4, 24, _pairs(streams, 24), 0.002)
    yield Format(8, 4, 32, _pairs(streams, 32), 0.005)
    # RFC 8750: the IV is the sequence number.
    yield Format(0, 4, 16, _alone("AES_GCM_16_IIV", "CHACHA20_POLY1305_IIV"), 0.004)
    yield Format(0, 4, 8, _alone("AES_CCM_8_IIV"), 0.0005)
    for icv, prior in ((16, 0.015), (12, 0.02), (32, 0.003), (24, 0.002), (0, 0.002)):
        yield Format(0, 4, icv, _pairs(("NULL",), icv), prior, is_clear=True)
    yield Format(8, 4, 16, _alone("NULL_AUTH_AES_GMAC"), 0.008, is_clear=True)  # RFC 4543


FORMATS: Final = tuple(_formats())

#: The integrity algorithm of IKEv1 phase 1's hash, as phase 2 would name it.
_HASHES: Final = {"MD5": "HMAC_MD5_96", "SHA1": "HMAC_SHA1_96", "SHA2_256": "HMAC_SHA2_256_128"} | {
    "SHA2_384": "HMAC_SHA2_384_192",
    "SHA2_512": "HMAC_SHA2_512_256",
}
#: How much likelier a format is that has the IKE SA's own suite, or its cipher with another MAC.
_SAME_SUITE, _SAME_CIPHER = 6.0, 2.0


def favoured(chosen: Sequence[Algorithm]) -> tuple[dict[Format, float], tuple[str, str] | None]:
    """By format the factor by which an IKE SA's own algorithms make it likelier; and its suite.

    The Child SA's suite is chosen inside of encrypted messages. People tend to configure both alike: that is all.
    """
    encryption = next((one.name for one in chosen if one.type == "ENCR"), "").removeprefix("ENCR_")
    integrity = next((one.name for one in chosen if one.type in ("INTEG", "HASH")), "").removeprefix("AUTH_")
    integrity = _HASHES.get(integrity, integrity)
    if encryption in ("", "NULL"):
        return {}, None
    factors: dict[Format, float] = {}
    suite: tuple[str, str] | None = None
    for one in FORMATS:
        for pair in one.suites:
            if pair[0] != encryption:
                continue
            if pair[1] in ("", integrity):
                factors[one], suite = _SAME_SUITE, pair
            else:
                factors.setdefault(one, _SAME_CIPHER)
    return factors, suite
