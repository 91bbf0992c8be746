"""What tests of the lab share. Those with the mark `docker` need an engine and the lab's image.

Without them a test is skipped with the reason; under CI it fails (`.ci/lab` prepares both).
"""

from __future__ import annotations

import importlib.util
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ipsecanalyze.lab import LabError
from ipsecanalyze.lab.addressing import Plan, plan_of
from ipsecanalyze.lab.scenario import Scenario

LAB = Path(__file__).parents[2] / "lab"


def lacking(reason: str) -> None:
    """Skip; under CI fail."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def engine() -> Iterator[Any]:
    """A Docker engine."""
    from ipsecanalyze.lab.engine import connect

    try:
        found = connect()
    except LabError as error:
        lacking(str(error))
    yield found
    found.client.close()


@pytest.fixture
def image(engine: Any) -> str:
    """The lab's image, which has to be built before (`.ci/lab prepare`): that takes too long for a test."""
    from ipsecanalyze.lab.image import need_image

    try:
        return need_image(engine)
    except LabError as error:
        lacking(str(error))
        raise


def program(name: str) -> ModuleType:
    """One of the programs that run inside nodes."""
    spec = importlib.util.spec_from_file_location(f"lab_{name}", LAB / "container" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plan_for(scenario: Scenario) -> Plan:
    """Addresses, always the same."""
    return plan_of(scenario.topology, scenario.family, random.Random(5))
