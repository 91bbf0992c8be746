"""What a profile's word on an algorithm means for a finding: how bad it is, and how it is put."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ipsecanalyze.findings.audit.profile import Cell, Profile, Status
from ipsecanalyze.findings.model import Severity
from ipsecanalyze.sa.records import Algorithm

__all__ = [
    "SMALL_BLOCKS",
    "algorithm_text",
    "cell_of",
    "cell_text",
    "is_sound",
    "severity_of",
    "table_of",
    "why",
    "year_of",
]

_SEVERITIES: Final = {
    Status.MUST_NOT: Severity.HIGH,
    Status.SHOULD_NOT: Severity.MEDIUM,
    Status.MUST_MINUS: Severity.LOW,
    Status.AGING: Severity.LOW,
}
#: What was broken in practice: by search of all keys (56 bits), or by computing logarithms in public (768 bits).
_BROKEN: Final = frozenset({"ENCR_DES", "ENCR_DES_IV64", "ENCR_DES_IV32", "MODP_768"})
#: Ciphers with blocks of 64 bits.
SMALL_BLOCKS: Final = frozenset(
    (
        *("ENCR_DES", "ENCR_DES_IV64", "ENCR_DES_IV32", "ENCR_3DES", "ENCR_3IDEA"),
        *("ENCR_IDEA", "ENCR_CAST", "ENCR_BLOWFISH", "ENCR_RC5", "ENCR_RC5_R16_B64"),
    )
)
#: Sound by themselves: a profile that rules them out has other reasons than their strength.
_SOUND: Final = frozenset(("CURVE25519", "CURVE448", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"))
#: Groups that few standards mention any more, by number, with their strength in bits: curves over GF(2^155) and
#: GF(2^185) (RFC 2409 §6.3, §6.4) and GF(2^163), P-192 (RFC 5114 §2.4).
_FEW_BITS: Final = {3: 77, 4: 92, 6: 81, 7: 81, 25: 96}
_LEAST_BITS: Final = "SP 800-57pt1r5 §5.6.1"
_TABLES: Final = {"ENCR": "encryption", "PRF": "prf", "HASH": "prf", "INTEG": "integrity"}
_STATUS: Final = {
    Status.MUST_NOT: "must not be used",
    Status.SHOULD_NOT: "should not be used",
    Status.MUST_MINUS: "is on its way out",
    Status.AGING: "is on its way out",
}
_WHY: Final = {
    "ENCR_DES": "Its keys of 56 bits can be searched through in hours.",
    "ENCR_3DES": "Its blocks of 64 bits begin to repeat after some GiB under one key (Sweet32).",
    "MODP_768": "Logarithms in groups of this size were computed in public.",
    "MODP_1024": "Those who can afford the precomputation for this one prime read all that rests on it (Logjam).",
    "MODP_1536": "Its strength is some 90 bits, below the 112 that are asked for today.",
    "MODP_1024_160": "Its subgroup is small, and where its parameters come from is not told (RFC 5114).",
    "MODP_2048_224": "Where its parameters come from is not told (RFC 5114), and it has small subgroups.",
    "MODP_2048_256": "Where its parameters come from is not told (RFC 5114), and it has small subgroups.",
    "PRF_HMAC_MD5": "MD5 is broken; with transcripts hashed by it, SLOTH impersonated peers of IKE.",
    "PRF_HMAC_SHA1": "SHA-1's collisions do not break HMAC, yet everything else has moved on from it.",
    "AUTH_HMAC_SHA1_96": "SHA-1's collisions do not break HMAC, yet everything else has moved on from it.",
    "AUTH_HMAC_MD5_96": "MD5 is broken; HMAC still stands on it, with little margin.",
}


def cell_of(profile: Profile, algorithm: Algorithm, protocol: str, year: int) -> Cell:
    """What a profile says of an algorithm in IKE, ESP or AH ("IKE", "ESP", "AH"); IKEv1's hash is judged as a PRF."""
    kind, name = algorithm.type, algorithm.name
    table = table_of(algorithm, protocol)
    if table is None:
        return Cell(is_listed=False)
    if kind == "HASH":
        name = f"PRF_HMAC_{name}"
    # What encrypts nothing has a slug of its own, whatever the profile.
    if name in ("NONE", "ENCR_NULL", "ENCR_NULL_AUTH_AES_GMAC"):
        return Cell(is_listed=False)
    cell = profile.cell(table, name, algorithm.key_length, year)
    if kind == "KE" and algorithm.id in _FEW_BITS and cell.status is Status.NOT_MENTIONED:
        note = f"its strength is some {_FEW_BITS[algorithm.id]} bits, and 112 are the least that are asked for today"
        return Cell(Status.SHOULD_NOT, _LEAST_BITS, note=note)
    return cell


def is_sound(algorithm: Algorithm) -> bool:
    """Whether an algorithm is strong, whatever a profile says of it."""
    return algorithm.name in _SOUND


def table_of(algorithm: Algorithm, protocol: str) -> str | None:
    """The table of a profile that has an algorithm of IKE, ESP or AH; None where none has."""
    kind = algorithm.type
    if kind == "KE" or kind.startswith("ADDKE"):
        return "key-exchange"
    return f"{'ike' if protocol == 'IKE' else 'esp'}.{_TABLES[kind]}" if kind in _TABLES else None


def severity_of(cell: Cell, name: str = "") -> Severity | None:
    """How bad it is to use what a cell is about; None where that is fine, or nothing is said of it."""
    severity = _SEVERITIES.get(cell.status)
    return Severity.CRITICAL if name in _BROKEN and cell.status in (Status.MUST_NOT, Status.SHOULD_NOT) else severity


def algorithm_text(algorithm: Algorithm) -> str:
    """An algorithm with its key length: "ENCR_AES_CBC-128"."""
    length = f"-{algorithm.key_length}" if algorithm.key_length else ""
    return f"{algorithm.name}{length}"


def cell_text(cell: Cell, what: str) -> str:
    """What a cell says of something, as a sentence."""
    if not cell.is_listed:
        return f"{what} is not among what {cell.clause} allows."
    note = f": {cell.note}" if cell.note else ""
    return f"{what} {_STATUS.get(cell.status, cell.status.value)} by {cell.clause}{note}."


def why(algorithm: Algorithm) -> str:
    """What is wrong with an algorithm, as a sentence; "" where nothing more is to be said."""
    name = f"PRF_HMAC_{algorithm.name}" if algorithm.type == "HASH" else algorithm.name
    return _WHY.get(name, "")


def year_of(time_ns: int) -> int:
    """The year of a time, by which rows with an end are judged."""
    return datetime.fromtimestamp(max(time_ns, 0) // 1_000_000_000, UTC).year
