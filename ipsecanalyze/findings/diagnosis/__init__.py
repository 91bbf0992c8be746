"""Why a tunnel does not come up, or does not carry what it should: the table of rules, in order of a tunnel's life."""

from __future__ import annotations

from ipsecanalyze.findings.diagnosis import copies, counters, delivery, initiation, path_mtu, quality, traffic
from ipsecanalyze.findings.model import Defect
from ipsecanalyze.findings.rule import Rule

__all__ = ["RULES"]

_PARTIAL = frozenset({Defect.ONE_SIDED, Defect.DROPPED})
_DROPPED = frozenset({Defect.DROPPED})

RULES: tuple[Rule, ...] = (
    # What the captures lack comes first.
    Rule(quality.one_sided, ("one-sided-capture",)),
    Rule(quality.truncated, ("truncated-capture",)),
    Rule(quality.mirrored, ("mirrored-capture",)),
    Rule(quality.capture_drops, ("capture-drops",)),
    Rule(quality.late_start, ("capture-started-late",)),
    Rule(initiation.cookie_challenge, ("cookie-challenge",)),
    # ESP and AH
    Rule(traffic.no_esp_traffic, ("no-esp-traffic",), _PARTIAL),
    Rule(traffic.esp_one_way, ("esp-one-way",), _PARTIAL),
    Rule(traffic.esp_unknown_spi, ("esp-unknown-spi",), frozenset({Defect.ONE_SIDED, Defect.STARTED_LATE})),
    Rule(delivery.loss_at_rekey, ("loss-at-rekey",), _DROPPED),
    Rule(delivery.esp_loss, ("esp-loss",), _DROPPED),
    Rule(delivery.esp_reordering, ("esp-reordering",), frozenset({Defect.MIRRORED})),
    Rule(delivery.replay_window_exceeded, ("replay-window-exceeded",), frozenset({Defect.MIRRORED})),
    Rule(copies.duplicate_packets, ("duplicate-packets",), frozenset({Defect.MIRRORED})),
    Rule(path_mtu.path_mtu, ("path-mtu",)),
    Rule(counters.icv_failures, ("icv-failures",), frozenset({Defect.TRUNCATED})),
    Rule(counters.sequence_exhaustion, ("sequence-exhaustion",)),
    Rule(counters.sequence_restart, ("sequence-restart",), frozenset({Defect.MIRRORED})),
)
