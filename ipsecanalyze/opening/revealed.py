"""What the opening of IKE messages reveals, for those who go on with it: of Child SAs, and of how far it came.

Data only: `ike_v2.py` and `ike_v1.py` fill it, `ike.py` gathers it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ipsecanalyze.crypto.material import EspKeys, IkeKeys
from ipsecanalyze.sa.records import Algorithm

__all__ = ["Revealed", "RevealedChild"]


@dataclass(slots=True)
class RevealedChild:
    """A Child SA (IKEv2), or what a Quick Mode made (IKEv1), as its two sides agreed on it."""

    frame: int
    """Of the answer."""
    protocol: str
    """"ESP" or "AH"."""
    initiator_spi: int
    """The SPI that the initiator of the *IKE SA* chose: it is on packets towards it."""
    responder_spi: int
    initiator_address: str = ""
    responder_address: str = ""
    """Where the sides of the IKE SA were when it was made."""
    mode: str = "tunnel"
    """"tunnel", "transport", "beet"."""
    chosen: list[Algorithm] = field(default_factory=list)
    esn: bool = False
    selectors_initiator: list[str] = field(default_factory=list)
    """Of the initiator of the IKE SA, as in "10.1.0.0/24", "10.1.0.10[tcp/80]"."""
    selectors_responder: list[str] = field(default_factory=list)
    rekeys_spi: int | None = None
    """The SPI of the Child SA that it replaces, as the message names it (the SPI that its sender receives with)."""
    has_key_exchange: bool = False
    """It came with a key exchange of its own (perfect forward secrecy)."""
    keys: list[EspKeys] = field(default_factory=list)
    """For both directions; of several candidates the ICV tells the right one. Empty: `missing` says why."""
    missing: str = ""


@dataclass(slots=True)
class Revealed:
    """What one IKE SA revealed."""

    opened: int = 0
    """Messages (fragments counted one by one)."""
    failed: Counter[str] = field(default_factory=Counter)
    """Why others were not opened: a clause for people → messages."""
    children: list[RevealedChild] = field(default_factory=list)
    keys: list[IkeKeys] = field(default_factory=list)
    """The generations of keys that opened something, in order; derived ones too."""
    successors: list[tuple[int, int]] = field(default_factory=list)
    """The SPIs of IKE SAs that replace this one (CREATE_CHILD_SA with an IKE proposal)."""
    turned: set[tuple[int, int]] = field(default_factory=set)
    """Those of `successors` that the responder asked for, so that it is their initiator."""
