"""Copies captures and their truth from a corpus folder into this one; README.md here says what came of it.

    python import_corpus.py CORPUS

Each folder of CORPUS is a scenario: captures, `expected.json` (what tshark read) and `meta.json` (what was set up).
Only the container of a capture is touched: records may be cut (never IKE, never a link, IP or ESP header) and whole
files are gzipped. Nothing here uses ipsecanalyze: test data must not depend on what it tests.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

#: What a README of the project names, so it stays readable without unpacking.
PLAIN = {"v2-psk-aescbc-a"}
#: Captures of another point than wan.pcap that show something wan.pcap does not.
EXTRAS = {
    "v2-espfrag-a": ["wan-moon.pcap"],  # the ICMP errors about ESP
    "v2-loss-a": ["wan-sun.pcap"],  # what the other side received
    "v2-multigw-a": ["wan-all.pcapng"],  # three interfaces
    "v2-natt-a": ["wan-sun.pcap"],  # translated address and ports
    "v2-oneway-4500-a": ["wan-sun.pcap"],
    "v2-oneway-esp-a": ["wan-sun.pcap"],
}
#: Their ESP algorithms and features have another capture that is kept whole.
CUT = {
    "interop-v1-a", "interop-v2-a", "lsw-v1-a", "v1-aggr-psk-a", "v1-dpd-dead-a", "v1-natt-a", "v1-rekey-pfs-a",
    "v1-xauth-a", "v2-cookie-a", "v2-delete-a", "v2-dpd-dead-a", "v2-eap-mschapv2-a", "v2-invalid-ke-a", "v2-loss-a",
    "v2-mobike-a", "v2-multichild-a", "v2-multigw-a", "v2-rekey-nopfs-a", "v2-vlan-a",
}  # fmt: skip
CUT_FILES = {("v2-espfrag-a", "wan-moon.pcap"), ("v2-natt-a", "wan-sun.pcap")}
#: Here everything but IKE is cut to `LARGE_KEEP` octets.
LARGE = "mixed-large"
LARGE_KEEP = 62

ESP_KEEP = 8 + 40
META = (
    "what", "ike_version", "exchange_mode", "ike_proposal", "child_proposal", "auth", "mode", "nat", "fault",
    "addresses", "captured_at", "expected_failure", "gateways", "pcap_form", "pfs", "virtual_ip_pool", "manual", "spis",
    "versions",
)  # fmt: skip

Keep = Callable[[bytes], int]


def protected_offset(frame: bytes) -> int | None:
    """Where ESP begins in an Ethernet frame; None for anything else, IP fragments included."""
    position, ether_type = 14, frame[12:14]
    while ether_type == b"\x81\x00":
        ether_type = frame[position + 2 : position + 4]
        position += 4
    if ether_type == b"\x08\x00":
        if int.from_bytes(frame[position + 6 : position + 8]) & 0x3FFF:
            return None
        protocol = frame[position + 9]
        position += (frame[position] & 15) * 4
    elif ether_type == b"\x86\xdd":
        protocol = frame[position + 6]
        position += 40
    else:
        return None
    if protocol == 50:
        return position
    if protocol == 17:
        ports = struct.unpack_from(">HH", frame, position)
        if 4500 in ports and len(frame) > position + 16 and any(frame[position + 8 : position + 12]):
            return position + 8
    return None


def is_ike(frame: bytes) -> bool:
    """Whether an Ethernet frame without VLAN tags is UDP of port 500 or 4500 (this keeps keepalives too)."""
    size = {b"\x08\x00": 20, b"\x86\xdd": 40}.get(frame[12:14])
    if size is None or frame[23 if size == 20 else 20] != 17:
        return False
    ports = struct.unpack_from(">HH", frame, 14 + size)
    return 500 in ports or 4500 in ports


def keep_protected_start(frame: bytes) -> int:
    """How many octets of a frame stay: headers and the first octets of ESP, all of anything else."""
    offset = protected_offset(frame)
    return len(frame) if offset is None else min(len(frame), offset + ESP_KEEP)


def keep_large(frame: bytes) -> int:
    """How many octets of a frame of the large capture stay."""
    return len(frame) if is_ike(frame) else min(len(frame), LARGE_KEEP)


def cut_pcap(data: bytes, keep: Keep) -> Iterator[bytes]:
    """Yield a classic pcap with its records cut; byte order and resolution stay."""
    order = "<" if data[0] in (0xD4, 0x4D) else ">"
    yield data[:24]
    position = 24
    while position < len(data):
        seconds, fraction, captured, wire = struct.unpack_from(order + "IIII", data, position)
        frame = data[position + 16 : position + 16 + captured]
        kept = keep(frame)
        yield struct.pack(order + "IIII", seconds, fraction, kept, wire) + frame[:kept]
        position += 16 + captured


def cut_pcapng(data: bytes, keep: Keep) -> Iterator[bytes]:
    """Yield a little-endian pcapng with its Enhanced Packet Blocks cut.

    Of a section header the options (on what machine the files were merged) go; all other blocks and options stay.
    """
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from("<II", data, position)
        block = data[position : position + length]
        position += length
        if kind == 0x0A0D0D0A:
            yield block[:4] + struct.pack("<I", 28) + block[8:24] + struct.pack("<I", 28)
            continue
        if kind != 6:
            yield block
            continue
        captured = struct.unpack_from("<I", block, 20)[0]
        frame = block[28 : 28 + captured]
        options = block[28 + (captured + 3 & ~3) : -4]
        kept = keep(frame)
        body = block[8:20] + struct.pack("<I", kept) + block[24:28] + frame[:kept] + bytes(-kept % 4) + options
        total = struct.pack("<I", len(body) + 12)
        yield block[:4] + total + body + total


@dataclass
class Row:
    """One line of the table in README.md."""

    path: str
    source_sha256: str
    sha256: str
    change: str


def import_capture(source: Path, target: Path) -> Row:
    """Copy one capture, cut and packed as the tables above say."""
    scenario, data, change = source.parent.name, source.read_bytes(), "whole"
    original = hashlib.sha256(data).hexdigest()
    keep: Keep | None = None
    if scenario == LARGE:
        keep, change = keep_large, f"all but IKE cut to {LARGE_KEEP} octets"
    elif scenario in CUT or (scenario, source.name) in CUT_FILES:
        keep, change = keep_protected_start, f"ESP cut {ESP_KEEP} octets after its start"
    if keep is not None:
        data = b"".join((cut_pcapng if source.suffix == ".pcapng" else cut_pcap)(data, keep))
    packed = gzip.compress(data, 9, mtime=0)
    name = source.name
    if scenario not in PLAIN and len(packed) < 0.95 * len(data):
        data, name = packed, name + ".gz"
    (target / name).write_bytes(data)
    return Row(f"{scenario}/{name}", original, hashlib.sha256(data).hexdigest(), change)


def import_scenario(source: Path) -> list[Row]:
    """Copy one scenario: captures, `expected.json`, the parts of `meta.json` that hold no secrets."""
    target = HERE / source.name
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        if old.is_file():  # the folder "keys" is import_keys.py's
            old.unlink()
    (target / "expected.json").write_bytes((source / "expected.json").read_bytes())
    meta = json.loads((source / "meta.json").read_text())
    trimmed = {key: meta[key] for key in META if key in meta}
    (target / "meta.json").write_text(json.dumps(trimmed, indent=1) + "\n")
    if not json.loads((source / "expected.json").read_text())["ike_messages"] and "tcp" in source.name:
        # tshark sees nothing in RFC 9329 streams: what the makers' own reader of the stream counted is the truth.
        (target / "verify.json").write_bytes((source / "verify.json").read_bytes())
    names = [*(path.name for path in sorted(source.glob("wan.pcap*"))), *EXTRAS.get(source.name, [])]
    return [import_capture(source / name, target) for name in names]


def main() -> None:
    """Import every scenario and write the table of provenance."""
    corpus = Path(sys.argv[1])
    rows = [row for folder in sorted(corpus.iterdir()) if folder.is_dir() for row in import_scenario(folder)]
    lines = ["| File | SHA-256 of the original, unpacked | SHA-256 here | Octets |", "|---|---|---|---|"]
    lines += [f"| {row.path} | {row.source_sha256} | {row.sha256} | {row.change} |" for row in rows]
    readme = HERE / "README.md"
    head, marker, _ = readme.read_text().partition("<!-- table: import_corpus.py -->\n")
    readme.write_text(head + marker + "\n".join(lines) + "\n")
    size = sum((HERE / row.path).stat().st_size for row in rows)
    sys.stdout.write(f"{len(rows)} captures, {size} octets\n")


if __name__ == "__main__":
    main()
