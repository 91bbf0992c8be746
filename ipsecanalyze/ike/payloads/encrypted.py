"""What hides other payloads: Encrypted (RFC 7296 §3.14), Encrypted Fragment (RFC 7383 §2.5), Cisco's IKEv1 fragment.

IV, ciphertext and ICV stay one string of octets: where they part depends on the negotiated algorithms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, require
from ipsecanalyze.ike.text import measured

__all__ = [
    "EncryptedFragmentPayload",
    "EncryptedPayload",
    "FragmentPayload",
    "parse_encrypted",
    "parse_encrypted_fragment",
    "parse_fragment",
]


def _hidden(data: bytes, missing: int) -> str:
    cut = f" and {missing} octets more that were not captured" if missing else ""
    return measured(data, 32) + cut


@dataclass(slots=True, kw_only=True)
class EncryptedPayload(Payload):
    """SK: all further payloads of the message, encrypted and authenticated."""

    label: ClassVar[str] = "SK"
    title: ClassVar[str] = "Encrypted and Authenticated"

    inner_type: int = 0
    """The type of the first payload inside (it stands in the next payload field)."""
    data: bytes
    """Initialization vector, ciphertext, padding and integrity checksum."""
    missing: int = 0
    """Octets that the payload's length tells of and that are not there, as the capture cut the message."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.data

    @property
    def summary(self) -> str:
        """As in "SK{96}": how much is hidden, in octets."""
        return f"SK{{{len(self.data) + self.missing}}}"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """The first type inside and the octets."""
        yield TreeLine(at - 4, "first payload inside", str(self.inner_type), 1)
        yield TreeLine(at, "data", _hidden(self.data, self.missing), 1)


@dataclass(slots=True, kw_only=True)
class EncryptedFragmentPayload(EncryptedPayload):
    """SKF: fragment number n of N of the content of an SK payload, encrypted by itself."""

    label: ClassVar[str] = "SKF"
    title: ClassVar[str] = "Encrypted and Authenticated Fragment"

    fragment_number: int
    """From 1."""
    total_fragments: int

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.fragment_number.to_bytes(2) + self.total_fragments.to_bytes(2) + self.data

    @property
    def summary(self) -> str:
        """As in "SKF[2/3]"."""
        return f"SKF[{self.fragment_number}/{self.total_fragments}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Number and total, the first type inside and the octets."""
        yield TreeLine(at - 4, "first payload inside", str(self.inner_type), 1)
        yield TreeLine(at, "fragment number", str(self.fragment_number), 1)
        yield TreeLine(at + 2, "total fragments", str(self.total_fragments), 1)
        yield TreeLine(at + 4, "data", _hidden(self.data, self.missing), 1)


@dataclass(slots=True, kw_only=True)
class FragmentPayload(Payload):
    """Cisco's IKEv1 fragment (payload 132; [MS-IKEE] §2.2.4): a piece of a whole IKE message, header included."""

    label: ClassVar[str] = "FRAG"
    title: ClassVar[str] = "IKE Fragment"

    fragment_id: int
    """The same for all fragments of a message."""
    fragment_number: int
    """From 1."""
    flags: int
    """Bit 0: this is the last fragment."""
    data: bytes

    @property
    def is_last(self) -> bool:
        """Whether the message ends with this fragment."""
        return bool(self.flags & 1)

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return self.fragment_id.to_bytes(2) + bytes((self.fragment_number, self.flags)) + self.data

    @property
    def summary(self) -> str:
        """As in "FRAG[2, last]"."""
        return f"FRAG[{self.fragment_number}{', last' if self.is_last else ''}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Identifier, number, flags and the piece."""
        yield TreeLine(at, "fragment ID", str(self.fragment_id), 1)
        yield TreeLine(at + 2, "fragment number", str(self.fragment_number), 1)
        yield TreeLine(at + 3, "flags", f"{self.flags:#04x}{' (last)' if self.is_last else ''}", 1)
        yield TreeLine(at + 4, "data", measured(self.data, 32), 1)


def parse_encrypted(kind: int, body: bytes, problems: Problems) -> EncryptedPayload:
    """Read an SK payload; the caller sets `inner_type` from the generic payload header."""
    del problems
    return EncryptedPayload(type=kind, data=body)


def parse_encrypted_fragment(kind: int, body: bytes, problems: Problems) -> EncryptedFragmentPayload:
    """Read an SKF payload; the caller sets `inner_type`. A number of 0 or beyond the total is a problem told."""
    require(body, 4, "SKF payload")
    number, total = body[0] << 8 | body[1], body[2] << 8 | body[3]
    # RFC 7383 §2.6: such a fragment must be dropped by the receiver.
    if not 1 <= number <= total:
        problems.append(("fragment-number", f"fragment {number} of {total}", 0))
    return EncryptedFragmentPayload(type=kind, fragment_number=number, total_fragments=total, data=body[4:])


def parse_fragment(kind: int, body: bytes, problems: Problems) -> FragmentPayload:
    """Read a fragment in Cisco's format."""
    del problems
    require(body, 4, "fragment payload")
    return FragmentPayload(
        type=kind, fragment_id=body[0] << 8 | body[1], fragment_number=body[2], flags=body[3], data=body[4:]
    )
