"""The Security Association payload: proposals, transforms, attributes (RFC 7296 §3.3; RFC 2408 §3.4, RFC 2407 §4.6).

Proposals and what is in them are immutable, because the same bodies come again and again and are parsed once.
How a suite is worded is in `sa_text.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.payloads import sa_text
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, require
from ipsecanalyze.ike.text import hex_text

__all__ = ["Attribute", "Proposal", "SaPayload", "Transform", "parse_attributes", "parse_sa_v1", "parse_sa_v2"]

#: RFC 7296 §3.3.5; IKEv1: key length of phase 1 (RFC 2409 Appendix A) and of phase 2 (RFC 2407 §4.5).
_KEY_LENGTH_V2 = 14
_KEY_LENGTH_PHASE_1 = 14
_KEY_LENGTH_PHASE_2 = 6
_PROTOCOL_ISAKMP = 1
_DOI_ISAKMP, _DOI_IPSEC = 0, 1
#: SIT_SECRECY and SIT_INTEGRITY: labels stand between situation and proposals (RFC 2407 §4.6.1).
_LABELED_SITUATION = 0x06
#: The "last substructure" octet: what follows, or 0 (RFC 7296 §3.3.1; in IKEv1 the next payload field).
_MORE_PROPOSALS, _MORE_TRANSFORMS = 2, 3
#: Bodies up to this many octets are remembered once parsed; the cache stays below some ten megabytes.
_CACHED_OCTETS = 2048
_CACHED_BODIES = 256
#: Problems told of one payload: a lie is often repeated in each transform.
_TOLD_PROBLEMS = 8

_PROPOSAL = Struct(">BBHBBBB")
_TRANSFORM = Struct(">BBHBBH")
_ATTRIBUTE = Struct(">HH")
_SITUATION = Struct(">II")


@dataclass(frozen=True, slots=True)
class Attribute:
    """A data attribute (RFC 7296 §3.3.5, RFC 2408 §3.3)."""

    type: int
    """Without the format bit."""
    value: int | bytes
    """int for the short format (type/value), bytes for the long one (type/length/value)."""

    @property
    def number(self) -> int:
        """The value as a number, whatever its format."""
        return self.value if isinstance(self.value, int) else int.from_bytes(self.value[:16])

    def to_bytes(self) -> bytes:
        """The octets on the wire."""
        if isinstance(self.value, int):
            return _ATTRIBUTE.pack(0x8000 | self.type, self.value)
        return _ATTRIBUTE.pack(self.type, len(self.value)) + self.value

    @property
    def size(self) -> int:
        """Octets on the wire."""
        return 4 if isinstance(self.value, int) else 4 + len(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """One algorithm of a proposal (IKEv2), or a whole suite described by attributes (IKEv1)."""

    type: int = 0
    """`TransformType` number; 0 for IKEv1, whose transforms have no type."""
    number: int | None = None
    """IKEv1's transform number; None for IKEv2."""
    id: int
    """In the registry of the transform type; for IKEv1 of the proposal's protocol."""
    attributes: tuple[Attribute, ...] = ()
    protocol: int = 0
    """The protocol of the proposal that holds it: IKEv1's ids and attributes are named by it."""
    more: int | None = None
    """The first octet where it is not what the position calls for (0 for the last one, 3 otherwise)."""
    reserved: int = 0
    reserved2: int = 0

    @property
    def key_length(self) -> int | None:
        """In bits; None without a key length attribute."""
        if self.number is None:
            wanted = _KEY_LENGTH_V2
        else:
            wanted = _KEY_LENGTH_PHASE_1 if self.protocol == _PROTOCOL_ISAKMP else _KEY_LENGTH_PHASE_2
        for attribute in self.attributes:
            if attribute.type == wanted:
                return attribute.number
        return None

    @property
    def type_name(self) -> str:
        """The type in letters, "ENCR", "PRF" …; "" for IKEv1."""
        return sa_text.transform_type_name(self.type) if self.number is None else ""

    @property
    def name(self) -> str:
        """The registry's name of `id`, without key length: "ENCR_AES_CBC", IKEv1 "KEY_IKE", "ESP_AES"."""
        return sa_text.transform_name(self)

    @property
    def text(self) -> str:
        """The algorithm as people write it, "ENCR_AES_CBC-256"; for IKEv1 the whole suite."""
        return sa_text.transform_text(self)

    def to_bytes(self, *, last: bool) -> bytes:
        """The octets on the wire; `last` says whether another transform follows."""
        more = self.more if self.more is not None else 0 if last else _MORE_TRANSFORMS
        attributes = b"".join([attribute.to_bytes() for attribute in self.attributes])
        size = 8 + len(attributes)
        if self.number is None:
            return _TRANSFORM.pack(more, self.reserved, size, self.type, self.reserved2, self.id) + attributes
        return _TRANSFORM.pack(more, self.reserved, size, self.number, self.id, self.reserved2) + attributes

    @property
    def size(self) -> int:
        """Octets on the wire."""
        return 8 + sum(attribute.size for attribute in self.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A set of transforms for one protocol."""

    number: int
    protocol: int
    """`ProtocolId` number."""
    spi: bytes = b""
    transforms: tuple[Transform, ...] = ()
    more: int | None = None
    """The first octet where it is not what the position calls for (0 for the last one, 2 otherwise)."""
    reserved: int = 0
    declared_transforms: int | None = None
    """The number of transforms that the header claims, where it is not the number that is there."""

    @property
    def text(self) -> str:
        """The suite in one line; escaped."""
        return sa_text.proposal_text(self)

    def to_bytes(self, *, last: bool) -> bytes:
        """The octets on the wire; `last` says whether another proposal follows."""
        more = self.more if self.more is not None else 0 if last else _MORE_PROPOSALS
        count = len(self.transforms) if self.declared_transforms is None else self.declared_transforms
        final = len(self.transforms) - 1
        rest = self.spi + b"".join([t.to_bytes(last=index == final) for index, t in enumerate(self.transforms)])
        head = _PROPOSAL.pack(
            more, self.reserved, 8 + len(rest), self.number, self.protocol, len(self.spi), count & 0xFF
        )
        return head + rest

    @property
    def size(self) -> int:
        """Octets on the wire."""
        return 8 + len(self.spi) + sum(transform.size for transform in self.transforms)


@dataclass(slots=True, kw_only=True)
class SaPayload(Payload):
    """Security Association: what one side offers, or what the other took of it."""

    label: ClassVar[str] = "SA"
    title: ClassVar[str] = "Security Association"

    proposals: tuple[Proposal, ...] = ()
    doi: int | None = None
    """IKEv1's domain of interpretation; None for IKEv2."""
    situation: int | None = None
    """IKEv1's situation, where the DOI has one of 32 bits."""
    opaque: bytes = b""
    """IKEv1: all behind the DOI, where DOI or situation are not the plain IPsec ones."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        final = len(self.proposals) - 1
        body = b"".join([p.to_bytes(last=index == final) for index, p in enumerate(self.proposals)])
        if self.doi is None:
            return body
        if self.situation is None:
            return self.doi.to_bytes(4) + self.opaque
        return _SITUATION.pack(self.doi, self.situation) + self.opaque + body

    @property
    def summary(self) -> str:
        """As in "SA[ENCR_AES_CBC-256/…]": the first suites."""
        return f"SA[{sa_text.proposals_text(self.proposals)}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Proposals, their transforms and attributes."""
        if self.doi is not None:
            yield TreeLine(at, "DOI", sa_text.doi_text(self.doi), 1)
            at += 4
            if self.situation is not None:
                yield TreeLine(at, "situation", sa_text.situation_text(self.situation), 1)
                at += 4
            if self.opaque:
                yield TreeLine(at, "data", hex_text(self.opaque), 1)
        for proposal in self.proposals:
            yield from _proposal_lines(proposal, at)
            at += proposal.size


def _proposal_lines(proposal: Proposal, at: int) -> Iterator[TreeLine]:
    is_v1 = any(transform.number is not None for transform in proposal.transforms)
    protocol = sa_text.protocol_text(proposal.protocol, is_v1=is_v1)
    yield TreeLine(at, "proposal", f"{proposal.number}, {protocol}, {len(proposal.transforms)} transforms", 1)
    at += 8
    if proposal.spi:
        yield TreeLine(at, "SPI", proposal.spi.hex(), 2)
        at += len(proposal.spi)
    for transform in proposal.transforms:
        yield TreeLine(at, "transform", sa_text.transform_line(transform), 2)
        inner = at + 8
        for attribute in transform.attributes:
            name, value = sa_text.attribute_text(transform, attribute)
            yield TreeLine(inner, name, value, 3)
            inner += attribute.size
        at += transform.size


def parse_attributes(data: bytes, position: int, end: int) -> tuple[Attribute, ...]:
    """Read data attributes up to `end`; raises WireError where one does not fit."""
    found = []
    while position < end:
        if end - position < 4:
            raise WireError("attribute is cut short", layer="attribute", offset=position)
        kind, value = _ATTRIBUTE.unpack_from(data, position)
        position += 4
        if kind & 0x8000:
            found.append(Attribute(kind & 0x7FFF, value))
            continue
        if value > end - position:
            raise WireError("attribute is longer than what holds it", layer="attribute", offset=position - 2)
        found.append(Attribute(kind, data[position : position + value]))
        position += value
    return tuple(found)


def _tell(problems: Problems, slug: str, message: str, offset: int) -> None:
    if len(problems) < _TOLD_PROBLEMS:
        problems.append((slug, message, offset))


def _parse_transforms(
    data: bytes, position: int, end: int, protocol: int, is_v1: bool, problems: Problems
) -> tuple[Transform, ...]:
    found = []
    while position < end:
        if end - position < 8:
            raise WireError("transform is cut short", layer="transform", offset=position)
        more, reserved, size, third, fourth, fifth = _TRANSFORM.unpack_from(data, position)
        stop = position + size
        if size < 8 or stop > end:
            raise WireError(f"transform length {size} cannot be", layer="transform", offset=position + 2)
        regular: int | None = more
        if more == (_MORE_TRANSFORMS if stop < end else 0):
            regular = None
        else:
            _tell(problems, "last-substructure", f"transform begins with {more}", position)
        attributes = parse_attributes(data, position + 8, stop)
        if is_v1:
            transform = Transform(
                number=third,
                id=fourth,
                reserved2=fifth,
                attributes=attributes,
                protocol=protocol,
                more=regular,
                reserved=reserved,
            )
        else:
            transform = Transform(
                type=third,
                reserved2=fourth,
                id=fifth,
                attributes=attributes,
                protocol=protocol,
                more=regular,
                reserved=reserved,
            )
        found.append(transform)
        position = stop
    return tuple(found)


def _parse_proposals(data: bytes, is_v1: bool) -> tuple[tuple[Proposal, ...], Problems]:
    found = []
    problems: Problems = []
    position, end = 0, len(data)
    while position < end:
        if end - position < 8:
            raise WireError("proposal is cut short", layer="proposal", offset=position)
        more, reserved, size, number, protocol, spi_size, count = _PROPOSAL.unpack_from(data, position)
        stop = position + size
        if stop > end or size < 8 + spi_size:
            raise WireError(f"proposal length {size} cannot be", layer="proposal", offset=position + 2)
        regular: int | None = more
        if more == (_MORE_PROPOSALS if stop < end else 0):
            regular = None
        else:
            _tell(problems, "last-substructure", f"proposal begins with {more}", position)
        inner = position + 8 + spi_size
        transforms = _parse_transforms(data, inner, stop, protocol, is_v1, problems)
        declared = None
        if count != len(transforms):
            declared = count
            _tell(problems, "count-mismatch", f"{count} transforms announced, {len(transforms)} found", position + 7)
        found.append(
            Proposal(
                number=number,
                protocol=protocol,
                spi=data[position + 8 : inner],
                transforms=transforms,
                more=regular,
                reserved=reserved,
                declared_transforms=declared,
            )
        )
        position = stop
    return tuple(found), problems


_cached_proposals = lru_cache(maxsize=_CACHED_BODIES)(_parse_proposals)


def _proposals(data: bytes, is_v1: bool) -> tuple[tuple[Proposal, ...], Problems]:
    if len(data) <= _CACHED_OCTETS:
        return _cached_proposals(data, is_v1)
    return _parse_proposals(data, is_v1)


def parse_sa_v2(kind: int, body: bytes, problems: Problems) -> SaPayload:
    """Read an SA payload of IKEv2 (RFC 7296 §3.3)."""
    proposals, found = _proposals(body, False)
    if found:
        problems.extend(found)
    return SaPayload(type=kind, proposals=proposals)


def parse_sa_v1(kind: int, body: bytes, problems: Problems) -> SaPayload:
    """Read an SA payload of IKEv1 (RFC 2408 §3.4, RFC 2407 §4.6.1)."""
    require(body, 4, "SA payload")
    doi = int.from_bytes(body[:4])
    if doi not in (_DOI_ISAKMP, _DOI_IPSEC) or len(body) < 8:
        return SaPayload(type=kind, doi=doi, opaque=body[4:])
    situation = int.from_bytes(body[4:8])
    if situation & _LABELED_SITUATION:
        return SaPayload(type=kind, doi=doi, situation=situation, opaque=body[8:])
    try:
        proposals, found = _proposals(body[8:], True)
    except WireError as error:
        error.offset += 8
        raise
    problems.extend((slug, message, offset + 8) for slug, message, offset in found)
    return SaPayload(type=kind, doi=doi, situation=situation, proposals=proposals)
