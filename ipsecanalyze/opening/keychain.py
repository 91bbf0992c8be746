"""Which keys are tried on which flow: a ring with an index, and a budget for tries.

What a stranger's packets may cost is bounded here: keys of unknown SPI are tried on a flow's first packets only, on so
many in all, and candidates beside those of the flow's own SPI are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ipsecanalyze.crypto.encryption import ENCRYPTION
from ipsecanalyze.crypto.integrity import INTEGRITY
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.keys.ring import KeyRing

__all__ = ["KeyChain", "algorithm_names", "variants"]

#: Keys of the flow's own SPI that are tried on it, and others: of unknown SPI; of the same two addresses.
_MOST_OWN: Final = 32
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
            self._known.add(key)
            if key.source and key.destination:
                pair = self._pairs.setdefault(frozenset((key.source, key.destination)), [])
                if len(pair) < _MOST_PER_PAIR:
                    pair.append(key)

    def own(self, protocol: str, source: str, destination: str, spi: int) -> list[EspKeys]:
        """Keys that say that they are of this SPI, the likeliest first."""
        return self._known.esp_for(source, destination, spi, protocol)[:_MOST_OWN]

    def unknown(self, protocol: str, source: str, destination: str, spi: int) -> list[EspKeys]:
        """Keys of which nobody knows the SPI, the likeliest first; none once too much was spent on them."""
        count = len(self._unknown)
        if not count or self._ranked < count or self._tries <= 0:
            return []
        self._ranked -= count
        return self._unknown.esp_for(source, destination, spi, protocol)[:_MOST_UNKNOWN]

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
