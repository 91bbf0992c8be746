"""The shipped captures, decoded: packets per SPI, IKE messages and keepalives are those of tshark, or of the set-up."""

from __future__ import annotations

from collections import Counter

import pytest

from ipsecanalyze.capture.decoder import Decoder, datagrams
from ipsecanalyze.capture.packet import PacketKind
from ipsecanalyze.capture.reader import open_capture


def decoded(path):
    decoder = Decoder()
    with open_capture(path) as reader:
        found = list(datagrams(reader, decoder))
        assert reader.notices == []
    assert decoder.notices.notices == []
    return found, decoder


@pytest.mark.captures(where=lambda capture: capture.main and not capture.tcp)
def test_counts_are_those_of_tshark(capture_file):
    expected = capture_file.expected
    found, decoder = decoded(capture_file.path)
    for kind, start, key in (("esp", 0, "esp_per_spi"), ("ah", 4, "ah_per_spi")):
        seen = Counter(
            (f"0x{d.payload[start : start + 4].hex()}", d.source, d.destination, d.encapsulation == "udp")
            for d in found
            if d.kind == kind
        )
        # "udp" of an AH flow is about what AH protects.
        assert seen == {(e["spi"], e["src"], e["dst"], kind == "esp" and e["udp"]): e["packets"] for e in expected[key]}
    # tshark counts IKE messages that ICMP errors quote, too.
    quoted = sum(d.icmp is not None and d.icmp.quoted.kind == "ike" for d in found)
    assert decoder.counts[PacketKind.IKE] + quoted == sum(expected["ike_exchanges"].values())
    keepalives = expected["frames_per_protocol"].get("nat-keepalive (udpencap only)", 0)
    assert decoder.counts[PacketKind.KEEPALIVE] == keepalives
    assert decoder.counts[PacketKind.MALFORMED] == 0
    assert sum(decoder.counts.values()) == expected["frames"]


@pytest.mark.captures(where=lambda capture: capture.main and capture.tcp)
def test_tcp_has_what_was_set_up(capture_file):
    """verify.json of the scenario: 6 IKE messages, 83 and 63 ESP packets; tshark 4.0 sees none."""
    found, _ = decoded(capture_file.path)
    assert Counter(d.kind.value for d in found) == {"ike": 6, "esp": 146}
    spis = {entry["spi"] for entry in capture_file.meta["spis"]}
    counts = Counter(f"0x{d.payload[:4].hex()}" for d in found if d.kind == "esp")
    assert set(counts) == spis
    assert sorted(counts.values()) == [63, 83]
    assert not any(d.inferred for d in found)
