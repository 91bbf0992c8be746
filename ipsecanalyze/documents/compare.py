"""The document of a comparison of two capture points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, Protocol, cast

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.documents.captures import capture_entry, warning_entry
from ipsecanalyze.documents.findings import finding_entry
from ipsecanalyze.errors import Notice
from ipsecanalyze.findings.compare.match import Clock, FlowBetween, IkeBetween
from ipsecanalyze.findings.compare.points import Track
from ipsecanalyze.findings.model import Finding
from ipsecanalyze.ike.header import exchange_name
from ipsecanalyze.shapes import ComparisonDocument, FlowBetweenEntry, IkeBetweenEntry, SightEntry, VariationEntry

__all__ = ["ComparisonLike", "comparison_document"]


class ComparisonLike(Protocol):
    """What the document reads of a comparison."""

    @property
    def captures(self) -> Sequence[CaptureFacts]:
        """The two files."""

    @property
    def clock(self) -> Clock:
        """How their clocks stand to each other."""

    @property
    def flows(self) -> Sequence[FlowBetween]:
        """SAs at both points."""

    @property
    def ike(self) -> Sequence[IkeBetween]:
        """IKE messages at both points."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What it found."""

    @property
    def notices(self) -> Sequence[Notice]:
        """What it has to say of itself."""


def comparison_document(comparison: ComparisonLike) -> ComparisonDocument:
    """The document of `compare --format json`."""
    clock = comparison.clock
    return {
        "schema": "ipsecanalyze.comparison/1",
        "captures": [capture_entry(facts) for facts in comparison.captures],
        "clock": [{"offset_ns": clock.offset_ns, "round_trip_ns": clock.round_trip_ns, "drift_ppm": clock.drift_ppm}],
        "flows": [_flow_entry(flow) for flow in comparison.flows],
        "ike": [_ike_entry(message) for message in comparison.ike],
        "findings": [finding_entry(finding) for finding in comparison.findings],
        "warnings": [warning_entry(notice) for notice in comparison.notices],
    }


def _flow_entry(flow: FlowBetween) -> FlowBetweenEntry:
    variation = flow.variation
    return {
        "protocol": cast("Literal['ESP', 'AH']", flow.protocol),
        "spi": f"{flow.spi:08x}",
        "first": flow.first,
        "order_by": flow.order_by,
        "sights": [None if track is None else _sight_entry(track) for track in flow.tracks],
        "common": flow.common,
        "lost": flow.lost,
        "lost_run_count": flow.lost_run_count,
        "longest_run": flow.longest_run,
        "lost_runs": [
            {
                "first": run.first,
                "last": run.last,
                "first_time_ns": run.first_time_ns,
                "last_time_ns": run.last_time_ns,
                "first_frame": run.first_frame,
                "last_frame": run.last_frame,
            }
            for run in flow.lost_runs
        ],
        "lost_octets": None if flow.lost_octets is None else list(flow.lost_octets),
        "common_octets": None if flow.common_octets is None else list(flow.common_octets),
        "unseen": flow.unseen,
        "uncovered": flow.uncovered,
        "reordered": flow.reordered,
        "largest_lateness": flow.largest_lateness,
        "replay_window_drops": {str(window): count for window, count in flow.late_outside.items()},
        "delay": None if variation is None else cast("VariationEntry", asdict(variation)),
    }


def _sight_entry(track: Track) -> SightEntry:
    return {
        "source": track.source,
        "destination": track.destination,
        "packets": len(track.numbers),
        "ports": [list(pair) for pair in track.ports if any(pair)],
        "encapsulations": [encapsulation.value for encapsulation in track.encapsulations],
        "ttl": track.ttl,
    }


def _ike_entry(message: IkeBetween) -> IkeBetweenEntry:
    spis, version, exchange, _, message_id, _ = message.key
    sample = (message.copies[message.first] or message.copies[1 - message.first])[0]
    return {
        "initiator_spi": spis[:8].hex(),
        "responder_spi": spis[8:].hex(),
        "exchange": exchange_name(version >> 4, exchange),
        "message_id": message_id,
        "source": sample.source,
        "destination": sample.destination,
        "first": message.first,
        "frames": [[copy.frame for copy in copies] for copies in message.copies],
        "lost": message.lost,
    }
