"""What a second look at the packets says of single flows: the frames of copies, of latecomers, around losses.

Flows hold counts; a finding names frames. `trace` goes over the packets once more, for the flows that have something to
show, and keeps a bounded number of examples of each kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.capture.packet import Datagram, DatagramKind
from ipsecanalyze.esp.flow import Flow, FlowKey
from ipsecanalyze.esp.lateness import REPLAY_WINDOWS

__all__ = ["MOST_DATAGRAMS", "Copy", "Gap", "Late", "Trace", "key_of", "left_out", "trace", "wants_trace"]

#: Datagrams of a capture that are looked at again.
MOST_DATAGRAMS = 500_000
#: Flows that are looked at again, and packets remembered of all of them.
_MOST_FLOWS = 2_000
_MOST_REMEMBERED = 1_000_000
#: Examples of each kind that a flow keeps.
_MOST_EXAMPLES = 256
#: Gaps of a flow whose neighbours are looked for.
_MOST_GAPS = 1_024

#: Copies of a capture or of a network come within this.
_NEAR_NS = 100_000_000

_MASK = 0xFFFF_FFFF


class Copy(NamedTuple):
    """A packet whose number had been seen before."""

    first_frame: int
    frame: int
    apart_ns: int
    behind: int
    """How far below the highest number it came."""
    same_id: bool
    """The IP identification is that of the first (for IPv6 there is none: equal)."""
    ttl_step: int
    """Its TTL less that of the first."""
    other_interface: bool
    same_octets: bool


class Late(NamedTuple):
    """A new number below the highest."""

    frame: int
    behind: int


class Gap(NamedTuple):
    """Absent numbers, and the packets with the numbers around them."""

    first: int
    last: int
    frame_before: int
    frame_after: int
    time_ns: int
    """Of the packet with the number after them."""

    @property
    def missing(self) -> int:
        """How many numbers are absent."""
        return self.last - self.first + 1


@dataclass(slots=True)
class Trace:
    """What was seen of one flow in one capture."""

    capture: int
    packets: int = 0
    """Packets that were looked at again."""
    copies: list[Copy] = field(default_factory=list)
    copy_count: int = 0
    near_copies: int = 0
    """Copies within 100 ms of the first, or on another interface."""
    late: list[Late] = field(default_factory=list)
    """The latest ones."""
    late_outside: dict[int, int] = field(default_factory=lambda: dict.fromkeys(REPLAY_WINDOWS, 0))
    """Size of a replay window → new numbers that came to the left of it."""
    gaps: list[Gap] = field(default_factory=list)
    cut_frames: list[int] = field(default_factory=list)
    fragment_frames: list[int] = field(default_factory=list)

    @property
    def has_same_octets(self) -> bool:
        """Whether copies are mostly the same packets: a counter that began anew makes others."""
        return bool(self.copies) and 2 * sum(copy.same_octets for copy in self.copies) >= len(self.copies)


def key_of(flow: Flow) -> FlowKey:
    """What a flow's packets have in common."""
    return flow.protocol, flow.source, flow.destination, flow.spi, flow.encapsulation


def wants_trace(flow: Flow) -> bool:
    """Whether a flow has anything of which frames are worth looking for."""
    sequence = flow.sequence
    if sequence.packets > sequence.unique or flow.truncated_packets or flow.ip_fragments:
        return True
    return bool(sequence.loss_bursts or sequence.largest_lateness)


def left_out(captures: Sequence[CaptureFacts], flows: Iterable[Flow], readable: Sequence[bool]) -> Iterator[str]:
    """What the second look passes over, as sentences without a full stop; nothing where nothing is looked for."""
    wanted = Counter(flow.capture for flow in flows if wants_trace(flow))
    for index, count in sorted(wanted.items()):
        facts = captures[index]
        where = facts.path if len(captures) > 1 else "the capture"
        if not readable[index]:
            yield f"{where} could not be read a second time: most losses, copies and latecomers are told without frames"
            continue
        counts = facts.counts
        packets = counts.ike + counts.esp + counts.ah
        if packets > MOST_DATAGRAMS:
            yield (
                f"of the {packets:,} IPsec packets of {where}, the first {MOST_DATAGRAMS:,} were looked at a second"
                " time: frames of losses, copies and latecomers are of these"
            )
        if count > _MOST_FLOWS:
            yield (
                f"of the {count:,} flows of {where} with losses, copies or latecomers, the {_MOST_FLOWS:,} largest were"
                " looked at a second time: the others are told without frames"
            )


