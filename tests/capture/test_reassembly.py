"""IP fragments: any order, overlaps, time, limits. tshark reassembles the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether

from ipsecanalyze.capture.decoder import Decoder
from ipsecanalyze.capture.ip import Fragment, IpPacket
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Packet, PacketKind
from ipsecanalyze.capture.reassembly import Reassembler

MAC = "02:00:00:00:00:01"
ETHER = Ether(src=MAC, dst=MAC)

SECOND = 10**9
esp = ESP(spi=0x77, seq=1, data=bytes(range(256)) * 12)


def fragments4(size: int = 400) -> list[bytes]:
    return [bytes(ETHER / f) for f in fragment(IP(src="10.0.0.1", dst="10.0.0.2", proto=50, id=99) / esp, size)]


def fragments6(size: int = 400) -> list[bytes]:
    whole = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=5, nh=50) / bytes(esp)
    return [bytes(ETHER / f) for f in fragment6(whole, size)]


@pytest.mark.parametrize("make", [fragments4, fragments6])
@pytest.mark.parametrize("seed", range(6))
def test_any_order_with_duplicates(make, seed, decode):
    frames = make()
    order = [*frames, *frames[1:3]]
    random.Random(seed).shuffle(order)
    found, decoder = decode(order)
    assert [d.payload for d in found] == [bytes(esp)]
    assert found[0].fragments == len(frames)
    assert decoder.counts[PacketKind.ESP] == 1
    assert decoder.counts[PacketKind.FRAGMENT] == len(order) - 1
    assert decoder.fragment_counts.overlaps == 0
    # A duplicate that comes after the last missing one begins a datagram that nothing completes.
    assert set(decoder.notices.counts) <= {"incomplete-fragments"}


def test_tshark_completes_in_the_same_frame(decode, tshark_fields):
    frames = fragments4() + fragments6()
    random.Random(3).shuffle(frames)
    found, _ = decode(frames)
    rows = tshark_fields(frames, ["frame.number", "esp.spi"])
    assert [[str(d.frame), f"0x{d.payload[:4].hex()}"] for d in found] == [r for r in rows if len(r) > 1 and r[1]]


def test_extension_headers_behind_the_fragment_header(decode):
    inner = bytes(IPv6ExtHdrDestOpt(nh=50)) + bytes(esp)
    whole = IPv6() / IPv6ExtHdrFragment(id=5, nh=60) / inner
    found, _ = decode([bytes(ETHER / f) for f in fragment6(whole, 500)])
    assert [d.payload for d in found] == [bytes(esp)]


def test_the_udp_header_is_in_the_first_fragment_only(decode):
    message = b"\0\0\0\0" + bytes(3000)
    frames = [bytes(ETHER / f) for f in fragment(IP(id=4) / UDP(sport=4500, dport=4500) / message, 1000)]
    found, _ = decode(reversed(frames))
    assert [(d.kind, d.length, d.source_port) for d in found] == [("ike", 3000, 4500)]


def test_cut_fragments_give_what_was_captured():
    frames = fragments4(1000)
    decoder = Decoder()
    found = []
    for number, frame in enumerate(frames, 1):
        found += decoder.decode(Packet(0, 1, frame[:200], len(frame), number))
    (datagram,) = found
    assert datagram.length == len(bytes(esp))
    assert datagram.payload == bytes(esp)[:166]


def piece(start: int, data: bytes, more: bool, version: int = 4, ident: int = 1) -> IpPacket:
    address = bytes(4 if version == 4 else 16)
    return IpPacket(
        version, address, address, 50, data, 0, len(data), len(data), 64, 0, fragment=Fragment(ident, start, more)
    )


def test_overlap_first_wins_in_ipv4():
    notices = NoticeLog()
    reassembler = Reassembler(notices)
    assert reassembler.add(piece(8, b"B" * 16, True), 0, 1) is None
    assert reassembler.add(piece(0, b"A" * 24, True), 0, 2) is None
    whole = reassembler.add(piece(16, b"C" * 16, False), 0, 3)
    assert whole is not None
    assert whole.data == b"A" * 8 + b"B" * 16 + b"C" * 8
    assert reassembler.counts.overlaps == 2
    assert notices.counts == {"overlapping-fragments": 2}
    assert notices.notices[0].frame == 2
    assert notices.notices[0].message == "IPv4 fragments overlap"


def test_two_ends():
    notices = NoticeLog()
    reassembler = Reassembler(notices)
    for start, octets, more in ((16, b"C" * 8, False), (24, b"D" * 8, False)):
        assert reassembler.add(piece(start, octets, more), 0, 1) is None
    assert [notice.message for notice in notices.notices] == ["IPv4 fragments disagree where the datagram ends"]


def test_overlap_drops_the_datagram_in_ipv6():
    reassembler = Reassembler(NoticeLog())
    for start, octets, more in (
        (0, b"A" * 16, True),
        (8, b"B" * 16, True),
        (16, b"C" * 8, False),
        (0, b"A" * 24, True),
    ):
        assert reassembler.add(piece(start, octets, more, 6), 0, 1) is None
    assert reassembler.counts.overlaps == 1
    reassembler.finish()
    assert reassembler.counts.incomplete == 1


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.booleans()), max_size=30))
def test_first_wins_like_a_plain_array(parts):
    """The model: an array of octets, each written once."""
    reassembler, array, total = Reassembler(NoticeLog()), [None] * 1000, None
    for number, (start, size, more) in enumerate(parts):
        start, end = start * 8, (start + size) * 8
        whole = reassembler.add(piece(start, bytes([number]) * (end - start), more), 0, 1)
        refused = total is not None and (end > total or (not more and end != total))
        refused |= not more and any(octet is not None for octet in array[end:])
        if not refused:
            total = end if not more else total
            array[start:end] = [number if old is None else old for old in array[start:end]]
        complete = total is not None and None not in array[:total]
        assert (whole is not None) == complete
        if whole is not None:
            assert list(whole.data) == array[:total]
            return


@pytest.mark.parametrize(("version", "seconds"), [(4, 30), (6, 60)])
def test_time_runs_out(version, seconds):
    reassembler = Reassembler(NoticeLog())
    reassembler.add(piece(0, bytes(8), True, version), 0, 1)
    assert reassembler.add(piece(8, bytes(8), False, version), seconds * SECOND, 2) is not None
    reassembler.add(piece(0, bytes(8), True, version), 0, 1)
    assert reassembler.add(piece(8, bytes(8), False, version), seconds * SECOND + 1, 2) is None
    assert reassembler.counts.incomplete == 1


def test_limits_in_datagrams_and_octets():
    notices = NoticeLog()
    reassembler = Reassembler(notices, datagrams=10, octets=1 << 20)
    for ident in range(50):
        reassembler.add(piece(0, bytes(8), True, ident=ident), 0, ident)
    assert len(reassembler._partials) == 10
    assert (reassembler.counts.evicted, reassembler.counts.incomplete) == (40, 40)
    assert notices.counts == {"fragments-dropped": 40}
    reassembler = Reassembler(NoticeLog(), octets=10_000)
    for ident in range(50):
        for start in range(0, 800, 8):
            reassembler.add(piece(start * 2, bytes(8), True, ident=ident), 0, ident)
        assert reassembler._octets <= 10_000
    reassembler.finish()
    assert reassembler._octets == 0


def test_vlans_do_not_mix(decode):
    frames = fragments4(2000)
    tagged = [f[:12] + bytes.fromhex("81000005") + f[12:] for f in frames]
    found, decoder = decode([frames[0], tagged[1]])
    assert found == []
    assert decoder.fragment_counts.incomplete == 2
