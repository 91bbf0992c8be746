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
    """Writes any document as JSON, a line per entry of its lists; the lists may be iterators.

    It is ASCII: what strangers wrote cannot drive the terminal that it is shown on.
    """

    def write(self, document: Mapping[str, Any], stream: TextIO) -> None:
        """Write the document, one entry after the other."""
        encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode
        opening = "{"
        for name, value in document.items():
            stream.write(f"{opening}{encode(name)}: ")
            opening = ",\n"
            if value is None or isinstance(value, str | int):
                stream.write(encode(value))
                continue
            separator = "[\n"
            for entry in value:
                stream.write(separator + encode(entry))
                separator = ",\n"
            stream.write("\n]" if separator == ",\n" else "[]")
        stream.write("}\n")
