"""Which IKE SA made an ESP or AH flow: by addresses, ports and time.

A Child SA is born in an exchange (IKE_AUTH, CREATE_CHILD_SA, Quick Mode) and its packets go between the addresses of
the IKE SA, wherever these move; in UDP or TCP also between its ports. So a flow belongs to the IKE SA with the
latest birth before its first packet. Everything here is inference.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.sa.records import IkeSa, Peer, State

__all__ = ["FlowLike", "Owners", "births"]

#: What a responder may send before its answer is captured: captures are not in perfect order.
EARLY_NS = 50_000_000
#: How long after a (supposed) deletion packets may still come.
LATE_NS = 1_000_000_000
#: Places of a peer that are considered: it may have moved often.
_PLACES = 16
#: Exchanges that make Child SAs.
_BIRTHS = frozenset({"IKE_AUTH", "CREATE_CHILD_SA", "QUICK_MODE"})

_Pair = tuple[str, str]
_Conversation = tuple[str, int, str, int]


class FlowLike(Protocol):
    """What is asked of a flow."""

    protocol: str
    source: str
    destination: str
    spi: int
    encapsulation: Encapsulation
    first_time_ns: int
    last_time_ns: int
    packets: int
    ports: tuple[tuple[int, int], ...]
    pair_spi: int | None
    ike_sa: str | None
    child_sa: str | None


@dataclass(slots=True)
class _Timeline:
    """Births in order of time, and IKE SAs whose beginning was not captured."""

    times: list[int] = field(default_factory=list)
    sas: list[IkeSa] = field(default_factory=list)
    older: IkeSa | None = None
    """The first IKE SA that is older than the capture."""


def births(sa: IkeSa) -> list[int]:
    """When the IKE SA may have made Child SAs: the time of each answer, or of the request where none was captured."""
    return [
        exchange.first_time_ns + (exchange.round_trip_ns or 0) for exchange in sa.exchanges if exchange.name in _BIRTHS
    ]


class Owners:
    """Finds the IKE SA of a flow. Built for the address pairs of `flows` only; n log n."""

    def __init__(self, flows: Iterable[FlowLike], ike_sas: Sequence[IkeSa]) -> None:
        wanted = {_address_pair(flow.source, flow.destination) for flow in flows}
        by_pair: dict[_Pair, list[tuple[int, int, IkeSa]]] = defaultdict(list)
        by_ports: dict[_Conversation, list[tuple[int, int, IkeSa]]] = defaultdict(list)
        older_pair: dict[_Pair, IkeSa] = {}
        older_ports: dict[_Conversation, IkeSa] = {}
        for order, sa in enumerate(ike_sas):
            pairs, conversations = _where(sa, wanted)
            if not pairs:
                continue
            born = [(time_ns, order, sa) for time_ns in births(sa)]
            is_older = sa.started_late and sa.rekeys is None
            for pair in pairs:
                by_pair[pair] += born
                if is_older:
                    older_pair.setdefault(pair, sa)
            for conversation in conversations:
                by_ports[conversation] += born
                if is_older:
                    older_ports.setdefault(conversation, sa)
        self._by_pair = {key: _timeline(by_pair.get(key, []), older_pair.get(key)) for key in {*by_pair, *older_pair}}
        self._by_ports = {
            key: _timeline(by_ports.get(key, []), older_ports.get(key)) for key in {*by_ports, *older_ports}
        }

    def find(self, flow: FlowLike, time_ns: int) -> IkeSa | None:
        """The IKE SA that made a flow whose first packet (either way) came at `time_ns`; None if none can have."""
        if flow.encapsulation is not Encapsulation.NONE:
            for source_port, destination_port in flow.ports[:1]:
                key = _conversation(flow.source, source_port, flow.destination, destination_port)
                found = _latest(self._by_ports.get(key), time_ns)
                if found is not None:
                    return found
        return _latest(self._by_pair.get(_address_pair(flow.source, flow.destination)), time_ns)

    def birth_before(self, flow: FlowLike) -> int:
        """How many births between the flow's addresses come before its first packet."""
        timeline = self._by_pair.get(_address_pair(flow.source, flow.destination))
        return bisect_right(timeline.times, flow.first_time_ns + EARLY_NS) if timeline is not None else 0


def _where(sa: IkeSa, wanted: set[_Pair]) -> tuple[set[_Pair], set[_Conversation]]:
    """The wanted address pairs of an IKE SA, and its conversations in UDP (other than port 500) or TCP between them."""
    pairs: set[_Pair] = set()
    conversations: set[_Conversation] = set()
    for here, here_port in _places(sa.initiator):
        for there, there_port in _places(sa.responder):
            pair = _address_pair(here, there)
            if pair in wanted:
                pairs.add(pair)
                if sa.encapsulation is not Encapsulation.NONE:
                    conversations.add(_conversation(here, here_port, there, there_port))
    return pairs, conversations


def _places(peer: Peer) -> list[tuple[str, int]]:
    return [(peer.address, peer.port), *((address, port) for _, address, port in peer.moves[: _PLACES - 1])]


def _address_pair(one: str, other: str) -> _Pair:
    return (one, other) if one <= other else (other, one)


def _conversation(one: str, one_port: int, other: str, other_port: int) -> _Conversation:
    if (one, one_port) <= (other, other_port):
        return (one, one_port, other, other_port)
    return (other, other_port, one, one_port)


def _timeline(born: list[tuple[int, int, IkeSa]], older: IkeSa | None) -> _Timeline:
    born.sort(key=lambda birth: birth[:2])
    return _Timeline([birth[0] for birth in born], [birth[2] for birth in born], older)


def _latest(timeline: _Timeline | None, time_ns: int) -> IkeSa | None:
    if timeline is None:
        return None
    index = bisect_right(timeline.times, time_ns + EARLY_NS) - 1
    found = timeline.sas[index] if index >= 0 else timeline.older
    if found is None or (found.state is State.CLOSED and time_ns > (found.closed_ns or found.last_time_ns) + LATE_NS):
        return None
    return found
