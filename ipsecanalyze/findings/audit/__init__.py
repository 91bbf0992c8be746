"""What is weak by the standards of a profile: the table of rules."""

from __future__ import annotations

from ipsecanalyze.findings.audit import versions
from ipsecanalyze.findings.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (Rule(versions.ikev1_in_use, ("ikev1-in-use",)),)
