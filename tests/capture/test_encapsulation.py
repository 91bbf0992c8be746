"""What a UDP payload is: the rules of ports 500 and 4500, and conversations on other ports."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ipsecanalyze.capture.conversations import Conversations
from ipsecanalyze.capture.encapsulation import looks_like_ike

MAC = "02:00:00:00:00:01"
ETHER = Ether(src=MAC, dst=MAC)

MARKER = bytes(4)
SPI_I, SPI_R = bytes.fromhex("0011223344556677"), bytes.fromhex("8899aabbccddeeff")


def ike(
    exchange: int = 34, flags: int = 0x08, responder: bytes = bytes(8), version: int = 0x20, first: int = 33
) -> bytes:
    body = pack("!BBH", 0, 0, 24) + bytes(20)
    return SPI_I + responder + bytes([first, version, exchange, flags]) + bytes(4) + pack("!I", 28 + len(body)) + body


def udp(payload: bytes, sport: int, dport: int, back: bool = False) -> bytes:
    source, destination = ("10.0.0.2", "10.0.0.1") if back else ("10.0.0.1", "10.0.0.2")
    return bytes(ETHER / IP(src=source, dst=destination) / UDP(sport=sport, dport=dport) / payload)


ESP = bytes.fromhex("c0ffee0100000001") + b"\x11" * 40


@pytest.mark.parametrize(
    ("payload", "sport", "dport", "expected"),
    [
        (ike(), 500, 500, ("ike", "none", False, ike())),
        (ike(), 61000, 500, ("ike", "none", False, ike())),
        (MARKER + ike(), 500, 500, ("ike", "udp", False, ike())),
        (b"short", 500, 500, ("ike", "none", False, b"short")),
        (b"\xff", 500, 500, ("nat_keepalive", "udp", False, b"\xff")),
        (b"", 500, 500, None),
        (MARKER + ike(), 4500, 4500, ("ike", "udp", False, ike())),
        (MARKER + ike(), 4500, 1024, ("ike", "udp", False, ike())),
        (ESP, 4500, 4500, ("esp", "udp", False, ESP)),
        (ESP, 31337, 4500, ("esp", "udp", False, ESP)),
        (b"\xff", 4500, 4500, ("nat_keepalive", "udp", False, b"\xff")),
        (b"\xfe", 4500, 4500, None),
        (b"1234567", 4500, 4500, None),
        (ike(), 4500, 4500, ("ike", "none", True, ike())),
        (ESP, 4500, 53, None),
        (ESP, 443, 4500, None),
        (ESP, 500, 53, None),
        (MARKER + ike(), 4500, 53, ("ike", "udp", True, ike())),
        (ike(), 7000, 7001, ("ike", "none", True, ike())),
        (MARKER + ike(), 7000, 7001, ("ike", "udp", True, ike())),
        (ESP, 7000, 7001, None),
        (b"\xff", 7000, 7001, None),
    ],
)
def test_ports_and_looks(payload, sport, dport, expected, decode):
    found, decoder = decode([udp(payload, sport, dport)])
    assert [(d.kind, d.encapsulation, d.inferred, d.payload) for d in found] == ([expected] if expected else [])
    assert decoder.notices.notices == []
    if found:
        assert (found[0].source_port, found[0].destination_port) == (sport, dport)
        assert found[0].length == len(found[0].payload)


def test_esp_on_floated_ports_is_recognised(decode):
    """Wireshark 4.0 does not: neither port is 4500 any more."""
    frames = [
        udp(ESP, 7000, 7001),  # not known yet
        udp(MARKER + ike(), 7000, 7001),
        udp(ESP, 7000, 7001),
        udp(ESP, 7001, 7000, back=True),
        udp(b"\xff", 7000, 7001),
        udp(ESP, 7000, 7002),  # another conversation
        udp(b"\0\0\0\x05" + ESP, 7000, 7001),  # reserved SPI
        udp(MARKER + b"no strict look needed now", 7000, 7001),
    ]
    found, _ = decode(frames)
    assert [(d.frame, d.kind, d.inferred) for d in found] == [
        (2, "ike", True),
        (3, "esp", True),
        (4, "esp", True),
        (5, "nat_keepalive", True),
        (8, "ike", True),
    ]


def test_a_conversation_seen_before_on_the_usual_ports_is_observed(decode):
    found, _ = decode([udp(ike(), 500, 500), udp(MARKER + ike(35, 0x08, SPI_R), 7000, 7001), udp(ESP, 7000, 7001)])
    assert [(d.kind, d.inferred) for d in found] == [("ike", False), ("ike", False), ("esp", True)]


def test_without_a_marker_esp_does_not_follow(decode):
    found, _ = decode([udp(ike(), 7000, 7001), udp(ESP, 7000, 7001)])
    assert [d.kind for d in found] == ["ike"]


STRICT = {
    "v2 request": ike(),
    "v2 response": ike(34, 0x20, SPI_R),
    "v2.1": ike(version=0x21),
    "cookie": ike(34, 0x20, first=41),
    "auth": ike(35, 0x08, SPI_R, first=46),
    "fragment first": ike(35, 0x08, SPI_R, first=53),  # nDPI calls exchanges that begin with SKF malformed
    "intermediate": ike(43, 0x08, SPI_R, first=46),
    "followup": ike(44, 0x20, SPI_R, first=46),
    "main mode": ike(2, 0, version=0x10, first=1),
    "aggressive": ike(4, 0, SPI_R, version=0x10, first=1),
    "quick mode": ike(32, 1, SPI_R, version=0x10, first=8),
}
LOOSE = {
    "version 3": ike(version=0x30),
    "exchange": ike(50),
    "flags": ike(flags=0x88),
    "v1 flags": ike(2, 0x10, version=0x10, first=1),
    "payload": ike(first=1),
    "v1 payload": ike(2, 0, version=0x10, first=33),
    "no responder": ike(35),
    "v1 no responder": ike(32, 1, version=0x10, first=8),
    "length": ike() + b"x",
    "zero SPI": bytes(8) + ike()[8:],
    "short": ike()[:27],
    "first payload": ike()[:30] + b"\xff\xff" + ike()[32:],
    "tiny first payload": ike()[:30] + b"\0\x03" + ike()[32:],
}


@pytest.mark.parametrize("name", STRICT)
def test_strict_look(name):
    message = STRICT[name]
    assert looks_like_ike(message, 0, len(message), len(message))
    cut = message[:28]  # as far as a snap length leaves it
    assert looks_like_ike(cut, 0, 28, len(message))


@pytest.mark.parametrize("name", LOOSE)
def test_not_strict(name):
    message = LOOSE[name]
    assert not looks_like_ike(message, 0, len(message), len(message))


@given(st.binary(max_size=100))
def test_random_payloads_on_unusual_ports_are_not_ike(payload):
    assert not looks_like_ike(payload, 0, len(payload), len(payload))


def test_conversations_are_bounded():
    known = Conversations(limit=10)
    for port in range(100):
        known.remember((b"a", port), (b"b", 1), nat_traversal=True)
        known.remember_spi(port.to_bytes(8))
    assert known.get((b"a", 5), (b"b", 1)) is None
    assert known.get((b"b", 1), (b"a", 99)) is True
    assert known.knows_spi((99).to_bytes(8))
    assert not known.knows_spi((5).to_bytes(8))
    assert not known.knows_spi(bytes(8))
    assert known.evicted == 90 + 89
