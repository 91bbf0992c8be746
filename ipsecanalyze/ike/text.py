"""Text that strangers wrote, made safe to print: the one place of `ike/` where their octets become characters.

Identities, vendor IDs and notify data are an attacker's. Whatever leaves this module holds no control character,
no bidirectional override, nothing invisible and no lone surrogate; a backslash of theirs is doubled, so an escape
cannot be faked. Quoting for HTML, CSV or Markdown is the reports' job.
"""

from __future__ import annotations

import unicodedata

__all__ = ["escape", "escape_or_hex", "hex_text", "measured"]

#: Categories that a terminal may act on or that cannot be seen: controls (C0, C1), formats (bidi, zero width, tags),
#: surrogates, private use, unassigned, and line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: Letters and marks that print as blank, though their category is harmless (Hangul fillers, braille blank …).
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f")
#: Longer text is cut: one identity may be 64 KiB long, a line of a report is not.
_LONGEST = 512


def _escape_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isascii():
        return character if character.isprintable() else f"\\x{ord(character):02x}"
    category = unicodedata.category(character)
    # Any space but the ordinary one, and a combining mark heap, can misalign or hide what follows.
    if category in _UNSAFE or category == "Zs" or character in _BLANK:
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def escape(text: str | bytes, longest: int = _LONGEST) -> str:
    r"""The text with everything escaped that could act on a terminal or hide; octets are read as UTF-8.

    Octets that are not UTF-8 come out as `\xNN`. Text of more than `longest` characters is cut and says so.
    """
    if isinstance(text, bytes):
        # A character is at most four octets: what is cut here could not have been shown.
        decoded = text[: 4 * longest + 4].decode("utf-8", "surrogateescape")
        total = len(text)
    else:
        decoded = text
        total = len(text)
    shown = decoded[:longest]
    if shown.isascii() and shown.isprintable() and "\\" not in shown:
        result = shown
    else:
        result = "".join(
            f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else _escape_character(c) for c in shown
        )
    if len(decoded) > longest:
        unit = "octets" if isinstance(text, bytes) else "characters"
        result += f"… ({total} {unit})"
    return result


def hex_text(data: bytes, longest: int = 64) -> str:
    """Lower-case hex digits; beyond `longest` octets the text is cut and tells the length."""
    if len(data) <= longest:
        return data.hex()
    return f"{data[:longest].hex()}… ({len(data)} octets)"


def measured(data: bytes, longest: int = 64) -> str:
    """The number of octets, then their hex digits, of which only the first ones are shown: "256 octets: 1764c2…"."""
    return f"{len(data)} octets: {data[:longest].hex()}{'…' if len(data) > longest else ''}"


def escape_or_hex(data: bytes) -> str:
    """Printable ASCII as quoted text, everything else as hex digits."""
    if data and data.isascii() and all(0x20 <= octet < 0x7F for octet in data):
        return f'"{escape(data)}"'
    return hex_text(data)
