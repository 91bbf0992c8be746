"""Why a tunnel does not come up, or does not carry what it should: the table of rules, in order of a tunnel's life."""

from __future__ import annotations

from ipsecanalyze.findings.diagnosis import initiation
from ipsecanalyze.findings.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (Rule(initiation.cookie_challenge, ("cookie-challenge",)),)
