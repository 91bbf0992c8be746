"""Each command is documented, and what is generated is up to date."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from ipsecanalyze.cli.group import COMMANDS, ipsecanalyze

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_documented(name: str) -> None:
    page = (ROOT / "docs" / "command.md").read_text("utf-8")
    assert f"\n## {name}\n" in page
    assert f"Usage: ipsecanalyze {name} " in page
    command = import_module(f"ipsecanalyze.cli.{COMMANDS[name][0]}").command
    for part in command.commands if isinstance(command, click.Group) else ():
        assert f"Usage: ipsecanalyze {name} {part} " in page


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_keeps_the_conventions(name: str) -> None:
    module, summary = COMMANDS[name]
    command = import_module(f"ipsecanalyze.cli.{module}").command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert summary.endswith(".")
    help_text = command.get_help(click.Context(command, parent=click.Context(ipsecanalyze), info_name=name))
    assert "Examples:" in help_text
    if isinstance(command, click.Group):  # of commands that read no captures
        assert all("Examples:" in (part.epilog or "") for part in command.commands.values())
        return
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--format", "--output", "--quiet", "captures"} <= options


def test_generated_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
