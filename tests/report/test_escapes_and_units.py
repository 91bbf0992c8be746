"""report/text.py: the units against hand-made examples, the escapes against what they must never let through."""

import csv
import html as stdlib_html
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.report import text

MS, S = 1_000_000, 1_000_000_000


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (0, "0 s"),
        (999, "999 ns"),
        (1_500, "1.50 µs"),
        (999_940, "1.00 ms"),
        (117_352_000, "117 ms"),
        (999_990_000, "1.00 s"),
        (7_681_785_000, "7.68 s"),
        (12 * S, "12.0 s"),
        (60 * S, "1 min"),
        (61 * S, "1 min 1 s"),
        (3600 * S, "1 h"),
        (3600 * S + 725 * S, "1 h 12 min"),
        (90_000 * S, "1 d 1 h"),
        (-117 * MS, "-117 ms"),
    ],
)
def test_duration(span: int, words: str) -> None:
    assert text.duration(span) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_995, "10.0 kB"),
        (99_950, "100 kB"),
        (282_020, "282 kB"),
        (999_500, "1.00 MB"),
        (48_200_300, "48.2 MB"),
        (10**18, "1.00 EB"),
        (10**22, "10000 EB"),
    ],
)
def test_octets(count: int, words: str) -> None:
    assert text.octets(count) == words


def test_moment_and_relative() -> None:
    # 1795413494 is 2026-11-23T05:58:14Z (GNU date).
    assert text.moment(1_795_413_494_540_664_000) == "2026-11-23 05:58:14.540"
    assert text.moment(1_795_413_494_540_664_000, date=False) == "05:58:14.540"
    assert text.relative(1_795_413_494_657_999_999, 1_795_413_494_540_664_000) == "+0.117"
    assert text.relative(0, 1_500_000_000) == "-1.500"


@given(st.integers(-(2**63), 2**64))
def test_any_time_can_be_told(time_ns: int) -> None:
    assert text.moment(time_ns)
    assert text.relative(time_ns, 0)
    assert text.duration(time_ns)


def test_terminal_shows_what_it_took_away() -> None:
    assert text.terminal("\x1b[31mred\x07") == r"\x1b[31mred\x07"
    assert text.terminal("abc\u202egnp.exe") == r"abc\u202egnp.exe"
    assert text.terminal("a\nb\tc\u2028d\x9be\U000e0041") == r"a\x0ab\x09c\u2028d\x9be\U000e0041"
    assert text.terminal("caf\udce9.pcap") == r"caf\udce9.pcap"
    assert text.terminal("Zürich 東京 [bold]") == "Zürich 東京 [bold]"
    assert text.terminal("x" * 50, limit=10) == "x" * 9 + "…"


@given(st.text(st.characters()))
def test_terminal_leaves_nothing_that_acts(raw: str) -> None:
    for char in text.terminal(raw):
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(st.characters()))
def test_html_is_inert_and_loses_nothing(raw: str) -> None:
    escaped = text.html(raw)
    assert not set("<>\"'") & set(escaped)
    assert stdlib_html.unescape(escaped) == text.terminal(raw)


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"])
def test_csv_runs_no_formulas(formula: str) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerow([text.csv_cell(formula)])
    [[cell]] = csv.reader(io.StringIO(stream.getvalue()))
    assert cell[0] not in "=+-@\t\r " or cell[0] == "'"


def test_csv_keeps_numbers() -> None:
    assert [text.csv_cell(value) for value in (-5, 0.5, True, None, "c21a9f0d")] == [
        "-5",
        "0.5",
        "true",
        "",
        "c21a9f0d",
    ]


def test_markdown_has_no_markup_left() -> None:
    raw = "*a* _b_ [c](http://d) `e` <f> | ![g](h) # i ~j~ \\k"
    # What CommonMark lets a backslash escape is escaped, and HTML is entities.
    assert text.markdown(raw) == (r"\*a\* \_b\_ \[c\]\(http://d\) \`e\` &lt;f&gt; \| \!\[g\]\(h\) \# i \~j\~ \\k")
