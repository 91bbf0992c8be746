"""The audit's rule on what can be read without keys: ESP flows whose contents are in the clear."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.guess import SuiteGuess
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case, flow_subject, frames_of
from ipsecanalyze.findings.inference.flows import unencrypted_flows
from ipsecanalyze.findings.model import Certainty, Finding, Severity

__all__ = ["read_in_the_clear"]


def read_in_the_clear(case: Case, profile: Profile) -> Iterator[Finding]:
    """NULL encryption that nobody had to tell: a finding for each Child SA, or for flows between two addresses.

    Flows whose algorithms are known (keys opened them, or the messages that made their SA) are left to the rule on
    chosen algorithms.
    """
    del profile
    unknown = [flow for flow in case.flows if not _is_known(case, flow)]
    groups: dict[object, list[tuple[Flow, SuiteGuess]]] = {}
    for flow, guess in unencrypted_flows(case.captures, unknown):
        key = flow.child_sa or frozenset((flow.source, flow.destination))
        groups.setdefault((flow.capture, key), []).append((flow, guess))
    for found in groups.values():
        yield _finding(found)


def _is_known(case: Case, flow: Flow) -> bool:
    child = case.child_sa.get(flow.child_sa or "")
    return bool(flow.decrypted_packets or (child is not None and child.chosen))


def _finding(found: list[tuple[Flow, SuiteGuess]]) -> Finding:
    first, guess = found[0]
    best = guess.candidates[0]
    others = f", as in {len(found) - 1} more flow{'s' * (len(found) > 2)} of the two" if len(found) > 1 else ""
    return Finding(
        slug="null-encryption",
        severity=Severity.CRITICAL,
        certainty=Certainty.INFERRED,
        subject=first.child_sa or flow_subject(first),
        title=f"ESP encrypts nothing: packets from {first.source} to {first.destination} can be read",
        explanation=(
            f"{len(guess.readable_frames)} of the {guess.packets} packets of {flow_subject(first)} that were looked at"
            f" have their contents in the clear{others}: headers that fit their lengths and checksums, and behind"
            f" them the padding and next header of ESP. The suite looks like {best.name}"
            f" (probability {best.probability:.2f}). Everyone on the way can read what is sent."
        ),
        remedy="Choose a cipher (AES-GCM with ICVs of 16 octets) for ESP on both sides, if the contents matter.",
        frames=frames_of(
            frame for flow, seen in found if flow.capture == first.capture for frame in seen.readable_frames
        ),
        references=("RFC 5879", "RFC 2410 §2", "RFC 4303 §1"),
        capture=first.capture,
    )
