"""What two capture points together say, as findings: lost, delayed, reordered, rewritten between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.findings.case import frames_of
from ipsecanalyze.findings.compare.match import Clock, FlowBetween, IkeBetween, Matched
from ipsecanalyze.findings.find import in_order
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import count_of, series, share, span, spi_text
from ipsecanalyze.ike.header import exchange_name

__all__ = ["verdicts"]

#: Losses from which on they are more than an accident, as packets and as shares (those of `esp-loss`).
_SOME, _SOME_SHARE, _MUCH, _MUCH_SHARE = 3, 0.01, 10, 0.05
#: Fewer packets say nothing about delays.
_FEW = 8
#: Variation of delays that voice and video notice.
_SLOW_NS = 30_000_000
_TCP_THRESHOLD, _LEAST_WINDOW = 3, 32


def verdicts(matched: Matched, names: tuple[str, str]) -> list[Finding]:
    """The findings, worst first; `names` are those of the captures."""
    return in_order(_all(matched, names))


def _all(matched: Matched, names: tuple[str, str]) -> Iterator[Finding]:
    for flow in matched.flows:
        if flow.lost:
            yield _lost(flow, names)
    yield from _lost_ike(matched.ike, names)
    for flow in matched.flows:
        if flow.reordered:
            yield _reordered(flow, names)
    for flow in matched.flows:
        if flow.variation is not None and flow.common >= _FEW:
            yield _delayed(flow, matched.clock, names)
    yield from _rewritten(matched, names)


def _order_known(flow: FlowBetween) -> str:
    if flow.order_by == "ttl":
        return ""
    return " Which point they pass first is concluded from the clocks and losses, as the TTL is the same at both."


# Lost


def _lost(flow: FlowBetween, names: tuple[str, str]) -> Finding:
    track, near, far = flow.either, names[flow.first], names[1 - flow.first]
    passed = flow.common + flow.lost
    everything = not flow.common
    if everything and flow.lost >= _SOME:
        severity = Severity.HIGH
    elif flow.lost < _SOME or flow.lost < _SOME_SHARE * passed:
        severity = Severity.LOW
    else:
        severity = Severity.HIGH if flow.lost >= _MUCH and flow.lost >= _MUCH_SHARE * passed else Severity.MEDIUM
    who = f"{flow.protocol} packets from {track.source} to {track.destination}"
    carrier = f"IP protocol {50 if flow.protocol == 'ESP' else 51}"
    if track.encapsulations and track.encapsulations[0] is not Encapsulation.NONE:
        carrier = f"{track.encapsulations[0].upper()} port {track.ports[0][1]}"
    remedy = (
        f"Something between {near} and {far} blocks {carrier} in this direction: see the firewalls and access lists "
        "there."
        if everything
        else f"The loss is between {near} and {far}, in this direction: look at errors, drops and policers of the "
        "interfaces and lines there; a third capture point in the middle halves the way."
    )
    if _is_by_size(flow):
        remedy = (
            "Clamp the TCP MSS of what goes into the tunnel, or lower the MTU of the tunnel interface at "
            f"{track.source}; "
            f'let ICMP "fragmentation needed" through between {far} and {near}.'
        )
    return Finding(
        slug="lost-between",
        severity=severity,
        certainty=Certainty.OBSERVED if flow.order_by == "ttl" else Certainty.INFERRED,
        subject=f"{flow.protocol} {flow.spi:08x}",
        title=(
            f"None of {count_of(flow.lost, who.replace(' packets', ' packet', 1), who)} gets from {near} to {far}"
            if everything
            else f"{share(flow.lost, passed)} of the {who} are lost between the capture points"
        ),
        explanation=_lost_text(flow, near, far, passed) + _order_known(flow),
        remedy=remedy,
        frames=frames_of(flow.lost_frames),
        references=("RFC 4303 §2.2",) if flow.protocol == "ESP" else ("RFC 4302 §2.5",),
        capture=flow.first,
    )


def _is_by_size(flow: FlowBetween) -> bool:
    """Whether every lost packet is larger than all that came through, and not by chance."""
    lost, passed = flow.lost_octets, flow.common_octets
    return lost is not None and passed is not None and flow.lost >= _SOME and lost[0] > passed[1]


def _lost_text(flow: FlowBetween, near: str, far: str, passed: int) -> str:
    track = flow.either
    text = (
        f"Of {count_of(passed, 'sequence number')} of {flow.protocol} {spi_text(flow.spi)} from {track.source} to "
        f"{track.destination} that {near} has while {far} was capturing, {flow.lost:,} are not in {far} "
        f"({share(flow.lost, passed)})"
    )
    runs = flow.lost_runs
    if flow.lost_run_count == 1:
        told = f"numbers {runs[0].first:,} to {runs[0].last:,}" if runs[0].packets > 1 else f"number {runs[0].first:,}"
        text += f": {told}"
    else:
        runs_text = f"in {flow.lost_run_count:,} runs of up to {flow.longest_run:,}"
        text += f", {'each alone' if flow.longest_run == 1 else runs_text}"
    if flow.common:
        text += _when(flow, track.times[0])
    text += "."
    if _is_by_size(flow) and flow.lost_octets is not None and flow.common_octets is not None:
        such = " of packets with DF" if flow.whole_only and ":" not in track.source else ""
        text += (
            f" All that were lost have {flow.lost_octets[0]:,} octets or more behind the IP header, and all{such} "
            f"that came through have {flow.common_octets[1]:,} or less: what is too large for a link between the "
            "points vanishes."
        )
    if flow.unseen:
        text += (
            f" {count_of(flow.unseen, 'number is', 'numbers are')} only in {far}: {near} missed these, or they went "
            "by another way, and so the captures are not complete."
        )
    return text


def _when(flow: FlowBetween, start: int) -> str:
    """When the packets were lost, counted from the flow's first."""
    runs = flow.lost_runs
    longest = max(runs, key=lambda run: run.packets)
    if longest.packets > 1:
        begins, lasts = span(longest.first_time_ns - start), span(longest.last_time_ns - longest.first_time_ns)
        return f"; the longest run begins {begins} after the flow's first packet and lasts {lasts}"
    if len(runs) == 1:
        return f", {span(runs[0].first_time_ns - start)} after the flow's first packet"
    begins, ends = span(runs[0].first_time_ns - start), span(runs[-1].first_time_ns - start)
    return f"; the first {begins} after the flow's first packet, the last {ends}"


