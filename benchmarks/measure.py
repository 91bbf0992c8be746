"""Runs programs side by side and measures them as whole processes: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median


@dataclass(slots=True)
class Program:
    """A command to be measured, and what its runs took."""

    name: str
    command: Sequence[str]
    rounds: int = 5
    environment: dict[str, str] = field(default_factory=dict)
    keeps_output: bool = False
    """What it prints is kept, rather than going to /dev/null."""
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    peak: int = 0
    """Octets resident, of the largest process."""
    output: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return median(self.wall)

    @property
    def processor_seconds(self) -> float:
        return median(self.processor)

    def run(self) -> None:
        """Run it once. Leaves this process where it fails."""
        environment = {**os.environ, **self.environment}
        # Python compiles a module once, not at every start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            start = time.perf_counter()
            child = subprocess.Popen(
                self.command,
                stdout=output if self.keeps_output else subprocess.DEVNULL,
                stderr=errors,
                env=environment,
            )
            _, status, usage = os.wait4(child.pid, 0)
            self.wall.append(time.perf_counter() - start)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                errors.seek(0)
                sys.exit(f"{self.name}: {' '.join(self.command)}\n{errors.read().decode(errors='replace')}")
            output.seek(0)
            self.output.append(output.read().decode())
        self.processor.append(usage.ru_utime + usage.ru_stime)
        self.peak = max(self.peak, usage.ru_maxrss * 1024)


def run_alternating(programs: Sequence[Program]) -> None:
    """Run each as often as it wants, in turns, so that what disturbs the machine disturbs all."""
    for turn in range(max(program.rounds for program in programs)):
        for program in programs:
            if turn < program.rounds:
                program.run()


def floor() -> int:
    """Peak memory that a measured process cannot be told to stay below: Linux counts its parent's until it starts."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make(path: Path, packets: int, **mix: object) -> None:
    """Make a capture of ESP, in a process of its own: what this one holds would count as memory of its children."""
    generator = Path(__file__).with_name("generate.py")
    options = [word for name, value in mix.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, generator, "esp", path, "--packets", str(packets), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
