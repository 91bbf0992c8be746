"""Opening ESP: how fast captures are decrypted and written, beside a bare loop of the cipher, and tshark.

    python benchmarks/decrypt.py                                   # makes captures, measures, prints a table
    python benchmarks/decrypt.py --packets 1000000 --sizes 1400 --suites gcm,cbc --no-tshark
    python benchmarks/decrypt.py --make out.pcap --keys out.esp_sa --packets 100000

Everything is measured in one run, in turns, so that what disturbs the machine disturbs all; beside the time on the wall
stands the processor's, which tells what a core can do on a machine that has other work. The captures are made with
`cryptography`, their keys written as Wireshark's table esp_sa, which both programs read.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from struct import Struct

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES

_PCAP = Struct("<IHHiIII").pack(0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
_RECORD = Struct("<IIII")
_ETHERNET = bytes.fromhex("020000000002020000000001") + b"\x08\x00"
_START = 1_700_000_000
_IPV4 = Struct(">BBHHHBBH4s4s")
_SUITES = {
    "gcm": ("AES-GCM with 16 octet ICV [RFC4106]", "NULL", 16, 4, 0),
    "cbc": ("AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]", 16, 0, 32),
}


def ipv4(source: bytes, destination: bytes, protocol: int, payload: bytes, ident: int) -> bytes:
    """A whole IPv4 packet."""
    fields = [0x45, 0, 20 + len(payload), ident & 0xFFFF, 0x4000, 64, protocol, 0, source, destination]
    head = _IPV4.pack(*fields)
    total = sum(int.from_bytes(head[at : at + 2]) for at in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    fields[7] = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
    return _IPV4.pack(*fields) + payload


class Sa:
    """One direction of a tunnel."""

    def __init__(self, suite: str, number: int, random: Random) -> None:
        self.suite = suite
        self.spi = 0xC0000000 + number
        _, _, key, salt, auth = _SUITES[suite]
        self.key, self.salt, self.auth = random.randbytes(key), random.randbytes(salt), random.randbytes(auth)
        self.source, self.destination = bytes((192, 0, 2, number % 250 + 1)), bytes((198, 51, 100, number % 250 + 1))
        self.sequence = 0
        self._aead = AESGCM(self.key) if suite == "gcm" else None

    def protect(self, inner: bytes, next_header: int = 4) -> bytes:
        """The next ESP packet around `inner`."""
        self.sequence += 1
        head = self.spi.to_bytes(4) + self.sequence.to_bytes(4)
        block = 4 if self._aead else 16
        pad = -(len(inner) + 2) % block
        plain = inner + bytes(range(1, pad + 1)) + bytes((pad, next_header))
        if self._aead is not None:
            iv = self.sequence.to_bytes(8)
            return head + iv + self._aead.encrypt(self.salt + iv, plain, head)
        iv = hashlib.sha256(head).digest()[:16]
        encryptor = Cipher(AES(self.key), modes.CBC(iv)).encryptor()
        body = head + iv + encryptor.update(plain) + encryptor.finalize()
        return body + hmac.digest(self.auth, body, "sha256")[:16]

    def row(self) -> str:
        """As a line of Wireshark's esp_sa."""
        encryption, integrity, *_ = _SUITES[self.suite]
        addresses = [".".join(map(str, address)) for address in (self.source, self.destination)]
        auth = f"0x{self.auth.hex()}" if self.auth else ""
        cells = [
            "IPv4",
            *addresses,
            f"0x{self.spi:08x}",
            encryption,
            f"0x{(self.key + self.salt).hex()}",
            integrity,
            auth,
        ]
        return ",".join(f'"{cell}"' for cell in cells)


def make(path: Path, keys: Path, suite: str, packets: int, size: int, sas: int = 8) -> None:
    """Write a capture of tunnel packets whose inner packets have `size` octets, and its keys."""
    random = Random(7)
    tunnels = [Sa(suite, number, random) for number in range(sas)]
    keys.write_text("".join(sa.row() + "\n" for sa in tunnels))
    payload = random.randbytes(size)
    with path.open("wb") as stream:
        stream.write(_PCAP)
        for number in range(packets):
            sa = tunnels[number % sas]
            ports = (40_000 + number % 32).to_bytes(2) + (443).to_bytes(2)
            tcp = ports + number.to_bytes(8) + b"\x50\x18" + payload[: size - 32]
            inner = ipv4(bytes((10, 1, 0, 1 + number % 200)), bytes((10, 2, 0, 9)), 6, tcp, number)
            frame = _ETHERNET + ipv4(sa.source, sa.destination, 50, sa.protect(inner), number)
            seconds, rest = divmod(number * 3_000, 1_000_000_000)
            stream.write(_RECORD.pack(_START + seconds, rest, len(frame), len(frame)) + frame)