def _lost_ike(messages: Sequence[IkeBetween], names: tuple[str, str]) -> Iterator[Finding]:
    groups: dict[tuple[int, str, str], list[IkeBetween]] = defaultdict(list)
    for message in messages:
        if message.lost:
            sample = message.copies[message.first][0]
            groups[message.first, sample.source, sample.destination].append(message)
    for (first, source, destination), lost in groups.items():
        never = [message for message in lost if not message.copies[1 - first]]
        near, far = names[first], names[1 - first]
        exchanges = list(dict.fromkeys(exchange_name(message.key[1] >> 4, message.key[2]) for message in lost))
        sent = sum(message.lost for message in lost)
        yield Finding(
            slug="lost-between",
            severity=Severity.HIGH if never else Severity.LOW,
            certainty=Certainty.OBSERVED,
            subject=f"IKE {source}",
            title=f"{count_of(sent, 'IKE message')} from {source} to {destination} did not get from {near} to {far}",
            explanation=(
                f"{near} has {count_of(sent, 'transmission')} of {count_of(len(lost), 'IKE message')} "
                f"({series(exchanges)}) from {source} to {destination} that {far} lacks though it was capturing. "
                + (
                    f"{count_of(len(never), 'message')} of these never came through, by no retransmission."
                    if never
                    else "Each came through by a retransmission."
                )
            ),
            remedy=(
                f"Look between {near} and {far} for what drops UDP port {_port(lost[0], first)} in this direction; "
                "where only large messages are lost, it is their IP fragments."
            ),
            frames=frames_of(frame for message in lost for frame in message.lost_frames),
            references=("RFC 7296 §2.1",),
            capture=first,
        )


