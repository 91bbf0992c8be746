"""How much of ESP and AH arrives, and in what order: loss, loss at rekeys, reordering, replay windows.

Sequence numbers count what was sent (RFC 4303 §2.2), so a number that is absent here was lost between the sender and
the capture point; what is lost beyond that point shows only in a second capture (`compare`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.case import Case, flow_subject, frames_of
from ipsecanalyze.findings.model import Certainty, Defect, Finding, Severity
from ipsecanalyze.findings.traces import Gap, Trace
from ipsecanalyze.findings.words import count_of, share, span, spi_text
from ipsecanalyze.sa.records import Exchange, IkeSa

__all__ = ["esp_loss", "esp_reordering", "loss_at_rekey", "lost_packets", "replay_window_exceeded"]

#: Losses of a flow from which on they are more than an accident, as packets and as shares.
_SOME, _SOME_SHARE = 3, 0.01
_MUCH, _MUCH_SHARE = 10, 0.05
#: Losses within this of a rekey belong to it; rekeys must be so many, and lose so much of what is lost.
_AT_REKEY_NS = 2_000_000_000
_REKEYS, _AT_REKEY_SHARE, _AT_REKEY_LEAST = 2, 0.7, 3
#: New exchanges of Child SAs, by name.
_REKEY_EXCHANGES = frozenset({"CREATE_CHILD_SA", "Quick Mode"})
_TCP_THRESHOLD = 3
#: Linux, strongSwan and libreswan use a window of 32 or more; most others 64.
_LEAST_WINDOW = 32


def lost_packets(flow: Flow) -> int:
    """Numbers that are absent, without those that large jumps of the counter passed over."""
    sequence = flow.sequence
    if not sequence.loss_bursts:
        return 0
    jumped = sum(jump.after - jump.before - 1 for jump in sequence.breaks if jump.after > jump.before)
    return max(sequence.lost - jumped, 0)


def esp_loss(case: Case) -> Iterator[Finding]:
    """Sequence numbers are absent."""
    for flow in case.flows:
        lost, sequence = lost_packets(flow), flow.sequence
        if not lost or case.began_anew(flow) or flow.is_inferred:
            continue
        sent = sequence.unique + lost
        found = case.trace_of(flow)
        gaps = _true_gaps(found.gaps if found else [])
        yield Finding(
            slug="esp-loss",
            severity=_loss_severity(case, flow, lost, sent),
            certainty=Certainty.OBSERVED,
            subject=flow_subject(flow),
            title=(
                f"{share(lost, sent)} of the {flow.protocol} packets from {flow.source} to {flow.destination} "
                f"{'are missing in the capture' if _is_leaky(case, flow) else 'were lost before the capture point'}"
            ),
            explanation=_loss_text(flow, lost, sent, gaps, leaky=_is_leaky(case, flow)),
            remedy=_loss_remedy(flow),
            frames=frames_of(frame for gap in gaps for frame in (gap.frame_before, gap.frame_after)),
            references=("RFC 4303 §2.2",) if flow.protocol == "ESP" else ("RFC 4302 §2.5",),
            capture=flow.capture,
        )


def _true_gaps(gaps: Sequence[Gap]) -> list[Gap]:
    """Without those that large jumps made."""
    return [gap for gap in gaps if gap.missing <= 4096]


def _is_leaky(case: Case, flow: Flow) -> bool:
    """Whether the capture itself lost packets."""
    return Defect.DROPPED in case.defects.get(flow.capture, ())


def _loss_severity(case: Case, flow: Flow, lost: int, sent: int) -> Severity:
    if lost < _SOME or lost < _SOME_SHARE * sent or _is_leaky(case, flow):
        return Severity.LOW
    return Severity.HIGH if lost >= _MUCH and lost >= _MUCH_SHARE * sent else Severity.MEDIUM


def _loss_text(flow: Flow, lost: int, sent: int, gaps: Sequence[Gap], *, leaky: bool) -> str:
    sequence = flow.sequence
    bursts, longest = sequence.loss_bursts, sequence.longest_loss_burst
    text = (
        f"Of {sent:,} sequence numbers of {flow.protocol} {spi_text(flow.spi)} from {flow.source} to "
        f"{flow.destination} ({sequence.lowest:,} to {sequence.highest:,}), {lost:,} never came by here "
        f"({share(lost, sent)})"
    )
    if bursts == 1:
        text += ", all in one run"
    elif longest > 1:
        text += f", in {bursts:,} runs, the longest of {longest:,}"
    else:
        text += ", each alone"
    text += f", within {span(flow.last_time_ns - flow.first_time_ns)}. "
    if len(gaps) > 1:
        worst = max(gaps, key=lambda gap: gap.missing)
        if worst.missing > 1:
            after = span(worst.time_ns - flow.first_time_ns)
            text += f"The longest run, {worst.first:,} to {worst.last:,}, ends {after} after the flow's first packet. "
    if leaky:
        return text + "As the capture itself has holes, they may well have passed here unseen."
    return text + (
        "They were sent, as the sender counts what it sends, and were lost between the sender and the capture "
        "point. Whether more is lost behind that point cannot be seen here."
    )


def _loss_remedy(flow: Flow) -> str:
    carrier = "IP protocol 50" if flow.protocol == "ESP" else "IP protocol 51"
    if flow.ports:
        carrier = f"UDP port {flow.ports[0][1]}"
    return (
        f"Look at the path from {flow.source} to the capture point: errors and drops on its interfaces, policers "
        f"that count {carrier} as a class of its own, and the line's rate. A capture at {flow.source} and "
        "`ipsecanalyze compare` show between which two points packets vanish."
    )


# At rekeys


@dataclass
class _Loss:
    time_ns: int
    missing: int
    frames: tuple[int, ...]
    flow: Flow


def loss_at_rekey(case: Case) -> Iterator[Finding]:
    """What is lost is lost when SAs are replaced."""
    for sa in case.ike_sas:
        if sa.child_exchanges < _REKEYS:
            continue
        flows = case.flows_of(sa)
        if not any(flow.sequence.loss_bursts or flow.sequence.lowest > 1 for flow in flows):
            continue
        rekeys = _rekeys(sa)
        losses = [loss for flow in flows for loss in _losses(case, flow, sa)]
        near = [loss for loss in losses if _is_near(loss.time_ns, rekeys)]
        lost, total = sum(loss.missing for loss in near), sum(loss.missing for loss in losses)
        hit = {bisect_left(rekeys, loss.time_ns - _AT_REKEY_NS) for loss in near}
        if lost < _AT_REKEY_LEAST or lost < _AT_REKEY_SHARE * total or len(hit) < _REKEYS:
            continue
        whole, capture = max(sa.last_time_ns - sa.first_time_ns, 1), near[0].flow.capture
        if len(rekeys) * 2 * _AT_REKEY_NS > whole / 2:
            continue  # the rekeys are so close that everything is near one
        yield Finding(
            slug="loss-at-rekey",
            severity=Severity.MEDIUM,
            certainty=Certainty.INFERRED,
            subject=sa.id,
            title=f"Packets between {sa.initiator.address} and {sa.responder.address} are lost when SAs are replaced",
            explanation=(
                f"{lost:,} of {count_of(total, 'lost packet')} are missing within {span(_AT_REKEY_NS)} of "
                f"{len(hit):,} of {count_of(len(rekeys), 'exchange')} that made new Child SAs, though these moments "
                f"are only {share(len(rekeys) * 2 * _AT_REKEY_NS, whole)} of the time. The old SA is taken away "
                "while packets under it are still on their way, or the new one is used before the other side has it."
            ),
            remedy=(
                f"Let {sa.initiator.address} and {sa.responder.address} keep the old inbound SA for some seconds "
                "after the rekey (strongSwan: charon.delete_rekeyed_delay), and rekey well before the hard lifetime "
                "ends."
            ),
            frames=frames_of(frame for loss in near if loss.flow.capture == capture for frame in loss.frames),
            references=("RFC 7296 §2.8",),
            capture=capture,
        )


def _rekeys(sa: IkeSa) -> list[int]:
    """When Child SAs were made after the first ones, in order."""
    made: list[Exchange] = [exchange for exchange in sa.exchanges if exchange.name in _REKEY_EXCHANGES]
    return sorted(exchange.first_time_ns for exchange in made)


def _losses(case: Case, flow: Flow, sa: IkeSa) -> Iterator[_Loss]:
    found: Trace | None = case.trace_of(flow)
    for gap in _true_gaps(found.gaps if found else []):
        yield _Loss(gap.time_ns, gap.missing, (gap.frame_before, gap.frame_after), flow)
    if 1 < flow.sequence.lowest <= 64 and flow.first_time_ns > sa.first_time_ns and not sa.started_late:
        yield _Loss(flow.first_time_ns, flow.sequence.lowest - 1, (flow.first_frame,), flow)


def _is_near(time_ns: int, rekeys: Sequence[int]) -> bool:
    at = bisect_left(rekeys, time_ns - _AT_REKEY_NS)
    return at < len(rekeys) and rekeys[at] <= time_ns + _AT_REKEY_NS


# Order


def esp_reordering(case: Case) -> Iterator[Finding]:
    """New numbers came below the highest."""
    for flow in case.flows:
        sequence = flow.sequence
        # Cheap first: most flows are in order.
        if not sequence.largest_lateness or case.began_anew(flow) or flow.is_inferred or not sequence.reordered:
            continue
        found = case.trace_of(flow)
        late = found.late if found else []
        most = late[0].behind if late else sequence.largest_lateness
        yield Finding(
            slug="esp-reordering",
            severity=Severity.LOW if _costs(sequence.reordered, sequence.unique, most) else Severity.INFO,
            certainty=Certainty.OBSERVED,
            subject=flow_subject(flow),
            title=f"{flow.protocol} packets from {flow.source} to {flow.destination} arrive out of order",
            explanation=(
                f"{sequence.reordered:,} of {count_of(sequence.unique, 'packet')} of {flow.protocol} "
                f"{spi_text(flow.spi)} ({share(sequence.reordered, sequence.unique)}) came after one with a higher "
                f"sequence number, up to {most:,} behind the highest. " + _order_matters(most)
            ),
            remedy=(
                "Look for several paths of unequal length (ECMP by packet, bonded lines), for queues by DSCP that "
                "the outer header inherits, and for a sender or a capture that spreads one SA over several cores."
            ),
            frames=frames_of(one.frame for one in late),
            references=("RFC 4737 §3.3",),
            capture=flow.capture,
        )


def _order_matters(most: int) -> str:
    if most >= _LEAST_WINDOW:
        return "Receivers drop what falls out of their replay window."
    if most < _TCP_THRESHOLD:
        return f"A replay window of {_LEAST_WINDOW} takes them all, and TCP inside does not mind so little."
    return (
        f"A replay window of {_LEAST_WINDOW} takes them all; TCP inside may suffer, as it takes a packet that is "
        "overtaken by three others for lost."
    )


def _costs(reordered: int, packets: int, most: int) -> bool:
    """Whether TCP inside will notice (it takes three packets out of order for a loss, RFC 5681 §3.2)."""
    return most >= _TCP_THRESHOLD and reordered >= _SOME_SHARE * packets


def replay_window_exceeded(case: Case) -> Iterator[Finding]:
    """Packets that had not come before come so late that receivers take them for replays."""
    for flow in case.flows:
        sequence = flow.sequence
        if sequence.largest_lateness < _LEAST_WINDOW or case.began_anew(flow) or flow.is_inferred:
            continue
        found = case.trace_of(flow)
        frames = [one.frame for one in found.late if one.behind >= _LEAST_WINDOW] if found else []
        if not sequence.duplicates:
            dropped = sequence.outside_window
        elif found is not None:
            dropped = found.late_outside  # without copies, in the packets that were looked at again
        else:
            continue
        if not dropped[_LEAST_WINDOW]:
            continue
        exact = not sequence.duplicates or (found is not None and found.packets == flow.packets)
        windows = ", ".join(f"{count:,} with {window:,}" for window, count in dropped.items())
        enough = next((window for window, count in dropped.items() if not count), 2 * max(dropped))
        most = found.late[0].behind if found and found.late else sequence.largest_lateness
        yield Finding(
            slug="replay-window-exceeded",
            severity=Severity.MEDIUM,
            certainty=Certainty.INFERRED,
            subject=flow_subject(flow),
            title=f"{flow.destination} drops late {flow.protocol} packets from {flow.source} if its window is small",
            explanation=(
                f"{sequence.reordered:,} of {count_of(sequence.unique, 'packet')} of {flow.protocol} "
                f"{spi_text(flow.spi)} came out of order, up to {most:,} numbers behind the highest. A receiver "
                "drops what lies to the left of its anti-replay window; as they came by here, so many for each "
                "window size: "
                f"{windows}{'' if exact else ', at least'}."
            ),
            remedy=(
                f"Set the replay window of {flow.destination} to {enough:,} or more packets, and find what delays "
                "single packets: queues by DSCP under one SA (use an SA per class), or several paths."
            ),
            frames=frames_of(frames),
            references=("RFC 4303 §3.4.3", "RFC 4301 §4.1"),
            capture=flow.capture,
        )