def trace(datagrams: Iterable[Datagram], flows: Sequence[Flow], capture: int) -> dict[FlowKey, Trace]:
    """Look for what `wants_trace` of the flows says is there, in the datagrams of one capture."""
    tracers = {key_of(flow): _Tracer(flow, Trace(capture)) for flow in flows[:_MOST_FLOWS]}
    remembered = 0
    for datagram in datagrams:
        if datagram.kind is DatagramKind.ESP:
            at, protocol = 0, "ESP"
        elif datagram.kind is DatagramKind.AH:
            at, protocol = 4, "AH"
        else:
            continue
        payload = datagram.payload
        spi = int.from_bytes(payload[at : at + 4])
        tracer = tracers.get((protocol, datagram.source, datagram.destination, spi, datagram.encapsulation))
        if tracer is not None and len(payload) >= at + 8:
            room = remembered < _MOST_REMEMBERED
            remembered += tracer.take(datagram, int.from_bytes(payload[at + 4 : at + 8]), room=room)
    return {key: tracer.finish() for key, tracer in tracers.items()}


class _First(NamedTuple):
    """What is remembered of the first packet with a number."""

    frame: int
    time_ns: int
    ip_id: int
    ttl: int
    interface: int
    octets: int


class _Tracer:
    """Fills the trace of one flow."""

    def __init__(self, flow: Flow, trace_: Trace) -> None:
        self.trace = trace_
        self._remembers = flow.sequence.duplicates > 0
        self._seen: dict[int, _First] = {}
        self._highest: int | None = None
        self._gaps = list(islice(flow.sequence.gaps(), _MOST_GAPS))
        # The numbers around gaps → (frame, time) of the first packet that has them.
        self._edges: dict[int, tuple[int, int] | None] = {}
        for first, last in self._gaps:
            self._edges[(first - 1) & _MASK] = self._edges[(last + 1) & _MASK] = None

    def take(self, datagram: Datagram, number: int, *, room: bool) -> bool:
        """Take the flow's next packet; returns whether it is remembered, which it is only where there is `room`."""
        found = self.trace
        found.packets += 1
        if datagram.truncated and len(found.cut_frames) < _MOST_EXAMPLES:
            found.cut_frames.append(datagram.frame)
        if datagram.fragments > 1 and len(found.fragment_frames) < _MOST_EXAMPLES:
            found.fragment_frames.append(datagram.frame)
        if number in self._edges and self._edges[number] is None:
            self._edges[number] = datagram.frame, datagram.time_ns
        behind = self._behind(number)
        if not self._remembers:
            if behind:
                self._take_late(datagram.frame, behind)
            return False
        before = self._seen.get(number)
        if before is not None:
            self._take_copy(datagram, before, behind)
            return False
        if not room:
            return False
        self._seen[number] = _First(
            datagram.frame, datagram.time_ns, datagram.ip_id, datagram.ttl, datagram.interface, _digest(datagram)
        )
        if behind:
            self._take_late(datagram.frame, behind)
        return True

    def _behind(self, number: int) -> int:
        """How far it is below the highest so far."""
        if self._highest is None:
            self._highest = number
            return 0
        # Unwrapped relative to the highest: enough for what is counted here.
        step = ((number - self._highest + 0x8000_0000) & _MASK) - 0x8000_0000
        if step > 0:
            self._highest += step
            return 0
        return -step

    def _take_copy(self, datagram: Datagram, first: _First, behind: int) -> None:
        found = self.trace
        found.copy_count += 1
        apart_ns = datagram.time_ns - first.time_ns
        other = datagram.interface != first.interface
        found.near_copies += other or abs(apart_ns) < _NEAR_NS
        if len(found.copies) < _MOST_EXAMPLES:
            same_id, ttl_step = datagram.ip_id == first.ip_id, datagram.ttl - first.ttl
            same_octets = _digest(datagram) == first.octets
            found.copies.append(
                Copy(first.frame, datagram.frame, apart_ns, behind, same_id, ttl_step, other, same_octets)
            )

    def _take_late(self, frame: int, behind: int) -> None:
        found = self.trace
        for window in REPLAY_WINDOWS:
            if behind >= window:
                found.late_outside[window] += 1
        found.late.append(Late(frame, behind))
        if len(found.late) >= 2 * _MOST_EXAMPLES:
            found.late.sort(key=_latest_first)
            del found.late[_MOST_EXAMPLES:]

    def finish(self) -> Trace:
        """The trace, with the gaps whose neighbours were found."""
        self.trace.late.sort(key=_latest_first)
        for first, last in self._gaps:
            before, after = self._edges[(first - 1) & _MASK], self._edges[(last + 1) & _MASK]
            if before is not None and after is not None:
                self.trace.gaps.append(Gap(first, last, before[0], after[0], after[1]))
        return self.trace


def _latest_first(late: Late) -> tuple[int, int]:
    return -late.behind, late.frame


def _digest(datagram: Datagram) -> int:
    """Tells packets with equal octets from others, within this process."""
    return hash(datagram.payload[:64])
