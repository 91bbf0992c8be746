"""How good the captures are: what they lack lowers the certainty of what rests on it, and is told first.

A capture's defects are concluded from its own packets, never from its name: `defects_of` says which it has, and the
rules here say how that shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.case import Case, frames_of
from ipsecanalyze.findings.model import Certainty, Defect, Finding, Severity
from ipsecanalyze.findings.traces import Trace
from ipsecanalyze.findings.words import count_of, series, share, spi_text

__all__ = ["capture_drops", "defects_of", "late_start", "mirrored", "one_sided", "truncated"]

#: Flows of fewer packets say nothing about the capture.
_FEW = 4
#: First numbers up to this may be of a new SA of which the first packets were lost.
_FIRST_NUMBERS = 32
#: So much of the packets must be doubled before it is the capture that doubles.
_MIRRORED_SHARE = 0.8
#: Linux's "any" device: the capture was taken on a host, with the packets that it sends itself.
_COOKED = frozenset({113, 276})
_INITIAL_TTLS = frozenset({64, 128, 255})
_NO_SPI = bytes(8)


@dataclass
class _Sides:
    """What a capture has of each conversation."""

    whole: bool = False
    """Some pair of addresses is seen in both directions."""
    one_way: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """(sender, receiver) of conversations that must have another side → frames."""


def defects_of(case: Case) -> dict[int, frozenset[Defect]]:
    """What each capture lacks, by its index."""
    defects: dict[int, set[Defect]] = {index: set() for index in range(len(case.captures))}
    for index, facts in enumerate(case.captures):
        if facts.truncated_packets:
            defects[index].add(Defect.TRUNCATED)
        if facts.dropped_packets:
            defects[index].add(Defect.DROPPED)
    lists: tuple[tuple[Defect, Iterable[int]], ...] = (
        (Defect.ONE_SIDED, (index for index, sides in _sides(case).items() if not sides.whole and sides.one_way)),
        (Defect.MIRRORED, _mirrored_flows(case)),
        (Defect.STARTED_LATE, _late_flows(case)),
        (Defect.DROPPED, _dropped_flows(case)),
    )
    for defect, indices in lists:
        for index in indices:
            defects.setdefault(index, set()).add(defect)
    return {index: frozenset(found) for index, found in defects.items()}


def _any_lacks(case: Case, defect: Defect) -> bool:
    """Whether `defects_of` found it in any capture: what it went over once need not be gone over again."""
    return any(defect in found for found in case.defects.values())


# One direction only


def one_sided(case: Case) -> Iterator[Finding]:
    """All that was captured of conversations goes one way, though they plainly had two."""
    if not _any_lacks(case, Defect.ONE_SIDED):
        return
    for index, sides in _sides(case).items():
        if sides.whole or not sides.one_way:
            continue
        pairs = [f"{source} to {destination}" for source, destination in sides.one_way]
        frames = [frame for frames in sides.one_way.values() for frame in frames]
        plain = any(record.datagram.capture == index for record in case.messages)
        evidence = (
            "Its IKE messages carry the SPIs of both sides, so the other side did answer; these answers are missing "
            "here."
            if plain
            else "There is ESP or AH in one direction only, and no IKE that would tell whether the other side sends."
        )
        yield Finding(
            slug="one-sided-capture",
            severity=Severity.LOW,
            certainty=Certainty.OBSERVED if plain else Certainty.INFERRED,
            subject=f"capture {index + 1}",
            title=f"Only one direction was captured: {series(pairs, 2)}",
            explanation=(
                f"Every packet of {count_of(len(pairs), 'conversation')} in this capture goes one way "
                f"({series(pairs)}). {evidence} Nobody is to blame for replies that were not captured: what else is "
                "said about missing answers and one-way traffic of this capture is worth little."
            ),
            remedy=(
                "Capture where both directions pass: both lines of a redundant pair, both ports of a tap, and a "
                "mirror session for received and sent packets; look for asymmetric routing."
            ),
            frames=frames_of(frames),
            capture=index,
        )


def _sides(case: Case) -> dict[int, _Sides]:
    """Whether conversations are there in both directions, by capture."""
    frames: dict[int, dict[tuple[str, str], list[int]]] = defaultdict(dict)
    answered: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for record in case.messages:
        datagram = record.datagram
        pair = datagram.source, datagram.destination
        kept = frames[datagram.capture].setdefault(pair, [])
        if len(kept) < _FEW:
            kept.append(datagram.frame)
        if datagram.payload[8:16] != _NO_SPI:
            answered[datagram.capture].add(pair)
    sides: dict[int, _Sides] = {}
    for index, pairs in frames.items():
        found = sides.setdefault(index, _Sides())
        for (source, destination), kept in pairs.items():
            if (destination, source) in pairs:
                found.whole = True
            elif (source, destination) in answered[index]:
                found.one_way[source, destination] = kept
    _add_flow_sides(case, sides)
    return sides


def _add_flow_sides(case: Case, sides: dict[int, _Sides]) -> None:
    with_ike = set(sides)
    reach: dict[int, int] = {}
    for flow in case.flows:
        if case.flows_between(flow.destination, flow.source):
            reach[flow.capture] = max(reach.get(flow.capture, 0), flow.last_time_ns)
        elif flow.capture not in with_ike and flow.packets >= _FEW and not flow.is_inferred:
            found = sides.setdefault(flow.capture, _Sides())
            ends = case.sure_frames(flow, (flow.first_frame, flow.last_frame))
            found.one_way.setdefault((flow.source, flow.destination), [*ends])
    latest = 0
    for index, facts in enumerate(case.captures):
        # Flows that began in an earlier capture go on in later ones.
        if index in reach or (facts.first_time_ns is not None and facts.first_time_ns <= latest):
            sides.setdefault(index, _Sides()).whole = True
        latest = max(latest, reach.get(index, 0))


# Cut packets


def truncated(case: Case) -> Iterator[Finding]:
    """The snap length cut packets."""
    frames: dict[int, list[int]] = defaultdict(list)
    protected: dict[int, int] = defaultdict(int)
    messages: dict[int, int] = defaultdict(int)
    for record in case.messages:
        if record.datagram.truncated:
            frames[record.datagram.capture].append(record.datagram.frame)
            messages[record.datagram.capture] += 1
    for flow in case.flows:
        if flow.truncated_packets:
            protected[flow.capture] += flow.truncated_packets
            found = case.trace_of(flow)
            if found is not None:
                frames[flow.capture] += found.cut_frames
            elif flow.truncated_packets == flow.packets:
                frames[flow.capture] += case.sure_frames(flow, (flow.first_frame, flow.last_frame))
    for index, facts in enumerate(case.captures):
        if not facts.truncated_packets:
            continue
        cut, ike = protected[index], messages[index]
        lost = [
            *([f"{count_of(cut, 'ESP or AH packet')}, which can neither be verified nor decrypted"] if cut else []),
            *([f"{count_of(ike, 'IKE message')}, which cannot be read to the end"] if ike else []),
        ] or ["no IKE, ESP or AH"]
        yield Finding(
            slug="truncated-capture",
            severity=Severity.LOW,
            certainty=Certainty.OBSERVED,
            subject=f"capture {index + 1}",
            title=f"The capture cut {facts.truncated_packets:,} of {count_of(facts.packets, 'packet')} short",
            explanation=(
                f"{facts.truncated_packets:,} of {count_of(facts.packets, 'packet')} "
                f"({share(facts.truncated_packets, facts.packets)}) are shorter in the file than they were on the "
                f"wire: the snap length cut them. Among them {'is' if lost[0].startswith(('1 ', 'no ')) else 'are'} "
                f"{', and '.join(lost)}."
            ),
            remedy="Capture whole packets: `tcpdump -s 0`, or a snap length of 262144 in other tools.",
            frames=frames_of(frames[index]),
            capture=index,
        )


# Doubled packets


def mirrored(case: Case) -> Iterator[Finding]:
    """Nearly every packet is in the capture twice."""
    if not _any_lacks(case, Defect.MIRRORED):
        return
    for index, flows in _mirrored_flows(case).items():
        copies = sum(flow.sequence.duplicates for flow, _ in flows)
        packets = sum(flow.packets for flow, _ in flows)
        steps = {copy.ttl_step for _, found in flows if found for copy in found.copies}
        interfaces = any(copy.other_interface for _, found in flows if found for copy in found.copies)
        frames = [frame for _, found in flows if found for copy in found.copies for frame in copy[:2]]
        where = "in front of and behind a router" if steps - {0} else "on the way in and out of the same port"
        if interfaces:
            where = "on several interfaces of the same system" + (", in front of and behind it" if steps - {0} else "")
        yield Finding(
            slug="mirrored-capture",
            severity=Severity.LOW,
            certainty=Certainty.OBSERVED if frames else Certainty.INFERRED,
            subject=f"capture {index + 1}",
            title=f"Packets were captured twice: {copies:,} of {count_of(packets, 'ESP or AH packet')} are copies",
            explanation=(
                f"In {count_of(len(flows), 'flow')} of this capture, {copies:,} of {count_of(packets, 'packet')} "
                "have a number that was there before, "
                + ("with the same IP identification and within 100 ms" if frames else "about one for each packet")
                + f": each was seen {where}. That is the capture's doing, so duplicates are not held against the "
                "network, and counts of packets and retransmissions are doubled."
            ),
            remedy=(
                "Capture at one point only, or take the copies out (`editcap -d`; by interface where the capture "
                "has several). Two points in two files: `ipsecanalyze compare`."
            ),
            frames=frames_of(frames[:32]),
            capture=index,
        )


def _mirrored_flows(case: Case) -> dict[int, list[tuple[Flow, Trace | None]]]:
    """The flows whose packets were captured twice, by capture: all or nearly all flows of it are."""
    doubled: dict[int, list[tuple[Flow, Trace | None]]] = defaultdict(list)
    single: dict[int, int] = defaultdict(int)
    for flow in case.flows:
        sequence = flow.sequence
        if sequence.packets < 2 * _FEW:
            continue
        if sequence.duplicates < _MIRRORED_SHARE * sequence.unique or case.began_anew(flow):
            single[flow.capture] += flow.packets
            continue
        found = case.trace_of(flow)
        if found is None or _is_mirrored(found):
            doubled[flow.capture].append((flow, found))
    return {
        index: flows
        for index, flows in doubled.items()
        if sum(flow.packets for flow, _ in flows) > 3 * single.get(index, 0)
    }


def _is_mirrored(found: Trace) -> bool:
    if not found.copy_count or found.near_copies < _MIRRORED_SHARE * found.copy_count:
        return False
    same = sum(copy.same_id for copy in found.copies)
    return same >= _MIRRORED_SHARE * len(found.copies)


# Late start


def late_start(case: Case) -> Iterator[Finding]:
    """SAs were in use before the capture began."""
    if not _any_lacks(case, Defect.STARTED_LATE):
        return
    for index, flows in _late_flows(case).items():
        first = flows[0]
        yield Finding(
            slug="capture-started-late",
            severity=Severity.INFO,
            certainty=Certainty.INFERRED,
            subject=f"capture {index + 1}",
            title=f"The capture began when {count_of(len(flows), 'SA was', 'SAs were')} in use already",
            explanation=(
                f"{count_of(len(flows), 'flow begins', 'flows begin')} with a high sequence number, "
                f"{first.protocol} {spi_text(first.spi)} from {first.source} to {first.destination} with "
                f"{first.sequence.lowest:,}: so many packets had been sent under that SA before. How these tunnels "
                "were negotiated is not in this capture, nor what went wrong then."
            ),
            remedy=(
                "To see the negotiation, begin to capture first and then bring the tunnel up anew (`swanctl "
                "--terminate` and `--initiate`, `ipsec auto --down` and `--up`, or `clear crypto sa`)."
            ),
            frames=frames_of(flow.first_frame for flow in flows),
            capture=index,
        )


def _late_flows(case: Case) -> dict[int, list[Flow]]:
    late: dict[int, list[Flow]] = defaultdict(list)
    known: dict[int, Flow] = {}
    for flow in case.flows:
        # The same SA under other addresses (MOBIKE, NAT) goes on counting.
        if flow.sequence.lowest > _FIRST_NUMBERS and flow.spi not in known and not flow.is_inferred:
            late[flow.capture].append(flow)
        known.setdefault(flow.spi, flow)
    return late


# Packets that the capturing system did not write


def capture_drops(case: Case) -> Iterator[Finding]:
    """The capture itself has holes: its statistics say so, or packets are missing at the host that sent them."""
    concluded = _dropped_flows(case)
    for index, facts in enumerate(case.captures):
        flows = concluded.get(index, [])
        if not facts.dropped_packets and not flows:
            continue
        said, frames = "", []
        if facts.dropped_packets:
            said = f"The capture's own statistics count {count_of(facts.dropped_packets, 'dropped packet')}. "
        if flows:
            lost = sum(flow.sequence.lost for flow in flows)
            found = [case.trace_of(flow) for flow in flows]
            frames = [
                frame for one in found if one for gap in one.gaps for frame in (gap.frame_before, gap.frame_after)
            ]
            said += (
                f"It was taken on the host that sends {series([spi_text(flow.spi) for flow in flows])} (the device "
                '"any", and a TTL that no router has lowered), and yet '
                f"{count_of(lost, 'sequence number is', 'sequence numbers are')} absent there: no network lies "
                "between, so the capture missed these packets. "
            )
        yield Finding(
            slug="capture-drops",
            severity=Severity.LOW,
            certainty=Certainty.OBSERVED if facts.dropped_packets else Certainty.INFERRED,
            subject=f"capture {index + 1}",
            title="The capturing system did not write all packets",
            explanation=said + "Losses seen in this capture may be its own, and say little about the network.",
            remedy=(
                "Give the capture a larger buffer (`tcpdump -B 65536`), a filter that leaves less to write, and a "
                "fast disk; see the counts that tcpdump prints when it ends. On Linux, capture on the interface, "
                "not on `any`."
            ),
            frames=frames_of(frames),
            capture=index,
        )


def _dropped_flows(case: Case) -> dict[int, list[Flow]]:
    """Flows that have holes where they are sent."""
    dropped: dict[int, list[Flow]] = defaultdict(list)
    cooked = {index for index, facts in enumerate(case.captures) if _COOKED.intersection(facts.link_types)}
    for flow in case.flows:
        if flow.capture not in cooked or not flow.sequence.loss_bursts or case.began_anew(flow):
            continue
        if _INITIAL_TTLS.issuperset(flow.ttls):
            dropped[flow.capture].append(flow)
    return dropped
