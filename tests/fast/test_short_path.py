"""The short path of either core gives exactly what the general path gives: on shipped captures, and on packets made to
differ.
"""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PORTS = [500, 4500, 4500, 53, 443, 4789, 6081, 40_000, 40_001]
ADDRESSES = [bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), bytes((192, 0, 2, 7))]


def ike(spi: bytes, *, length: int = 60) -> bytes:
    """An IKE_SA_INIT request that a strict heuristic takes for one."""
    body = struct.pack(">BBH", 0, 0, length - 28).ljust(length - 28, b"\x07")
    return spi + bytes(8) + struct.pack(">BBBBII", 33, 0x20, 34, 0x08, 0, length) + body


payloads = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda spi, seq, rest: spi.to_bytes(4) + seq.to_bytes(4) + rest,
        st.integers(0, 600),
        st.integers(0, 40),
        st.binary(max_size=40),
    ),
    st.builds(ike, st.sampled_from([b"\x01" * 8, b"\x02" * 8])),
    st.builds(lambda message: bytes(4) + message, st.builds(ike, st.sampled_from([b"\x01" * 8, b"\x03" * 8]))),
    st.just(b"\xff"),
    st.just(b"IKETCP" + struct.pack(">H", 66) + bytes(4) + ike(b"\x01" * 8)),
)


@st.composite
def transports(draw: st.DrawFn) -> tuple[int, bytes]:
    """(protocol, IP payload)."""
    protocol = draw(st.sampled_from([50, 50, 51, 17, 17, 6, 1, 58, 47, 4, 89]))
    data = draw(payloads)
    source, destination = draw(st.sampled_from(PORTS)), draw(st.sampled_from(PORTS))
    if protocol == 17:
        length = 8 + len(data) + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
        return protocol, struct.pack(">HHHH", source, destination, max(length, 0), 0) + data
    if protocol == 6:
        flags = draw(st.sampled_from([0x5010, 0x5018, 0x5002, 0x5004, 0x6010, 0x4010]))
        return protocol, struct.pack(
            ">HHIIHHHH", source, destination, draw(st.integers(0, 99)), 5, flags, 9, 0, 0
        ) + data
    if protocol == 51:
        inner_protocol, inner = draw(transports() if draw(st.booleans()) else st.just((6, b"")))
        words = draw(st.sampled_from([4, 4, 4, 1, 0, 60]))
        return protocol, struct.pack(
            ">BBHII", inner_protocol, words, 0, draw(st.integers(0, 300)), draw(st.integers(0, 9))
        ) + bytes(12) + inner
    if protocol in (1, 58):
        head = struct.pack(">BBHI", draw(st.sampled_from([0, 8, 3, 11, 1, 2, 128])), draw(st.integers(0, 4)), 0, 0)
        return protocol, head + (draw(ip_packets(deep=False)) if draw(st.booleans()) else data)
    if protocol == 4:
        return protocol, draw(ip_packets(deep=False))
    if protocol == 47:
        return protocol, b"\0\0\x08\0" + draw(ip_packets(deep=False))
    return protocol, data


@st.composite
def ip_packets(draw: st.DrawFn, deep: bool = True) -> bytes:
    """IPv4 or IPv6, mostly plain."""
    protocol, payload = draw(transports()) if deep else (50, draw(payloads))
    ttl, service = draw(st.sampled_from([64, 63, 1])), draw(st.sampled_from([0, 0, 0xB8]))
    if draw(st.integers(0, 3)):
        place = draw(st.sampled_from([0, 0x4000, 0x4000, 0x4000, 0x2000, 3, 0x8000, 0xC000]))
        first = draw(st.sampled_from([0x45] * 8 + [0x46, 0x44, 0x65]))
        total = 20 + len(payload) + draw(st.sampled_from([0] * 8 + [1, -1, -20, 300]))
        source, destination = draw(st.sampled_from(ADDRESSES)), draw(st.sampled_from(ADDRESSES))
        head = struct.pack(">BBHHHBBH", first, service, max(total, 0), 7, place, ttl, protocol, 0)
        return head + source + destination + payload
    first = draw(st.sampled_from([6, 6, 6, 6, 5])) << 28 | service << 20
    length = len(payload) + draw(st.sampled_from([0] * 8 + [1, -1, -1000]))
    addresses = [bytes(12) + draw(st.sampled_from(ADDRESSES)) for _ in range(2)]
    return struct.pack(">IHBB", first, max(length, 0), protocol, ttl) + b"".join(addresses) + payload


