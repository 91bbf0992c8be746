"""The IKE header: 28 octets, the same in both versions (RFC 7296 §3.1, RFC 2408 §3.1).

Only the header is read here; what follows is the business of `chain.py` and `message.py`.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from ipsecanalyze.errors import WireError
from ipsecanalyze.registry import ikev1, ikev2

__all__ = [
    "FLAG_ENCRYPTION",
    "FLAG_INITIATOR",
    "FLAG_RESPONSE",
    "HEADER_OCTETS",
    "HeaderFields",
    "exchange_name",
    "flags_text",
    "read_header",
    "write_header",
]

HEADER_OCTETS = 28

#: IKEv2: sent by the original initiator; the sender could speak a higher version; this is a response.
FLAG_INITIATOR, FLAG_VERSION, FLAG_RESPONSE = 0x08, 0x10, 0x20
#: IKEv1: the payloads are encrypted; SA is committed; authenticated only.
FLAG_ENCRYPTION, FLAG_COMMIT, FLAG_AUTHENTICATION = 0x01, 0x02, 0x04

_FLAG_NAMES = {
    1: ((FLAG_ENCRYPTION, "E"), (FLAG_COMMIT, "C"), (FLAG_AUTHENTICATION, "A")),
    2: ((FLAG_INITIATOR, "I"), (FLAG_VERSION, "V"), (FLAG_RESPONSE, "R")),
}

_HEADER = Struct(">QQBBBBII")

#: (initiator SPI, responder SPI, next payload, version octet, exchange type, flags, message ID, length).
HeaderFields = tuple[int, int, int, int, int, int, int, int]


def read_header(data: bytes) -> HeaderFields:
    """The fields of the header; raises WireError where there is none: less than 28 octets, or major version 0."""
    if len(data) < HEADER_OCTETS:
        raise WireError(
            f"an IKE header has {HEADER_OCTETS} octets, {len(data)} are there",
            layer="IKE header",
            offset=len(data),
            slug="truncated",
        )
    fields: HeaderFields = _HEADER.unpack_from(data)
    if fields[3] < 0x10:
        raise WireError("IKE major version 0", layer="IKE header", offset=17)
    return fields


def write_header(fields: HeaderFields) -> bytes:
    """The octets of the header."""
    return _HEADER.pack(*fields)


@lru_cache(maxsize=256)
def exchange_name(major: int, exchange_type: int) -> str:
    """As in "IKE_SA_INIT", "QUICK_MODE"; a stable name with the number where it is unknown."""
    if major == 1:
        return ikev1.ExchangeType(exchange_type).name
    return ikev2.ExchangeType(exchange_type).name


def flags_text(major: int, flags: int) -> str:
    """The flags as letters, "I|R", with what is left in hex."""
    names = []
    for bit, name in _FLAG_NAMES.get(major, ()):
        if flags & bit:
            names.append(name)
            flags &= ~bit
    if flags:
        names.append(f"{flags:#04x}")
    return "|".join(names) or "none"
