"""Opening all IKE SAs of an analysis with a ring of keys, and hanging what that reveals on the ring.

IKE SAs are taken in order of their first message, so that what replaces another comes behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.ike_v1 import open_v1
from ipsecanalyze.opening.ike_v2 import Beginnings, open_v2
from ipsecanalyze.opening.revealed import Revealed
from ipsecanalyze.opening.tries import Tries
from ipsecanalyze.sa.outcome import describe
from ipsecanalyze.sa.records import Certainty, IkeSa, MessageRecord, State

__all__ = ["OpenedIkeSas", "open_ike"]


@dataclass(slots=True)
class OpenedIkeSas:
    """What came of it."""

    ring: KeyRing
    """The keys that were given, and those that follow from opened messages."""
    revealed: dict[str, Revealed] = field(default_factory=dict)
    """By the id of the IKE SA."""


def open_ike(ike_sas: Sequence[IkeSa], messages: Sequence[MessageRecord], ring: KeyRing) -> OpenedIkeSas:
    """Open what can be opened; IKE SAs and messages are brought up to what was seen inside. Never raises."""
    complete = KeyRing()
    complete.merge(ring)
    result = OpenedIkeSas(complete)
    records: dict[str, list[MessageRecord]] = {}
    for record in messages:
        if record.ike_sa is not None:
            records.setdefault(record.ike_sa.id, []).append(record)
    beginnings: Beginnings = {}
    in_all = Tries()
    by_spis: dict[tuple[int, int], IkeSa] = {}
    for sa in ike_sas:
        own = records.get(sa.id, [])
        by_spis[sa.initiator.spi, sa.responder.spi] = sa
        is_v2 = sa.version.startswith("2")
        revealed = open_v2(sa, own, ring, beginnings, in_all) if is_v2 else open_v1(sa, own, ring, in_all)
        result.revealed[sa.id] = revealed
        for child in revealed.children:
            complete.add(*child.keys)
        complete.add(*revealed.keys)
    _link(ike_sas, result.revealed, by_spis)
    return result


def _inherit(heir: IkeSa, sa: IkeSa, *, same: bool) -> None:
    """Nobody proves again who he is when an IKE SA is replaced; either side may have asked for it."""
    sides = (sa.initiator, sa.responder) if same else (sa.responder, sa.initiator)
    methods = (sa.authentication_initiator, sa.authentication_responder)
    heir.initiator.identity, heir.responder.identity = sides[0].identity, sides[1].identity
    heir.authentication_initiator, heir.authentication_responder = methods if same else methods[::-1]


def _link(ike_sas: Sequence[IkeSa], revealed: dict[str, Revealed], by_spis: dict[tuple[int, int], IkeSa]) -> None:
    """Rekeyings of IKE SAs that were seen, instead of concluded from times and addresses (RFC 7296 §2.18)."""
    for sa in ike_sas:
        for spis in revealed[sa.id].successors:
            heir = by_spis.get(spis)
            if heir is None or heir is sa:
                continue
            heir.rekeys = sa.id
            _inherit(heir, sa, same=spis not in revealed[sa.id].turned)
            sa.state, sa.certainty, sa.reason = State.REKEYED, Certainty.OBSERVED, f"replaced by {heir.id}"
            sa.outcome, heir.outcome = describe(sa), describe(heir)
