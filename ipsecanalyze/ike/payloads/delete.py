"""The Delete payload: SPIs that are no longer there (RFC 7296 §3.11, RFC 2408 §3.15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.payloads.sa_text import doi_text
from ipsecanalyze.ike.text import hex_text
from ipsecanalyze.registry import ikev1, ikev2

__all__ = ["DeletePayload", "parse_delete_v1", "parse_delete_v2"]

_SHOWN_SPIS = 4


@dataclass(slots=True, kw_only=True)
class DeletePayload(Payload):
    """Delete: the sender's inbound SAs that it has closed; without SPIs the IKE SA itself (IKEv2)."""

    label: ClassVar[str] = "D"
    title: ClassVar[str] = "Delete"

    protocol: int
    """`ProtocolId` number."""
    spi_size: int
    """Octets of each SPI."""
    spis: tuple[bytes, ...] = ()
    doi: int | None = None
    """IKEv1's domain of interpretation; None for IKEv2."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        head = b"" if self.doi is None else self.doi.to_bytes(4)
        return head + bytes((self.protocol, self.spi_size)) + len(self.spis).to_bytes(2) + b"".join(self.spis)

    @property
    def _protocol(self) -> ikev1.ProtocolId | ikev2.ProtocolId:
        return ikev2.ProtocolId(self.protocol) if self.doi is None else ikev1.ProtocolId(self.protocol)

    @property
    def summary(self) -> str:
        """As in "D[ESP:c1a2b3c4]"."""
        spis = ",".join(hex_text(spi, 16) for spi in self.spis[:_SHOWN_SPIS])
        more = f" +{len(self.spis) - _SHOWN_SPIS}" if len(self.spis) > _SHOWN_SPIS else ""
        return f"D[{self._protocol.name}{':' if spis else ''}{spis}{more}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Protocol and SPIs."""
        if self.doi is not None:
            yield TreeLine(at, "DOI", doi_text(self.doi), 1)
            at += 4
        yield TreeLine(at, "protocol", numbered(self._protocol), 1)
        at += 4
        for spi in self.spis:
            yield TreeLine(at, "SPI", hex_text(spi), 1)
            at += len(spi)


def _parse(kind: int, body: bytes, at: int, doi: int | None) -> DeletePayload:
    require(body, at + 4, "Delete payload")
    size = body[at + 1]
    count = body[at + 2] << 8 | body[at + 3]
    start = at + 4
    # SPIs of no octets cannot be told apart: a count of them says nothing, and costs memory.
    if count * size != len(body) - start or (count and not size):
        raise WireError(
            f"{count} SPIs of {size} octets announced, {len(body) - start} octets are there",
            layer="Delete payload",
            offset=at + 1,
        )
    spis = tuple([body[i : i + size] for i in range(start, len(body), size)]) if size else ()
    return DeletePayload(type=kind, doi=doi, protocol=body[at], spi_size=size, spis=spis)


def parse_delete_v2(kind: int, body: bytes, problems: Problems) -> DeletePayload:
    """Read a Delete payload of IKEv2."""
    del problems
    return _parse(kind, body, 0, None)


def parse_delete_v1(kind: int, body: bytes, problems: Problems) -> DeletePayload:
    """Read a Delete payload of IKEv1, which begins with a DOI."""
    del problems
    return _parse(kind, body, 4, int.from_bytes(body[:4]))
