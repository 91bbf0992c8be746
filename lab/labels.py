"""Labels that every container and network of a lab carries: whose it is, who made it, until when it may live.

`down` and `gc` are queries by these labels; nothing else is remembered anywhere, so that nothing can be out of step.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LAB", "NODE", "SCENARIO", "Mark", "is_abandoned"]

_PREFIX = "ipsecanalyze.lab"
LAB = f"{_PREFIX}.id"
NODE = f"{_PREFIX}.node"
SCENARIO = f"{_PREFIX}.scenario"
_CREATOR = f"{_PREFIX}.creator"
_CREATED = f"{_PREFIX}.created"
_EXPIRES = f"{_PREFIX}.expires"


@dataclass(frozen=True, slots=True)
class Mark:
    """What all labels of one lab have in common."""

    lab: str
    scenario: str
    seconds: int
    """How long it may live."""
    attended: bool
    """Whether the lab is to end with the process that made it (`run`), or stays for work by hand (`up`)."""

    def labels(self, node: str = "") -> dict[str, str]:
        """The labels of a container or network."""
        now = int(time.time())
        labels = {LAB: self.lab, SCENARIO: self.scenario, _CREATED: str(now), _EXPIRES: str(now + self.seconds)}
        if self.attended:
            labels[_CREATOR] = _creator(os.getpid())
        return labels | ({NODE: node} if node else {})


def is_abandoned(labels: Mapping[str, str], now: float) -> str:
    """Why nobody wants a thing with these labels any more; "" where somebody may."""
    expires = labels.get(_EXPIRES, "")
    if expires.isdigit() and now > int(expires):
        return "its time is over"
    creator = labels.get(_CREATOR)
    if creator is not None:
        host, process, _ = creator.split(" ", 2) if creator.count(" ") >= 2 else ("", "0", "")
        if host == socket.gethostname() and _creator(int(process)) != creator:
            return f"process {process}, which made it, has ended"
    return ""


def _creator(process: int) -> str:
    """A process, told apart from a later one of the same number by when it began."""
    try:
        # Behind the name, which is in parentheses and may hold anything; field 22 of proc(5).
        began = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = "?" if _runs(process) else "gone"
    return f"{socket.gethostname()} {process} {began}"


def _runs(process: int) -> bool:
    if Path("/proc/self").exists():
        return False  # it would have had its file there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
