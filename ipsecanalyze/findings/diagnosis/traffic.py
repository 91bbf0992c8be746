"""Whether ESP and AH flow at all, both ways, and under SPIs that somebody negotiated."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.case import Case, flow_subject, frames_of
from ipsecanalyze.findings.evidence import is_short_of_a_child
from ipsecanalyze.findings.model import Certainty, Defect, Finding, Severity
from ipsecanalyze.findings.words import count_of, series, span, spi_text
from ipsecanalyze.registry import ikev1
from ipsecanalyze.sa.records import ChildSa, IkeSa, State

__all__ = ["esp_one_way", "esp_unknown_spi", "no_esp_traffic"]

#: An established SA without ESP is told after this, and is a fault after that.
_SILENT_NS, _LONG_SILENT_NS = 10_000_000_000, 120_000_000_000
#: One-way flows of fewer packets, or shorter ones, may just have had no answer yet.
_SOME_PACKETS, _SOME_NS = 8, 3_000_000_000
#: Traffic of the other direction within this of a flow belongs to it.
_AROUND_NS = 10_000_000_000
#: ESP that goes on for so long behind a new SA is not just on its way.
_STALE_NS = 3_000_000_000
_INVALID_SPI = 11
_QUICK = int(ikev1.ExchangeType.QUICK_MODE)
#: First numbers up to this may be of a new SA of which the first packets were lost.
_FIRST_NUMBERS = 32


def no_esp_traffic(case: Case) -> Iterator[Finding]:
    """An IKE SA was established, and nothing is sent under it."""
    ends = [facts.last_time_ns for facts in case.captures if facts.last_time_ns is not None]
    for sa in case.ike_sas:
        if sa.state in (State.HALF_OPEN, State.FAILED) or sa.established_ns is None or case.flows_of(sa):
            continue
        addresses = set(_addresses(sa.initiator.address, sa.initiator.moves))
        others = set(_addresses(sa.responder.address, sa.responder.moves))
        if any(
            case.flows_between(*pair) for one in addresses for other in others for pair in ((one, other), (other, one))
        ):
            continue
        end = sa.closed_ns if sa.closed_ns is not None else max(ends, default=sa.last_time_ns)
        silent = end - sa.established_ns
        childless = sa.decrypted and not case.children_of(sa)
        if sa.version == "1.0":
            childless = childless or not any(e.exchange_type == _QUICK and e.responses for e in sa.exchanges)
        elif not sa.decrypted:
            # `error-reply-encrypted` tells that there is none.
            childless = is_short_of_a_child(sa)
        if silent < _SILENT_NS or childless:
            continue  # without a Child SA there is nothing to send under: why it was not made is told elsewhere
        closed = f"until it was closed {span(silent)} later" if sa.closed_ns else f"in the {span(silent)} that follow"
        yield Finding(
            slug="no-esp-traffic",
            severity=Severity.MEDIUM if silent >= _LONG_SILENT_NS else Severity.LOW,
            certainty=Certainty.INFERRED,
            subject=sa.id,
            title=f"The tunnel between {sa.initiator.address} and {sa.responder.address} is up, but carries nothing",
            explanation=(
                f"{sa.id} between {sa.initiator.address} and {sa.responder.address} was established, and {closed} "
                f"there is not one ESP or AH packet between them, while {count_of(sa.messages, 'IKE message')} were "
                "captured. Nobody sent anything, the traffic is routed past the tunnel, no policy matches it, or "
                "the capture left ESP out."
                + ("" if sa.decrypted else " The Child SA may have been refused as well, which only keys would show.")
            ),
            remedy=(
                "Send something through the tunnel and see on the sending gateway whether its counters move (`ip -s "
                "xfrm state`, `show crypto ipsec sa`): if not, it is routing, NAT in front of the tunnel, or the "
                "traffic selectors there; if so, ESP is lost before this point. The capture filter must let `esp` "
                "and `udp port 4500` through."
            ),
            frames=_in_capture(case, sa, _made_by(sa)),
            references=("RFC 4301 §5.1",),
            capture=case.capture_of(sa),
        )


def _addresses(address: str, moves: Iterable[tuple[int, str, int]]) -> Iterator[str]:
    yield address
    for _, moved, _ in moves:
        yield moved


def _made_by(sa: IkeSa) -> Iterator[int]:
    """The frames of the exchange that established it."""
    for exchange in sa.exchanges:
        if exchange.name in ("IKE_AUTH", "Quick Mode"):
            yield from (*exchange.requests[:2], *exchange.responses[:2])


def _in_capture(case: Case, sa: IkeSa, frames: Iterable[int]) -> tuple[int, ...]:
    """Those of the frames that are in the capture of the SA's first message."""
    capture = case.capture_of(sa)
    if len(case.captures) < 2:
        return frames_of(frames)
    mine = {record.datagram.frame for record in case.messages_of(sa) if record.datagram.capture == capture}
    return frames_of(mine.intersection(frames))


