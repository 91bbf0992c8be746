"""The folder that a run leaves: captures, keys, logs, states, a manifest and a report.

    runs/<id>/manifest.json scenario.toml captures/*.pcapng keys/ logs/ state/ report.html

Keys are in `keys/` alone, for their owner only; everything else can be shown around. All of it belongs to the user who
called sudo, where one did.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ipsecanalyze._version import __version__

from .engine import Engine
from .errors import LabError
from .lab import Lab

__all__ = ["Bundle", "facts_of_host", "hand_over", "public_log"]

_DUMP = re.compile(r"=> \d+ bytes @|^\S* ?\d*\[\w+\d*\]\s.*?\s{2,}\d+: (?:[0-9A-F]{2}[ \n])")
_STATES = {
    "sas.txt": ("swanctl", "--list-sas"),
    "connections.txt": ("swanctl", "--list-conns"),
    "addresses.txt": ("ip", "addr"),
    "routes.txt": ("sh", "-c", "ip route show table all; ip -6 route show table all; ip rule"),
    "policies.txt": ("ip", "xfrm", "policy"),
    "traffic.txt": ("ip", "-s", "link"),
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """One run's folder."""

    folder: Path

    @classmethod
    def create(cls, parent: Path, name: str) -> Bundle:
        """A new folder, with those below it. Raises LabError."""
        bundle = cls(parent / name)
        is_new = not parent.exists()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            if is_new:
                hand_over(parent)  # and nothing else that may be there
            bundle.folder.mkdir()
            for below in ("captures", "logs", "state"):
                (bundle.folder / below).mkdir()
            bundle.keys.mkdir(mode=0o700)
        except OSError as error:
            raise LabError(f"{bundle.folder}: {error.strerror or error}") from error
        return bundle

    @property
    def keys(self) -> Path:
        """Where secrets go."""
        return self.folder / "keys"

    def capture(self, name: str) -> Path:
        """A capture's path."""
        return self.folder / "captures" / f"{name}.pcapng"

    def write(self, name: str, text: str) -> None:
        """A file without secrets."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def write_json(self, name: str, document: Mapping[str, Any]) -> None:
        """As JSON in ASCII: hostile text stays escaped."""
        self.write(name, json.dumps(document, indent=1) + "\n")

    def save_states(self, lab: Lab) -> list[str]:
        """Write each node's logs and states; returns the gateways' logs, with dumps left out."""
        logs = []
        for node in lab.scenario.topology.nodes.values():
            container = lab.containers[node.name]
            self.write(f"logs/{node.name}.log", container.logs().decode("utf-8", "replace"))
            names = _STATES if node.speaks_ike else {"addresses.txt": _STATES["addresses.txt"]}
            # One command for all: each one that is sent into a container costs a tenth of a second.
            parts = [f"echo '@@ {name}'; {_quoted(command)} 2>&1" for name, command in names.items()]
            said = lab.run(node.name, "sh", "-c", "; ".join(parts)).text
            for part in said.split("@@ ")[1:]:
                name, _, text = part.partition("\n")
                self.write(f"state/{node.name}-{name}", text)
            for file in ("charon.log", "pluto.log") if node.speaks_ike else ():
                octets = lab.engine.read_file(container, f"/lab/{file}")
                if octets:
                    logs.append(public_log(octets.decode("utf-8", "replace")))
                    self.write(f"logs/{node.name}-{file}", logs[-1])
        return logs

    def finish(self) -> None:
        """Give all of it to whom it belongs."""
        hand_over(self.folder)


def public_log(text: str) -> str:
    """A log without its dumps of octets, which are where keys stand."""
    return "".join(line for line in text.splitlines(keepends=True) if not _DUMP.search(line))


def hand_over(path: Path) -> None:
    """Make the user who called sudo the owner of a file, or of a folder and all in it."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not (user.isdigit() and group.isdigit()):
        return
    for one in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.chown(one, int(user), int(group), follow_symlinks=False)


def facts_of_host(engine: Engine, image: str) -> dict[str, Any]:
    """What a run depends on besides its scenario."""
    info = engine.facts()
    found = engine.client.images.get(image)
    return {
        "ipsecanalyze": __version__,
        "python": platform.python_version(),
        "kernel": str(info.get("KernelVersion", "")),
        "engine": str(info.get("ServerVersion", "")),
        "storage": str(info.get("Driver", "")),
        "image": {"name": image, "id": str(found.id), "created": str(found.attrs.get("Created", ""))},
        "clock": datetime.now(UTC).isoformat(),
    }


def _quoted(command: tuple[str, ...]) -> str:
    return " ".join(f"'{word}'" if " " in word else word for word in command)
