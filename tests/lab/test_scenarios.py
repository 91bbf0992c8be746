"""Scenarios and topologies as data: those that ship can be read, and mistakes are told where they are."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from ipsecanalyze.lab import LabError, load_scenario, load_topology, scenario_names, topology_names
from ipsecanalyze.lab.scenario import read_scenario

SMALL = {"title": "T"}


@pytest.mark.parametrize("name", scenario_names())
def test_each_scenario_can_be_read(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.title
    assert scenario.text
    assert scenario.steps
    assert set(scenario.settings) == set(scenario.topology.gateways)
    assert tomllib.loads(scenario.source)["title"] == scenario.title


def test_there_are_enough() -> None:
    assert len(scenario_names()) >= 16


@pytest.mark.parametrize("name", topology_names())
def test_each_topology_can_be_read(name: str) -> None:
    topology = load_topology(name)
    assert topology.observe in topology.gateways
    assert topology.picture
    for initiator, responder in topology.tunnels:
        assert initiator != responder
        assert topology.wan(initiator)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "T"}, "unknown: titel"),
        ({"title": 5}, "title must be of type str"),
        ({"topology": "moebius"}, "no topology 'moebius'"),
        ({"ike": {"version": 3}}, "version is 1 or 2"),
        ({"ike": {"proposal": []}}, "unknown: proposal"),
        ({"child": {"mode": "tunnels"}}, "must be one of tunnel, transport"),
        ({"child": {"mode": "transport"}}, 'need plane = "kernel"'),
        ({"child": {"rekey_seconds": -1}}, "from 0 on"),
        ({"child": {"rekey_seconds": True}}, "whole number"),
        ({"authentication": {"kind": "magic"}}, "one of psk, rsa, ecdsa, eap"),
        ({"router": {"nat": True}}, "has no router"),
        ({"observe": "alice"}, "observe must be one of the gateways"),
        ({"differs": {"pluto": {}}}, "no node 'pluto'"),
        ({"steps": [{"do": "dance"}]}, "must be one of initiate"),
        ({"steps": [{"do": "ping", "from": "alice"}]}, "needs from and to"),
        ({"steps": [{"do": "ping", "from": "alice", "to": "eve"}]}, "no node 'eve'"),
        ({"steps": [{"do": "await", "node": "moon"}]}, "await needs log"),
        ({"steps": 5}, "must be of type list"),
        ({"steps": [{"do": "await", "node": "moon", "log": "("}]}, "log is no regular expression"),
        ({"expect": {"log": ["("]}}, "log is no regular expression"),
        ({"expect": {"diagnosis": ["nat-detectd"]}}, "no 'nat-detectd'"),
        ({"expect": {"diagnosis": ["weak-psk"]}}, "no 'weak-psk'"),
        ({"expect": {"proof": "honour"}}, "must be one of lan, open, none"),
        ({"topology": "hosts"}, "has no LAN to compare with"),
        ({"implementations": {"moon": "racoon"}}, "one of strongswan, libreswan"),
    ],
)
def test_mistakes_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message) as caught:
        read_scenario(SMALL | changes, "mine")
    assert caught.value.slug == "scenario"


def test_differs_is_laid_over() -> None:
    values = SMALL | {"ike": {"proposals": ["a"], "dpd_seconds": 3}, "differs": {"sun": {"ike": {"proposals": ["b"]}}}}
    scenario = read_scenario(values, "mine")
    assert scenario.settings["moon"].ike.proposals == ("a",)
    assert scenario.settings["sun"].ike.proposals == ("b",)
    assert scenario.settings["sun"].ike.dpd_seconds == 3


def test_usual_steps_go_through_every_tunnel_both_ways() -> None:
    steps = read_scenario(SMALL | {"topology": "triangle"}, "mine").steps
    assert steps[0].do == "initiate"
    pairs = {(step.source, step.target) for step in steps if step.do == "ping"}
    assert len(pairs) == 6


def test_a_scenario_of_ones_own(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"')
    assert load_scenario(str(path)).name == "mine"
    path.write_text("title = ")
    with pytest.raises(LabError, match=r"mine\.toml"):
        load_scenario(str(path))
    with pytest.raises(LabError, match="no scenario"):
        load_scenario(str(tmp_path / "other.toml"))
