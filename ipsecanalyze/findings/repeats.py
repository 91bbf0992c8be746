"""What happens again and again between the same peers is told once: daemons try for days what failed the first time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import wraps

from ipsecanalyze.findings.case import Case, frames_of
from ipsecanalyze.findings.model import MOST_FRAMES, Finding
from ipsecanalyze.findings.words import series

__all__ = ["told_once"]

#: Subjects that are named of those of which the same is true.
_NAMED = 4


def told_once(rule: Callable[[Case], Iterable[Finding]]) -> Callable[[Case], Iterator[Finding]]:
    """Make one finding of those of a rule with the same title: titles name the peers, and no single IKE SA.

    The first one is given, at the highest severity of all, with how often and where else, and frames of the same
    capture as far as there is room.
    """

    @wraps(rule)
    def look(case: Case) -> Iterator[Finding]:
        groups: dict[tuple[str, str, int], list[Finding]] = {}
        counts: dict[tuple[str, str, int], int] = {}
        for finding in rule(case):
            key = (finding.slug, finding.title, finding.capture)
            counts[key] = counts.get(key, 0) + 1
            group = groups.setdefault(key, [])
            if len(group) < MOST_FRAMES:
                group.append(finding)
            elif finding.severity > group[-1].severity:
                group[-1] = finding
        for key, group in groups.items():
            yield _together(group, counts[key]) if counts[key] > 1 else group[0]

    return look


def _together(group: list[Finding], count: int) -> Finding:
    first = group[0]
    others = list(dict.fromkeys(finding.subject for finding in group[1:] if finding.subject != first.subject))
    where = f" ({series(others, _NAMED)})" if others and count <= len(group) else ""
    return replace(
        first,
        severity=max(finding.severity for finding in group),
        explanation=f"{first.explanation} The same happened {count:,} times in all{where}.",
        frames=frames_of(frame for finding in group for frame in finding.frames),
    )
