"""The scanner as a whole: pieces, several captures, limits, facts, and what it says to what is no capture."""

import gzip
import io
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze import CaptureError
from ipsecanalyze._fast import IMPLEMENTATION, WHY, make_flow_table, make_scanner
from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze._fast.intake import FLUSH_EVERY
from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.esp.flow import FlowTable

SMALL = ("v2-psk-aescbc-a", "v2-vlan-a", "v2-tcp-a", "v2-any-sll2-a", "v2-espfrag-a", "v1-natt-a")


def esp_frame(spi: int, sequence: int, *, size: int = 64, source: int = 1, ttl: int = 64) -> bytes:
    """Ethernet, IPv4 and ESP of `size` octets, made by dpkt."""
    payload = struct.pack(">II", spi, sequence) + bytes(size - 8)
    addresses = {"src": bytes((10, 0, 0, source)), "dst": bytes((10, 0, 1, 1))}
    packet = dpkt.ip.IP(p=50, ttl=ttl, df=1, data=payload, **addresses)
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(data=packet, type=0x0800))


def pcap(frames: list[bytes], *, step: float = 0.001) -> bytes:
    """A pcap file, written by dpkt."""
    out = io.BytesIO()
    writer = dpkt.pcap.Writer(out)
    for number, frame in enumerate(frames):
        writer.writepkt(frame, ts=1_700_000_000 + number * step)
    return out.getvalue()


@pytest.mark.captures(where=lambda capture: capture.scenario in SMALL)
def test_pieces_do_not_matter(capture_file: Any, scan: Any, outcome: Callable[[Any], Any], octets_of: Any) -> None:
    octets = octets_of(capture_file.path)
    whole = outcome(scan([octets]))
    for size in (1, 7, 1000, 4096):
        some = octets if size > 7 else octets[:20_000]
        expected = whole if size > 7 else outcome(scan([some]))
        assert outcome(scan(some[start : start + size] for start in range(0, len(some), size))) == expected


@pytest.mark.captures(where=lambda capture: capture.scenario == "v2-psk-aescbc-a")
@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 1 << 20), max_size=12), end=st.integers(0, 1 << 20))
def test_any_cuts_of_any_truncation(
    capture_file: Any, scan: Any, outcome: Callable[[Any], Any], octets_of: Any, cuts: list[int], end: int
) -> None:
    octets = octets_of(capture_file.path)
    octets = octets[: 30 + end % (len(octets) - 30)]
    bounds = sorted({0, len(octets), *(cut % len(octets) for cut in cuts)})
    assert outcome(scan(octets[a:b] for a, b in pairwise(bounds))) == outcome(scan([octets]))


@settings(max_examples=60)
@given(st.binary(max_size=400))
def test_random_octets_behind_a_header(scan: Any, noise: bytes) -> None:
    for magic in ("<I", ">I"):
        header = struct.pack(magic, 0xA1B2C3D4) + struct.pack(magic[0] + "HHiIII", 2, 4, 0, 0, 65535, 1)
        scanner, _ = scan([header + noise])
        assert scanner.facts.format == "pcap"


def test_facts(scan: Any) -> None:
    frames = [esp_frame(0x1000, number) for number in range(1, 6)] + [esp_frame(0x1000, 7)[:50]]
    octets = bytearray(pcap(frames))
    octets[-54:-50] = struct.pack("<I", 98)  # the last record says that 98 octets were on the wire
    scanner, datagrams = scan([bytes(octets)])
    facts = scanner.facts
    assert (facts.packets, facts.octets, facts.truncated_packets) == (6, 6 * 98, 1)
    assert facts.counts.esp == 6
    assert facts.first_time_ns == 1_700_000_000_000_000_000
    assert facts.last_time_ns == 1_700_000_000_005_000_000
    assert facts.link_types == [1]
    assert facts.notices == []
    assert datagrams == []
    (flow,) = scanner.flows.finish()
    assert (flow.spi, flow.source, flow.destination) == (0x1000, "10.0.0.1", "10.0.1.1")
    assert (flow.packets, flow.octets, flow.truncated_packets, flow.sequence.lost) == (6, 6 * 64, 1, 1)
    assert (flow.ttls, flow.dont_fragment, flow.encapsulation) == ({64: 6}, 6, Encapsulation.NONE)
    assert flow.gaps_ns.first == (1_000_000,) * 5
    assert (flow.first_frame, flow.last_frame) == (1, 6)


def test_several_captures_share_a_table(core: str) -> None:
    flows = make_flow_table(1000, 64, core=core)
    for index in range(3):
        scanner = make_scanner(path=f"part {index}", flows=flows, capture=index, core=core)
        frames = [esp_frame(5, 10 * index + number) for number in range(1, 11)] + [esp_frame(100 + index, 1)]
        scanner.feed(pcap(frames), final=True)
    first, *others = flows.finish()
    assert (first.packets, first.sequence.unique, first.sequence.lost, first.capture) == (30, 30, 0, 0)
    assert [(flow.spi, flow.capture) for flow in others] == [(100, 0), (101, 1), (102, 2)]


