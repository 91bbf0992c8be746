"""What several documents use: warnings, algorithms, ICMP errors, spellings. See the package for the rules."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["AlgorithmEntry", "Count", "EspSpi", "IcmpErrorEntry", "IkeSpi", "WarningEntry"]

IkeSpi = str
"""16 hexadecimal digits."""
EspSpi = str
"""8 hexadecimal digits."""
Count = int
"""Not negative."""


class WarningEntry(TypedDict):
    """Something the reader of the result should know; the analysis went on."""

    slug: str
    """What kind of thing, from a fixed list."""
    frame: int | None
    """The frame it is about, counted from 1; null where it is about more."""
    offset: int | None
    """Octets from the start of the file, or of the packet or IKE message for warnings about a frame."""
    message: str
    """What it is, in words."""


class AlgorithmEntry(TypedDict):
    """An algorithm by its registry number."""

    type: str
    """"ENCR", "PRF", "INTEG", "KE", "ESN", "ADDKE1"…; IKEv1: "ENCR", "HASH", "AUTH", "KE", "PRF"."""
    id: Count
    """IANA's number in the registry of the version."""
    name: str
    """IANA's name."""
    key_length: Count | None
    """In bits, where the transform carries it."""


class IcmpErrorEntry(TypedDict):
    """An ICMP error about a packet."""

    frame: Count
    """The frame of the error."""
    description: str
    """What it says, in words."""
