"""Addresses: in the ranges for benchmarks, never twice in a lab, and drawn again where one is taken."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest

from ipsecanalyze.lab import load_topology, topology_names
from ipsecanalyze.lab.addressing import draw_subnet, plan_of

V4, V6 = ip_network("198.18.0.0/15"), ip_network("2001:2::/48")


@pytest.mark.parametrize("name", topology_names())
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_all_addresses_differ_and_are_in_the_range(name: str, family: str) -> None:
    topology = load_topology(name)
    plan = plan_of(topology, family, random.Random(1))
    addresses = [plan.address(node.name, network) for node in topology.nodes.values() for network in node.networks]
    assert len(set(addresses)) == len(addresses)
    assert all(ip_address(one) in (V6 if family == "ipv6" else V4) for one in addresses)
    assert len(set(plan.to_dict().values())) == len(topology.networks)


def test_taken_networks_are_not_drawn() -> None:
    taken = set(V4.subnets(new_prefix=24))
    free = taken.pop()
    assert draw_subnet("ipv4", taken, random.Random(2)).ipv4 == free


def test_next_hops() -> None:
    plan = plan_of(load_topology("routed"), "ipv4", random.Random(3))
    assert plan.next_hop("alice") == plan.address("moon", "lan-a")
    assert plan.next_hop("sun") == plan.address("router", "wan-b")
    assert plan.next_hop("router") is None
    assert plan.host_address("moon") == plan.address("moon", "lan-a")
    assert plan.protected("moon") == (plan.prefix("lan-a"),)


def test_a_traveller_protects_her_own_address() -> None:
    plan = plan_of(load_topology("roadwarrior"), "ipv4", random.Random(3))
    assert plan.protected("carol") == (f"{plan.address('carol', 'wan')}/32",)
