"""Payloads whose octets are kept as they are: unknown and private types, malformed ones, and those only framed.

Nothing is interpreted here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine
from ipsecanalyze.ike.text import escape, hex_text

__all__ = [
    "FRAMED_V1",
    "FRAMED_V2",
    "FramedPayload",
    "GsaPayload",
    "GspmPayload",
    "KdPayload",
    "MalformedPayload",
    "PuzzleSolutionPayload",
    "RawPayload",
    "UnframedPayload",
    "parse_framed",
    "parse_raw",
]


@dataclass(slots=True, kw_only=True)
class RawPayload(Payload):
    """A payload of a type that is unknown or private: framed by its header, its octets untouched."""

    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.data

    @property
    def name(self) -> str:
        """The label with the number, as there is no name."""
        return self.label if self.label != "?" else f"?{self.type}"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The octets in hex."""
        if self.data:
            yield TreeLine(at, "data", hex_text(self.data), 1)


@dataclass(slots=True, kw_only=True)
class MalformedPayload(RawPayload):
    """A payload of a known type whose body contradicts itself; its frame is sound, so the chain goes on behind it."""

    title: ClassVar[str] = "Malformed Payload"

    type_label: str = ""
    """What it would have been: "SA", "KE"."""
    reason: str = ""

    @property
    def name(self) -> str:
        """What it would have been."""
        return self.type_label or f"?{self.type}"

    @property
    def summary(self) -> str:
        """The payload in a few words."""
        return f"{self.name}(malformed)"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The reason and the octets."""
        yield TreeLine(at, "malformed", escape(self.reason), 1)
        if self.data:
            yield TreeLine(at, "data", hex_text(self.data), 1)


@dataclass(slots=True, kw_only=True)
class UnframedPayload(MalformedPayload):
    """Where a chain of payloads cannot be followed: all octets from the header of this payload on.

    The capture cut the message, the payload's length is less than its own header or more than what is left, or there
    are too many payloads. `type` is what the header before announced.
    """

    title: ClassVar[str] = "Incomplete Payload"

    @property
    def summary(self) -> str:
        """The payload in a few words."""
        return f"{self.name}(incomplete)"

    def describe(self) -> list[TreeLine]:
        """The payload as a tree."""
        head = f"{self.title}, type {self.type}, {len(self.data)} octets are there"
        return [TreeLine(self.offset, self.name, head, 0), *self.lines(self.offset)]


@dataclass(slots=True, kw_only=True)
class FramedPayload(RawPayload):
    """A payload of a known type whose inside is of no concern here: GDOI's (RFC 6407 §5), by default."""

    title: ClassVar[str] = "GDOI Payload"

    @property
    def name(self) -> str:
        """The label from the table of framed types."""
        return _FRAMED_LABELS.get(self.type, self.label)


@dataclass(slots=True, kw_only=True)
class GspmPayload(FramedPayload):
    """Generic Secure Password Method (RFC 6467 §4)."""

    label: ClassVar[str] = "GSPM"
    title: ClassVar[str] = "Generic Secure Password Method"


@dataclass(slots=True, kw_only=True)
class GsaPayload(FramedPayload):
    """Group Security Association (RFC 9838 §4.4)."""

    label: ClassVar[str] = "GSA"
    title: ClassVar[str] = "Group Security Association"


@dataclass(slots=True, kw_only=True)
class KdPayload(FramedPayload):
    """Key Download of IKEv2 groups (RFC 9838 §4.5) and of GDOI (RFC 6407 §5.6)."""

    label: ClassVar[str] = "KD"
    title: ClassVar[str] = "Key Download"


@dataclass(slots=True, kw_only=True)
class PuzzleSolutionPayload(FramedPayload):
    """Puzzle Solution (RFC 8019 §8.2): the keys that solve the responder's puzzle."""

    label: ClassVar[str] = "PS"
    title: ClassVar[str] = "Puzzle Solution"


#: IKEv2 payload type → class.
FRAMED_V2: dict[int, type[FramedPayload]] = {
    49: GspmPayload,
    51: GsaPayload,
    52: KdPayload,
    54: PuzzleSolutionPayload,
}
#: IKEv1 payload type → class; GDOI (RFC 6407 §5) but for its identity and NAT payloads.
FRAMED_V1: dict[int, type[FramedPayload]] = {
    15: FramedPayload,
    16: FramedPayload,
    17: KdPayload,
    18: FramedPayload,
    19: FramedPayload,
    22: FramedPayload,
}
_FRAMED_LABELS = {15: "SAK", 16: "SAT", 18: "SEQ", 19: "POP", 22: "GAP"}


def parse_framed(kind: int, body: bytes, problems: Problems) -> FramedPayload:
    """Keep the body of a payload from `FRAMED_V1` or `FRAMED_V2`; never raises WireError but for other types."""
    del problems
    found = FRAMED_V2.get(kind) or FRAMED_V1.get(kind)
    if found is None:
        raise WireError(f"payload type {kind} is not one of those that are only framed", layer="payload", offset=0)
    return found(type=kind, data=body)


def parse_raw(kind: int, body: bytes, problems: Problems) -> RawPayload:
    """Keep the body of a payload of a type that is unknown or private; never raises."""
    del problems
    return RawPayload(type=kind, data=body)