LINKS: dict[int, list[bytes]] = {
    1: [bytes(12), bytes(12) + b"\x81\x00\x00\x05", bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x20\x06"],
    113: [bytes(14)],
    276: [],
    101: [b""],
    12: [b""],
    228: [b""],
    229: [b""],
    0: [b"\x02\0\0\0"],
}


@st.composite
def captures(draw: st.DrawFn) -> bytes:
    """A pcap or pcapng of such packets, some cut by a snap length, some padded."""
    link = draw(st.sampled_from([1, 1, 1, *LINKS]))
    records = []
    for _ in range(draw(st.integers(1, 12))):
        packet = draw(ip_packets())
        kind = draw(
            st.sampled_from([b"\x08\0" if packet[0] >> 4 != 6 else b"\x86\xdd"] * 6 + [b"\x08\x06", b"\x00\x30"])
        )
        if link == 276:
            packet = kind + bytes(18) + packet
        elif link in (1, 113):
            packet = draw(st.sampled_from(LINKS[link])) + kind + packet
        else:
            packet = LINKS[link][0] + packet
        packet += bytes(draw(st.sampled_from([0, 0, 6, 18])))
        kept = draw(st.sampled_from([len(packet)] * 4 + [len(packet) - 1, 60, 42, 34, 20, 13]))
        records.append((packet[: max(kept, 0)], len(packet)))
    times = [1_700_000_000_000_000_000 + 1_000 * step for step in range(len(records))]
    return draw(st.sampled_from([write_pcap, write_pcapng]))(link, times, records)


def write_pcap(link: int, times: list[int], records: list[tuple[bytes, int]]) -> bytes:
    out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, link)
    for time, (data, wire) in zip(times, records, strict=True):
        out += struct.pack("<IIII", *divmod(time, 10**9), len(data), wire) + data
    return out


def write_pcapng(link: int, times: list[int], records: list[tuple[bytes, int]]) -> bytes:
    out = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    out += struct.pack("<IIHHII", 1, 20, link, 0, 0, 20) * 2
    for number, (time, (data, wire)) in enumerate(zip(times, records, strict=True)):
        body = data + bytes(-len(data) % 4)
        ticks = time // 1000
        out += struct.pack(
            "<IIIIIII", 6, 32 + len(body), number // 2 % 2, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire
        )
        out += body + struct.pack("<I", 32 + len(body))
    return out


@settings(max_examples=100)
@given(captures())
def test_made_packets(scan: Any, general: Any, outcome: Callable[[Any], Any], capture: bytes) -> None:
    assert outcome(scan([capture])) == outcome(general([capture]))


@settings(max_examples=100)
@given(captures())
def test_with_protected_datagrams(scan: Any, general: Any, outcome: Callable[[Any], Any], capture: bytes) -> None:
    both = [run([capture], protected_datagrams=True) for run in (scan, general)]
    assert outcome(both[0]) == outcome(both[1])
    scanner, datagrams = both[0]
    assert sum(flow.packets for flow in scanner.flows) == sum(d.kind.value in ("esp", "ah") for d in datagrams)


@settings(max_examples=50)
@given(captures(), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_captures(
    scan: Any, general: Any, outcome: Callable[[Any], Any], capture: bytes, changes: list[tuple[int, int]]
) -> None:
    octets = bytearray(capture)
    for place, value in changes:
        octets[24 + place % (len(octets) - 24)] = value
    assert outcome(scan([bytes(octets)])) == outcome(general([bytes(octets)]))


def test_shipped_captures(
    capture_file: Any, scan: Any, general: Any, outcome: Callable[[Any], Any], octets_of: Any
) -> None:
    octets = octets_of(capture_file.path)
    assert outcome(scan([octets])) == outcome(general([octets]))


@pytest.mark.captures(where=lambda capture: capture.scenario in ("v2-psk-aescbc-a", "v2-ah-tunnel-a", "v2-natt-a"))
def test_most_protected_packets_take_the_short_path(capture_file: Any, scan: Any, octets_of: Any) -> None:
    scanner, _ = scan([octets_of(capture_file.path)])
    general = scanner._intake.decoder.counts
    counts = scanner.facts.counts
    assert counts.esp + counts.ah > 20
    assert general["esp"] + general["ah"] <= (counts.esp + counts.ah) // 10
