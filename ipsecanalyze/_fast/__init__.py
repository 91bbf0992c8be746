"""The hot path: from the octets of a capture to flows and datagrams. Here it is chosen which core runs, C or Python.

Both give the same. C is taken where it was built, unless the environment says `IPSECANALYZE_PURE=1`;
`IPSECANALYZE_PURE=0` insists on it. Light to import: `--version` asks only for `IMPLEMENTATION` and `WHY`.
"""

from __future__ import annotations

import os

# What type checkers take for true; importing typing would cost a third of `--version`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipsecanalyze._fast.contract import Scanner, ScanOptions
    from ipsecanalyze.esp.flow import FlowTable

__all__ = ["IMPLEMENTATION", "WHY", "make_flow_table", "make_scanner"]


def _choose() -> tuple[str, str]:
    wish = os.environ.get("IPSECANALYZE_PURE", "")
    if wish not in ("", "0"):
        return "python", f"the environment says IPSECANALYZE_PURE={wish}"
    try:
        from ipsecanalyze._fast import _core as _core
    except ImportError as error:
        if wish == "0":
            raise ImportError(
                "IPSECANALYZE_PURE=0 asks for the C core, which is not there: install with a C compiler at hand, "
                f"or unset the variable ({error})"
            ) from error
        return "python", "the C core was not built"
    return "c", "the C core was built"


IMPLEMENTATION, WHY = _choose()
"""Which core runs, "c" or "python"; and why that one, in words."""


def make_flow_table(flows: int, gaps: int, *, core: str = "") -> FlowTable:
    """An empty table for scanners of the core that runs (or of `core`): at most so many flows, and gaps in each."""
    if (core or IMPLEMENTATION) == "c":
        from ipsecanalyze._fast.native_flows import NativeFlowTable

        return NativeFlowTable(flows, gaps)
    from ipsecanalyze.esp.flow import FlowTable

    return FlowTable(flows, gaps)


def make_scanner(
    options: ScanOptions | None = None,
    *,
    path: str = "-",
    flows: FlowTable | None = None,
    capture: int = 0,
    core: str = "",
) -> Scanner:
    """A scanner for one capture named `path`, of the core that runs (or of `core`, "c" or "python").

    `flows` (by `make_flow_table`) takes what it sees of ESP and AH, so that several captures can share a table;
    `capture` is the index of this one among them.
    """
    if (core or IMPLEMENTATION) == "c":
        from ipsecanalyze._fast.native import NativeScanner

        return NativeScanner(options, path=path, flows=flows, capture=capture)
    from ipsecanalyze._fast.python import PythonScanner

    return PythonScanner(options, path=path, flows=flows, capture=capture)
