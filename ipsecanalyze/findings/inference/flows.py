"""The suites of all flows of an analysis: a look at their first packets, then flow by flow. Bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nlargest

from ipsecanalyze._fast.contract import CaptureFacts, Limits
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.guess import SuiteGuess
from ipsecanalyze.findings.inference.clear import read_clear
from ipsecanalyze.findings.inference.infer import infer_suite, looks_unencrypted
from ipsecanalyze.findings.inference.iv import distinct
from ipsecanalyze.findings.inference.samples import take_samples
from ipsecanalyze.sa.records import IkeSa

__all__ = ["MOST_FLOWS", "infer_flows", "unencrypted_flows"]

#: Flows that are judged; where there are more, those with the most packets.
MOST_FLOWS = 5_000
#: Packets that tell whether contents are in the clear, and how many a flow must have.
_A_FEW, _LEAST = 8, 3


def infer_flows(
    captures: Sequence[CaptureFacts],
    flows: Sequence[Flow],
    ike_sas: Mapping[str, IkeSa] | None = None,
    *,
    limits: Limits | None = None,
    most: int = MOST_FLOWS,
) -> None:
    """Put a guess on each flow of ESP (`Flow.guess`), as long as `most` have none yet.

    The captures are read again, up to where every flow has shown enough packets; a flow whose capture cannot be read
    again (standard input, deleted) is judged by its lengths.
    """
    wanted = nlargest(most, (flow for flow in flows if flow.protocol == "ESP"), key=lambda flow: flow.packets)
    keys = {flow.key: flow for flow in wanted if flow.guess is None and flow.packets}
    samples = take_samples(captures, {key: flow.packets for key, flow in keys.items()}, limits)
    for key, flow in keys.items():
        sa = (ike_sas or {}).get(flow.ike_sa or "")
        flow.guess = infer_suite(flow, samples.get(key, ()), sa.chosen if sa is not None else ())


def unencrypted_flows(
    captures: Sequence[CaptureFacts], flows: Sequence[Flow], *, limits: Limits | None = None, most: int = MOST_FLOWS
) -> list[tuple[Flow, SuiteGuess]]:
    """The flows of ESP whose contents were read in the clear without keys (RFC 5879), with what was seen.

    Cheaper than `infer_flows`: looks at few packets, and only at flows whose lengths NULL encryption may have. What
    keys have opened is left out, as there is nothing to guess.
    """
    known = [(flow, flow.guess) for flow in flows if flow.guess is not None and looks_unencrypted(flow.guess)]
    wanted = nlargest(most, filter(_may_be_clear, flows), key=lambda flow: flow.packets)
    keys = {flow.key: flow for flow in wanted}
    samples = take_samples(captures, {key: flow.packets for key, flow in keys.items()}, limits, _A_FEW)
    readable = ((keys[key], taken) for key, taken in samples.items() if read_clear(distinct(taken)))
    return known + [(flow, infer_suite(flow, taken)) for flow, taken in readable]


def _may_be_clear(flow: Flow) -> bool:
    """Whether a look could show contents in the clear: enough packets, and no lengths that only blocks make."""
    if flow.protocol != "ESP" or flow.packets < _LEAST or flow.decrypted_packets or flow.guess is not None:
        return False
    residues = flow.length_residues
    return all(residue % 4 == 0 for residue in residues) and (len(residues) > 1 or len(set(flow.sizes.first)) < 4)
