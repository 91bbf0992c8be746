"""What the scanners count in batches, and what few packets have: floated ports, impossible times, limits."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from ipsecanalyze import Analyzer
from ipsecanalyze._fast.contract import CaptureFacts, Limits
from ipsecanalyze._fast.intake import FLUSH_EVERY
from ipsecanalyze._fast.python import PythonScanner

HERE, THERE = bytes((192, 0, 2, 1)), bytes((198, 51, 100, 1))
PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def ethernet(protocol: int, payload: bytes) -> bytes:
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + HERE + THERE
    return bytes(12) + b"\x08\x00" + ip + payload


def esp(spi: int, sequence: int) -> bytes:
    return struct.pack(">II", spi, sequence) + bytes(24)


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return ethernet(17, struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload)


def pcap(frames: list[bytes]) -> bytes:
    times = (divmod(number, 1000) for number in range(len(frames)))
    heads = (struct.pack("<II", 1_700_000_000 + seconds, rest) for seconds, rest in times)
    lengths = (struct.pack("<II", len(frame), len(frame)) for frame in frames)
    return PCAP + b"".join(part for parts in zip(heads, lengths, frames, strict=True) for part in parts)


@pytest.mark.parametrize("lanes", [3, 1000])
def test_arrivals_wait_until_there_are_enough_for_each_lane(
    lanes: int, scan: Any, outcome: Callable[[Any], Any]
) -> None:
    frames = [ethernet(50, esp(1 + number % lanes, 1 + number // lanes)) for number in range(FLUSH_EVERY + 100)]
    octets = pcap(frames)
    scanner = PythonScanner(path="test")
    scanner.feed(octets)
    taken = sum(flow.packets for flow in scanner.flows)
    assert taken == (FLUSH_EVERY if lanes == 3 else 0)
    scanner.flush()
    assert sum(flow.packets for flow in scanner.flows) == len(frames)
    scanner.feed(b"", final=True)
    # Neither when they are counted nor by which core changes anything.
    assert outcome((scanner, [])) == outcome(scan([octets]))


def test_esp_on_floated_ports_is_inferred(scan: Any) -> None:
    ike = struct.pack(">QQBBBBII", 1, 2, 46, 0x20, 35, 8, 1, 60) + struct.pack(">BBH", 0, 0, 32) + bytes(28)
    floated = [udp(1024, 61000, b"\0\0\0\0" + ike), *(udp(1024, 61000, esp(0x1234, n)) for n in (1, 2))]
    later = udp(4500, 4500, esp(0x1234, 3))
    (flow,) = scan([pcap(floated)])[0].flows.finish()
    assert (flow.packets, flow.inferred_packets, flow.is_inferred) == (2, 2, True)
    (flow,) = scan([pcap([*floated, later])])[0].flows.finish()
    assert (flow.packets, flow.inferred_packets, flow.is_inferred) == (3, 2, False)
    analyzer = Analyzer()
    analyzer.feed(pcap(floated))
    (entry,) = analyzer.finish().to_dict()["flows"]
    assert (entry["certainty"], entry["inferred_packets"]) == ("inferred", 2)


def test_the_limit_of_gaps_is_that_of_the_analysis() -> None:
    octets = pcap([ethernet(50, esp(7, number)) for number in range(1, 6000, 2)])
    for gaps, slugs in ((10, ["gap-limit"]), (4096, [])):
        analyzer = Analyzer(limits=Limits(gaps=gaps))
        analyzer.feed(octets)
        analysis = analyzer.finish()
        assert [notice.slug for notice in analysis.notices] == slugs
        (flow,) = analysis.flows
        assert (flow.sequence.settled > 0, flow.sequence.lost) == (bool(slugs), 2999)


def test_secrets_are_not_shown() -> None:
    facts = CaptureFacts("capture", decryption_secrets=[(0x544C534B, b"CLIENT_RANDOM 0123")])
    assert "CLIENT_RANDOM" not in repr(facts)
    assert "544" not in repr(facts)


@pytest.mark.parametrize(("offset_s", "kept"), [(1 << 40, 1 << 62), (-(1 << 40), -(1 << 62)), (1 << 32, None)])
def test_times_beyond_64_bits_are_told(
    offset_s: int, kept: int | None, scan: Any, outcome: Callable[[Any], Any]
) -> None:
    def block(kind: int, body: bytes) -> bytes:
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    def packet(interface: int, ticks: int, frame: bytes) -> bytes:
        padded = frame + bytes(-len(frame) & 3)
        fields = interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame)
        return block(6, struct.pack("<IIIII", *fields) + padded)

    frames = [ethernet(50, esp(9, number)) for number in range(1, 6)]
    octets = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    octets += block(1, struct.pack("<HHI", 1, 0, 0))
    octets += block(1, struct.pack("<HHIHHqHH", 1, 0, 0, 14, 8, offset_s, 0, 0))
    octets += b"".join(packet(number in (1, 3), 1_000_000 + number, frame) for number, frame in enumerate(frames))
    result = scan([octets])
    facts, (flow,) = result[0].facts, result[0].flows.finish()
    odd_ns = (offset_s + 1) * 1_000_000_000 + 3_000 if kept is None else kept
    assert (facts.packets, flow.packets, flow.sequence.lost) == (5, 5, 0)
    assert odd_ns in (facts.first_time_ns, facts.last_time_ns)
    assert facts.notice_counts == ({} if kept is None else {"time-out-of-range": 2})
    assert [notice.frame for notice in facts.notices] == ([] if kept is None else [2])
    pieces = [octets[start : start + 50] for start in range(0, len(octets), 50)]
    assert outcome(scan(pieces)) == outcome(result)
