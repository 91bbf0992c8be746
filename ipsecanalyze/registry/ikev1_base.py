"""The base of IKEv1's enums: numbers are historic unless they say otherwise (RFC 9395). No numbers live here."""

from __future__ import annotations

from typing import Self

from ipsecanalyze.registry.base import OpenEnum

__all__ = ["HistoricEnum"]


class HistoricEnum(OpenEnum):
    """An open enum whose members have the status "historic" by default."""

    def __new__(cls, value: int, reference: str = "", status: str = "historic") -> Self:  # noqa: D102
        # `enum` replaces the `__new__` of the base class, so that it cannot be called from here.
        member = int.__new__(cls, value)
        member._value_ = value
        member.reference = reference
        member.status = status
        return member