# One way


def esp_one_way(case: Case) -> Iterator[Finding]:
    """ESP goes one way while IKE goes both."""
    told: dict[tuple[str, str, str], list[Flow]] = defaultdict(list)
    traffic = _Traffic(case.flows)
    for flow in case.flows:
        if flow.is_inferred or flow.ike_sa is None or flow.packets < _SOME_PACKETS:
            continue
        if flow.last_time_ns - flow.first_time_ns < _SOME_NS:
            continue
        sa = case.ike_sa.get(flow.ike_sa)
        if sa is None or Defect.ONE_SIDED in case.defects.get(flow.capture, ()) or traffic.has_return(flow):
            continue
        if not _answers(case, sa):
            continue
        told[sa.id, flow.source, flow.destination].append(flow)
    for (sa_id, source, destination), flows in told.items():
        packets = sum(flow.packets for flow in flows)
        lasted = max(flow.last_time_ns for flow in flows) - min(flow.first_time_ns for flow in flows)
        flow = flows[0]
        carrier = "IP protocol 50" if flow.protocol == "ESP" else "IP protocol 51"
        if flow.encapsulation is not Encapsulation.NONE:
            carrier = f"{flow.protocol} in {flow.encapsulation.upper()}"
        plain = flow.encapsulation is Encapsulation.NONE and flow.protocol == "ESP"
        spis = series([spi_text(one.spi) for one in flows])
        yield Finding(
            slug="esp-one-way",
            severity=Severity.HIGH,
            certainty=Certainty.INFERRED,
            subject=sa_id,
            title=f"{flow.protocol} goes from {source} to {destination}, but nothing comes back",
            explanation=(
                f"In {span(lasted)}, {count_of(packets, f'{flow.protocol} packet')} went from {source} to "
                f"{destination} (SPI {spis}), and not one in the other direction, though IKE between them is "
                f"answered both ways. Either {carrier} from {destination} is blocked before this capture point, or "
                f"{destination} sends nothing: it drops what it gets, has no route or policy for the answers, or "
                "sends them another way."
            ),
            remedy=(
                f"See at {destination} whether its outbound SA counts packets. If it does, a firewall or provider "
                f"between it and here drops {carrier}: allow it"
                f"{', or force UDP encapsulation (NAT-T)' if plain else ''}. If it does not, check the inbound "
                f"counters, the route back and the firewall behind {destination}."
            ),
            frames=frames_of(
                frame
                for one in flows
                if one.capture == flow.capture
                for frame in case.sure_frames(one, (one.first_frame, one.last_frame))
            ),
            references=("RFC 4301 §5.2", "RFC 3948 §2.1"),
            capture=flow.capture,
        )


