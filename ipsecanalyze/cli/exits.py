"""How the command ends: its exit codes, and the line that says why.

0 done; 1 findings (commands that judge); 2 wrong usage, or output that cannot be written; 3 a capture or a file of
keys that cannot be read; 129, 130, 143 ended by SIGHUP, Ctrl-C, SIGTERM; 141 the reader of the output
went away.
"""

from __future__ import annotations

import sys

from ipsecanalyze.report.text import terminal

__all__ = ["BROKEN_PIPE", "DONE", "FINDINGS", "INTERRUPTED", "UNREADABLE", "USAGE", "complain"]

DONE = 0
FINDINGS = 1
USAGE = 2
UNREADABLE = 3
INTERRUPTED = 130
BROKEN_PIPE = 141


def complain(message: object) -> None:
    """Write one line to standard error; file names in it may be anybody's."""
    if sys.stderr is None:  # closed (`2>&-`): the exit code has to do
        return
    sys.stderr.write(f"ipsecanalyze: {terminal(message)}\n")
