"""IPv4 and IPv6 headers as they come in captures: options, offloads, extension headers, cuts and contradictions."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH, ESP
from scapy.layers.l2 import Ether

from ipsecanalyze.capture.decoder import Decoder
from ipsecanalyze.capture.ip import parse_ipv4, parse_ipv6
from ipsecanalyze.capture.packet import Packet, PacketKind
from ipsecanalyze.errors import WireError

MAC = "02:00:00:00:00:01"
ETHER = Ether(src=MAC, dst=MAC)

esp = ESP(spi=0x1234, seq=9, data=b"\x5a" * 32)
ESP_OCTETS = bytes(esp)


def test_header_fields(decode):
    frame = ETHER / IP(src="10.0.0.1", dst="10.0.0.2", proto=50, ttl=61, tos=0xB9, flags="DF", id=777) / esp
    (found,), _ = decode([frame])
    assert (found.source, found.destination) == ("10.0.0.1", "10.0.0.2")
    assert (found.ttl, found.traffic_class, found.dont_fragment, found.ip_id) == (61, 0xB9, True, 777)
    assert (found.frame, found.time_ns, found.length, found.truncated) == (1, 10**9, 40, False)
    (found,), _ = decode([ETHER / IPv6(src="fe80::1", dst="ff02::2", hlim=3, tc=0x28, nh=50) / esp])
    assert (found.source, found.destination, found.ttl, found.traffic_class) == ("fe80::1", "ff02::2", 3, 0x28)


def test_options_and_padding(decode):
    frame = bytes(ETHER / IP(options=[IPOption_RR(routers=["1.2.3.4"] * 3)], proto=50) / ESP(spi=5, seq=1, data=b"12"))
    (found,), _ = decode([frame + b"padding of a short frame"])
    assert found.payload == bytes(ESP(spi=5, seq=1, data=b"12"))


def test_total_length_zero_is_segmentation_offload(decode):
    frame = bytearray(bytes(ETHER / IP(proto=50) / esp))
    frame[16:18] = b"\0\0"
    (found,), decoder = decode([frame])
    assert (found.payload, found.length) == (ESP_OCTETS, 40)
    assert decoder.notices.notices == []


def test_length_beyond_the_frame_is_told_and_used(decode):
    frame = bytearray(bytes(ETHER / IP(proto=50) / esp))
    frame[16:18] = pack("!H", 1000)
    (found,), decoder = decode([frame])
    assert (found.length, found.truncated, found.payload) == (980, True, ESP_OCTETS)
    assert decoder.notices.counts == {"ip-beyond-frame": 1}


@pytest.mark.parametrize("snaplen", [60, 50, 43])
def test_snap_length_is_no_malformation(snaplen):
    frame = bytes(ETHER / IP(proto=50) / esp)
    decoder = Decoder()
    found = decoder.decode(Packet(0, 1, frame[:snaplen], len(frame), 1))
    assert [(d.length, d.payload) for d in found] == [(40, ESP_OCTETS[: snaplen - 34])]
    assert found[0].truncated
    assert decoder.notices.notices == []


def test_cut_before_the_sequence_number_still_counts_as_esp():
    frame = bytes(ETHER / IP(proto=50) / esp)
    decoder = Decoder()
    assert decoder.decode(Packet(0, 1, frame[:40], len(frame), 1)) == []
    assert decoder.last_kind is PacketKind.ESP
    assert decoder.notices.counts == {"truncated-header": 1}
    assert decoder.decode(Packet(0, 1, frame[:25], len(frame), 2)) == []
    assert decoder.last_kind is PacketKind.OTHER


CHAINS = {
    "hop-by-hop": IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 10)]),
    "routing": IPv6ExtHdrRouting(addresses=["2001:db8::9", "2001:db8::a"]),
    "destination": IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
    "all": IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt(),
    "atomic-fragment": IPv6ExtHdrFragment(id=5, offset=0, m=0),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_extension_headers(chain, decode, tshark_fields):
    last = CHAINS[chain].copy()
    last.lastlayer().nh = 50
    frame = ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2") / last / esp
    (found,), decoder = decode([frame])
    assert (found.kind, found.payload, found.length) == ("esp", ESP_OCTETS, 40)
    assert decoder.notices.notices == []
    assert tshark_fields([frame], ["esp.spi"]) == [["0x00001234"]]


@pytest.mark.parametrize("version", [4, 6])
def test_ah_is_kept_and_what_it_protects_is_found(version, decode):
    ah = AH(nh=50, spi=0xAAAA, seq=3, icv=b"i" * 12, payloadlen=4)
    frame = ETHER / (IP(proto=51) if version == 4 else IPv6(nh=51)) / ah / esp
    found, decoder = decode([frame])
    assert [d.kind for d in found] == ["ah", "esp"]
    assert found[0].payload == bytes(ah) + ESP_OCTETS
    assert found[0].payload[4:8] == pack("!I", 0xAAAA)
    assert found[1].payload == ESP_OCTETS
    assert decoder.counts[PacketKind.AH] == 1
    assert decoder.counts[PacketKind.ESP] == 0


def test_ah_tunnel_and_plain_content(decode):
    ah = AH(nh=4, spi=1, seq=3, icv=b"i" * 12, payloadlen=4)
    found, _ = decode(
        [ETHER / IP(proto=51) / ah / IP(src="1.1.1.1") / TCP(), ETHER / IP(proto=51) / ah / IP(proto=50) / esp]
    )
    assert [(d.kind, d.frame) for d in found] == [("ah", 1), ("ah", 2), ("esp", 2)]


def test_ah_in_ah_in_ah_is_bounded(decode):
    frame = b""
    for _ in range(500):
        frame = bytes(AH(nh=51, spi=1, seq=3, icv=b"i" * 12, payloadlen=4)) + frame
    found, decoder = decode([bytes(ETHER / IP(proto=51) / frame)])
    assert len(found) == 8
    assert decoder.counts[PacketKind.AH] == 1


def edited(frame: bytes, **changes: int) -> bytes:
    octets = bytearray(frame)
    for place, value in changes.items():
        octets[int(place[1:])] = value
    return bytes(octets)


PLAIN4 = bytes(ETHER / IP(proto=50) / esp)
PLAIN6 = bytes(ETHER / IPv6(nh=0) / IPv6ExtHdrHopByHop(nh=50) / esp)
UDP4 = bytes(ETHER / IP() / UDP(sport=4500, dport=4500) / (b"\x01" * 20))
TCP4 = bytes(ETHER / IP() / TCP(sport=80, dport=1000))
AH4 = bytes(ETHER / IP(proto=51) / AH(nh=59, spi=1, seq=1, icv=b"i" * 12, payloadlen=4))


@pytest.mark.parametrize(
    ("frame", "slug"),
    [
        (edited(PLAIN4, _14=0x44), "malformed-ipv4"),  # header length below 20
        (edited(PLAIN4, _14=0x65), "malformed-ipv4"),  # version
        (edited(PLAIN4, _16=0, _17=19), "malformed-ipv4"),  # total length below the header
        (PLAIN4[:30], "malformed-ipv4"),  # the frame ends inside the header, and was not cut
        (edited(PLAIN4, _17=27), "malformed-esp"),
        (edited(PLAIN6, _14=0x40), "malformed-ipv6"),
        (edited(PLAIN6, _55=200), "malformed-ipv6"),  # extension header longer than the packet
        (edited(UDP4, _38=0, _39=7), "malformed-udp"),
        (edited(UDP4, _38=9), "malformed-udp"),
        (edited(UDP4, _17=25), "malformed-udp"),
        (edited(TCP4, _46=0x40), "malformed-tcp"),
        (edited(TCP4, _46=0xF0), "malformed-tcp"),
        (edited(AH4, _35=0), "malformed-ah"),
        (edited(AH4, _35=99), "malformed-ah"),
        (PLAIN4[:10], "malformed-ethernet"),
        (edited(PLAIN4, _20=0x20, _17=29), "malformed-ipv4"),  # first fragment, not of a multiple of eight octets
        (edited(PLAIN4, _20=0x1F, _21=0xFF), "malformed-ipv4"),  # fragment beyond the largest datagram
    ],
)
def test_contradictions_are_told_with_frame_and_offset(frame, slug, decode):
    found, decoder = decode([PLAIN4, frame, PLAIN4])
    assert [d.frame for d in found] == [1, 3]
    assert decoder.counts[PacketKind.MALFORMED] == 1
    (notice,) = decoder.notices.notices
    assert (notice.slug, notice.frame) == (slug, 2)
    assert notice.offset is not None


@given(st.binary(max_size=120), st.integers(0, 200))
def test_parsers_raise_wire_errors_only(octets, wire_end):
    for parse, first in ((parse_ipv4, b"\x46"), (parse_ipv6, b"\x60")):
        for data in (octets, first + octets):
            try:
                packet = parse(data, 0, wire_end)
            except WireError:
                continue
            assert 0 <= packet.end - packet.start <= packet.length
            assert packet.end <= len(data)
