"""Many SAs with the same weakness between the same two gateways are one finding: `Gathering` puts them together.

Evidence is looked for only as long as a finding can show more of it, and a slug is not drowned yet.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ipsecanalyze.findings.audit.negotiated import Spot
from ipsecanalyze.findings.model import MOST_FRAMES, Finding

__all__ = ["MOST_GROUPS", "MOST_MADE", "Gathering", "Group"]

#: Groups whose evidence is looked for as long as a finding can show more; of further ones, that of the first member.
MOST_GROUPS = 128
#: Groups that findings are made of: more are counted only. Gateways are graded by them (`gateways.py`).
MOST_MADE = 4_096
_T = TypeVar("_T")


@dataclass(slots=True)
class Group(Generic[_T]):
    """What belongs together."""

    first: _T
    subjects: list[str] = field(default_factory=list)
    """The first ones, each once."""
    count: int = 0
    octets: int = 0
    spots: list[Spot] = field(default_factory=list)

    @property
    def capture(self) -> int:
        """The capture that the evidence is of."""
        return self.spots[0][0] if self.spots else 0

    @property
    def frames(self) -> tuple[int, ...]:
        """The evidence in that capture."""
        capture = self.capture
        return tuple(sorted({frame for one, frame in self.spots if one == capture})[:MOST_FRAMES])

    def others(self, one: str, many: str, whose: str = " of the same peers") -> str:
        """A sentence on further subjects: "The same holds for 3 more Child SAs of…" with a space before it."""
        more = self.count - 1
        return f" The same holds for {more} more {one if more == 1 else many}{whose}." if more > 0 else ""


class Gathering(Generic[_T]):
    """Groups by key, in order of their first member."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, Group[_T]] = {}

    def add(self, key: Hashable, what: _T, subject: str, *where: Callable[[], Spot | None]) -> Group[_T]:
        """Put something to its like; `where` tells where it is to be seen."""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(what)
        group.count += 1
        if len(group.subjects) < MOST_FRAMES and subject not in group.subjects:
            group.subjects.append(subject)
        is_wanted = len(self._groups) <= MOST_GROUPS or (group.count == 1 and len(self._groups) <= MOST_MADE)
        if is_wanted and len(group.spots) < MOST_FRAMES:
            group.spots += [spot for find in where if (spot := find()) is not None]
        return group

    def findings(self, make: Callable[[Group[_T]], Finding]) -> Iterator[Finding]:
        """A finding for each group; behind those that are made the last one again, as the rest are only counted."""
        last: Finding | None = None
        for number, group in enumerate(self._groups.values()):
            if last is None or number < MOST_MADE:
                last = make(group)
            yield last

    def __iter__(self) -> Iterator[Group[_T]]:
        return iter(self._groups.values())

    def __len__(self) -> int:
        return len(self._groups)
