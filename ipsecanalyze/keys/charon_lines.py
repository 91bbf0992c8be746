r"""The lines of a charon log: thread, group, IKE SA and message; and dumps of octets put together again.

    2026-11-23T05:58:14.702766 09[IKE] <gw|1> key exchange secret => 32 bytes @ 0x7fe410009ee0
    2026-11-23T05:58:14.702766 09[IKE] <gw|1>    0: 43 D4 6E 49 40 66 5C 8A 13 62 6A AF 0C 1B 7E BC  C.nI@f\..bj...~.

In a syslog the lines of several threads interleave: a dump is continued by the next line of its thread. Exactly as many
octets are read as the head says, because the text column can look like hexadecimal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["Dump", "DumpReader", "LogLine", "parse_line"]

_GROUPS: Final = frozenset(
    [
        "DMN",
        "MGR",
        "IKE",
        "CHD",
        "JOB",
        "CFG",
        "KNL",
        "NET",
        "ASN",
        "ENC",
        "TNC",
        "IMC",
        "IMV",
        "PTS",
        "TLS",
        "APP",
        "ESP",
        "LIB",
    ]
)
_TAG: Final = re.compile(r"<([^>]{0,200})> ?")
_HEAD: Final = re.compile(r"(.{1,100}?) => (\d{1,7}) bytes @ (?:0x[0-9a-fA-F]+|\(nil\))\s*")
_ROW: Final = re.compile(r" *(\d+): ((?:[0-9A-F]{2} )*[0-9A-F]{2})")
#: No secret is longer (MODP 8192 has 1,024 octets).
_LONGEST: Final = 1 << 16


class LogLine(NamedTuple):
    """A line without its prefix."""

    thread: str
    group: str
    tag: str
    """"name|unique ID" of the IKE SA; empty where the line has none."""
    text: str


class Dump(NamedTuple):
    """Octets with their label."""

    label: str
    data: bytes
    line: int
    """Where it starts."""


def parse_line(line: str) -> LogLine | None:
    """The parts of a line; None where it is not of charon."""
    place = line.find("[", 0, 300)
    while place >= 0:
        # "09[IKE] ", and "09[IKE1] " where the level is shown.
        end = place + 4 if line[place + 4 : place + 5] == "]" else place + 5
        if line[place + 1 : place + 4] in _GROUPS and line[end : end + 2] == "] " and line[place - 2 : place].isdigit():
            break
        place = line.find("[", place + 1, 300)
    else:
        return None
    thread, group = line[place - 2 : place], line[place + 1 : place + 4]
    tag = _TAG.match(line, end + 2) if line[end + 2 : end + 3] == "<" else None
    if tag is not None:
        return LogLine(thread, group, tag[1], line[tag.end() :])
    return LogLine(thread, group, "", line[end + 2 :])


@dataclass(slots=True)
class _Open:
    label: str
    size: int
    line: int
    data: bytearray = field(default_factory=bytearray)


class DumpReader:
    """Puts dumps together, thread by thread."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self.broken: list[tuple[str, int]] = []
        """Labels and lines of dumps that ended too early, for the caller to take."""

    def feed(self, line: LogLine, number: int) -> Dump | str | None:
        """A whole dump; None where the line was part of one; the text where it has nothing to do with dumps."""
        dump = self._open.get(line.thread)
        if dump is not None:
            row = _ROW.match(line.text)
            if row is not None and int(row[1]) == len(dump.data):
                wanted = min(16, dump.size - len(dump.data))
                octets = row[2][: 3 * wanted - 1]
                if len(octets) == 3 * wanted - 1:
                    dump.data += bytes.fromhex(octets)
                    if len(dump.data) < dump.size:
                        return None
                    del self._open[line.thread]
                    return Dump(dump.label, bytes(dump.data), dump.line)
            del self._open[line.thread]
            self.broken.append((dump.label, dump.line))
        head = _HEAD.fullmatch(line.text) if " bytes @ " in line.text else None
        if head is None:
            return line.text
        size = int(head[2])
        if size == 0:
            return Dump(head[1], b"", number)
        if size <= _LONGEST:
            self._open[line.thread] = _Open(head[1], size, number)
        return None

    def finish(self) -> None:
        """What is open stays without its end."""
        self.broken += [(dump.label, dump.line) for dump in self._open.values()]
        self._open.clear()
