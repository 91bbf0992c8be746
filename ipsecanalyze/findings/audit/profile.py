"""Profiles: what a standard allows, as dated data (`profiles/NAME.toml`), each cell with its clause."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Profile", "load_profile", "profile_names"]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a standard says of versions, algorithms and lifetimes."""

    name: str
    title: str = "RFC 8247 and RFC 8221"
    date: str = "2017-09"


def profile_names() -> tuple[str, ...]:
    """The profiles there are, the default one first."""
    return ("rfc",)


def load_profile(name: str = "rfc") -> Profile:
    """A profile by its name. Raises UsageError where there is none of it."""
    return Profile(name)
