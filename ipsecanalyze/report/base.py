"""What a report is: something that writes a document to a stream. And the plainest one, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

__all__ = ["JsonReport", "Reporter"]


class Reporter(Protocol):
    """Renders documents of one kind in one format; it may be used for several."""

    def write(self, document: Any, stream: TextIO) -> None:
        """Write the document to the text stream, with a newline at its end.

        `document` is what the report is made for: a summary, messages or flows document.
        """


@dataclass(frozen=True, slots=True)
class JsonReport:
    """Writes any document as JSON, in ASCII: what strangers wrote cannot drive the terminal it is shown on."""

    indent: int | None = 2

    def write(self, document: Mapping[str, Any], stream: TextIO) -> None:
        """Write the document piece by piece, so that it does not stand in memory twice."""
        encoder = json.JSONEncoder(indent=self.indent, ensure_ascii=True, allow_nan=False)
        stream.writelines(encoder.iterencode(document))
        stream.write("\n")
