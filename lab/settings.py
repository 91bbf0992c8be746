"""What a gateway is configured to do: IKE, its Child SA, authentication. `gateway.py` makes configurations of it.

Every gateway of a scenario has these settings, with what `[differs.NAME]` says laid over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import LabError
from .table import Table

__all__ = ["AUTHENTICATIONS", "Authentication", "Child", "Ike", "Settings", "overlaid", "read_settings"]

AUTHENTICATIONS = ("psk", "rsa", "ecdsa", "eap")
MODES = ("tunnel", "transport")


@dataclass(frozen=True, slots=True)
class Ike:
    """The IKE SA."""

    version: int
    proposals: tuple[str, ...]
    """In strongSwan's words: "aes256-sha256-modp2048"."""
    aggressive: bool
    rekey_seconds: int
    """0: never."""
    dpd_seconds: int
    """0: the peer is not asked whether it lives."""
    fragmentation: bool
    fragment_size: int
    """Octets of an IP packet above which IKE messages are sent in fragments (RFC 7383)."""
    retransmit_seconds: float
    """How long charon waits for an answer before it sends again."""
    retransmit_tries: int


@dataclass(frozen=True, slots=True)
class Child:
    """The Child SA."""

    protocol: str
    """"esp" or "ah"."""
    proposals: tuple[str, ...]
    mode: str
    rekey_seconds: int
    selectors: tuple[str, ...]
    """What it takes for its own side instead of its LANs; empty: its LANs."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How the sides prove who they are."""

    kind: str
    """"eap": the initiator by EAP-MSCHAPv2, the responder by an RSA certificate."""
    secret: str
    """The *name* of the pre-shared key. Equal names are equal keys; the keys themselves are fresh in every run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of one gateway."""

    ike: Ike
    child: Child
    authentication: Authentication


def read_settings(values: Mapping[str, Any], where: str) -> Settings:
    """From the tables `ike`, `child` and `authentication` of a scenario. Raises LabError."""
    table = Table({key: values[key] for key in ("ike", "child", "authentication") if key in values}, where)
    settings = Settings(_ike(table.table("ike")), _child(table.table("child")), _auth(table.table("authentication")))
    table.end()
    return settings


def overlaid(values: Mapping[str, Any], differs: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `differs` laid over it, table by table."""
    result = dict(values)
    for key, value in differs.items():
        below = result.get(key)
        result[key] = overlaid(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _ike(table: Table) -> Ike:
    version = table.integer("version", 2)
    if version not in (1, 2):
        raise LabError(f"{table.where}: version is 1 or 2", slug="scenario")
    ike = Ike(
        version=version,
        proposals=table.texts("proposals", ("aes256-sha256-modp2048",)),
        aggressive=table.truth("aggressive", default=False),
        rekey_seconds=table.integer("rekey_seconds", 0),
        dpd_seconds=table.integer("dpd_seconds", 0),
        fragmentation=table.truth("fragmentation", default=True),
        fragment_size=table.integer("fragment_size", 1280),
        retransmit_seconds=table.number("retransmit_seconds", 2.0),
        retransmit_tries=table.integer("retransmit_tries", 4),
    )
    table.end()
    return ike


def _child(table: Table) -> Child:
    child = Child(
        protocol=table.one_of("protocol", ("esp", "ah"), "esp"),
        proposals=table.texts("proposals", ("aes128-sha256",)),
        mode=table.one_of("mode", MODES, "tunnel"),
        rekey_seconds=table.integer("rekey_seconds", 0),
        selectors=table.texts("selectors", ()),
    )
    table.end()
    return child


def _auth(table: Table) -> Authentication:
    authentication = Authentication(table.one_of("kind", AUTHENTICATIONS, "psk"), table.text("secret", "shared"))
    table.end()
    return authentication
