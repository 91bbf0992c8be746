"""What must be seen for a scenario to have proved itself: typed, read from `[expect]`, checked in `verdict.py`."""

from __future__ import annotations

from dataclasses import dataclass

from ipsecanalyze.findings.catalog import is_audit, slugs

from .errors import LabError
from .table import Table

__all__ = ["PROOFS", "Expectations", "read_expectations"]

#: "lan": the decrypted WAN side equals the LAN side packet for packet. "open": every ESP or AH packet opens, and
#: nothing is behind the gateway to compare with. "none": there is no ESP, the failure is the result.
PROOFS = ("lan", "open", "none")


@dataclass(frozen=True, slots=True)
class Expectations:
    """Each is checked only where the scenario names it."""

    proof: str
    version: str
    """"1.0" or "2.0"."""
    state: str
    """Of every IKE SA, as `IkeSa.state` has it; several, separated by "|"."""
    mode: str
    """IKEv1: "main" or "aggressive"."""
    ike_sas: int
    """How many, rekeyed ones included; at least."""
    child_sas: int
    chosen: tuple[str, ...]
    """Names among the IKE SA's algorithms."""
    child_chosen: tuple[str, ...]
    exchanges: tuple[str, ...]
    notifies: tuple[str, ...]
    authentication: tuple[str, ...]
    """Of initiator and responder, as `IkeSa` has it."""
    encapsulation: str
    nat_behind: str
    """"initiator" or "responder"."""
    retransmissions: int
    """At least so many."""
    lost: int
    """Of all flows, at least so many."""
    reordered: int
    duplicates: int
    log: tuple[str, ...]
    """Regular expressions, each of which some gateway's log must have."""
    diagnosis: tuple[str, ...]
    """Slugs of findings that must be there; others may be only where they are of low severity."""


def read_expectations(table: Table) -> Expectations:
    """From `[expect]`. Raises LabError."""
    expectations = Expectations(
        proof=table.one_of("proof", PROOFS, "lan"),
        version=table.text("version", ""),
        state=table.text("state", ""),
        mode=table.text("mode", ""),
        ike_sas=table.integer("ike_sas", 1),
        child_sas=table.integer("child_sas", 0),
        chosen=table.texts("chosen", ()),
        child_chosen=table.texts("child_chosen", ()),
        exchanges=table.texts("exchanges", ()),
        notifies=table.texts("notifies", ()),
        authentication=table.texts("authentication", ()),
        encapsulation=table.text("encapsulation", ""),
        nat_behind=table.text("nat_behind", ""),
        retransmissions=table.integer("retransmissions", 0),
        lost=table.integer("lost", 0),
        reordered=table.integer("reordered", 0),
        duplicates=table.integer("duplicates", 0),
        log=table.patterns("log", ()),
        diagnosis=table.texts("diagnosis", ()),
    )
    table.end()
    for slug in expectations.diagnosis:
        if slug not in slugs() or is_audit(slug):
            raise LabError(f"{table.where}: diagnosis knows no {slug!r} (docs/findings.md)", slug="scenario")
    return expectations
