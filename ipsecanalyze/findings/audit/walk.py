"""The public values and nonces in the clear of an IKE message, without parsing the rest of it.

A capture can hold hundreds of thousands of IKE_SA_INITs; `IkeMessage` takes thirty microseconds each, this takes two.
Only payload types, lengths and octets are read here (RFC 7296 §3.2, RFC 2408 §3.2); what does not fit is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ipsecanalyze.ike.payloads import KePayload, NoncePayload
from ipsecanalyze.sa.records import IkeSa, MessageRecord

__all__ = ["Values", "clear_payloads", "encrypted_octets", "is_same_message", "values_of"]

_HEADER: Final = 28
_PAYLOADS: Final = 64
#: How long a message may be sent again.
_AGAIN_NS: Final = 600_000_000_000
#: Payload types of (KE, Nonce), by major version.
_TYPES: Final = {1: (4, 10), 2: (34, 40)}
_SK, _SKF = 46, 53
_V1_ENCRYPTED: Final = 0x01


class Values(NamedTuple):
    """What one message mixes into keys."""

    record: MessageRecord
    sa: IkeSa
    publics: tuple[tuple[int | None, bytes], ...]
    """(group, value) of each KE payload; the group is None where nothing tells it."""
    nonces: tuple[bytes, ...]


def values_of(messages: Iterable[MessageRecord]) -> Iterator[Values]:
    """Of all messages with such payloads, in order, retransmissions and cut messages left out."""
    for record in messages:
        sa = record.ike_sa
        if sa is None or record.retransmission_of is not None or record.datagram.truncated:
            continue
        publics, nonces = [], []
        for kind, body in clear_payloads(record.datagram.payload):
            if kind in (4, 34):
                publics.append((int.from_bytes(body[:2]), body[4:]) if kind == 34 else (_group_v1(sa), body))
            else:
                nonces.append(body)
        for payload in record.opened or ():
            if isinstance(payload, KePayload):
                # That of a Quick Mode is not told by the payload.
                publics.append((payload.group, payload.data))
            elif isinstance(payload, NoncePayload):
                nonces.append(payload.data)
        if publics or nonces:
            yield Values(record, sa, tuple(publics), tuple(nonces))


def is_same_message(one: MessageRecord, other: MessageRecord) -> bool:
    """Whether a message is another one that came again: sent again to a responder that answers with another SPI, or
    captured in front of a NAT and behind it. Later ones are no retransmissions.
    """
    first, second = one.datagram, other.datagram
    return first.payload == second.payload and abs(first.time_ns - second.time_ns) <= _AGAIN_NS


def _group_v1(sa: IkeSa) -> int | None:
    suite = sa.chosen or (sa.offered[0] if sa.offered else [])
    return next((algorithm.id for algorithm in suite if algorithm.type == "KE"), None)


def clear_payloads(octets: bytes, wanted: tuple[int, ...] | None = None) -> Iterator[tuple[int, bytes]]:
    """(type, body) of the payloads of these types that stand in the clear: those of KE and Nonce, if none are named."""
    if len(octets) < _HEADER:
        return
    major = octets[17] >> 4
    if major not in _TYPES or (major == 1 and octets[19] & _V1_ENCRYPTED):
        return
    wanted = wanted or _TYPES[major]
    kind, position, end = octets[16], _HEADER, len(octets)
    for _ in range(_PAYLOADS):
        if not kind or position + 4 > end:
            return
        length = octets[position + 2] << 8 | octets[position + 3]
        if length < 4 or position + length > end:
            return
        if kind in wanted:
            yield kind, octets[position + 4 : position + length]
        kind, position = octets[position], position + length


def encrypted_octets(octets: bytes) -> bytes | None:
    """What an IKEv2 message's SK or SKF payload holds, from the IV on; None without one."""
    if len(octets) < _HEADER or octets[17] >> 4 != 2:
        return None
    kind, position = octets[16], _HEADER
    for _ in range(_PAYLOADS):
        if not kind or position + 4 > len(octets):
            return None
        length = octets[position + 2] << 8 | octets[position + 3]
        if kind in (_SK, _SKF):
            start = position + (4 if kind == _SK else 8)
            return octets[start : position + length] if position + length <= len(octets) else None
        if length < 4:
            return None
        kind, position = octets[position], position + length
    return None
