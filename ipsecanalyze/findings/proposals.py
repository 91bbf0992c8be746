"""Proposals compared: what two sides would agree on with the smallest change, in words of configuration files.

Suites are lists of `Algorithm` as `sa/` keeps them. Transforms that a program has no keyword for leave no line: None.
Keywords of strongSwan are those of its list of IKEv2 cipher suites, those of libreswan of ipsec.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ipsecanalyze.sa.records import Algorithm

__all__ = ["Change", "is_outdated", "keyword", "libreswan", "offer_text", "smallest_change", "strongswan", "suite_text"]

#: Proposals compared with each other at most, from either side.
_COMPARED = 64

#: ENCR number → keyword of strongSwan; "{}" is the key length in bits.
_ENCR_STRONGSWAN = {
    2: "des",
    3: "3des",
    6: "cast128",
    7: "blowfish{}",
    11: "null",
    12: "aes{}",
    13: "aes{}ctr",
    14: "aes{}ccm8",
    15: "aes{}ccm12",
    16: "aes{}ccm16",
    18: "aes{}gcm8",
    19: "aes{}gcm12",
    20: "aes{}gcm16",
    21: "aes{}gmac",
    23: "camellia{}",
    24: "camellia{}ctr",
    25: "camellia{}ccm8",
    26: "camellia{}ccm12",
    27: "camellia{}ccm16",
    28: "chacha20poly1305",
}
_ENCR_LIBRESWAN = {
    3: "3des",
    11: "null",
    12: "aes{}",
    13: "aes_ctr{}",
    14: "aes_ccm_a{}",
    15: "aes_ccm_b{}",
    16: "aes_ccm_c{}",
    18: "aes_gcm_a{}",
    19: "aes_gcm_b{}",
    20: "aes_gcm{}",
    23: "camellia{}",
    28: "chacha20_poly1305",
}
_INTEG_STRONGSWAN = {
    1: "md5",
    2: "sha1",
    5: "aesxcbc",
    6: "md5_128",
    7: "sha1_160",
    8: "aescmac",
    12: "sha256",
    13: "sha384",
    14: "sha512",
}
_INTEG_LIBRESWAN = {1: "md5", 2: "sha1", 5: "aes_xcbc", 8: "aes_cmac", 12: "sha2_256", 13: "sha2_384", 14: "sha2_512"}
_PRF_STRONGSWAN = {
    1: "prfmd5",
    2: "prfsha1",
    4: "prfaesxcbc",
    5: "prfsha256",
    6: "prfsha384",
    7: "prfsha512",
    8: "prfaescmac",
}
_PRF_LIBRESWAN = {1: "md5", 2: "sha1", 4: "aes_xcbc", 5: "sha2_256", 6: "sha2_384", 7: "sha2_512"}
#: INTEG → the PRF that both programs take where none is named.
_PRF_OF_INTEG = {1: 1, 2: 2, 5: 4, 6: 1, 7: 2, 8: 8, 12: 5, 13: 6, 14: 7}
_KE_STRONGSWAN = {
    1: "modp768",
    2: "modp1024",
    5: "modp1536",
    14: "modp2048",
    15: "modp3072",
    16: "modp4096",
    17: "modp6144",
    18: "modp8192",
    19: "ecp256",
    20: "ecp384",
    21: "ecp521",
    22: "modp1024s160",
    23: "modp2048s224",
    24: "modp2048s256",
    25: "ecp192",
    26: "ecp224",
    27: "ecp224bp",
    28: "ecp256bp",
    29: "ecp384bp",
    30: "ecp512bp",
    31: "x25519",
    32: "x448",
    35: "mlkem512",
    36: "mlkem768",
    37: "mlkem1024",
}
_KE_LIBRESWAN = {
    2: "modp1024",
    5: "modp1536",
    14: "modp2048",
    15: "modp3072",
    16: "modp4096",
    17: "modp6144",
    18: "modp8192",
    19: "dh19",
    20: "dh20",
    21: "dh21",
    22: "dh22",
    23: "dh23",
    24: "dh24",
    31: "dh31",
}
#: Numbers of IKEv1's phase 1 (RFC 2409 Appendix A) → those of IKEv2 for the same algorithm.
_ENCR_V1 = {1: 2, 3: 7, 5: 3, 6: 6, 7: 12, 8: 23}
_HASH_V1 = {1: 1, 2: 2, 4: 12, 5: 13, 6: 14}


#: DES, 3DES, CAST and Blowfish (in both versions' numbers), MD5, and groups of 1536 bits or fewer.
_OUTDATED = {"ENCR": (1, 2, 3, 5, 6), "INTEG": (1,), "HASH": (1,), "PRF": (1,), "KE": (1, 2, 5, 22)}


@dataclass(frozen=True, slots=True)
class Change:
    """What makes an offer acceptable."""

    suite: tuple[Algorithm, ...]
    """One suite that both sides would agree on."""
    missing: tuple[Algorithm, ...]
    """What of it the offer lacks; empty where the offer holds an acceptable suite already."""


def smallest_change(offered: Sequence[Sequence[Algorithm]], accepted: Sequence[Sequence[Algorithm]]) -> Change | None:
    """The fewest transforms that an offer lacks of something that is accepted; None where either side is unknown.

    Both are proposals: of each type of transform one of several is chosen (RFC 7296 §3.3).
    """
    best: Change | None = None
    for proposal in offered[:_COMPARED]:
        for wanted in accepted[:_COMPARED]:
            change = _change(_by_type(proposal), _by_type(wanted))
            if change.suite and (best is None or len(change.missing) < len(best.missing)):
                best = change
    return best


def _change(offered: dict[str, list[Algorithm]], wanted: dict[str, list[Algorithm]]) -> Change:
    suite: list[Algorithm] = []
    missing: list[Algorithm] = []
    for kind, choices in wanted.items():
        mine = {(one.id, one.key_length) for one in offered.get(kind, ())}
        common = next((one for one in choices if (one.id, one.key_length) in mine), None)
        if common is None:
            common = choices[0]
            missing.append(common)
        suite.append(common)
    return Change(tuple(suite), tuple(missing))


def _by_type(suite: Iterable[Algorithm]) -> dict[str, list[Algorithm]]:
    kinds: dict[str, list[Algorithm]] = {}
    for one in suite:
        # Number 0 of these stands for "none": as if it were not there (RFC 7296 §3.3.6).
        if one.id or one.type not in ("INTEG", "KE"):
            kinds.setdefault(one.type, []).append(one)
    return kinds


def suite_text(suite: Sequence[Algorithm]) -> str:
    """A suite for people, in keywords where there are some: "aes256-sha256-modp2048"."""
    parts = [keyword(one, is_v1=_is_v1(suite)) for one in suite if one.type not in ("AUTH", "PRF", "ESN")]
    if not any(one.type in ("INTEG", "HASH") for one in suite) or _has_own_prf(suite):
        parts += [keyword(one, is_v1=False) for one in suite if one.type == "PRF"]
    return "-".join(part for part in parts if part) or "nothing"


def offer_text(offer: Sequence[Sequence[Algorithm]], most: int = 4) -> str:
    """An offer for people: its proposals one by one, and how many more."""
    texts = list(dict.fromkeys(suite_text(proposal) for proposal in offer[:_COMPARED]))
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def strongswan(suite: Sequence[Algorithm]) -> str | None:
    """A suite as swanctl.conf has it behind `proposals =` and `esp_proposals =`; None where a keyword is missing."""
    is_v1 = _is_v1(suite)
    encr = _encryption(suite, _ENCR_STRONGSWAN, is_v1=is_v1)
    integ = _named(suite, ("INTEG", "HASH"), _INTEG_STRONGSWAN, is_v1=is_v1)
    parts = [*encr, *integ]
    if not is_v1 and _has_own_prf(suite):
        parts += _named(suite, ("PRF",), _PRF_STRONGSWAN, is_v1=False)
    parts += _named(suite, ("KE",), _KE_STRONGSWAN, is_v1=False)
    for one in suite:
        if one.type.startswith("ADDKE") and one.id:
            name = _KE_STRONGSWAN.get(one.id)
            parts.append(f"ke{one.type.removeprefix('ADDKE')}_{name}" if name else None)
    if any(one.type == "ESN" and one.id == 1 for one in suite):
        parts.append("esn")
    return _joined(parts)


def libreswan(suite: Sequence[Algorithm]) -> str | None:
    """A suite as libreswan's ipsec.conf has it behind `ike=` and `esp=`; None where a keyword is missing."""
    is_v1 = _is_v1(suite)
    parts = _encryption(suite, _ENCR_LIBRESWAN, is_v1=is_v1)
    is_ike = any(one.type in ("PRF", "HASH") for one in suite)
    if is_ike and not is_v1 and (_has_own_prf(suite) or not any(one.type == "INTEG" for one in suite)):
        # Integrity and PRF are one word here: suites that mix them cannot be written.
        if any(one.type == "INTEG" and one.id for one in suite):
            return None
        parts += _named(suite, ("PRF",), _PRF_LIBRESWAN, is_v1=False)
    else:
        parts += _named(suite, ("INTEG", "HASH"), _INTEG_LIBRESWAN, is_v1=is_v1)
    groups = _named(suite, ("KE",), _KE_LIBRESWAN, is_v1=False)
    if any(one.type.startswith("ADDKE") and one.id for one in suite):
        return None
    text = _joined(parts)
    group = _joined(groups) if groups else ""
    if text is None or group is None:
        return None
    return f"{text};{group}" if group else text


