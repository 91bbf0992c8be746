"""RFC 9329: IKE and ESP in TCP. tshark 4.0 is blind here, so the stream is read by dpkt and this file's own eyes."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict

import dpkt
import pytest


@pytest.fixture(scope="module")
def capture(all_captures):
    (found,) = [c for c in all_captures if c.scenario == "v2-tcp-a"]
    return found


@pytest.fixture(scope="module")
def messages(capture) -> list[bytes]:
    """Everything framed in the two directions of the TCP connection, by direction, in order of the stream."""
    octets: dict[tuple[bytes, int], dict[int, int]] = defaultdict(dict)
    with gzip.open(capture.path) as file:
        for _, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            if isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.tcp.TCP):
                for index, octet in enumerate(ip.data.data):
                    octets[ip.src, ip.data.sport].setdefault(ip.data.seq + index, octet)
    found = []
    for numbered in octets.values():
        if not numbered:
            continue
        low, high = min(numbered), max(numbered)
        stream = bytes(numbered[position] for position in range(low, high + 1))
        stream = stream.removeprefix(b"IKETCP")
        while stream:
            length = int.from_bytes(stream[:2])
            found.append(stream[2:length])
            stream = stream[length:]
    return found


def test_counts_and_sequences(capture, messages, summary_of):
    ike = [m for m in messages if m[:4] == bytes(4)]
    esp = [m for m in messages if m[:4] != bytes(4) and len(m) > 1]
    summary = summary_of(capture)
    counts = summary["captures"][0]["counts"]
    assert (counts["ike"], counts["esp"], counts["malformed"]) == (len(ike), len(esp), 0)
    numbers = defaultdict(list)
    octets: Counter[int] = Counter()
    for packet in esp:
        spi = int.from_bytes(packet[:4])
        numbers[spi].append(int.from_bytes(packet[4:8]))
        octets[spi] += len(packet)
    assert {int(flow["spi"], 16) for flow in summary["flows"]} == numbers.keys()
    for flow in summary["flows"]:
        seen = numbers[int(flow["spi"], 16)]
        assert flow["encapsulation"] == "tcp"
        assert flow["packets"] == len(seen)
        assert (flow["first_sequence"], flow["last_sequence"]) == (seen[0], seen[-1])
        assert flow["lost"] == max(seen) - min(seen) + 1 - len(set(seen))
        assert flow["octets"] == octets[int(flow["spi"], 16)]


def test_the_makers_counted_the_same(capture, summary_of):
    verified = json.loads((capture.path.parent / "verify.json").read_text())
    summary = summary_of(capture)
    assert summary["captures"][0]["counts"]["ike"] == verified["total"]["tcp_ike_messages"]
    assert {flow["spi"]: flow["packets"] for flow in summary["flows"]} == {
        spi.removeprefix("0x"): row["packets"] for spi, row in verified["per_spi"].items()
    }


def test_messages(capture, messages, analysis_of):
    expected = sorted(m[4:] for m in messages if m[:4] == bytes(4))
    records = analysis_of(capture).messages
    assert sorted(record.datagram.payload for record in records) == expected
    assert Counter(record.message.exchange_name for record in records) == {
        "IKE_SA_INIT": 2,
        "IKE_AUTH": 2,
        "INFORMATIONAL": 2,
    }
