"""Algorithms that a profile advises against: those that were chosen, each kind for itself, and those only offered.

NULL encryption and missing integrity are weak by any profile. What was chosen of ESP and AH is known with keys; without
them `null-encryption` is what the lengths and octets of packets suggest (`findings/inference/`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import Negotiation, negotiations
from ipsecanalyze.findings.audit.profile import Cell, Profile
from ipsecanalyze.findings.audit.verdict import (
    algorithm_text,
    cell_of,
    cell_text,
    is_sound,
    severity_of,
    table_of,
    why,
    year_of,
)
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import series
from ipsecanalyze.sa.records import Algorithm

__all__ = ["is_aead", "is_null", "weak_algorithms"]

_SLUGS: Final = {"ENCR": "weak-encryption", "PRF": "weak-prf", "HASH": "weak-prf", "INTEG": "weak-integrity"}
_KINDS: Final = {
    "weak-encryption": "encryption",
    "weak-prf": "PRF",
    "weak-integrity": "integrity protection",
    "weak-key-exchange": "key exchange",
}
_BARE: Final = ("null-encryption", "no-integrity")
Judged: TypeAlias = list[tuple[Algorithm, Cell]]
_AEAD_PARTS: Final = ("_GCM_", "_CCM_", "CHACHA20_POLY1305", "NULL_AUTH_AES_GMAC", "_MGM_")
_NULL: Final = ("ENCR_NULL", "ENCR_NULL_AUTH_AES_GMAC")


def is_aead(name: str) -> bool:
    """Whether an encryption algorithm protects integrity itself."""
    return any(part in name for part in _AEAD_PARTS)


def is_null(name: str) -> bool:
    """Whether an "encryption" algorithm encrypts nothing."""
    return name in _NULL


@dataclass(slots=True)
class _Weak:
    negotiation: Negotiation
    slug: str
    severity: Severity
    better: list[str]
    """What the profile wants instead."""
    judged: Judged


@dataclass(slots=True)
class _Verdict:
    """What is to be said of a suite and its offer, whoever negotiated it."""

    chosen: list[tuple[str, Severity, list[str], Judged, tuple[str, ...]]]
    """(slug, severity, what the profile wants instead, algorithms with their cells, their names)."""
    offered: Judged
    offered_names: tuple[str, ...]


class _Judge:
    """Judges negotiations by a profile, each suite once: captures repeat a few suites a hundred thousand times."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        # The lists live as long as the case: suites are shared among IKE SAs (`sa/algorithms.py`).
        self._known: dict[tuple[int, int, str, int], _Verdict] = {}

    def of(self, one: Negotiation) -> _Verdict:
        """The verdict on what was chosen and offered."""
        key = id(one.chosen), id(one.offered), one.protocol, year_of(one.time_ns)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._judge(one, key[3])
        return known

    def _judge(self, one: Negotiation, year: int) -> _Verdict:
        chosen = []
        for slug, judged in self._by_slug(one, one.chosen, year).items():
            better = self._profile.wanted(table_of(judged[0][0], one.protocol) or "", year)
            chosen.append((slug, _worst(judged), better, judged, _names(judged)))
        taken = set(one.chosen)
        rest = [algorithm for algorithm in one.offered if algorithm not in taken]
        spare = [pair for judged in self._by_slug(one, rest, year).values() for pair in judged]
        spare += [(algorithm, Cell()) for algorithm in rest if algorithm.type == "ENCR" and is_null(algorithm.name)]
        return _Verdict(chosen, spare, _names(spare))

    def _by_slug(self, one: Negotiation, algorithms: Sequence[Algorithm], year: int) -> dict[str, Judged]:
        found: dict[str, Judged] = {}
        for algorithm in algorithms:
            cell = cell_of(self._profile, algorithm, one.protocol, year)
            if severity_of(cell) is not None:
                found.setdefault(_SLUGS.get(algorithm.type, "weak-key-exchange"), []).append((algorithm, cell))
        return found


