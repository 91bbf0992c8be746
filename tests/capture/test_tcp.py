"""IKE and ESP in TCP (RFC 9329): any segmentation and order gives the same; losses are told."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.capture.decoder import Decoder, datagrams
from ipsecanalyze.capture.packet import Packet, PacketKind

A, B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
SYN, ACK, RST, PSH = 2, 16, 4, 8
PREFIX = b"IKETCP"
SPI = bytes.fromhex("c0ffee01")


def frame(
    seq: int, data: bytes = b"", flags: int = ACK, ack: int = 0, back: bool = False, ports=(40000, 4500)
) -> bytes:
    source, destination = (B, A) if back else (A, B)
    sport, dport = reversed(ports) if back else ports
    tcp = pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 1000, 0, 0)
    ip = pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 1, 0, 64, 6, 0, source, destination)
    return ip + tcp + data


def message(payload: bytes) -> bytes:
    return pack("!H", len(payload) + 2) + payload


def esp(sequence: int, size: int = 100, spi: bytes = SPI) -> bytes:
    return spi + pack("!I", sequence) + bytes([sequence & 0xFF]) * (size - 8)


def ike(number: int) -> bytes:
    body = pack("!BBH", 0, 0, 40) + bytes(36)
    return pack("!QQBBBBII", 0x1122334455667788, 0x99, 33, 0x20, 34, 0x08, number, 28 + len(body)) + body


MESSAGES = [bytes(4) + ike(0), esp(1), esp(2, 1500), b"\xff", esp(3), bytes(4) + ike(1), esp(4, 8)]
STREAM = PREFIX + b"".join(map(message, MESSAGES))
EXPECTED = [
    ("ike", ike(0)),
    ("esp", esp(1)),
    ("esp", esp(2, 1500)),
    ("nat_keepalive", b"\xff"),
    ("esp", esp(3)),
    ("ike", ike(1)),
    ("esp", esp(4, 8)),
]


def run(frames: list[bytes], snaplen: int = 1 << 16, **limits: int):
    decoder = Decoder(**limits)
    packets = [Packet(n, 101, f[:snaplen], len(f), n) for n, f in enumerate(frames, 1)]
    return list(datagrams(packets, decoder)), decoder


def brief(found):
    return [(d.kind, d.payload) for d in found]


def segments(stream: bytes, cuts: list[int], isn: int) -> list[bytes]:
    places = sorted({0, len(stream), *(c for c in cuts if c < len(stream))})
    return [frame(isn + 1 + a, stream[a:b]) for a, b in pairwise(places)]


@given(
    st.lists(st.integers(1, len(STREAM) - 1), max_size=30),
    st.sampled_from([0, 12345, 2**32 - 1, 2**32 - 700]),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_any_segmentation_order_and_repetition(cuts, isn, random, both_ports):
    parts = segments(STREAM, cuts, isn)
    # Some twice, and up to 4 places out of order.
    parts += random.sample(parts, len(parts) // 3)
    order = sorted(range(len(parts)), key=lambda n: n + random.uniform(0, 4))
    found, decoder = run([frame(isn, flags=SYN)] + [parts[n] for n in order])
    assert brief(found) == EXPECTED
    assert not any(d.inferred for d in found)
    assert {d.encapsulation for d in found} == {"tcp"}
    assert decoder.notices.notices == []


def test_frame_is_that_which_completed(decode):
    cut = len(PREFIX) + 50
    found, _ = run([frame(0, flags=SYN), frame(1, STREAM[:cut]), frame(1 + cut, STREAM[cut : cut + 100])])
    assert [(d.frame, d.kind) for d in found] == [(3, "ike")]
    found, decoder = run([frame(0, flags=SYN), frame(1 + cut, STREAM[cut:]), frame(1, STREAM[:cut])])
    assert {d.frame for d in found} == {3}
    assert decoder.counts[PacketKind.ESP] == 4
    assert decoder.counts[PacketKind.IKE] == 2
    assert decoder.counts[PacketKind.KEEPALIVE] == 1
    assert decoder.counts[PacketKind.OTHER] == 2


def conversation(ports=(40000, 4500)) -> list[bytes]:
    reply = message(bytes(4) + ike(0)) + message(esp(1, spi=b"resp"))
    return [
        frame(100, flags=SYN, ports=ports),
        frame(500, flags=SYN | ACK, ack=101, back=True, ports=ports),
        frame(101, PREFIX, ack=501, ports=ports),
        frame(107, message(bytes(4) + ike(0)), ack=501, ports=ports),
        frame(501, reply, ack=200, back=True, ports=ports),
    ]


@pytest.mark.parametrize("ports", [(40000, 4500), (40000, 443)])
@pytest.mark.parametrize("without_syn", [False, True])
def test_both_directions_on_any_port(ports, without_syn):
    """Wireshark 4.0 shows RFC 8229's framing as plain data."""
    frames = conversation(ports)[2:] if without_syn else conversation(ports)
    found, decoder = run(frames)
    assert [(d.kind, d.source, d.source_port, d.inferred) for d in found] == [
        ("ike", "10.0.0.1", 40000, False),
        ("ike", "10.0.0.2", ports[1], False),
        ("esp", "10.0.0.2", ports[1], False),
    ]
    assert decoder.notices.notices == []


