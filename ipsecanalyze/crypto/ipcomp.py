"""What stands between ESP and the inner packet: IPComp's compression (RFC 3173) and BEET's header (RFC 7402 App. B).

Decompression is bounded by what an IP packet can hold.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ipsecanalyze.crypto.ciphers import Octets
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.registry.ikev2 import IpcompTransform

__all__ = ["BEET", "IPCOMP", "BeetHeader", "Decompressed", "decompress", "read_beet"]

IPCOMP, BEET = 108, 94
"""IP protocol numbers."""

_LIMIT = 65_535
_OUI, _DEFLATE = 1, 2
#: RFC 3173 §3.3: smaller CPIs are transforms by number, those from 256 on were negotiated.
_NEGOTIATED = 256


class Decompressed(NamedTuple):
    """A packet that IPComp had compressed."""

    next_header: int
    payload: bytes
    cpi: int
    """Compression Parameter Index."""


def decompress(packet: Octets, transform: int | None = None) -> Decompressed:
    """Decompress an IPComp packet, from the IPComp header on (RFC 3173 §3).

    `transform`: what was negotiated for its CPI (`IpcompTransform`; DEFLATE where nothing is known). A packet that
    compression would have made longer is sent without IPComp header, so it does not get here. Raises DecryptError.
    """
    if len(packet) < 4:
        raise DecryptError("an IPComp header has 4 octets", slug="too-short")
    cpi = packet[2] << 8 | packet[3]
    used = cpi if _OUI < cpi < _NEGOTIATED else transform or _DEFLATE
    if used != _DEFLATE:
        raise DecryptError(
            f"{IpcompTransform(used).name} is not supported: of IPComp only DEFLATE is undone", slug="unsupported"
        )
    inflater = zlib.decompressobj(-15)
    try:
        payload = inflater.decompress(packet[4:], _LIMIT)
    except zlib.error:
        raise DecryptError("what IPComp compressed cannot be read as DEFLATE", slug="malformed") from None
    if not inflater.eof:
        reason = (
            f"more than {_LIMIT} octets are compressed" if len(payload) == _LIMIT else "compressed octets are missing"
        )
        raise DecryptError(reason, slug="malformed")
    return Decompressed(packet[0], payload, cpi)


class BeetHeader(NamedTuple):
    """The header that BEET mode puts in front of a payload whose IPv4 header had options (RFC 7402 Appendix B)."""

    next_header: int
    options: Octets
    """The options of the inner IPv4 header."""
    payload: Octets


def read_beet(packet: Octets) -> BeetHeader:
    """Read next header 94: header length, padding, options. Raises DecryptError."""
    if len(packet) < 8:
        raise DecryptError("a BEET header has 8 octets", slug="too-short")
    start = 4 + packet[2]
    end = 8 * packet[1] + 8
    if start > end or end > len(packet):
        raise DecryptError("the BEET header is longer than what holds it", slug="malformed")
    return BeetHeader(packet[0], packet[start:end], packet[end:])
