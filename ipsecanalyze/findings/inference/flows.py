"""The suites of all flows of an analysis: a look at their first packets, then flow by flow. Bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nlargest

from ipsecanalyze._fast.contract import CaptureFacts, Limits
from ipsecanalyze.esp.flow import Flow, FlowKey
from ipsecanalyze.findings.inference.infer import infer_suite
from ipsecanalyze.findings.inference.samples import take_samples
from ipsecanalyze.sa.records import IkeSa

__all__ = ["MOST_FLOWS", "infer_flows"]

#: Flows that are judged; where there are more, those with the most packets.
MOST_FLOWS = 5_000


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
    keys = {_key(flow): flow for flow in wanted if flow.guess is None and flow.packets}
    samples = take_samples(captures, {key: flow.packets for key, flow in keys.items()}, limits)
    for key, flow in keys.items():
        sa = (ike_sas or {}).get(flow.ike_sa or "")
        flow.guess = infer_suite(flow, samples.get(key, ()), sa.chosen if sa is not None else ())


def _key(flow: Flow) -> FlowKey:
    return flow.protocol, flow.source, flow.destination, flow.spi, flow.encapsulation
