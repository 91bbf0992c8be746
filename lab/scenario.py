"""A scenario: a topology, what its gateways are told, what then happens, and what must be seen. All of it is data.

A scenario is a file in `scenarios/` (or any path with a slash or ending in .toml); adding one is adding a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .errors import LabError
from .expectations import Expectations, read_expectations
from .settings import Settings, overlaid, read_settings
from .table import Table, read_table
from .topology import Topology, load_topology

__all__ = ["Router", "Scenario", "Step", "load_scenario", "read_scenario", "scenario_names"]

_FOLDER = Path(__file__).parent / "scenarios"
ACTIONS = ("initiate", "ping", "tcp", "udp", "await", "isolate", "rekey", "terminate")
PLANES = ("any", "kernel")
IMPLEMENTATIONS = ("strongswan", "libreswan")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens; which fields count depends on `do` (docs/lab.md)."""

    do: str
    source: str = ""
    target: str = ""
    node: str = ""
    log: str = ""
    """A regular expression."""
    count: int = 5
    size: int = 56
    """Octets of payload of each ping or datagram; of the whole transfer for "tcp"."""
    interval: float = 0.02
    seconds: float = 20.0
    """What "await" waits at most; how long "initiate" may take."""
    fails: bool = False
    """The step is expected to fail."""
    child: bool = True
    """"rekey": the Child SA, not the IKE SA."""


@dataclass(frozen=True, slots=True)
class Router:
    """What the router between gateways does to packets; all off by default."""

    nat: bool = False
    drop_every: int = 0
    """Every so manieth packet of each direction is lost."""
    hold_every: int = 0
    """Every so manieth packet is held back until `hold_behind` others have passed."""
    hold_behind: int = 2
    duplicate_every: int = 0
    delay_ms: int = 0
    mtu: int = 0
    """Of its networks; 0: as they are."""

    @property
    def impairs(self) -> bool:
        """Whether packets have to go through the shaper."""
        return bool(self.drop_every or self.hold_every or self.duplicate_every or self.delay_ms)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a run needs to know beforehand."""

    name: str
    title: str
    text: str
    topology: Topology
    family: str
    """"ipv4" or "ipv6", inside and outside."""
    plane: str
    """"any", or "kernel" where userspace cannot carry it."""
    observe: str
    """The gateway whose two sides are captured and compared."""
    implementations: dict[str, str]
    """Gateway → "strongswan" or "libreswan"."""
    settings: dict[str, Settings]
    router: Router
    steps: tuple[Step, ...]
    expect: Expectations
    source: str
    """The file's text, for the bundle."""


