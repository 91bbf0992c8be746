"""One IKE message: header, payloads, and whatever else the datagram holds; read from octets and written back to them.

`parse_ike` never raises on what follows the header: what is wrong becomes a notice, and every octet stays somewhere,
so that `to_bytes()` of any message gives the octets that it was read from. Nothing is decrypted or verified here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ipsecanalyze.errors import Notice
from ipsecanalyze.ike.chain import parse_payloads, write_payloads
from ipsecanalyze.ike.header import (
    FLAG_ENCRYPTION,
    FLAG_INITIATOR,
    FLAG_RESPONSE,
    HEADER_OCTETS,
    exchange_name,
    flags_text,
    read_header,
    write_header,
)
from ipsecanalyze.ike.payloads import Payload, TreeLine, UnframedPayload
from ipsecanalyze.ike.text import measured

__all__ = ["IkeMessage", "parse_ike", "read_head"]

_P = TypeVar("_P", bound=Payload)

#: SK and SKF (RFC 7296 §3.14, RFC 7383 §2.5); Cisco's IKEv1 fragment.
_ENCRYPTED_V2 = (46, 53)
_FRAGMENT_V1 = 132


@dataclass(slots=True)
class IkeMessage:
    """An IKE message of either version (RFC 7296 §3.1, RFC 2408 §3.1)."""

    spi_i: int
    """The initiator's SPI (IKEv1: cookie)."""
    spi_r: int
    """The responder's SPI; 0 as long as it has chosen none."""
    next_payload: int
    """The type of the first payload (of the first hidden one where all is encrypted, in IKEv1)."""
    major: int
    minor: int
    exchange_type: int
    """`ExchangeType` number of IKEv2 or IKEv1."""
    flags: int
    message_id: int
    length: int
    """Octets from the header on, as declared."""
    payloads: tuple[Payload, ...] = ()
    encrypted_data: bytes = b""
    """IKEv1 with the encryption flag: everything behind the header."""
    trailing: bytes = b""
    """Octets behind the last payload or behind the declared length."""
    notices: tuple[Notice, ...] = ()
    """What is wrong with the message; offsets are relative to its first octet."""

    @property
    def is_v1(self) -> bool:
        """Whether it is of IKEv1 (ISAKMP)."""
        return self.major == 1

    @property
    def is_v2(self) -> bool:
        """Whether it is of IKEv2."""
        return self.major == 2

    @property
    def is_response(self) -> bool:
        """IKEv2's R flag."""
        return self.major == 2 and bool(self.flags & FLAG_RESPONSE)

    @property
    def from_initiator(self) -> bool:
        """IKEv2's I flag: sent by the initiator of the IKE SA."""
        return self.major == 2 and bool(self.flags & FLAG_INITIATOR)

    @property
    def is_encrypted(self) -> bool:
        """Whether payloads are hidden: IKEv1's E flag, IKEv2's SK or SKF at the end."""
        if self.major == 1:
            return bool(self.flags & FLAG_ENCRYPTION) and self.next_payload != _FRAGMENT_V1
        return bool(self.payloads) and self.payloads[-1].type in _ENCRYPTED_V2

    @property
    def exchange_name(self) -> str:
        """As in "IKE_SA_INIT", "QUICK_MODE"."""
        return exchange_name(self.major, self.exchange_type)

    @property
    def version_text(self) -> str:
        """The version as text: "1.0" or "2.0"."""
        return f"{self.major}.{self.minor}"

    def find(self, cls: type[_P]) -> _P | None:
        """The first payload of a class; None without one."""
        for payload in self.payloads:
            if isinstance(payload, cls):
                return payload
        return None

    def find_all(self, cls: type[_P]) -> list[_P]:
        """All payloads of a class, in order."""
        return [payload for payload in self.payloads if isinstance(payload, cls)]

    def to_bytes(self) -> bytes:
        """The octets of the message, written field by field."""
        header = write_header(
            (
                self.spi_i,
                self.spi_r,
                self.next_payload,
                self.major << 4 | self.minor,
                self.exchange_type,
                self.flags,
                self.message_id,
                self.length,
            )
        )
        return header + write_payloads(self.payloads) + self.encrypted_data + self.trailing

    def describe(self) -> list[TreeLine]:
        """The message as a tree: the header, each payload with its fields, hidden and trailing octets; escaped."""
        lines = [
            TreeLine(0, "IKE header", f"version {self.version_text}, {self.exchange_name}", 0),
            TreeLine(0, "initiator SPI", f"{self.spi_i:016x}", 1),
            TreeLine(8, "responder SPI", f"{self.spi_r:016x}", 1),
            TreeLine(16, "next payload", str(self.next_payload), 1),
            TreeLine(18, "exchange type", f"{self.exchange_name} ({self.exchange_type})", 1),
            TreeLine(19, "flags", f"{flags_text(self.major, self.flags)} ({self.flags:#04x})", 1),
            TreeLine(20, "message ID", f"{self.message_id:#010x}" if self.is_v1 else str(self.message_id), 1),
            TreeLine(24, "length", str(self.length), 1),
        ]
        at = HEADER_OCTETS
        for payload in self.payloads:
            lines += payload.describe()
        if self.encrypted_data:
            lines.append(TreeLine(at, "encrypted data", measured(self.encrypted_data, 32), 0))
        if self.trailing:
            at += len(write_payloads(self.payloads)) + len(self.encrypted_data)
            lines.append(TreeLine(at, "trailing octets", measured(self.trailing, 32), 0))
        return lines


