"""ICMP errors about IKE messages: somebody on the way, or the peer's host, says that they do not get there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import fallen_back, place
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, series
from ipsecanalyze.sa.records import IkeSa, State

__all__ = ["errors_of", "icmp_rejected"]

#: These are about single packets that are too large: a matter of `path-mtu`.
_ABOUT_SIZE = ("fragmentation needed", "packet too big")


@told_once
def icmp_rejected(case: Case) -> Iterator[Finding]:
    """Somebody on the way, or the peer's host, said that IKE messages do not get there."""
    for sa in case.ike_sas:
        errors = errors_of(sa) if sa.icmp_errors else []
        if not errors:
            continue
        descriptions = list(dict.fromkeys(description for _, description in errors))
        last = sa.exchanges[-1] if sa.exchanges else None
        unanswered = last is not None and not last.answered
        is_over = sa.state is State.HALF_OPEN or (last is not None and unanswered and last.retransmissions > 0)
        found = place(case, sa, (frame for frame, _ in errors))
        asker, silent = sa.initiator.address, sa.responder.address
        if last is not None and unanswered and not last.initiated_by_initiator:
            asker, silent = silent, asker
        what = f"{count_of(len(errors), 'ICMP error')} about the messages of this IKE SA: {series(descriptions)}."
        if is_over:
            times = count_of(len(last.requests), "time") if last is not None else ""
            after = f" {last.name} was sent {times} without an answer." if last is not None and unanswered else ""
        else:
            after = " The exchange came through nevertheless."
        yield Finding(
            "icmp-rejected",
            Severity.HIGH if is_over else Severity.LOW,
            Certainty.OBSERVED,
            sa.id,
            f"IKE between {asker} and {silent} is answered with ICMP: {descriptions[0]}",
            f"{what}{after} {_meaning(descriptions)}{fallen_back(case, sa) if is_over else ''}",
            _cure(descriptions, silent),
            found.frames,
            ("RFC 4443 §3.1",) if ":" in asker else ("RFC 1812 §5.2.7.1", "RFC 792"),
            found.capture,
        )


def errors_of(sa: IkeSa) -> list[tuple[int, str]]:
    """The ICMP errors that say that messages of an IKE SA do not arrive: (frame, description)."""
    return [error for error in sa.icmp_errors if not any(word in error[1] for word in _ABOUT_SIZE)]


def _meaning(descriptions: Iterable[str]) -> str:
    text = " ".join(descriptions)
    if "prohibited" in text:
        return "A filter on the way, whose address the ICMP packet is from, rejects them."
    if "port unreachable" in text:
        return "The host is there, but nothing listens on the port: no IKE daemon runs, or it uses another port."
    return "A router on the way, whose address the ICMP packet is from, has no route or no host there."


def _cure(descriptions: Iterable[str], silent: str) -> str:
    text = " ".join(descriptions)
    if "prohibited" in text:
        return "Let UDP ports 500 and 4500 through at the device that the ICMP error is from."
    if "port unreachable" in text:
        host = f"the host that the ICMP error is from (most likely {silent})"
        return f"Start the IKE daemon at {host} and see on which ports it listens."
    return "Mend the route at the device that the ICMP error is from, or start the host behind it."
