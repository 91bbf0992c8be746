"""Peak memory of floods and of long captures, each measured in a process of its own.

    python benchmarks/memory.py [--half-open 200000] [--packets 1000000]

Prints what went in, peak resident memory, and what the analysis said that it dropped. The captures are made on the fly
and fed in pieces, so the memory is that of the analysis.
"""

from __future__ import annotations

import argparse
import json
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
PIECE = 1 << 20


def udp_frame(payload: bytes) -> bytes:
    """Ethernet, IPv4 and UDP of port 500 around a payload; addresses are filled in per packet."""
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, 0, 0xC6336401)
    return bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", 500, 500, 8 + len(payload), 0) + payload


def ike_sa_init() -> bytes:
    """A plausible request: SA, KE, nonce and both NAT detection notifies; 440 octets as of strongSwan."""
    transforms = [(1, 12, b"\x80\x0e\x01\x00"), (2, 5, b""), (3, 12, b""), (4, 14, b"")]
    inner = b"".join(
        struct.pack(">BBHBBH", 3 if index < len(transforms) else 0, 0, 8 + len(tail), kind, 0, number) + tail
        for index, (kind, number, tail) in enumerate(transforms, 1)
    )
    proposal = struct.pack(">BBHBBBB", 0, 0, 8 + len(inner), 1, 1, 0, len(transforms)) + inner
    chain = [(33, proposal), (34, b"\x00\x0e\x00\x00" + bytes(256)), (40, bytes(32))]
    chain += [(41, struct.pack(">BBH", 0, 0, kind) + bytes(20)) for kind in (16388, 16389)]
    following = [kind for kind, _ in chain[1:]] + [0]
    pairs = zip(chain, following, strict=True)
    body = b"".join(struct.pack(">BBH", after, 0, 4 + len(data)) + data for (_, data), after in pairs)
    return struct.pack(">QQBBBBII", 0, 0, 33, 0x20, 34, 8, 0, 28 + len(body)) + body


def half_open(count: int) -> Iterator[bytes]:
    """Frames of `count` IKE_SA_INIT requests, each from another address and with another SPI."""
    frame = bytearray(udp_frame(ike_sa_init()))
    for index in range(count):
        struct.pack_into(">I", frame, 26, 0x0A000000 + index)
        struct.pack_into(">Q", frame, 42, 0xF100D00000000000 + index)
        yield bytes(frame)


def esp(count: int, flows: int) -> Iterator[bytes]:
    """Frames of `count` ESP packets, in order but for one lost in a hundred, over `flows` SPIs."""
    frame = bytearray(bytes(12) + b"\x08\x00" + struct.pack(">BBHHHBBHII", 0x45, 0, 128, 0, 0, 64, 50, 0, 0xC0000201,
                                                           0xC6336401) + bytes(108))  # fmt: skip
    for index in range(count):
        if index % 100 != 99:
            struct.pack_into(">II", frame, 34, 0xC0000000 + index % flows, 1 + index // flows)
            yield bytes(frame)


CASES = {
    "half-open": half_open,
    "esp-2-spis": lambda count: esp(count, 2),
    "esp-all-spis": lambda count: esp(count, count),
}


def pieces(frames: Iterator[bytes]) -> Iterator[bytes]:
    """A pcap in pieces of about a megabyte."""
    buffer = bytearray(PCAP_HEADER)
    for index, frame in enumerate(frames):
        seconds, rest = divmod(index, 10_000)
        buffer += struct.pack("<IIII", 1_700_000_000 + seconds, rest * 100, len(frame), len(frame)) + frame
        if len(buffer) > PIECE:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


def peak() -> int:
    """Peak resident memory of this process in KiB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def child(case: str, count: int) -> None:
    """Analyse one case and print the figures as JSON."""
    from ipsecanalyze import Analyzer

    analyzer = Analyzer()
    began = time.perf_counter()
    for piece in pieces(CASES[case](count)):
        analyzer.feed(piece)
    analysis = analyzer.finish()
    elapsed = time.perf_counter() - began
    after_analysis = peak()
    analysis.summary()
    notices = [*analysis.notices, *(notice for capture in analysis.captures for notice in capture.notices)]
    figures = {"seconds": round(elapsed, 1), "peak": after_analysis, "peak_with_text": peak(),
               "ike_sas": len(analysis.ike_sas), "flows": len(analysis.flows), "messages": len(analysis.messages),
               "told": sorted({notice.message for notice in notices})[:6]}  # fmt: skip
    print(json.dumps(figures))


def measure(case: str, count: int) -> None:
    """Run one case in a process of its own and print a line of the table."""
    done = subprocess.run([sys.executable, __file__, "--child", case, str(count)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    row = json.loads(done.stdout)
    print(f"{case:14} {count:>9,} packets {row['seconds']:>6} s  peak {row['peak'] / 1024:6.0f} MiB "
          f"(with the text {row['peak_with_text'] / 1024:.0f})  {row['ike_sas']} IKE SAs, {row['flows']} flows, "
          f"{row['messages']} messages")  # fmt: skip
    for line in row["told"]:
        print(f"{'':14} told: {line}")


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half-open", type=int, default=200_000, metavar="N", help="spoofed IKE_SA_INITs")
    parser.add_argument("--packets", type=int, default=1_000_000, metavar="N", help="ESP packets")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]))
        return
    measure("half-open", options.half_open // 2)
    measure("half-open", options.half_open)
    measure("esp-2-spis", options.packets // 4)
    measure("esp-2-spis", options.packets)
    measure("esp-all-spis", options.packets // 4)


if __name__ == "__main__":
    main()
