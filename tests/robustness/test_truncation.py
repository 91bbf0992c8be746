"""Captures cut anywhere: every whole record counts, the cut is told, nothing breaks.

Five captures are cut at every length up to 4 KiB, the others at every 61st; IPSECANALYZE_EXHAUSTIVE=1 cuts all of
them everywhere. Where the records end is read here independently.
"""

from __future__ import annotations

import gzip
import os
import struct
from bisect import bisect_right

import pytest

import ipsecanalyze
from ipsecanalyze import Analyzer, CaptureError

LIMIT = 4096
EVERYWHERE = {"v2-psk-aescbc-a", "v1-wrongpsk-a", "v2-ctr-a", "v2-tcp-a", "v2-tfc-a"}
#: Coprime to every alignment that a format could have.
STEP = 61


def record_ends(data: bytes) -> tuple[list[int], set[int]]:
    """Where the packets end (records of pcap, packet blocks of pcapng), and where a cut leaves nothing broken."""
    ends, position = [], 24
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        position, borders = 0, set()
        while position + 8 <= len(data):
            kind, length = struct.unpack_from("<II", data, position)
            position += length
            borders.add(position)
            if kind in {2, 3, 6}:
                ends.append(position)
        return ends, borders
    order = "<" if data[0] in (0xD4, 0x4D) else ">"
    while position + 16 <= len(data):
        position += 16 + struct.unpack_from(order + "I", data, position + 8)[0]
        ends.append(position)
    return ends, {24, *ends}


def smallest(data: bytes) -> int:
    """Octets that make a capture of it: a pcap header, or a section header as far as its byte-order magic."""
    return 12 if data[:4] == b"\x0a\x0d\x0d\x0a" else 24


def analyze(data: bytes) -> ipsecanalyze.Analysis:
    """The analysis of a capture in memory."""
    analyzer = Analyzer()
    analyzer.feed(data)
    return analyzer.finish()


def test_cut_anywhere(capture_file, octets_of):
    data = octets_of(capture_file.path)
    ends, borders = record_ends(data)
    everywhere = os.environ.get("IPSECANALYZE_EXHAUSTIVE") or str(capture_file) in EVERYWHERE
    for length in range(0, min(LIMIT, len(data)) + 1, 1 if everywhere else STEP):
        if length < smallest(data):
            with pytest.raises(CaptureError):
                analyze(data[:length])
            continue
        (capture,) = analyze(data[:length]).captures
        assert capture.packets == bisect_right(ends, length), length
        assert ("truncated-file" in capture.notice_counts) == (length not in borders), length


@pytest.mark.captures(where=lambda c: c.scenario in {"v2-gmac-a", "v2-ccm-a"})
def test_cut_in_the_first_record(capture_file, octets_of):
    """No record is made up from the octets of the only one, though no time is known yet to judge by."""
    data = octets_of(capture_file.path)
    for length in range(24, record_ends(data)[0][0]):
        (capture,) = analyze(data[:length]).captures
        assert capture.packets == 0, length


@pytest.mark.captures(where=lambda c: c.scenario in {"v2-redirect-a", "v1-noprop-a"})
def test_cut_gzip(capture_file, tmp_path):
    """A gzip file cut in the middle: what could be unpacked is used."""
    data = capture_file.path.read_bytes()
    assert data.startswith(b"\x1f\x8b")
    path = tmp_path / "cut.pcap.gz"
    whole = ipsecanalyze.analyze(capture_file.path).captures[0].packets
    counts = []
    for length in range(0, len(data), 23):
        path.write_bytes(data[:length])
        try:
            (capture,) = ipsecanalyze.analyze(path).captures
        except CaptureError:
            continue
        counts.append(capture.packets)
        assert capture.notices
    assert counts == sorted(counts)
    assert counts[-1] <= whole


@pytest.mark.captures(where=lambda c: c.scenario == "v2-natt-a" and c.main)
def test_pieces_of_any_size(capture_file, octets_of):
    """Fed in pieces of one octet to many, the result is that of the whole."""
    data = octets_of(capture_file.path)[:20_000]
    expected = analyze(data).to_dict()
    for size in (1, 7, 61, 4096):
        analyzer = Analyzer()
        for position in range(0, len(data), size):
            analyzer.feed(data[position : position + size])
        assert analyzer.finish().to_dict() == expected, size


def test_gzip_of_several_members(captures, octets_of, tmp_path):
    data = octets_of(captures / "v2-redirect-a" / "wan.pcap.gz")
    path = tmp_path / "members.pcap.gz"
    path.write_bytes(gzip.compress(data[:1000]) + gzip.compress(data[1000:]))
    assert ipsecanalyze.analyze(path).captures[0].packets == 26
