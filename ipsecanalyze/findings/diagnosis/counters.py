"""What receivers check of each packet: the ICV with keys at hand, and counters that end or begin anew."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.findings.case import Case, flow_subject
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import count_of, share, span, spi_text

__all__ = ["icv_failures", "sequence_exhaustion", "sequence_restart"]

_LAST = 2**32 - 1
#: An end that is nearer than this, in time and as a share of all numbers, is told.
_NEAR_NS, _NEAR_SHARE = 24 * 3_600_000_000_000, 0.9
_SOON_NS = 3_600_000_000_000
#: Flows that are too short or small to project anything from.
_LEAST_NS, _LEAST_PACKETS = 1_000_000_000, 1_000
_UNSEEN = (
    " Or old packets were sent again (a replay): only a second look at the packets would tell, and these were not"
    " looked at again."
)
#: What the names of ciphers contain for which a repeated nonce reveals what was encrypted.
_NONCE_CIPHERS = ("GCM", "GMAC", "CCM", "CTR", "CHACHA")


def icv_failures(case: Case) -> Iterator[Finding]:
    """Packets did not verify with the keys that were given."""
    for flow in case.flows:
        opening = flow.opening
        if opening is None or not opening.icv_wrong:
            continue
        verdict, remedy = _icv_verdict(flow, opening)
        some = opening.opened > 0
        yield Finding(
            slug="icv-failures",
            severity=Severity.HIGH if some else Severity.MEDIUM,
            certainty=Certainty.OBSERVED if some else Certainty.INFERRED,
            subject=flow_subject(flow),
            title=(
                f"{opening.icv_wrong:,} of {count_of(opening.packets, f'{flow.protocol} packet')} from "
                f"{flow.source} to {flow.destination} fail the integrity check"
            ),
            explanation=(
                f"Of {count_of(opening.packets, 'packet')} of {flow.protocol} {spi_text(flow.spi)} from "
                f"{flow.source} to {flow.destination}, {opening.opened:,} were opened with the given keys and "
                f"{opening.icv_wrong:,} ({share(opening.icv_wrong, opening.packets)}) have a wrong ICV. {verdict}"
            ),
            remedy=remedy,
            frames=case.sure_frames(flow, () if some else (flow.first_frame, flow.last_frame)),
            references=("RFC 4303 §3.4.4",) if flow.protocol == "ESP" else ("RFC 4302 §3.4.4",),
            capture=flow.capture,
        )


def _icv_verdict(flow: Flow, opening: FlowOpening) -> tuple[str, str]:
    """What wrong ICVs mean, and what to do."""
    told = opening.explanation and f" ({opening.explanation})"
    if opening.reason == "esn" or (opening.esn and flow.sequence.wraps):
        verdict = f"That fits extended sequence numbers: the upper half is in the ICV but not in the packet{told}."
        return verdict, opening.remedy or "Say that the SA uses ESN, or give a capture from its beginning."
    if not opening.opened:
        verdict = (
            "It is all of them, so these are not this SA's keys, or the algorithm or the length of the ICV is "
            f"another{told}: HMAC-SHA2-256 of old Linux kernels has an ICV of 96 bits, where others have 128."
        )
        return verdict, opening.remedy or "Compare keys, algorithm and ICV length at both ends."
    if flow.truncated_packets:
        verdict = f"{count_of(flow.truncated_packets, 'packet')} of the flow were cut by the snap length."
        return verdict, "Capture whole packets: `tcpdump -s 0`."
    verdict = (
        "The key is right, as it opens others: these packets were changed on the way or forged, or belong to "
        f"another SA with the same SPI{told}."
    )
    counters = f"See the counters of integrity errors at {flow.destination}; look for a device that rewrites packets."
    return verdict, opening.remedy or counters


# Counters


def sequence_exhaustion(case: Case) -> Iterator[Finding]:
    """A counter of 32 bits will soon have been used up."""
    for flow in case.flows:
        sequence = flow.sequence
        highest = sequence.highest
        lasted = flow.last_time_ns - flow.first_time_ns
        if sequence.restarts or sequence.wraps or _is_extended(case, flow) or flow.packets < _LEAST_PACKETS:
            continue
        if lasted < _LEAST_NS or sequence.break_count:
            continue
        rate = (highest - sequence.lowest) / lasted
        left = _LAST - highest
        if not rate:
            continue
        left_ns = left / rate
        near = highest >= _NEAR_SHARE * _LAST and left_ns < _NEAR_NS
        if not near and left_ns >= _SOON_NS:
            continue
        yield Finding(
            slug="sequence-exhaustion",
            severity=Severity.HIGH if near and left_ns < _SOON_NS else Severity.MEDIUM if near else Severity.LOW,
            certainty=Certainty.INFERRED,
            subject=flow_subject(flow),
            title=f"The sequence numbers from {flow.source} to {flow.destination} end in {span(left_ns)}",
            explanation=(
                f"{flow.protocol} {spi_text(flow.spi)} has reached number {highest:,} of {_LAST:,} and used "
                f"{rate * 1e9:,.0f} numbers per second over {span(lasted)}: at that rate the 32-bit counter ends "
                f"{span(left_ns)} after the flow's last packet here. The sender must not let it cycle: it has to "
                "rekey before, or the tunnel stops. "
                + (
                    "Extended sequence numbers were not negotiated."
                    if _is_short(case, flow)
                    else "Whether extended sequence numbers were negotiated is not known here."
                )
            ),
            remedy=(
                f"Negotiate extended sequence numbers (ESN) between {flow.source} and {flow.destination}, or rekey "
                "by packets or octets before the counter ends, not only by time."
            ),
            frames=case.sure_frames(flow, (flow.first_frame, flow.last_frame)),
            references=("RFC 4303 §3.3.3", "RFC 4303 §2.2.1"),
            capture=flow.capture,
        )


def _is_extended(case: Case, flow: Flow) -> bool:
    child = case.child_sa.get(flow.child_sa) if flow.child_sa else None
    return bool((child and child.esn) or (flow.opening and flow.opening.esn))


def _is_short(case: Case, flow: Flow) -> bool:
    """Whether it is known that the counter has 32 bits."""
    child = case.child_sa.get(flow.child_sa) if flow.child_sa else None
    return child is not None and child.esn is False and child.certainty is Certainty.OBSERVED


def sequence_restart(case: Case) -> Iterator[Finding]:
    """A counter began anew under the same SPI."""
    for flow in case.flows:
        restarts = flow.sequence.restarts
        if not restarts or flow.is_inferred or not case.began_anew(flow):
            continue
        jumps = [jump for jump in flow.sequence.breaks if jump.after < jump.before]
        nonce = _nonce_cipher(case, flow)
        # Without a second look, packets that were sent again cannot be told from new ones with old numbers.
        unseen = not case.was_seen_again(flow)
        where = ""
        if jumps:
            where = f" The first time it fell from {jumps[0].before:,} to {jumps[0].after:,}."
        yield Finding(
            slug="sequence-restart",
            severity=Severity.CRITICAL if nonce and not unseen else Severity.HIGH,
            certainty=Certainty.INFERRED,
            subject=flow_subject(flow),
            title=f"The sequence numbers from {flow.source} to {flow.destination} began anew under one SPI",
            explanation=(
                f"The counter of {flow.protocol} {spi_text(flow.spi)} from {flow.source} to {flow.destination} "
                f"began anew {count_of(restarts, 'time')} within {count_of(flow.packets, 'packet')}.{where} Numbers "
                "may come only once under one key. Either the same SA was put in place again with the same key "
                "(manual keys, a restored virtual machine, a failover without its counters), and the receiver's "
                "anti-replay drops all of it"
                + (
                    f"; with {nonce} the counter is what makes nonces, and a repeated one reveals what was "
                    "encrypted and lets anyone forge packets"
                    if nonce
                    else ", and with GCM, CCM, CTR or ChaCha20 repeated nonces reveal what was encrypted"
                )
                + "; or a new SA happens to have the same SPI."
                + (_UNSEEN if unseen else "")
            ),
            remedy=(
                f"Make new keys: negotiate by IKE instead of manual keys, and let {flow.source} negotiate anew "
                "whenever it starts, is restored or takes over (RFC 6311 says how clusters carry counters on)."
            ),
            frames=case.sure_frames(flow, (jump.frame for jump in jumps)),
            references=("RFC 4303 §3.3.3", "RFC 4106 §3.1"),
            capture=flow.capture,
        )


def _nonce_cipher(case: Case, flow: Flow) -> str | None:
    child = case.child_sa.get(flow.child_sa) if flow.child_sa else None
    for algorithm in child.chosen if child else ():
        if algorithm.type == "ENCR" and any(name in algorithm.name.upper() for name in _NONCE_CIPHERS):
            return algorithm.name
    return None
