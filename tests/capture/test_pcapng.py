"""pcapng: sections, interfaces, resolutions, all packet blocks, and the way on behind damage."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.capture.pcapng_blocks import parse_interface_block
from ipsecanalyze.capture.reader import make_walker, open_capture
from ipsecanalyze.errors import WireError

T0 = 1_700_000_000


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) & 3)
    return pack(order + "II", kind, len(body) + 12) + body + pack(order + "I", len(body) + 12)


def option(order: str, code: int, value: bytes) -> bytes:
    return pack(order + "HH", code, len(value)) + value + bytes(-len(value) & 3)


def section(order: str, options: bytes = b"", length: int = -1) -> bytes:
    return block(order, 0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length) + options)


def interface(order: str, link: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, pack(order + "HHI", link, 0, snaplen) + options)


def packet(order: str, number: int, ticks: int, data: bytes, options: bytes = b"", wire: int | None = None) -> bytes:
    padded = data + bytes(-len(data) & 3)
    fixed = pack(
        order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data) if wire is None else wire
    )
    return block(order, 6, fixed + padded + options)


def walk(octets: bytes, pieces: list[int] | None = None):
    walker = make_walker(octets[:28])
    packets = []
    for start, stop in pairwise([0, *sorted(pieces or []), len(octets)]):
        packets += walker.feed(octets[start:stop])
    return packets + walker.feed(b"", final=True), walker


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "nanoseconds"),
    [
        (None, T0 * 10**6 + 1, T0 * 10**9 + 1000),
        (b"\x09", T0 * 10**9 + 1, T0 * 10**9 + 1),
        (b"\x03", T0 * 10**3 + 7, T0 * 10**9 + 7_000_000),
        (b"\x00", T0, T0 * 10**9),
        (b"\x0c", T0 * 10**12 // 1000 + 1999, T0 * 10**9 // 1000 + 1),
        (b"\x8a", T0 * 1024 + 1, T0 * 10**9 + 976_562),
        (b"\xa0", (T0 << 32) + 1, T0 * 10**9),
        (b"\xff", 1 << 63, 0),
    ],
)
def test_resolutions(order, resolution, ticks, nanoseconds):
    options = option(order, 9, resolution) if resolution is not None else b""
    packets, _ = walk(section(order) + interface(order, options=options) + packet(order, 0, ticks, b"x"))
    assert packets[0].time_ns == nanoseconds


def test_each_section_and_interface_has_its_own_everything(tmp_path, tshark_fields):
    """dpkt takes all time stamps and link types from the first interface (its issue 681)."""
    ip = bytes.fromhex("4500001c000000004032000001020304050607080000000100000002")
    little = section("<", option("<", 1, b"first"), length=4) + interface("<", 101, options=option("<", 2, b"eth0"))
    little += interface("<", 228, options=option("<", 9, b"\x09") + option("<", 14, pack("<q", 3600)))
    little += packet("<", 1, T0 * 10**9 + 5, ip) + packet("<", 0, T0 * 10**6 + 5, ip, option("<", 1, b"remark"))
    big = section(">") + interface(">", 113, options=option(">", 9, b"\x03"))
    big += packet(">", 0, T0 * 1000 + 250, bytes(14) + b"\x08\0" + ip)
    packets, walker = walk(little + big)
    assert [(p.time_ns, p.link_type, p.interface, p.number, p.comments) for p in packets] == [
        ((T0 + 3600) * 10**9 + 5, 228, 1, 1, ()),
        (T0 * 10**9 + 5000, 101, 0, 2, ("remark",)),
        (T0 * 10**9 + 250_000_000, 113, 2, 3, ()),
    ]
    assert [i.name for i in walker.interfaces] == ["eth0", "", ""]
    assert walker.comments == ["first"]
    assert walker.notices.notices == []
    path = tmp_path / "sections.pcapng"
    path.write_bytes(little + big)
    assert tshark_fields(path, ["frame.time_epoch", "ip.src"]) == [
        [f"{p.time_ns // 10**9}.{p.time_ns % 10**9:09d}", "1.2.3.4"] for p in packets
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_simple_and_old_packets_statistics_secrets_and_unknown_blocks(order):
    octets = section(order) + interface(
        order, 101, snaplen=4, options=option(order, 3, b"a tap") + option(order, 11, b"\0udp")
    )
    octets += block(order, 0xBAD, b"custom") + block(order, 0x7777, bytes(40)) + block(order, 4, bytes(8))
    octets += block(order, 2, pack(order + "HHIIII", 0, 3, T0 * 10**6 >> 32, T0 * 10**6 & 0xFFFFFFFF, 3, 9) + b"old\0")
    octets += block(order, 3, pack(order + "I", 100) + b"simp")
    octets += block(order, 10, pack(order + "II", 0x544C534B, 5) + b"keys!")
    octets += block(order, 5, bytes(12) + option(order, 5, pack(order + "Q", 2)))
    octets += block(
        order, 5, bytes(12) + option(order, 5, pack(order + "Q", 7)) + option(order, 7, pack(order + "Q", 1))
    )
    packets, walker = walk(octets)
    assert [(p.data, p.wire_length, p.time_ns) for p in packets] == [
        (b"old", 9, T0 * 10**9),
        (b"simp", 100, T0 * 10**9),
    ]
    assert walker.decryption_secrets == [(0x544C534B, b"keys!")]
    assert walker.dropped_packets == 8
    assert (walker.interfaces[0].description, walker.interfaces[0].filter) == ("a tap", "udp")
    assert walker.notices.counts == {"no-time-stamps": 1}


def test_a_packet_of_no_interface_is_told():
    packets, walker = walk(section("<") + packet("<", 0, 1, b"x") + interface("<") + packet("<", 0, 1, b"y"))
    assert [p.data for p in packets] == [b"y"]
    assert walker.notices.counts == {"unknown-interface": 1}


def test_a_packet_larger_than_its_block_is_told():
    bad = block("<", 6, pack("<IIIII", 0, 0, 0, 5000, 5000) + bytes(8))
    packets, walker = walk(section("<") + interface("<") + bad + packet("<", 0, 1, b"y"))
    assert [p.data for p in packets] == [b"y"]
    assert walker.notices.counts == {"damaged-block": 1}


CAPTURE = section("<") + interface("<") + b"".join(packet("<", 0, T0 * 10**6 + n, bytes([n]) * 30) for n in range(10))
START = len(section("<") + interface("<"))
SIZE = len(packet("<", 0, 0, bytes(30)))


@pytest.mark.parametrize("value", [0, 8, 13, 0xFFFFFFFF, 1 << 30, SIZE + 4])
@pytest.mark.parametrize("where", ["front", "back"])
def test_a_wrong_length_costs_one_block(value, where):
    octets = bytearray(CAPTURE)
    at = START + 4 * SIZE
    at += 4 if where == "front" else SIZE - 4
    octets[at : at + 4] = pack("<I", value)
    packets, walker = walk(bytes(octets))
    assert [p.data[0] for p in packets] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    (notice,) = walker.notices.notices
    assert (notice.slug, notice.offset) == ("damaged-record", START + 4 * SIZE)


def test_every_truncation_gives_the_whole_blocks_and_tells():
    for length in range(28, len(CAPTURE)):
        packets, walker = walk(CAPTURE[:length])
        assert len(packets) == max(0, (length - START) // SIZE)
        whole = length in (28, START) or (length > START and (length - START) % SIZE == 0)
        assert [n.slug for n in walker.notices.notices] == ([] if whole else ["truncated-file"])


@given(st.lists(st.integers(0, len(CAPTURE))))
def test_any_pieces_give_the_same(pieces):
    octets = bytearray(CAPTURE)
    octets[START + 2 * SIZE + 5] ^= 0x55
    whole, walker = walk(bytes(octets))
    in_pieces, other = walk(bytes(octets), pieces)
    assert in_pieces == whole
    assert other.notices.notices == walker.notices.notices


@given(st.binary(max_size=300), st.sampled_from("<>"))
def test_random_octets_are_survived(octets, order):
    walk(section(order) + interface(order) + octets)


@given(st.binary(max_size=120), st.sampled_from([1, 2, 3, 5, 6, 10, 0x0A0D0D0A]))
def test_random_bodies_are_survived(body, kind):
    walk(section("<") + interface("<") + block("<", kind, body) + packet("<", 0, 1, b"x"))


@given(st.binary(max_size=100), st.sampled_from("<>"))
def test_interface_blocks_raise_nothing_else(body, order):
    if len(body) < 8:
        with pytest.raises(WireError):
            parse_interface_block(body, order)
    else:
        assert parse_interface_block(body, order).time_ns(0) is not None


def test_interfaces_and_comments_are_bounded():
    flood = section("<") + interface("<") * 5000 + section("<", option("<", 1, b"c")) * 1500
    _, walker = walk(flood)
    assert len(walker.interfaces) == 4096
    assert len(walker.comments) == 1000
    assert walker.notices.counts == {"too-many-interfaces": 904, "too-many-comments": 500}


def test_the_reader_shows_all_of_it(tmp_path):
    path = tmp_path / "a.pcapng"
    path.write_bytes(CAPTURE)
    with open_capture(path) as reader:
        assert sum(1 for _ in reader) == 10
        assert (reader.format, reader.compression, len(reader.interfaces), reader.notices) == ("pcapng", None, 1, [])
        assert (reader.comments, reader.decryption_secrets, reader.dropped_packets) == ([], [], None)


def test_times_too_far_away_are_set_to_the_nearest_that_are_not():
    options = option("<", 14, pack("<q", 1 << 40)) + option("<", 0, b"")
    before = option("<", 14, pack("<q", -(1 << 40))) + option("<", 0, b"")
    octets = section("<") + interface("<", options=options) + interface("<", options=before) + interface("<")
    octets += b"".join(packet("<", number, 5, b"x") for number in (0, 1, 2))
    packets, walker = walk(octets)
    assert [p.time_ns for p in packets] == [1 << 62, -(1 << 62), 5000]
    assert walker.notices.counts == {"time-out-of-range": 2}
