"""What an IKE message says in the clear, sorted by what the tracker does with it.

There are two ways to it, as in `_fast/`: `read_clear` takes any message that was parsed, and `glance` the octets of a
plain one (IKEv2; offers, key exchanges, nonces, notifies and vendor IDs; nothing odd in the least), without making
objects of its payloads. Floods and concentrators send these by the hundred thousand. Both must give the same; tests
hold them equal. Nothing is concluded here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.header import HEADER_OCTETS
from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads import (
    KePayload,
    NatDetectionPayload,
    NoncePayload,
    NotifyPayload,
    Problems,
    Proposal,
    SaPayload,
    VendorIdPayload,
)
from ipsecanalyze.ike.payloads.sa import parse_sa_v2
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.fingerprint import VENDOR_ID_OCTETS, Part

__all__ = ["STATUS", "Clear", "glance", "read_clear"]

#: Notify types below are errors, in both versions (RFC 7296 §3.10.1, RFC 2408 §3.14.1).
STATUS = 16384

_COOKIE = int(ikev2.NotifyType.COOKIE)
_NAT_SOURCE = int(ikev2.NotifyType.NAT_DETECTION_SOURCE_IP)
_NAT_DESTINATION = int(ikev2.NotifyType.NAT_DETECTION_DESTINATION_IP)
_SA, _KE, _NONCE, _NOTIFY, _VENDOR_ID = 33, 34, 40, 41, 43
_PLAIN = frozenset((_SA, _KE, _NONCE, _NOTIFY, _VENDOR_ID))
#: Next payload, length; and of a Notify the size of its SPI and its type.
_GENERIC = Struct(">BxHxBH").unpack_from
#: Payloads of a message that is still plain.
_FEW = 64


@dataclass(slots=True)
class Clear:
    """The payloads of a message that matter, sorted; each in the order of the wire."""

    spis: bytes
    """The 16 octets that the message begins with."""
    look: list[Part] = field(default_factory=list)
    """All payloads, for the fingerprint."""
    notifies: list[tuple[int, bytes]] = field(default_factory=list)
    """(notify type, data)."""
    proposals: tuple[Proposal, ...] | None = None
    """Of the first SA payload; None without one."""
    offer: bytes = b""
    """The body of that SA payload, to know it again by."""
    groups: tuple[int, ...] = ()
    """IKEv2: the group of each KE payload."""
    vendor_ids: tuple[bytes, ...] = ()
    nonce_length: int | None = None
    """Of the last nonce, in octets."""
    nat_v1: tuple[bytes, ...] = ()
    """IKEv1's NAT detection hashes."""
    nat_sources: tuple[bytes, ...] = ()
    nat_destination: bytes | None = None
    has_error: bool = False
    has_cookie: bool = False

    def sort_notifies(self) -> None:
        """Find among the notifies those that mean something to the tracker."""
        for kind, data in self.notifies:
            if kind == _NAT_SOURCE:
                self.nat_sources += (data,)
            elif kind == _NAT_DESTINATION:
                self.nat_destination = data
            elif kind == _COOKIE:
                self.has_cookie = True
            elif kind < STATUS:
                self.has_error = True


def read_clear(message: IkeMessage, octets: bytes) -> Clear:
    """Sort the payloads of a message; `octets` are those that it was read from."""
    clear = Clear(octets[:16])
    look = clear.look
    for payload in message.payloads:
        kind: int = payload.type
        if isinstance(payload, NotifyPayload):
            look.append((kind, payload.notify_type))
            clear.notifies.append((payload.notify_type, payload.data))
        elif isinstance(payload, KePayload) and payload.group is not None:
            look.append((kind, payload.group))
            clear.groups += (payload.group,)
        elif isinstance(payload, VendorIdPayload):
            look.append((kind, payload.data[:VENDOR_ID_OCTETS]))
            clear.vendor_ids += (payload.data,)
        else:
            look.append(kind)
            if isinstance(payload, NoncePayload):
                clear.nonce_length = len(payload.data)
            elif isinstance(payload, NatDetectionPayload):
                clear.nat_v1 += (payload.data,)
            elif isinstance(payload, SaPayload) and clear.proposals is None:
                start = payload.offset
                clear.proposals = payload.proposals
                clear.offer = octets[start + 4 : start + int.from_bytes(octets[start + 2 : start + 4])]
    clear.sort_notifies()
    return clear


def glance(octets: bytes) -> Clear | None:
    """What a plain message says; None for every other one, which `parse_ike` and `read_clear` have to look at."""
    end = len(octets)
    if end < HEADER_OCTETS or octets[16] not in _PLAIN or octets[17] >> 4 != 2:
        return None
    if int.from_bytes(octets[24:28]) != end:
        return None
    look: list[Part] = []
    notifies: list[tuple[int, bytes]] = []
    clear = Clear(octets[:16], look, notifies)
    kind, position = octets[16], HEADER_OCTETS
    while kind:
        # No body is shorter than four octets where all is well.
        if end - position < 8 or len(look) >= _FEW:
            return None
        next_kind, length, size, number = _GENERIC(octets, position)
        body, following = position + 4, position + length
        if length < 8 or following > end:
            return None
        if kind == _NOTIFY:
            data = body + 4 + size
            if data > following:
                return None
            look.append((_NOTIFY, number))
            notifies.append((number, octets[data:following]))
        elif kind == _KE:
            group = octets[body] << 8 | size
            look.append((kind, group))
            clear.groups += (group,)
        elif kind == _VENDOR_ID:
            look.append((kind, octets[body : min(following, body + VENDOR_ID_OCTETS)]))
            clear.vendor_ids += (octets[body:following],)
        elif kind == _NONCE:
            look.append(kind)
            clear.nonce_length = length - 4
        elif kind == _SA:
            look.append(kind)
            if clear.proposals is not None or not _read_offer(clear, octets[body:following]):
                return None
        else:
            return None
        kind, position = next_kind, following
    if position != end:
        return None
    clear.sort_notifies()
    return clear


def _read_offer(clear: Clear, body: bytes) -> bool:
    """Take the body of an SA payload; whether there is nothing wrong with it."""
    problems: Problems = []
    try:
        payload = parse_sa_v2(_SA, body, problems)
    except WireError:
        return False
    clear.proposals, clear.offer = payload.proposals, body
    return not problems
