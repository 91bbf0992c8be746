"""SPIs that can be foretold, or come again: random numbers that are none (RFC 7296 §2.6; RFC 4303 §2.1 for ESP)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.audit.gather import MOST_GROUPS
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.walk import is_same_message
from ipsecanalyze.findings.case import Case, frames_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.sa.records import IkeSa

__all__ = ["predictable_spi"]

#: So many SPIs of one side are needed to call them predictable; their steps are at most so far apart.
_LEAST, _STEP = 4, 1 << 16
#: ESP's SPIs have 32 bits: by chance two are within 2^8 of each other once in 2^23 times.
_STEP_ESP = 1 << 8
#: The share of steps that must be small.
_SHARE: Final = 0.75


def predictable_spi(case: Case, profile: Profile) -> Iterator[Finding]:
    """SPIs by whoever chose them, in order of appearance."""
    del profile
    chosen: dict[str, dict[int, IkeSa]] = defaultdict(dict)
    repeated: dict[tuple[str, int], list[IkeSa]] = defaultdict(list)
    for sa in case.ike_sas:
        for peer in (sa.initiator, sa.responder):
            if peer.spi:
                before = chosen[peer.address].get(peer.spi)
                if before is not None and not (peer is sa.initiator and _is_same_beginning(case, before, sa)):
                    repeated[peer.address, peer.spi].append(sa)
                chosen[peer.address].setdefault(peer.spi, sa)
    for address, spis in chosen.items():
        if _is_counting(list(spis), _STEP):
            yield _counting_ike(case, address, list(spis.items()))
    for (address, spi), sas in list(repeated.items())[:MOST_GROUPS]:
        yield _repeated(case, address, spi, [chosen[address][spi], *sas])
    towards: dict[str, dict[int, Flow]] = defaultdict(dict)
    for flow in case.flows:
        # Without IKE people choose SPIs, and those count.
        if flow.ike_sa is not None:
            towards[flow.destination].setdefault(flow.spi, flow)
    for address, flows in towards.items():
        if _is_counting(list(flows), _STEP_ESP):
            yield _counting_esp(address, list(flows.items()))


def _is_same_beginning(case: Case, one: IkeSa, other: IkeSa) -> bool:
    """Whether two IKE SAs begin with the same message, which was answered twice."""
    first, second = case.messages_of(one), case.messages_of(other)
    # The second answer to a message that was sent again makes an IKE SA that begins with it.
    is_answer = bool(second) and second[0].from_initiator is False
    return is_answer or (bool(first and second) and is_same_message(first[0], second[0]))


def _is_counting(numbers: Sequence[int], step: int) -> bool:
    if len(numbers) < _LEAST:
        return False
    small = sum(0 < abs(after - before) <= step for before, after in pairwise(numbers))
    return small >= _SHARE * (len(numbers) - 1)


def _counting_ike(case: Case, address: str, spis: Sequence[tuple[int, IkeSa]]) -> Finding:
    shown = ", ".join(f"{spi:016x}" for spi, _ in spis[:_LEAST])
    first = spis[0][1]
    capture = case.capture_of(first)
    frames = [sa.frames[0] for _, sa in spis[:32] if sa.frames and case.capture_of(sa) == capture]
    return Finding(
        slug="predictable-spi",
        severity=Severity.MEDIUM,
        certainty=Certainty.OBSERVED,
        subject=address,
        title=f"{address} counts its IKE SPIs instead of drawing them",
        explanation=f"The SPIs that {address} chose for {len(spis)} IKE SAs lie close together: {shown} and so on. "
        "Who can foretell them can send messages that seem to belong to an IKE SA without seeing it, and learns how "
        "many there are.",
        remedy="Update the implementation, or what makes its random numbers; this is a known weakness of old ones.",
        frames=frames_of(frames),
        references=("RFC 7296 §2.6",),
        capture=capture,
    )


def _repeated(case: Case, address: str, spi: int, sas: Sequence[IkeSa]) -> Finding:
    capture = case.capture_of(sas[0])
    frames = [sa.frames[0] for sa in sas[:32] if sa.frames and case.capture_of(sa) == capture]
    return Finding(
        slug="predictable-spi",
        severity=Severity.LOW,
        certainty=Certainty.OBSERVED,
        subject=sas[-1].id,
        title=f"{address} used the IKE SPI {spi:016x} for {len(sas)} IKE SAs",
        explanation=f"{address} chose the SPI {spi:016x} for {len(sas)} IKE SAs, first {sas[0].id}. An SPI has 64 bits "
        "and is drawn anew for each: the random numbers repeat, or a program sends fixed messages.",
        remedy="Find out what sends them; update the implementation, or what makes its random numbers.",
        frames=frames_of(frames),
        references=("RFC 7296 §2.6",),
        capture=capture,
    )


def _counting_esp(address: str, flows: Sequence[tuple[int, Flow]]) -> Finding:
    shown = ", ".join(f"{spi:08x}" for spi, _ in flows[:_LEAST])
    capture = flows[0][1].capture
    return Finding(
        slug="predictable-spi",
        severity=Severity.LOW,
        certainty=Certainty.OBSERVED,
        subject=address,
        title=f"{address} counts its ESP SPIs instead of drawing them",
        explanation=f"The SPIs of {len(flows)} ESP or AH SAs towards {address} lie close together: {shown} and so on. "
        "That is allowed, and makes it easier to send packets that reach the integrity check.",
        remedy="Nothing has to be done where packets are protected against change; drawn SPIs cost nothing.",
        frames=frames_of(flow.first_frame for _, flow in flows[:32] if flow.capture == capture),
        references=("RFC 4303 §2.1",),
        capture=capture,
    )
