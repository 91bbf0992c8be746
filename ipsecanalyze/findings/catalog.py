"""The catalogue of slugs: what each means in general, for docs/findings.md and `diagnose --explain SLUG`.

Adding a finding: a rule in a file by topic, its row in the table of `diagnosis/` or `audit/`, and a page in `pages/`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ipsecanalyze.findings.audit import RULES as AUDIT
from ipsecanalyze.findings.compare import SLUGS as COMPARE
from ipsecanalyze.findings.diagnosis import RULES as DIAGNOSIS

__all__ = ["Page", "all_slugs", "is_audit", "page", "slugs"]


@dataclass(frozen=True, slots=True)
class Page:
    """What is to be known of a slug, whatever the capture."""

    slug: str
    title: str
    what: str
    """What was seen when it is given."""
    why: str
    """What it means, and what may be behind it."""
    wireshark: str
    """A display filter that shows it, and what to look at."""
    fixes: dict[str, str]
    """By implementation: "strongSwan", "libreswan", "Cisco IOS", "FortiOS"."""
    references: tuple[str, ...]


@cache
def _audit_slugs() -> frozenset[str]:
    return frozenset(slug for rule in AUDIT for slug in rule.slugs)


def is_audit(slug: str) -> bool:
    """Whether a slug says what is weak; the others say what does not work."""
    return slug in _audit_slugs()


def slugs() -> tuple[str, ...]:
    """Every slug: diagnosis, then audit, in the order of the tables."""
    return tuple(dict.fromkeys(slug for rule in (*DIAGNOSIS, *AUDIT) for slug in rule.slugs))


def all_slugs() -> tuple[str, ...]:
    """Every slug that has a page: those of `slugs`, and those of comparisons."""
    return (*slugs(), *COMPARE)


def page(slug: str) -> Page:
    """The page of a slug. Raises KeyError where there is no such slug."""
    source = files("ipsecanalyze.findings") / "pages" / f"{slug}.toml"
    if slug not in all_slugs():
        raise KeyError(slug)
    data = tomllib.loads(source.read_text(encoding="utf-8"))
    return Page(
        slug,
        data["title"],
        data["what"].strip(),
        data["why"].strip(),
        data["wireshark"].strip(),
        {name: text.strip() for name, text in data["fix"].items()},
        tuple(data["references"]),
    )
