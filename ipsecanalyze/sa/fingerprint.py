"""What a side's first offer or choice looks like, as a stable string: docs/fingerprint.md.

Only what an implementation and its configuration decide goes in: numbers, their order, key lengths, lifetimes, vendor
IDs. What differs from run to run stays out: SPIs, nonces, public values, hashes, cookies.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads.sa import Proposal, Transform

__all__ = ["VENDOR_ID_OCTETS", "Fingerprints", "Part", "fingerprint"]

#: A payload: its type, with the notify type, key exchange group or beginning of the vendor ID where it has one.
Part: TypeAlias = int | tuple[int, int | bytes]

#: How much of a vendor ID counts: what stands behind are often addresses or counters.
VENDOR_ID_OCTETS = 16

#: Readable forms are cut here; the digest is of the whole.
_LONGEST = 1_000
#: What is remembered, so that the same look is worded once: entries, and the size of an SA payload worth it.
_REMEMBERED = 1_024
_REMEMBERED_OCTETS = 1_024
_REMEMBERED_PARTS = 48


def fingerprint(version: str, exchange_type: int, look: tuple[Part, ...], proposals: tuple[Proposal, ...]) -> str:
    """The fingerprint of a message: 16 hex digits of a SHA-256, a space, and what was hashed.

    `look` are its payloads in order; docs/fingerprint.md has the grammar.
    """
    payloads = ",".join(_part(part) for part in look)
    text = f"{version}/{exchange_type}|{payloads}|{';'.join(_proposal(each) for each in proposals)}"
    digest = hashlib.sha256(text.encode(), usedforsecurity=False).hexdigest()[:16]
    return f"{digest} {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}"


def _part(part: Part) -> str:
    if isinstance(part, int):
        return str(int(part))
    kind, detail = part
    return f"{int(kind)}={detail.hex() if isinstance(detail, bytes) else int(detail)}"


def _proposal(proposal: Proposal) -> str:
    return f"{proposal.protocol}:" + "+".join(_transform(transform) for transform in proposal.transforms)


def _transform(transform: Transform) -> str:
    details = "".join(
        f"/{attribute.type}={attribute.value if isinstance(attribute.value, int) else attribute.value.hex()}"
        for attribute in transform.attributes
    )
    # An IKEv1 transform is a whole suite, described by its attributes.
    return f"{transform.type}={transform.id}{details}" if transform.number is None else f"{transform.id}{details}"


class Fingerprints:
    """Fingerprints of messages, each look computed once; what it remembers is bounded."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[Part, ...], bytes], str] = {}

    def of(self, message: IkeMessage, look: tuple[Part, ...], proposals: tuple[Proposal, ...], body: bytes) -> str:
        """The fingerprint; `body` are the octets of the SA payload that `proposals` were read from."""
        key = (message.exchange_type, look, body)
        known = self._known.get(key)
        if known is None:
            known = fingerprint(message.version_text, message.exchange_type, look, proposals)
            if len(body) <= _REMEMBERED_OCTETS and len(look) <= _REMEMBERED_PARTS:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        return known
