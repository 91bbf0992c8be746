"""Writes what decryption must give back: digests of the packets on the clear-text side of each scenario.

    python import_clear.py CORPUS

Each folder of CORPUS has `lan*.pcap[.gz]`, captured on the LAN side of the gateways. Of each IP packet there, cut to
its length, TTL and header checksum set to zero (they differ by the hop), the first 8 octets of its SHA-256 are kept,
sorted, in `clear.sha256` beside the capture. Only scenarios whose capture here is whole get one. Nothing here uses
ipsecanalyze.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
from pathlib import Path

import dpkt
from import_corpus import CUT, LARGE

HERE = Path(__file__).parent
DIGEST = 8


def digest(packet: bytes) -> bytes:
    """Of an IP packet, without what a hop changes."""
    data = bytearray(packet)
    if data[0] >> 4 == 4:
        data[8] = 0
        data[10:12] = bytes(2)
        data = data[: int.from_bytes(data[2:4])]
    else:
        data[7] = 0
        data = data[: 40 + int.from_bytes(data[4:6])]
    return hashlib.sha256(data).digest()[:DIGEST]


def clear_packets(folder: Path) -> set[bytes]:
    """The digests of a scenario."""
    found = set()
    for path in sorted(folder.glob("lan*.pcap*")):
        data = path.read_bytes()
        reader = dpkt.pcap.UniversalReader(io.BytesIO(gzip.decompress(data) if path.suffix == ".gz" else data))
        for _, frame in reader:
            position = 12
            while frame[position : position + 2] == b"\x81\x00":
                position += 4
            if frame[position : position + 2] in (b"\x08\x00", b"\x86\xdd"):
                found.add(digest(frame[position + 2 :]))
    return found


def main() -> None:
    """Write the files."""
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        if not folder.is_dir() or folder.name in CUT or folder.name == LARGE:
            continue
        found = clear_packets(folder)
        if len(found) > 1:
            (HERE / folder.name / "clear.sha256").write_bytes(b"".join(sorted(found)))


if __name__ == "__main__":
    main()
