"""What every reader of a key format is, and where it puts what it found.

A reader gets lines one by one and says of each whether it belonged to its format. It never fails: what it cannot read
it tells, and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ipsecanalyze.keys.ring import Key, KeyRing

__all__ = ["Reader", "Sink", "from_hex", "shown"]


class Reader(Protocol):
    """Reads one format, line by line."""

    def feed(self, line: str) -> bool:
        """Take a line (without its end); whether it belonged to the format."""

    def finish(self) -> None:
        """The file is at its end."""


class Sink:
    """Hangs what a reader finds on the ring; knows the file, and the line that is being read."""

    def __init__(
        self, ring: KeyRing, path: str, include: Callable[[str], None] | None = None, *, in_folder: bool = False
    ) -> None:
        self.ring = ring
        self.path = path
        self.line = 1
        self.found = 0
        """How many keys the file gave, known ones too."""
        self.told = 0
        """How many problems it had."""
        self._include = include
        self._in_folder = in_folder

    def origin(self, line: int | None = None) -> str:
        """File and line, for people."""
        return f"{self.path}:{self.line if line is None else line}"

    def add(self, key: Key) -> None:
        """Keep a key, its origin being the present line where it says none."""
        if not key.origin:
            key = replace(key, origin=self.origin())
        self.found += 1
        self.ring.add(key)

    def tell(self, what: str, line: int | None = None) -> None:
        """Note what could not be read; never with a secret."""
        self.told += 1
        self.ring.tell(self.path, self.line if line is None else line, what)

    def tell_foreign(self, what: str, line: int | None = None) -> None:
        """Note that the file is something else; in a folder that is nothing to tell."""
        if not self._in_folder:
            self.tell(what, line)

    def include(self, name: str) -> None:
        """Read another file that this one names."""
        if self._include is None:
            self.tell("another file is named here, which is not read")
        else:
            self._include(name)


def from_hex(text: str) -> bytes:
    """Octets of hexadecimal digits, with or without 0x and blanks. Raises ValueError without the text in it."""
    digits = "".join(text.split())
    if digits[:2] in ("0x", "0X"):
        digits = digits[2:]
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError("not hexadecimal octets") from None


def shown(name: str) -> str:
    """A name out of a key file for a message: only what cannot be a key that stands in the wrong place."""
    if re.fullmatch(r"[A-Za-z0-9][\w(),.{}\[\]& -]{0,49}", name) and not re.search(r"[0-9A-Fa-f]{9}", name):
        return name
    return "(not shown)"
