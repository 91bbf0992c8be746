"""The log of strongSwan's charon, with the levels ike = 4 and chd = 4: all secrets of IKE SAs and Child SAs.

Files of charon's own and syslogs (where threads interleave, and other programs write between) are read alike.
"""

from __future__ import annotations

import re
from typing import Final

from ipsecanalyze.keys.charon_child import ChildTracker
from ipsecanalyze.keys.charon_ike import IkeTracker
from ipsecanalyze.keys.charon_lines import Dump, DumpReader, parse_line
from ipsecanalyze.keys.reader import Sink
from ipsecanalyze.keys.swan_names import read_suite

__all__ = ["CharonReader", "recognises"]

_SELECTED: Final = re.compile(r"\s*selected proposal: (IKE|ESP|AH):(\S+)")
#: Labels whose octets are needed; a dump that breaks off is told only if it has one of them.
_NEEDED: Final = re.compile(r"Sk_|SKEY|encryption|integrity|key exchange secret|shared Diffie")


def recognises(line: str) -> bool:
    """Whether the line is one of charon."""
    return "] " in line and parse_line(line) is not None


class CharonReader:
    """Reads line by line."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._dumps = DumpReader()
        self._ike = IkeTracker(sink)
        self._children = ChildTracker(sink)

    def feed(self, text: str) -> bool:
        """Take a line."""
        line = parse_line(text) if "] " in text else None
        if line is None:
            return False
        # Where the log does not name IKE SAs, a thread is all that there is to go by.
        tag = line.tag or f"thread {line.thread}"
        found = self._dumps.feed(line, self._sink.line)
        if self._dumps.broken:
            self._tell_broken()
        if isinstance(found, Dump):
            if not self._children.dump(line.thread, found):
                self._ike.dump(tag, line.group, found)
        elif found is not None:
            self._text(line.thread, line.group, tag, found)
        return True

    def finish(self) -> None:
        """Keep what waits."""
        self._dumps.finish()
        self._tell_broken()
        self._children.finish()
        self._ike.finish()

    def _text(self, thread: str, group: str, tag: str, text: str) -> None:
        if group == "CFG":
            if selected := _SELECTED.match(text):
                suite = read_suite(selected[2])
                if selected[1] == "IKE":
                    self._ike.suite(tag, suite)
                else:
                    self._children.suite(thread, suite)
        elif group == "DMN" and text.startswith("Starting "):
            self._children.finish()
            self._ike.restart()
        elif group == "MGR":
            self._ike.text(tag, text)
        else:
            self._children.text(thread, group, text)

    def _tell_broken(self) -> None:
        for label, line in self._dumps.broken:
            if _NEEDED.match(label):
                self._sink.tell("a dump of a key breaks off", line)
        self._dumps.broken.clear()
