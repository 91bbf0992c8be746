"""IKEv1's NAT payloads: NAT-D and NAT-OA (RFC 3947 §3.2 and §5.2, and the drafts' private numbers)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.payloads.identification import address_text
from ipsecanalyze.ike.text import hex_text
from ipsecanalyze.registry.ikev1 import IdType

__all__ = ["NatDetectionPayload", "NatOriginalAddressPayload", "parse_nat_detection", "parse_nat_original_address"]


@dataclass(slots=True, kw_only=True)
class NatDetectionPayload(Payload):
    """NAT-D: HASH(CKY-I | CKY-R | IP | Port); the first one is of the receiver's address as the sender sees it."""

    label: ClassVar[str] = "NAT-D"
    title: ClassVar[str] = "NAT Discovery"

    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.data

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The hash."""
        yield TreeLine(at, "hash", hex_text(self.data), 1)


@dataclass(slots=True, kw_only=True)
class NatOriginalAddressPayload(Payload):
    """NAT-OA: an address as it was before the NAT changed it."""

    label: ClassVar[str] = "NAT-OA"
    title: ClassVar[str] = "NAT Original Address"

    id_type: int
    """`IdType` number: an IPv4 or IPv6 address."""
    reserved_field: int = 0
    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return bytes((self.id_type,)) + self.reserved_field.to_bytes(3) + self.data

    @property
    def text(self) -> str:
        """The address, or hex digits where its length is wrong."""
        return address_text(self.data)

    @property
    def summary(self) -> str:
        """As in "NAT-OA[10.1.0.10]"."""
        return f"NAT-OA[{self.text}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Type and address."""
        yield TreeLine(at, "ID type", numbered(IdType(self.id_type)), 1)
        yield TreeLine(at + 4, "address", self.text, 1)


def parse_nat_detection(kind: int, body: bytes, problems: Problems) -> NatDetectionPayload:
    """Read a NAT-D payload: its length is that of the negotiated hash."""
    del problems
    return NatDetectionPayload(type=kind, data=body)


def parse_nat_original_address(kind: int, body: bytes, problems: Problems) -> NatOriginalAddressPayload:
    """Read a NAT-OA payload."""
    del problems
    require(body, 4, "NAT-OA payload")
    return NatOriginalAddressPayload(
        type=kind, id_type=body[0], reserved_field=int.from_bytes(body[1:4]), data=body[4:]
    )
