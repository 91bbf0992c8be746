"""What newcomers and packagers rely on: the README's two commands, the licence, what importing costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def commands() -> list[str]:
    """The README's commands as .ci/run finds them."""
    lines = (ROOT / "README.md").read_text().splitlines()
    return [line.strip() for line in lines if line.lstrip().startswith("python3 -m venv ")]


def test_two_commands(commands):
    assert len(commands) == 2
    user, developer = commands
    assert "pip install ." in user
    assert developer.endswith("pytest")


def test_the_first_command_names_a_shipped_capture(commands):
    paths = [word for word in commands[0].split() if word.startswith("tests/captures/")]
    assert paths
    assert all((ROOT / path).is_file() for path in paths)


def test_licence():
    text = (ROOT / "LICENSE").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_importing_is_cheap():
    """No heavy module is loaded before it is needed."""
    code = "import ipsecanalyze, sys; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"cryptography", "rich", "click", "dpkt", "scapy", "pandas", "matplotlib", "jinja2", "docker", "numpy"}
    assert heavy.isdisjoint(loaded)


def test_captures_stay_small():
    """The repository is cloned by people: all captures together stay under 9 MB."""
    assert sum(path.stat().st_size for path in (ROOT / "tests" / "captures").glob("*/wan*")) < 9_000_000
