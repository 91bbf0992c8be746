"""Who is connected to whom: networks and nodes as data. Addresses come later (`addressing.py`), containers never.

A topology is a file in `topologies/`; docs/lab.md lists the fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .table import Table, read_table

__all__ = ["ROLES", "Node", "Topology", "load_topology", "topology_names"]

_FOLDER = Path(__file__).parent / "topologies"
#: A host sends and answers traffic; a gateway runs charon; a client is a gateway without a LAN behind it; a router
#: stands between gateways.
ROLES = ("host", "gateway", "client", "router")
#: Docker's bridge has the last address of a network, nodes those below.
_LAST_NUMBER = 250


@dataclass(frozen=True, slots=True)
class Node:
    """One container."""

    name: str
    role: str
    networks: dict[str, int]
    """Network → the number of the node's address in it."""
    via: str | None = None
    """The node that its default route goes to; None: no default route."""

    @property
    def speaks_ike(self) -> bool:
        """Whether charon runs on it."""
        return self.role in ("gateway", "client")


@dataclass(frozen=True, slots=True)
class Topology:
    """Networks, nodes, and which gateways have tunnels with each other."""

    name: str
    title: str
    networks: tuple[str, ...]
    """Names; those that begin with "lan" are behind gateways, the others between them."""
    nodes: dict[str, Node]
    tunnels: tuple[tuple[str, str], ...]
    """(initiator, responder)."""
    observe: str
    """The gateway whose WAN and LAN side are captured unless the scenario says otherwise."""
    picture: str = ""

    def node(self, name: str) -> Node:
        """A node by its name. Raises LabError."""
        if name not in self.nodes:
            raise LabError(
                f"topology {self.name}: no node {name!r}; there are {', '.join(self.nodes)}", slug="scenario"
            )
        return self.nodes[name]

    def lans(self, name: str) -> tuple[str, ...]:
        """The networks behind a gateway."""
        return tuple(network for network in self.node(name).networks if network.startswith("lan"))

    def wan(self, name: str) -> str:
        """The network that a gateway reaches its peers by."""
        return next(network for network in self.node(name).networks if not network.startswith("lan"))

    @property
    def gateways(self) -> tuple[str, ...]:
        """The nodes that speak IKE."""
        return tuple(node.name for node in self.nodes.values() if node.speaks_ike)


def topology_names() -> list[str]:
    """The topologies that ship."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_topology(name: str) -> Topology:
    """A topology that ships, by its name. Raises LabError."""
    if name not in topology_names():
        raise LabError(f"no topology {name!r}; there are {', '.join(topology_names())}", slug="scenario")
    path = _FOLDER / f"{name}.toml"
    table = Table(read_table(path), path.name)
    networks = table.texts("networks")
    nodes = {node: _node(node, values, networks) for node, values in table.tables("nodes")}
    topology = Topology(
        name=name,
        title=table.text("title"),
        networks=networks,
        nodes=nodes,
        tunnels=tuple((row.text("initiator"), row.text("responder")) for row in table.array("tunnels")),
        observe=table.text("observe"),
        picture=table.text("picture", ""),
    )
    table.end()
    _check(topology)
    return topology


def _node(name: str, table: Table, networks: tuple[str, ...]) -> Node:
    places = table.table("networks")
    numbers = {network: places.integer(network) for network in networks if places.has(network)}
    places.end()
    node = Node(name, table.one_of("role", ROLES), numbers, table.text("via", "") or None)
    table.end()
    if not numbers:
        raise LabError(f"{table.where}: is in no network", slug="scenario")
    if not all(0 < number <= _LAST_NUMBER for number in numbers.values()):
        raise LabError(f"{table.where}: numbers of addresses go from 1 to {_LAST_NUMBER}", slug="scenario")
    return node


def _check(topology: Topology) -> None:
    taken: set[tuple[str, int]] = set()
    for node in topology.nodes.values():
        for place in node.networks.items():
            if place in taken:
                raise LabError(f"topology {topology.name}: {place[0]} has number {place[1]} twice", slug="scenario")
            taken.add(place)
        if node.via is not None and not set(node.networks) & set(topology.node(node.via).networks):
            raise LabError(f"topology {topology.name}: {node.name} shares no network with {node.via}", slug="scenario")
    for pair in (*topology.tunnels, (topology.observe,)):
        for name in pair:
            if not topology.node(name).speaks_ike:
                raise LabError(f"topology {topology.name}: {name} is no gateway", slug="scenario")
