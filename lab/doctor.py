"""What this machine can do for the lab, what it will therefore take, and why: `lab doctor`. Nothing is left behind."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from .dataplane import TRIES, DataPlane, probe, why_not
from .engine import Engine, connect
from .errors import LabError
from .image import BOOTSTRAPPED, has_image, image_name
from .scenario import load_scenario, scenario_names

__all__ = ["Finding", "examine"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    good: bool | None
    """None: neither good nor bad, only so."""
    text: str


def examine() -> Iterator[Finding]:
    """Look at everything, in the order in which it is needed; stops where what follows needs what is missing."""
    yield Finding("machine", None, f"{platform.system()} {platform.release()}, {platform.machine()}")
    try:
        engine = connect()
    except LabError as error:
        yield Finding("docker", good=False, text=str(error))
        return
    yield from _engine(engine)
    yield from _capturing()
    name = image_name()
    if not has_image(engine, name):
        yield Finding("image", good=False, text=f"{name} is not built yet: run `ipsecanalyze lab image`{_base(engine)}")
        return
    yield Finding("image", good=True, text=name)
    try:
        plane = probe(engine, name)
    except LabError as error:
        yield Finding("data plane", good=False, text=str(error))
        return
    yield from _plane(plane)
    yield from _scenarios(plane)
    left = engine.abandoned()
    if left:
        text = f"{', '.join(left)} left behind: `ipsecanalyze lab gc` removes them"
        yield Finding("labs", good=False, text=text)


def _engine(engine: Engine) -> Iterator[Finding]:
    facts = engine.facts()
    where = os.environ.get("DOCKER_HOST") or "the local socket"
    version = f"Docker {facts.get('ServerVersion', '?')} at {where}, storage {facts.get('Driver', '?')}"
    yield Finding("docker", good=True, text=f"{version}, {facts.get('OperatingSystem', '?')}")
    if any("rootless" in str(option) for option in facts.get("SecurityOptions") or ()):
        yield Finding("docker", None, "it runs rootless: its namespaces cannot be entered, captures take a sidecar")
    if not facts.get("IPv4Forwarding", True):
        yield Finding("docker", None, "IPv4 forwarding is off on the host; the lab does not need it")
    yield from (Finding("docker", None, str(text)) for text in facts.get("Warnings") or ())


def _capturing() -> Iterator[Finding]:
    root = os.geteuid() == 0
    tools = {tool: shutil.which(tool) is not None for tool in ("nsenter", "tcpdump")}
    if root and all(tools.values()):
        text = "nsenter: root, nsenter and tcpdump are here, so tcpdump of this machine enters the namespaces"
        yield Finding("capture", good=True, text=text)
        return
    lacking = [f"{tool} is not installed" for tool, there in tools.items() if not there]
    lacking += [] if root else ["you are not root"]
    text = f"sidecar: a container beside the captured one, since {' and '.join(lacking)}"
    yield Finding("capture", good=True, text=text)


def _base(engine: Engine) -> str:
    if has_image(engine, BOOTSTRAPPED) or has_image(engine, "debian:bookworm-slim"):
        return ""
    able = shutil.which("debootstrap") is not None and os.geteuid() == 0
    where = "debootstrap is here for it" if able else "that needs root and debootstrap"
    return f" (with --bootstrap where debian:bookworm-slim cannot be pulled: {where})"


def _plane(plane: DataPlane) -> Iterator[Finding]:
    for name, (_, what) in TRIES.items():
        works = plane.can(name)
        needed = False if name in ("tun", "nat", "ipv6") else None
        yield Finding("tried", True if works else needed, f"{what}: {'works' if works else plane.failures[name]}")
    texts = {
        "kernel": "kernel (XFRM): everything can be shown, and `ip xfrm state` is a source of keys",
        "userspace": "userspace: charon does ESP itself over a TUN device (kernel-libipsec), since the kernel has no "
        "ESP: ESP in UDP and tunnel mode only",
        "": "none: neither ESP in the kernel nor a TUN device",
    }
    yield Finding("data plane", bool(plane.usual), texts[plane.usual])


def _scenarios(plane: DataPlane) -> Iterator[Finding]:
    reasons = {name: why_not(load_scenario(name), plane) for name in scenario_names()}
    able = [name for name, reason in reasons.items() if not reason]
    yield Finding("scenarios", bool(able), f"{len(able)} of {len(reasons)} can run here")
    yield from (Finding("scenarios", None, f"{name}: {reason}") for name, reason in reasons.items() if reason)
