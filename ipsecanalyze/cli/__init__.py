"""The command `ipsecanalyze`: its entry point, which imports nothing that the words given do not need.

`--version` is answered here, before click is loaded. Everything else is in `run.py` and one file per command.
"""

from __future__ import annotations

import sys

__all__ = ["main", "version_text"]


def version_text() -> str:
    """The version, which core runs, and why that one."""
    from ipsecanalyze._fast import IMPLEMENTATION, WHY
    from ipsecanalyze._version import __version__

    return f"ipsecanalyze {__version__} ({IMPLEMENTATION} core: {WHY})"


def main(arguments: list[str] | None = None) -> int:
    """Run the command with these words (by default those of the process); returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words == ["--version"]:
        sys.stdout.write(version_text() + "\n")
        return 0
    try:
        from ipsecanalyze.cli.run import run
    except KeyboardInterrupt:  # Ctrl-C while it is being loaded
        sys.stderr.write("ipsecanalyze: interrupted\n")
        return 130

    return run(words)
