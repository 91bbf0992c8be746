"""Writes packets by hand, wrong ones too: an independent writer that knows only the RFCs."""

from __future__ import annotations

import gzip
import ipaddress
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

#: A few whole captures that are small and differ much: IKEv1, IKEv2, cut, NAT, pcapng, TCP, VLAN.
SEEDS = (
    "v1-wrongpsk-a v2-redirect-a v2-noprop-ike-a v2-snap96-a v2-oneway-4500-a v2-oneway-esp-a v2-ctr-a v2-tcp-a "
    "v2-vlan-a"
)


class Craft:
    """Builds captures and IKE messages from parts."""

    @staticmethod
    def pcap(frames: Iterable[bytes], *, link_type: int = 1, seconds: int = 1_700_000_000) -> bytes:
        """A little-endian microsecond pcap with a frame a millisecond."""
        parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type)]
        for index, frame in enumerate(frames):
            at, fraction = divmod(index * 1000, 1_000_000)
            parts.append(struct.pack("<IIII", seconds + at, fraction, len(frame), len(frame)) + frame)
        return b"".join(parts)

    @staticmethod
    def udp(payload: bytes, *, source: str = "192.0.2.1", destination: str = "198.51.100.1", port: int = 500) -> bytes:
        """Ethernet, IPv4 and UDP around a payload, with the same port on both sides."""
        addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0) + addresses
        return bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", port, port, 8 + len(payload), 0) + payload

    @staticmethod
    def esp(spi: int, sequence: int, *, size: int = 64) -> bytes:
        """Ethernet, IPv4 and ESP."""
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 28 + size, 0, 0, 64, 50, 0) + bytes((192, 0, 2, 1, 198, 51, 100, 1))
        return bytes(12) + b"\x08\x00" + ip + struct.pack(">II", spi, sequence) + bytes(size)

    @staticmethod
    def ike(payloads: Iterable[tuple[int, bytes]], *, version: int = 0x20, exchange: int = 34, flags: int = 8,
            spi_i: int = 1, spi_r: int = 0, message_id: int = 0, length: int | None = None) -> bytes:  # fmt: skip
        """An IKE message of (payload type, body) pairs with right lengths; `length` overrules the header's."""
        chain = list(payloads)
        following = [kind for kind, _ in chain[1:]] + [0]
        body = b"".join(
            struct.pack(">BBH", after, 0, 4 + len(data)) + data
            for (_, data), after in zip(chain, following, strict=True)
        )
        first = chain[0][0] if chain else 0
        header = struct.pack(">QQBBBBI", spi_i, spi_r, first, version, exchange, flags, message_id)
        return header + struct.pack(">I", 28 + len(body) if length is None else length) + body

    @staticmethod
    def offer_v2() -> bytes:
        """The body of an SA payload: AES-CBC-256, HMAC-SHA2-256, MODP 2048."""
        transforms = [(1, 12, b"\x80\x0e\x01\x00"), (2, 5, b""), (3, 12, b""), (4, 14, b"")]
        parts = [
            struct.pack(">BBHBBH", 3 if index < len(transforms) else 0, 0, 8 + len(attributes), kind, 0, number)
            + attributes
            for index, (kind, number, attributes) in enumerate(transforms, 1)
        ]
        body = b"".join(parts)
        return struct.pack(">BBHBBBB", 0, 0, 8 + len(body), 1, 1, 0, len(parts)) + body

    @staticmethod
    def offer_v1() -> bytes:
        """The body of an IKEv1 SA payload: AES-CBC-128, SHA-1, MODP 1024, PSK."""
        attributes = b"".join(
            struct.pack(">HH", 0x8000 | kind, value) for kind, value in ((1, 7), (14, 128), (2, 2), (4, 2), (3, 1))
        )
        transform = struct.pack(">BBHBBH", 0, 0, 8 + len(attributes), 1, 1, 0) + attributes
        return struct.pack(">IIBBHBBBB", 1, 1, 0, 0, 8 + len(transform), 1, 1, 0, 1) + transform


@pytest.fixture(scope="session")
def craft() -> type[Craft]:
    """The writer."""
    return Craft


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a process of its own, as a user does."""

    def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "ipsecanalyze", *map(str, arguments)]
        done = subprocess.run(words, input=stdin, capture_output=True, check=False, timeout=120)
        return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def unpacked(path: Path) -> bytes:
    """The octets of a capture without gzip."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


@pytest.fixture(scope="session")
def octets_of() -> Callable[[Path], bytes]:
    """Reads a capture without gzip."""
    return unpacked


@pytest.fixture(scope="session")
def seeds(captures: Path) -> list[bytes]:
    """The first 6,000 octets of small and different captures."""
    return [unpacked(next((captures / name).glob("wan.*")))[:6_000] for name in SEEDS.split()]