def _port(message: IkeBetween, first: int) -> int:
    return message.copies[first][0].destination_port


# Order and delay


def _reordered(flow: FlowBetween, names: tuple[str, str]) -> Finding:
    track, near, far = flow.either, names[flow.first], names[1 - flow.first]
    outside = flow.late_outside[_LEAST_WINDOW]
    costs = flow.largest_lateness >= _TCP_THRESHOLD and flow.reordered >= _SOME_SHARE * flow.common
    windows = ", ".join(f"{count:,} with {window:,}" for window, count in flow.late_outside.items())
    return Finding(
        slug="reordered-between",
        severity=Severity.MEDIUM if outside else Severity.LOW if costs else Severity.INFO,
        certainty=Certainty.OBSERVED if flow.order_by == "ttl" else Certainty.INFERRED,
        subject=f"{flow.protocol} {flow.spi:08x}",
        title=f"{flow.protocol} packets from {track.source} to {track.destination} overtake each other on the way",
        explanation=(
            f"{flow.reordered:,} of {count_of(flow.common, 'packet')} of {flow.protocol} {spi_text(flow.spi)} "
            f"({share(flow.reordered, flow.common)}) that are in both captures came to {far} behind packets that "
            f"passed {near} after them, up to {flow.largest_lateness:,} behind. "
            + (f"A receiver's replay window would drop so many of them: {windows}." if outside else "")
            + _order_known(flow)
        ).rstrip(),
        remedy=(
            f"Look between {near} and {far} for several paths of unequal length and for queues by DSCP"
            + (f"; make the replay window of {track.destination} larger." if outside else ".")
        ),
        frames=frames_of(flow.late_frames),
        references=("RFC 4737 §3.3",),
        capture=1 - flow.first,
    )


def _delayed(flow: FlowBetween, clock: Clock, names: tuple[str, str]) -> Finding:
    track, near, far = flow.either, names[flow.first], names[1 - flow.first]
    variation = flow.variation
    assert variation is not None  # noqa: S101 - the caller has seen to it
    slow = variation.percentile_95_ns >= _SLOW_NS
    text = (
        f"{count_of(flow.common, 'packet')} of {flow.protocol} {spi_text(flow.spi)} were timed from {near} to "
        f"{far}. Compared with the quickest, half of them took up to {span(variation.median_ns)} longer, 95 % up to "
        f"{span(variation.percentile_95_ns)}, the slowest {span(variation.longest_ns)}; the jitter is "
        f"{span(variation.jitter_ns)}. "
    )
    if clock.offset_ns is not None and clock.round_trip_ns is not None:
        ahead = "ahead" if clock.offset_ns >= 0 else "behind"
        offset = clock.offset_ns if flow.first == 0 else -clock.offset_ns
        text += (
            f"The quickest way there and back between the points took {span(clock.round_trip_ns)}. If its two ways "
            f"take equally long, the clock of {names[1]} is {span(abs(clock.offset_ns))} {ahead}, and the quickest "
            f"packet of this flow took {span(max(variation.shortest_ns - offset, 0))}. "
        )
    else:
        text += "Packets were matched in one direction only, so nothing can be said about the clocks' offset. "
    text += "Without synchronised clocks the delay of one way cannot be told, only how it varies."
    return Finding(
        slug="delayed-between",
        severity=Severity.LOW if slow else Severity.INFO,
        certainty=Certainty.INFERRED,
        subject=f"{flow.protocol} {flow.spi:08x}",
        title=(
            f"{flow.protocol} from {track.source} to {track.destination} takes up to {span(variation.longest_ns)} "
            "longer than at its quickest between the points"
        ),
        explanation=text + _order_known(flow),
        remedy=(
            f"Look at queues between {near} and {far}: a line that is full, or a class of service that waits."
            if slow
            else "Nothing, unless what is inside cannot bear it."
        ),
        frames=frames_of([flow.slowest_frame] if flow.slowest_frame is not None else []),
        references=("RFC 5481 §4.2", "RFC 3550 §6.4.1"),
        capture=1 - flow.first,
    )


