"""What every IKE payload is: its type, where it stood, and how it is written back.

A payload class holds its wire fields and nothing derived from other payloads; `body()` gives the octets behind
the generic payload header (RFC 7296 §3.2, RFC 2408 §3.2). Classes register in `payloads/__init__.py`, one row each.
Fields are what the wire says: numbers are plain integers, reserved fields are kept, so that writing is exact.
Words (names of numbers, decoded data) are properties, computed when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from ipsecanalyze.errors import WireError

__all__ = ["Parser", "Payload", "Problems", "TreeLine", "numbered", "require"]

#: What a parser has to say about a payload that it could read: (slug, message, offset in the body).
Problems = list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class TreeLine:
    """A line of the tree of a message: a field with its value in words."""

    offset: int
    """Where the field begins, in octets from the start of the IKE message."""
    name: str
    value: str
    """Escaped: no control characters (`ike/text.py`)."""
    level: int
    """Indentation: 0 for a payload, 1 for its fields, more for what is inside."""


@dataclass(slots=True, kw_only=True)
class Payload:
    """The base of all payloads."""

    #: Short name in ladders and trees, as RFCs write it: "SA", "KE", "N", "TSi".
    label: ClassVar[str] = "?"
    #: The name in full.
    title: ClassVar[str] = "Unknown Payload"

    type: int
    """Payload type number (`PayloadType` of IKEv2 or IKEv1)."""
    critical: bool = field(default=False)
    """IKEv2's critical bit (RFC 7296 §2.5)."""
    reserved: int = field(default=0)
    """The seven bits behind the critical bit (IKEv1: all eight), kept for writing back."""
    offset: int = field(default=0, compare=False)
    """Where the payload's header begins, in octets from the start of the IKE message."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The label of this very payload, where a class serves several types ("IDi" and "IDr")."""
        return self.label

    @property
    def summary(self) -> str:
        """The payload in a few words for ladders: "KE[MODP_2048]"; escaped."""
        return self.name

    def lines(self, at: int) -> Iterator[TreeLine]:  # noqa: ARG002
        """The fields as tree lines from level 1 on; `at` is where the body begins."""
        return iter(())

    def describe(self) -> list[TreeLine]:
        """The payload as a tree: its head at level 0, then its fields."""
        head = f"{self.title}, type {self.type}, {4 + len(self.body())} octets"
        if self.critical:
            head += ", critical"
        return [TreeLine(self.offset, self.name, head, 0), *self.lines(self.offset + 4)]


#: Reads the body of one payload of the given type; raises WireError where fields and octets contradict each other.
Parser = Callable[[int, bytes, Problems], Payload]


def require(body: bytes, size: int, layer: str) -> None:
    """Raise WireError unless the body has the `size` octets that its fixed fields need."""
    if len(body) < size:
        raise WireError(f"{layer} needs {size} octets, {len(body)} are there", layer=layer, offset=len(body))


def numbered(member: IntEnum) -> str:
    """Name and number of a registry entry: "MODP_2048 (14)"."""
    return f"{member.name} ({member.value})"
