"""Conversations that tests of findings write themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from ike_made import Talk, Wire


@pytest.fixture
def wire() -> Wire:
    """An empty capture."""
    return Wire()


@pytest.fixture
def talk(wire: Wire) -> Talk:
    """Two gateways that talk on it."""
    return Talk(wire)
