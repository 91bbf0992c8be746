"""What a UDP payload is: IKE, ESP in UDP, a NAT keepalive, or none of these.

Ports 500 and 4500 decide (one of the two is enough, a NAT may have changed the other); on other ports a conversation
that was recognised before, or the strict look of an IKE header. No packet is built here. Sources: RFC 3947, RFC 3948,
RFC 7296 §2.23 and §3.1, RFC 2408 §3.1.
"""

from __future__ import annotations

from typing import Final

from ipsecanalyze.capture.conversations import Conversations, Endpoint
from ipsecanalyze.capture.packet import DatagramKind, Encapsulation

__all__ = ["IKE_PORT", "NAT_T_PORT", "OTHER_SERVICES", "Verdict", "classify_udp", "looks_like_ike"]

IKE_PORT: Final = 500
NAT_T_PORT: Final = 4500
NON_ESP_MARKER: Final = b"\0\0\0\0"
#: A client's random port may be 500 or 4500: towards these services only an IKE header counts.
OTHER_SERVICES: Final = frozenset((53, 67, 68, 69, 123, 137, 138, 161, 162, 443, 514, 1812, 1813, 1900, 5353))
_V1_EXCHANGES: Final = frozenset((1, 2, 4, 5, 6, 32, 33, 34))
_V2_EXCHANGES: Final = frozenset((34, 35, 36, 37, 38, 39, 40, 41, 43, 44))
_V1_PAYLOADS: Final = frozenset((*range(1, 17), 20, 21, 130, 131, 132))
_V2_PAYLOADS: Final = frozenset(range(33, 55))

Verdict = tuple[DatagramKind, int, Encapsulation, bool]
"""(kind, octets of the payload to take off, encapsulation, inferred)."""

_KEEPALIVE: Final[Verdict] = (DatagramKind.KEEPALIVE, 0, Encapsulation.UDP, False)
_IKE: Final[Verdict] = (DatagramKind.IKE, 0, Encapsulation.NONE, False)
_IKE_MARKED: Final[Verdict] = (DatagramKind.IKE, 4, Encapsulation.UDP, False)
_ESP: Final[Verdict] = (DatagramKind.ESP, 0, Encapsulation.UDP, False)


def _inferred(verdict: Verdict) -> Verdict:
    return (*verdict[:3], True)


def looks_like_ike(data: bytes, start: int, end: int, length: int) -> bool:
    """Whether `data[start:end]` is strictly an IKE message of `length` octets on the wire.

    Version 1.0 or 2.x, a known exchange type and first payload, no unknown flag, a length field that says exactly
    `length`, an initiator SPI that is not zero, a responder SPI where the exchange has one, a first payload inside.
    """
    if end - start < 28 or length < 28 or data[start + 17] not in _IKE_VERSIONS:
        return False
    if int.from_bytes(data[start + 24 : start + 28]) != length or data[start : start + 8] == bytes(8):
        return False
    next_payload, version, exchange, flags = data[start + 16 : start + 20]
    has_responder = data[start + 8 : start + 16] != bytes(8)
    if version == 0x10:
        if exchange not in _V1_EXCHANGES or next_payload not in _V1_PAYLOADS or flags & 0xF8:
            return False
        if not has_responder and exchange not in (1, 2, 4, 5):
            return False
        if flags & 1:  # encrypted: the payload header cannot be read
            return True
    else:
        if exchange not in _V2_EXCHANGES or next_payload not in _V2_PAYLOADS or flags & 0xC7:
            return False
        if not has_responder and exchange not in (34, 38):
            return False
    if end - start < 32:
        return length >= 32
    return 4 <= int.from_bytes(data[start + 30 : start + 32]) <= length - 28


_IKE_VERSIONS: Final = frozenset((0x10, *range(0x20, 0x30)))


def classify_udp(
    source: Endpoint, destination: Endpoint, data: bytes, start: int, end: int, length: int, known: Conversations
) -> Verdict | None:
    """Judge the UDP payload `data[start:end]` (`length` octets on the wire); None where it is no IPsec.

    Remembers in `known` what it learns about the conversation.
    """
    ports = (source[1], destination[1])
    if NAT_T_PORT in ports or IKE_PORT in ports:
        if not OTHER_SERVICES.isdisjoint(ports):
            return _by_looks(source, destination, data, start, end, length, known)
        verdict = (
            _nat_traversal(data, start, end, length) if NAT_T_PORT in ports else _ike_port(data, start, end, length)
        )
        if verdict is not None and verdict[0] is DatagramKind.IKE:
            known.remember_spi(data[start + verdict[1] : start + verdict[1] + 8])
        return verdict
    return _by_looks(source, destination, data, start, end, length, known)


def _ike_port(data: bytes, start: int, end: int, length: int) -> Verdict | None:
    """Port 500: IKE, without a marker unless somebody put one there."""
    if length == 0:
        return None
    if length == 1 and data[start:end] == b"\xff":
        return _KEEPALIVE
    if data[start : start + 4] == NON_ESP_MARKER and looks_like_ike(data, start + 4, end, length - 4):
        return _IKE_MARKED
    return _IKE


def _nat_traversal(data: bytes, start: int, end: int, length: int) -> Verdict | None:
    """Port 4500 (RFC 3948 §2): marker and IKE, one octet of ones, or ESP."""
    if data[start : min(start + 4, end)] == NON_ESP_MARKER:
        return _IKE_MARKED
    if length < 8:
        return _KEEPALIVE if length == 1 and data[start:end] == b"\xff" else None
    # Some implementations forget the marker; ESP cannot look like this but by a chance of 1 : 2^50.
    if end - start > 28 and data[start + 17] in _IKE_VERSIONS and looks_like_ike(data, start, end, length):
        return _inferred(_IKE)
    return _ESP


def _by_looks(
    source: Endpoint, destination: Endpoint, data: bytes, start: int, end: int, length: int, known: Conversations
) -> Verdict | None:
    """Ports that say nothing: a conversation that is known, or the strict look of IKE."""
    marked = data[start : start + 4] == NON_ESP_MARKER
    skip = 4 if marked else 0
    if looks_like_ike(data, start + skip, end, length - skip):
        spi = data[start + skip : start + skip + 8]
        known.remember(source, destination, nat_traversal=marked)
        verdict = _IKE_MARKED if marked else _IKE
        return verdict if known.knows_spi(spi) else _inferred(verdict)
    nat_traversal = known.get(source, destination)
    if not nat_traversal:
        return None
    if marked:
        return _inferred(_IKE_MARKED)
    if length == 1 and data[start:end] == b"\xff":
        return _inferred(_KEEPALIVE)
    # SPIs up to 255 are reserved (RFC 4303 §2.1): something else shares the ports.
    if length >= 8 and data[start : start + 3] != b"\0\0\0":
        return _inferred(_ESP)
    return None
