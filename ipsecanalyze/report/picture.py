"""The summary as a picture of a terminal (SVG), for READMEs and slides."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from rich.terminal_theme import TerminalTheme

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.terminal import SummaryText
from ipsecanalyze.report.text import terminal

if TYPE_CHECKING:
    from ipsecanalyze.shapes import SummaryDocument

__all__ = ["summary_svg"]

_COLORS = TerminalTheme(
    (24, 26, 31),
    (214, 219, 229),
    [
        (60, 64, 72),
        (240, 98, 98),
        (126, 200, 110),
        (229, 192, 94),
        (97, 175, 239),
        (198, 146, 233),
        (86, 196, 203),
        (214, 219, 229),
    ],
    [
        (128, 134, 146),
        (255, 123, 114),
        (147, 222, 130),
        (245, 210, 115),
        (121, 192, 255),
        (215, 168, 250),
        (116, 220, 226),
        (240, 243, 248),
    ],
)
_FONT_FACES = re.compile(r"@font-face\s*\{[^}]*\}\s*")


def summary_svg(document: SummaryDocument, *, title: str = "ipsecanalyze summarize", width: int = 80) -> str:
    """An SVG of the summary as a terminal of that width shows it; it loads no fonts from elsewhere."""
    console = make_console(io.StringIO(), width=width, color=True)
    console.record = True
    SummaryText().print(document, console)
    svg = console.export_svg(title=terminal(title, 60), theme=_COLORS, unique_id="ipsecanalyze")
    return _FONT_FACES.sub("", svg).replace("Fira Code", "ui-monospace, Menlo, Consolas")
