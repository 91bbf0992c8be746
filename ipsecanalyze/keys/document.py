"""The project's own JSON for keys: everything that a ring holds, nothing lost. Schema: `ipsecanalyze/keys.schema.json`.

{"schema": "ipsecanalyze.keys/1", "esp": […], "ike": […], "shared_secrets": […], "psks": […]}. Octets are hexadecimal;
SPIs have 8 or 16 digits; what is not known is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys.reader import Sink, from_hex
from ipsecanalyze.keys.ring import Key, KeyRing
from ipsecanalyze.keys.suites import CIPHERS, split_salt

__all__ = ["SCHEMA", "DocumentReader", "document", "recognises", "write_json"]

SCHEMA: Final = "ipsecanalyze.keys/1"
#: The whole document is read at once.
_MAX_CHARACTERS: Final = 64 << 20

_KINDS: Final[dict[str, tuple[type[Key], int]]] = {
    "esp": (EspKeys, 8),
    "ike": (IkeKeys, 16),
    "shared_secrets": (SharedSecret, 16),
    "psks": (Psk, 0),
}
_OCTETS: Final = frozenset(
    [
        "encryption_key",
        "salt",
        "integrity_key",
        "value",
        "skeyid",
        "skeyid_e",
        "sk_d",
        "sk_ai",
        "sk_ar",
        "sk_ei",
        "sk_er",
        "sk_pi",
        "sk_pr",
    ]
)
_SPIS: Final = frozenset(("spi", "spi_i", "spi_r"))


def document(ring: KeyRing) -> dict[str, Any]:
    """The ring as a JSON document, with all its secrets."""
    return {
        "schema": SCHEMA,
        "esp": [_entry(keys, 8) for keys in ring.esp],
        "ike": [_entry(keys, 16) for keys in ring.ike],
        "shared_secrets": [_entry(secret, 16) for secret in ring.shared_secrets],
        "psks": [_entry(psk, 0) for psk in ring.psks],
    }


def write_json(ring: KeyRing) -> str:
    """The document as text."""
    return json.dumps(document(ring), indent=1) + "\n"


def recognises(line: str) -> bool:
    """Whether a JSON object may start here."""
    return line.startswith("{")


class DocumentReader:
    """Collects the whole file, and reads it at the end."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lines: list[str] = []
        self._size = 0
        self._first = sink.line

    def feed(self, line: str) -> bool:
        """Take a line: everything to the end of the file belongs to the document."""
        self._size += len(line) + 1
        if self._size <= _MAX_CHARACTERS:
            self._lines.append(line)
        return True

    def finish(self) -> None:
        """Read the document."""
        lines, self._lines = self._lines, []
        if self._size > _MAX_CHARACTERS:
            self._sink.tell(f"a JSON document of more than {_MAX_CHARACTERS >> 20} MiB is not read", self._first)
            return
        try:
            found = json.loads("\n".join(lines))
        except ValueError as error:
            # The message of a JSONDecodeError has places, not content.
            line = getattr(error, "lineno", 1) + self._first - 1
            self._sink.tell_foreign(f"not JSON: {getattr(error, 'msg', 'a number is too long')}", line)
            return
        except RecursionError:
            self._sink.tell_foreign("not a document of keys: it is nested too deeply", self._first)
            return
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            self._sink.tell_foreign(f'JSON, but not a document of keys: "schema" is not "{SCHEMA}"', self._first)
            return
        for where, key in _read(found, self._problem):
            self._sink.add(key if key.origin else replace(key, origin=f"{self._sink.path}: {where}"))

    def _problem(self, where: str, what: str) -> None:
        self._sink.tell(f"{where} is left out: {what}", self._first)


def _entry(key: Key, digits: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for item in fields(key):
        value = getattr(key, item.name)
        if value == item.default or value is None:
            continue
        if isinstance(value, bytes):
            value = value.hex()
        elif item.name in _SPIS:
            value = f"{value:0{digits}x}"
        elif isinstance(value, tuple):
            value = list(value)
        result[item.name] = value
    return result


def _read(found: Mapping[str, Any], problem: Callable[[str, str], None]) -> Iterator[tuple[str, Key]]:
    for name, (kind, digits) in _KINDS.items():
        entries = found.get(name, [])
        if not isinstance(entries, list):
            problem(name, "it is not a list")
            continue
        for number, entry in enumerate(entries):
            where = f"{name}[{number}]"
            try:
                yield where, _key(kind, digits, entry)
            except ValueError as error:
                problem(where, str(error))


def _key(kind: type[Key], digits: int, entry: Any) -> Key:
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")  # noqa: TRY004
    values = {}
    for item in fields(kind):
        if item.name in entry:
            values[item.name] = _value(item.name, str(item.type), entry[item.name], digits)
    if kind in (SharedSecret, Psk) and not values.get("value"):
        raise ValueError('it has no "value"')
    key = kind(**values)
    if isinstance(key, EspKeys):
        if key.protocol not in ("ESP", "AH"):
            raise ValueError('"protocol" is neither "ESP" nor "AH"')
        if key.protocol == "ESP" and key.encryption in CIPHERS:
            encryption_key, salt = split_salt(key.encryption, key.encryption_key + key.salt)
            key = replace(key, encryption_key=encryption_key, salt=salt)
    return key


def _value(name: str, kind: str, value: Any, digits: int) -> Any:
    """A value of the document as the dataclass has it. Raises ValueError without the value."""
    if name in _OCTETS:
        if isinstance(value, str):
            return from_hex(value)
    elif name in _SPIS:
        if isinstance(value, str) and len(value.removeprefix("0x")) <= digits:
            return int.from_bytes(from_hex(value.removeprefix("0x").zfill(digits)))
    elif name == "identities":
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
    elif value is None and "None" in kind:
        return None
    elif isinstance(value, bool):
        if "bool" in kind:
            return value
    elif isinstance(value, int):
        if "int" in kind and 0 <= value < 1 << 32:
            return value
    elif isinstance(value, str) and "str" in kind:
        return value
    raise ValueError(f'"{name}" is not what it should be')
