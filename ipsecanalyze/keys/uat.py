"""Lines of Wireshark's tables ("UAT" files): fields between commas, quoted where they are text.

People edit these files, so blanks, missing quotes and comments are taken as they come.
"""

from __future__ import annotations

import re
from typing import Final

from ipsecanalyze.keys.reader import from_hex

__all__ = ["fields", "plain", "quoted", "spi_of"]

_PIECE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|,|[^,"]+|"')
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")


def fields(line: str) -> list[str]:
    """The fields of a line. Raises ValueError where quotes do not match."""
    found: list[str] = [""]
    for piece in _PIECE.finditer(line):
        if piece[0] == ",":
            found.append("")
        elif piece[0] == '"':
            raise ValueError("the quotes do not match")
        elif piece[1] is not None:
            found[-1] += _unescape(piece[1])
        else:
            found[-1] += piece[0].strip()
    return found


def quoted(text: str) -> str:
    """A field as Wireshark writes it."""
    return '"' + "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\x{ord(c) & 0xFF:02x}" for c in text) + '"'


def plain(name: str) -> str:
    """A name of an algorithm for comparison: without case, blanks and the RFC in brackets."""
    return re.sub(r"\[[^\]]*\]|[\s_]", "", name.lower()).replace("hmac-sha-1-", "hmac-sha1-")


def spi_of(text: str, octets: int) -> int | None:
    """An SPI: hexadecimal with or without 0x; None for a wildcard. Raises ValueError."""
    if text.strip() in ("", "*"):
        return None
    value = from_hex(text if len(text) % 2 == 0 else text.replace("0x", "0x0", 1) if "0x" in text else "0" + text)
    if len(value) > octets:
        raise ValueError(f"an SPI has at most {octets} octets")
    return int.from_bytes(value)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else match[2], text)
