"""How good the captures are: what they lack lowers the certainty of what rests on it."""

from __future__ import annotations

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Defect

__all__ = ["defects_of"]


def defects_of(case: Case) -> dict[int, frozenset[Defect]]:
    """What each capture lacks, by its index."""
    defects: dict[int, set[Defect]] = {index: set() for index in range(len(case.captures))}
    for index, facts in enumerate(case.captures):
        if facts.truncated_packets:
            defects[index].add(Defect.TRUNCATED)
        if facts.dropped_packets:
            defects[index].add(Defect.DROPPED)
    return {index: frozenset(found) for index, found in defects.items()}
