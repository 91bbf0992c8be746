"""The text reports: what they say, that they fit, and that they need neither colour nor Unicode."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.flows import FlowsCsv, FlowsText, flows_text
from ipsecanalyze.report.html import summary_html
from ipsecanalyze.report.ladder import LadderText, ladder_text
from ipsecanalyze.report.lines import Column, Line, Lines
from ipsecanalyze.report.markdown import SummaryMarkdown
from ipsecanalyze.report.terminal import SummaryText, summary_text


@pytest.mark.parametrize("width", [80, 100, 160])
def test_lines_fit(width: int, documents: dict[str, Any]) -> None:
    for report in (
        summary_text(documents["summary"], width=width),
        ladder_text(documents["messages"], width=width),
        ladder_text(documents["messages"], width=width, tree=True),
        flows_text(documents["flows"], width=width),
    ):
        assert max(cell_len(line) for line in report.splitlines()) <= width


def test_summary_says_what_happened(documents: dict[str, Any]) -> None:
    report = summary_text(documents["summary"], width=100)
    for words in (
        "pcapng · zstd · Ethernet · Linux cooked v2 · 400 packets · 282 kB",
        "12 ESP · 6 IKE · 382 other",
        "3 packets cut by the snap length",
        "192.0.2.1:500  SPI 95fdb71f535797f6  behind NAT",
        "then at 203.0.113.9:4500 (frame 9)",
        "AES_CBC_256 / HMAC_SHA2_256_128 / PRF_HMAC_SHA2_256 / MODP_2048, CURVE25519",
        "AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
        "05:58:14.000   +0.000  →  IKE_SA_INIT [0]  100 ms  3, 4",
        "INVALID_KE_PAYLOAD",
        "2 retransmissions, no answer",
        "2 lost (29%), 1 duplicate, 1 reordered",
        "no IKE in the capture",
        "ike-2  IKEv1 main mode  failed",
        "truncated-file",
    ):
        assert words in report, words


def test_a_flood_is_one_paragraph(many_half_open: Callable[[int], dict[str, Any]]) -> None:
    assert "ike-4" in summary_text(many_half_open(5))
    report = summary_text(many_half_open(1000))
    assert "1,000 attempts never got past the first exchange" in report
    assert "1,000 to 198.51.100.1" in report
    assert len(report.splitlines()) < 15


def test_a_flood_is_no_ladder(many_half_open: Callable[[int], dict[str, Any]], documents: dict[str, Any]) -> None:
    [first, *_] = documents["messages"]["messages"]
    for count, drawn in ((5, True), (6, False)):
        document = {**many_half_open(count), "messages": [{**first, "ike_sa": "ike-0"}]}
        assert ("├─" in ladder_text(document)) is drawn
        stream = io.StringIO()
        LadderText(everything=True).write(document, stream)
        assert "├─" in stream.getvalue()
    assert "6 attempts that never got past the first exchange" in ladder_text(document)


def test_nothing_found() -> None:
    empty: Any = {"captures": [], "ike_sas": [], "child_sas": [], "flows": [], "messages": [], "findings": []}
    empty["warnings"] = []
    assert "No IPsec was found." in summary_text(empty)
    assert "No IKE messages were found." in ladder_text(empty)
    assert "No ESP or AH flows were found." in flows_text(empty)
    stream = io.StringIO()
    FlowsCsv().write(empty, stream)
    assert stream.getvalue().startswith("protocol,source,destination,spi,")


def test_ladder(documents: dict[str, Any]) -> None:
    lines = ladder_text(documents["messages"], width=100).splitlines()
    first = next(line for line in lines if "├─" in line)
    assert "IKE_SA_INIT [0] request" in first
    assert first.endswith("▶│")
    assert any("├╌" in line and "IKE_SA_INIT" in line for line in lines)
    assert any("again, frame 3" in line for line in lines)
    assert any("no IKE SA" in line for line in lines)
    assert "AES_CBC" not in "".join(line for line in lines if line.startswith(" " * 15))
    tree = ladder_text(documents["messages"], tree=True)
    assert "           28  SA" in tree


def test_long_fields_continue_below(documents: dict[str, Any]) -> None:
    message = documents["messages"]["messages"][0]
    tree = [{"offset": 40, "name": name, "value": "word " + "ab" * 60, "level": 1} for name in ("data", "name" * 12)]
    lines = ladder_text({**documents["messages"], "messages": [{**message, "tree": tree}]}, tree=True).splitlines()
    first = next(number for number, line in enumerate(lines) if "data" in line)
    assert lines[first : first + 4] == [
        f"{40:>17}    data  word",
        " " * 27 + ("ab" * 60)[:53],
        " " * 27 + ("ab" * 60)[53:106],
        " " * 27 + ("ab" * 60)[106:],
    ]
    assert lines[first + 4 : first + 6] == [f"{40:>17}    {'name' * 12}", " " * 21 + "word"]


def test_what_is_inferred_is_marked(documents: dict[str, Any]) -> None:
    flow = documents["flows"]["flows"][2]
    looks = {**flow, "certainty": "inferred", "inferred_packets": 3}
    some = {**flow, "inferred_packets": 2}
    assert "complete, inferred" in flows_text({**documents["flows"], "flows": [looks]})
    assert "complete, 2 packets inferred" in flows_text({**documents["flows"], "flows": [some]})
    document = {**documents["summary"], "flows": [looks]}
    stream = io.StringIO()
    SummaryMarkdown().write(document, stream)
    assert "complete, inferred" in stream.getvalue()
    assert '<span class="quiet">inferred</span>' in summary_html(document)
    assert "inferred" not in flows_text(documents["flows"])


def test_a_long_table_of_flows_is_cut(documents: dict[str, Any]) -> None:
    document = {**documents["flows"], "flows": documents["flows"]["flows"][2:] * 203}
    lines = flows_text(document).splitlines()
    assert sum("c21a9f0d" in line for line in lines) == 200
    assert "and 3 more flows, 9 packets, 1.22 kB (--all shows all, --top N the first N)" in lines
    assert "203 flows, 609 packets, 82.8 kB" in lines
    stream = io.StringIO()
    FlowsText(most=None).write(document, stream)
    assert stream.getvalue().count("c21a9f0d") == 203
    assert "more flow" not in stream.getvalue()


def test_wide_characters_keep_columns() -> None:
    lines = Lines(
        (Column("name"), Column("count", right=True)),
        [Line(("漢字", "1"), Text("beside")), Line(("ab", "10")), Line(("ab", "10"), Text("below " * 4))],
        under=1,
    )
    stream = io.StringIO()
    make_console(stream, width=22).print(lines)
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        "name  count",
        "漢字      1  beside",
        "ab       10",
        "ab       10",
        "      below below",
        "      below below",
    ]


def test_answers_point_back(documents: dict[str, Any]) -> None:
    message = {**documents["messages"]["messages"][0], "from_initiator": False, "is_response": True}
    payload = {"type": 41, "label": "N", "offset": 28, "opened": False, "critical": False, "is_error": True}
    message["payloads"] = [payload]
    message["payloads"][0]["summary"] = "N(NO_PROPOSAL_CHOSEN)"
    report = ladder_text({**documents["messages"], "messages": [message]}, width=66)
    rung = next(line for line in report.splitlines() if "│◀" in line)
    assert rung.endswith("─┤")
    assert "N(NO_PROPOSAL" in rung


class AsciiStream(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict")

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]


def test_ascii_streams_get_ascii(make_documents: Callable[[str], dict[str, Any]]) -> None:
    documents = make_documents("Zürich")
    for reporter, kind in ((SummaryText(), "summary"), (LadderText(tree=True), "messages")):
        stream = AsciiStream()
        reporter.write(documents[kind], stream)
        assert r"Z\xfcrich" in stream.text()
        assert "+-" in stream.text() or "|-" in stream.text()


@pytest.mark.parametrize(("variable", "colour"), [("NO_COLOR", False), ("FORCE_COLOR", True), (None, False)])
def test_colours_follow_the_environment(
    variable: str | None, colour: bool, documents: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if variable:
        monkeypatch.setenv(variable, "1")
    stream = io.StringIO()
    SummaryText().write(documents["summary"], stream)
    assert ("\x1b[" in stream.getvalue()) is colour