def is_outdated(one: Algorithm) -> bool:
    """Whether a transform of an IKE proposal is one that implementations have left out of their defaults long since."""
    return one.id in _OUTDATED.get(one.type, ())


def _is_v1(suite: Iterable[Algorithm]) -> bool:
    return any(one.type in ("HASH", "AUTH") for one in suite)


def _has_own_prf(suite: Sequence[Algorithm]) -> bool:
    """Whether the PRF is another one than that which goes with the integrity algorithm."""
    prfs = {one.id for one in suite if one.type == "PRF"}
    implied = {_PRF_OF_INTEG.get(one.id) for one in suite if one.type == "INTEG" and one.id}
    return bool(prfs) and prfs != implied


def _cipher(one: Algorithm, keywords: dict[int, str], *, is_v1: bool) -> str | None:
    number = _ENCR_V1.get(one.id) if is_v1 else one.id
    pattern = keywords.get(number) if number is not None else None
    if pattern is None or ("{}" in pattern and one.key_length is None):
        return None
    return pattern.format(one.key_length)


def _encryption(suite: Iterable[Algorithm], keywords: dict[int, str], *, is_v1: bool) -> list[str | None]:
    return [_cipher(one, keywords, is_v1=is_v1) for one in suite if one.type == "ENCR"]


