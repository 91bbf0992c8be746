"""How long keys live: lifetimes that were agreed on or announced, and ages that were observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import Spot, choice_record
from ipsecanalyze.findings.audit.profile import Limit, Profile
from ipsecanalyze.findings.case import Case, flow_subject
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import span
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import IkeSa

__all__ = ["long_lifetime"]

_AUTH_LIFETIME: Final = int(ikev2.NotifyType.AUTH_LIFETIME)
_SECOND: Final = 1_000_000_000
#: Where a profile has no limit: what none would call reasonable.
_WEEK: Final = Limit(7 * 86_400, "RFC 4301 §4.4.2.1")
_FLOWS: Final = 100


class _Long(NamedTuple):
    subject: str
    title: str
    explanation: str
    limit: Limit
    severity: Severity


def long_lifetime(case: Case, profile: Profile) -> Iterator[Finding]:
    """Lifetimes of IKE SAs and of flows against the profile's limits; a week where it has none."""
    found: Gathering[_Long] = Gathering()
    ike = profile.limits.get("ike-seconds", _WEEK)
    child = profile.limits.get("child-seconds", _WEEK)
    for sa in case.ike_sas:
        sides = sa.initiator.address, sa.responder.address
        for long, where in _of_ike(case, sa, ike):
            found.add((long.title, *sides), long, sa.id, *where)
    for flow in case.flows:
        age = flow.last_time_ns - flow.first_time_ns
        if age > child.value * _SECOND:
            subject = flow.child_sa or flow_subject(flow)
            ends = [
                lambda flow=flow: (flow.capture, flow.first_frame),
                lambda flow=flow: (flow.capture, flow.last_frame),
            ]
            if len({one.path for one in case.captures}) > 1:
                ends = ends[:1]  # the last frame may be in another capture
            long = _Long(
                subject,
                f"An {flow.protocol} SA was in use for {span(age)}",
                f"The {flow.protocol} SA with SPI {flow.spi:08x} from {flow.source} to {flow.destination} carried "
                f"{flow.packets:,} packets over {span(age)} with one key; the limit is {_allowed(child)}.",
                child,
                Severity.LOW,
            )
            found.add((flow.source, flow.destination), long, subject, *ends)
    yield from found.findings(_finding)


def _of_ike(case: Case, sa: IkeSa, limit: Limit) -> Iterator[tuple[_Long, list[Callable[[], Spot | None]]]]:
    allowed = _allowed(limit)
    seconds = sa.lifetime_seconds

    def choice() -> Spot | None:
        record = choice_record(case, sa)
        return (record.datagram.capture, record.datagram.frame) if record is not None else None

    if seconds is not None and (seconds > limit.value or seconds == 0):
        how_long = "without an end (0 seconds)" if seconds == 0 else f"of {span(seconds * _SECOND)}"
        yield (
            _Long(
                sa.id,
                f"An IKE SA was agreed on with a lifetime {how_long}",
                f"Phase 1 of {sa.id} between {sa.initiator.address} and {sa.responder.address} was agreed on with a "
                f"lifetime {how_long}; the limit is {allowed}.",
                limit,
                Severity.LOW,
            ),
            [choice],
        )
    for notify in sa.notifies:
        words = notify.data.split()
        announced = int(words[0]) if notify.type == _AUTH_LIFETIME and words and words[0].isdecimal() else 0
        if announced > limit.value:
            frame = notify.frame
            yield (
                _Long(
                    sa.id,
                    f"Reauthentication is asked for only after {span(announced * _SECOND)}",
                    f"AUTH_LIFETIME in frame {frame} says {notify.data}; the limit is {allowed}.",
                    limit,
                    Severity.LOW,
                ),
                [lambda frame=frame: (case.capture_of(sa), frame)],  # type: ignore[misc]
            )
    if sa.established_ns is not None and sa.last_time_ns - sa.established_ns > limit.value * _SECOND:
        age = sa.last_time_ns - sa.established_ns
        yield (
            _Long(
                sa.id,
                f"An IKE SA was in use for {span(age)}",
                f"{sa.id} between {sa.initiator.address} and {sa.responder.address} was in use for {span(age)} after "
                f"it was established, without being replaced; the limit is {allowed}.",
                limit,
                Severity.LOW,
            ),
            [lambda: (case.capture_of(sa), sa.frames[0]) if sa.frames else None],
        )


def _allowed(limit: Limit) -> str:
    return "taken to be a week, as the profile has none" if limit is _WEEK else f"{span(limit.value * _SECOND)}"


def _finding(group: Group[_Long]) -> Finding:
    long = group.first
    return Finding(
        slug="long-lifetime",
        severity=long.severity,
        certainty=Certainty.OBSERVED,
        subject=long.subject,
        title=long.title,
        explanation=f"{long.explanation} The longer keys live, the more one that is lost gives away."
        + group.others("SA", "SAs"),
        remedy=f"Rekey before: set lifetimes of at most {span(long.limit.value * _SECOND)} on both sides.",
        frames=group.frames,
        references=(long.limit.clause,),
        capture=group.capture,
    )
