"""Many SPIs: time and memory of 10,000 to 1,000,000 distinct ones, and of SPIs chosen against the table of flows.

    python benchmarks/spis.py [--packets-each 4] [--rounds 3]

First `summarize` as a whole, with its limit of flows, and what it tells of those that it dropped; then the scan with
the limit raised, so that all are kept. Then sets of SPIs that would meet in a table with a weaker hash; the last one
are SPIs that do meet, in a table whose secret is known, which shows what an attack would do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from blocks import Block
from frames import ipv4
from measure import Program, make, run_alternating

COUNTS = (10_000, 100_000, 1_000_000)
CRAFTED = 20_000
#: With this secret the keyed hash gives 0, whatever the flow: as if one knew the secret, and chose SPIs that meet.
KNOWN_SECRET = bytes(32)
SCAN = """
import json, sys, time
from ipsecanalyze._fast import IMPLEMENTATION, make_flow_table, make_scanner
path, limit, secret = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
flows = make_flow_table(limit, 4096)
if secret:
    from ipsecanalyze._fast import _core
    flows.core = _core.Table(secret, limit, 4096, False)
scanner = make_scanner(path=path, flows=flows)
start = time.process_time()
scanner.scan_file(path, lambda datagrams: None)
print(json.dumps([time.process_time() - start, len(flows)]))
"""


def scan(name: str, path: Path, rounds: int, limit: int, secret: bytes = b"") -> Program:
    """A program that scans, and prints the processor's seconds and the flows."""
    command = [sys.executable, "-c", SCAN, str(path), str(limit), secret.hex()]
    return Program(name, command, rounds, keeps_output=True)


def scanned(program: Program) -> tuple[float, int]:
    """The least seconds, and the flows."""
    figures = [json.loads(line) for line in program.output]
    return min(row[0] for row in figures), figures[0][1]


def summarized(path: Path, rounds: int) -> Program:
    command = [sys.executable, "-m", "ipsecanalyze", "summarize", "--quiet", str(path)]
    return Program("summarize", command, rounds, keeps_output=True)


def print_counts(folder: Path, packets_each: int, rounds: int) -> None:
    """Time and memory by the number of SPIs."""
    programs = {}
    for count in COUNTS:
        path = folder / f"{count}.pcap"
        make(path, count * packets_each, sas=count, sizes="small")
        programs[count] = summarized(path, rounds), scan("scan", path, rounds, 2 * COUNTS[-1])
    run_alternating([program for pair in programs.values() for program in pair])
    print("| SPIs | packets | `summarize`, processor s | peak, MB "
          "| scan, all kept, s | ns a packet | peak, MB | octets a flow |")  # fmt: skip
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    told = ""
    first_peak = first_flows = 0
    for count, (whole, alone) in programs.items():
        told = whole.output[0].partition("\nwarnings\n")[2]
        seconds, flows = scanned(alone)
        packets = count * packets_each
        if not first_flows:
            first_peak, first_flows = alone.peak, flows
            each = "-"
        else:
            each = f"{(alone.peak - first_peak) / (flows - first_flows):,.0f}"
        print(
            f"| {count:,} | {packets:,} | {whole.processor_seconds:.2f} | {whole.peak / 1e6:.0f} "
            f"| {seconds:.3f} | {seconds / packets * 1e9:.0f} "
            f"| {alone.peak / 1e6:.0f} | {each} |"
        )
    print(f"\nTold of the last one: {' '.join(told.split())}")


def write_flows(path: Path, flows: Iterable[tuple[int, int]], packets: int) -> None:
    """ESP of these flows, (address, SPI) each, in turns."""
    block = Block()
    for address, spi in flows:
        head = ipv4(address.to_bytes(4), bytes((192, 0, 2, 1)), 50, 64)
        block.add(head + spi.to_bytes(4) + bytes(60), stream=(address, spi), number_at=len(head) + 4)
    block.write(path, packets)


def crafted() -> dict[str, list[tuple[int, int]]]:
    """Sets of flows, (source address, SPI), by what they aim at."""
    random = Random(1)
    one = 0x0A000001
    numbers = range(1, CRAFTED + 1)
    return {
        "random SPIs": [(one, spi) for spi in random.sample(range(256, 1 << 32), CRAFTED)],
        "consecutive": [(one, 0x1000 + n) for n in numbers],
        "alike in their low 16 bits": [(one, n << 16) for n in numbers],
        "alike in their high 16 bits": [(one, 0xC0DE0000 + n) for n in numbers],
        "address XOR SPI always the same": [(one ^ n, 0xC0DE0000 ^ n) for n in numbers],
        "address + SPI always the same": [(one + n, 0xC0DE0000 - n) for n in numbers],
        "multiples of the golden ratio": [(one, n * 0x9E3779B1 % (1 << 32)) for n in numbers],
    }


def print_crafted(folder: Path, packets_each: int, rounds: int) -> None:
    """Time by how the SPIs were chosen."""
    programs = []
    path = folder / "unknown"
    for number, (name, flows) in enumerate(crafted().items()):
        path = folder / f"crafted-{number}.pcap"
        write_flows(path, flows, len(flows) * packets_each)
        programs.append(scan(name, path, rounds, COUNTS[-1]))
    programs.append(scan("any, in a table whose secret is known", path, 1, COUNTS[-1], KNOWN_SECRET))
    run_alternating(programs)
    usual, _ = scanned(programs[0])
    print(f"\n| {CRAFTED:,} SPIs, {packets_each} packets each | scan, s | against random ones |\n|---|---:|---:|")
    for program in programs:
        seconds, flows = scanned(program)
        assert flows == CRAFTED, program.name
        print(f"| {program.name} | {seconds:.3f} | {seconds / usual:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets-each", type=int, default=4, help="packets of each SPI")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print_counts(Path(folder), given.packets_each, given.rounds)
        print_crafted(Path(folder), given.packets_each, given.rounds)


if __name__ == "__main__":
    main()
