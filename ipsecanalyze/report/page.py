"""The page of a kind of finding on a terminal: what `--explain SLUG` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.lines import Paragraph

if TYPE_CHECKING:
    from ipsecanalyze.findings.catalog import Page

__all__ = ["print_page"]


def print_page(page: Page, stream: TextIO) -> None:
    """Write the page."""
    console = make_console(stream)
    console.print(Text.assemble((page.title, "heading"), (f"  {page.slug}", "quiet")))
    for label, text in (
        ("Seen", page.what),
        ("Meaning", page.why),
        ("In Wireshark", page.wireshark),
        *page.fixes.items(),
    ):
        console.print()
        console.print(Text(label, style="label"))
        console.print(Paragraph(Text(" ".join(text.split()))))
    console.print()
    console.print(Text(" · ".join(page.references), style="quiet"))
