"""Speed of the pure-Python core against dpkt and tshark, on captures made here.

    python benchmarks/pure.py [--packets 1000000] [--ike 50000] [--folder DIR]

Times are the processor's (user and system) of a fresh process each, the best of `--rounds`, so that a busy machine
disturbs less. tshark reads the same files and prints the fields that the scanner looks at.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_esp, write_ike

SCAN = """
import sys
from ipsecanalyze._fast.python import PythonScanner
scanner = PythonScanner(path=sys.argv[1])
scanner.scan_file(sys.argv[1], lambda datagrams: None)
assert scanner.facts.packets
"""
ANALYZE = """
import sys
import ipsecanalyze
analysis = ipsecanalyze.analyze(sys.argv[1])
assert analysis.captures[0].packets
"""
# What people write: dpkt's reader and decoder, SPI and sequence counted per SPI.
DPKT = """
import sys
import dpkt
seen = {}
with open(sys.argv[1], "rb") as file:
    for time, octets in dpkt.pcap.UniversalReader(file):
        ip = dpkt.ethernet.Ethernet(octets).data
        if isinstance(ip, dpkt.ip.IP):
            esp = ip.data
            if isinstance(esp, dpkt.udp.UDP) and 4500 in (esp.sport, esp.dport):
                esp = dpkt.esp.ESP(esp.data)
            if isinstance(esp, dpkt.esp.ESP):
                packets, highest = seen.get(esp.spi, (0, 0))
                seen[esp.spi] = (packets + 1, max(highest, esp.seq))
"""
ESP_FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "esp.spi", "esp.sequence", "ip.len", "ip.ttl")
IKE_FIELDS = (
    "frame.time_epoch",
    "ip.src",
    "ip.dst",
    "isakmp.ispi",
    "isakmp.rspi",
    "isakmp.exchangetype",
    "isakmp.messageid",
    "isakmp.notify.msgtype",
    "isakmp.tf.id.encr",
)
#: What our records hold of these messages.
IKE_RECORD_FIELDS = (
    *IKE_FIELDS,
    *("frame.number", "ip.ttl", "ip.dsfield", "udp.srcport", "udp.dstport"),
    *("isakmp.flags", "isakmp.length", "isakmp.typepayload", "isakmp.notify.data", "isakmp.prop.number"),
    *("isakmp.prop.protoid", "isakmp.tf.type", "isakmp.tf.id.prf", "isakmp.tf.id.integ", "isakmp.tf.id.dh"),
    *("isakmp.ike2.attr.key_length", "isakmp.key_exchange.dh_group", "isakmp.key_exchange.data"),
    *("isakmp.nonce", "isakmp.vid_bytes", "isakmp.enc.data"),
)


def processor_seconds(command: list[str], rounds: int) -> float:
    """The least processor time of the command and its children."""
    best = float("inf")
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return best


def tshark(path: Path, fields: tuple[str, ...]) -> list[str] | None:
    """The command line of tshark; None where it is not installed."""
    program = shutil.which("tshark")
    if program is None:
        return None
    return [program, "-n", "-r", str(path), "-T", "fields", *(part for field in fields for part in ("-e", field))]


def python(code: str, path: Path) -> list[str]:
    return [sys.executable, "-c", code, str(path)]


def row(name: str, packets: int, commands: dict[str, list[str] | None], rounds: int) -> None:
    """Run the commands and print a row: packets per second of each, and how many times as fast the first one is."""
    seconds = {key: processor_seconds(command, rounds) for key, command in commands.items() if command}
    own = next(iter(seconds.values()))
    cells = [
        f"{key} {packets / spent:>9,.0f}/s" + (f" ({spent / own:.2f}x)" if spent != own else "")
        for key, spent in seconds.items()
    ]
    print(f"{name:<34}" + "   ".join(cells), flush=True)


def startup(rounds: int) -> None:
    """`ipsecanalyze --version` against an interpreter that does nothing."""
    program = Path(sys.executable).with_name("ipsecanalyze")
    version = processor_seconds([str(program), "--version"], rounds * 5)
    nothing = processor_seconds([sys.executable, "-c", "pass"], rounds * 5)
    told = f"{version * 1000:.0f} ms, python -c pass {nothing * 1000:.0f} ms: {version / nothing:.2f}x"
    print(f"{'ipsecanalyze --version':<34}{told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=1_000_000, help="ESP packets in each capture")
    parser.add_argument("--ike", type=int, default=50_000, help="IKE SAs, four messages each")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the captures are made; kept if given")
    given = parser.parse_args()
    os.environ["IPSECANALYZE_PURE"] = "1"
    # A newcomer's Python compiles a module once, not at every start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{'':<34}packets per second of processor time; in brackets: how many times ours it takes")
        kinds: dict[str, Callable[[Path], int]] = {
            "ESP, IMIX, 20 SAs": lambda path: write_esp(path, packets=given.packets, sas=20),
            "ESP, small packets, 1 % lost": lambda path: write_esp(
                path, packets=given.packets, sas=20, sizes="small", loss=0.01
            ),
            "ESP in UDP, IMIX": lambda path: write_esp(path, packets=given.packets, sas=20, udp_share=1),
            "ESP among 80 % other traffic": lambda path: write_esp(path, packets=given.packets, sas=20, other=0.8),
            "ESP, pcapng": lambda path: write_esp(path, packets=given.packets, sas=20, form="pcapng"),
            "ESP, 20,000 SAs": lambda path: write_esp(path, packets=given.packets, sas=20_000),
        }
        for number, (name, write) in enumerate(kinds.items()):
            path = folder / f"esp-{number}.pcap"
            packets = write(path)
            commands = {"ours": python(SCAN, path), "dpkt": python(DPKT, path), "tshark": tshark(path, ESP_FIELDS)}
            row(name, packets, commands, given.rounds)
            if given.folder is None:
                path.unlink()
        path = folder / "ike.pcap"
        packets = write_ike(path, sas=given.ike)
        commands = {
            "ours": python(ANALYZE, path),
            f"tshark, {len(IKE_FIELDS)} fields": tshark(path, IKE_FIELDS),
            f"tshark, {len(IKE_RECORD_FIELDS)} fields": tshark(path, IKE_RECORD_FIELDS),
        }
        row(f"IKE, {given.ike:,} SAs", packets, commands, given.rounds)
    startup(given.rounds)


if __name__ == "__main__":
    main()
