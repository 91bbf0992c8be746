"""NULL encryption without keys: what lengths and octets of ESP packets show (RFC 5879, `findings/inference/`).

With keys the chosen suites say it (`algorithms.py`); flows that keys opened are left out here.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.guess import SuiteGuess
from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case, flow_subject, frames_of
from ipsecanalyze.findings.inference import unencrypted_flows
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import count_of

__all__ = ["null_encryption"]


def null_encryption(case: Case, profile: Profile) -> Iterator[Finding]:
    """Flows whose packets can be read as they are."""
    del profile
    flows = [flow for flow in case.flows if flow.protocol == "ESP" and not _is_known(case, flow)]
    found: Gathering[tuple[Flow, SuiteGuess]] = Gathering()
    for flow, guess in unencrypted_flows(case.captures, flows):
        group = found.add(frozenset((flow.source, flow.destination)), (flow, guess), flow_subject(flow))
        group.octets += flow.octets

    def told(group: Group[tuple[Flow, SuiteGuess]]) -> Finding:
        flow, guess = group.first
        frames, best = frames_of(guess.readable_frames), guess.candidates[0]
        return Finding(
            slug="null-encryption",
            severity=Severity.CRITICAL,
            certainty=Certainty.INFERRED,
            subject=flow.child_sa or flow_subject(flow),
            title="ESP encrypts nothing: packets can be read as they are",
            explanation=f"The contents of ESP packets between {flow.source} and {flow.destination} make sense without "
            f"any key: {count_of(len(guess.readable_frames), 'packet')} that were looked at hold IP packets or "
            f"transport headers that agree with themselves. The suite looks like {best.name} (probability "
            f"{best.probability:.2f}). {group.octets:,} octets in "
            f"{count_of(group.count, 'SA')} lie open so.",
            remedy="Choose a cipher (AES-GCM with ICVs of 16 octets) for ESP on both sides, if the contents matter.",
            frames=frames,
            references=("RFC 5879 §8", "RFC 2410 §2"),
            capture=flow.capture,
        )

    yield from found.findings(told)


def _is_known(case: Case, flow: Flow) -> bool:
    """Whether keys told the suite."""
    child = case.child_sa.get(flow.child_sa) if flow.child_sa is not None else None
    return bool(child is not None and child.chosen) or bool(flow.opening is not None and flow.opening.algorithms)