# Rewritten


@dataclass(slots=True)
class _Rewrite:
    kinds: set[str] = field(default_factory=set)
    spis: dict[str, None] = field(default_factory=dict)
    ports: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    frames: list[int] = field(default_factory=list)


def _rewritten(matched: Matched, names: tuple[str, str]) -> Iterator[Finding]:
    found: dict[tuple[str, str, str, str], _Rewrite] = {}
    for flow in matched.flows:
        one, other = flow.tracks
        if one is not None and other is not None and flow.common:
            ends = (one.source, one.destination, other.source, other.destination)
            _note(found, ends, (one.ports[0], other.ports[0]), f"{flow.protocol} {spi_text(flow.spi)}", one.frames[0])
            if one.encapsulations != other.encapsulations and ends in found:
                found[ends].kinds.add("the encapsulation")
    for message in matched.ike:
        ours, theirs = message.copies
        if ours and theirs:
            here, there = ours[0], theirs[0]
            ends = (here.source, here.destination, there.source, there.destination)
            ports = (here.source_port, here.destination_port), (there.source_port, there.destination_port)
            _note(found, ends, ports, "IKE", here.frame)
    for (source, destination, new_source, new_destination), rewrite in found.items():
        (port, to_port), (new_port, new_to_port) = rewrite.ports
        before = f"{_end(source, port)} to {_end(destination, to_port)}"
        kinds = " and ".join(sorted(rewrite.kinds))
        title = f"Something between the points rewrites {kinds} of {source} to {destination}"
        if source != new_source:
            title = f"A NAT between the points rewrites {kinds}: {source} is {new_source} behind it"
        after = f"{_end(new_source, new_port)} to {_end(new_destination, new_to_port)}"
        yield Finding(
            slug="rewritten-between",
            severity=Severity.INFO,
            certainty=Certainty.OBSERVED,
            subject=source if (source, port) != (new_source, new_port) else destination,
            title=title,
            explanation=(
                f"The same packets ({series(list(rewrite.spis))}) go from {before} in {names[0]} and from {after} "
                f"in {names[1]}: their SPIs, numbers and octets are equal. Behind a NAT, ESP needs UDP "
                "encapsulation and keepalives, and the gateway behind it can be reached only as long as the mapping "
                "lasts."
            ),
            remedy=(
                "Nothing, where this NAT is meant to be. Match the gateway by identity instead of address on the "
                "other side, and keep keepalives shorter than the NAT's timeout for UDP."
            ),
            frames=frames_of(rewrite.frames),
            references=("RFC 3948 §4", "RFC 7296 §2.23"),
            capture=0,
        )


def _note(
    found: dict[tuple[str, str, str, str], _Rewrite],
    ends: tuple[str, str, str, str],
    ports: tuple[tuple[int, int], tuple[int, int]],
    what: str,
    frame: int,
) -> None:
    source, destination, new_source, new_destination = ends
    if (source, destination) == (new_source, new_destination) and ports[0] == ports[1]:
        return
    back = destination, source, new_destination, new_source
    if back in found:  # the answers: the same rewriting
        ends, ports = back, (ports[0][::-1], ports[1][::-1])
    rewrite = found.setdefault(ends, _Rewrite(ports=ports))
    if source != new_source or destination != new_destination:
        rewrite.kinds.add("addresses")
    if ports[0] != ports[1]:
        rewrite.kinds.add("ports")
        if rewrite.ports[0] == rewrite.ports[1]:
            rewrite.ports = ports
    rewrite.spis[what] = None
    rewrite.frames.append(frame)


def _end(address: str, port: int) -> str:
    return f"{address} port {port}" if port else address
