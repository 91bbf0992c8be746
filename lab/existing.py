"""Labs that run already: from what a user types to a lab or a container."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .engine import Engine
from .errors import LabError
from .labels import NODE
from .tap import Tap, choose_method, device_of

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["find_container", "find_lab", "taps_of"]


def find_lab(engine: Engine, wanted: str | None) -> str:
    """A lab by its id, or the beginning of it; the only one, where nothing is said. Raises LabError."""
    labs = engine.labs()
    found = [lab for lab in labs if lab.startswith(wanted or "")]
    if len(found) == 1:
        return found[0]
    if not labs:
        raise LabError("no lab is up; `ipsecanalyze lab up SCENARIO` makes one", slug="not-found")
    if not found:
        raise LabError(f"there is no lab {wanted!r}; there are {', '.join(labs)}", slug="not-found")
    raise LabError(f"which lab? There are {', '.join(found)}", slug="not-found")


def find_container(engine: Engine, name: str) -> Container:
    """Any running container by its name or id; or a node by its name, where only one lab has it. Raises LabError."""
    nodes = [one for one in engine.containers() if one.labels.get(NODE) == name and one.status == "running"]
    if len(nodes) == 1:
        return nodes[0]
    try:
        return engine.container(name)
    except LabError:
        if nodes:
            names = ", ".join(str(one.name) for one in nodes)
            raise LabError(f"several labs have a {name}; say which: {names}", slug="not-found") from None
        raise


def taps_of(
    engine: Engine, container: Container, interfaces: Iterable[str], method: str, filter_text: str
) -> list[Tap]:
    """Where to capture. An interface is a device in the container, or one of its networks ("wan", "bridge")."""
    container = _owner(engine, container)
    method = method or choose_method(container)
    taps = []
    for wanted in interfaces:
        network = _network(container, wanted)
        if method == "host":
            if network is None:
                taps.append(Tap(wanted, container, wanted, method, filter_text))
                continue
            found = engine.client.networks.get(network["NetworkID"])
            bridge = (found.attrs.get("Options") or {}).get("com.docker.network.bridge.name") or f"br-{found.id[:12]}"
            taps.append(Tap(f"{wanted} bridge", container, bridge, method, filter_text))
            continue
        device = wanted if network is None else device_of(engine, container, network["IPAddress"], method)
        taps.append(Tap(f"{container.name} {wanted}", container, device, method, filter_text))
    return taps


def _owner(engine: Engine, container: Container) -> Container:
    """Whose network namespace it is: a sidecar (container:ID) has none of its own, and cannot be joined."""
    mode, _, other = str(container.attrs["HostConfig"].get("NetworkMode", "")).partition(":")
    return engine.container(other) if mode == "container" else container


def _network(container: Container, wanted: str) -> dict[str, str] | None:
    """What Docker says of a network of the container; the lab's have names that end with "-" and the short one."""
    networks = container.attrs["NetworkSettings"].get("Networks") or {}
    lab = str(container.name).rpartition("-")[0] if container.labels.get(NODE) else ""
    for name in (wanted, f"{lab}-{wanted}"):
        if name in networks:
            return dict(networks[name])
    return None
