"""Networks without Docker's: containers begin with nothing (network mode "none"), and are wired with veth pairs.

The bridges are in a container of their own, the *switch*. So everything is in namespaces of the lab: interfaces have
the names of their networks, labs side by side have equal addresses, the host's firewall is not involved, and all of it
is gone with the containers. Moving an interface into a namespace needs root on the engine's machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from .addressing import Plan, Subnet
from .errors import LabError
from .gateway import File
from .topology import Node, Topology

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["SWITCH", "check_rights", "equal_plan", "plug", "switch_script"]

SWITCH = "switch"


def check_rights() -> None:
    """Raise LabError where this process cannot wire."""
    if os.geteuid() != 0:
        raise LabError("wiring by hand needs root: use sudo", slug="permission")
    for tool, package in (("nsenter", "util-linux"), ("ip", "iproute2")):
        if shutil.which(tool) is None:
            raise LabError(f"{tool} is not installed on this machine: apt install {package}", slug="missing-tool")


def equal_plan(topology: Topology, family: str) -> Plan:
    """The addresses, which are the same in every lab of this topology."""
    subnets = {}
    for number, network in enumerate(topology.networks, 1):
        ipv6 = IPv6Network(f"2001:2:0:{number:x}::/64") if family == "ipv6" else None
        subnets[network] = Subnet(IPv4Network(f"198.18.{number}.0/24"), ipv6)
    return Plan(topology, family, subnets)


def switch_script(topology: Topology, ready: str) -> File:
    """What the switch does when it starts: a bridge for each network."""
    lines = ["#!/bin/sh", "set -eu"]
    for network in topology.networks:
        lines += [f"ip link add {network} type bridge", f"ip link set {network} up"]
    return File("\n".join([*lines, f"echo '{ready}'", "exec sleep infinity", ""]).encode(), 0o700)


def plug(switch: Container, container: Container, node: Node) -> None:
    """Connect a node to all its networks. Both containers run. Raises LabError."""
    for one in (switch, container):
        one.reload()
    sandbox = str(switch.attrs["NetworkSettings"]["SandboxKey"])
    process = str(container.attrs["State"]["Pid"])
    for network, number in node.networks.items():
        port = f"{network[:9]}.{number}"  # names of interfaces have 15 characters at most
        _ip(sandbox, "link", "add", port, "type", "veth", "peer", "name", network, "netns", process)
        _ip(sandbox, "link", "set", port, "master", network, "up")


def _ip(sandbox: str, *words: str) -> None:
    command = ["nsenter", f"--net={sandbox}", "ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise LabError(f"wiring: ip {' '.join(words)}: {done.stderr.strip()}", slug="container")
