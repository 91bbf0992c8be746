"""Instructions per packet of a scan, counted by `valgrind --tool=callgrind`: the same on any day, busy or not.

    python benchmarks/instructions.py

Each mix is scanned in captures of two sizes; the difference leaves out start-up, and the first packets of each flow.
"C core" is `scan_run` and what it calls; "process" is all in user mode, the interpreter included. What the kernel does
is not counted. The secret of the table of flows is a fixed one here, so that the same flows meet each time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_esp

#: A flow settles down after its first thousand packets: 128 flows have done so before the smaller capture ends.
SIZES = (300_000, 600_000)
MIXES: dict[str, dict[str, Any]] = {
    "ESP, IMIX": {},
    "ESP of 64 octets": {"sizes": "small"},
    "ESP in UDP, IMIX": {"udp_share": 1.0},
    "ESP in a VLAN, IMIX": {"vlan_share": 1.0},
    "ESP, IMIX, pcapng": {"form": "pcapng"},
    "ESP, IMIX, 1 % lost": {"loss": 0.01},
    "85 % ESP, IMIX; 15 % other traffic": {"other": 0.15},
    "other traffic": {"other": 1.0},
}
SCAN = """
import sys
from ipsecanalyze._fast import _core, make_flow_table, make_scanner
flows = make_flow_table(1024, 4096)
flows.core = _core.Table(bytes(range(32)), 1024, 4096, False)
scanner = make_scanner(path=sys.argv[1], flows=flows)
scanner.scan_file(sys.argv[1], lambda datagrams: None)
assert scanner.facts.packets == int(sys.argv[2])
"""


def instructions(path: Path, packets: int) -> tuple[int, int]:
    """Instructions of a process that scans the capture: in the C core, and in all."""
    command = [sys.executable, "-c", SCAN, str(path), str(packets)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # Once without counting: what Python compiles is kept then.
    subprocess.run(command, check=True, env=environment)
    profile = path.with_suffix(".callgrind")
    counting = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", *command]
    done = subprocess.run(counting, capture_output=True, text=True, env=environment)
    whole = re.search(r"Collected : (\d+)", done.stderr)
    told = subprocess.run(
        ["callgrind_annotate", "--auto=no", "--inclusive=yes", "--threshold=100", profile],
        capture_output=True,
        text=True,
    )
    core = re.search(r"^ *([\d,]+) .*:scan_run ", told.stdout, re.MULTILINE)
    if done.returncode or whole is None or core is None:
        sys.exit(done.stderr + told.stderr)
    return int(core[1].replace(",", "")), int(whole[1])


def main() -> None:
    print(f"captures of {SIZES[0]:,} and {SIZES[1]:,} packets, 128 SAs\n")
    print("| instructions per packet | C core | process |\n|---|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture"
        for name, mix in MIXES.items():
            counts = []
            for packets in SIZES:
                write_esp(path, packets=packets, sas=128, **mix)
                counts.append(instructions(path, packets))
            core, whole = ((large - small) / (SIZES[1] - SIZES[0]) for small, large in zip(*counts, strict=True))
            print(f"| {name} | {core:.0f} | {whole:.0f} |", flush=True)


if __name__ == "__main__":
    main()
