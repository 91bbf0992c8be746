"""What is written is read back equal, by this project, by tshark and by dpkt."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.reader import make_walker, open_capture
from ipsecanalyze.capture.walker import FARTHEST_NS
from ipsecanalyze.capture.writer import write_capture
from ipsecanalyze.errors import CaptureError, UsageError


@st.composite
def packet_lists(draw, link_types, times, comments):
    packets = []
    for number in range(1, draw(st.integers(0, 8)) + 1):
        data = draw(st.binary(max_size=80))
        packets.append(
            Packet(
                time_ns=draw(times),
                link_type=draw(link_types),
                data=data,
                wire_length=len(data) + draw(st.integers(0, 2000)),
                number=number,
                comments=draw(comments),
            )
        )
    return packets


def read(octets: bytes) -> list[Packet]:
    walker = make_walker(octets[:28])
    packets = walker.feed(octets, final=True)
    assert walker.notices.notices == []
    return [replace(p, offset=0) for p in packets]


def written(packets: list[Packet], **options: object) -> bytes:
    stream = io.BytesIO()
    assert write_capture(stream, packets, **options) == len(packets)  # type: ignore[arg-type]
    return stream.getvalue()


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(packet_lists(st.integers(0, 65535), st.integers(0, FARTHEST_NS), st.lists(texts, max_size=3).map(tuple)))
def test_pcapng_comes_back_equal(packets):
    numbers: dict[int, int] = {}
    for packet in packets:
        numbers.setdefault(packet.link_type, len(numbers))
    assert read(written(packets)) == [replace(p, interface=numbers[p.link_type]) for p in packets]


@given(packet_lists(st.just(101), st.integers(0, 2**32 * 10**9 - 1), st.just(())))
def test_pcap_comes_back_equal(packets):
    octets = written(packets, format="pcap")
    assert read(octets) == packets
    assert [data for _, data in dpkt.pcap.Reader(io.BytesIO(octets))] == [p.data for p in packets]


def test_tshark_reads_it(tmp_path, tshark_fields):
    frame = bytes.fromhex("4500001c000000004032000001020304050607080000000100000002")
    packets = [
        Packet(1_700_000_000_123_456_789, 101, frame, 28, 1, interface=3, comments=("one", "two")),
        Packet(1_700_000_001_000_000_001, 1, bytes(12) + b"\x08\0" + frame, 1500, 2, interface=9),
    ]
    path = tmp_path / "a.pcapng"
    assert write_capture(path, packets, interface_names={3: "tun0", 9: "eth0"}, comment="all of it") == 2
    assert tshark_fields(
        path, ["frame.time_epoch", "frame.interface_name", "frame.len", "frame.cap_len", "ip.src"]
    ) == [
        ["1700000000.123456789", "tun0", "28", "28", "1.2.3.4"],
        ["1700000001.000000001", "eth0", "1500", "42", "1.2.3.4"],
    ]
    with open_capture(path) as reader:
        assert [p.comments for p in reader] == [("one", "two"), ()]
        assert reader.comments == ["all of it"]
        assert [i.name for i in reader.interfaces] == ["tun0", "eth0"]
    path = tmp_path / "a.pcap"
    write_capture(path, packets[:1], format="pcap")
    assert tshark_fields(path, ["frame.time_epoch", "ip.dst"]) == [["1700000000.123456789", "5.6.7.8"]]


def test_empty_captures_have_a_link_type(tmp_path):
    for form in ("pcap", "pcapng"):
        path = tmp_path / form
        write_capture(path, [], format=form, link_type=276)
        with open_capture(path) as reader:
            assert list(reader) == []
            assert [i.link_type for i in reader.interfaces] == [276]


@pytest.mark.parametrize(
    ("packets", "form"),
    [
        ([Packet(0, 1, b"", 0, 1), Packet(0, 2, b"", 0, 2)], "pcap"),
        ([Packet(-1, 1, b"", 0, 1)], "pcap"),
        ([Packet(2**32 * 10**9, 1, b"", 0, 1)], "pcap"),
        ([Packet(-1, 1, b"", 0, 1)], "pcapng"),
        ([Packet(0, 1, bytes(300_000), 300_000, 1)], "pcap"),
        ([Packet(0, 1, bytes(9 << 20), 9 << 20, 1)], "pcapng"),
        ([Packet(0, 1, b"abc", 2, 1)], "pcapng"),
        ([Packet(0, 70_000, b"", 0, 1)], "pcapng"),
        ([], "erf"),
    ],
)
def test_what_a_format_cannot_hold_is_said(tmp_path, packets, form):
    path = tmp_path / "kept"
    path.write_bytes(b"before")
    with pytest.raises(UsageError):
        write_capture(path, packets, format=form)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(CaptureError, match="cannot be written"):
        write_capture(tmp_path / "missing" / "x.pcap", [])
    with pytest.raises(CaptureError, match="cannot be written"):
        write_capture(tmp_path, [])


def test_a_device_is_written_to_not_replaced():
    assert write_capture("/dev/null", [Packet(0, 1, b"", 0, 1)]) == 1
    assert not Path("/dev/null").is_file()
