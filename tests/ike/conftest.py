"""Real IKE messages for the tests of ike/: `sample("scenario", frame)` and `chain("scenario", frame)`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Chain:
    major: int
    exchange_type: int
    first_type: int
    data: bytes


def read_messages() -> dict[tuple[str, int], bytes]:
    rows = [line.split() for line in (DATA / "messages.txt").read_text().splitlines() if line[0] != "#"]
    return {(name, int(frame)): bytes.fromhex(octets) for name, frame, octets in rows}


def read_chains() -> dict[tuple[str, int], Chain]:
    rows = [line.split() for line in (DATA / "chains.txt").read_text().splitlines() if line[0] != "#"]
    return {(row[0], int(row[1])): Chain(int(row[2]), int(row[3]), int(row[4]), bytes.fromhex(row[5])) for row in rows}


MESSAGES = read_messages()
CHAINS = read_chains()


@pytest.fixture(scope="session")
def messages():
    return MESSAGES


@pytest.fixture(scope="session")
def chains():
    return CHAINS


@pytest.fixture(scope="session")
def sample():
    return lambda name, frame: MESSAGES[name, frame]


@pytest.fixture(scope="session")
def chain():
    return lambda name, frame: CHAINS[name, frame]


def pytest_generate_tests(metafunc):
    if "any_message" in metafunc.fixturenames:
        metafunc.parametrize("any_message", MESSAGES.values(), ids=[f"{name}-{frame}" for name, frame in MESSAGES])
    if "any_chain" in metafunc.fixturenames:
        metafunc.parametrize("any_chain", CHAINS.values(), ids=[f"{name}-{frame}" for name, frame in CHAINS])
