"""Why a tunnel does not come up, or does not carry what it should: the table of rules, in order of a tunnel's life."""

from __future__ import annotations

from ipsecanalyze.findings.diagnosis import (
    authentication,
    copies,
    counters,
    delivery,
    eap,
    endings,
    flood,
    fragments,
    icmp,
    initiation,
    liveness,
    nat,
    others,
    path_mtu,
    quality,
    refusal,
    rekeying,
    selectors,
    silence,
    traffic,
)
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
    # The first exchange
    Rule(
        silence.unanswered,
        (
            "peer-unreachable",
            "version-mismatch",
            "fragments-lost",
            "nat-t-blocked",
            "eap-stalled",
            "authentication-failed",
            "dpd-timeout",
        ),
        _PARTIAL,
    ),
    Rule(silence.not_continued, ("nat-t-blocked",), _PARTIAL),
    Rule(icmp.icmp_rejected, ("icmp-rejected",)),
    Rule(initiation.reply_ignored, ("reply-ignored",), frozenset({Defect.MIRRORED})),
    Rule(refusal.no_proposal_chosen, ("no-proposal-chosen",)),
    Rule(initiation.invalid_ke, ("invalid-ke-retry",)),
    Rule(initiation.cookie_challenge, ("cookie-challenge",)),
    Rule(initiation.version_mismatch, ("version-mismatch",)),
    Rule(initiation.resumption_refused, ("resumption-refused",)),
    Rule(flood.ike_flood, ("ike-flood",), _PARTIAL),
    # NAT
    Rule(nat.nat_t_disabled, ("nat-t-disabled",), _PARTIAL),
    Rule(nat.nat_detected, ("nat-detected",)),
    Rule(nat.mapping_changed, ("nat-mapping-changed",)),
    # Authentication and Child SAs
    Rule(fragments.answer_in_pieces, ("fragments-lost",), _PARTIAL),
    Rule(authentication.authentication_failed, ("authentication-failed",)),
    Rule(authentication.error_reply_encrypted, ("error-reply-encrypted",), _DROPPED),
    Rule(eap.stalled, ("eap-stalled",), _PARTIAL),
    Rule(others.error_notify, ("error-notify",)),
    Rule(selectors.ts_unacceptable, ("ts-unacceptable",)),
    Rule(selectors.ts_narrowed, ("ts-narrowed",)),
    Rule(refusal.child_no_proposal, ("child-no-proposal",)),
    # The life of an IKE SA
    Rule(rekeying.rekey_failed, ("rekey-failed", "invalid-ke-retry")),
    Rule(rekeying.rekey_collision, ("rekey-collision",)),
    Rule(endings.redirected, ("redirected",)),
    Rule(endings.early_delete, ("early-delete",)),
    Rule(liveness.unanswered_v1, ("dpd-timeout",), _PARTIAL),
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
