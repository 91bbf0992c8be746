"""Pre-shared keys of `swanctl.conf` and `ipsec.secrets`: what people have when no daemon printed keys.

swanctl.conf: sections "ike…" and "ppk…" within "secrets". ipsec.secrets (strongSwan, libreswan, Openswan): lines like
`selectors : PSK "secret"`. A secret is text in quotes, or hexadecimal behind 0x, or base64 behind 0s.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from ipsecanalyze.crypto.material import Psk
from ipsecanalyze.keys.reader import Sink, from_hex

__all__ = ["IpsecSecretsReader", "SwanctlReader", "recognises_ipsec_secrets", "recognises_swanctl"]

_SECTION: Final = re.compile(r"\s*secrets\s*\{")
#: A word takes all of itself whatever follows, so that a long one is not tried again from each of its letters.
_TOKEN: Final = re.compile(r'#.*|\}|([\w.:%-]+)(?:\s*(\{)|\s*=\s*("(?:[^"\\]|\\.)*"|[^\s"{}#][^"{}#]*))?')
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_PSK_MARK: Final = re.compile(r"(?:^|\s):\s*(PSK|PPKS?|PPK_STATIC)\s+")
_WORD: Final = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')


def recognises_swanctl(line: str) -> bool:
    """Whether the section with secrets starts here."""
    return "secrets" in line and _SECTION.match(line) is not None


def recognises_ipsec_secrets(line: str) -> bool:
    """Whether the line has a PSK or a PPK."""
    if "PSK" not in line and "PPK" not in line:
        return False
    return not line.lstrip().startswith("#") and _PSK_MARK.search(line, 0, 1000) is not None


class SwanctlReader:
    """Reads the section "secrets"."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sections: list[str] = []
        self._values: dict[str, str] = {}
        self._line = 0

    def feed(self, line: str) -> bool:
        """Take a line; what is outside the section does not belong."""
        if not self._sections and not recognises_swanctl(line):
            return False
        for token in _TOKEN.finditer(line):
            if token[0] == "}":
                if len(self._sections) == 2:
                    self._keep()
                if self._sections:
                    self._sections.pop()
                if not self._sections:
                    break
            elif token[2] is not None:
                if len(self._sections) < 16:
                    self._sections.append(token[1])
                if len(self._sections) == 2:
                    self._values, self._line = {}, self._sink.line
            elif token[3] is not None and len(self._sections) == 2:
                self._values[token[1]] = token[3].strip()
        return True

    def finish(self) -> None:
        """A section that is not closed counts too."""
        if len(self._sections) >= 2:
            self._keep()
        self._sections = []

    def _keep(self) -> None:
        kind = re.match(r"[a-z]*", self._sections[1])
        values, self._values = self._values, {}
        if kind is None or kind[0] not in ("ike", "ppk") or "secret" not in values:
            return  # EAP, XAuth, passphrases of private keys: nothing is opened by them
        identities = tuple(_unquoted(value) for name, value in values.items() if name.startswith("id"))
        try:
            secret = _secret(values["secret"])
        except ValueError as error:
            self._sink.tell(f"a pre-shared key is left out: {error}", self._line)
            return
        self._sink.add(Psk(secret, identities, kind[0] == "ppk", origin=self._sink.origin(self._line)))


class IpsecSecretsReader:
    """Reads a line at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def feed(self, line: str) -> bool:
        """Take a line."""
        if not recognises_ipsec_secrets(line):
            return line.lstrip().startswith("#")
        mark = _PSK_MARK.search(line)
        if mark is None:
            return False
        selectors = tuple(_words(line[: mark.start()]))
        words = _WORD.findall(line[mark.end() :])
        is_ppk = mark[1].upper() != "PSK"
        if is_ppk and len(words) > 1:
            # libreswan: the PPK's ID, then the PPK.
            selectors = (*selectors, "".join(words[0]))
            words = words[1:]
        try:
            if not words:
                raise ValueError("there is none")  # noqa: TRY301
            double, single, bare = words[0]
            text = bare or double or single
            secret = _secret(text) if bare else text.encode("utf-8", "surrogateescape")
        except ValueError as error:
            self._sink.tell(f"a pre-shared key is left out: {error}")
            return True
        if secret:
            self._sink.add(Psk(secret, tuple(name for name in selectors if name not in ("%any", "%any6")), is_ppk))
        return True

    def finish(self) -> None:
        """Nothing is pending."""


def _words(text: str) -> list[str]:
    return ["".join(word) for word in _WORD.findall(text)]


def _secret(text: str) -> bytes:
    """The octets of a secret as swanctl.conf has it. Raises ValueError without the secret."""
    if text.startswith('"'):
        text = _unquoted(text)
    if text[:2] == "0x":
        return from_hex(text)
    if text[:2] == "0s":
        try:
            return base64.b64decode(text[2:], validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("not base64") from None
    return text.encode("utf-8", "surrogateescape")


def _unquoted(text: str) -> str:
    if len(text) < 2 or text[0] != '"':
        return text
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])
