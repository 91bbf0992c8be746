"""The Configuration payload (RFC 7296 §3.15) and IKEv1's Attributes payload (mode config, XAUTH).

IKEv1's is of draft-dukes-ike-mode-cfg-02 §3.2 and draft-beaulieu-ike-xauth-02 §6. Passwords in it are a user's
secret: they are never shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from struct import Struct
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.payloads.identification import address_text
from ipsecanalyze.ike.text import escape, escape_or_hex
from ipsecanalyze.registry import ikev1, ikev2

__all__ = ["ConfigPayload", "ConfigurationAttribute", "parse_config_v1", "parse_config_v2"]

_ATTRIBUTE = Struct(">HH")
_FORMAT_BIT = 0x8000
_SHOWN = 6

#: By attribute number, which both versions share where both know it.
_ADDRESSES = frozenset({1, 2, 3, 4, 6, 9, 10, 11, 12, 19, 20, 21, 23456, 23457})
_ADDRESSES_WITH_PREFIX = frozenset({8, 15, 18})
_TEXTS = frozenset({7, 25, 16387, 28672, 28674, 28675, 28682, 16521, 16524, 16526})
_SECRETS = frozenset({16522, 16523, 16528, 16529})
_EXPIRY, _SUBNET, _SUPPORTED, _XAUTH_TYPE, _XAUTH_STATUS = 5, 13, 14, 16520, 16527


@dataclass(frozen=True, slots=True)
class ConfigurationAttribute:
    """One attribute; empty where a request asks for it."""

    type: int
    """`ConfigAttribute` number (15 bits)."""
    value: int | bytes = field(repr=False)
    """int for IKEv1's short format, bytes otherwise. Not in the repr: it may be a password."""
    reserved_bit: bool = False
    """IKEv2's reserved bit, where IKEv1 has the format bit."""

    @property
    def size(self) -> int:
        """Octets on the wire."""
        return 4 if isinstance(self.value, int) else 4 + len(self.value)

    def to_bytes(self) -> bytes:
        """The octets on the wire."""
        if isinstance(self.value, int):
            return _ATTRIBUTE.pack(_FORMAT_BIT | self.type, self.value)
        return _ATTRIBUTE.pack(self.type | (_FORMAT_BIT if self.reserved_bit else 0), len(self.value)) + self.value

    @property
    def is_secret(self) -> bool:
        """Whether the value is a password, passcode or the like."""
        return self.type in _SECRETS

    @property
    def text(self) -> str:
        """The value in words, escaped; "" for an empty one, and secrets only by their length."""
        if isinstance(self.value, int):
            return _short_text(self.type, self.value)
        if not self.value:
            return ""
        if self.is_secret:
            return f"(hidden, {len(self.value)} octets)"
        return _value_text(self.type, self.value)


def _short_text(kind: int, value: int) -> str:
    if kind in _SECRETS:
        return "(hidden)"
    if kind == _XAUTH_TYPE:
        return ikev1.XauthType(value).name
    return ikev1.XauthStatus(value).name if kind == _XAUTH_STATUS else str(value)


def _value_text(kind: int, value: bytes) -> str:
    if kind in _TEXTS:
        return escape(value)
    if kind in _ADDRESSES and len(value) in (4, 16):
        return address_text(value)
    if kind in _ADDRESSES_WITH_PREFIX and len(value) == 17:
        return f"{address_text(value[:16])}/{value[16]}"
    if kind == _SUBNET and len(value) == 8:
        return _subnet_text(value)
    if kind == _EXPIRY and len(value) == 4:
        return f"{int.from_bytes(value)} s"
    if kind == _SUPPORTED and len(value) % 2 == 0:
        numbers = [int.from_bytes(value[i : i + 2]) & 0x7FFF for i in range(0, min(len(value), 64), 2)]
        return ", ".join(ikev2.ConfigAttribute(number).name for number in numbers)
    return escape_or_hex(value)


