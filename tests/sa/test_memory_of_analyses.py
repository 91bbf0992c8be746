"""Analyses that nobody holds any more go away, though the garbage collector is kept quiet while they are made."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze import analysis
from ipsecanalyze.sa.records import IkeSa

CAPTURE = Path(__file__).parents[1] / "captures" / "v2-loss-a" / "wan.pcap.gz"


def alive() -> int:
    return sum(isinstance(one, IkeSa) for one in gc.get_objects())


@pytest.mark.parametrize("many", [1, 200_000], ids=["large", "small"])
def test_analyses_in_a_loop_do_not_pile_up(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis._Collector, "MANY", many)
    gc.collect()
    before = alive()
    for _ in range(60):
        assert ipsecanalyze.analyze(CAPTURE).findings
    # The collector has its own times; without any, sixty would be there.
    assert alive() - before < 30