def weak_algorithms(case: Case, profile: Profile) -> Iterator[Finding]:
    """Chosen and offered algorithms by the profile, NULL encryption, missing integrity."""
    judge = _Judge(profile)
    by_slug: dict[str, Gathering[_Weak]] = {slug: Gathering() for slug in (*_KINDS, "weak-offer", *_BARE)}
    kept = list(negotiations(case))  # so that no suite's id is given to another one
    for one in kept:
        verdict = judge.of(one)
        sides = frozenset(one.sides)
        for slug, severity, better, judged, names in verdict.chosen:
            weak = _Weak(one, slug, severity, better, judged)
            by_slug[slug].add((one.protocol, sides, names), weak, one.subject, one.choice)
        if verdict.offered:
            weak = _Weak(one, "weak-offer", Severity.LOW, [], verdict.offered)
            by_slug["weak-offer"].add((one.protocol, one.sides, verdict.offered_names), weak, one.subject, one.offer)
        for slug, severity in _bare(one):
            weak = _Weak(one, slug, severity, [], [])
            by_slug[slug].add(
                (one.protocol, sides, _names([(each, Cell()) for each in one.chosen])), weak, one.subject, one.choice
            )
    for slug, gathering in by_slug.items():
        make = _offer_finding if slug == "weak-offer" else _bare_finding if slug in _BARE else _chosen_finding
        yield from gathering.findings(make)


def _names(judged: Judged) -> tuple[str, ...]:
    return tuple(algorithm_text(algorithm) for algorithm, _ in judged)


def _worst(judged: Judged) -> Severity:
    severities = [severity_of(cell, algorithm.name) for algorithm, cell in judged]
    return max((one for one in severities if one is not None), key=lambda one: one.rank, default=Severity.LOW)


def _bare(one: Negotiation) -> Iterator[tuple[str, Severity]]:
    """What is missing in the suite of an IKE or ESP SA."""
    if one.protocol == "AH":
        return
    encryption = next((algorithm for algorithm in one.chosen if algorithm.type == "ENCR"), None)
    if encryption is None:
        return
    if is_null(encryption.name):
        yield "null-encryption", Severity.CRITICAL
    if one.protocol == "IKE" and one.version != "2.0":
        return  # IKEv1 has no transform for it: its hash protects messages
    has_integrity = any(algorithm.type == "INTEG" and algorithm.name != "NONE" for algorithm in one.chosen)
    if not has_integrity and not is_aead(encryption.name) and one.version:
        yield "no-integrity", Severity.CRITICAL


def _what(one: Negotiation) -> str:
    version = {"1.0": "IKEv1", "2.0": "IKEv2"}.get(one.version, "IKE")
    what = f"the {version} SA {one.subject}" if one.protocol == "IKE" else f"the {one.protocol} SA {one.subject}"
    if one.protocol != "IKE" and not one.version:
        return f"{one.subject} (by the key that opens it)"
    return what


def _between(one: Negotiation) -> str:
    return f"between {one.sides[0]} and {one.sides[1]}"


def _chosen_finding(group: Group[_Weak]) -> Finding:
    weak = group.first
    one, kind = weak.negotiation, _KINDS[weak.slug]
    names = [algorithm_text(algorithm) for algorithm, _ in weak.judged]
    # What is fine by itself, and not on a standard's list, is not called weak.
    is_weak = any(why(algorithm) or (cell.is_listed and not is_sound(algorithm)) for algorithm, cell in weak.judged)
    title = f"Weak {kind}" if is_weak else f"{kind[:1].upper()}{kind[1:]} beyond what the profile allows"
    sentences = [f"{series(names)} was chosen for {_what(one)} {_between(one)}."]
    for algorithm, cell in weak.judged:
        sentences.append(cell_text(cell, algorithm_text(algorithm)))
        if why(algorithm):
            sentences.append(why(algorithm))
    return Finding(
        slug=weak.slug,
        severity=weak.severity,
        certainty=Certainty.OBSERVED,
        subject=one.subject,
        title=f"{title} was chosen for {one.protocol}: {series(names)}",
        explanation=" ".join(sentences) + group.others(*_nouns(one)),
        remedy=f"Configure {' or '.join(weak.better) or 'what the profile allows'} on both sides, and take "
        f"{series(names)} out of their proposals.",
        frames=group.frames,
        references=tuple(dict.fromkeys(cell.clause for _, cell in weak.judged if cell.clause)),
        capture=group.capture,
    )


