"""Whether contents can be read: the heuristics of RFC 5879 for NULL encryption, with a count of their evidence.

For each place where contents may begin (behind the ESP header, or behind GMAC's IV) and each length of ICV, packets
are read as if they were in the clear. What fits counts in bits: how seldom ciphertext would fit as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Final

from ipsecanalyze.findings.inference.formats import FORMATS, Format
from ipsecanalyze.findings.inference.iv import steady_octets
from ipsecanalyze.findings.inference.samples import Sample

__all__ = ["Reading", "is_structured", "read_clear"]

#: Evidence from which on there is no doubt: ciphertext would pass once in 2^40 flows.
_ENOUGH: Final = 40.0
#: What a packet that cannot be read so takes away: some are anything, as dummies (RFC 4303 §2.6) are.
_MISFIT: Final = -12.0
#: Next headers that are met inside of ESP (IANA's protocol numbers).
_IPV4, _IPV6, _DUMMY = 4, 41, 59
_ICMP, _TCP, _UDP, _GRE, _IPCOMP, _ICMPV6 = 1, 6, 17, 47, 108, 58
_KNOWN: Final = frozenset({_ICMP, 2, _TCP, _UDP, _GRE, 50, 51, _ICMPV6, 88, 89, 97, 103, _IPCOMP, 112, 115, 132})
_BITS_KNOWN: Final = 8 - log2(len(_KNOWN))
#: Behind the contents of unknown protocols, so many places that never change speak for headers.
_PLACES: Final = 40


@dataclass(frozen=True, slots=True)
class Reading:
    """A format in which the contents can be read."""

    form: Format
    bits: float
    """The evidence."""
    frames: tuple[int, ...]
    """Of the packets that were read, those in the capture of the first."""
    is_tunnel: bool
    """Whether IP packets were inside."""


def read_clear(samples: Sequence[Sample]) -> list[Reading]:
    """The formats in which the samples can be read beyond doubt, the best first; empty where they are encrypted."""
    found = []
    for form in FORMATS:
        if form.is_clear:
            reading = _read_as(samples, form)
            if reading is not None:
                found.append(reading)
    return sorted(found, key=lambda one: -one.bits)


def is_structured(samples: Sequence[Sample]) -> bool:
    """Whether octets behind any IV repeat at the same places in packet after packet, which ciphertext does not."""
    if len(samples) < 3:
        return False
    places = len(steady_octets(samples, 24, 24 + _PLACES))
    return places * 8 * (len(samples) - 1) - places * log2(_PLACES) > _ENOUGH


def _read_as(samples: Sequence[Sample], form: Format) -> Reading | None:
    bits, readable, tunnels, start = 0.0, 0, 0, 8 + form.iv
    frames: list[int] = []
    for number, sample in enumerate(samples):
        content = sample.head[start:]
        room = sample.length - start - form.icv
        trailer = sample.tail[: len(sample.tail) - form.icv] if sample.tail else b""
        evidence = _packet(content, room, trailer) if room >= 4 and room % 4 == 0 else _MISFIT
        bits += evidence
        if evidence > 0:
            readable += 1
            if sample.capture == samples[0].capture:
                frames.append(sample.frame)
            tunnels += content[0] >> 4 in (4, 6) and _inner_ip(content, room) > 0
        if number == 7 and bits < 0:
            return None
    if bits < _ENOUGH or 2 * readable < len(samples):
        return None
    return Reading(form, bits, tuple(frames), 2 * tunnels > readable)


def _packet(content: bytes, room: int, trailer: bytes) -> float:
    """Bits that speak for contents in the clear, `room` octets with padding, its length and the next header."""
    inner = _inner_ip(content, room)
    if not trailer:
        return inner if inner > 0 else _MISFIT
    pad_length, next_header = trailer[-2], trailer[-1]
    size = room - 2 - pad_length
    padding = trailer[-2 - pad_length : -2] if pad_length else b""
    if size < 0 or padding != bytes(range(1, pad_length + 1))[-len(padding) :]:
        return _MISFIT
    bits = 6.0 + 8 * min(len(padding), 8)  # of 256 lengths of padding, few are short
    if next_header in (_IPV4, _IPV6):
        return bits + 8 + inner if inner > 0 and (content[0] >> 4 == 4) == (next_header == _IPV4) else _MISFIT
    if next_header == _DUMMY:
        return 0.0
    if next_header not in _KNOWN:
        return _MISFIT
    transport = _transport(next_header, content, size)
    return _MISFIT if transport < 0 else bits + _BITS_KNOWN + transport


def _inner_ip(content: bytes, room: int) -> float:
    """Bits that speak for an IP packet; negative where it is none."""
    if len(content) < 20:
        return _MISFIT
    if content[0] >> 4 == 4:
        header, total = (content[0] & 15) * 4, int.from_bytes(content[2:4])
        if header < 20 or not header <= total <= room - 2:
            return _MISFIT
        bits = 4.0 + (3 if header == 20 else 0)
        if len(content) >= header:
            if not _sums_up(content[:header]):
                return _MISFIT
            bits += 16
    elif content[0] >> 4 == 6:
        total = 40 + int.from_bytes(content[4:6])
        if total > room - 2 or content[6] not in {*_KNOWN, 0, 43, 44, 60, _DUMMY, _IPV4, _IPV6}:
            return _MISFIT
        bits = 4.0 + 3
    else:
        return _MISFIT
    # As long as it says, with the least padding; or longer by traffic flow confidentiality (RFC 4303 §2.7).
    return bits + (14 if room - 2 - total < 4 else 2)


def _transport(protocol: int, content: bytes, size: int) -> float:
    """Bits that speak for a transport header of that protocol; negative where it is none."""
    if size > 0 and len(content) < min(size, 8):
        return 0.0  # cut: nothing to judge
    if protocol == _TCP:
        offset = (content[12] >> 4) * 4 if len(content) > 13 else 0
        return 3.0 + 3 if 20 <= offset <= size and not content[12] & 0x0E else _MISFIT
    if protocol == _UDP:
        return 16.0 if size >= 8 and int.from_bytes(content[4:6]) == size else _MISFIT
    if protocol == _ICMP:
        return 7.0 if size >= 8 and content[0] in (0, 3, 5, 8, 11) and content[1] < 16 else _MISFIT
    if protocol == _ICMPV6:
        return 6.0 if size >= 8 and content[0] in (1, 2, 3, 4, *range(128, 138), 143) and content[1] < 8 else _MISFIT
    if protocol == _GRE:
        return 20.0 if size >= 4 and content[2:4] in (b"\x08\x00", b"\x86\xdd", b"\x65\x58") else _MISFIT
    if protocol == _IPCOMP:
        return 14.0 if size >= 4 and content[1] == 0 and content[2] == 0 else _MISFIT
    return 0.0


def _sums_up(header: bytes) -> bool:
    """Whether the checksum of an IPv4 header is right (RFC 1071)."""
    total = sum(int.from_bytes(header[at : at + 2]) for at in range(0, len(header), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF
