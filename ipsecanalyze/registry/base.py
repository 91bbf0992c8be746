"""The open enum: IANA's numbers with name, reference and status, where unknown numbers keep their value.

`Encr(12).name` is "ENCR_AES_CBC"; `Encr(999)` is a member-like value named "ENCR_999" whose status is
"unassigned" or "private". A lookup never raises for an integer.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self

__all__ = ["OpenEnum"]


class OpenEnum(IntEnum):
    """An integer enum that accepts every integer.

    Members are written `NAME = number, "reference"[, "status"]`; the status is "current", "deprecated",
    "historic", "reserved", "private" or "unassigned". Subclasses say how unknown numbers are named and which
    range is for private use: `class Encr(OpenEnum, prefix="ENCR", private=1024)`.
    """

    reference: str
    status: str

    def __new__(cls, value: int, reference: str = "", status: str = "current") -> Self:
        """A member, as its row declares it."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.reference = reference
        member.status = status
        return member

    def __init_subclass__(cls, *, prefix: str = "UNKNOWN", private: int | None = None) -> None:
        super().__init_subclass__()
        type.__setattr__(cls, "_open_prefix", prefix)
        type.__setattr__(cls, "_open_private", private)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        private: int | None = cls.__dict__["_open_private"]
        member = int.__new__(cls, value)
        member._name_ = f"{cls.__dict__['_open_prefix']}_{value}"
        member._value_ = value
        member.reference = ""
        member.status = "private" if private is not None and value >= private else "unassigned"
        # Not remembered: a stranger's packets must not grow the enum.
        return member