def _nouns(one: Negotiation) -> tuple[str, str]:
    return ("IKE SA", "IKE SAs") if one.protocol == "IKE" else (f"{one.protocol} SA", f"{one.protocol} SAs")


def _offer_finding(group: Group[_Weak]) -> Finding:
    weak = group.first
    one = weak.negotiation
    names = [algorithm_text(algorithm) for algorithm, _ in weak.judged]
    chosen = series([algorithm_text(algorithm) for algorithm in one.chosen], most=8) if one.chosen else "nothing"
    words = [cell_text(cell, algorithm_text(algorithm)) for algorithm, cell in weak.judged[:6] if cell.clause]
    return Finding(
        slug="weak-offer",
        severity=weak.severity,
        certainty=Certainty.OBSERVED,
        subject=one.subject,
        title=f"Weak algorithms were offered for {one.protocol} and not chosen: {series(names)}",
        explanation=(
            f"For {_what(one)} {series(names, most=12)} were offered too {_between(one)}; chosen was {chosen}. "
            f"A responder with another configuration would have taken them. {' '.join(words)}".rstrip()
            + group.others(*_nouns(one))
        ),
        remedy=f"Take {series(names, most=12)} out of the proposals of the side that offered them, {one.sides[0]}"
        " as a rule.",
        frames=group.frames,
        references=tuple(dict.fromkeys(cell.clause for _, cell in weak.judged if cell.clause)) or ("RFC 7296 §2.7",),
        capture=group.capture,
    )


def _bare_finding(group: Group[_Weak]) -> Finding:
    weak = group.first
    one = weak.negotiation
    suite = series([algorithm_text(algorithm) for algorithm in one.chosen], most=8)
    is_ike = one.protocol == "IKE"
    packets = "messages" if is_ike else "packets"
    if weak.slug == "null-encryption":
        null = next(algorithm_text(algorithm) for algorithm in one.chosen if is_null(algorithm.name))
        title = f"{one.protocol} encrypts nothing: {null} was chosen"
        explanation = (
            f"{_what(one)[:1].upper()}{_what(one)[1:]} {_between(one)} was made with {suite}: its {packets} can be read"
            " by everyone on the way."
        )
        remedy = f"Choose a cipher (AES-GCM with ICVs of 16 octets) for {one.protocol} on both sides"
        remedy += "." if is_ike else ", if the contents matter."
        references: tuple[str, ...] = ("RFC 7296 §3.14", "RFC 2410 §2") if is_ike else ("RFC 2410 §2", "RFC 4303 §1")
    else:
        title = f"{one.protocol} {packets} are encrypted without integrity protection"
        explanation = (
            f"{_what(one)[:1].upper()}{_what(one)[1:]} {_between(one)} was made with {suite}: whoever is on the way can"
            f" change {packets}, and learn from how they are answered what is inside."
        )
        remedy = f"Add HMAC-SHA2-256-128 to the {one.protocol} proposals of both sides, or use an AEAD cipher such as "
        remedy += "AES-GCM."
        references = ("RFC 7296 §3.3.3",) if is_ike else ("RFC 8221 §4",)
    return Finding(
        slug=weak.slug,
        severity=weak.severity,
        certainty=Certainty.OBSERVED,
        subject=one.subject,
        title=title,
        explanation=explanation + group.others(*_nouns(one)),
        remedy=remedy,
        frames=group.frames,
        references=references,
        capture=group.capture,
    )
