"""Classic pcap: its variants, streaming in any pieces, and the way on behind damage."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.pcap import PcapWalker, parse_pcap_header
from ipsecanalyze.capture.reader import make_walker
from ipsecanalyze.errors import WireError

T0 = 1_700_000_000


def header(order: str = "<", magic: int = 0xA1B2C3D4, snaplen: int = 262144, link: int = 1) -> bytes:
    return pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)


def record(order: str, seconds: int, fraction: int, data: bytes, wire: int | None = None, extra: bytes = b"") -> bytes:
    return pack(order + "IIII", seconds, fraction, len(data), len(data) if wire is None else wire) + extra + data


def plain(count: int, size: int = 60) -> tuple[bytes, list[int]]:
    """A little-endian capture, and where its records begin."""
    out, offsets = header(), []
    for number in range(count):
        offsets.append(len(out))
        out += record("<", T0 + number, number, bytes([number & 0xFF]) * size)
    return out, offsets


def walk(octets: bytes, pieces: list[int] | None = None):
    walker = make_walker(octets[:28], NoticeLog())
    cuts = [0, *sorted(pieces or []), len(octets)]
    packets = []
    for start, stop in pairwise(cuts):
        packets += walker.feed(octets[start:stop])
    packets += walker.feed(b"", final=True)
    return packets, walker


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "extra", "unit"),
    [(0xA1B2C3D4, b"", 1000), (0xA1B23C4D, b"", 1), (0xA1B2CD34, bytes(8), 1000)],
    ids=["microseconds", "nanoseconds", "modified"],
)
def test_variants(order, magic, extra, unit):
    octets = header(order, magic, link=276) + record(order, T0, 999_999, b"abcd", 1500, extra)
    octets += record(order, T0 + 1, 0, b"", 60, extra) + record(order, T0 + 2, 5, b"x", extra=extra)
    packets, walker = walk(octets)
    assert [(p.time_ns, p.data, p.wire_length, p.number, p.link_type) for p in packets] == [
        (T0 * 10**9 + 999_999 * unit, b"abcd", 1500, 1, 276),
        ((T0 + 1) * 10**9, b"", 60, 2, 276),
        ((T0 + 2) * 10**9 + 5 * unit, b"x", 1, 3, 276),
    ]
    assert packets[0].offset == 24
    assert walker.notices.notices == []


def test_fcs_length_is_taken_off_the_link_type():
    parsed = parse_pcap_header(header(link=0x2400_0001))
    assert (parsed.link_type, parsed.fcs_length) == (1, 4)


def test_no_header():
    with pytest.raises(WireError):
        parse_pcap_header(b"not a pcap file at all....")
    with pytest.raises(WireError) as error:
        parse_pcap_header(header()[:23])
    assert error.value.slug == "truncated"


@given(st.lists(st.integers(0, 2000)))
def test_any_pieces_give_the_same(pieces):
    octets, _ = plain(20)
    octets = octets[:800] + b"\xff" * 16 + octets[800:]  # with damage in it
    whole, walker = walk(octets)
    in_pieces, other = walk(octets, [min(p, len(octets)) for p in pieces])
    assert in_pieces == whole
    assert other.notices.notices == walker.notices.notices


def test_every_truncation_gives_the_whole_records_and_tells():
    octets, offsets = plain(5)
    for length in range(24, len(octets)):
        packets, walker = walk(octets[:length])
        assert len(packets) == sum(offset + 76 <= length for offset in offsets)
        clean = length in offsets
        assert [n.slug for n in walker.notices.notices] == ([] if clean else ["truncated-file"])
        if not clean:
            assert walker.notices.notices[0].offset == max(o for o in offsets if o <= length)


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_absurd_length_is_passed_over(order):
    good = [record(order, T0 + n, n, bytes([n]) * 50) for n in range(10)]
    bad = pack(order + "IIII", T0 + 4, 4, 0xFFFF_FFFF, 0xFFFF_FFFF) + good[4][16:]
    octets = header(order) + b"".join(good[:4]) + bad + b"".join(good[5:])
    packets, walker = walk(octets)
    assert [p.data[0] for p in packets] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    (notice,) = walker.notices.notices
    assert (notice.slug, notice.offset) == ("damaged-record", 24 + 4 * 66)


@pytest.mark.parametrize("lost", [1, 7, 20, 66])
def test_lost_octets_cost_the_records_they_hit(lost):
    octets, offsets = plain(30)
    cut = offsets[10] + 5
    packets, walker = walk(octets[:cut] + octets[cut + lost :])
    numbers = [p.data[0] for p in packets if set(p.data) == {p.data[0]} and len(p.data) == 60]
    assert numbers[:10] == list(range(10))
    assert numbers[-18:] == list(range(12, 30))
    assert [n.slug for n in walker.notices.notices] == ["damaged-record"]


def test_first_record_damaged():
    octets, offsets = plain(10)
    octets = octets[: offsets[0] + 8] + b"\xff\xff\xff\xff" + octets[offsets[0] + 12 :]
    packets, _ = walk(octets)
    assert [p.data[0] for p in packets] == list(range(1, 10))


def test_nothing_behind_the_damage():
    octets, _ = plain(3)
    packets, walker = walk(octets + b"\xff" * 3_000_000)
    assert len(packets) == 3
    (notice,) = walker.notices.notices
    assert notice.slug == "damaged-record"
    assert "the rest is not read" in notice.message


def test_more_captured_than_on_the_wire_is_told():
    octets = header() + record("<", T0, 0, b"abcdef", 4) + record("<", T0, 1, b"gh")
    packets, walker = walk(octets)
    assert [(p.data, p.wire_length) for p in packets] == [(b"abcdef", 6), (b"gh", 2)]
    assert walker.notices.counts == {"captured-beyond-wire": 1}


def test_a_day_later_is_no_damage():
    octets = header() + record("<", T0, 0, b"a") + record("<", T0 + 10**6, 0, b"b") + record("<", T0 - 10**6, 0, b"c")
    packets, walker = walk(octets)
    assert [p.data for p in packets] == [b"a", b"b", b"c"]
    assert walker.notices.notices == []


@given(st.binary(max_size=400))
def test_random_octets_are_survived(octets):
    walk(header() + octets)


@given(st.data())
def test_mutations_are_survived(data):
    octets = bytearray(plain(8)[0])
    for _ in range(data.draw(st.integers(1, 6))):
        octets[data.draw(st.integers(24, len(octets) - 1))] = data.draw(st.integers(0, 255))
    packets, walker = walk(bytes(octets))
    assert len(packets) <= 9 or walker.notices.notices
    assert all(len(p.data) <= p.wire_length for p in packets)


def test_memory_stays_bounded_in_a_stream():
    walker = PcapWalker(parse_pcap_header(header()))
    walker.feed(header())
    octets = record("<", T0, 0, bytes(1000)) * 50
    for _ in range(40):
        walker.feed(octets[:-500])
        walker.feed(octets[-500:])
        assert len(walker._rest) < 1016
    assert walker.packets == 2000
