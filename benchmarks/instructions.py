"""Instructions per packet of a scan, counted by `valgrind --tool=callgrind`: the same on any day, busy or not.

    python benchmarks/instructions.py

Each mix is scanned in captures of two sizes; the difference leaves out start-up, and the first packets of each flow.
Counted is all that the process does in user mode, the interpreter included; not what the kernel does.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_esp

#: A flow settles down after its first thousand packets: 128 flows have done so before the smaller capture ends.
SIZES = (300_000, 800_000)
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
from ipsecanalyze._fast import make_scanner
scanner = make_scanner(path=sys.argv[1])
scanner.scan_file(sys.argv[1], lambda datagrams: None)
assert scanner.facts.packets == int(sys.argv[2])
"""


def instructions(path: Path, packets: int) -> int:
    """Instructions of a process that scans the capture."""
    command = [sys.executable, "-c", SCAN, str(path), str(packets)]
    environment = {"PYTHONHASHSEED": "0"}
    # Once without counting: what Python compiles is kept then.
    subprocess.run(command, check=True, env=environment)
    counting = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    done = subprocess.run(counting, capture_output=True, text=True, env=environment)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or counted is None:
        sys.exit(done.stderr)
    return int(counted[1])


def main() -> None:
    print(f"captures of {SIZES[0]:,} and {SIZES[1]:,} packets, 128 SAs\n")
    print("| mix | instructions per packet |\n|---|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture"
        for name, mix in MIXES.items():
            counts = []
            for packets in SIZES:
                write_esp(path, packets=packets, sas=128, **mix)
                counts.append(instructions(path, packets))
            print(f"| {name} | {(counts[1] - counts[0]) / (SIZES[1] - SIZES[0]):.0f} |", flush=True)


if __name__ == "__main__":
    main()
