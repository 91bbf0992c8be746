"""Where to capture, and how to get there: a `Tap` starts one tcpdump, whose packets come through a pipe.

Three ways, which are Docker's network modes:

* nsenter: tcpdump of this host inside the container's network namespace. It sees the container's interfaces and writes
  to us, so nothing in the container has to own a file. Needs root, and an engine on this machine.
* sidecar: a second container in the same namespace (network mode container:NAME). Needs neither, only the lab's image.
* host: tcpdump on the host's side, on the bridge of a network.

Ready is a tcpdump that has said "listening on"; before that, packets may be missed. It is ended by closing its
standard input, or by our death: a shell around it waits for that, and sends SIGINT, after which tcpdump writes what it
still has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from .engine import Engine, engine_errors
from .errors import LabError
from .labels import Mark

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["METHODS", "Counts", "Stream", "Tap", "choose_method", "device_of", "open_stream", "parse_counts"]

METHODS = ("nsenter", "sidecar", "host")
_CHUNK = 1 << 16
#: -U and immediate mode: a packet is handed on when it comes, so that nothing is left in buffers when it ends.
#: The kernel's buffer (-B, KiB) makes up for the cost. Nanoseconds, because they are there.
_TCPDUMP = ("tcpdump", "-n", "-U", "-w", "-", "--immediate-mode", "-B", "16384", "--time-stamp-precision=nano")
# Once its input ends, SIGINT. Only tcpdump holds our pipes: when it ends by itself, or does not even start, they do.
_WATCH = (
    'exec 3<&0 </dev/null; "$@" 3<&- & child=$!; { cat <&3; kill -INT $child; } >/dev/null 2>&1 & watch=$!; '
    "exec 3<&- >/dev/null 2>&1; wait $child; kill $watch"
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What tcpdump said at its end; None where it said nothing."""

    captured: int | None = None
    received: int | None = None
    """By the kernel's filter; packets that were still under way at the end are among them."""
    dropped: int | None = None
    """By the kernel, for want of buffers: what the capture lacks."""
    written: int | None = None
    """How many of those that it captured came through the pipe, and are in the file."""
    early: bool = False
    """It ended before it was told to: from then on everything is missing."""


@dataclass(frozen=True, slots=True)
class Tap:
    """One interface to capture on."""

    label: str
    """What the capture calls it."""
    container: Container
    device: str
    """"any", or the interface's name inside the container; on the host where `method` is "host"."""
    method: str
    filter: str = ""


class Stream(Protocol):
    """A running tcpdump."""

    def read(self) -> bytes:
        """The next octets of a pcap file; b"" at its end."""

    def stop(self) -> None:
        """Ask it to end; what it has still comes by `read`."""

    def close(self) -> Counts:
        """Wait for its end."""


def choose_method(container: Container) -> str:
    """The best way on this machine."""
    sandbox = str(container.attrs["NetworkSettings"].get("SandboxKey", ""))
    can_enter = os.geteuid() == 0 and os.path.exists(sandbox)  # noqa: PTH110 - not readable as a path for everybody
    return "nsenter" if can_enter and shutil.which("nsenter") and shutil.which("tcpdump") else "sidecar"