def _subnet_text(value: bytes) -> str:
    address, mask = address_text(value[:4]), address_text(value[4:])
    inverse = int.from_bytes(value[4:]) ^ 0xFFFFFFFF
    if inverse & (inverse + 1):
        return f"{address}/{mask}"
    return str(IPv4Network((value[:4], 32 - inverse.bit_length()), strict=False))


@dataclass(slots=True, kw_only=True)
class ConfigPayload(Payload):
    """CP: addresses and the like, asked for and given; in IKEv1 also the user's name and password."""

    label: ClassVar[str] = "CP"
    title: ClassVar[str] = "Configuration"

    config_type: int
    """`ConfigType` number: CFG_REQUEST, CFG_REPLY, CFG_SET, CFG_ACK."""
    reserved_field: int = 0
    """The octets between type and attributes (IKEv2: three, IKEv1: one)."""
    identifier: int | None = None
    """IKEv1's identifier; None for IKEv2."""
    attributes: tuple[ConfigurationAttribute, ...] = ()

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        head = bytes((self.config_type,))
        if self.identifier is None:
            head += self.reserved_field.to_bytes(3)
        else:
            head += bytes((self.reserved_field,)) + self.identifier.to_bytes(2)
        return head + b"".join([attribute.to_bytes() for attribute in self.attributes])

    def _attribute_type(self, number: int) -> ikev1.ConfigAttribute | ikev2.ConfigAttribute:
        return ikev2.ConfigAttribute(number) if self.identifier is None else ikev1.ConfigAttribute(number)

    @property
    def summary(self) -> str:
        """As in "CP(CFG_REPLY: INTERNAL_IP4_ADDRESS 10.3.0.1)"."""
        texts = [
            f"{self._attribute_type(attribute.type).name} {attribute.text}".rstrip()
            for attribute in self.attributes[:_SHOWN]
        ]
        more = f" +{len(self.attributes) - _SHOWN}" if len(self.attributes) > _SHOWN else ""
        inside = f": {', '.join(texts)}{more}" if texts else ""
        return f"{self.name}({ikev2.ConfigType(self.config_type).name}{inside})"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Type, identifier and attributes."""
        yield TreeLine(at, "CFG type", numbered(ikev2.ConfigType(self.config_type)), 1)
        if self.identifier is not None:
            yield TreeLine(at + 2, "identifier", str(self.identifier), 1)
        at += 4
        for attribute in self.attributes:
            yield TreeLine(at, numbered(self._attribute_type(attribute.type)), attribute.text, 1)
            at += attribute.size


def _parse_attributes(body: bytes, *, is_v1: bool) -> tuple[ConfigurationAttribute, ...]:
    found = []
    position, end = 4, len(body)
    while position < end:
        if end - position < 4:
            raise WireError("configuration attribute is cut short", layer="CP payload", offset=position)
        kind, value = _ATTRIBUTE.unpack_from(body, position)
        position += 4
        if is_v1 and kind & _FORMAT_BIT:
            found.append(ConfigurationAttribute(kind & 0x7FFF, value))
            continue
        if value > end - position:
            raise WireError(
                f"configuration attribute of {value} octets is too long", layer="CP payload", offset=position - 2
            )
        data = body[position : position + value]
        found.append(ConfigurationAttribute(kind & 0x7FFF, data, reserved_bit=bool(kind & _FORMAT_BIT)))
        position += value
    return tuple(found)


def parse_config_v2(kind: int, body: bytes, problems: Problems) -> ConfigPayload:
    """Read a CP payload of IKEv2."""
    del problems
    require(body, 4, "CP payload")
    return ConfigPayload(
        type=kind,
        config_type=body[0],
        reserved_field=int.from_bytes(body[1:4]),
        attributes=_parse_attributes(body, is_v1=False),
    )


def parse_config_v1(kind: int, body: bytes, problems: Problems) -> ConfigPayload:
    """Read an Attributes payload of IKEv1."""
    del problems
    require(body, 4, "Attributes payload")
    return ConfigPayload(
        type=kind,
        config_type=body[0],
        reserved_field=body[1],
        identifier=body[2] << 8 | body[3],
        attributes=_parse_attributes(body, is_v1=True),
    )
