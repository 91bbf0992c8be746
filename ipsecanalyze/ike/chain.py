"""The chain of payloads: each generic header names the type of the next one (RFC 7296 §3.2, RFC 2408 §3.2).

Reads a chain, of a message or of what was inside an encrypted one, and writes it back. A loop, never recursion;
each octet is looked at once. What cannot be read becomes a notice and a payload that keeps its octets.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from ipsecanalyze.errors import Notice, WireError
from ipsecanalyze.ike.payloads import (
    PARSERS,
    EncryptedPayload,
    MalformedPayload,
    Parser,
    Payload,
    Problems,
    UnframedPayload,
)
from ipsecanalyze.ike.payloads.encrypted import parse_encrypted, parse_encrypted_fragment
from ipsecanalyze.ike.payloads.nat import parse_nat_detection
from ipsecanalyze.ike.payloads.raw import parse_raw
from ipsecanalyze.registry import ikev1, ikev2

__all__ = ["MAX_NOTICES", "MAX_PAYLOADS", "parse_payloads", "write_payloads"]

MAX_PAYLOADS = 1_000
"""Payloads that a chain may have; the rest is kept as octets, with a notice."""
MAX_NOTICES = 32
"""Notices that a chain may cause; the last one tells that there were more."""

_PARSERS: MappingProxyType[int, dict[int, Parser]] = MappingProxyType(
    {major: {kind: parser for (version, kind), parser in PARSERS.items() if version == major} for major in (1, 2)}
)
_SK, _SKF = 46, 53
#: Per version, the types that end a chain, as their next payload field tells what is inside; least lengths.
_ENCRYPTED: MappingProxyType[int, dict[int, int]] = MappingProxyType({1: {}, 2: {_SK: 4, _SKF: 8}})
#: draft-ietf-ipsec-nat-t-ike-00 had NAT-D at 15, which GDOI took later; in main and aggressive mode it is NAT-D.
_V1_PHASE_1_EXCHANGES = (2, 4)
_PARSERS_V1_PHASE_1 = {**_PARSERS[1], 15: parse_nat_detection}

Chain = tuple[tuple[Payload, ...], bytes, tuple[Notice, ...]]


def _type_name(major: int, kind: int) -> str:
    return (ikev1.PayloadType(kind) if major == 1 else ikev2.PayloadType(kind)).notation


class _Reader:
    """One pass over a chain; `shift` is what has to be added to positions to get offsets in the message."""

    __slots__ = ("cut", "data", "major", "notices", "payloads", "shift")

    def __init__(self, data: bytes, major: int, shift: int, cut: bool) -> None:
        self.data = data
        self.major = major
        self.shift = shift
        self.cut = cut
        self.payloads: list[Payload] = []
        self.notices: list[Notice] = []

    def note(self, slug: str, message: str, position: int) -> None:
        """Remember a notice, unless there are too many."""
        if len(self.notices) < MAX_NOTICES - 1:
            self.notices.append(Notice(slug, message, offset=position + self.shift))
        elif len(self.notices) == MAX_NOTICES - 1:
            self.notices.append(Notice("more-notices", "more notices about this message", offset=position + self.shift))

    def give_up(self, slug: str, reason: str, kind: int, position: int) -> None:
        """Keep everything from `position` on as one payload."""
        label = _type_name(self.major, kind)
        # A payload that a cut message ends in has no fault of its own.
        if not (self.cut and slug == "payload-overrun"):
            self.note(slug, f"payload {label}: {reason}", position)
        self.payloads.append(
            UnframedPayload(
                type=kind,
                data=self.data[position:],
                type_label=label,
                reason=reason,
                offset=position + self.shift,
            )
        )

    def malformed(self, kind: int, body: bytes, error: WireError, position: int) -> MalformedPayload:
        """The payload that stands for a body that contradicts itself."""
        label = _type_name(self.major, kind)
        self.note("malformed-payload", f"payload {label}: {error}", position + 4 + error.offset)
        return MalformedPayload(type=kind, data=body, type_label=label, reason=str(error))

    def stop(self, kind: int, position: int, length: int) -> int:
        """Deal with the payload that ends the chain, be it a sound one or not; returns where the trailing octets begin.

        `length` is the payload's own, 0 where not even its header is there.
        """
        data, left = self.data, len(self.data) - position
        least = _ENCRYPTED[self.major].get(kind)
        if least is not None and least <= min(length, left) and len(self.payloads) < MAX_PAYLOADS:
            return self.encrypted(kind, length, position)
        if left < 4:
            self.give_up("payload-overrun", f"{left} octets are left for it", kind, position)
        elif len(self.payloads) >= MAX_PAYLOADS:
            self.give_up("too-many-payloads", f"there are {MAX_PAYLOADS} before it", kind, position)
        elif length < 4:
            self.give_up("payload-length", f"length {length} is less than its header", kind, position)
        else:
            reason = f"length {length}, {left} octets are left" if length > left else f"length {length} is too short"
            self.give_up("payload-overrun" if length > left else "payload-length", reason, kind, position)
        return len(data)

    def encrypted(self, kind: int, length: int, position: int) -> int:
        """Take SK or SKF, the last payload of its chain, as far as it is there; returns where it ends."""
        data = self.data
        end = position + length
        missing = 0
        if end > len(data):
            missing, end = end - len(data), len(data)
            if not self.cut:
                self.note("payload-overrun", f"payload {_type_name(2, kind)}: {missing} octets are missing", position)
        problems: Problems = []
        payload = (parse_encrypted if kind == _SK else parse_encrypted_fragment)(
            kind, data[position + 4 : end], problems
        )
        payload.inner_type = data[position]
        payload.missing = missing
        if problems:
            self.tell(problems, position)
        payload.offset = position + self.shift
        if data[position + 1]:
            self.flag(payload, data[position + 1])
        self.payloads.append(payload)
        return end

    def tell(self, problems: Problems, position: int) -> None:
        """Turn what a parser had to say about the payload at `position` into notices."""
        for slug, message, at in problems:
            self.note(slug, message, position + 4 + at)
        problems.clear()

    def flag(self, payload: Payload, flags: int) -> None:
        """Set what the second octet of the generic header says."""
        payload.critical = self.major == 2 and flags >= 0x80
        payload.reserved = flags & 0x7F if self.major == 2 else flags


def parse_payloads(
    data: bytes,
    first_type: int,
    major: int,
    offset: int = 0,
    exchange_type: int | None = None,
    *,
    cut: bool = False,
) -> Chain:
    """Read a chain of payloads from the first octet of `data` on.

    `first_type` is the next payload field that announces it, `major` the version (1 or 2), `offset` where `data`
    begins in its message (offsets are told relative to the message). `cut` says that the capture cut the message, so
    that a payload that goes beyond it needs no notice of its own.

    Returns the payloads, the octets behind the last one, and notices. Never raises on any octets.
    """
    if first_type == _SK and major == 2 and data[1:4] == b"\0" + len(data).to_bytes(4)[2:] and len(data) < 1 << 16:
        # One SK payload and nothing else is what most messages of most captures are.
        lone = EncryptedPayload(type=_SK, data=data[4:], inner_type=data[0], offset=offset)
        return (lone,), b"", ()
    reader = _Reader(data, major, offset, cut)
    parsers = _PARSERS[major]
    if major == 1 and exchange_type in _V1_PHASE_1_EXCHANGES:
        parsers = _PARSERS_V1_PHASE_1
    last_types = _ENCRYPTED[major]
    payloads = reader.payloads
    problems: Problems = []
    kind, position, end = first_type, 0, len(data)
    while kind:
        left = end - position
        length = data[position + 2] << 8 | data[position + 3] if left >= 4 else 0
        if not 4 <= length <= left or kind in last_types or len(payloads) >= MAX_PAYLOADS:
            position = reader.stop(kind, position, length)
            break
        following = position + length
        body = data[position + 4 : following]
        try:
            payload = parsers.get(kind, parse_raw)(kind, body, problems)
        except WireError as error:
            payload = reader.malformed(kind, body, error, position)
            problems.clear()
        if problems:
            reader.tell(problems, position)
        payload.offset = position + offset
        if data[position + 1]:
            reader.flag(payload, data[position + 1])
        payloads.append(payload)
        kind = data[position]
        position = following
    return tuple(payloads), data[position:], tuple(reader.notices)


def write_payloads(payloads: Iterable[Payload]) -> bytes:
    """The octets of a chain; next payload fields follow from the order, lengths from the bodies."""
    chain = list(payloads)
    parts: list[bytes] = []
    for index, payload in enumerate(chain):
        if isinstance(payload, UnframedPayload):
            parts.append(payload.data)
            continue
        body = payload.body()
        length = 4 + len(body)
        if isinstance(payload, EncryptedPayload):
            following = payload.inner_type
            length += payload.missing
        else:
            following = chain[index + 1].type if index + 1 < len(chain) else 0
        flags = payload.reserved | (0x80 if payload.critical else 0)
        parts += (bytes((following, flags)), length.to_bytes(2), body)
    return b"".join(parts)
