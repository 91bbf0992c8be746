"""Octets that nobody meant: every link layer, every truncation, mutated captures. Nothing may raise."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.capture.decoder import Decoder, datagrams
from ipsecanalyze.capture.link import LINK_LAYERS
from ipsecanalyze.capture.packet import DatagramKind, Packet
from ipsecanalyze.capture.reader import make_walker, open_capture
from ipsecanalyze.capture.source import open_source

HEADS = [b"", bytes(12) + b"\x08\0\x45\0", b"\x45\0", b"\x60\0\0\0", bytes(12) + b"\x81\0", bytes(12) + b"\x88\x47"]


@given(st.sampled_from(sorted(LINK_LAYERS)), st.sampled_from(HEADS), st.binary(max_size=200), st.integers(0, 50))
def test_random_packets(link_type, head, data, cut):
    decoder = Decoder()
    octets = head + data
    found = decoder.decode(Packet(0, link_type, octets, len(octets) + cut, 1)) + decoder.finish()
    for datagram in found:
        assert len(datagram.payload) <= datagram.length
        assert datagram.kind in DatagramKind
    assert sum(decoder.counts.values()) >= 1


def small(captures):
    for path in sorted(captures.glob("*/wan*.pcap*")):
        with open_capture(path) as reader:
            packets = [p for p, _ in zip(reader, range(60), strict=False)]
        yield packets


@pytest.mark.parametrize("seed", range(3))
def test_mutated_packets(captures, seed):
    generator = random.Random(seed)
    for packets in small(captures):
        decoder = Decoder()
        for packet in packets:
            data = bytearray(packet.data)
            for _ in range(generator.randint(0, 4)):
                data[generator.randrange(min(len(data), 80))] = generator.randrange(256)
            data = data[: generator.choice([len(data), generator.randrange(len(data))])]
            decoder.decode(Packet(packet.time_ns, packet.link_type, bytes(data), packet.wire_length, packet.number))
        decoder.finish()


def test_every_truncation_of_every_packet(captures):
    for packets in small(captures):
        for packet in packets[:8]:
            decoder = Decoder()
            for length in range(min(len(packet.data), 120)):
                for wire in (length, packet.wire_length):
                    decoder.decode(Packet(0, packet.link_type, packet.data[:length], wire, 1))
            decoder.finish()


@pytest.mark.parametrize("scenario", ["v2-natt-a", "v1-main-cert-a"])
def test_mutated_files(captures, scenario):
    path = min((captures / scenario).glob("wan.pcap*"))
    with open_source(path) as source:
        octets = b""
        while len(octets) < 20_000 and (piece := source.read(20_000)):
            octets += piece
    generator = random.Random(5)
    for _ in range(60):
        mutated = bytearray(octets[: generator.randrange(30, len(octets))])
        for _ in range(generator.randint(1, 8)):
            mutated[generator.randrange(24, len(mutated))] = generator.choice(
                [0, 1, 0x7F, 0xFF, generator.randrange(256)]
            )
        walker = make_walker(bytes(octets[:28]))
        packets = []
        position = 0
        while position < len(mutated):
            size = generator.randrange(1, 5000)
            packets += walker.feed(bytes(mutated[position : position + size]))
            position += size
        packets += walker.feed(b"", final=True)
        list(datagrams(packets))


@pytest.mark.parametrize(
    "octets",
    [
        b"\xff" * 3_000_000,
        bytes(3_000_000),
        b"\x06\0\0\0" * 750_000,
        (b"\x06\0\0\0" + b"\x20\0\0\0") * 375_000,
        b"\x0a\x0d\x0d\x0a" * 750_000,
    ],
    ids=["ones", "zeros", "block types", "block heads", "section types"],
)
@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_garbage_takes_linear_time(octets, form):
    head = {
        "pcap": bytes.fromhex("d4c3b2a1020004000000000000000000ffffffff01000000"),
        "pcapng": bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000"),
    }[form]
    walker = make_walker(head + octets[:28])
    started = time.process_time()
    walker.feed(head)
    for start in range(0, len(octets), 100_000):
        walker.feed(octets[start : start + 100_000])
    walker.feed(b"", final=True)
    assert time.process_time() - started < 10
    assert len(walker.notices.notices) <= 1000
