"""ICMP errors are tied to the IPsec datagram that they quote; tshark finds the same SPI in the quotation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.layers.ipsec import AH, ESP
from scapy.layers.l2 import Ether

from ipsecanalyze.capture.decoder import Decoder
from ipsecanalyze.capture.packet import Packet, PacketKind

MAC = "02:00:00:00:00:01"
ETHER = Ether(src=MAC, dst=MAC)

esp = ESP(spi=0xBEEF01, seq=44, data=b"x" * 1400)
esp4 = bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=50) / esp)
esp6 = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2", nh=50) / esp)


def error4(quoted: bytes, kind: int = 3, code: int = 4, mtu: int = 1280) -> bytes:
    return bytes(ETHER / IP(src="192.0.2.9", dst="10.0.0.1") / ICMP(type=kind, code=code, nexthopmtu=mtu) / quoted)


@pytest.mark.parametrize("size", [28, 60, 576])
def test_fragmentation_needed(size, decode, tshark_fields):
    frame = error4(esp4[:size])
    (found,), decoder = decode([frame])
    assert found.kind == "icmp_error"
    assert (found.source, found.destination) == ("192.0.2.9", "10.0.0.1")
    icmp = found.icmp
    assert (icmp.type, icmp.code, icmp.mtu) == (3, 4, 1280)
    assert icmp.description == "fragmentation needed, MTU 1280"
    quoted = icmp.quoted
    assert (quoted.kind, quoted.source, quoted.destination, quoted.length) == ("esp", "10.0.0.1", "10.0.0.2", len(esp))
    assert quoted.payload == bytes(esp)[: size - 20]
    assert quoted.frame == 1
    assert decoder.counts[PacketKind.ICMP_ERROR] == 1
    assert tshark_fields([frame], ["esp.spi"]) == [["0x00beef01"]]


def test_ipv6_packet_too_big(decode, tshark_fields):
    frame = bytes(ETHER / IPv6(src="2001:db8::9", dst="2001:db8::1") / ICMPv6PacketTooBig(mtu=1400) / esp6[:500])
    (found,), _ = decode([frame])
    assert (found.icmp.mtu, found.icmp.description) == (1400, "packet too big, MTU 1400")
    assert (found.icmp.quoted.kind, found.icmp.quoted.payload) == ("esp", bytes(esp)[:460])
    assert tshark_fields([frame], ["esp.spi"]) == [["0x00beef01"]]


@pytest.mark.parametrize(
    ("quoted", "expected"),
    [
        (IP() / UDP(sport=500, dport=500) / (b"\x01" * 40), ("ike", "none", False)),
        (IP() / UDP(sport=4500, dport=4500) / (bytes(4) + b"\x01" * 40), ("ike", "udp", False)),
        (IP() / UDP(sport=4500, dport=4500) / esp, ("esp", "udp", False)),
        (IP() / UDP(sport=4500, dport=4500) / b"\xff", ("ike", "udp", True)),
        (IP() / TCP(sport=40000, dport=4500), ("ike", "tcp", True)),
        (IP(proto=51) / AH(spi=9, seq=1, icv=b"i" * 12, payloadlen=4), ("ah", "none", False)),
    ],
)
def test_kinds_of_quotations(quoted, expected, decode):
    (found,), _ = decode([error4(bytes(quoted), 3, 13, 0)])
    seen = found.icmp.quoted
    assert (seen.kind, seen.encapsulation, seen.inferred) == expected
    assert found.icmp.description == "host unreachable (communication administratively prohibited)"
    assert found.icmp.mtu is None


@pytest.mark.parametrize("port", [500, 4500])
def test_eight_octets_are_enough_for_the_ports(port, decode):
    quoted = bytes(IP() / UDP(sport=port, dport=port) / bytes(100))[:28]
    (found,), _ = decode([error4(quoted, 3, 3)])
    seen = found.icmp.quoted
    assert (seen.kind, seen.source_port, seen.payload, seen.length) == ("ike", port, b"", 100)
    assert found.icmp.description == "port unreachable"


@pytest.mark.parametrize(
    ("frame", "description"),
    [
        (error4(esp4[:60], 11, 0, 0), "time exceeded in transit"),
        (error4(esp4[:60], 11, 1, 0), "time exceeded in reassembly"),
        (error4(esp4[:60], 3, 2, 0), "protocol unreachable"),
        (error4(esp4[:60], 3, 99, 0), "destination unreachable (code 99)"),
        (error4(esp4[:60], 5, 1, 0), "redirect for the host"),
        (error4(esp4[:60], 4, 0, 0), "source quench"),
        (error4(esp4[:60], 12, 2, 0), "parameter problem (code 2)"),
        (
            bytes(ETHER / IPv6() / ICMPv6DestUnreach(code=1) / esp6[:90]),
            "destination unreachable (communication administratively prohibited)",
        ),
        (bytes(ETHER / IPv6() / ICMPv6TimeExceeded(code=0) / esp6[:90]), "time exceeded in transit"),
    ],
)
def test_in_words(frame, description, decode):
    (found,), _ = decode([frame])
    assert found.icmp.description == description


@pytest.mark.parametrize(
    "frame",
    [
        bytes(ETHER / IP() / ICMP(type=8) / esp4[:60]),  # an echo request is no error
        error4(bytes(IP() / TCP(dport=80))),
        error4(bytes(IP() / UDP(dport=53) / bytes(30))),
        error4(bytes(IP(proto=50, frag=100) / esp)[:60]),  # a later fragment has no SPI
        error4(b"\x99" * 40),
        error4(esp4[:12]),
    ],
)
def test_other_errors_are_other(frame, decode):
    found, decoder = decode([frame])
    assert found == []
    assert decoder.counts[PacketKind.OTHER] == 1
    assert decoder.notices.notices == []


def test_extensions_are_not_part_of_the_quotation(decode):
    """RFC 4884 §5.1: 128 octets are quoted (32 words), what follows is an extension structure."""
    frame = bytearray(error4(esp4[:128] + bytes.fromhex("2000000000080101deadbeef"), 11, 0, 0))
    frame[14 + 20 + 5] = 32
    (found,), _ = decode([bytes(frame)])
    assert found.icmp.quoted.payload == bytes(esp)[:108]


@given(st.binary(max_size=80), st.integers(0, 255), st.integers(0, 255), st.booleans())
def test_random_quotations_are_survived(quoted, kind, code, six):
    icmp = bytes([kind, code, 0, 0, 0, 0, 0, 0]) + quoted
    frame = bytes(ETHER / (IPv6(nh=58) if six else IP(proto=1)) / icmp)
    decoder = Decoder()
    decoder.decode(Packet(0, 1, frame, len(frame), 1))
    assert decoder.notices.notices == []
