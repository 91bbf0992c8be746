"""The hot path: from the octets of a capture to flows and datagrams. Here it is chosen which implementation runs.

Light to import: `--version` asks only for `IMPLEMENTATION` and `WHY`.
"""

from __future__ import annotations

# What type checkers take for true; importing typing would cost a third of `--version`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipsecanalyze._fast.contract import Scanner, ScanOptions
    from ipsecanalyze.esp.flow import FlowTable

__all__ = ["IMPLEMENTATION", "WHY", "make_scanner"]

IMPLEMENTATION = "python"
"""Which core runs."""
WHY = "this version has no other"
"""Why that one, in words."""


def make_scanner(
    options: ScanOptions | None = None, *, path: str = "-", flows: FlowTable | None = None, capture: int = 0
) -> Scanner:
    """A scanner for one capture named `path`.

    `flows` takes what it sees of ESP and AH, so that several captures can share a table; `capture` is the index of
    this one among them.
    """
    from ipsecanalyze._fast.python import PythonScanner

    return PythonScanner(options, path=path, flows=flows, capture=capture)
