"""`glance` is a short way to what `parse_ike` and `read_clear` say: wherever it answers, it must answer the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.capture.decoder import datagrams
from ipsecanalyze.capture.packet import DatagramKind
from ipsecanalyze.capture.reader import open_capture
from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.message import parse_ike, read_head
from ipsecanalyze.sa.clear import glance, read_clear

CAPTURES = Path(__file__).parent.parent / "captures"


def captured() -> list[bytes]:
    """The first IKE messages of each shipped capture: a few of each kind are enough."""
    found = []
    for path in sorted(CAPTURES.glob("*/wan*.pcap*")):
        own = [each.payload for each in datagrams(open_capture(path)) if each.kind is DatagramKind.IKE]
        found += own[:12]
    return found


MESSAGES = captured()


def agree(octets: bytes) -> bool:
    """Whether `glance` had an answer, which then is that of the long way."""
    clear = glance(octets)
    if clear is None:
        return False
    whole = parse_ike(octets)
    assert not whole.notices
    assert not whole.trailing
    assert clear == read_clear(whole, octets)
    whole.payloads = ()
    assert read_head(octets) == whole
    return True


def test_on_what_was_captured():
    answered = sum(agree(octets) for octets in MESSAGES)
    # Nearly all plain first messages are taken the short way, or it would be of no use.
    assert answered > 60


@settings(max_examples=2_000, deadline=None)
@given(st.data())
def test_on_damaged_messages(data):
    octets = bytearray(data.draw(st.sampled_from(MESSAGES)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(octets) - 1))
        octets[position] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from((0, 1, 4, 8, 33, 41, 43))))
    cut = data.draw(st.one_of(st.just(len(octets)), st.integers(0, len(octets))))
    try:
        agree(bytes(octets[:cut]))
    except WireError:
        pytest.fail("glance answered where there is no header")


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(MESSAGES), st.integers(0, 400), st.booleans())
def test_on_messages_cut_or_grown_with_a_length_that_fits(octets, size, grown):
    body = octets + bytes(size) if grown else octets[: max(size, 28)]
    agree(body[:24] + len(body).to_bytes(4) + body[28:])
