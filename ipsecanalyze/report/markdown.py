"""The summary as Markdown, for tickets and notes: GitHub's flavour, tables and lists only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from ipsecanalyze.report.health import protocol_name, verdict
from ipsecanalyze.report.suites import proposal_text, suite_text
from ipsecanalyze.report.text import duration, integer, markdown, moment, octets, plural, relative
from ipsecanalyze.report.timeline import timeline

if TYPE_CHECKING:
    from ipsecanalyze.shapes import CaptureEntry, FlowEntry, IkeSaEntry, PeerEntry, SummaryDocument

__all__ = ["SummaryMarkdown"]

_MOST_SAS = 50
_MOST_ROWS = 40
_NO_SPI = "0" * 16


@dataclass(frozen=True, slots=True)
class SummaryMarkdown:
    """Writes a summary document as Markdown."""

    def write(self, document: SummaryDocument, stream: TextIO) -> None:
        """Write the page."""
        stream.writelines(f"{block}\n\n" for block in _blocks(document))


def _blocks(document: SummaryDocument) -> Iterator[str]:
    times = [capture["first_time_ns"] for capture in document["captures"]]
    origin_ns = min((time for time in times if time is not None), default=0)
    for capture in document["captures"]:
        yield _capture(capture)
    if document["findings"]:
        rows = ((finding["severity"], finding["subject"], finding["title"]) for finding in document["findings"])
        yield _table(("severity", "subject", "finding"), rows)
    owned: dict[str | None, list[FlowEntry]] = {}
    for flow in document["flows"]:
        owned.setdefault(flow["ike_sa"], []).append(flow)
    sas = sorted(document["ike_sas"], key=lambda sa: sa["state"] == "half-open")
    for sa in sas[:_MOST_SAS]:
        yield from _tunnel(sa, owned.get(sa["id"], ()), origin_ns)
    if len(sas) > _MOST_SAS:
        yield f"and {plural(len(sas) - _MOST_SAS, 'more IKE SA')}"
    if None in owned:
        yield "### Flows without IKE in the capture"
        yield _flows(owned[None], origin_ns)
    if not document["ike_sas"] and not document["flows"]:
        yield "No IPsec was found."
    warnings = [
        f"* {markdown(capture['path'])}: {markdown(slug)}, {plural(count, 'time')}"
        for capture in document["captures"]
        for slug, count in capture["warning_counts"].items()
    ]
    warnings += [f"* {markdown(warning['message'], 300)}" for warning in document["warnings"]]
    if warnings:
        yield "### Warnings"
        yield "\n".join(warnings[:20])


def _capture(capture: CaptureEntry) -> str:
    facts = [capture["format"], plural(capture["packets"], "packet"), octets(capture["octets"])]
    first, last = capture["first_time_ns"], capture["last_time_ns"]
    if first is not None and last is not None:
        facts.append(f"{duration(last - first)} from {moment(first)} UTC")
    return f"## {markdown(capture['path'])}\n\n{markdown(', '.join(facts))}"


def _tunnel(sa: IkeSaEntry, flows: Sequence[FlowEntry], origin_ns: int) -> Iterator[str]:
    version = ("IKEv1" if sa["version"].startswith("1") else "IKEv2") + (f" {sa['mode']} mode" if sa["mode"] else "")
    yield f"### {markdown(sa['id'])}: {markdown(version)}, {markdown(sa['state'])}"
    facts = [
        ("outcome", sa["outcome"]),
        ("initiator", _peer(sa["initiator"])),
        ("responder", _peer(sa["responder"])),
        *(("offered", proposal_text(proposal)) for proposal in sa["offered"][:4]),
        ("chosen", suite_text(sa["chosen"]) or "nothing"),
    ]
    yield "\n".join(f"* {label}: {markdown(text, 500)}" for label, text in facts if text)
    rows = timeline(sa)
    if rows:
        cells = (
            (
                relative(row.time_ns, origin_ns),
                "→" if row.from_initiator else "←",
                row.name,
                "" if row.round_trip_ns is None else duration(row.round_trip_ns),
                ", ".join(str(frame) for frame in row.frames[:4]) + (" …" if len(row.frames) > 4 else ""),
                ", ".join([*row.remarks, *row.problems]),
            )
            for row in rows[:_MOST_ROWS]
        )
        yield _table(("seconds", "", "exchange", "took", "frames", ""), cells)
    if flows:
        yield _flows(flows, origin_ns)


def _peer(peer: PeerEntry) -> str:
    spi = "never answered" if peer["spi"] == _NO_SPI else f"SPI {peer['spi']}"
    nat = ", behind NAT" if peer["behind_nat"] else ""
    identity = f", {peer['identity']}" if peer["identity"] is not None else ""
    return f"{peer['address']} port {peer['port']}, {spi}{nat}{identity}"


def _flows(flows: Sequence[FlowEntry], origin_ns: int) -> str:
    cells = (
        (
            f"{flow['source']} → {flow['destination']}",
            protocol_name(flow),
            flow["spi"],
            integer(flow["packets"]),
            octets(flow["octets"]),
            f"{relative(flow['first_time_ns'], origin_ns)} … {relative(flow['last_time_ns'], origin_ns)}",
            ", ".join(words for words, _ in verdict(flow)),
        )
        for flow in flows[:_MOST_ROWS]
    )
    table = _table(("flow", "", "SPI", "packets", "octets", "seconds", ""), cells)
    more = len(flows) - _MOST_ROWS
    return table + (f"\n\nand {plural(more, 'more flow')}" if more > 0 else "")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(markdown(cell, 300) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
