"""The case before the rules: what an analysis holds, indexed so that each rule is one pass over what it is about."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.errors import Notice
from ipsecanalyze.esp.flow import Flow, FlowKey
from ipsecanalyze.findings.model import MOST_FRAMES, Defect
from ipsecanalyze.findings.traces import Trace, key_of, trace, wants_trace
from ipsecanalyze.ike.payloads.base import Payload
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.sa.records import ChildSa, IkeSa, MessageRecord

__all__ = ["Case", "flow_subject", "frames_of", "payloads_of"]

_Key = TypeVar("_Key")
_Item = TypeVar("_Item")


def _grouped(items: Iterable[_Item], key: Callable[[_Item], _Key | None]) -> dict[_Key, list[_Item]]:
    """Items by what they belong to; those that belong to nothing (None) are left out."""
    index: dict[_Key, list[_Item]] = defaultdict(list)
    for item in items:
        owner = key(item)
        if owner is not None:
            index[owner].append(item)
    return index


@dataclass
class Case:
    """What rules look at. They change nothing in it.

    Captures can hold 100,000 SAs: a rule goes over the lists once and finds the rest by these indexes.
    """

    captures: Sequence[CaptureFacts]
    ike_sas: Sequence[IkeSa]
    child_sas: Sequence[ChildSa]
    flows: Sequence[Flow]
    messages: Sequence[MessageRecord]
    has_keys: bool = False
    keys: KeyRing | None = field(default=None, repr=False)
    """Those that were given, and those that follow from opened IKE messages."""
    defects: Mapping[int, frozenset[Defect]] = field(default_factory=dict)
    """By the index of the capture; filled by `diagnosis/quality.py` before other rules run."""
    notices: list[Notice] = field(default_factory=list)
    """What looking for findings itself has to say: rules that failed."""
    look_again: Callable[[int], Iterable[Datagram]] | None = None
    """Gives the IPsec datagrams of a capture once more, where it is a file; see `trace_of`."""

    @cached_property
    def ike_sa(self) -> dict[str, IkeSa]:
        """IKE SAs by id."""
        return {sa.id: sa for sa in self.ike_sas}

    @cached_property
    def child_sa(self) -> dict[str, ChildSa]:
        """Child SAs by id."""
        return {child.id: child for child in self.child_sas}

    @cached_property
    def _messages_of(self) -> dict[str, list[MessageRecord]]:
        return _grouped(self.messages, lambda record: record.ike_sa.id if record.ike_sa is not None else None)

    @cached_property
    def _children_of(self) -> dict[str, list[ChildSa]]:
        return _grouped(self.child_sas, lambda child: child.ike_sa)

    @cached_property
    def _flows_of(self) -> dict[str, list[Flow]]:
        return _grouped(self.flows, lambda flow: flow.ike_sa)

    @cached_property
    def _flows_of_child(self) -> dict[str, list[Flow]]:
        return _grouped(self.flows, lambda flow: flow.child_sa)

    @cached_property
    def _flows_from(self) -> dict[tuple[str, str], list[Flow]]:
        return _grouped(self.flows, lambda flow: (flow.source, flow.destination))

    def messages_of(self, sa: IkeSa) -> Sequence[MessageRecord]:
        """The messages of an IKE SA, in order of capture."""
        return self._messages_of.get(sa.id, ())

    def children_of(self, sa: IkeSa) -> Sequence[ChildSa]:
        """The Child SAs of an IKE SA."""
        return self._children_of.get(sa.id, ())

    def flows_of(self, sa: IkeSa) -> Sequence[Flow]:
        """The ESP and AH flows that belong to an IKE SA."""
        return self._flows_of.get(sa.id, ())

    def flows_of_child(self, child: ChildSa) -> Sequence[Flow]:
        """The flows of a Child SA: one each way, where both were captured."""
        return self._flows_of_child.get(child.id, ())

    def flows_between(self, source: str, destination: str) -> Sequence[Flow]:
        """The flows from one address to another."""
        return self._flows_from.get((source, destination), ())

    @cached_property
    def _traces(self) -> dict[FlowKey, Trace]:
        traces: dict[FlowKey, Trace] = {}
        if self.look_again is None:
            return traces
        wanted: dict[int, list[Flow]] = defaultdict(list)
        for flow in self.flows:
            if wants_trace(flow):
                wanted[flow.capture].append(flow)
        for capture, flows in wanted.items():
            flows.sort(key=lambda flow: -flow.packets)
            traces.update(trace(self.look_again(capture), flows, capture))
        return traces

    def trace_of(self, flow: Flow) -> Trace | None:
        """Frames of what is odd in a flow, in the capture that it begins in; None where nothing is known of them.

        The first call looks at the packets of all odd flows once more.
        """
        return self._traces.get(key_of(flow))

    @cached_property
    def _established_between(self) -> dict[tuple[str, str], tuple[list[int], list[IkeSa]]]:
        index: dict[tuple[str, str], tuple[list[int], list[IkeSa]]] = {}
        for sa in sorted(self.ike_sas, key=lambda sa: sa.first_time_ns):
            if sa.established_ns is not None:
                times, found = index.setdefault(_pair(sa), ([], []))
                times.append(sa.first_time_ns)
                found.append(sa)
        return index

    def next_established(self, sa: IkeSa) -> IkeSa | None:
        """The next IKE SA between the peers of this one, by whichever began, that came to be."""
        times, found = self._established_between.get(_pair(sa), ((), ()))
        place = bisect_right(times, sa.first_time_ns)
        return found[place] if place < len(found) and found[place] is not sa else None

    @cached_property
    def _children_between(self) -> dict[tuple[str, str], list[tuple[IkeSa, ChildSa]]]:
        index: dict[tuple[str, str], list[tuple[IkeSa, ChildSa]]] = defaultdict(list)
        for child in self.child_sas:
            owner = self.ike_sa.get(child.ike_sa or "")
            if owner is not None:
                index[_pair(owner)].append((owner, child))
        return index

    def children_between(self, sa: IkeSa) -> Sequence[tuple[IkeSa, ChildSa]]:
        """The Child SAs between the peers of an IKE SA, of this one or another, each with its IKE SA."""
        return self._children_between.get(_pair(sa), ())

    def sure_frames(self, flow: Flow, frames: Iterable[int]) -> tuple[int, ...]:
        """Frames that a flow tells as evidence: flows do not tell in which of several captures they are."""
        return frames_of(frames) if len(self.captures) < 2 else frames_of(set(frames) & {flow.first_frame})

    def began_anew(self, flow: Flow) -> bool:
        """Whether a flow's counter began anew, and not only old packets came again."""
        if not flow.sequence.restarts:
            return False
        found = self.trace_of(flow)
        return found is None or not found.has_same_octets

    def was_seen_again(self, flow: Flow) -> bool:
        """Whether all packets of a flow were looked at a second time."""
        found = self.trace_of(flow)
        return found is not None and found.packets >= flow.packets

    def capture_of(self, sa: IkeSa) -> int:
        """The index of the capture that the first message of an IKE SA is in."""
        messages = self.messages_of(sa)
        return messages[0].datagram.capture if messages else 0


def _pair(sa: IkeSa) -> tuple[str, str]:
    one, other = sa.initiator.address, sa.responder.address
    return (one, other) if one <= other else (other, one)


def payloads_of(record: MessageRecord) -> Iterator[Payload]:
    """The payloads of a message: those in the clear, and those that keys opened."""
    yield from record.message.payloads
    yield from record.opened or ()


def frames_of(frames: Iterable[int]) -> tuple[int, ...]:
    """Frames as evidence: in order, each once, the first ones of many."""
    return tuple(sorted(set(frames))[:MOST_FRAMES])


def flow_subject(flow: Flow) -> str:
    """A flow as the subject of a finding: "ESP c0ffee01"."""
    return f"{flow.protocol} {flow.spi:08x}"
