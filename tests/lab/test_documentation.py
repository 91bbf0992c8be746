"""docs/lab.md knows every scenario, topology and field; the tutorial has the same commands in both languages."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ipsecanalyze.lab import load_scenario, load_topology, scenario_names, topology_names
from ipsecanalyze.lab.expectations import Expectations
from ipsecanalyze.lab.scenario import ACTIONS, Router
from ipsecanalyze.lab.settings import Authentication, Child, Ike

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "lab.md").read_text("utf-8")


@pytest.mark.parametrize("name", scenario_names())
def test_each_scenario_is_documented(name: str) -> None:
    one = load_scenario(name)
    assert f"| `{name}` | {one.title} | `{one.topology.name}` | {one.plane} | {one.expect.proof} |" in PAGE


@pytest.mark.parametrize("name", topology_names())
def test_each_topology_is_documented(name: str) -> None:
    assert f"| `{name}` | {load_topology(name).picture} |" in PAGE


def test_each_field_is_documented() -> None:
    for table, kind in (("ike", Ike), ("child", Child), ("authentication", Authentication), ("router", Router)):
        rows = " ".join(line for line in PAGE.splitlines() if line.startswith(f"| `[{table}]`"))
        assert all(f"`{one.name}`" in rows for one in fields(kind)), table
    rows = " ".join(line for line in PAGE.splitlines() if line.startswith("| `[expect]`"))
    assert all(f"`{one.name}`" in rows for one in fields(Expectations))
    assert all(f"`{action}`" in PAGE for action in ACTIONS)


def test_the_translation_has_the_same_commands_and_results() -> None:
    english, chinese = ((DOCS / name).read_text("utf-8") for name in ("experiment.md", "experiment.zh.md"))
    blocks = [re.findall(r"^```.*?^```", page, re.DOTALL | re.MULTILINE) for page in (english, chinese)]
    assert blocks[0] == blocks[1]
    assert english.count("\n## ") == chinese.count("\n## ")
