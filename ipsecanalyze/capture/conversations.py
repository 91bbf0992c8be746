"""The UDP conversations on unusual ports that were recognised as IKE, and the SPIs seen on the usual ones.

Two bounded tables; what was not used for longest goes first, and is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Conversations", "Endpoint"]

Endpoint = tuple[bytes, int]
"""(address, port)."""
_NO_SPI = bytes(8)


class Conversations:
    """Remembers at most `limit` conversations (both directions are one) and as many initiator SPIs."""

    __slots__ = ("_known", "_limit", "_spis", "evicted", "on_new")

    def __init__(self, limit: int = 65_536) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[Endpoint, Endpoint], bool] = OrderedDict()
        self._spis: OrderedDict[bytes, None] = OrderedDict()
        self.evicted = 0
        """Conversations and SPIs forgotten because of the limit."""
        self.on_new: Callable[[Endpoint, Endpoint], None] | None = None
        """Called for each conversation that was not known."""

    def pairs(self) -> list[tuple[Endpoint, Endpoint]]:
        """The conversations that are known."""
        return list(self._known)

    def remember(self, one: Endpoint, other: Endpoint, *, nat_traversal: bool) -> None:
        """The two speak IKE; `nat_traversal` where behind a non-ESP marker, so that ESP may follow."""
        key = (one, other) if one <= other else (other, one)
        if self.on_new is not None and key not in self._known:
            self.on_new(one, other)
        self._known[key] = self._known.get(key, False) or nat_traversal
        self._known.move_to_end(key)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
            self.evicted += 1

    def get(self, one: Endpoint, other: Endpoint) -> bool | None:
        """Whether the two are known to use the non-ESP marker; None where they are not known."""
        if not self._known:
            return None
        key = (one, other) if one <= other else (other, one)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def remember_spi(self, spi: bytes) -> None:
        """An IKE message with this initiator SPI was seen on port 500 or 4500."""
        spis = self._spis
        if spi in spis:
            spis.move_to_end(spi)
            return
        if len(spi) < 8 or spi == _NO_SPI:
            return
        spis[spi] = None
        if len(spis) > self._limit:
            spis.popitem(last=False)
            self.evicted += 1

    def knows_spi(self, spi: bytes) -> bool:
        """Whether that initiator SPI was seen on port 500 or 4500."""
        return spi in self._spis
