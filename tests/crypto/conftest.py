"""Vectors with their provenance: `vectors("esp_packets")` reads tests/vectors/esp_packets.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ipsecanalyze.errors import DecryptError

VECTORS = Path(__file__).parent.parent / "vectors"


@cache
def read_vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def vectors():
    return read_vectors


def outcome(call: Callable[..., Any], *arguments: Any) -> str:
    """The slug of the DecryptError that a call raises, "" without one; other errors pass."""
    try:
        call(*arguments)
    except DecryptError as error:
        return error.slug
    return ""


def slug_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The slug of the DecryptError that a call has to raise."""
    with pytest.raises(DecryptError) as caught:
        call(*arguments, **options)
    return caught.value.slug