def _length_notice(length: int, there: int) -> Notice:
    """What is wrong with a declared length that is not that of the octets that are there."""
    if length < HEADER_OCTETS:
        return Notice("length-mismatch", f"declared length {length} is less than the header", offset=24)
    if length > there:
        return Notice("truncated", f"{length} octets declared, {there} are there", offset=there)
    return Notice("length-mismatch", f"{there - length} octets behind the declared length {length}", offset=length)


def read_head(data: bytes) -> IkeMessage:
    """Read the header alone: a message without its payloads, whatever else is in `data`.

    Raises WireError where there is no header: fewer than 28 octets, or major version 0. RFC 7296 §3.1, RFC 2408 §3.1.
    """
    spi_i, spi_r, next_payload, version, exchange_type, flags, message_id, length = read_header(data)
    return IkeMessage(spi_i, spi_r, next_payload, version >> 4, version & 15, exchange_type, flags, message_id, length)


def parse_ike(data: bytes) -> IkeMessage:
    """Read an IKE message, of either version, from the first octet of its header on.

    Raises WireError where there is no header: fewer than 28 octets, or major version 0. Everything else that is wrong
    is told in `notices`. RFC 7296 §3, RFC 2408 §3.
    """
    message = read_head(data)
    major, length, next_payload = message.major, message.length, message.next_payload
    there = len(data)
    end = min(length, there) if length >= HEADER_OCTETS else there
    content = data[HEADER_OCTETS:end]
    notices: tuple[Notice, ...] = ()
    trailing = b""
    if major > 2:
        notices = (Notice("unknown-version", f"IKE version {message.version_text}", offset=17),)
        if next_payload or content:
            reason = "the version is unknown"
            message.payloads = (UnframedPayload(type=next_payload, data=content, reason=reason, offset=HEADER_OCTETS),)
    elif major == 1 and message.flags & FLAG_ENCRYPTION and next_payload != _FRAGMENT_V1:
        message.encrypted_data = content
    else:
        message.payloads, trailing, notices = parse_payloads(
            content, next_payload, major, HEADER_OCTETS, message.exchange_type, cut=length > there
        )
        if trailing:
            at = HEADER_OCTETS + len(content) - len(trailing)
            notices += (Notice("trailing-octets", f"{len(trailing)} octets behind the last payload", offset=at),)
    if length != there:
        trailing += data[end:]
        notices = (_length_notice(length, there), *notices)
    message.trailing, message.notices = trailing, notices
    return message
