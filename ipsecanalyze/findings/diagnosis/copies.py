"""Packets that come more than once: replayed on purpose, or doubled by the network.

What the capture itself doubled is `quality.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.case import Case, flow_subject, frames_of
from ipsecanalyze.findings.model import Certainty, Defect, Finding, Severity
from ipsecanalyze.findings.traces import Copy
from ipsecanalyze.findings.words import count_of, share, span, spi_text

__all__ = ["duplicate_packets"]

#: Networks that double a packet do so within this; later copies were kept by somebody.
_LATE_NS = 1_000_000_000
_LATE_SHARE = 0.5


def duplicate_packets(case: Case) -> Iterator[Finding]:
    """Sequence numbers came more than once."""
    for flow in case.flows:
        sequence = flow.sequence
        if sequence.packets == sequence.unique or case.began_anew(flow) or flow.is_inferred:
            continue
        if Defect.MIRRORED in case.defects.get(flow.capture, ()):
            continue
        found = case.trace_of(flow)
        if found is not None and not found.copy_count and len(case.captures) > 1:
            continue  # the copies are in another capture: of another point, as `captures-overlap` tells
        copies = found.copies if found else []
        late = sum(copy.apart_ns >= _LATE_NS for copy in copies)
        replayed = bool(copies) and late >= _LATE_SHARE * len(copies)
        count, packets = sequence.duplicates, sequence.packets
        sender = f"{flow.source} to {flow.destination}"
        yield Finding(
            slug="duplicate-packets",
            severity=Severity.MEDIUM if replayed else Severity.LOW,
            certainty=Certainty.INFERRED if replayed or not copies else Certainty.OBSERVED,
            subject=flow_subject(flow),
            title=(
                f"Old {flow.protocol} packets from {sender} were sent again: a replay"
                if replayed
                else f"{count_of(count, f'{flow.protocol} packet')} from {sender} came more than once"
            ),
            explanation=(
                f"{count:,} of {count_of(packets, 'packet')} of {flow.protocol} {spi_text(flow.spi)} "
                f"({share(count, packets)}) {'has' if count == 1 else 'have'} a sequence number that had been "
                "seen before. "
                f"{_circumstances(copies)}" + _meaning(flow, copies, replayed=replayed)
            ),
            remedy=(
                f"See to it that anti-replay is on at {flow.destination} (it drops these packets and counts them), "
                "and find who can write to the path between the gateways."
                if replayed
                else "See whether a mirror session writes into the path, a layer-2 loop or bridge floods, or a "
                "line repeats frames; receivers with anti-replay drop the copies."
            ),
            frames=frames_of(frame for copy in copies[:16] for frame in copy[:2]),
            references=("RFC 4303 §3.4.3",) if flow.protocol == "ESP" else ("RFC 4302 §3.4.3",),
            capture=flow.capture,
        )


def _circumstances(copies: Sequence[Copy]) -> str:
    if not copies:
        return ""
    apart = sorted(copy.apart_ns for copy in copies)
    behind = max(copy.behind for copy in copies)
    text = f"The copies came {span(apart[0])} to {span(apart[-1])} after the first" if apart[0] != apart[-1] else ""
    text = text or f"The copy came {span(apart[0])} after the first"
    text += f", up to {behind:,} numbers behind the highest" if behind else ""
    same = sum(copy.same_id and not copy.ttl_step for copy in copies)
    if same == len(copies):
        return text + f",{' all' if len(copies) > 1 else ''} with the same TTL and IP identification. "
    return text + f", {same:,} of {len(copies):,} with the same TTL and IP identification. "


def _meaning(flow: Flow, copies: Sequence[Copy], *, replayed: bool) -> str:
    if replayed:
        return (
            "No network repeats packets so late: somebody kept them and sent them again, or a device on the path "
            f"held them back. With anti-replay on, {flow.destination} drops them."
        )
    if not copies:
        return "They were doubled on the way, by the capture or by somebody who replays them."
    exact = sum(copy.same_id and not copy.ttl_step and copy.same_octets for copy in copies) == len(copies)
    if exact:
        return (
            "So short after the first and exactly alike, they were doubled by the network, or by a mirror port that "
            "doubles part of what it sees; the other packets of the flow came once."
        )
    return (
        "A changed TTL or IP identification says that they took another way or were sent anew: it is the network, "
        "not the capture."
    )