class _Traffic:
    """When anything went from one address to another, or under an IKE SA to an address (which may move)."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._times: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        self._sorted: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        for flow in flows:
            times = flow.first_time_ns, flow.last_time_ns
            self._times[flow.source, flow.destination].append(times)
            if flow.ike_sa is not None:
                self._times[flow.ike_sa, flow.destination].append(times)

    def has_return(self, flow: Flow) -> bool:
        """Whether anything of the other direction is there at about the same time."""
        keys = [(flow.destination, flow.source), *([(flow.ike_sa, flow.source)] if flow.ike_sa is not None else [])]
        return any(self._overlaps(key, flow.first_time_ns - _AROUND_NS, flow.last_time_ns + _AROUND_NS) for key in keys)

    def _overlaps(self, key: tuple[str, str], start: int, end: int) -> bool:
        if key not in self._times:
            return False
        if key not in self._sorted:
            times = sorted(self._times[key])
            # The latest end of all that began so far: one comparison answers for all of them.
            self._sorted[key] = [first for first, _ in times], list(accumulate((last for _, last in times), max))
        starts, ends = self._sorted[key]
        before = bisect_right(starts, end)
        return before > 0 and ends[before - 1] >= start


def _answers(case: Case, sa: IkeSa) -> bool:
    """Whether both sides of an IKE SA are in the capture, after it was made too."""
    sides = {record.from_initiator for record in case.messages_of(sa)}
    return {True, False} <= sides


# Unknown SPIs


def esp_unknown_spi(case: Case) -> Iterator[Finding]:
    """Somebody sends on an SA that the other side does not have."""
    yield from _refused(case)
    yield from _stale(case)


def _refused(case: Case) -> Iterator[Finding]:
    for sa in case.ike_sas:
        notes = [notify for notify in sa.notifies if notify.type == _INVALID_SPI]
        if not notes:
            continue
        by = sa.initiator if notes[0].from_initiator else sa.responder
        to = sa.responder if notes[0].from_initiator else sa.initiator
        said = f" ({notes[0].data})" if notes[0].data else ""
        yield Finding(
            slug="esp-unknown-spi",
            severity=Severity.MEDIUM,
            certainty=Certainty.OBSERVED,
            subject=sa.id,
            title=f"{by.address} does not know the SA that {to.address} sends on",
            explanation=(
                f"{by.address} sent {count_of(len(notes), 'INVALID_SPI notify', 'INVALID_SPI notifies')}{said} to "
                f"{to.address}: it got ESP or AH with an SPI that it has no SA for. As a rule it was restarted, or "
                f"has deleted the SA without {to.address} hearing of it."
            ),
            remedy=_stale_remedy(to.address, by.address),
            frames=_in_capture(case, sa, (notify.frame for notify in notes)),
            references=("RFC 7296 §1.5", "RFC 7296 §2.4"),
            capture=case.capture_of(sa),
        )


def _stale(case: Case) -> Iterator[Finding]:
    """Flows that no IKE SA of the capture can have made, though it has all of their peers."""
    made = _first_made(case.ike_sas)
    negotiated = _negotiated(case.child_sas)
    opened = {sa.id for sa in case.ike_sas if sa.decrypted}
    stale: dict[tuple[str, str], list[tuple[Flow, IkeSa]]] = defaultdict(list)
    for flow in case.flows:
        sa = made.get(frozenset((flow.source, flow.destination)))
        if sa is None or sa.established_ns is None or flow.is_inferred or flow.sequence.lowest <= _FIRST_NUMBERS:
            continue
        known = flow.spi in negotiated or sa.id not in opened or (flow.ike_sa or sa.id) not in opened
        if flow.last_time_ns - sa.established_ns >= _STALE_NS and (flow.first_time_ns < sa.first_time_ns or not known):
            stale[flow.source, flow.destination].append((flow, sa))
    for (source, destination), flows in stale.items():
        if (destination, source) in stale:
            continue  # both sides use it: an older tunnel beside the new one
        yield from (_stale_finding(case, flow, sa) for flow, sa in flows)


def _first_made(ike_sas: Iterable[IkeSa]) -> dict[frozenset[str], IkeSa]:
    """The first IKE SA between two addresses, where the capture has all of them from their beginnings."""
    first: dict[frozenset[str], IkeSa] = {}
    late: set[frozenset[str]] = set()
    for sa in ike_sas:
        pair = frozenset((sa.initiator.address, sa.responder.address))
        if sa.started_late:
            late.add(pair)
        elif sa.established_ns is not None:
            known = first.get(pair)
            if known is None or known.first_time_ns > sa.first_time_ns:
                first[pair] = sa
    return {pair: sa for pair, sa in first.items() if pair not in late}


def _stale_finding(case: Case, flow: Flow, sa: IkeSa) -> Finding:
    stays = flow.last_time_ns - (sa.established_ns or 0)
    when = (
        f"begins before {sa.id} between them was made, with number {flow.sequence.lowest:,}, and goes on for "
        f"{span(stays)} after that"
        if flow.first_time_ns < sa.first_time_ns
        else f"begins with number {flow.sequence.lowest:,}, under an SPI that nothing in {sa.id} negotiated"
    )
    return Finding(
        slug="esp-unknown-spi",
        severity=Severity.MEDIUM,
        certainty=Certainty.INFERRED,
        subject=flow_subject(flow),
        title=f"{flow.source} goes on sending to {flow.destination} on an SA that was not negotiated here",
        explanation=(
            f"{flow.protocol} {spi_text(flow.spi)} from {flow.source} to {flow.destination} {when} "
            f"({count_of(flow.packets, 'packet')} in all), and nothing of that age comes back. {flow.destination} "
            "has made its SAs anew, after a restart perhaps, and drops what comes under the old one."
        ),
        remedy=_stale_remedy(flow.source, flow.destination),
        frames=case.sure_frames(flow, (flow.first_frame, flow.last_frame)),
        references=("RFC 7296 §2.4",),
        capture=flow.capture,
    )


def _negotiated(children: Iterable[ChildSa]) -> set[int]:
    """The SPIs that opened messages name."""
    spis: set[int] = set()
    for child in children:
        if child.certainty is Certainty.OBSERVED:
            spis.update(spi for spi in (child.initiator_spi, child.responder_spi) if spi is not None)
    return spis


def _stale_remedy(sender: str, receiver: str) -> str:
    return (
        f"Turn on dead peer detection at {sender}, so that it notices and negotiates anew, and let {receiver} send "
        f"INITIAL_CONTACT when it comes up; to mend it now, clear the SAs of {receiver} at {sender}."
    )
