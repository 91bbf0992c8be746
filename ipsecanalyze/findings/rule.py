"""What a row of a rule table is: a rule, the slugs that it may give, and what makes it less sure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ipsecanalyze.findings.model import Defect, Finding

__all__ = ["Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and what it may give."""

    look: Callable[..., Iterable[Finding]]
    """Of diagnosis: `look(case)`; of audit: `look(case, profile)`."""
    slugs: tuple[str, ...]
    """Each has a page in `pages/`."""
    shaken_by: frozenset[Defect] = frozenset()
    """Defects of a capture that leave what it says about that capture inferred (`find.py` sees to it)."""
