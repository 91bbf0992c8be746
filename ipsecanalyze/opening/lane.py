"""One flow on its way through the opening: which key opens it, and what became of its packets.

The first packets decide on the key. Then each packet costs one try; a packet that fails makes the other candidates be
tried seldom, and flows that no key opens are tried seldom too. So forged packets cost little, and so do wrong keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from ipsecanalyze.crypto.ah import AhOpener
from ipsecanalyze.crypto.esp import EspOpener, OpenedEsp
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.opening.inside import CONVERSATIONS, Inside
from ipsecanalyze.opening.keychain import KeyChain, algorithm_names, variants

__all__ = ["Lane"]

#: The first packets of a flow, on which keys are tried that are not its own, and variants of its own.
_FIRST: Final = 3
#: Packets in vain after which only each 16th is tried.
_PATIENCE: Final = 256
_SELDOM: Final = 16
#: Packets that other candidates may be tried on after one has opened something.
_SWITCHES: Final = 4_096
#: What a capture can be blamed for, not the key.
_DAMAGE: Final = frozenset(("too-short", "malformed", "truncated"))
#: What counts as wrong key.
_WRONG: Final = frozenset(("icv", "padding", "length", "too-short"))
#: Next headers that a packet of an SA without ICV may have, apart from IP itself.
_LIKELY: Final = frozenset((1, 2, 6, 17, 41, 43, 44, 47, 58, 59, 89, 94, 108, 132))


class _Opener(Protocol):
    keys: EspKeys
    verifies: bool

    def open(self, packet: bytes) -> OpenedEsp: ...


class _AhOpener:
    """AH behind the interface of `EspOpener`; the packet is an IP packet."""

    def __init__(self, keys: EspKeys) -> None:
        self.keys = keys
        self.verifies = True
        self._open = AhOpener(keys).open

    def open(self, packet: bytes) -> OpenedEsp:
        """Verify it."""
        found = self._open(packet)
        return OpenedEsp(found.payload, found.next_header, 0, False, found.sequence_high, True)


def _opener(keys: EspKeys) -> _Opener:
    return _AhOpener(keys) if keys.protocol == "AH" else EspOpener(keys)


class Lane:
    """The packets of one flow, in their order."""

    __slots__ = (
        "_chain",
        "_conversations",
        "_failures",
        "_inside",
        "_misses",
        "_openers",
        "_switches",
        "_tried",
        "key",
        "opener",
        "refused",
        "result",
        "unopened",
    )

    def __init__(self, key: FlowKey, chain: KeyChain, conversations: int = CONVERSATIONS) -> None:
        self.key = key
        self.result = FlowOpening()
        self.opener: _Opener | None = None
        """What opens it, once that is known."""
        self.refused: DecryptError | None = None
        """Why a key of this SPI cannot be used."""
        self.unopened = 0
        """Packets of which no reason is told but that there is no key."""
        self._chain = chain
        self._conversations = conversations
        self._openers: list[_Opener] | None = None
        self._inside: Inside | None = None
        self._failures = 0  # packets in vain before any success
        self._misses = 0  # packets in vain since the last success
        self._switches = _SWITCHES
        self._tried = 0

    @property
    def is_sure(self) -> bool:
        """Whether every packet so far was tried with the one key that opens it, and nothing was given up."""
        return self.opener is not None and self._failures == 0 and self._switches == _SWITCHES

    @property
    def is_steady(self) -> bool:
        """Whether the last packet was opened."""
        return self.opener is not None and not self._misses

    @property
    def inside(self) -> Inside:
        """The conversations inside."""
        if self._inside is None:
            self._inside = Inside(self._conversations)
        return self._inside

    def open(self, packet: bytes, missing: int = 0) -> OpenedEsp | None:
        """Open a packet: ESP from its SPI on, or the IP packet that carries AH. None where that fails.

        `missing`: octets that the capture cut off.
        """
        result = self.result
        result.packets += 1
        if missing:
            result.truncated += 1
            return None
        opener = self.opener
        if opener is None:
            return self._search(packet)
        try:
            opened = opener.open(packet)
        except DecryptError as error:
            return self._failed(packet, error)
        self._misses = 0
        return opened

    def finish_open(self, packet: bytes, opened: OpenedEsp | DecryptError) -> OpenedEsp | None:
        """What `open` does, behind its opener's `open`."""
        self.result.packets += 1
        if isinstance(opened, DecryptError):
            return self._failed(packet, opened)
        self._misses = 0
        return opened

    def count(self, opened: OpenedEsp, inner: bytes | None) -> None:
        """Count what was opened, and the inner packet that came of it."""
        result = self.result
        result.opened += 1
        kinds, kind = result.next_headers, opened.next_header
        kinds[kind] = kinds.get(kind, 0) + 1
        if opened.padding_wrong:
            result.padding_wrong += 1
        if inner is None:
            result.dummy += opened.is_dummy
            return
        octets = len(inner)
        result.inner_octets += octets
        if kind in (4, 41):
            result.tfc_octets += len(opened.payload) - octets
        self.inside.take(inner, octets)

    def count_malformed(self) -> None:
        """Count a packet that was opened, but whose contents cannot be read (IPComp, BEET)."""
        self.result.opened += 1
        self.result.malformed += 1

    # Finding the key

    def _search(self, packet: bytes) -> OpenedEsp | None:
        openers = self._openers
        if openers is None:
            openers = self._openers = list(self._own())
        failures = self._failures
        if failures > _PATIENCE and failures % _SELDOM:
            self._failures += 1
            if openers:
                self.result.skipped += 1
            else:
                self.unopened += 1
            return None
        opened, error = self._try(openers, packet)
        if opened is None and failures < _FIRST:
            opened = self._try_further(packet)
        if opened is not None:
            return opened
        self._failures += 1
        if error is not None:
            self._blame(error)
        elif self._tried:
            self.result.icv_wrong += 1
        else:
            self.unopened += 1
        return None

    def _own(self) -> Iterator[_Opener]:
        for keys in self._chain.own(*self.key[:4]):
            try:
                yield _opener(keys)
            except DecryptError as error:
                self.refused = self.refused or error

    def _try(self, openers: Iterable[_Opener], packet: bytes) -> tuple[OpenedEsp | None, DecryptError | None]:
        worst: DecryptError | None = None
        for opener in openers:
            try:
                opened = opener.open(packet)
            except DecryptError as error:
                worst = error if worst is None or error.slug == "icv" else worst
                continue
            if opener.verifies or _makes_sense(opened):
                self._settle(opener)
                return opened, None
            worst = worst or DecryptError("the contents make no sense", slug="padding")
        return None, worst

    def _try_further(self, packet: bytes) -> OpenedEsp | None:
        """Try on one of the first packets what costs more: keys of unknown SPI, variants, keys of other SPIs."""
        chain = self._chain
        own = [opener.keys for opener in self._openers or ()]
        further = [(keys, "") for keys in chain.unknown(*self.key[:4])]
        further += [variant for keys in own[:4] for variant in variants(keys)]
        further += [(keys, f"its key is listed with SPI {keys.spi:08x}") for keys in chain.others(*self.key[:4])]
        for keys, note in further:
            if not chain.spend():
                break
            try:
                opener = _opener(keys)
            except DecryptError:
                continue
            if note and not opener.verifies:
                continue
            self._tried += not note
            opened, _ = self._try((opener,), packet)
            if opened is not None:
                if note:
                    self.result.notes.append(note)
                return opened
        return None

    def _settle(self, opener: _Opener) -> None:
        self.opener = opener
        result, keys = self.result, opener.keys
        result.algorithms, result.key_origin, result.is_verified = algorithm_names(keys), keys.origin, opener.verifies
        self._misses = 0

    def _failed(self, packet: bytes, error: DecryptError) -> OpenedEsp | None:
        """The key that opened others does not open this packet."""
        self._misses += 1
        misses = self._misses
        others = [opener for opener in self._openers or () if opener is not self.opener]
        if others and error.slug in _WRONG and misses & (misses - 1) == 0 and self._switches > 0:
            # An SPI can be used again, with other keys.
            self._switches -= 1
            opened, _ = self._try([opener for opener in others if opener.verifies], packet)
            if opened is not None:
                return opened
        self._blame(error)
        return None

    def _blame(self, error: DecryptError) -> None:
        result = self.result
        if error.slug == "padding":
            result.padding_wrong += 1
        elif error.slug in _DAMAGE:
            result.malformed += 1
        else:
            result.icv_wrong += 1

    # What came of it

    def finish(self) -> FlowOpening:
        """The result, with reasons and conversations."""
        from ipsecanalyze.opening.reasons import explain

        result = self.result
        self._fold()
        if self._inside is not None:
            result.conversations, result.conversations_dropped = self._inside.conversations()
        if self.opener is not None and isinstance(self.opener, EspOpener):
            result.esn = self.opener.sequence.last is not None
        elif self.opener is not None:
            result.esn = None
        explain(self, self._chain)
        return result

    def _fold(self) -> None:
        """Count what took the short way: plain IPv4 packets, each opened."""
        inside, result = self._inside, self.result
        if inside is None:
            return
        inside.fold()
        packets, inside.quick_packets = inside.quick_packets, 0
        if packets:
            result.packets += packets
            result.opened += packets
            result.next_headers[4] = result.next_headers.get(4, 0) + packets
            result.inner_octets += inside.quick_octets
            inside.quick_octets = 0

    @property
    def candidates(self) -> list[EspKeys]:
        """The keys of its own SPI that could be used."""
        return [opener.keys for opener in self._openers or ()]

    @property
    def tried_unknown(self) -> int:
        """Tries with keys of unknown SPI."""
        return self._tried

    def restore(self, result: FlowOpening, inside: Inside | None, unopened: int, keys: EspKeys | None) -> None:
        """Become the lane that another process had of the beginning of the capture."""
        self.result, self.unopened = result, unopened
        self._openers = list(self._own())
        self.opener = _opener(keys) if keys is not None else None
        if inside is not None:
            self.inside.merge(inside)

    def merge(self, following: FlowOpening, inside: Inside | None, unopened: int) -> None:
        """Put behind this what another process saw of the following piece of the capture."""
        self._fold()
        mine = self.result
        for name in _SUMS:
            setattr(mine, name, getattr(mine, name) + getattr(following, name))
        for kind, count in following.next_headers.items():
            mine.next_headers[kind] = mine.next_headers.get(kind, 0) + count
        self.unopened += unopened
        if inside is not None:
            self.inside.merge(inside)


_SUMS: Final = (
    "packets", "opened", "icv_wrong", "padding_wrong", "dummy", "truncated", "malformed", "skipped", "inner_octets",
    "tfc_octets",
)  # fmt: skip


def _makes_sense(opened: OpenedEsp) -> bool:
    """Whether a packet that nothing vouches for looks like one that was opened with the right key."""
    payload, size = opened.payload, len(opened.payload)
    if opened.next_header == 4:
        return (
            size >= 20 and payload[0] >> 4 == 4 and payload[0] & 15 >= 5 and 20 <= payload[2] << 8 | payload[3] <= size
        )
    if opened.next_header == 41:
        return size >= 40 and payload[0] >> 4 == 6 and 40 + (payload[4] << 8 | payload[5]) <= size
    return opened.next_header in _LIKELY
