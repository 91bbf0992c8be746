"""ipsecanalyze beside other programs that read captures: time and memory of whole processes, on the same capture.

    python benchmarks/peers.py [CAPTURE] [--plot docs/performance.svg]

Without a capture it makes one: IMIX, 128 SAs, 15 % other traffic, 4 GB. All programs run in turns, with the capture in
the page cache; times are medians. What is slow runs fewer times, on the first packets of the capture, and its time is
scaled: start-up (measured on a thousand packets), and time per packet. Needs tcpdump; leaves out what is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

from measure import Program, floor, make, run_alternating

IPSEC = "esp or udp port 500 or udp port 4500"
STARTUP_PACKETS = 1_000

# What people write: SPI and highest sequence number, counted per SPI.
DPKT = """
import sys, dpkt
seen = {}
with open(sys.argv[1], "rb") as file:
    for time, octets in dpkt.pcap.UniversalReader(file):
        ip = dpkt.ethernet.Ethernet(octets).data
        if isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.esp.ESP):
            packets, highest = seen.get(ip.data.spi, (0, 0))
            seen[ip.data.spi] = (packets + 1, max(highest, ip.data.seq))
"""
SCAPY = """
import sys
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader
seen = {}
with PcapReader(sys.argv[1]) as reader:
    for packet in reader:
        if ESP in packet:
            packets, highest = seen.get(packet[ESP].spi, (0, 0))
            seen[packet[ESP].spi] = (packets + 1, max(highest, packet[ESP].seq))
"""
NFSTREAM = """
import sys, nfstream
if __name__ == "__main__":
    for flow in nfstream.NFStreamer(source=sys.argv[1]):
        pass
