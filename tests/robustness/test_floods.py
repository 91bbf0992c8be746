"""Floods from strangers: limits hold, what they drop is told, and what is real survives."""

from __future__ import annotations

import struct

import pytest

from ipsecanalyze import Analyzer, Limits

FLOOD = 30_000


def analyze(data: bytes, limits: Limits):
    analyzer = Analyzer(limits=limits)
    analyzer.feed(data)
    return analyzer.finish()


def told(analysis) -> str:
    """All that was told beside the records."""
    notices = [*analysis.notices, *(notice for capture in analysis.captures for notice in capture.notices)]
    return "\n".join(f"{notice.slug}: {notice.message}" for notice in notices)


def spoofed(index: int) -> str:
    return f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"


@pytest.fixture(scope="module")
def half_open(craft) -> bytes:
    """A real handshake's start, then 30,000 IKE_SA_INITs from as many addresses, then the handshake goes on."""
    template = craft.ike([(33, craft.offer_v2()), (34, b"\x00\x0e\x00\x00" + bytes(256)), (40, bytes(32))])
    frame = bytearray(craft.udp(template))

    def init(index: int) -> bytes:
        frame[26:30] = struct.pack(">I", 0x0A000000 + index)
        frame[42:50] = struct.pack(">Q", 0xF100D00000000000 + index)
        return bytes(frame)

    answer = craft.ike([(33, craft.offer_v2()), (34, b"\x00\x0e\x00\x00" + bytes(256)), (40, bytes(32))],
                       flags=0x20, spi_i=0xAA, spi_r=0xBB)  # fmt: skip
    sealed = (46, bytes([39]) + bytes(99))
    there = {"source": "192.0.2.1", "destination": "198.51.100.1"}
    back = {"source": "198.51.100.1", "destination": "192.0.2.1"}
    begin = [craft.udp(template.replace(struct.pack(">Q", 1), struct.pack(">Q", 0xAA), 1), **there),
             craft.udp(answer, **back)]  # fmt: skip
    begin += [craft.udp(craft.ike([sealed], exchange=35, message_id=1, spi_i=0xAA, spi_r=0xBB), **there)]
    begin += [craft.udp(craft.ike([sealed], exchange=35, flags=0x20, message_id=1, spi_i=0xAA, spi_r=0xBB), **back)]
    end = [craft.udp(craft.ike([sealed], exchange=37, message_id=2, spi_i=0xAA, spi_r=0xBB), **there)]
    end += [craft.udp(craft.ike([sealed], exchange=37, flags=0x20, message_id=2, spi_i=0xAA, spi_r=0xBB), **back)]
    return craft.pcap([*begin, *(init(index) for index in range(FLOOD)), *end])


@pytest.fixture(scope="module")
def flooded(half_open):
    """What is said of it with small limits."""
    return analyze(half_open, Limits(half_open=1_000, messages=2_000, message_octets=1 << 20))


def test_half_open_flood(flooded):
    analysis = flooded
    (capture,) = analysis.captures
    assert capture.counts.ike == FLOOD + 6
    states = [sa.state for sa in analysis.ike_sas]
    assert states.count("half-open") <= 1_000
    assert len(analysis.messages) <= 2_000
    assert sum(len(record.datagram.payload) for record in analysis.messages) <= 1 << 20
    # Dropped SAs and messages are counted to the last one.
    assert str(FLOOD - states.count("half-open")) in told(analysis).replace(",", "")
    assert str(FLOOD + 6 - len(analysis.messages)) in told(analysis).replace(",", "")


def test_a_real_tunnel_survives_the_flood(flooded):
    (real,) = [sa for sa in flooded.ike_sas if sa.initiator.spi == 0xAA]
    assert real.state == "established"
    assert real.messages == 6


def test_flow_flood(craft):
    """More SPIs than the limit: counted, told, and the flows that are known go on."""
    frames = [craft.esp(0x1000, 1), *(craft.esp(0x100000 + index, 1, size=16) for index in range(5_000))]
    frames.append(craft.esp(0x1000, 2))
    analysis = analyze(craft.pcap(frames), Limits(flows=100))
    assert len(analysis.flows) == 100
    assert analysis.flows[0].packets == 2
    assert analysis.captures[0].counts.esp == 5_002
    assert str(5_001 - 100) in told(analysis).replace(",", "")


def test_gap_flood(craft):
    """Every second number missing: holes beyond the limit are settled, and the sums stay right."""
    count = 5_000
    frames = [craft.esp(0x1000, 2 * index + 1, size=16) for index in range(count)]
    (flow,) = analyze(craft.pcap(frames), Limits(gaps=64)).to_dict()["flows"]
    assert flow["packets"] == flow["unique"] == count
    assert flow["lost"] == count - 1
    assert flow["reordered"] == flow["duplicates"] == 0


def test_fragment_flood(craft):
    """First fragments whose rest never comes."""
    frames = []
    for index in range(5_000):
        frame = bytearray(craft.udp(bytes(1_000)))
        frame[18:22] = struct.pack(">HH", index, 0x2000)
        frames.append(bytes(frame))
    analysis = analyze(craft.pcap(frames), Limits(fragments=100, fragment_octets=1 << 20))
    (capture,) = analysis.captures
    assert capture.counts.fragment == 5_000
    assert capture.counts.malformed == 0
    assert "fragment" in told(analysis)


def test_notice_flood(craft):
    """Every frame is damaged: notices are kept up to the limit and counted beyond."""
    frame = bytearray(craft.udp(b"x" * 40))
    frame[14] = 0x41  # an IPv4 header of one word
    analysis = analyze(craft.pcap([bytes(frame)] * 5_000), Limits(notices=50))
    (capture,) = analysis.captures
    assert capture.counts.malformed == 5_000
    assert len(capture.notices) <= 51
    assert sum(capture.notice_counts.values()) >= 5_000


def test_tcp_flood(craft):
    """Many TCP streams that say IKETCP and then leave holes."""
    frames = []
    for index in range(3_000):
        segment = struct.pack(">HHIIBBHHH", 1024 + index, 4500, 1, 0, 0x50, 0x18, 0, 0, 0) + b"IKETCP"
        hole = struct.pack(">HHIIBBHHH", 1024 + index, 4500, 100, 0, 0x50, 0x18, 0, 0, 0) + bytes(500)
        for part in (segment, hole):
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(part), 0, 0, 64, 6, 0, 0xC0000201, 0xC6336401)
            frames.append(bytes(12) + b"\x08\x00" + ip + part)
    analysis = analyze(craft.pcap(frames), Limits(streams=64, stream_octets=4_096))
    assert analysis.captures[0].packets == 6_000
    assert "stream" in told(analysis)
