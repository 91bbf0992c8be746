"""What proves identities: AUTH (RFC 7296 §3.8, RFC 7427 §3), IKEv1's Hash and Signature (RFC 2408 §3.11, §3.12).

Nothing is verified here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.der import algorithm_text
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.text import hex_text, measured
from ipsecanalyze.registry.ikev2 import AuthMethod

__all__ = ["AuthPayload", "HashPayload", "SignaturePayload", "parse_auth", "parse_hash", "parse_signature"]

_DIGITAL_SIGNATURE = 14


@dataclass(slots=True, kw_only=True)
class AuthPayload(Payload):
    """Authentication: the sender's proof, over its first message, the other's nonce and its own identity."""

    label: ClassVar[str] = "AUTH"
    title: ClassVar[str] = "Authentication"

    method: int
    """`AuthMethod` number."""
    reserved_field: int = 0
    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return bytes((self.method,)) + self.reserved_field.to_bytes(3) + self.data

    @property
    def signature_algorithm(self) -> str | None:
        """The algorithm that a Digital Signature names (RFC 7427 §3), "ecdsa-with-SHA256"; None for other methods."""
        if self.method != _DIGITAL_SIGNATURE or not self.data or len(self.data) <= self.data[0]:
            return None
        try:
            return algorithm_text(self.data[1 : 1 + self.data[0]])
        except WireError:
            return None

    @property
    def text(self) -> str:
        """The method, with the algorithm where it names one."""
        name = AuthMethod(self.method).name
        algorithm = self.signature_algorithm
        return f"{name} {algorithm}" if algorithm else name

    @property
    def summary(self) -> str:
        """As in "AUTH[SHARED_KEY_MIC]"."""
        return f"AUTH[{self.text}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Method, algorithm and value."""
        yield TreeLine(at, "method", numbered(AuthMethod(self.method)), 1)
        at += 4
        data = self.data
        algorithm = self.signature_algorithm
        if algorithm:
            yield TreeLine(at, "signature algorithm", algorithm, 1)
            skipped = 1 + data[0]
            at, data = at + skipped, data[skipped:]
        yield TreeLine(at, "data", measured(data), 1)


@dataclass(slots=True, kw_only=True)
class HashPayload(Payload):
    """IKEv1's Hash: HASH_I, HASH_R, or HASH(1) to HASH(3) of later exchanges (RFC 2409 §5)."""

    label: ClassVar[str] = "HASH"
    title: ClassVar[str] = "Hash"

    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.data

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The hash."""
        yield TreeLine(at, "hash", hex_text(self.data), 1)


@dataclass(slots=True, kw_only=True)
class SignaturePayload(Payload):
    """IKEv1's Signature: SIG_I or SIG_R."""

    label: ClassVar[str] = "SIG"
    title: ClassVar[str] = "Signature"

    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.data

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The signature."""
        yield TreeLine(at, "signature", measured(self.data), 1)


def parse_auth(kind: int, body: bytes, problems: Problems) -> AuthPayload:
    """Read an AUTH payload."""
    del problems
    require(body, 4, "AUTH payload")
    return AuthPayload(type=kind, method=body[0], reserved_field=int.from_bytes(body[1:4]), data=body[4:])


def parse_hash(kind: int, body: bytes, problems: Problems) -> HashPayload:
    """Read a Hash payload."""
    del problems
    return HashPayload(type=kind, data=body)


def parse_signature(kind: int, body: bytes, problems: Problems) -> SignaturePayload:
    """Read a Signature payload."""
    del problems
    return SignaturePayload(type=kind, data=body)