def device_of(engine: Engine, container: Container, address: str, method: str) -> str:
    """The interface inside a container that has this address. Raises LabError."""
    command = ["ip", "-o", "addr", "show", "to", address]
    if method == "nsenter":  # works in containers that have no `ip` too
        sandbox = container.attrs["NetworkSettings"]["SandboxKey"]
        done = subprocess.run(  # noqa: S603
            ["nsenter", f"--net={sandbox}", *command],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout.split()
    else:
        said = engine.execute(container, command).text.split()
    if len(said) < 2:
        raise LabError(f"{container.name} has no interface with the address {address}", slug="capture")
    return said[1]


def open_stream(engine: Engine, tap: Tap, image: str | None) -> Stream:
    """Start tcpdump and wait until it listens. `image` is for sidecars. Raises LabError."""
    command = [*_TCPDUMP, "-i", tap.device, *(["--", tap.filter] if tap.filter else [])]
    if tap.method == "sidecar":
        if image is None:
            raise LabError("a sidecar needs the lab's image: run `ipsecanalyze lab image`", slug="image")
        return _Sidecar(engine, tap, command, image)
    if tap.method == "nsenter":
        sandbox = str(tap.container.attrs["NetworkSettings"].get("SandboxKey", ""))
        if not sandbox:
            raise LabError(f"{tap.container.name} has no network namespace of its own", slug="capture")
        command = ["nsenter", f"--net={sandbox}", *command]
    return _Process(tap, command)


def parse_counts(words: str) -> Counts:
    """From tcpdump's last words."""

    def count(what: str) -> int | None:
        found = re.search(rf"^(\d+) packets? {what}", words, re.MULTILINE)
        return int(found[1]) if found else None

    return Counts(count("captured"), count("received by filter"), count("dropped by kernel"))


class _Process:
    """tcpdump as our child."""

    def __init__(self, tap: Tap, command: Sequence[str]) -> None:
        for tool in ("tcpdump", command[0]):
            if shutil.which(tool) is None:
                raise LabError(f"{tool} is not installed on this machine: apt install {tool}", slug="missing-tool")
        # In a session of its own: Ctrl-C is for us, who end it in order.
        self._child = subprocess.Popen(  # noqa: S603
            ["sh", "-c", _WATCH, "sh", *command],  # noqa: S607
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._words = ""
        self._early = False
        assert self._child.stderr is not None  # noqa: S101 - for the type checker
        for line in self._child.stderr:
            self._words += line.decode("utf-8", "replace")
            if b"listening on" in line:
                return
        self.stop()
        self._child.wait()
        raise LabError(_refusal(tap, self._words), slug="capture")

    def read(self) -> bytes:
        return os.read(cast("BinaryIO", self._child.stdout).fileno(), _CHUNK)

    def stop(self) -> None:
        if self._child.stdin is not None and not self._child.stdin.closed:
            self._early = self._child.poll() is not None
            self._child.stdin.close()

    def close(self) -> Counts:
        with self._child:
            self.stop()
            assert self._child.stderr is not None  # noqa: S101 - for the type checker
            self._words += self._child.stderr.read().decode("utf-8", "replace")
        return replace(parse_counts(self._words), early=self._early)


class _Sidecar:
    """tcpdump in a container that shares the namespace."""

    def __init__(self, engine: Engine, tap: Tap, command: Sequence[str], image: str) -> None:
        self._words = ""
        self._early = False
        lab = tap.container.labels.get("ipsecanalyze.lab.id", "sidecar")
        labels = Mark(lab, "", 24 * 3600, attended=True).labels()
        with engine_errors(f"capturing in {tap.container.name}"):
            self._container = engine.client.containers.create(
                image,
                list(command),
                network_mode=f"container:{tap.container.id}",
                labels=labels,
                stop_signal="SIGINT",
            )
            try:
                # Attached before it runs: nothing that it says can be missed.
                self._pieces: Iterator[tuple[bytes | None, bytes | None]] = engine.client.api.attach(
                    self._container.id, stdout=True, stderr=True, stream=True, demux=True
                )
                self._container.start()
                self._first = self._until_it_listens(tap)
            except BaseException:
                self._container.remove(force=True)
                raise

    def _until_it_listens(self, tap: Tap) -> bytes:
        first = b""
        for out, said in self._pieces:
            first += out or b""
            self._words += (said or b"").decode("utf-8", "replace")
            if "listening on" in self._words:
                return first
        raise LabError(_refusal(tap, self._words), slug="capture")

    def read(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        for out, said in self._pieces:
            self._words += (said or b"").decode("utf-8", "replace")
            if out:
                return out
        return b""

    def stop(self) -> None:
        from docker.errors import APIError

        try:
            self._container.kill(signal="SIGINT")
        except APIError:  # it has ended already
            self._early = True

    def close(self) -> Counts:
        with engine_errors("removing the sidecar"):
            self._container.remove(force=True)
        return replace(parse_counts(self._words), early=self._early)


def _refusal(tap: Tap, words: str) -> str:
    text = " ".join(words.split()) or "it said nothing"
    advice = " (capturing there needs root)" if "permi" in text.lower() else ""
    return f"tcpdump on {tap.label} ({tap.device}) did not start: {text}{advice}"
