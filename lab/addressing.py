"""Addresses for a topology: networks out of the ranges that are set aside for benchmarks and never routed.

IPv4: 198.18.0.0/15 (RFC 2544), a /24 each. IPv6: 2001:2::/48 (RFC 5180), a /64 each. Which ones is drawn by lot, so
that labs side by side seldom want the same; who creates the networks draws again where the engine says that one is
taken.
"""

from __future__ import annotations

import random
from collections.abc import Container
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from .topology import Topology

__all__ = ["BRIDGE_NUMBER", "Plan", "Subnet", "draw_subnet", "plan_of"]

BRIDGE_NUMBER = 254
"""The number of the engine's own address in each network."""
_BLOCK4 = IPv4Network("198.18.0.0/15")
_BLOCK6 = IPv6Network("2001:2::/48")


@dataclass(frozen=True, slots=True)
class Subnet:
    """What one network got."""

    ipv4: IPv4Network
    ipv6: IPv6Network | None = None

    def address(self, number: int, family: str) -> str:
        """The address with this number."""
        network = self.ipv4 if family == "ipv4" or self.ipv6 is None else self.ipv6
        return str(network[number])


@dataclass(frozen=True, slots=True)
class Plan:
    """All addresses of a lab."""

    topology: Topology
    family: str
    subnets: dict[str, Subnet]

    def address(self, node: str, network: str, family: str | None = None) -> str:
        """A node's address in a network, by default of the scenario's family."""
        return self.subnets[network].address(self.topology.node(node).networks[network], family or self.family)

    def wan_address(self, gateway: str) -> str:
        """Where a gateway's peers reach it."""
        return self.address(gateway, self.topology.wan(gateway))

    def host_address(self, node: str) -> str:
        """The address that traffic for a node goes to: that in its LAN, where it has one."""
        networks = list(self.topology.node(node).networks)
        return self.address(node, next((name for name in networks if name.startswith("lan")), networks[0]))

    def next_hop(self, node: str) -> str | None:
        """Where a node's default route leads."""
        via = self.topology.node(node).via
        if via is None:
            return None
        shared = [name for name in self.topology.node(node).networks if name in self.topology.node(via).networks]
        return self.address(via, shared[0])

    def prefix(self, network: str) -> str:
        """A network in the scenario's family, as text."""
        subnet = self.subnets[network]
        return str(subnet.ipv6 if self.family == "ipv6" and subnet.ipv6 is not None else subnet.ipv4)

    def protected(self, gateway: str) -> tuple[str, ...]:
        """The networks behind a gateway; its own address where there is none."""
        lans = tuple(self.prefix(network) for network in self.topology.lans(gateway))
        return lans or (str(ip_network(self.wan_address(gateway))),)

    def to_dict(self) -> dict[str, str]:
        """For labels and manifests."""
        return {network: self.prefix(network) for network in self.subnets}


def draw_subnet(family: str, taken: Container[IPv4Network], lot: random.Random) -> Subnet:
    """A subnet that is not among those taken."""
    while True:
        number = lot.randrange(1 << (24 - _BLOCK4.prefixlen))
        ipv4 = IPv4Network((int(_BLOCK4.network_address) + (number << 8), 24))
        if ipv4 not in taken:
            break
    if family == "ipv4":
        return Subnet(ipv4)
    number6 = lot.randrange(1 << (64 - _BLOCK6.prefixlen))
    return Subnet(ipv4, IPv6Network((int(_BLOCK6.network_address) + (number6 << 64), 64)))


def plan_of(topology: Topology, family: str, lot: random.Random) -> Plan:
    """Addresses for everything, as a lab would draw them; for tests and for showing configurations."""
    subnets: dict[str, Subnet] = {}
    for network in topology.networks:
        subnets[network] = draw_subnet(family, {subnet.ipv4 for subnet in subnets.values()}, lot)
    return Plan(topology, family, subnets)
