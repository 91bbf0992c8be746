"""The IVs of IKEv1's messages (RFC 2409 Appendix B): one chain through phase 1, one for each later message ID.

A chain goes on with the last block of ciphertext, whoever sent it. Captures lose messages and strangers add some, so
several blocks are remembered, and tried from the newest on. Bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ipsecanalyze.crypto.ikev1 import message_iv, phase1_iv
from ipsecanalyze.opening.v1_phase1 import PHASE_1, Phase1

__all__ = ["Chains"]

#: Blocks that are remembered of a chain.
_BLOCKS: Final = 6
_MOST_OCTETS: Final = 16
#: Message IDs whose chains are remembered; the oldest makes room.
_CHAINS: Final = 1_024


class Chains:
    """Where the chains of one IKE SA are."""

    def __init__(self) -> None:
        self._phase1: list[bytes] = []
        self._later: dict[int, list[bytes]] = {}

    def ivs(
        self, phase1: Phase1, prf: int | None, encryption: int, block: int, exchange_type: int, message_id: int
    ) -> Iterator[bytes]:
        """The IVs that a message may have, the likeliest first. Raises DecryptError."""
        if exchange_type in PHASE_1:
            yield from (octets[-block:] for octets in reversed(self._phase1))
            if prf is not None and len(phase1.public) == 2:
                yield phase1_iv(prf, encryption, phase1.public[True], phase1.public[False])
            return
        yield from (octets[-block:] for octets in reversed(self._later.get(message_id, ())))
        if prf is None:
            return
        for octets in reversed(self._phase1):
            yield message_iv(prf, octets[-block:], message_id)
        if len(phase1.public) == 2:
            # Nothing of phase 1 was encrypted (aggressive mode), or what was is not in the capture.
            first = phase1_iv(prf, encryption, phase1.public[True], phase1.public[False])
            yield message_iv(prf, first, message_id)

    def has(self, message_id: int) -> bool:
        """Whether a message of this later exchange was seen."""
        return message_id in self._later

    def advance(self, exchange_type: int, message_id: int, sealed: bytes) -> None:
        """Go on behind a message that was not seen before; `sealed` is its ciphertext."""
        if exchange_type in PHASE_1:
            chain = self._phase1
        else:
            if message_id not in self._later and len(self._later) >= _CHAINS:
                del self._later[next(iter(self._later))]
            chain = self._later.setdefault(message_id, [])
        chain.append(sealed[-_MOST_OCTETS:])
        del chain[:-_BLOCKS]
