"""What a container does when it starts: a shell script per node, made of the topology and the addresses.

All addresses are chosen before a container exists, so everything that must be done inside is known then; no command has
to be sent afterwards, which is what makes `up` quick. The script ends by saying `READY`, or its container dies.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from .addressing import Plan
from .gateway import File
from .scenario import Scenario
from .topology import Node

__all__ = ["READY", "SCRIPT", "start_script", "sysctls"]

READY = "lab: ready"
SCRIPT = PurePosixPath("/lab/start.sh")
#: What the inner packets may have at most, so that ESP around them fits into 1500 octets and the TUN of kernel-libipsec
#: (1400): set on the hosts' routes, as an administrator would do it, so that nothing has to be fragmented or refused.
INNER_MTU = 1320
_HEAD = """#!/bin/sh
set -eu
umask 077
# The engine numbers interfaces as it likes: find them by their addresses.
device() { set -- $(ip -o addr show to "$1"); echo "$2"; }
"""


def sysctls(node: Node, family: str) -> dict[str, str]:
    """Kernel settings of a node's namespace; given to the engine, so that nothing needs a privileged container."""
    forwards = "0" if node.role == "host" else "1"
    settings = {
        "net.ipv4.ip_forward": forwards,
        "net.ipv4.conf.all.rp_filter": "0",
        "net.ipv4.conf.default.rp_filter": "0",
        # Packets leave by the interface they came from where the topology is narrow; nobody is to be told a better way.
        "net.ipv4.conf.all.send_redirects": "0",
        "net.ipv4.conf.default.send_redirects": "0",
        "net.ipv6.conf.all.disable_ipv6": "0" if family == "ipv6" else "1",
        "net.ipv6.conf.default.disable_ipv6": "0" if family == "ipv6" else "1",
    }
    if family == "ipv6":
        settings |= {
            "net.ipv6.conf.all.forwarding": forwards,
            "net.ipv6.conf.default.accept_ra": "0",
            # An address is used at once, without a second of asking whether somebody else has it.
            "net.ipv6.conf.all.accept_dad": "0",
            "net.ipv6.conf.default.accept_dad": "0",
        }
    return settings


def start_script(scenario: Scenario, plan: Plan, node: Node, *, wired: bool = False) -> File:
    """The script for a node. `wired`: its interfaces come later, named as their networks and without addresses."""
    lines = [_HEAD, *(_wired(plan, node) if wired else [])]
    lines += [*_interfaces(scenario, plan, node), *_routes(plan, node)]
    if node.role == "router":
        lines += _router(scenario, plan, node)
    if node.speaks_ike:
        lines += _pluto() if scenario.implementations[node.name] == "libreswan" else _charon()
    if node.role == "host" or not scenario.topology.lans(node.name):
        lines += _echo(plan.host_address(node.name)) if node.role != "router" else []
    lines += [f"echo '{READY}'", "exec sleep infinity"]
    return File("\n".join(lines).encode() + b"\n", 0o700)


def _wired(plan: Plan, node: Node) -> list[str]:
    lines = []
    for network in node.networks:
        subnet = plan.subnets[network]
        ipv4 = f"{plan.address(node.name, network, 'ipv4')}/{subnet.ipv4.prefixlen}"
        lines += [
            f"until ip link set {network} up 2>/dev/null; do sleep 0.02; done",
            f"ip addr add {ipv4} dev {network}",
        ]
        if subnet.ipv6 is not None:
            ipv6 = f"{plan.address(node.name, network, 'ipv6')}/{subnet.ipv6.prefixlen}"
            lines.append(f"ip addr add {ipv6} dev {network} nodad")
    return lines


def _interfaces(scenario: Scenario, plan: Plan, node: Node) -> list[str]:
    lines = []
    for network in node.networks:
        variable = _variable(network)
        lines += [
            f"{variable}=$(device {plan.address(node.name, network, 'ipv4')})",
            # Otherwise the kernel hands on packets larger than the MTU and checksums not yet computed, and captures
            # show what never was on any wire.
            f'ethtool -K "${variable}" tx off rx off tso off gso off gro off >/dev/null 2>&1',
        ]
        if plan.family == "ipv6":
            lines.append(
                f'until ip -6 -o addr show dev "${variable}" to {plan.address(node.name, network)} '
                "| grep -qv tentative; do sleep 0.02; done"
            )
        if node.role == "router" and scenario.router.mtu:
            lines.append(f'ip link set "${variable}" mtu {scenario.router.mtu}')
    return lines


def _routes(plan: Plan, node: Node) -> list[str]:
    family = "-6" if plan.family == "ipv6" else "-4"
    # The engine's own default route would let traffic out of the lab when a tunnel is down.
    lines = ["ip -4 route del default 2>/dev/null || true", "ip -6 route del default 2>/dev/null || true"]
    hop = plan.next_hop(node.name)
    if hop is not None:
        mtu = f" mtu {INNER_MTU}" if node.role == "host" else ""
        lines.append(f"ip {family} route add default via {hop}{mtu}")
    return lines


def _router(scenario: Scenario, plan: Plan, node: Node) -> list[str]:
    router = scenario.router
    inside, outside = (_variable(network) for network in list(node.networks)[:2])
    lines = []
    if router.nat:
        lines += [
            "nft -f - <<END",
            f"table {'ip6' if plan.family == 'ipv6' else 'ip'} lab {{",
            f'  chain behind {{ type nat hook postrouting priority 100; oifname "${outside}" masquerade; }}',
            "}",
            "END",
        ]
    if router.impairs:
        numbers = f"{router.drop_every} {router.hold_every} {router.hold_behind} {router.duplicate_every}"
        family = "-6" if plan.family == "ipv6" else "-4"
        lines += [
            f"python3 /usr/lib/lab/shaper.py shaper {numbers} {router.delay_ms} >/lab/shaper.log 2>&1 &",
            "until grep -q ready /lab/shaper.log; do sleep 0.02; done",
            "ip link set shaper up",
            # Both ways through the device once; what comes out of it takes the usual way.
            f"ip {family} route add default dev shaper table 99",
            f'ip {family} rule add iif "${inside}" lookup 99',
            f'ip {family} rule add iif "${outside}" lookup 99',
        ]
    return lines


def _charon() -> list[str]:
    return [
        "/usr/sbin/charon-systemd >/dev/null 2>&1 &",
        "charon=$!",
        "until [ -S /var/run/charon.vici ]; do",
        '  kill -0 "$charon" || { tail -n 5 /lab/charon.log; exit 1; }',
        "  sleep 0.05",
        "done",
        "swanctl --load-all --noprompt >/lab/load.log 2>&1 || { cat /lab/load.log; exit 1; }",
    ]


def _pluto() -> list[str]:
    return [
        "ipsec initnss >/lab/load.log 2>&1",
        "ipsec pluto --config /etc/ipsec.conf >>/lab/load.log 2>&1",
        "until ipsec whack --listen >>/lab/load.log 2>&1; do sleep 0.05; done",
        "ipsec auto --ready >>/lab/load.log 2>&1 || true",
        "for name in $(sed -n 's/^conn //p' /etc/ipsec.conf); do ipsec auto --add \"$name\" >>/lab/load.log 2>&1; done",
    ]


def _echo(address: str) -> list[str]:
    return [
        f"python3 /usr/lib/lab/traffic.py serve {address} >/lab/echo.log 2>&1 &",
        "until grep -q ready /lab/echo.log; do sleep 0.02; done",
    ]


def _variable(network: str) -> str:
    return "net_" + network.replace("-", "_")
