"""Fixtures that every test may use: the shipped captures with their truth, and analyses of them, made once.

A test with an argument `capture_file` runs for every shipped capture, or for those that its mark
`captures(where=condition)` lets through. Tools that are missing skip a test with the
reason; under CI they fail it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import ipsecanalyze

CAPTURES = Path(__file__).parent / "captures"

# The machines that run this are shared: time says nothing about the code under test.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@dataclass(frozen=True)
class CaptureFile:
    """A shipped capture and what is known of it."""

    path: Path

    @property
    def scenario(self) -> str:
        """The folder's name."""
        return self.path.parent.name

    @property
    def name(self) -> str:
        """The file's name, without what packed it."""
        return self.path.name.removesuffix(".gz")

    @property
    def main(self) -> bool:
        """Whether it is the capture that `expected.json` and `meta.json` describe."""
        return self.name in {"wan.pcap", "wan.pcapng"}

    @property
    def tcp(self) -> bool:
        """Whether IPsec is inside TCP, where tshark 4.0 sees nothing (RFC 9329)."""
        return self.scenario == "v2-tcp-a"

    @cached_property
    def expected(self) -> dict[str, Any]:
        """What tshark read from the original."""
        return json.loads((self.path.parent / "expected.json").read_text())

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What was set up."""
        return json.loads((self.path.parent / "meta.json").read_text())

    def __str__(self) -> str:
        return self.scenario if self.main else f"{self.scenario}/{self.name}"


ALL_CAPTURES = [CaptureFile(path) for path in sorted(CAPTURES.glob("*/wan*.pcap*"))]


def pytest_configure(config: pytest.Config) -> None:
    """Declare this file's mark; let signals be heard."""
    config.addinivalue_line("markers", "captures(where): run for the shipped captures that fulfil a condition")
    _hear_signals()


def _hear_signals() -> None:
    """Under nohup, and in the background of a script, signals are ignored, also by the commands that tests start."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that ask for `capture_file` once for each shipped capture."""
    if "capture_file" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("captures")
        chosen = [capture for capture in ALL_CAPTURES if mark is None or mark.kwargs["where"](capture)]
        metafunc.parametrize("capture_file", chosen, ids=str)


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of the shipped captures."""
    return CAPTURES


@pytest.fixture(scope="session")
def all_captures() -> list[CaptureFile]:
    """Every shipped capture."""
    return ALL_CAPTURES


@cache
def _analysis(path: Path) -> ipsecanalyze.Analysis:
    return ipsecanalyze.analyze(path)


@cache
def _summary(path: Path) -> dict[str, Any]:
    return _analysis(path).to_dict()


@pytest.fixture(scope="session")
def analysis_of() -> Callable[[CaptureFile], ipsecanalyze.Analysis]:
    """The analysis of a shipped capture (do not change it)."""
    return lambda capture: _analysis(capture.path)


@pytest.fixture(scope="session")
def summary_of() -> Callable[[CaptureFile], dict[str, Any]]:
    """The summary document of a shipped capture (do not change it)."""
    return lambda capture: _summary(capture.path)


def need_tool(name: str) -> str:
    """The path of a program; skips the test where it is missing, and fails it under CI."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def tshark_path() -> str:
    """Where tshark is."""
    return need_tool("tshark")
