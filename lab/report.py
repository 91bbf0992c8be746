"""The page of a run: what was built, what was seen, and whether it proved itself. One HTML file without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ipsecanalyze.report.text import html

from .scenario import Scenario
from .verdict import Check

if TYPE_CHECKING:
    from ipsecanalyze import Analysis

__all__ = ["report_html", "report_text"]

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}pre{background:#f5f5f2;padding:.8em;overflow-x:auto}
li.yes::marker{content:"✓ ";color:#187a2f}li.no::marker{content:"✗ ";color:#b3261e}li.no{color:#b3261e}
.verdict{font-weight:bold}"""


def report_text(scenario: Scenario, checks: Sequence[Check], *, proved: bool) -> str:
    """For a terminal; every line has to be escaped by who prints it."""
    lines = [f"{'✓' if check.passed else '✗'} {check.text}" for check in checks]
    lines.append(f"{scenario.name}: {'proved' if proved else 'NOT PROVED'}")
    return "\n".join(lines)


def report_html(
    scenario: Scenario, checks: Sequence[Check], ladders: str, analysis: Analysis | None, plane: str, *, proved: bool
) -> str:
    """The page."""
    verdict = "This run proved itself." if proved else "This run did not prove itself."
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html(scenario.title)}</title>',
        f"<style>{_STYLE}</style>",
        f"<h1>{html(scenario.title)}</h1>",
        f"<p>{html(scenario.text)}</p>",
        f"<pre>{html(scenario.topology.picture)}</pre>",
        f'<p class="verdict">{verdict}</p><p>Data plane: {html(plane)}.</p>',
        "<h2>Checks</h2><ul>",
        *_items(checks),
        "</ul><h2>IKE messages</h2>",
        f"<pre>{_lines(ladders)}</pre>",
    ]
    if analysis is not None:
        parts += ["<h2>Summary</h2>", analysis._repr_html_()]
    parts += ["<h2>Scenario</h2>", f"<pre>{_lines(scenario.source)}</pre>", "</html>"]
    return "\n".join(parts)


def _items(checks: Iterable[Check]) -> Iterable[str]:
    return (f'<li class="{"yes" if check.passed else "no"}">{html(check.text)}</li>' for check in checks)


def _lines(text: str) -> str:
    return "\n".join(html(line) for line in text.splitlines())
