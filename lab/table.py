"""Typed reading of TOML tables: every value is checked, and a key that nobody asked for is an error, not a silence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .errors import LabError

__all__ = ["Table", "read_table"]

_T = TypeVar("_T")


class Table:
    """A TOML table that remembers which of its keys were read; `where` is for messages."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self._values = dict(values)
        self.where = where

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default it must be there."""
        return self._take(key, str, default)

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number that is not negative."""
        value = self._take(key, int, default)
        if isinstance(value, bool) or value < 0:
            raise self._wrong(key, "must be a whole number from 0 on")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Any number that is not negative."""
        value: float = self._take(key, (int, float), default)
        if isinstance(value, bool) or value < 0:
            raise self._wrong(key, "must be a number from 0 on")
        return float(value)

    def truth(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        return self._take(key, bool, default)

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of strings."""
        values = self._take(key, list, None if default is None else list(default))
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, "must be a list of strings")
        return tuple(values)

    def pattern(self, key: str, default: str | None = None) -> str:
        """A regular expression."""
        value = self.text(key, default)
        self._compile(key, value)
        return value

    def patterns(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of regular expressions."""
        values = self.texts(key, default)
        for value in values:
            self._compile(key, value)
        return values

    def one_of(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """A string of a fixed set."""
        value = self.text(key, default)
        if value not in allowed:
            raise self._wrong(key, f"is {value!r}, and must be one of {', '.join(allowed)}")
        return value

    def table(self, key: str) -> Table:
        """A table below this one; an empty one where there is none."""
        return Table(self._take(key, dict, {}), f"{self.where}: {key}")

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The named tables below `key`."""
        for name, value in self._take(key, dict, {}).items():
            if not isinstance(value, dict):
                raise self._wrong(f"{key}.{name}", "must be a table")
            yield name, Table(value, f"{self.where}: {key}.{name}")

    def array(self, key: str) -> list[Table]:
        """The tables of an array (`[[key]]`)."""
        values = self._take(key, list, [])
        if not all(isinstance(value, dict) for value in values):
            raise self._wrong(key, "must be an array of tables")
        return [Table(value, f"{self.where}: {key}[{place}]") for place, value in enumerate(values)]

    def values(self) -> dict[str, Any]:
        """All that was not read yet, as it is; the table is empty then."""
        values, self._values = self._values, {}
        return values

    def has(self, key: str) -> bool:
        """Whether the key is there (and was not read yet)."""
        return key in self._values

    def end(self) -> None:
        """Say that everything that means something was read: what is left over is a mistake."""
        if self._values:
            raise LabError(f"{self.where}: unknown: {', '.join(sorted(self._values))}", slug="scenario")

    def _take(self, key: str, kind: type[_T] | tuple[type, ...], default: _T | None) -> _T:
        if key not in self._values:
            if default is None:
                raise LabError(f"{self.where}: {key} is missing", slug="scenario")
            return default
        value: _T = self._values.pop(key)
        if not isinstance(value, kind):
            names = kind.__name__ if isinstance(kind, type) else "number"
            raise self._wrong(key, f"must be of type {names}")
        return value

    def _compile(self, key: str, value: str) -> None:
        try:
            re.compile(value)
        except re.error as error:
            raise self._wrong(key, f"is no regular expression: {value!r} ({error})") from error

    def _wrong(self, key: str, what: str) -> LabError:
        return LabError(f"{self.where}: {key} {what}", slug="scenario")


def read_table(path: Path) -> dict[str, Any]:
    """The values of a TOML file. Raises LabError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LabError(f"{path}: {error}", slug="scenario") from error
