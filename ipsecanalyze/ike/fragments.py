"""Fragments of IKE messages: Cisco's of IKEv1, put together again, and RFC 7383's of IKEv2, kept account of.

IKEv2 encrypts each fragment by itself, so its pieces are collected here in any order and joined once they are opened.
A stranger can send fragments of messages that never end: every table is bounded and counts what it drops.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads import EncryptedFragmentPayload, FragmentPayload

__all__ = [
    "CiscoReassembler",
    "FragmentBook",
    "FragmentKey",
    "FragmentSet",
    "FragmentStatus",
    "fragment_key",
]

_T = TypeVar("_T")


class FragmentStatus(StrEnum):
    """What a fragment meant for the message it belongs to."""

    NEW = "new"
    """A piece that was missing."""
    COMPLETE = "complete"
    """The last piece that was missing."""
    DUPLICATE = "duplicate"
    """A piece that is there already (a retransmission)."""
    RESTARTED = "restarted"
    """The first piece of a division into more fragments: what was there before is void (RFC 7383 §2.6)."""
    STALE = "stale"
    """A piece of a division into fewer fragments, which the sender gave up (RFC 7383 §2.6)."""
    INVALID = "invalid"
    """Number 0, or beyond the total (RFC 7383 §2.6)."""


@dataclass(frozen=True, slots=True)
class FragmentKey:
    """What the fragments of one IKEv2 message have in common (RFC 7383 §2.6)."""

    spi_i: int
    spi_r: int
    message_id: int
    exchange_type: int
    from_initiator: bool
    is_response: bool


def fragment_key(message: IkeMessage) -> FragmentKey:
    """The key of the message that a fragment is part of."""
    return FragmentKey(
        message.spi_i,
        message.spi_r,
        message.message_id,
        message.exchange_type,
        message.from_initiator,
        message.is_response,
    )


@dataclass(slots=True)
class FragmentSet(Generic[_T]):
    """The fragments of one IKEv2 message, in whatever order they come; `_T` is what is kept of each."""

    total: int = 0
    """How many there are, as the fragments say."""
    pieces: dict[int, _T] = field(default_factory=dict)
    """Fragment number → what was kept of it."""
    duplicates: int = 0
    restarts: int = 0
    """How often the sender divided the message anew."""

    @property
    def is_complete(self) -> bool:
        """Whether all fragments are there."""
        return 0 < self.total == len(self.pieces)

    @property
    def missing(self) -> list[int]:
        """The numbers of the fragments that are not there (the first hundred)."""
        found: list[int] = []
        for number in range(1, self.total + 1):
            if number not in self.pieces:
                found.append(number)
                if len(found) == 100:
                    break
        return found

    def in_order(self) -> list[_T]:
        """What was kept, by fragment number."""
        return [self.pieces[number] for number in sorted(self.pieces)]

    def add(self, number: int, total: int, piece: _T) -> FragmentStatus:
        """Take fragment `number` of `total`, by the rules of RFC 7383 §2.6."""
        if not 1 <= number <= total:
            return FragmentStatus.INVALID
        if total < self.total:
            return FragmentStatus.STALE
        restarted = 0 < self.total < total
        if restarted:
            self.pieces.clear()
            self.restarts += 1
        self.total = total
        if number in self.pieces:
            self.duplicates += 1
            return FragmentStatus.DUPLICATE
        self.pieces[number] = piece
        if len(self.pieces) == total:
            return FragmentStatus.COMPLETE
        return FragmentStatus.RESTARTED if restarted else FragmentStatus.NEW


class FragmentBook(Generic[_T]):
    """The fragment sets of many messages; the one that was touched longest ago makes room for a new one."""

    def __init__(self, *, sets: int = 4_096, pieces: int = 65_536) -> None:
        self.sets: OrderedDict[Hashable, FragmentSet[_T]] = OrderedDict()
        self.limit_sets = sets
        self.limit_pieces = pieces
        self.dropped_sets = 0
        """Incomplete sets that a limit pushed out."""
        self._pieces = 0

    def __len__(self) -> int:
        return len(self.sets)

    def add(
        self, key: Hashable, payload: EncryptedFragmentPayload, piece: _T
    ) -> tuple[FragmentStatus, FragmentSet[_T]]:
        """Take the fragment of the message with this key; what happened, and the set it is in."""
        found = self.sets.get(key)
        if found is None:
            found = self.sets[key] = FragmentSet()
        else:
            self.sets.move_to_end(key)
        before = len(found.pieces)
        status = found.add(payload.fragment_number, payload.total_fragments, piece)
        self._pieces += len(found.pieces) - before
        while len(self.sets) > 1 and (len(self.sets) > self.limit_sets or self._pieces > self.limit_pieces):
            self._drop_oldest()
        return status, found

    def discard(self, key: Hashable) -> None:
        """Forget a message, once it was put together or its SA is gone."""
        found = self.sets.pop(key, None)
        if found is not None:
            self._pieces -= len(found.pieces)

    def _drop_oldest(self) -> None:
        _, oldest = self.sets.popitem(last=False)
        self._pieces -= len(oldest.pieces)
        self.dropped_sets += not oldest.is_complete


@dataclass(slots=True)
class _CiscoMessage:
    pieces: dict[int, bytes] = field(default_factory=dict)
    last: int = 0
    octets: int = 0


class CiscoReassembler:
    """Puts the fragments of IKEv1 messages together (payload 132, [MS-IKEE] §2.2.4).

    The pieces, in the order of their numbers from 1 to the one marked last, are a whole IKE message with its header.
    """

    def __init__(self, *, messages: int = 1_024, octets: int = 4 << 20, message_octets: int = 128 << 10) -> None:
        self._messages: OrderedDict[Hashable, _CiscoMessage] = OrderedDict()
        self._limit_messages = messages
        self._limit_octets = octets
        self._limit_message_octets = message_octets
        self._octets = 0
        self.duplicates = 0
        """Fragments that were there already."""
        self.dropped = 0
        """Messages that a limit pushed out before they were complete."""

    def __len__(self) -> int:
        """Messages that are not complete yet."""
        return len(self._messages)

    def add(self, message: IkeMessage, sender: Hashable = None) -> bytes | None:
        """Take a message that holds a fragment; the octets of the whole message where it was the last one missing.

        `sender` keeps both directions (and strangers who guess SPIs) apart: addresses, for instance. None for
        anything that is no fragment. The result goes to `parse_ike`.
        """
        fragment = message.find(FragmentPayload)
        if fragment is None or fragment.fragment_number == 0:
            return None
        key = (sender, message.spi_i, message.spi_r, message.message_id, fragment.fragment_id)
        found = self._messages.get(key)
        if found is None:
            found = self._messages[key] = _CiscoMessage()
        else:
            self._messages.move_to_end(key)
        if fragment.fragment_number in found.pieces:
            self.duplicates += 1
            return None
        found.pieces[fragment.fragment_number] = fragment.data
        found.octets += len(fragment.data)
        self._octets += len(fragment.data)
        if fragment.is_last:
            found.last = fragment.fragment_number
        if found.last and all(number in found.pieces for number in range(1, found.last + 1)):
            self._forget(key)
            return b"".join([found.pieces[number] for number in range(1, found.last + 1)])
        if found.octets > self._limit_message_octets:
            self._drop(key)
        while len(self._messages) > self._limit_messages or self._octets > self._limit_octets:
            self._drop(next(iter(self._messages)))
        return None

    def _forget(self, key: Hashable) -> None:
        self._octets -= self._messages.pop(key).octets

    def _drop(self, key: Hashable) -> None:
        self._forget(key)
        self.dropped += 1
