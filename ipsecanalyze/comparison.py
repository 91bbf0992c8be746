"""Two captures of the same traffic at two points, compared: `compare()` and its result.

Each file is read once, and nothing is decrypted: ESP and AH packets are known again by SPI and sequence number, IKE
messages by their header and octets. The work is done in `findings/compare/`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.errors import Notice, UsageError
from ipsecanalyze.findings.compare.match import Clock, FlowBetween, IkeBetween, match
from ipsecanalyze.findings.compare.points import MOST_PACKETS, Point, read_point
from ipsecanalyze.findings.compare.verdicts import verdicts
from ipsecanalyze.findings.model import Finding

if TYPE_CHECKING:
    from ipsecanalyze.shapes import ComparisonDocument

__all__ = ["Comparison", "compare"]

#: A file's path, or "-" for standard input.
Path = str | os.PathLike[str]


@dataclass(slots=True)
class Comparison:
    """What became of packets between two capture points."""

    captures: tuple[CaptureFacts, CaptureFacts]
    clock: Clock
    """How the captures' clocks stand to each other, and the round trip between the points."""
    flows: list[FlowBetween] = field(default_factory=list)
    """SAs, one way each, that both points see, or ought to."""
    ike: list[IkeBetween] = field(default_factory=list)
    """IKE messages between addresses that both points see."""
    findings: list[Finding] = field(default_factory=list)
    """What is lost, delayed, reordered and rewritten between the points, worst first."""
    notices: list[Notice] = field(default_factory=list)
    """What the comparison itself has to say, limits that were reached among it."""

    def to_dict(self) -> ComparisonDocument:
        """The document of `compare --format json` (docs/json.md)."""
        from ipsecanalyze.documents import comparison_document

        return comparison_document(self)

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict()` as JSON text, in ASCII: hostile text stays escaped."""
        return json.dumps(self.to_dict(), indent=indent)

    def summary(self, *, width: int = 80, color: bool = False) -> str:
        """The text that `compare` prints."""
        from ipsecanalyze.report.compare import comparison_text

        return comparison_text(self.to_dict(), width=width, color=color)


def compare(
    a: Path, b: Path, *, limit: int = MOST_PACKETS, progress: Callable[[int], None] | None = None
) -> Comparison:
    """Compare two captures that were taken at the same time at two points of a path.

    At most `limit` ESP and AH packets of each are looked at (28 octets of memory each). `progress` is called with the
    octets read so far, over both. Raises CaptureError for a file that cannot be read, UsageError where both are
    standard input.
    """
    paths = os.fspath(a), os.fspath(b)
    if paths == ("-", "-"):
        raise UsageError("standard input can be read only once")
    latest = before = 0

    def report(octets: int) -> None:
        nonlocal latest
        latest = octets
        if progress is not None:
            progress(before + octets)

    one = read_point(paths[0], 0, most=limit, progress=report)
    before = latest
    other = read_point(paths[1], 1, most=limit, progress=report)
    matched = match(one, other)
    return Comparison(
        captures=(one.facts, other.facts),
        clock=matched.clock,
        flows=matched.flows,
        ike=matched.ike,
        findings=verdicts(matched, _names(*paths)),
        notices=[
            *_left_out(one),
            *_left_out(other),
            *_drifting(matched.clock),
            *_not_comparable(one, other, matched.elsewhere, matched.flows),
        ],
    )


def _names(one: str, other: str) -> tuple[str, str]:
    """What the captures are called in sentences: file names, with folders where those are equal."""
    short = os.path.basename(one), os.path.basename(other)  # noqa: PTH119 - names need not be valid text
    return (one, other) if short[0] == short[1] else short


def _left_out(point: Point) -> list[Notice]:
    if not point.left_out:
        return []
    return [
        Notice(
            "comparison-limit",
            f"{point.facts.path}: {point.left_out:,} packets beyond the first {point.packets:,} of ESP and AH were not "
            "looked at; cut the captures to the same span of time (editcap -A and -B)",
        )
    ]


def _drifting(clock: Clock) -> list[Notice]:
    if clock.drift_ppm is None:
        return []
    side = "fast" if clock.drift_ppm > 0 else "slow"
    text = f"the second capture's clock runs {abs(clock.drift_ppm):.3g} millionths too {side} by the first one's"
    return [Notice("clocks-drift", f"{text}: delays seem to vary by as much; synchronise both by NTP or PTP")]


def _not_comparable(one: Point, other: Point, elsewhere: int, flows: list[FlowBetween]) -> list[Notice]:
    notices = []
    if elsewhere:
        notices.append(
            Notice("seen-at-one-point", f"{elsewhere:,} SAs between addresses that only one capture has were left out")
        )
    if not any(flow.common for flow in flows):
        notices.append(Notice("nothing-in-common", "the captures have no ESP or AH packet in common"))
    spans = [(point.facts.first_time_ns, point.facts.last_time_ns) for point in (one, other)]
    (start, end), (begin, finish) = spans
    apart = start is not None and finish is not None and start > finish
    if apart or (begin is not None and end is not None and begin > end):
        text = "by their clocks, one capture begins after the other ends: the clocks may be wrong"
        notices.append(Notice("no-common-time", text))
    unseen = sum(flow.unseen for flow in flows)
    if unseen:
        notices.append(
            Notice(
                "seen-only-behind",
                f"{unseen:,} packets are only at the point that they pass second: the other capture missed them, "
                "or they "
                "went another way",
            )
        )
    return notices
