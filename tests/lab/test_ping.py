"""The step "ping": all come back, or it says how many did. Without an engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ipsecanalyze.lab import steps
from ipsecanalyze.lab.engine import Output
from ipsecanalyze.lab.scenario import Router, Step


def lab_of(*counts: int, router: Router | None = None) -> Any:
    """A lab in which so many of five pings come back, time by time."""
    left = list(counts)

    def run(node: str, *command: str) -> Output:
        assert node == "alice"
        assert command[0] == "ping"
        came = left.pop(0)
        return Output(0 if came else 1, f"5 packets transmitted, {came} received, some packet loss")

    scenario = SimpleNamespace(router=router or Router())
    return SimpleNamespace(
        run=run, scenario=scenario, plan=SimpleNamespace(host_address=lambda _: "198.18.0.1"), left=left
    )


@pytest.mark.parametrize(
    ("counts", "worked", "told"),
    [
        ((5,), True, "ping alice → bob: 5 of 5 came back"),
        ((4, 5), True, "ping alice → bob: 4 of 5 came back; once more: 5 of 5 came back"),
        ((4, 3), False, "ping alice → bob: 4 of 5 came back; once more: 3 of 5 came back"),
        ((0,), False, "ping alice → bob: 0 of 5 came back"),
    ],
)
def test_ping(counts: tuple[int, ...], worked: bool, told: str) -> None:
    lab = lab_of(*counts)
    assert steps._ping(lab, Step("ping", "alice", "bob")) == (worked, told)
    assert not lab.left


def test_a_router_that_loses_is_no_failure() -> None:
    lab = lab_of(4, router=Router(drop_every=9))
    assert steps._ping(lab, Step("ping", "alice", "bob"))[0]
