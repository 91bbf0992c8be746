"""How the octets behind the ESP header go from packet to packet.

Modes that need unique IVs count: Linux and strongSwan give IV = salt ⊕ sequence number, with a salt of the SA (seqiv,
RFC 4106 §3.1), others a counter that begins anywhere. CBC wants unpredictable ones (RFC 3602 §3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from ipsecanalyze.findings.inference.samples import Sample

__all__ = ["distinct", "iv_looks", "steady_octets"]

#: So many of the eight octets stay the same in a counter of some tens of packets.
_STEADY: Final = 4


def distinct(samples: Sequence[Sample]) -> list[Sample]:
    """The samples without duplicates: what was sent twice says nothing new."""
    return list({(sample.sequence, sample.head[8:24]): sample for sample in samples}.values())


def iv_looks(samples: Sequence[Sample]) -> Literal["sequential", "random"] | None:
    """Whether the first eight octets count; None where the samples are too few to say."""
    pairs = [(int.from_bytes(one.head[8:16]), one.sequence) for one in samples if len(one.head) >= 16]
    if not pairs:
        return None
    if len(pairs) == 1:
        # A counter without a salt; anything else has four such octets once in 2^32.
        return "sequential" if pairs[0][0] < 1 << 32 else None
    salts = {value ^ sequence for value, sequence in pairs}
    offsets = {value - sequence & (1 << 64) - 1 for value, sequence in pairs}
    if len(salts) == 1 or len(offsets) == 1:
        return "sequential"
    if len(pairs) > 2 and len(steady_octets(samples, 8, 16)) >= _STEADY:
        return "sequential"
    return "random"


def steady_octets(samples: Sequence[Sample], start: int, end: int) -> list[int]:
    """The places between `start` and `end` at which all packets have the same octet."""
    heads = [one.head for one in samples]
    end = min(end, *map(len, heads)) if heads else start
    return [at for at in range(start, end) if all(head[at] == heads[0][at] for head in heads)]
