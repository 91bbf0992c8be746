"""What the tests of keys share: rings from text, the scenarios with keys, and strategies for keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ipsecanalyze.keys.load import SECRETS_TYPE_ESP, load_secrets
from ipsecanalyze.keys.ring import KeyRing

CAPTURES = Path(__file__).parents[1] / "captures"
SCENARIOS = sorted(path.parent for path in CAPTURES.glob("*/keys"))


def read(text: str) -> KeyRing:
    """The ring of a file with this text."""
    return load_secrets([(SECRETS_TYPE_ESP, text.encode("utf-8", "surrogateescape"))], "file")


@pytest.fixture(scope="session")
def ring_of() -> Callable[[str], KeyRing]:
    """Reads a text as a key file called "file"."""
    return read


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that ask for `scenario` once for each scenario with keys."""
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
