"""Vectors with their provenance: `vectors("esp_packets")` reads tests/vectors/esp_packets.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parent.parent / "vectors"


@cache
def read_vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def vectors():
    return read_vectors
