"""Which keys open the messages of an IKEv2 SA: those of the ring, and those derived from shared secrets.

One generation may follow another. The ICV decides; how often it is asked is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, permutations
from typing import Final

from ipsecanalyze.crypto.ike import IkeOpener, OpenedIke
from ipsecanalyze.crypto.ikev2 import initial_keys, next_generation
from ipsecanalyze.crypto.material import IkeKeys, SharedSecret
from ipsecanalyze.crypto.suite import IkeSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.tries import Tries
from ipsecanalyze.sa.records import Algorithm

__all__ = ["SECRETS_TRIED", "Beginning", "KeyTrial", "likely_secrets"]

#: Shared secrets and keys without SPIs that are tried for one IKE SA.
SECRETS_TRIED: Final = 32
#: Tries in vain of keys that are not said to be of this IKE SA, as long as nothing opens.
_PATIENCE: Final = 2_048
#: Generations that follow from shared secrets (RFC 9370 §2.1 allows seven key exchanges beside the first).
_GENERATIONS: Final = 8


@dataclass(slots=True)
class Beginning:
    """What the keys of an IKE SA depend on: its first exchange, or the CREATE_CHILD_SA that made it."""

    suite: IkeSuite
    nonce_i: bytes
    nonce_r: bytes
    chosen: list[Algorithm] = field(default_factory=list)
    """The suite in words, where it was in an opened message."""
    candidates: tuple[IkeKeys, ...] = ()
    """Keys that follow from the SA it replaces."""


class KeyTrial:
    """Opens messages with the keys that fit; `current` are those that opened the last one."""

    def __init__(
        self, ring: KeyRing, spi_i: int, spi_r: int, beginning: Beginning | None, in_all: Tries | None = None
    ) -> None:
        self._ring = ring
        self._in_all = Tries() if in_all is None else in_all
        self._spis = (spi_i, spi_r)
        self._beginning = beginning
        self._openers: list[IkeOpener] = []
        self._known: dict[tuple[bytes, bytes], list[IkeKeys]] = {}
        self._tries = 0
        self._generations = 0
        self.problems: list[str] = []
        """Why keys that are there cannot be used."""
        self.current: IkeOpener | None = None
        self.used: list[IkeKeys] = []
        """The generations that opened something, in order."""
        given = ring.ike_for(spi_i, spi_r, version=2, strays=SECRETS_TRIED)
        self._add(given[: 2 * SECRETS_TRIED])
        self._own = sum(bool(opener.keys.spi_i) for opener in self._openers)
        """How many of the first keys are said to be of this very IKE SA."""
        if beginning is not None:
            self._add(beginning.candidates)
            self._add(self._initial(beginning))

    def __bool__(self) -> bool:
        return bool(self._openers)

    def open(self, message: bytes) -> OpenedIke:
        """Open a message; raises DecryptError where no key does."""
        if not self._openers:
            raise DecryptError("there are no keys of this IKE SA", slug="missing-key")
        failure: DecryptError | None = None
        openers = self._in_order()
        for opener in openers:
            try:
                opened = opener.open(message)
            except DecryptError as error:
                # Too short for the algorithms of a stray key may be right for those of another.
                if error.slug not in ("icv", "missing-key", "unsupported", "key-length", "too-short"):
                    raise
                failure = error
                continue
            if opener is not self.current:
                self.current = opener
                self.used.append(opener.keys)
            return opened
        if self.current is None and len(openers) > self._own:
            self._tries += len(openers)
            self._in_all.left -= len(openers)
        raise failure or DecryptError("the keys are not those of this IKE SA", slug="icv")

    @property
    def alike(self) -> list[IkeKeys]:
        """The keys in use, and others that differ in what a PPK changes (RFC 8784 §3): SK_d, SK_pi and SK_pr."""
        if self.current is None:
            return []
        keys = self.current.keys
        return [keys, *(one for one in self._known[keys.sk_ei, keys.sk_er] if one is not keys)]

    def add_generation(self) -> None:
        """Both sides did another key exchange (RFC 9370 §2.2.2): what may follow from the secrets of the ring."""
        beginning = self._beginning
        if beginning is None or self.current is None or not self.current.keys.sk_d:
            return
        if self._generations < _GENERATIONS:
            self._generations += 1
            self._add(self._next(beginning, self.current.keys))

    def _in_order(self) -> list[IkeOpener]:
        """The keys in use, those of the generations behind them, then all others."""
        if self.current is None:
            # A stranger's messages must not keep the keys of this IKE SA from being tried on what comes behind.
            is_patient = self._tries < _PATIENCE and self._in_all.left > 0
            return self._openers if is_patient else self._openers[: self._own]
        place = self._openers.index(self.current)
        return [*self._openers[place:], *reversed(self._openers[:place])]

    def _secrets(self) -> list[SharedSecret]:
        return self._ring.shared_secrets_for(*self._spis, strays=SECRETS_TRIED)[:SECRETS_TRIED]

    def _initial(self, beginning: Beginning) -> Iterable[IkeKeys]:
        for secret in self._secrets():
            try:
                yield initial_keys(
                    beginning.suite,
                    secret.value,
                    beginning.nonce_i,
                    beginning.nonce_r,
                    *self._spis,
                    origin=secret.origin,
                )
            except DecryptError as error:
                self.problems.append(error.reason)
                return

    def _next(self, beginning: Beginning, keys: IkeKeys) -> Iterable[IkeKeys]:
        for secret in self._secrets():
            try:
                yield next_generation(
                    beginning.suite, keys, secret.value, beginning.nonce_i, beginning.nonce_r, origin=secret.origin
                )
            except DecryptError as error:
                self.problems.append(error.reason)
                return

    def _add(self, keys: Iterable[IkeKeys]) -> None:
        suite = self._beginning.suite if self._beginning is not None else None
        for one in keys:
            name = (one.sk_ei, one.sk_er)
            if not any(name):
                continue
            if name in self._known:
                if len(self._known[name]) < _GENERATIONS:
                    self._known[name].append(one)
                continue
            self._known[name] = [one]
            try:
                opener = IkeOpener(
                    one,
                    encryption=suite.encryption if suite is not None else None,
                    integrity=suite.integrity if suite is not None else None,
                )
            except DecryptError as error:
                self.problems.append(error.reason)
                continue
            self._openers.append(opener)


def likely_secrets(found: Sequence[SharedSecret], methods: Sequence[int], place: int) -> list[tuple[bytes, ...]]:
    """What SK(0), SK(1), … of a CREATE_CHILD_SA with these key exchange methods may be, the likeliest first.

    SK(0) is that of the exchange itself, the others of the IKE_FOLLOWUP_KE behind it (RFC 9370 §2.2.4). Logs have them
    in the order of the exchanges, `place` secrets before; charon prints the additional ones as one. There may be more
    than are tried.
    """
    fitting = [number for number, secret in enumerate(found) if secret.method in (None, methods[0])]
    fitting.sort(key=lambda number: abs(number - place))
    sizes = tuple(dict.fromkeys((len(methods), min(len(methods), 2))))

    def guesses() -> Iterator[Sequence[SharedSecret]]:
        for number in fitting:
            for size in sizes:
                yield found[number : number + size]
        if len(methods) > 1:
            nearest = sorted(range(len(found)), key=lambda number: abs(number - place))
            yield from chain(*(permutations([found[number] for number in nearest], size) for size in sizes))

    whole = (tuple(secret.value for secret in guess) for guess in guesses() if len(guess) in sizes)
    # Bounded before those that came twice are left out: permutations are many.
    return list(dict.fromkeys(islice(whole, 4 * SECRETS_TRIED)))[:SECRETS_TRIED]
