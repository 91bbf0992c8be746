"""How often keys that may be anybody's are tried in vain, over all IKE SAs: many of both must not take hours."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Tries"]


@dataclass(slots=True)
class Tries:
    """What is left; keys that are said to be of an IKE SA are tried on it all the same."""

    left: int = 500_000