def scenario_names() -> list[str]:
    """The scenarios that ship."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_scenario(name: str) -> Scenario:
    """A scenario by its name, or by the path of its file. Raises LabError."""
    path = Path(name) if "/" in name or name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        close = "".join(f" (did you mean {one}?)" for one in get_close_matches(name, scenario_names(), 1))
        raise LabError(f"no scenario {name!r}{close}; `ipsecanalyze lab list` shows those that ship", slug="scenario")
    return read_scenario(read_table(path), path.stem, path.read_text(encoding="utf-8"))


def read_scenario(values: dict[str, Any], name: str, source: str = "") -> Scenario:
    """A scenario from the values of its TOML. Raises LabError."""
    common: dict[str, Any] = {key: values[key] for key in ("ike", "child", "authentication") if key in values}
    table = Table({key: value for key, value in values.items() if key not in common}, name)
    topology = load_topology(table.text("topology", "direct"))
    differs = {node: table_.values() for node, table_ in table.tables("differs")}
    for node in differs:
        topology.node(node)
    scenario = Scenario(
        name=name,
        title=table.text("title"),
        text=table.text("text", ""),
        topology=topology,
        family=table.one_of("family", ("ipv4", "ipv6"), "ipv4"),
        plane=table.one_of("plane", PLANES, "any"),
        observe=table.text("observe", topology.observe),
        implementations=_implementations(table.table("implementations"), topology),
        settings={
            node: read_settings(overlaid(common, differs.get(node, {})), f"{name} ({node})")
            for node in topology.gateways
        },
        router=_router(table.table("router")),
        steps=tuple(_step(row, topology) for row in table.array("steps")) or _usual_steps(topology),
        expect=read_expectations(table.table("expect")),
        source=source,
    )
    table.end()
    _check(scenario)
    return scenario


def _implementations(table: Table, topology: Topology) -> dict[str, str]:
    chosen = {node: table.one_of(node, IMPLEMENTATIONS, IMPLEMENTATIONS[0]) for node in topology.gateways}
    table.end()
    return chosen


def _router(table: Table) -> Router:
    router = Router(
        nat=table.truth("nat", default=False),
        drop_every=table.integer("drop_every", 0),
        hold_every=table.integer("hold_every", 0),
        hold_behind=table.integer("hold_behind", 2),
        duplicate_every=table.integer("duplicate_every", 0),
        delay_ms=table.integer("delay_ms", 0),
        mtu=table.integer("mtu", 0),
    )
    table.end()
    return router


def _step(table: Table, topology: Topology) -> Step:
    usual = Step("")
    step = Step(
        do=table.one_of("do", ACTIONS),
        source=table.text("from", ""),
        target=table.text("to", ""),
        node=table.text("node", ""),
        log=table.pattern("log", ""),
        count=table.integer("count", usual.count),
        size=table.integer("size", usual.size),
        interval=table.number("interval", usual.interval),
        seconds=table.number("seconds", usual.seconds),
        fails=table.truth("fails", default=False),
        child=table.truth("child", default=True),
    )
    table.end()
    for name in (step.source, step.target, step.node):
        if name:
            topology.node(name)
    if step.do in ("ping", "tcp", "udp") and not (step.source and step.target):
        raise LabError(f"{table.where}: {step.do} needs from and to", slug="scenario")
    if step.do in ("await", "isolate", "rekey", "terminate") and not step.node:
        raise LabError(f"{table.where}: {step.do} needs a node", slug="scenario")
    if step.do == "await" and not step.log:
        raise LabError(f"{table.where}: await needs log", slug="scenario")
    return step


def _usual_steps(topology: Topology) -> tuple[Step, ...]:
    """Without steps of its own: bring it up, then ping, TCP and UDP through every tunnel."""
    steps = [Step("initiate")]
    for one, other in topology.tunnels:
        source, target = _behind(topology, one), _behind(topology, other)
        steps += [
            Step("ping", source, target, count=5),
            Step("ping", target, source, count=3, size=1000),
            Step("tcp", source, target, size=60_000),
            Step("udp", source, target, count=10, size=300),
        ]
    return tuple(steps)


def _behind(topology: Topology, gateway: str) -> str:
    """A host behind a gateway; the gateway itself where there is none."""
    hosts = [node.name for node in topology.nodes.values() if node.role == "host" and node.via == gateway]
    return hosts[0] if hosts else gateway


def _check(scenario: Scenario) -> None:
    if scenario.observe not in scenario.topology.gateways:
        raise LabError(f"{scenario.name}: observe must be one of the gateways", slug="scenario")
    if scenario.router != Router() and "router" not in scenario.topology.nodes:
        raise LabError(f"{scenario.name}: topology {scenario.topology.name} has no router", slug="scenario")
    if scenario.expect.proof == "lan" and not scenario.topology.lans(scenario.observe):
        raise LabError(f"{scenario.name}: {scenario.observe} has no LAN to compare with", slug="scenario")
    needs_kernel = (
        any(
            settings.child.protocol == "ah" or settings.child.mode == "transport"
            for settings in scenario.settings.values()
        )
        or "libreswan" in scenario.implementations.values()
    )
    if needs_kernel and scenario.plane != "kernel":
        raise LabError(f'{scenario.name}: AH, transport mode and libreswan need plane = "kernel"', slug="scenario")
