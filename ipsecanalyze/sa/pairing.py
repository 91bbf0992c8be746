"""Flows and what made them: the two directions of a Child SA, its IKE SA, and what traffic says about IKE SAs.

ESP and AH SAs go one way; two of them, one for each direction, are negotiated together and are used together
(RFC 7296 §2.8, RFC 4301 §4.1). Without keys nothing says which two, so addresses, ports and times have to:
everything here is marked "inferred".
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.sa.outcome import describe
from ipsecanalyze.sa.ownership import LATE_NS, FlowLike, Owners, births
from ipsecanalyze.sa.records import Certainty, ChildSa, IkeSa, State
from ipsecanalyze.sa.states import Event, advance

__all__ = ["pair_flows"]

#: Directions of one Child SA are idle between each other no longer than this.
_APART_NS = 10_000_000_000
#: What it costs a pair to have been born in different exchanges, in nanoseconds between their first packets.
_OTHER_BIRTH_NS = 60_000_000_000
#: Candidates per flow, in groups of ordinary size and in huge ones.
_NEIGHBOURS, _FEW_NEIGHBOURS, _HUGE = 8, 2, 10_000
#: Unpaired flows that an IKE SA older than the capture may have made before.
_OLDER_CHILDREN = 64

_by_time = attrgetter("first_time_ns")


@dataclass(slots=True)
class _Couple:
    """A flow, and the one of the other direction if there is one."""

    flow: FlowLike
    reverse: FlowLike | None

    @property
    def first_time_ns(self) -> int:
        reverse = self.reverse
        return self.flow.first_time_ns if reverse is None else min(self.flow.first_time_ns, reverse.first_time_ns)

    @property
    def packets(self) -> int:
        return self.flow.packets + (0 if self.reverse is None else self.reverse.packets)


def pair_flows(flows: Sequence[FlowLike], ike_sas: Sequence[IkeSa]) -> list[ChildSa]:
    """Pair the directions, tie them to IKE SAs, and give the Child SAs that this makes, in order of their packets.

    Sets `pair_spi`, `ike_sa` and `child_sa` of the flows, and `children` of the IKE SAs; corrects the state of IKE SAs
    that traffic refutes. n log n in the number of flows.
    """
    if not flows:
        return []
    owners = Owners(flows, ike_sas)
    couples = _couples(flows, owners)
    children = _Children()
    children.adopt([couple for couple in couples if couple.reverse is not None], owners)
    single = [couple for couple in couples if couple.reverse is None]
    # One-way flows cost a stranger one packet: an IKE SA has no more of them than it can have made, the busiest ones.
    single.sort(key=lambda couple: (-couple.packets, couple.first_time_ns))
    children.adopt(single, owners)
    found = children.in_order()
    _correct(ike_sas, children.traffic)
    return found


# The two directions


def _couples(flows: Sequence[FlowLike], owners: Owners) -> list[_Couple]:
    couples: list[_Couple] = []
    # Ports first, as many clients live behind one NAT; they change, though, so what is left is paired without them.
    left = _couple_groups(flows, _by_conversation, owners, couples)
    left = _couple_groups(left, _by_addresses, owners, couples)
    couples += [_Couple(flow, None) for flow in left]
    return couples


def _by_conversation(flow: FlowLike) -> tuple[Hashable, bool]:
    ports = flow.ports[0] if flow.ports and flow.encapsulation is not Encapsulation.NONE else (0, 0)
    here, there = (flow.source, ports[0]), (flow.destination, ports[1])
    forward = here <= there
    return (flow.protocol, flow.encapsulation, *((here, there) if forward else (there, here))), forward


def _by_addresses(flow: FlowLike) -> tuple[Hashable, bool]:
    forward = flow.source <= flow.destination
    pair = (flow.source, flow.destination) if forward else (flow.destination, flow.source)
    return (flow.protocol, flow.encapsulation, *pair), forward


def _couple_groups(
    flows: Iterable[FlowLike],
    key: Callable[[FlowLike], tuple[Hashable, bool]],
    owners: Owners,
    couples: list[_Couple],
) -> list[FlowLike]:
    groups: dict[Hashable, tuple[list[FlowLike], list[FlowLike]]] = defaultdict(lambda: ([], []))
    for flow in flows:
        name, is_forward = key(flow)
        groups[name][is_forward].append(flow)
    left: list[FlowLike] = []
    for backward, forward in groups.values():
        left += _couple_group(backward, forward, owners, couples)
    return left


def _couple_group(
    ours: list[FlowLike], theirs: list[FlowLike], owners: Owners, couples: list[_Couple]
) -> list[FlowLike]:
    """Couple the flows of one direction with those of the other, the best matches first; gives those left over."""
    ours.sort(key=_by_time)
    theirs.sort(key=_by_time)
    while ours and theirs:
        found = _best_matches(ours, theirs, owners)
        if not found:
            break
        couples += [_Couple(ours[mine], theirs[other]) for mine, other in found.items()]
        taken = set(found.values())
        ours = [flow for index, flow in enumerate(ours) if index not in found]
        theirs = [flow for index, flow in enumerate(theirs) if index not in taken]
        # Another round finds partners farther away, for few; in huge groups it is not worth the time.
        if len(ours) > _HUGE:
            break
    return ours + theirs


def _best_matches(ours: list[FlowLike], theirs: list[FlowLike], owners: Owners) -> dict[int, int]:
    starts = [flow.first_time_ns for flow in theirs]
    their_births = [owners.birth_before(flow) for flow in theirs]
    reach = _NEIGHBOURS if len(ours) <= _HUGE else _FEW_NEIGHBOURS
    candidates: list[tuple[int, int, int]] = []
    for mine, flow in enumerate(ours):
        nearest = bisect_left(starts, flow.first_time_ns)
        born = owners.birth_before(flow)
        for other in range(max(0, nearest - reach), min(len(theirs), nearest + reach)):
            if _apart(flow, theirs[other]) <= _APART_NS:
                cost = abs(starts[other] - flow.first_time_ns) + _OTHER_BIRTH_NS * (born != their_births[other])
                candidates.append((cost, mine, other))
    candidates.sort()
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, mine, other in candidates:
        if mine not in found and other not in taken:
            found[mine] = other
            taken.add(other)
    return found


def _apart(one: FlowLike, other: FlowLike) -> int:
    """Nanoseconds between the end of the earlier flow and the beginning of the later one; negative if they overlap."""
    return max(one.first_time_ns, other.first_time_ns) - min(one.last_time_ns, other.last_time_ns)


# Child SAs


@dataclass(slots=True)
class _Found:
    """A Child SA with its flows."""

    child: ChildSa
    owner: IkeSa | None
    first_time_ns: int
    members: list[FlowLike] = field(default_factory=list)


class _Children:
    """The Child SAs found so far."""

    def __init__(self) -> None:
        self._found: list[_Found] = []
        self._by_spi: dict[Hashable, _Found] = {}
        self._per_sa: dict[str, int] = defaultdict(int)
        self.traffic: dict[str, tuple[int, int]] = {}
        """IKE SA → first and last packet of its flows; filled by `in_order`."""

    def adopt(self, couples: Iterable[_Couple], owners: Owners) -> None:
        """Make Child SAs of couples, or add the flows to those they belong to (after a move to another address)."""
        for couple in couples:
            flow, reverse = couple.flow, couple.reverse
            owner = owners.find(flow, couple.first_time_ns)
            if reverse is not None:
                flow.pair_spi, reverse.pair_spi = reverse.spi, flow.spi
            spis = _sides(flow, reverse, owner)
            names = [
                (None if owner is None else owner.id, flow.protocol, side, spi)
                for side, spi in enumerate(spis)
                if spi is not None
            ]
            known = next((found for name in names if (found := self._by_spi.get(name)) is not None), None)
            if known is None or owner is None or not _fits(known.child, spis):
                if reverse is None and (owner is None or not self._has_room(owner)):
                    continue
                known = self._make(flow.protocol, spis, owner, couple.first_time_ns)
            known.first_time_ns = min(known.first_time_ns, couple.first_time_ns)
            known.members += [flow] if reverse is None else [flow, reverse]
            for name in names:
                self._by_spi[name] = known

    def _has_room(self, owner: IkeSa) -> bool:
        most = len(births(owner)) + (_OLDER_CHILDREN if owner.started_late else 0)
        return self._per_sa[owner.id] < most

    def _make(
        self, protocol: str, spis: tuple[int | None, int | None], owner: IkeSa | None, first_time_ns: int
    ) -> _Found:
        found = _Found(ChildSa("", None if owner is None else owner.id, protocol, *spis), owner, first_time_ns)
        self._found.append(found)
        if owner is not None:
            self._per_sa[owner.id] += 1
        return found

    def in_order(self) -> list[ChildSa]:
        """Number the Child SAs by their first packets, and write the numbers where they belong."""
        self._found.sort(key=_by_time)
        for number, found in enumerate(self._found, 1):
            child, owner = found.child, found.owner
            child.id = f"child-{number}"
            for flow in found.members:
                flow.ike_sa, flow.child_sa = child.ike_sa, child.id
            if owner is not None:
                owner.children.append(child.id)
                last = max(flow.last_time_ns for flow in found.members)
                before = self.traffic.get(owner.id, (found.first_time_ns, last))
                self.traffic[owner.id] = (min(before[0], found.first_time_ns), max(before[1], last))
        return [found.child for found in self._found]


def _fits(child: ChildSa, spis: tuple[int | None, int | None]) -> bool:
    """Whether a Child SA has these SPIs; what is unknown fits, and is filled in."""
    known = (child.initiator_spi, child.responder_spi)
    if any(None not in (one, other) and one != other for one, other in zip(known, spis, strict=True)):
        return False
    child.initiator_spi, child.responder_spi = (
        other if one is None else one for one, other in zip(known, spis, strict=True)
    )
    return True


def _sides(flow: FlowLike, reverse: FlowLike | None, owner: IkeSa | None) -> tuple[int | None, int | None]:
    """The SPIs on packets towards initiator and responder.

    Without an IKE SA the side whose packet came first stands for the initiator.
    """
    if owner is None:
        first = flow if reverse is None or flow.first_time_ns <= reverse.first_time_ns else reverse
        to_initiator = flow is not first
    else:
        initiator = owner.initiator
        to_initiator = flow.destination == initiator.address or any(
            flow.destination == address for _, address, _ in initiator.moves
        )
    other = None if reverse is None else reverse.spi
    return (flow.spi, other) if to_initiator else (other, flow.spi)


# What traffic says about IKE SAs


def _correct(ike_sas: Sequence[IkeSa], traffic: dict[str, tuple[int, int]]) -> None:
    """Correct what was inferred: there are packets that need the IKE SA, or that its end would have stopped."""
    successors = {sa.rekeys: sa for sa in ike_sas if sa.rekeys is not None}
    for sa in ike_sas:
        times = traffic.get(sa.id)
        if times is None:
            continue
        first, last = times
        if sa.state is State.REKEYED:
            # Child SAs are inherited (RFC 7296 §2.8).
            heir = successors.get(sa.id)
            if heir is not None:
                before = traffic.get(heir.id, times)
                traffic[heir.id] = (min(before[0], first), max(before[1], last))
            continue
        if sa.state is State.CLOSED and last <= (sa.closed_ns or sa.last_time_ns) + LATE_NS:
            continue
        after = advance(sa.state, Event.TRAFFIC)
        if after is not sa.state:
            sa.state, sa.certainty, sa.reason, sa.closed_ns = after, Certainty.INFERRED, "", None
            if sa.established_ns is None:
                sa.established_ns = next((time_ns for time_ns in births(sa) if time_ns >= sa.first_time_ns), None)
            sa.outcome = describe(sa)
