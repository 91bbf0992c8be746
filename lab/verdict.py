"""Whether a run proved itself: each expectation, each comparison as a `Check` with a sentence. Nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipsecanalyze.findings.model import Finding, Severity

from .compare import Comparison
from .expectations import Expectations
from .keys import CrossCheck
from .steps import Result
from .tap import Counts

if TYPE_CHECKING:
    from ipsecanalyze import Analysis, IkeSa

__all__ = [
    "Check",
    "check_captures",
    "check_diagnosis",
    "check_expectations",
    "check_keys",
    "check_packets",
    "check_steps",
]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be so."""

    passed: bool
    text: str


def check_steps(results: Iterable[Result]) -> Iterator[Check]:
    """Every step went as the scenario wants."""
    for result in results:
        wanted = " (as it should fail)" if result.step.fails and not result.worked else ""
        wanted = " (it should have failed)" if result.step.fails and result.worked else wanted
        yield Check(result.as_wanted, f"{result.text}{wanted}")


def check_captures(counts: dict[str, Counts]) -> Iterator[Check]:
    """No capture lacks packets."""
    for name, count in counts.items():
        if count.dropped is None:
            yield Check(passed=False, text=f"capture {name}: tcpdump did not tell what it dropped")
            continue
        text = f"capture {name}: {count.captured} packets, {count.dropped} dropped"
        if count.written != count.captured:
            text += f"; {(count.captured or 0) - (count.written or 0)} of them were not written"
        if count.early:
            text += "; tcpdump ended before it was told to"
        yield Check(count.dropped == 0 and count.written == count.captured and not count.early, text)


def check_keys(check: CrossCheck | None, *, needed: bool, nodes: Iterable[str] = ()) -> Iterator[Check]:
    """The sources of keys agree; where there is ESP, every SA's keys were confirmed by a second source.

    Each of `nodes` has to have told its own.
    """
    if check is None:
        if needed:
            yield Check(passed=False, text="no source of keys had any")
        return
    for text in check.disagreements:
        yield Check(passed=False, text=text)
    sources = ", ".join(f"{name} ({count})" for name, count in check.sources.items())
    if needed:
        right = check.agreed and check.confirmed > 0 and not check.alone
        alone = f"; by one source alone: {', '.join(check.alone)}" if check.alone else ""
        yield Check(right, f"keys of {check.confirmed} SAs are the same from each source: {sources}{alone}")
        for node in nodes:
            if not any(count and name.startswith(f"{node} ") for name, count in check.sources.items()):
                yield Check(passed=False, text=f"{node} itself told no keys")


def check_packets(proof: str, comparison: Comparison | None, analysis: Analysis) -> Iterator[Check]:
    """Every packet opened, and what was inside is what was on the LAN."""
    total = sum(flow.packets for flow in analysis.flows)
    if proof == "none":
        yield Check(total == 0, f"no ESP is seen ({total} packets)" if total else "no ESP is seen, as it should be")
        return
    opened = sum(flow.decrypted_packets or 0 for flow in analysis.flows)
    yield Check(opened == total > 0, f"{opened} of {total} ESP or AH packets opened, their ICV right")
    if comparison is not None:
        replays = f", {comparison.replays} replays left out" if comparison.replays else ""
        text = (
            f"{comparison.equal} of {comparison.lan} packets of the LAN side are those from inside the tunnel, octet "
            f"for octet ({comparison.opened} opened{replays})"
        )
        yield Check(comparison.exact, text)
        for title in comparison.missing:
            yield Check(passed=False, text=f"on the LAN, but not inside: {title}")
        for title in comparison.surplus:
            yield Check(passed=False, text=f"inside, but not on the LAN: {title}")


