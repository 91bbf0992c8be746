"""The Vendor ID payload: what the sender says it is or can (RFC 7296 §3.12, RFC 2408 §3.16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine
from ipsecanalyze.ike.text import hex_text
from ipsecanalyze.registry.vendor_ids import VendorId, identify

__all__ = ["VendorIdPayload", "parse_vendor_id"]


@dataclass(slots=True, kw_only=True)
class VendorIdPayload(Payload):
    """Vendor ID: octets, often a hash of some text, sometimes with a version behind."""

    label: ClassVar[str] = "V"
    title: ClassVar[str] = "Vendor ID"

    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.data

    @property
    def vendor(self) -> VendorId:
        """What the octets are known to mean."""
        return identify(self.data)

    @property
    def text(self) -> str:
        """Name and version, or where they are unknown the text or the hex digits that it is made of."""
        return self.vendor.label

    @property
    def summary(self) -> str:
        """As in "V(strongSwan)"."""
        return f"V({self.text if self.vendor.name else hex_text(self.data, 16)})"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Name and octets."""
        yield TreeLine(at, "vendor", self.text, 1)
        yield TreeLine(at, "data", hex_text(self.data), 1)


def parse_vendor_id(kind: int, body: bytes, problems: Problems) -> VendorIdPayload:
    """Read a vendor ID: any octets will do."""
    del problems
    return VendorIdPayload(type=kind, data=body)
