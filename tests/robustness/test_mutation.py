"""Damaged captures: octets changed, removed, repeated and swapped, under hypothesis.

Whatever comes in, the analysis ends, its documents are JSON, each packet is counted once, nothing raw is printed.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipsecanalyze
from ipsecanalyze import Analyzer, CaptureError, WireError

#: (what, where, how much or which): positions are taken modulo the length.
EDIT = st.tuples(
    st.sampled_from(["set", "flip", "cut", "repeat", "insert", "ones", "zeros"]),
    st.integers(0, 6_000),
    st.integers(0, 255),
)


def edited(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    out = bytearray(data)
    for what, where, amount in edits:
        at = where % len(out) if out else 0
        match what:
            case "set":
                out[at : at + 1] = bytes([amount])
            case "flip" if out:
                out[at] ^= 1 << (amount % 8)
            case "cut":
                del out[at : at + amount]
            case "repeat":
                out[at:at] = out[at : at + amount]
            case "insert":
                out[at:at] = bytes(range(amount))
            case "ones":
                out[at : at + 4] = b"\xff" * 4
            case "zeros":
                out[at : at + 4] = bytes(4)
    return bytes(out)


def analyze(data: bytes) -> ipsecanalyze.Analysis | None:
    """The analysis, or None where the octets are no capture at all."""
    analyzer = Analyzer()
    try:
        analyzer.feed(data)
        analyzer.end_capture()
    except CaptureError:
        return None
    return analyzer.finish()


def check(analysis: ipsecanalyze.Analysis) -> None:
    document = analysis.to_dict()
    json.dumps(document)
    json.dumps(analysis.messages_document())
    json.dumps(analysis.flows_document())
    for capture in document["captures"]:
        # TCP segments may carry several messages.
        assert sum(capture["counts"].values()) >= capture["packets"]
        assert all(warning["slug"] for warning in capture["warnings"])
    for flow in document["flows"]:
        assert flow["packets"] == flow["unique"] + flow["duplicates"]
        assert 0 <= flow["reordered"] < flow["packets"]
        assert flow["lost"] >= 0
    for record in analysis.messages:
        wire = ipsecanalyze.parse_ike(record.datagram.payload)
        assert wire.to_bytes() == record.datagram.payload


@settings(max_examples=250)
@given(choice=st.integers(0, 8), edits=st.lists(EDIT, min_size=1, max_size=12))
def test_mutated_captures(seeds, choice, edits):
    analysis = analyze(edited(seeds[choice % len(seeds)], edits))
    if analysis is not None:
        check(analysis)


@settings(max_examples=40)
@given(choice=st.integers(0, 8), edits=st.lists(EDIT, min_size=1, max_size=6))
def test_mutated_captures_are_printed(seeds, choice, edits):
    analysis = analyze(edited(seeds[choice % len(seeds)], edits))
    if analysis is not None:
        text = analysis.summary(width=80)
        assert not [c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0]
        analysis._repr_html_()


@settings(max_examples=150)
@given(head=st.sampled_from(["pcap", "swapped", "nano", "pcapng", "none"]), data=st.binary(max_size=800))
def test_random_octets(head, data):
    start = {
        "pcap": b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(8) + b"\x00\x00\x04\x00\x01\x00\x00\x00",
        "swapped": b"\xa1\xb2\xc3\xd4\x00\x02\x00\x04" + bytes(8) + b"\x00\x04\x00\x00\x00\x00\x00\x01",
        "nano": b"\x4d\x3c\xb2\xa1\x02\x00\x04\x00" + bytes(8) + b"\x00\x00\x04\x00\x65\x00\x00\x00",
        "pcapng": b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00"
        + b"\xff" * 8
        + b"\x1c\x00\x00\x00",
        "none": b"",
    }[head]
    analysis = analyze(start + data)
    if analysis is not None:
        check(analysis)


@settings(max_examples=200)
@given(
    frames=st.lists(st.tuples(st.sampled_from([0, 1, 101, 105, 113, 127, 228, 229, 239, 276]), st.binary(max_size=200)))
)
def test_random_frames(craft, frames):
    """Random octets as frames of many link types; each by itself, since a pcap has one link type."""
    for link_type, frame in frames[:4]:
        analysis = analyze(craft.pcap([frame, frame[:17], frame[5:]], link_type=link_type))
        assert analysis is not None
        assert analysis.captures[0].packets == 3
        check(analysis)


@pytest.fixture(scope="module")
def messages(seeds) -> list[bytes]:
    """Real IKE messages to start from."""
    found = [record.datagram.payload for data in seeds for record in (analyze(data) or pytest.fail("seed")).messages]
    assert len(found) > 20
    return found


@settings(max_examples=300)
@given(choice=st.integers(0, 1000), edits=st.lists(EDIT, max_size=8))
def test_mutated_messages(messages, choice, edits):
    """A message either is none (WireError), or is written back to the same octets."""
    data = edited(messages[choice % len(messages)], edits)
    try:
        message = ipsecanalyze.parse_ike(data)
    except WireError:
        return
    assert message.to_bytes() == data
    for payload in message.payloads:
        assert payload.summary.isprintable()
        for line in payload.describe():
            assert str(line).isprintable()


def test_the_edits_do_what_they_say():
    run: Callable[[str, int, int], bytes] = lambda what, at, how: edited(b"abcdef", [(what, at, how)])  # noqa: E731
    assert run("set", 1, 65) == b"aAcdef"
    assert run("cut", 1, 3) == b"aef"
    assert run("repeat", 1, 2) == b"abcbcdef"
