"""Entries for captures and for warnings."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.errors import Notice
from ipsecanalyze.shapes import CaptureEntry, CountsEntry, WarningEntry

__all__ = ["capture_entry", "warning_entry"]


def warning_entry(notice: Notice) -> WarningEntry:
    """The entry for a notice."""
    return {"slug": notice.slug, "frame": notice.frame, "offset": notice.offset, "message": notice.message}


def capture_entry(facts: CaptureFacts) -> CaptureEntry:
    """The entry for a capture. Decryption secrets stay out: secrets are no part of a report."""
    return {
        "path": facts.path,
        "format": facts.format,
        "compression": facts.compression,
        "link_types": list(facts.link_types),
        "interfaces": list(facts.interfaces),
        "packets": facts.packets,
        "octets": facts.octets,
        "first_time_ns": facts.first_time_ns,
        "last_time_ns": facts.last_time_ns,
        "truncated_packets": facts.truncated_packets,
        "dropped_packets": facts.dropped_packets,
        "comments": list(facts.comments),
        "counts": cast("CountsEntry", asdict(facts.counts)),
        "warnings": [warning_entry(notice) for notice in facts.notices],
        "warning_counts": dict(facts.notice_counts),
    }
