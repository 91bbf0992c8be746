"""Entries for ESP and AH flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, Literal, cast

from ipsecanalyze.documents.sas import esp_spi
from ipsecanalyze.esp.distribution import Distribution
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.guess import SuiteGuess
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.shapes import DistributionEntry, FlowEntry, InferredEntry, OpeningEntry

__all__ = ["flow_entry", "flow_views", "inferred_entry", "opening_entry"]


def flow_entry(flow: Flow) -> FlowEntry:
    """The entry for a flow."""
    sequence = flow.sequence
    sizes, gaps_ns, ttls, traffic_classes, length_residues = flow.statistics()
    return {
        "protocol": cast("Literal['ESP', 'AH']", flow.protocol),
        "source": flow.source,
        "destination": flow.destination,
        "spi": f"{flow.spi:08x}",
        "encapsulation": flow.encapsulation.value,
        "certainty": _certainty(flow),
        "capture": flow.capture,
        "packets": flow.packets,
        "octets": flow.octets,
        "first_time_ns": flow.first_time_ns,
        "last_time_ns": flow.last_time_ns,
        "first_frame": flow.first_frame,
        "last_frame": flow.last_frame,
        "first_sequence": flow.first_sequence,
        "last_sequence": flow.last_sequence,
        "highest_sequence": sequence.highest,
        "unique": sequence.unique,
        "lost": sequence.lost,
        "loss_bursts": sequence.loss_bursts,
        "longest_loss_burst": sequence.longest_loss_burst,
        "duplicates": sequence.duplicates,
        "reordered": sequence.reordered,
        "largest_lateness": sequence.largest_lateness,
        "replay_window_drops": _keyed(sequence.outside_window),
        "restarts": sequence.restarts,
        "wraps": sequence.wraps,
        "settled_gaps": sequence.settled,
        "breaks": [
            {"frame": jump.frame, "time_ns": jump.time_ns, "from_sequence": jump.before, "to_sequence": jump.after}
            for jump in sequence.breaks
        ],
        "break_count": sequence.break_count,
        "ports": [list(pair) for pair in flow.ports],
        "sizes": _distribution(sizes),
        "gaps_ns": _distribution(gaps_ns),
        "time_reversals": flow.time_reversals,
        "length_residues": _keyed(length_residues),
        "ttls": _keyed(ttls),
        "traffic_classes": _keyed(traffic_classes),
        "dont_fragment": flow.dont_fragment,
        "ip_fragments": flow.ip_fragments,
        "vlans": [list(stack) for stack in flow.vlans],
        "truncated_packets": flow.truncated_packets,
        "inferred_packets": flow.inferred_packets,
        "icmp_errors": [{"frame": frame, "description": description} for frame, description in flow.icmp_errors],
        "icmp_error_count": flow.icmp_error_count,
        "pair_spi": esp_spi(flow.pair_spi),
        "ike_sa": flow.ike_sa,
        "child_sa": flow.child_sa,
        "decrypted_packets": flow.decrypted_packets,
        "icv_failures": flow.icv_failures,
        "opening": None if flow.opening is None else opening_entry(flow.opening),
        "inferred": None if flow.guess is None else inferred_entry(flow.guess),
    }


def inferred_entry(guess: SuiteGuess) -> InferredEntry:
    """The entry for what was inferred of a flow."""
    best = guess.candidates[0]
    return {
        "suite": best.name,
        "probability": best.probability,
        "candidates": [
            {"suite": one.name, "probability": one.probability, "alike": list(one.alike)} for one in guess.candidates
        ],
        "block_octets": guess.block_octets,
        "icv_octets": guess.icv_octets,
        "iv": guess.iv,
        "mode": guess.mode,
        "mode_probability": guess.mode_probability,
        "packets": guess.packets,
        "unencrypted": bool(guess.readable_frames),
        "reasons": list(guess.reasons),
    }


def opening_entry(opening: FlowOpening) -> OpeningEntry:
    """The entry for what was opened of a flow."""
    return {
        "packets": opening.packets,
        "opened": opening.opened,
        "icv_wrong": opening.icv_wrong,
        "padding_wrong": opening.padding_wrong,
        "dummy": opening.dummy,
        "truncated": opening.truncated,
        "malformed": opening.malformed,
        "skipped": opening.skipped,
        "inner_octets": opening.inner_octets,
        "tfc_octets": opening.tfc_octets,
        "next_headers": _keyed(dict(sorted(opening.next_headers.items()))),
        "algorithms": opening.algorithms,
        "key_origin": opening.key_origin,
        "verified": opening.is_verified,
        "esn": opening.esn,
        "reason": opening.reason,
        "explanation": opening.explanation,
        "remedy": opening.remedy,
        "notes": list(opening.notes),
        "conversations": [
            {
                "source": one.source,
                "destination": one.destination,
                "protocol": one.protocol,
                "port": one.port,
                "packets": one.packets,
                "octets": one.octets,
            }
            for one in opening.conversations
        ],
        "conversations_dropped": opening.conversations_dropped,
    }


def flow_views(flows: Sequence[Flow]) -> list[FlowEntry]:
    """What reads like the entries, but is made field by field when asked: reports show few fields of few flows."""
    return [cast("FlowEntry", _FlowView(flow)) for flow in flows]


#: The fields that text shows of many flows; others are taken from the entry.
_FIELDS: Final[dict[str, Callable[[Flow], Any]]] = {
    **{
        name: attrgetter(name)
        for name in ("protocol", "source", "destination", "packets", "octets", "first_time_ns", "last_time_ns")
    },
    **{name: attrgetter(name) for name in ("ike_sa", "inferred_packets", "icv_failures", "icmp_error_count")},
    **{name: attrgetter(f"sequence.{name}") for name in ("lost", "unique", "duplicates", "reordered", "restarts")},
    "spi": lambda flow: f"{flow.spi:08x}",
    "encapsulation": lambda flow: flow.encapsulation.value,
    "certainty": lambda flow: _certainty(flow),
    "opening": lambda flow: None if flow.opening is None else opening_entry(flow.opening),
    "inferred": lambda flow: None if flow.guess is None else inferred_entry(flow.guess),
}


class _FlowView:
    """Reads like the entry for a flow."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __getitem__(self, name: str) -> Any:
        field = _FIELDS.get(name)
        if field is not None:
            return field(self._flow)
        return flow_entry(self._flow)[name]  # type: ignore[literal-required]


def _certainty(flow: Flow) -> Literal["observed", "inferred"]:
    return "inferred" if flow.is_inferred else "observed"


def _keyed(counts: dict[int, int]) -> dict[str, int]:
    """Counts with keys as JSON has them."""
    return {str(key): count for key, count in counts.items()}


def _distribution(values: Distribution) -> DistributionEntry:
    return {
        "count": values.count,
        "min": values.minimum,
        "max": values.maximum,
        "mean": values.mean,
        "stddev": values.stddev,
        "log2_histogram": _keyed(values.histogram),
        "first": list(values.first),
    }
