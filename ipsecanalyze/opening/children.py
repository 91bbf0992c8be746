"""Child SAs as they were seen in opened messages, instead of those that flows were paired to.

What was seen takes the place of what was inferred for the same SPIs; flows are tied to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.opening.revealed import Revealed, RevealedChild
from ipsecanalyze.sa.records import Certainty, ChildSa, IkeSa

__all__ = ["observe_children"]


class _Flows:
    """Flows by what an ESP or AH SA is known by: its SPI and the address of its receiver (RFC 4301 §4.1)."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        self._towards: dict[tuple[str, int, str], list[Flow]] = {}
        self._by_spi: dict[tuple[str, int], list[Flow]] = {}
        for flow in flows:
            self._towards.setdefault((flow.protocol, flow.spi, flow.destination), []).append(flow)
            self._by_spi.setdefault((flow.protocol, flow.spi), []).append(flow)

    def of(self, protocol: str, spi: int, address: str, sa: IkeSa) -> list[Flow]:
        """Those to this address, or, where a side moved (MOBIKE), those with that SPI at any place of the IKE SA."""
        found = self._towards.get((protocol, spi, address))
        if found:
            return found
        places = {peer.address for peer in (sa.initiator, sa.responder)}
        places |= {place for peer in (sa.initiator, sa.responder) for _, place, _ in peer.moves}
        return [flow for flow in self._by_spi.get((protocol, spi), ()) if places & {flow.source, flow.destination}]


def observe_children(
    inferred: Sequence[ChildSa], flows: Sequence[Flow], ike_sas: Sequence[IkeSa], revealed: dict[str, Revealed]
) -> list[ChildSa]:
    """All Child SAs, those seen put right; sets the ties of flows and IKE SAs to them."""
    known = _Flows(flows)
    by_id = {child.id: child for child in inferred}
    children = list(inferred)
    seen: set[str] = set()
    by_spi: dict[tuple[str, int], ChildSa] = {}
    for sa in ike_sas:
        for one in revealed[sa.id].children if sa.id in revealed else ():
            ours = (
                known.of(one.protocol, one.responder_spi, one.responder_address, sa),
                known.of(one.protocol, one.initiator_spi, one.initiator_address, sa),
            )
            names = [flow.child_sa for there in ours for flow in there if flow.child_sa]
            child = next((by_id[name] for name in names if name in by_id and name not in seen), None)
            if child is None:
                child = ChildSa(f"child-{len(children) + 1}", sa.id, one.protocol, None, None)
                children.append(child)
            seen.add(child.id)
            _fill(child, sa, one)
            for there, pair_spi in zip(ours, (one.initiator_spi, one.responder_spi), strict=True):
                for flow in there:
                    flow.child_sa, flow.ike_sa, flow.pair_spi = child.id, sa.id, pair_spi
            before = by_spi.get((one.protocol, one.rekeys_spi)) if one.rekeys_spi is not None else None
            if before is not None:
                child.rekeys = before.id
            by_spi[one.protocol, one.initiator_spi] = by_spi[one.protocol, one.responder_spi] = child
    return _with_their_ike_sas(children, flows, ike_sas, seen)


def _fill(child: ChildSa, sa: IkeSa, one: RevealedChild) -> None:
    child.ike_sa, child.protocol, child.mode = sa.id, one.protocol, one.mode
    child.initiator_spi, child.responder_spi = one.initiator_spi, one.responder_spi
    child.chosen, child.esn = one.chosen, one.esn
    child.selectors_initiator, child.selectors_responder = one.selectors_initiator, one.selectors_responder
    child.certainty = Certainty.OBSERVED


def _with_their_ike_sas(
    children: Sequence[ChildSa], flows: Sequence[Flow], ike_sas: Sequence[IkeSa], seen: set[str]
) -> list[ChildSa]:
    """Those that were seen or have flows left; lists them with their IKE SAs."""
    used = {flow.child_sa for flow in flows} | seen
    left = [child for child in children if child.id in used]
    by_sa: dict[str | None, list[str]] = {}
    for child in left:
        by_sa.setdefault(child.ike_sa, []).append(child.id)
    for sa in ike_sas:
        sa.children = by_sa.get(sa.id, [])
    return left
