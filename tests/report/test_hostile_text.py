"""Whatever strangers write into identities, vendor IDs, notifies and file names: reports must not act on it."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.report.base import JsonReport
from ipsecanalyze.report.flows import FlowsCsv, flows_text
from ipsecanalyze.report.html import summary_html
from ipsecanalyze.report.ladder import ladder_text
from ipsecanalyze.report.markdown import SummaryMarkdown
from ipsecanalyze.report.picture import summary_svg
from ipsecanalyze.report.terminal import summary_text

EVIL = (
    "\x1b]0;title\x07\x1b[2J\x9b31m [bold red]rich[/] [/] \u202egnp.exe\u2066 \x00\x08\r\n \u2028 \ufeff\u200b \udce9 "
    "<script>alert(1)</script> \"'><img src=x onerror=alert(1)> :smile: ${HOME} =cmd|' /C calc'!A0"
)
ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
Documents = Callable[[str], dict[str, Any]]


def written(reporter: Any, document: Any) -> str:
    stream = io.StringIO()
    reporter.write(document, stream)
    return stream.getvalue()


def everything(documents: dict[str, Any]) -> dict[str, str]:
    return {
        "summary": summary_text(documents["summary"]),
        "ladder": ladder_text(documents["messages"], tree=True),
        "flows": flows_text(documents["flows"]),
        "csv": written(FlowsCsv(), documents["flows"]).replace("\r\n", "\n"),
        "html": summary_html(documents["summary"]),
        "markdown": written(SummaryMarkdown(), documents["summary"]),
        "json": written(JsonReport(), documents["messages"]),
        "svg": summary_svg(documents["summary"]),
    }


def assert_harmless(texts: dict[str, str]) -> None:
    for name, report in texts.items():
        acting = {char for char in report if unicodedata.category(char) in ACTING} - {"\n"}
        assert not acting, (name, acting)


def test_nothing_acts(make_documents: Documents) -> None:
    texts = everything(make_documents(EVIL))
    assert_harmless(texts)
    # It is shown, not hidden; and rich's markup is text.
    assert r"\x1b]0;title\x07" in texts["summary"]
    assert "[bold red]rich[/]" in texts["summary"]
    assert ":smile:" in texts["ladder"]


def test_colours_are_only_ours(make_documents: Documents) -> None:
    for report in (
        summary_text(make_documents(EVIL)["summary"], color=True),
        ladder_text(make_documents(EVIL)["messages"], color=True, tree=True),
    ):
        assert "\x1b[" in report
        rest = re.sub(r"\x1b\[[0-9;]*m", "", report)
        assert not {char for char in rest if unicodedata.category(char) in ACTING} - {"\n"}


@settings(max_examples=25)
@given(st.text(st.characters(), max_size=40))
def test_no_text_acts(make_documents: Documents, text: str) -> None:
    assert_harmless(everything(make_documents(text)))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_html_has_only_our_tags(make_documents: Documents) -> None:
    tags = Tags()
    tags.feed(summary_html(make_documents(EVIL)["summary"]))
    ours = {"div", "style", "h3", "p", "br", "span", "table", "tr", "th", "td", "details", "summary", "b", "code"}
    assert tags.seen <= ours
    assert tags.attributes <= {"class", "open"}


@pytest.mark.parametrize("formula", ["=1+1", "@x", "+1", "-1", "\t=1"])
def test_csv_has_no_formulas(make_documents: Documents, formula: str) -> None:
    rows = list(csv.reader(io.StringIO(written(FlowsCsv(), make_documents(formula)["flows"]))))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell and cell[0] in "=+-@\t"]


def test_markdown_tables_keep_their_shape(make_documents: Documents) -> None:
    report = written(SummaryMarkdown(), make_documents("a|b\n| c | <b>")["summary"])
    for block in report.split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "<b>" not in report
