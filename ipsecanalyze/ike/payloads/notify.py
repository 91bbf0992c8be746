"""The Notify payload: errors and status (RFC 7296 §3.10, RFC 2408 §3.14). Its data is worded in `notify_data.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.payloads import notify_data
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.payloads.sa_text import doi_text
from ipsecanalyze.ike.text import hex_text
from ipsecanalyze.registry import ikev1, ikev2

__all__ = ["NotifyPayload", "parse_notify_v1", "parse_notify_v2"]

#: Status that everyone sends and whose data is long and says nothing to people: left out of one-line texts.
_PLAIN = frozenset({16388, 16389, 16390, 16401})
_ESP_SPI_OCTETS = 4


@dataclass(slots=True, kw_only=True)
class NotifyPayload(Payload):
    """Notify: a number that says what, for which SA, with data that depends on the number."""

    label: ClassVar[str] = "N"
    title: ClassVar[str] = "Notify"

    protocol: int
    """`ProtocolId` number; 0 where no SPI is meant."""
    spi: bytes = b""
    notify_type: int
    """`NotifyType` number of IKEv2 or IKEv1."""
    data: bytes = b""
    doi: int | None = None
    """IKEv1's domain of interpretation; None for IKEv2."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        head = b"" if self.doi is None else self.doi.to_bytes(4)
        spi = self.spi
        return head + bytes((self.protocol, len(spi))) + self.notify_type.to_bytes(2) + spi + self.data

    @property
    def registered(self) -> ikev1.NotifyType | ikev2.NotifyType:
        """The registry's entry: name, reference, whether it is an error."""
        return ikev2.NotifyType(self.notify_type) if self.doi is None else ikev1.NotifyType(self.notify_type)

    @property
    def type_name(self) -> str:
        """The name of the number: "NO_PROPOSAL_CHOSEN"."""
        return self.registered.name

    @property
    def is_error(self) -> bool:
        """Whether it says that something failed."""
        return self.registered.is_error

    @property
    def description(self) -> str:
        """The data in words, escaped; "" without data, hex digits where the type is unknown."""
        if self.doi is None:
            return notify_data.describe_v2(self.notify_type, self.data)
        return notify_data.describe_v1(self.notify_type, self.data)

    @property
    def _protocol(self) -> ikev1.ProtocolId | ikev2.ProtocolId:
        return ikev2.ProtocolId(self.protocol) if self.doi is None else ikev1.ProtocolId(self.protocol)

    @property
    def summary(self) -> str:
        """As in "N(COOKIE)", "N(INVALID_KE_PAYLOAD: MODP_3072)", "N(REKEY_SA ESP:c1a2b3c4)"."""
        # IKEv1 puts the cookies of the message there too: they tell nothing.
        about = f" {self._protocol.name}:{self.spi.hex()}" if len(self.spi) == _ESP_SPI_OCTETS else ""
        text = "" if self.notify_type in _PLAIN else self.description
        return f"N({self.type_name}{about}{': ' if text else ''}{text})"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Protocol, type, SPI and data."""
        if self.doi is not None:
            yield TreeLine(at, "DOI", doi_text(self.doi), 1)
            at += 4
        yield TreeLine(at, "protocol", numbered(self._protocol), 1)
        yield TreeLine(at + 2, "notify type", numbered(self.registered), 1)
        at += 4
        if self.spi:
            yield TreeLine(at, "SPI", hex_text(self.spi), 1)
            at += len(self.spi)
        if self.data:
            text, raw = self.description, hex_text(self.data)
            if text != raw:
                yield TreeLine(at, "meaning", text, 1)
            if raw not in text or text == raw:
                yield TreeLine(at, "data", raw, 1)


def parse_notify_v2(kind: int, body: bytes, problems: Problems) -> NotifyPayload:
    """Read a Notify payload of IKEv2."""
    del problems
    size = len(body)
    if size < 4 or 4 + body[1] > size:
        raise WireError("Notify payload is too short for its fields", layer="Notify payload", offset=min(size, 1))
    data = 4 + body[1]
    return NotifyPayload(
        type=kind, protocol=body[0], spi=body[4:data], notify_type=body[2] << 8 | body[3], data=body[data:]
    )


def parse_notify_v1(kind: int, body: bytes, problems: Problems) -> NotifyPayload:
    """Read a Notify payload of IKEv1: the DOI comes first (peers forgot it, and read other numbers)."""
    del problems
    require(body, 8, "Notify payload")
    data = 8 + body[5]
    if data > len(body):
        raise WireError("SPI is longer than the Notify payload", layer="Notify payload", offset=5)
    return NotifyPayload(
        type=kind,
        doi=int.from_bytes(body[:4]),
        protocol=body[4],
        spi=body[8:data],
        notify_type=body[6] << 8 | body[7],
        data=body[data:],
    )
