"""The ESP and AH headers on the wire (RFC 4303 §2, RFC 4302 §2).

Parsing and writing only: what stands in clear text in front of the protected octets. Opening them is not done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ipsecanalyze.wire import Cursor

__all__ = ["AH_FIXED_LENGTH", "ESP_HEADER_LENGTH", "AhHeader", "EspHeader"]

#: SPI and sequence number, in octets (RFC 4303 §2).
ESP_HEADER_LENGTH = 8
#: Next header, length, reserved, SPI and sequence number, in octets (RFC 4302 §2).
AH_FIXED_LENGTH = 12


@dataclass(frozen=True, slots=True)
class EspHeader:
    """The part of an ESP packet that is always readable."""

    spi: int
    """Security Parameters Index."""
    sequence: int
    """The low 32 bits of the sequence number (RFC 4303 §2.2.1)."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the header at the start of `data`. Raises WireError where it is cut."""
        cursor = Cursor(data, layer="ESP")
        return cls(spi=cursor.u32(), sequence=cursor.u32())

    def to_bytes(self) -> bytes:
        """The header as it stands on the wire."""
        return self.spi.to_bytes(4) + self.sequence.to_bytes(4)


@dataclass(frozen=True, slots=True)
class AhHeader:
    """An AH header; `icv` is what follows the sequence number, ICV padding included (RFC 4302 §2.6)."""

    next_header: int
    """IP protocol number of what follows."""
    spi: int
    sequence: int
    """The low 32 bits of the sequence number."""
    icv: bytes = b""
    """Integrity Check Value with its padding, as far as the capture goes."""
    reserved: int = 0
    """Sixteen bits, zero when sent."""
    payload_length: int | None = None
    """The length field: 32-bit words minus 2. None writes what fits `icv`."""

    @property
    def header_length(self) -> int:
        """Octets of the whole header, by its length field."""
        if self.payload_length is None:
            return AH_FIXED_LENGTH + len(self.icv)
        return (self.payload_length + 2) * 4

    @property
    def cut(self) -> bool:
        """Whether the data ended before the header did (a snap length, or a false length field)."""
        return AH_FIXED_LENGTH + len(self.icv) < self.header_length

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the header at the start of `data`; an ICV that is cut is kept as far as it goes.

        Raises WireError where the twelve fixed octets are not all there.
        """
        cursor = Cursor(data, layer="AH")
        next_header = cursor.u8()
        payload_length = cursor.u8()
        reserved = cursor.u16()
        spi = cursor.u32()
        sequence = cursor.u32()
        icv_length = max((payload_length + 2) * 4 - AH_FIXED_LENGTH, 0)
        icv = cursor.take(min(icv_length, cursor.remaining))
        return cls(next_header, spi, sequence, icv, reserved, payload_length)

    def to_bytes(self) -> bytes:
        """The header as it stands on the wire. Raises ValueError where the ICV does not fill 32-bit words."""
        length = self.payload_length
        if length is None:
            if len(self.icv) % 4:
                raise ValueError("the ICV of AH fills whole 32-bit words (RFC 4302 §2.6)")
            length = (AH_FIXED_LENGTH + len(self.icv)) // 4 - 2
        head = bytes((self.next_header, length)) + self.reserved.to_bytes(2)
        return head + self.spi.to_bytes(4) + self.sequence.to_bytes(4) + self.icv