def _named(
    suite: Iterable[Algorithm], kinds: tuple[str, ...], keywords: dict[int, str], *, is_v1: bool
) -> list[str | None]:
    found: list[str | None] = []
    for one in suite:
        if one.type in kinds and (one.id or one.type not in ("INTEG", "KE")):
            number = _HASH_V1.get(one.id) if is_v1 and one.type == "HASH" else one.id
            found.append(keywords.get(number) if number is not None else None)
    return found


def _joined(parts: Iterable[str | None]) -> str | None:
    words = list(parts)
    if not words or any(word is None for word in words):
        return None
    return "-".join(word for word in words if word)


def keyword(one: Algorithm, *, is_v1: bool) -> str:
    """StrongSwan's keyword for a transform, or its name in the registry; "" for none at all."""
    if one.type in ("INTEG", "KE") and not one.id:
        return ""
    word: str | None
    if one.type == "ENCR":
        word = _cipher(one, _ENCR_STRONGSWAN, is_v1=is_v1)
    elif one.type in ("INTEG", "HASH"):
        number = _HASH_V1.get(one.id, -1) if one.type == "HASH" else one.id
        word = _INTEG_STRONGSWAN.get(number)
    elif one.type == "PRF":
        word = _PRF_STRONGSWAN.get(one.id)
    elif one.type == "KE":
        word = _KE_STRONGSWAN.get(one.id)
    elif one.type.startswith("ADDKE") and one.id in _KE_STRONGSWAN:
        word = f"ke{one.type.removeprefix('ADDKE')}_{_KE_STRONGSWAN[one.id]}"
    else:
        word = None
    if word is None:
        word = one.name if one.key_length is None else f"{one.name}_{one.key_length}"
    return word