Times = tuple[float, float]
"""Seconds on the wall, and of processors."""


def spent(start: Times = (0.0, 0.0)) -> Times:
    """The time since `start`, of this process and those that it has waited for."""
    used = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return time.perf_counter() - start[0], used - start[1]


def bare_gcm(count: int, size: int) -> Times:
    """Time of `AESGCM.decrypt` alone, on packets of that size."""
    key = AESGCM(os.urandom(16))
    nonce, head = os.urandom(12), os.urandom(8)
    sealed = key.encrypt(nonce, os.urandom(size + 4), head)
    decrypt = key.decrypt
    start = spent()
    for _ in range(count):
        decrypt(nonce, sealed, head)
    return spent(start)


def bare_cbc(count: int, size: int) -> Times:
    """Time of HMAC-SHA2-256 and AES-CBC alone."""
    key, auth = os.urandom(16), os.urandom(32)
    sealed = os.urandom(16 + (size + 17) // 16 * 16)
    digest = hmac.digest
    start = spent()
    for _ in range(count):
        digest(auth, sealed, "sha256")
        decryptor = Cipher(AES(key), modes.CBC(sealed[:16])).decryptor()
        decryptor.update(sealed[16:])
    return spent(start)


def run(words: list[str]) -> Times:
    """Time of a program."""
    start = spent()
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"{words}: {done.stderr.decode()}")
    return spent(start)


def measure(suite: str, packets: int, size: int, rounds: int, folder: Path, with_tshark: bool, jobs: int) -> None:
    """Measure one suite and print its lines."""
    capture, keys, out = folder / f"{suite}.pcap", folder / f"{suite}.esp_sa", folder / f"{suite}.pcapng"
    make(capture, keys, suite, packets, size)
    ours = [sys.executable, "-m", "ipsecanalyze", "decrypt", str(capture), "--keys", str(keys), "-o", str(out), "-q"]
    bare = bare_gcm if suite == "gcm" else bare_cbc
    best: dict[str, float] = {}
    best_of_processor: dict[str, float] = {}

    def take(name: str, times: Times, count: int) -> None:
        for rates, seconds in zip((best, best_of_processor), times, strict=True):
            rates[name] = max(rates.get(name, 0.0), count / seconds)

    tshark = shutil.which("tshark") if with_tshark else None
    few = min(packets, 60_000)
    if tshark:
        small = folder / f"{suite}-few.pcap"
        make(small, keys, suite, few, size)
        options = [f"uat:esp_sa:{row}" for row in keys.read_text().splitlines()]
        words = [tshark, "-n", "-r", str(small), "-o", "esp.enable_encryption_decode:TRUE"]
        words += ["-o", "esp.enable_authentication_check:TRUE", *(part for row in options for part in ("-o", row))]
    for _ in range(rounds):
        take("bare", bare(min(packets, 200_000), size), min(packets, 200_000))
        take("1 core", run([*ours, "--jobs", "1"]), packets)
        if jobs > 1:
            take(f"{jobs} cores", run([*ours, "--jobs", str(jobs)]), packets)
        if tshark:
            take("tshark", run(words), few)
    for clock, rates in (("wall", best), ("processor", best_of_processor)):
        for name, rate in rates.items():
            ratio = f"{rates['bare'] / rate:5.2f} x slower than bare"
            if "tshark" in rates and name != "bare":
                ratio += f", {rate / rates['tshark']:5.1f} x tshark"
            print(f"{suite:5} {size:5} octets  {name:8} {rate:10,.0f} packets/s ({clock})  {ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=300_000)
    parser.add_argument("--size", type=int, default=1400)
    parser.add_argument("--suites", default="gcm,cbc")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-tshark", action="store_true")
    parser.add_argument("--make", type=Path)
    parser.add_argument("--keys", type=Path)
    options = parser.parse_args()
    suites = options.suites.split(",")
    if options.make:
        make(options.make, options.keys, suites[0], options.packets, options.size)
        return
    with tempfile.TemporaryDirectory() as folder:
        for suite in suites:
            measure(
                suite, options.packets, options.size, options.rounds, Path(folder), not options.no_tshark, options.jobs
            )


if __name__ == "__main__":
    main()