def test_flows_beyond_the_limit_are_counted(scan: Any) -> None:
    frames = [esp_frame(spi, 1, source=spi % 200) for spi in range(1, 501)] * 2
    scanner, _ = scan([pcap(frames)], limits=Limits(flows=100))
    assert len(scanner.flows) == 100
    assert [flow.packets for flow in scanner.flows] == [2] * 100
    assert scanner.flows.dropped_packets == 800
    assert scanner.flows.dropped_octets == 800 * 64
    assert [notice.slug for notice in scanner.flows.notices] == ["flow-limit"]
    assert scanner.facts.counts.esp == 1000


def test_what_waits_is_taken_in_batches(scan: Any, outcome: Callable[[Any], Any]) -> None:
    frame = bytearray(esp_frame(9, 1))
    records = []
    for number in range(FLUSH_EVERY + 1000):
        frame[38:42] = struct.pack(">I", number + 1 + number // 5000)
        records.append(struct.pack("<IIII", 1_700_000_000 + number // 1000, 0, len(frame), len(frame)) + frame)
    header = pcap([])
    octets = header + b"".join(records)
    scanner, datagrams = scan([octets])
    (flow,) = scanner.flows.finish()
    assert flow.packets == FLUSH_EVERY + 1000
    assert flow.sequence.lost == flow.sequence.loss_bursts == (FLUSH_EVERY + 999) // 5000
    in_pieces = scan(octets[start : start + 100_003] for start in range(0, len(octets), 100_003))
    assert outcome(in_pieces) == outcome((scanner, datagrams))


def test_flush_makes_a_running_table_complete(core: str) -> None:
    scanner = make_scanner(core=core)
    octets = pcap([esp_frame(1, number) for number in range(1, 4)])
    scanner.feed(octets[:-50])
    scanner.flush()
    assert [flow.packets for flow in scanner.flows] == [2]
    scanner.feed(octets[-50:], final=True)
    assert [flow.packets for flow in scanner.flows] == [3]


@pytest.mark.captures(where=lambda capture: capture.scenario in ("mixed-large", "v2-replay-a", "v2-loss-a"))
def test_pieces_of_a_capture_scanned_apart_merge_to_the_whole(
    capture_file: Any, scan: Any, core: str, octets_of: Any
) -> None:
    octets = octets_of(capture_file.path)
    whole, _ = scan([octets])
    header, rest = split_records(octets)
    for parts in (2, 3, 7):
        size = -(-len(rest) // parts)
        tables = []
        for index in range(parts):
            piece = header + b"".join(rest[index * size : (index + 1) * size])
            scanner, _ = scan([piece], flows=table_of(core, continuing=index > 0))
            tables.append(mergeable(scanner.flows))
        merged = tables[0]
        for table in tables[1:]:
            merged.merge(table)
        assert [facts(flow) for flow in merged.finish()] == [facts(flow) for flow in whole.flows.finish()]


def table_of(core: str, *, continuing: bool) -> FlowTable:
    if core == "python":
        return FlowTable(continuing=continuing)
    from ipsecanalyze._fast.native_flows import NativeFlowTable

    return NativeFlowTable(continuing=continuing)


def mergeable(table: Any) -> FlowTable:
    """A table that Python merges."""
    return table.python_table() if hasattr(table, "python_table") else table


def split_records(octets: bytes) -> tuple[bytes, list[bytes]]:
    """File header and records of a little-endian pcap."""
    assert octets[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
    records, position = [], 24
    while position < len(octets):
        (captured,) = struct.unpack_from("<I", octets, position + 8)
        records.append(octets[position : position + 16 + captured])
        position += 16 + captured
    return octets[:24], records


def facts(flow: Any) -> dict[str, Any]:
    """What a flow says of itself, but for frames, which count anew in each piece."""
    sequence = flow.sequence
    names = ["lowest", "highest", "unique", "lost", "duplicates", "reordered", "restarts", "wraps", "outside_window"]
    names += ["largest_lateness", "loss_bursts", "longest_loss_burst", "first", "last", "break_count"]
    own = ["protocol", "source", "destination", "spi", "packets", "octets", "first_time_ns", "last_time_ns", "sizes"]
    own += ["gaps_ns", "ttls", "traffic_classes", "length_residues", "ports", "vlans", "truncated_packets"]
    return {name: getattr(sequence, name) for name in names} | {name: getattr(flow, name) for name in own}


def test_scan_file(tmp_path: Path, core: str) -> None:
    octets = pcap([esp_frame(1, number, size=1000) for number in range(1, 3000)])
    path = tmp_path / "capture.pcap.gz"
    path.write_bytes(gzip.compress(octets))
    scanner = make_scanner(ScanOptions(protected_datagrams=True), path=str(path), core=core)
    found: list[Any] = []
    seen: list[int] = []
    scanner.scan_file(str(path), found.extend, seen.append)
    assert len(found) == scanner.facts.packets == 2999
    assert scanner.facts.compression == "gzip"
    assert seen == sorted(seen)
    assert seen[-1] == path.stat().st_size


@pytest.mark.parametrize("content", [b"", b"hello, world, this is no capture at all\n", b"\xd4\xc3\xb2\xa1\x02\x00"])
def test_no_capture(tmp_path: Path, content: bytes, core: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as caught:
        make_scanner(path=str(path), core=core).scan_file(str(path), list)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(CaptureError):
        make_scanner(core=core).feed(content, final=True)


def test_it_says_what_runs() -> None:
    assert IMPLEMENTATION in ("python", "c")
    assert WHY
