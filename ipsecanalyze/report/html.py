"""The summary as an HTML fragment, for notebooks (`Analysis._repr_html_`) and for pages that embed it.

Self-contained: its style is its own and hits nothing else, there is no script, nothing is loaded. Every text from a
document goes through `html()`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from ipsecanalyze.report.health import protocol_name, verdict
from ipsecanalyze.report.suites import proposal_text, suite_text
from ipsecanalyze.report.text import duration, html, integer, moment, octets, plural, relative
from ipsecanalyze.report.timeline import Row, timeline

if TYPE_CHECKING:
    from ipsecanalyze.shapes import CaptureEntry, FindingEntry, FlowEntry, IkeSaEntry, PeerEntry, SummaryDocument

__all__ = ["SummaryHtml", "summary_html"]

_MOST_SAS = 50
_MOST_FLOWS = 200
_NO_SPI = "0" * 16
_NO_CLASSES: Mapping[int, str] = {}

_STYLE = """\
.ipsecanalyze{font:14px/1.45 system-ui,sans-serif;max-width:62rem}
.ipsecanalyze h3{font-size:1.05em;margin:.2em 0}
.ipsecanalyze p{margin:.2em 0}
.ipsecanalyze details{border:1px solid #8886;border-radius:6px;margin:.6em 0;padding:.4em .8em}
.ipsecanalyze summary{cursor:pointer}
.ipsecanalyze details{overflow-x:auto}
.ipsecanalyze table{border-collapse:collapse;margin:.5em 0;font-variant-numeric:tabular-nums}
.ipsecanalyze th,.ipsecanalyze td{border:0;padding:.1em .9em .1em 0;text-align:left;vertical-align:top;
background:none;white-space:nowrap}
.ipsecanalyze td:last-child,.ipsecanalyze td.w{white-space:normal;overflow-wrap:break-word;min-width:9em}
.ipsecanalyze th{font-weight:normal;opacity:.65}
.ipsecanalyze td.n{text-align:right}
.ipsecanalyze code{font-size:.93em;background:none;padding:0}
.ipsecanalyze .quiet{opacity:.65}
.ipsecanalyze .badge{border-radius:4px;padding:0 .5em;color:#fff;background:#666}
.ipsecanalyze .established{background:#1a7f37}.ipsecanalyze .closed{background:#0969da}
.ipsecanalyze .rekeyed{background:#0e7c86}.ipsecanalyze .failed,.ipsecanalyze .critical,
.ipsecanalyze .high{background:#cf222e}.ipsecanalyze .half-open,.ipsecanalyze .medium{background:#9a6700}
.ipsecanalyze .bad{color:#cf222e;font-weight:600}.ipsecanalyze .notice{color:#9a6700}.ipsecanalyze .good{color:#1a7f37}
"""


def summary_html(document: SummaryDocument) -> str:
    """The fragment as a string: one `<div>` with a `<style>` inside."""
    return f'<div class="ipsecanalyze">\n<style>\n{_STYLE}</style>\n{"".join(_body(document))}</div>'


@dataclass(frozen=True, slots=True)
class SummaryHtml:
    """Writes a summary document as an HTML fragment."""

    def write(self, document: SummaryDocument, stream: TextIO) -> None:
        """Write the fragment."""
        stream.write(summary_html(document) + "\n")


def _body(document: SummaryDocument) -> Iterator[str]:
    times = [capture["first_time_ns"] for capture in document["captures"]]
    origin_ns = min((time for time in times if time is not None), default=0)
    for capture in document["captures"]:
        yield _capture(capture)
    if document["findings"]:
        yield _table((), (_finding(finding) for finding in document["findings"]))
    owned: dict[str | None, list[FlowEntry]] = {}
    for flow in document["flows"]:
        owned.setdefault(flow["ike_sa"], []).append(flow)
    # The attempts that led nowhere may be a flood: they come last, and the limit hits them first.
    sas = sorted(document["ike_sas"], key=lambda sa: sa["state"] == "half-open")
    for sa in sas[:_MOST_SAS]:
        yield _tunnel(sa, owned.get(sa["id"], []), origin_ns)
    if len(sas) > _MOST_SAS:
        states = Counter(sa["state"] for sa in sas[_MOST_SAS:])
        told = ", ".join(f"{integer(count)} {html(state)}" for state, count in states.most_common())
        yield f'<p class="notice">and {plural(len(sas) - _MOST_SAS, "more IKE SA")}: {told}</p>\n'
    if None in owned:
        yield "<h3>Flows without IKE in the capture</h3>\n" + _flows(owned[None], origin_ns)
    if not document["ike_sas"] and not document["flows"]:
        yield '<p class="notice">No IPsec was found.</p>\n'
    yield from _warnings(document)


def _capture(capture: CaptureEntry) -> str:
    facts = [capture["format"], plural(capture["packets"], "packet"), octets(capture["octets"])]
    first, last = capture["first_time_ns"], capture["last_time_ns"]
    if first is not None and last is not None:
        facts.append(f"{duration(last - first)} from {moment(first)} UTC")
    counts = [f"{integer(count)} {key}" for key, count in capture["counts"].items() if isinstance(count, int) and count]
    return (
        f"<h3>{html(capture['path'])}</h3>\n<p>{html(' · '.join(facts))}<br>"
        f'<span class="quiet">{html(" · ".join(counts).replace("_", " "))}</span></p>\n'
    )


def _finding(finding: FindingEntry) -> tuple[str, ...]:
    severity = html(finding["severity"])
    return f'<span class="badge {severity}">{severity}</span>', html(finding["subject"]), html(finding["title"])


def _tunnel(sa: IkeSaEntry, flows: Sequence[FlowEntry], origin_ns: int) -> str:
    version = ("IKEv1" if sa["version"].startswith("1") else "IKEv2") + (f" {sa['mode']} mode" if sa["mode"] else "")
    state = html(sa["state"])
    facts = [("initiator", _peer(sa["initiator"])), ("responder", _peer(sa["responder"]))]
    offered = list(dict.fromkeys(proposal_text(proposal) for proposal in sa["offered"]))
    if offered:
        facts.append(("offered", "<br>".join(f"<code>{html(text)}</code>" for text in offered[:8])))
    facts.append(("chosen", f"<code>{html(suite_text(sa['chosen']) or 'nothing')}</code>"))
    return (
        f"<details{'' if sa['state'] == 'half-open' else ' open'}><summary><b>{html(sa['id'])}</b> {html(version)} "
        f'<span class="badge {state}">{state}</span> {html(sa["outcome"])}</summary>\n'
        f"{_table((), facts, classes={0: 'quiet'})}{_timeline(sa, origin_ns)}{_flows(flows, origin_ns)}</details>\n"
    )


def _peer(peer: PeerEntry) -> str:
    spi = "never answered" if peer["spi"] == _NO_SPI else f"SPI <code>{html(peer['spi'])}</code>"
    lines = [f"<b>{html(peer['address'])}</b> port {peer['port']}, {spi}"]
    if peer["behind_nat"]:
        lines[0] += ', <span class="notice">behind NAT</span>'
    if peer["identity"] is not None:
        lines.append(html(peer["identity"], 200))
    lines += [
        f"then at {html(move['address'])} port {move['port']} (frame {move['frame']})" for move in peer["moves"][:4]
    ]
    if peer["vendor_ids"]:
        names = ", ".join(html(name, 60) for name in dict.fromkeys(peer["vendor_ids"][:12]))
        lines.append(f'<span class="quiet">{names}</span>')
    return "<br>".join(lines)


def _timeline(sa: IkeSaEntry, origin_ns: int) -> str:
    rows = timeline(sa)
    cells = (
        (
            f'<span class="quiet">{moment(row.time_ns, date=False)}</span>',
            relative(row.time_ns, origin_ns),
            "→" if row.from_initiator else "←",
            html(row.name),
            "" if row.round_trip_ns is None else duration(row.round_trip_ns),
            html(", ".join(str(frame) for frame in row.frames[:4])) + (" …" if len(row.frames) > 4 else ""),
            _remarks(row),
        )
        for row in rows[:40]
    )
    more = f'<p class="quiet">and {len(rows) - 40} more</p>\n' if len(rows) > 40 else ""
    return _table(("UTC", "seconds", "", "exchange", "took", "frames", ""), cells) + more if rows else ""


def _remarks(row: Row) -> str:
    told = [html(remark, 120) for remark in row.remarks]
    told += [f'<span class="bad">{html(problem, 120)}</span>' for problem in row.problems]
    return ", ".join(told)


def _flows(flows: Sequence[FlowEntry], origin_ns: int) -> str:
    if not flows:
        return ""
    cells = (
        (
            f"{html(flow['source'])} → {html(flow['destination'])}",
            protocol_name(flow),
            f"<code>{html(flow['spi'])}</code>",
            integer(flow["packets"]),
            octets(flow["octets"]),
            f"{relative(flow['first_time_ns'], origin_ns)} … {relative(flow['last_time_ns'], origin_ns)}",
            _verdict(flow),
        )
        for flow in flows[:_MOST_FLOWS]
    )
    header = ("flow", "", "SPI", "packets", "octets", "seconds", "")
    more = len(flows) - _MOST_FLOWS
    rest = f'<p class="quiet">and {plural(more, "more flow")}</p>\n' if more > 0 else ""
    return _table(header, cells, classes={0: "w", 3: "n", 4: "n"}) + rest


def _verdict(flow: FlowEntry) -> str:
    return ", ".join(f'<span class="{style}">{html(words)}</span>' for words, style in verdict(flow))


def _warnings(document: SummaryDocument) -> Iterator[str]:
    texts = [
        f"{html(capture['path'])}: {html(slug)}, {plural(count, 'time')}"
        for capture in document["captures"]
        for slug, count in capture["warning_counts"].items()
    ]
    texts += [html(warning["message"], 300) for warning in document["warnings"]]
    if texts:
        yield '<p class="notice">' + "<br>".join(texts[:20]) + "</p>\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], classes: Mapping[int, str] = _NO_CLASSES) -> str:
    """A table of cells that are HTML already; `classes` gives columns theirs."""
    head = "<tr>" + "".join(f"<th>{cell}</th>" for cell in header) + "</tr>\n" if header else ""
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{classes.get(index, "")}">{cell}</td>' for index, cell in enumerate(row))
        + "</tr>\n"
        for row in rows
    )
    return f"<table>\n{head}{body}</table>\n"
