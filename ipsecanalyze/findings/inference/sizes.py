"""How likely lengths are, given a format: which packets inside would make them.

IP traffic has lengths of its own: acknowledgements of TCP without data, its first segments, pings, full segments. A
format takes these to lengths on the wire, so the right one explains what was seen better than one whose ICV is 16
octets longer. The shares below are round figures about traffic in general, not measurements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import log
from typing import Final, Literal

from ipsecanalyze.findings.inference.formats import Format

__all__ = ["INSIDES", "Inside", "log_likelihood"]

#: Longer packets inside are all alike.
_MOST: Final = 1_520
#: What there is for a length that the model knows nothing of.
_FLOOR: Final = 1e-6

#: Octets of an IPv4 packet → share among the different lengths of a flow. TCP without data: 40, with time stamps 52
#: (RFC 7323 Appendix A), with one or two SACK blocks 64 and 72 (RFC 2018 §3); its SYN: 52 (Windows), 60 (Linux), 64
#: (macOS, BSD); ping: 84 (Unix), 60 (Windows).
_LENGTHS: Final = {40: 0.08, 52: 0.10, 60: 0.06, 64: 0.04, 72: 0.02, 80: 0.01, 84: 0.06}
#: (from, to, share): anything; what is small; full segments below the usual MTUs.
_RANGES: Final = ((20, _MOST, 0.38), (28, 260, 0.15), (1_280, 1_500, 0.10))


@dataclass(frozen=True, slots=True)
class Inside:
    """What the protected part holds."""

    mode: Literal["tunnel", "transport"]
    offset: int
    """Its octets as against IPv4 packets in tunnel mode."""
    prior: float


#: Tunnel mode with IPv4 or IPv6 inside; transport mode; transport mode with GRE in it (RFC 2784), which is a tunnel
#: to who looks at lengths only.
INSIDES: Final = (
    Inside("tunnel", 0, 0.78),
    Inside("tunnel", 20, 0.06),
    Inside("transport", -20, 0.14),
    Inside("transport", 4, 0.02),
)


def _shares(offset: int) -> Iterator[tuple[int, float]]:
    for length, share in _LENGTHS.items():
        yield length + offset, share
    for least, most, share in _RANGES:
        for length in range(least, most + 1):
            yield min(length + offset, _MOST), share / (most + 1 - least)


@cache
def _table(offset: int, block: int) -> tuple[float, ...]:
    """By (octets of the protected part) // block the logarithm of how likely it is; the last is for all beyond."""
    shares = [_FLOOR * block] * (_MOST // block + 3)
    for length, share in _shares(offset):
        # Padding, its length and the next header make it whole (RFC 4303 §2.4); nobody pads more without a reason.
        shares[-(-(length + 2) // block)] += share
    return tuple(map(log, shares))


def log_likelihood(lengths: Mapping[int, float], form: Format, inside: Inside) -> float:
    """The logarithm of how likely lengths are (each with its weight), from the ESP header to the end of the packet."""
    table, block, start = _table(inside.offset, form.block), form.block, 8 + form.iv + form.icv
    last = len(table) - 1
    total = 0.0
    for length, weight in lengths.items():
        blocks, rest = divmod(length - start, block)
        # What does not fit at all is judged by all packets' residues, not here.
        total += weight * (log(_FLOOR) if rest or blocks < 1 else table[min(blocks, last)])
    return total
