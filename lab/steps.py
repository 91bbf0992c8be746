"""What happens in a lab: initiate, traffic, awaiting, faults. Each step says whether it went as the scenario wants."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .engine import Output
from .errors import LabError
from .gateway import connection_name
from .scenario import Step

if TYPE_CHECKING:
    from .lab import Lab

__all__ = ["Result", "perform"]

_TRAFFIC = "/usr/lib/lab/traffic.py"
_AWAIT = "/usr/lib/lab/await_log.py"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step."""

    step: Step
    worked: bool
    text: str
    """A line for people."""

    @property
    def as_wanted(self) -> bool:
        """Whether it did what the scenario expects of it."""
        return self.worked != self.step.fails


def perform(lab: Lab, step: Step) -> Result:
    """Let it happen."""
    worked, text = _ACTIONS[step.do](lab, step)
    return Result(step, worked, text)


def _initiate(lab: Lab, step: Step) -> tuple[bool, str]:
    worked, lines = True, []
    for initiator, responder in lab.scenario.topology.tunnels:
        if step.node and step.node != initiator:
            continue
        name = connection_name(initiator, responder)
        if lab.scenario.implementations[initiator] == "libreswan":
            output = lab.run(initiator, "timeout", f"{step.seconds:.0f}", "ipsec", "auto", "--up", name)
        else:
            seconds = f"{step.seconds:.0f}"
            output = lab.run(initiator, "swanctl", "--initiate", "--child", name, "--timeout", seconds)
        worked = worked and output.code == 0
        lines.append(f"{name}: {'established' if output.code == 0 else _last_line(output)}")
    return worked, "; ".join(lines)


def _ping(lab: Lab, step: Step) -> tuple[bool, str]:
    """All have to come back. Where some do not, once more: a busy machine loses one now and then, a tunnel loses more.

    Both counts are told; whether what was captured is what went in is judged packet for packet all the same.
    """
    told = f"ping {step.source} → {step.target}: "
    worked, came = _ping_once(lab, step)
    told += came
    if not worked and came.endswith("came back") and not came.startswith("0 "):
        worked, came = _ping_once(lab, step)
        told += f"; once more: {came}"
    return worked, told


def _ping_once(lab: Lab, step: Step) -> tuple[bool, str]:
    target = lab.plan.host_address(step.target)
    numbers = ["-c", str(step.count), "-s", str(step.size), "-i", f"{step.interval:g}", "-W", "2"]
    output = lab.run(step.source, "ping", "-q", "-n", *numbers, target)
    found = re.search(r"(\d+) packets transmitted, (\d+) received", output.text)
    if found is None:
        return False, _last_line(output)
    sent, came = int(found[1]), int(found[2])
    # What a router loses, by order of the scenario, is no failure of the tunnel.
    worked = came == sent or (came > 0 and lab.scenario.router.drop_every > 0)
    return worked, f"{came} of {sent} came back"


def _tcp(lab: Lab, step: Step) -> tuple[bool, str]:
    return _program(lab, step, "tcp", "octets of TCP", str(step.size))


def _udp(lab: Lab, step: Step) -> tuple[bool, str]:
    return _program(lab, step, "udp", "datagrams", str(step.count), str(step.size), f"{step.interval:g}")


def _program(lab: Lab, step: Step, what: str, unit: str, *numbers: str) -> tuple[bool, str]:
    output = lab.run(step.source, "python3", _TRAFFIC, what, lab.plan.host_address(step.target), *numbers)
    said = _last_line(output)
    worked = output.code == 0 or (what == "udp" and lab.scenario.router.drop_every > 0 and not said.startswith("0 "))
    return worked, f"{what} {step.source} → {step.target}: {said} {unit} came back"


def _await(lab: Lab, step: Step) -> tuple[bool, str]:
    file = "/lab/pluto.log" if lab.scenario.implementations[step.node] == "libreswan" else "/lab/charon.log"
    offset = str(lab.log_offsets.get(step.node, 0))
    output = lab.run(step.node, "python3", _AWAIT, file, offset, f"{step.seconds:g}", step.log)
    if output.code:
        return False, f"{step.node}'s log has no {step.log!r} within {step.seconds:g} s"
    place, _, line = output.text.partition(" ")
    lab.log_offsets[step.node] = int(place)
    return True, f"{step.node}: {line.strip()}"


def _isolate(lab: Lab, step: Step) -> tuple[bool, str]:
    network = lab.scenario.topology.wan(step.node)
    tap = lab.tap(step.node, network)
    output = lab.run(step.node, "ip", "link", "set", tap.device, "down")
    return output.code == 0, f"{step.node} is cut off from {network}"


def _rekey(lab: Lab, step: Step) -> tuple[bool, str]:
    return _swanctl(lab, step, "--rekey", *(("--child",) if step.child else ("--ike",)))


def _terminate(lab: Lab, step: Step) -> tuple[bool, str]:
    return _swanctl(lab, step, "--terminate", "--ike")


def _swanctl(lab: Lab, step: Step, *words: str) -> tuple[bool, str]:
    lines, worked = [], True
    for pair in lab.scenario.topology.tunnels:
        if step.node in pair:
            output = lab.run(step.node, "swanctl", *words, connection_name(*pair))
            worked = worked and output.code == 0
            lines.append(f"{step.node}: {words[0].lstrip('-')} {connection_name(*pair)}: {_last_line(output)}")
    if not lines:
        raise LabError(f"{step.node} has no tunnel", slug="scenario")
    return worked, "; ".join(lines)


def _last_line(output: Output) -> str:
    lines = output.text.strip().splitlines()
    return lines[-1].strip() if lines else f"exit code {output.code}"


_ACTIONS: dict[str, Callable[[Lab, Step], tuple[bool, str]]] = {
    "initiate": _initiate,
    "ping": _ping,
    "tcp": _tcp,
    "udp": _udp,
    "await": _await,
    "isolate": _isolate,
    "rekey": _rekey,
    "terminate": _terminate,
}
