"""What both sides mix into the keys: Key Exchange and Nonce (RFC 7296 §3.4, §3.9; RFC 2408 §3.7, §3.13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.text import measured
from ipsecanalyze.registry.ikev2 import KeyExchange

__all__ = ["KePayload", "NoncePayload", "parse_ke_v1", "parse_ke_v2", "parse_nonce"]


@dataclass(slots=True, kw_only=True)
class KePayload(Payload):
    """Key Exchange: a public value, or with a KEM the encapsulated key (RFC 9370, ML-KEM)."""

    label: ClassVar[str] = "KE"
    title: ClassVar[str] = "Key Exchange"

    group: int | None = None
    """`KeyExchange` number; None for IKEv1, where the SA payload tells it."""
    reserved_field: int = 0
    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        if self.group is None:
            return self.data
        return self.group.to_bytes(2) + self.reserved_field.to_bytes(2) + self.data

    @property
    def summary(self) -> str:
        """As in "KE[MODP_2048]"."""
        return "KE" if self.group is None else f"KE[{KeyExchange(self.group).name}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Method and public value."""
        if self.group is not None:
            yield TreeLine(at, "method", numbered(KeyExchange(self.group)), 1)
            at += 4
        yield TreeLine(at, "data", measured(self.data), 1)


@dataclass(slots=True, kw_only=True)
class NoncePayload(Payload):
    """Nonce: Ni or Nr."""

    label: ClassVar[str] = "Nonce"
    title: ClassVar[str] = "Nonce"

    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.data

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The nonce."""
        yield TreeLine(at, "nonce", measured(self.data), 1)


def parse_ke_v2(kind: int, body: bytes, problems: Problems) -> KePayload:
    """Read a KE payload of IKEv2."""
    del problems
    require(body, 4, "KE payload")
    return KePayload(type=kind, group=body[0] << 8 | body[1], reserved_field=body[2] << 8 | body[3], data=body[4:])


def parse_ke_v1(kind: int, body: bytes, problems: Problems) -> KePayload:
    """Read a KE payload of IKEv1: all of it is the public value."""
    del problems
    return KePayload(type=kind, data=body)


def parse_nonce(kind: int, body: bytes, problems: Problems) -> NoncePayload:
    """Read a nonce; its length is judged elsewhere (RFC 7296 §2.10 wants 16 to 256 octets)."""
    del problems
    return NoncePayload(type=kind, data=body)
