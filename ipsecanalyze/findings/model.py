"""What a rule says: one statement about the traffic, how bad it is, how sure, and the packets that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ipsecanalyze.sa.records import Certainty

__all__ = ["MOST_FRAMES", "Certainty", "Defect", "Finding", "Severity"]

#: Frames that a finding names; where there are more, the first ones.
MOST_FRAMES = 32


class Severity(StrEnum):
    """How bad it is. Ordered: `Severity.HIGH > Severity.LOW`; see docs/findings.md for what each means."""

    INFO = "info"
    """Worth knowing; nothing is wrong."""
    LOW = "low"
    """Costs something, or may one day."""
    MEDIUM = "medium"
    """Something does not work as it should, or falls short of current advice."""
    HIGH = "high"
    """A tunnel does not come up or loses traffic, or what protects it can be broken with effort."""
    CRITICAL = "critical"
    """What is sent can be read or forged."""

    @property
    def rank(self) -> int:
        """0 for info to 4 for critical."""
        return _RANKS[self]

    def __lt__(self, other: str) -> bool:
        return self.rank < Severity(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Severity(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Severity(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Severity(other).rank


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Defect(StrEnum):
    """What a capture lacks, and so what cannot be concluded from it with certainty."""

    ONE_SIDED = "only one direction was captured"
    TRUNCATED = "packets were cut by the snap length"
    MIRRORED = "packets were captured twice"
    STARTED_LATE = "the capture began in the middle"
    DROPPED = "the capturing system lost packets"


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement, with its evidence."""

    slug: str
    """Which rule it is of: a name that does not change, with a page in docs/findings.md."""
    severity: Severity
    certainty: Certainty
    """Observed: it can be read off the frames named. Inferred: the best explanation of them."""
    subject: str
    """What it is about: the id of an IKE SA or Child SA ("ike-1"), a flow ("ESP c0ffee01"), an address, a capture."""
    title: str
    """One line without a full stop, complete by itself."""
    explanation: str
    """What was seen and what it means, with the numbers of this capture."""
    remedy: str
    """What to do about it."""
    frames: tuple[int, ...] = ()
    """The evidence, in ascending order (the first `MOST_FRAMES`)."""
    references: tuple[str, ...] = ()
    """Clauses: "RFC 7296 §2.23"."""
    capture: int = 0
    """Index of the capture that the frames are of."""
