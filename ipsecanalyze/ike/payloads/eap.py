"""The EAP payload: one EAP packet (RFC 7296 §3.16, RFC 3748 §4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.text import escape, hex_text
from ipsecanalyze.registry.eap import EapCode, EapType

__all__ = ["EapPayload", "parse_eap"]

#: Request and Response; the other codes have no type.
_TYPED_CODES = (1, 2)
_IDENTITY, _NOTIFICATION, _NAK, _EXPANDED = 1, 2, 3, 254
#: The draft says 26, IANA 29; everybody sends 26.
_MSCHAPV2 = (26, 29)
#: draft-kamath-pppext-eap-mschapv2 §2: the operation is the first octet.
_MSCHAPV2_OPERATIONS = {1: "challenge", 2: "response", 3: "success", 4: "failure", 7: "change password"}


@dataclass(slots=True, kw_only=True)
class EapPayload(Payload):
    """EAP: a step of the method by which the initiator authenticates."""

    label: ClassVar[str] = "EAP"
    title: ClassVar[str] = "Extensible Authentication"

    code: int
    """`EapCode` number."""
    identifier: int
    eap_type: int | None = None
    """`EapType` number of requests and responses; None for other codes."""
    data: bytes = b""
    """What stands behind the type."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        rest = self.data if self.eap_type is None else bytes((self.eap_type,)) + self.data
        return bytes((self.code, self.identifier)) + (4 + len(rest)).to_bytes(2) + rest

    @property
    def type_name(self) -> str | None:
        """The name of the method, with vendor and number for expanded ones (RFC 3748 §5.7)."""
        if self.eap_type is None:
            return None
        if self.eap_type == _EXPANDED and len(self.data) >= 7:
            return f"EAP_EXPANDED vendor {int.from_bytes(self.data[:3])} type {int.from_bytes(self.data[3:7])}"
        return EapType(self.eap_type).name

    @property
    def identity(self) -> str | None:
        """What an Identity response says, escaped; None for anything else."""
        if self.eap_type == _IDENTITY and self.code == 2:
            return escape(self.data)
        return None

    @property
    def text(self) -> str:
        """What the data says in words, escaped; "" where only the method knows."""
        if self.eap_type in (_IDENTITY, _NOTIFICATION):
            return escape(self.data)
        if self.eap_type == _NAK:
            return "wants " + ", ".join(EapType(wanted).name for wanted in self.data[:16])
        if self.eap_type in _MSCHAPV2 and self.data:
            return _MSCHAPV2_OPERATIONS.get(self.data[0], f"operation {self.data[0]}")
        return ""

    @property
    def summary(self) -> str:
        """As in "EAP(RESPONSE IDENTITY carol)"."""
        return f"EAP({' '.join(filter(None, (EapCode(self.code).name, self.type_name, self.text)))})"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Code, identifier, type and data."""
        yield TreeLine(at, "code", numbered(EapCode(self.code)), 1)
        yield TreeLine(at + 1, "identifier", str(self.identifier), 1)
        if self.eap_type is None:
            if self.data:
                yield TreeLine(at + 4, "data", hex_text(self.data), 1)
            return
        yield TreeLine(at + 4, "type", f"{self.type_name} ({self.eap_type})", 1)
        if self.text:
            yield TreeLine(at + 5, "text", self.text, 1)
        if self.data:
            yield TreeLine(at + 5, "data", hex_text(self.data), 1)


def parse_eap(kind: int, body: bytes, problems: Problems) -> EapPayload:
    """Read an EAP payload; the packet must fill it."""
    del problems
    require(body, 4, "EAP payload")
    length = body[2] << 8 | body[3]
    if length != len(body):
        raise WireError(f"EAP length {length}, {len(body)} octets are there", layer="EAP payload", offset=2)
    if body[0] in _TYPED_CODES and length > 4:
        return EapPayload(type=kind, code=body[0], identifier=body[1], eap_type=body[4], data=body[5:])
    return EapPayload(type=kind, code=body[0], identifier=body[1], data=body[4:])