def test_other_protocols_on_4500_are_not_followed():
    frames = [frame(0, flags=SYN), frame(500, flags=SYN | ACK, ack=1, back=True)]
    frames += [
        frame(1, b"GET / HTTP/1.1\r\n\r\n"),
        frame(501, b"HTTP/1.1 200 OK" * 50, back=True),
        frame(19, b"x" * 900),
    ]
    found, decoder = run(frames)
    assert found == []
    assert decoder.notices.counts == {"tcp-not-ike": 1}
    assert decoder.connections._held == 0


def test_a_server_that_speaks_first_is_not_believed():
    frames = [frame(0, flags=SYN), frame(500, flags=SYN | ACK, ack=1, back=True)]
    frames += [frame(501 + 21 * n, b"SSH-2.0-OpenSSH_9.9\r\n", back=True) for n in range(5)]
    found, _ = run(frames)
    assert found == []


def test_start_in_the_middle():
    """IKE by its look is believed at once; ESP when an SPI comes again in a segment of whole messages."""
    found, _ = run([frame(1000, message(bytes(4) + ike(5))), frame(1074, message(esp(9)))])
    assert [(d.kind, d.inferred) for d in found] == [("ike", True), ("esp", True)]
    position, frames = 7000, []
    for number in range(4):
        data = message(esp(number)) * 2
        frames.append(frame(position, data))
        position += len(data)
    found, _ = run(frames)
    assert len(found) == 8
    assert all(d.inferred for d in found)
    found, _ = run([frame(1 + 500 * n, bytes(range(7, 207)) * 2 + bytes([n] * 100)) for n in range(50)])
    assert found == []


def test_a_gap_is_told_and_the_way_is_found_again():
    parts = [message(esp(n)) for n in range(20)]
    frames, position = [frame(0, flags=SYN), frame(1, PREFIX)], 7
    for number, part in enumerate(parts):
        if number != 5:
            frames.append(frame(position, part))
        position += len(part)
    frames.insert(16, frame(0, flags=ACK, ack=7 + 102 * 12, back=True))
    frames.insert(1, frame(0xFFFFFFFF, flags=SYN | ACK, ack=1, back=True))
    found, decoder = run(frames)
    assert [int.from_bytes(d.payload[4:8]) for d in found] == [n for n in range(20) if n != 5]
    assert [d.inferred for d in found] == [False] * 5 + [True] * 14
    assert decoder.notices.counts == {"tcp-gap": 1}
    # Without an acknowledgement it is the end of the capture that shows the gap.
    found, _ = run([f for f in frames if f[12:16] == A])
    assert len(found) == 19


def test_snap_length_leaves_headers():
    frames = [frame(0, flags=SYN), frame(1, PREFIX)]
    position = 7
    for number in range(5):
        part = message(esp(number, 1000))
        frames.append(frame(position, part))
        position += len(part)
    found, decoder = run(frames, snaplen=96)
    assert [(d.length, d.payload) for d in found] == [(1000, esp(n, 1000)[:54]) for n in range(5)]
    assert decoder.notices.notices == []


def test_reset_and_reuse_of_ports():
    frames = [*conversation(), frame(0, flags=RST), frame(9000, flags=SYN), frame(9001, STREAM)]
    found, _ = run(frames)
    assert brief(found)[3:] == EXPECTED
    frames = [*conversation(), frame(9000, flags=SYN), frame(9000, flags=SYN), frame(9001, STREAM)]
    found, _ = run(frames)
    assert brief(found)[3:] == EXPECTED


def test_too_short_messages_are_told():
    found, decoder = run([frame(0, flags=SYN), frame(1, PREFIX + message(b"abc") + message(b"") + message(esp(1)))])
    assert brief(found) == [("esp", esp(1))]
    assert decoder.notices.counts == {"malformed-tcp-message": 1}


def test_bounds():
    found, decoder = run(
        [frame(0, flags=SYN, ports=(port, 4500)) for port in range(1000, 3000)], streams=100, stream_octets=10_000
    )
    assert found == []
    assert len(decoder.connections._table) == 0  # finish() empties it
    assert decoder.connections.evicted == 1900
    decoder = Decoder(streams=100, stream_octets=10_000)
    number = 0
    for port in range(1000, 1100):
        decoder.decode(Packet(0, 101, frame(0, flags=SYN, ports=(port, 4500)), 40, 1))
        for part in range(30):
            number += 1
            data = frame(1000 * part + 5000, b"z" * 900, ports=(port, 4500))
            decoder.decode(Packet(0, 101, data, len(data), number))
            assert decoder.connections._held <= 10_000 * 32 + 1200
    assert decoder.connections._held == sum(c.held for c in decoder.connections._table.values())


segment = st.tuples(
    st.integers(0, 3000), st.binary(max_size=60), st.sampled_from([0, ACK, SYN, SYN | ACK, RST]), st.booleans()
)


@given(st.lists(segment, max_size=25))
def test_random_segments_are_survived(parts):
    decoder = Decoder(streams=4, stream_octets=400)
    for number, (position, data, flags, back) in enumerate(parts, 1):
        octets = frame(position, data or PREFIX, flags, position // 2, back)
        decoder.decode(Packet(number, 101, octets, len(octets), number))
        table = decoder.connections._table
        assert decoder.connections._held == sum(c.held for c in table.values())
        for connection in table.values():
            for stream in connection.streams.values():
                waiting = sum(len(w[2]) + 256 for w in stream._waiting)
                assert stream.held == waiting + len(stream._buffer)
    decoder.finish()
