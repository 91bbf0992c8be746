"""Which keys are tried on which flow: a ring with an index, and a budget for tries.

What a stranger's packets may cost is bounded here: of the keys of a flow's own SPI the likeliest are tried on any
packet; further ones, and keys of unknown SPI, on its first packets only, so often in all, and others are few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ipsecanalyze.crypto.encryption import ENCRYPTION
from ipsecanalyze.crypto.integrity import INTEGRITY
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.keys.ring import KeyRing

__all__ = ["KeyChain", "algorithm_names", "variants"]

#: Keys of the flow's own SPI that are tried on it, and on its first packets only; then others: of unknown SPI; of the
#: same two addresses.
_MOST_OWN: Final = 32
_MOST_FURTHER: Final = 256
_MOST_UNKNOWN: Final = 256
_MOST_OTHER: Final = 16
#: Tries with keys that are not the flow's own, over all flows.
_TRIES: Final = 200_000
#: Keys that may be ranked for flows in all, where SPIs are unknown.
_RANKED: Final = 5_000_000
_MOST_PER_PAIR: Final = 64


class KeyChain:
    """The ESP and AH keys of a ring, as flows ask for them."""

    def __init__(self, ring: KeyRing) -> None:
        self._known = KeyRing()
        self._unknown = KeyRing()
        self._own: Counter[tuple[str, int]] = Counter()
        self._pairs: dict[frozenset[str], list[EspKeys]] = {}
        self._tries = _TRIES
        self._ranked = _RANKED
        self.add(ring.esp)

    def add(self, keys: Iterable[EspKeys]) -> None:
        """Take more keys, for flows that have not begun yet."""
        for key in keys:
            if key.spi is None:
                self._unknown.add(key)
                continue
            before = len(self._known)
            self._known.add(key)
            self._own[key.protocol, key.spi] += len(self._known) - before
            if key.source and key.destination:
                pair = self._pairs.setdefault(frozenset((key.source, key.destination)), [])
                if len(pair) < _MOST_PER_PAIR:
                    pair.append(key)

    def own(self, protocol: str, source: str, destination: str, spi: int) -> list[EspKeys]:
        """Keys that say that they are of this SPI, the likeliest first."""
        return self._known.esp_for(source, destination, spi, protocol)[:_MOST_OWN]

    def unknown(self, protocol: str, source: str, destination: str, spi: int) -> list[EspKeys]:
        """Further keys of this SPI, then those of which nobody knows it, the likeliest first.

        None once too much was spent on them.
        """
        further: list[EspKeys] = []
        if self._tries > 0 and self._own[protocol, spi] > _MOST_OWN:
            further = self._known.esp_for(source, destination, spi, protocol)[_MOST_OWN:][:_MOST_FURTHER]
        count = len(self._unknown)
        if not count or self._ranked < count or self._tries <= 0:
            return further
        self._ranked -= count
        return further + self._unknown.esp_for(source, destination, spi, protocol)[:_MOST_UNKNOWN]

    def left_out(self, protocol: str, spi: int) -> str:
        """What was not tried on an SPI because of the bounds, in words; empty where all keys were."""
        own, unknown = self._own[protocol, spi], len(self._unknown)
        if own > _MOST_OWN + _MOST_FURTHER:
            return f"of {own} keys for this SPI only the likeliest {_MOST_OWN + _MOST_FURTHER} were tried"
        if unknown > _MOST_UNKNOWN:
            return f"of {unknown} keys whose SPI is not known only the likeliest {_MOST_UNKNOWN} were tried"
        if (own > _MOST_OWN or unknown) and (self._tries <= 0 or self._ranked < unknown):
            return "so many keys were tried in vain on all flows that further ones were left out"
        return ""

    def others(self, protocol: str, source: str, destination: str, spi: int) -> list[EspKeys]:
        """Keys of other SPIs between the same two addresses."""
        pair = self._pairs.get(frozenset((source, destination)), ())
        return [key for key in pair if key.spi != spi and key.protocol == protocol][:_MOST_OTHER]

    def spend(self) -> bool:
        """Whether one more try with a key that is not the flow's own is allowed."""
        self._tries -= 1
        return self._tries >= 0


def variants(keys: EspKeys) -> Iterator[tuple[EspKeys, str]]:
    """The same key with another size of the ICV, or other sequence numbers, and what that means in words."""
    row = ENCRYPTION.get(keys.encryption)
    is_aead = keys.protocol == "ESP" and row is not None and row.is_aead
    sizes: tuple[int, ...] = ()
    usual = 0
    if is_aead and row is not None and row.mode in ("gcm", "ccm"):
        sizes, usual = (8, 12, 16), row.icv_octets
    elif not is_aead and keys.is_checked and keys.integrity in INTEGRITY:
        integrity = INTEGRITY[keys.integrity]
        if integrity.make is not None:
            sizes, usual = (12, 16, 20, 24, 32), integrity.icv_octets
    said = usual if keys.icv_octets is None else keys.icv_octets
    for size in sizes:
        if size != said:
            yield replace(keys, icv_octets=size), f"the ICV has {size} octets, not {said} as its key says"
    if keys.esn is False:
        yield replace(keys, esn=None), "sequence numbers are extended (ESN), which its key denies"


def algorithm_names(keys: EspKeys) -> str:
    """The algorithms as people write them: "AES_GCM_16_256", "AES_CBC_128/HMAC_SHA2_256_128"."""
    names = []
    bits = 8 * len(keys.encryption_key)
    row = ENCRYPTION.get(keys.encryption)
    is_aead = row is not None and row.is_aead
    if keys.protocol == "ESP":
        name = row.name if row is not None else str(keys.encryption)
        has_sizes = row is not None and len(row.key_octets) > 1
        names.append(name.removeprefix("ENCR_") + (f"_{bits}" if has_sizes else ""))
    if keys.protocol == "AH" or not is_aead:
        integrity = INTEGRITY.get(keys.integrity)
        name = integrity.name if integrity is not None else str(keys.integrity)
        if not keys.is_checked:
            name = "not checked"
        elif integrity is not None and keys.icv_octets not in (None, integrity.icv_octets):
            name = f"{name} cut to {8 * (keys.icv_octets or 0)} bits"
        names.append(name.removeprefix("AUTH_"))
    return "/".join(names)


def refusal(error: DecryptError) -> tuple[str, str]:
    """Slug and words of why a key cannot be used at all."""
    return error.slug, error.reason
