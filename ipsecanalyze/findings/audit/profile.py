"""Profiles: what a standard allows, as dated data (`profiles/NAME.toml`), each cell with its clause.

A cell is found by a table ("ike.encryption", "key-exchange" …) and the registry's name of an algorithm, first with its
key length ("ENCR_AES_CBC/128"), then without. A table may say what holds for everything that it does not list. Nothing
here looks at packets; what a status means for the severity of a finding is in `verdict.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from ipsecanalyze.errors import UsageError

__all__ = ["TABLES", "Cell", "Limit", "Profile", "Status", "load_profile", "profile_names"]

_NAMES = ("rfc", "nist-800-77r1", "bsi-tr-02102-3", "cnsa-2.0")
#: The tables that a profile may have.
TABLES = (
    "version",
    "ike.encryption",
    "ike.prf",
    "ike.integrity",
    "key-exchange",
    "esp.encryption",
    "esp.integrity",
    "authentication",
    "signature-hash",
    "requirements",
)


class Status(StrEnum):
    """How a standard stands to something, from wanted to forbidden."""

    MUST = "must"
    MUST_MINUS = "must-"
    """Wanted still, and expected to be wanted less (RFC 8247 §1.1)."""
    SHOULD_PLUS = "should+"
    SHOULD = "should"
    MAY = "may"
    AGING = "aging"
    """Allowed, and on its way out."""
    SHOULD_NOT = "should-not"
    MUST_NOT = "must-not"
    NOT_MENTIONED = "not-mentioned"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a standard says of one thing."""

    status: Status = Status.NOT_MENTIONED
    clause: str = ""
    until: int | None = None
    """The last year that `status` holds for; then it is `after`."""
    after: Status = Status.SHOULD_NOT
    note: str = ""
    """What else the standard says of it, as a clause of a sentence."""
    is_listed: bool = True
    """Whether it has a row of its own; False where only the table as a whole says something."""


_NOTHING = Cell(is_listed=False)


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that must not be exceeded, or fallen short of."""

    value: int
    clause: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What a standard says of versions, algorithms and lifetimes."""

    name: str
    title: str = ""
    date: str = ""
    """Year and month of the youngest text that it is made of."""
    edition: str = ""
    """Which texts, of which date."""
    left_out: str = ""
    """What the data does not have of it."""
    tables: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
    others: Mapping[str, Cell] = field(default_factory=dict)
    """By table: what holds for what it does not list."""
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """"ike-seconds", "child-seconds": longest lifetimes; "rsa-bits": the shortest modulus."""

    def cell(self, table: str, name: str, bits: int | None = None, year: int | None = None) -> Cell:
        """What it says of an algorithm; with `year`, what it says for that year."""
        rows = self.tables.get(table, {})
        found = rows.get(f"{name}/{bits}") if bits is not None else None
        found = found or rows.get(name) or self.others.get(table) or _NOTHING
        if year is not None and found.until is not None and year > found.until:
            return replace(found, status=found.after)
        return found

    def wanted(self, table: str, year: int, most: int = 4) -> list[str]:
        """What it wants or allows, the most wanted first; empty where it says nothing."""
        order = (Status.MUST, Status.SHOULD_PLUS, Status.SHOULD, Status.MAY)
        names = dict.fromkeys(row.partition("/")[0] for row in self.tables.get(table, {}))
        cells = [(self.cell(table, name, year=year).status, name) for name in names]
        bits = {row.partition("/")[0] for row in self.tables.get(table, {}) if row.endswith("/256")}
        cells += [(self.cell(table, name, 256, year).status, f"{name} with 256 bits") for name in sorted(bits)]
        ranked = sorted((order.index(status), name) for status, name in cells if status in order and "NULL" not in name)
        return [name for _, name in ranked[:most]]


def profile_names() -> tuple[str, ...]:
    """The profiles there are, the default one first."""
    return _NAMES


@cache
def load_profile(name: str = "rfc") -> Profile:
    """A profile by its name. Raises UsageError where there is none of it."""
    if name not in _NAMES:
        raise UsageError(f"there is no profile {name!r}; there are {', '.join(_NAMES)}")
    source = files("ipsecanalyze.findings.audit") / "profiles" / f"{name}.toml"
    data = tomllib.loads(source.read_text(encoding="utf-8"))
    tables, others = {}, {}
    for table in TABLES:
        rows = dict(_table(data, table))
        rest = rows.pop("others", None)
        tables[table] = {row: _cell(values) for row, values in rows.items()}
        if rest is not None:
            others[table] = replace(_cell(rest), is_listed=False)
    limits = {key: Limit(int(value), str(clause)) for key, (value, clause) in data.get("limits", {}).items()}
    head = (data["title"], data["date"], data["edition"], data["left-out"].strip())
    return Profile(name, *head, tables, others, limits)


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for part in name.split("."):
        data = data.get(part, {})
    return data


def _cell(values: list[Any] | Mapping[str, Any]) -> Cell:
    """`["must", "RFC 8247 §2.1"]`, or a table with the fields of `Cell`."""
    if isinstance(values, list):
        status, clause = values
        return Cell(Status(status), clause)
    after = Status(values.get("after", Status.SHOULD_NOT))
    return Cell(Status(values["status"]), values["clause"], values.get("until"), after, values.get("note", ""))