"""
SCAN = """
import json, os, sys, time
from ipsecanalyze._fast import make_scanner
scanner = make_scanner(path=sys.argv[1])
start, begun = time.perf_counter(), time.process_time()
scanner.scan_file(sys.argv[1], lambda datagrams: None)
seconds = time.perf_counter() - start, time.process_time() - begun
print(json.dumps([*seconds, scanner.facts.packets, os.path.getsize(sys.argv[1])]))
"""


@dataclass(slots=True)
class Row:
    """A program, and its time on the whole capture."""

    name: str
    seconds: float
    processor_seconds: float
    peak: int
    scaled_from: int = 0
    """Packets that it ran on, where its time is scaled."""


@dataclass(slots=True)
class Scan:
    """The scan of a capture, without the process around it."""

    name: str
    seconds: float
    processor_seconds: float
    packets: int
    octets: int


@dataclass(slots=True)
class Part:
    """The first packets of a capture, for slow programs, and the very first, for their start-up."""

    packets: int
    path: Path
    startup: Path

    @classmethod
    def of(cls, capture: Path, packets: int, folder: Path) -> Part:
        path, startup = folder / f"first-{packets}.pcap", folder / f"first-{STARTUP_PACKETS}.pcap"
        for count, target in ((packets, path), (STARTUP_PACKETS, startup)):
            command = ["tcpdump", "-r", capture, "-c", str(count), "--time-stamp-precision=nano", "-w", target]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return cls(packets, path, startup)


def summarize(capture: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "ipsecanalyze", "summarize", "--quiet", *options, str(capture)]


def has_jobs() -> bool:
    """Whether summarize can be told how many cores to use."""
    told = subprocess.run([*summarize(Path(), "--help")], capture_output=True, text=True, check=True)
    return "--jobs" in told.stdout


def quick_programs(capture: Path, rounds: int) -> list[Program]:
    """Those that read gigabytes in seconds."""
    path = str(capture)
    programs = [
        Program("`ipsecanalyze summarize`", summarize(capture), rounds),
        Program("`cat`", ["cat", path], rounds),
        Program("`tcpdump -w`, filter of IPsec", ["tcpdump", "-r", path, "-w", "/dev/null", IPSEC], rounds),
    ]
    if has_jobs():
        one = Program("`ipsecanalyze summarize --jobs 1`", summarize(capture, "--jobs", "1"), rounds)
        programs.insert(1, one)
    if shutil.which("capinfos"):
        programs.append(Program("`capinfos -cdae`, no hashes", ["capinfos", "-cdae", path], rounds))
    return programs


def slow_programs(path: Path, python: str, rounds: int) -> list[Program]:
    """Those that take microseconds for a packet."""
    programs = [Program("`ipsecanalyze summarize`, Python core", summarize(path), rounds, {"IPSECANALYZE_PURE": "1"})]
    if shutil.which("tshark"):
        fields = ["-T", "fields", "-e", "esp.spi", "-e", "esp.sequence"]
        programs.append(
            Program("`tshark -T fields`, SPI and sequence", ["tshark", "-n", "-r", str(path), *fields], rounds)
        )
    for module, code in (("dpkt", DPKT), ("nfstream", NFSTREAM), ("scapy", SCAPY)):
        if subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0:
            programs.append(Program(f"{module}, a loop", [python, "-c", code, str(path)], rounds))
    return programs


def scaled_rows(part: Part, packets: int, python: str, rounds: int) -> list[Row]:
    """Slow programs, on a part of the capture."""
    runs = slow_programs(part.path, python, rounds)
    startups = slow_programs(part.startup, python, rounds)
    run_alternating([*runs, *startups])
    factor = (packets - STARTUP_PACKETS) / (part.packets - STARTUP_PACKETS)

    def scaled(run: float, startup: float) -> float:
        return startup + (run - startup) * factor

    return [
        Row(
            run.name,
            scaled(run.seconds, startup.seconds),
            scaled(run.processor_seconds, startup.processor_seconds),
            run.peak,
            part.packets,
        )
        for run, startup in zip(runs, startups, strict=True)
    ]


def scans(captures: dict[str, Path], rounds: int) -> list[Scan]:
    """The scan alone, in a process of its own on one core."""
    programs = [
        Program(name, [sys.executable, "-c", SCAN, str(path)], rounds, keeps_output=True)
        for name, path in captures.items()
    ]
    run_alternating(programs)
    figures = []
    for program in programs:
        walls, processors, packets, octets = zip(*map(json.loads, program.output), strict=True)
        figures.append(Scan(program.name, median(walls), median(processors), packets[0], octets[0]))
    return figures


def machine() -> str:
    """Processor, cores, system, and the versions of what runs."""
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(": ")[2] for line in described.splitlines() if line.startswith("model name")]
    parts = [models[0] if models else platform.machine(), f"{os.cpu_count()} cores", platform.platform()]
    parts.append(f"CPython {platform.python_version()}")
    for program in ("ipsecanalyze", "tcpdump", "tshark", "capinfos"):
        command = [sys.executable, "-m", program] if program == "ipsecanalyze" else [program]
        if program == "ipsecanalyze" or shutil.which(program):
            told = subprocess.run([*command, "--version"], capture_output=True, text=True).stdout
            parts.append(told.splitlines()[0].rstrip("."))
    return "; ".join(parts)


def print_rows(rows: list[Row], packets: int) -> None:
    ours = rows[0].seconds
    least = floor()
    print("| program | wall time, s | packets/s | times ours | processor time, s | peak memory, MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for row in rows:
        note = f" (first {row.scaled_from:,} packets, scaled)" if row.scaled_from else ""
        peak = f"{row.peak / 1e6:,.0f}" if row.peak > least else f"< {least / 1e6:.0f}"
        print(
            f"| {row.name}{note} | {row.seconds:,.2f} | {packets / row.seconds:,.0f} | {row.seconds / ours:,.2f} "
            f"| {row.processor_seconds:,.2f} | {peak} |"
        )


def print_scans(figures: list[Scan]) -> None:
    print(
        "\n| the scan alone, one core | GB/s | M packets/s | GB/s of processor time | M packets/s of processor time |"
    )
    print("|---|---:|---:|---:|---:|")
    for scan in figures:
        rates = (
            f"{scan.octets / seconds / 1e9:.2f} | {scan.packets / seconds / 1e6:.1f}"
            for seconds in (scan.seconds, scan.processor_seconds)
        )
        print(f"| {scan.name} | {' | '.join(rates)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", type=Path, help="the capture; made if not given")
    parser.add_argument("--packets", type=int, default=10_000_000, help="packets in what is made")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each; slow ones run three times at most")
    parser.add_argument("--part", type=int, default=500_000, metavar="N", help="packets for slow programs")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has dpkt, scapy and nfstream")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the times (SVG or PNG)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        capture = given.capture
        if capture is None:
            capture = folder / "imix.pcap"
            make(capture, given.packets, sas=128, other=0.15)
        small = folder / "small.pcap"
        make(small, given.packets, sas=128, sizes="small")
        figures = scans({"IMIX": capture, "ESP of 64 octets": small}, given.rounds)
        small.unlink()
        packets, octets = figures[0].packets, figures[0].octets
        quick = quick_programs(capture, given.rounds)
        run_alternating(quick)
        rows = [Row(run.name, run.seconds, run.processor_seconds, run.peak) for run in quick]
        part = Part.of(capture, min(given.part, packets), folder)
        rows += scaled_rows(part, packets, given.python, min(given.rounds, 3))
    rows[1:] = sorted(rows[1:], key=lambda row: row.seconds)
    print(f"{machine()}\n\n{octets / 1e9:.2f} GB, {packets:,} packets; medians of {given.rounds} runs\n")
    print_rows(rows, packets)
    print_scans(figures)
    if given.plot:
        from plot import draw

        draw(given.plot, {row.name: row.seconds for row in rows}, f"Reading {octets / 1e9:.1f} GB of IPsec traffic")


if __name__ == "__main__":
    main()
