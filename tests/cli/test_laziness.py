"""What is loaded for which words: starting must stay cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("rich", "cryptography", "dpkt", "pandas", "matplotlib", "scapy", "jinja2", "ipsecanalyze.ike.message")


def loaded(words: list[str]) -> set[str]:
    """The modules in memory after the command ran."""
    program = (
        "import sys\nfrom ipsecanalyze.cli import main\n"
        f"code = main({words!r})\nsys.stderr.write(' '.join(sys.modules))\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_version_loads_next_to_nothing() -> None:
    modules = loaded(["--version"])
    assert not {*HEAVY, "click", "ipsecanalyze._fast.python", "dataclasses"} & modules


@pytest.mark.parametrize("words", [["--help"], ["summarize", "--help"], ["flows", "--help"], ["messages", "--help"]])
def test_help_loads_no_library(words: list[str]) -> None:
    assert not set(HEAVY) & loaded(words)


def test_version_says_which_core_and_why() -> None:
    done = subprocess.run([sys.executable, "-m", "ipsecanalyze", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("ipsecanalyze 0.")
    assert "core: " in done.stdout
