"""Captures made for tests: ESP packets built by hand, and shipped captures with packets taken out, moved or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from struct import pack

import ipsecanalyze
from ipsecanalyze import Analysis, Packet
from ipsecanalyze.findings import Finding

CAPTURES = Path(__file__).parents[1] / "captures"
MOON, SUN = "192.0.2.1", "198.51.100.1"
MS = 1_000_000
START_NS = 1_700_000_000_000_000_000
RAW_IP = 101


def esp(
    number: int,
    time_ns: int,
    *,
    spi: int = 0xC0FFEE01,
    source: str = MOON,
    destination: str = SUN,
    ttl: int = 63,
    ip_id: int | None = None,
    size: int = 64,
    link_type: int = RAW_IP,
) -> Packet:
    """An ESP packet in raw IPv4, `time_ns` after the start; its octets follow from SPI and number."""
    body = pack(">II", spi, number & 0xFFFFFFFF) + bytes((number * 7 + at) & 0xFF for at in range(size))
    ident = number & 0xFFFF if ip_id is None else ip_id
    addresses = bytes(int(part) for address in (source, destination) for part in address.split("."))
    ip = pack(">BBHHHBBH", 0x45, 0, 20 + len(body), ident, 0, ttl, 50, 0) + addresses
    data = ip + body
    if link_type == 276:  # LINUX_SLL2
        data = pack(">HHIHBB", 0x0800, 0, 1, 1, 4, 6) + bytes(8) + data
    return Packet(START_NS + time_ns, link_type, data, len(data), 0)


def packets_of(scenario: str, name: str = "wan.pcap") -> list[Packet]:
    """The packets of a shipped capture."""
    path = next(CAPTURES.joinpath(scenario).glob(f"{name}*"))
    with ipsecanalyze.open_capture(path) as reader:
        return list(reader)


def written(path: Path, packets: Iterable[Packet]) -> Path:
    """A capture of these packets."""
    ipsecanalyze.write_capture(path, list(packets))
    return path


def analyzed(folder: Path, packets: Iterable[Packet]) -> Analysis:
    """The analysis of a capture of these packets."""
    return ipsecanalyze.analyze(written(folder / "made.pcapng", packets))


def findings(folder: Path, packets: Iterable[Packet]) -> dict[str, list[Finding]]:
    """What is diagnosed of these packets, by slug."""
    found: dict[str, list[Finding]] = {}
    for finding in analyzed(folder, packets).diagnose():
        found.setdefault(finding.slug, []).append(finding)
    return found


def is_esp(packet: Packet, spi: int | None = None) -> bool:
    """Whether an Ethernet packet over IPv4 is ESP (of that SPI)."""
    data = packet.data
    return data[12:14] == b"\x08\x00" and data[23] == 50 and (spi is None or data[34:38] == spi.to_bytes(4))


def number_of(packet: Packet) -> int:
    """The sequence number of an Ethernet, IPv4, ESP packet."""
    return int.from_bytes(packet.data[38:42])


def source_of(packet: Packet) -> str:
    """The sender of an Ethernet, IPv4 packet."""
    return ".".join(str(octet) for octet in packet.data[26:30])


def kept(packets: Iterable[Packet], wanted: Callable[[Packet], bool]) -> list[Packet]:
    """Those that are wanted."""
    return [packet for packet in packets if wanted(packet)]


__all__ = [
    "CAPTURES",
    "MOON",
    "MS",
    "START_NS",
    "SUN",
    "analyzed",
    "esp",
    "findings",
    "is_esp",
    "kept",
    "number_of",
    "packets_of",
    "source_of",
    "written",
]