def check_expectations(expect: Expectations, analysis: Analysis, logs: Sequence[str]) -> Iterator[Check]:
    """What the scenario's `[expect]` says."""
    sas = analysis.ike_sas
    yield _count("IKE SAs", len(sas), expect.ike_sas)
    yield from _texts(expect, sas)
    yield from _sets(expect, analysis)
    for what, found, least in (
        ("Child SAs", len(analysis.child_sas), expect.child_sas),
        ("retransmissions", sum(sa.retransmissions for sa in sas), expect.retransmissions),
        ("lost packets", sum(flow.sequence.lost for flow in analysis.flows), expect.lost),
        ("reordered packets", sum(flow.sequence.reordered for flow in analysis.flows), expect.reordered),
        ("duplicates", sum(flow.sequence.duplicates for flow in analysis.flows), expect.duplicates),
    ):
        if least:
            yield _count(what, found, least)
    for pattern in expect.log:
        yield Check(any(re.search(pattern, log) for log in logs), f"a gateway's log has {pattern!r}")


def check_diagnosis(expect: Expectations, findings: Iterable[Finding]) -> Iterator[Check]:
    """What `diagnose` finds in the capture is what the scenario brought about, and nothing else of weight."""
    severities: dict[str, Severity] = {}
    for finding in findings:
        severities[finding.slug] = max(finding.severity, severities.get(finding.slug, Severity.INFO))
    found = ", ".join(sorted(severities)) or "none"
    for slug in expect.diagnosis:
        yield Check(slug in severities, f"diagnosis {slug} (found: {found})")
    heavy = {slug for slug, severity in severities.items() if severity >= Severity.MEDIUM}
    surplus = sorted(heavy - set(expect.diagnosis))
    title = "diagnosis: nothing else of medium severity or above" if expect.diagnosis else "diagnosis: nothing is wrong"
    yield Check(not surplus, f"diagnosis finds what was not expected: {', '.join(surplus)}" if surplus else title)


def _texts(expect: Expectations, sas: Sequence[IkeSa]) -> Iterator[Check]:
    behind: Callable[[IkeSa], str] = lambda sa: " ".join(  # noqa: E731 - a row of the table below
        name for name, peer in (("initiator", sa.initiator), ("responder", sa.responder)) if peer.behind_nat
    )
    rows: tuple[tuple[str, str, Callable[[IkeSa], str]], ...] = (
        ("IKE version", expect.version, lambda sa: sa.version),
        ("mode", expect.mode, lambda sa: str(sa.mode or "")),
        ("state", expect.state, lambda sa: str(sa.state)),
        ("encapsulation", expect.encapsulation, lambda sa: str(sa.encapsulation)),
        ("behind a NAT", expect.nat_behind, behind),
    )
    for what, wanted, of in rows:
        if not wanted:
            continue
        for sa in sas:
            found = of(sa)
            right = wanted in found.split() if what == "behind a NAT" else found in wanted.split("|")
            yield Check(right, f"{sa.id}: {what} is {found or 'not known'} (expected: {wanted})")
    if expect.authentication:
        told = [(sa.authentication_initiator or "", sa.authentication_responder or "") for sa in sas]
        right = any(
            all(wanted.lower() in found.lower() for wanted, found in zip(expect.authentication, pair, strict=False))
            for pair in told
        )
        first = told[0] if told else ("", "")
        yield Check(right, f"authentication is {' and '.join(first)} (expected: {' and '.join(expect.authentication)})")


def _sets(expect: Expectations, analysis: Analysis) -> Iterator[Check]:
    sas = analysis.ike_sas
    rows: tuple[tuple[str, tuple[str, ...], set[str]], ...] = (
        ("algorithms of IKE", expect.chosen, {_algorithm(one) for sa in sas for one in sa.chosen}),
        ("algorithms of ESP", expect.child_chosen, {_algorithm(one) for sa in analysis.child_sas for one in sa.chosen}),
        ("exchanges", expect.exchanges, {name for sa in sas for name in sa.exchange_counts}),
        ("notifies", expect.notifies, {seen.name for sa in sas for seen in sa.notifies}),
    )
    for what, wanted, found in rows:
        if wanted:
            lacking = [name for name in wanted if name not in found]
            names = (
                f"; lacking: {', '.join(lacking)}; there were {', '.join(sorted(found)) or 'none'}" if lacking else ""
            )
            yield Check(not lacking, f"{what}: {', '.join(wanted)}{names}")


def _algorithm(one: object) -> str:
    return str(getattr(one, "name", one))


def _count(what: str, found: int, least: int) -> Check:
    return Check(found >= least, f"{found} {what} (expected: at least {least})")
