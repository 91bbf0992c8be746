"""Where text reports are written: a rich console that is safe on any stream, and the styles by name.

Width and colours follow the stream (a terminal's width, 80 columns else; NO_COLOR and FORCE_COLOR are honoured).
Streams that cannot take Unicode get plain ASCII instead of an error. Renderers use styles only by these names.
"""

from __future__ import annotations

import io
import os
from typing import Any, TextIO, cast

from rich.console import Console
from rich.theme import Theme

__all__ = ["make_console"]

_THEME = Theme(
    {
        "heading": "bold",
        "label": "dim",
        "quiet": "dim",
        "time": "cyan",
        "spi": "magenta",
        "address": "bold",
        "suite": "green",
        "arrow": "blue",
        "good": "green",
        "notice": "yellow",
        "bad": "bold red",
        "state.half-open": "bold yellow",
        "state.established": "bold green",
        "state.failed": "bold red",
        "state.closed": "bold blue",
        "state.rekeyed": "bold cyan",
        "severity.info": "dim",
        "severity.low": "cyan",
        "severity.medium": "yellow",
        "severity.high": "red",
        "severity.critical": "bold white on red",
    }
)

#: One character for one, so that nothing moves.
_ASCII = str.maketrans(
    {
        **dict.fromkeys("▶→", ">"),
        **dict.fromkeys("◀←", "<"),
        **dict.fromkeys("─━", "-"),
        **dict.fromkeys("│├┤", "|"),
        **dict.fromkeys("╭╮╰╯┌┐└┘┬┴┼", "+"),
        "╌": ".",
        "·": "-",
        "…": "~",
        "×": "x",  # noqa: RUF001
        "µ": "u",
        "⇄": "=",
    }
)


class _PlainStream:
    """A stream whose encoding lacks characters: ours are replaced by ASCII, others' by escapes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        plain = text.translate(_ASCII).encode(self._stream.encoding, "backslashreplace").decode(self._stream.encoding)
        return self._stream.write(plain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Console(Console):
    """Leaves it to the caller what a broken pipe means: rich would end the program with an exit code of its own."""

    def on_broken_pipe(self) -> None:
        """Called by rich while it handles the BrokenPipeError."""
        raise


def _takes_unicode(stream: TextIO) -> bool:
    if isinstance(stream, io.StringIO):
        return True
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def make_console(stream: TextIO, *, width: int | None = None, color: bool | None = None) -> Console:
    """A console on the stream; `width` in columns and `color` override what the stream and environment say."""
    if width is None and not stream.isatty() and not os.environ.get("COLUMNS"):
        # Rich would ask the terminal of another stream.
        width = 80
    return _Console(
        file=stream if _takes_unicode(stream) else cast("TextIO", _PlainStream(stream)),
        width=width,
        theme=_THEME,
        force_terminal=color,
        no_color=None if color is None else not color,
        color_system="standard" if color else "auto" if color is None else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
