"""The chain of payloads: whatever its headers say, it ends, in linear time, and no octet is lost."""

from __future__ import annotations

import time

import pytest

from ipsecanalyze.ike.chain import MAX_NOTICES, MAX_PAYLOADS, parse_payloads, write_payloads
from ipsecanalyze.ike.payloads import (
    EncryptedFragmentPayload,
    EncryptedPayload,
    GsaPayload,
    GspmPayload,
    IdgPayload,
    KdPayload,
    MalformedPayload,
    NatDetectionPayload,
    NoncePayload,
    PuzzleSolutionPayload,
    RawPayload,
    UnframedPayload,
)

H = bytes.fromhex


def read(data, first, major=2, **options):
    payloads, trailing, notices = parse_payloads(data, first, major, **options)
    assert write_payloads(payloads) + trailing == data
    return payloads, trailing, [notice.slug for notice in notices]


def test_no_payload():
    assert read(b"", 0) == ((), b"", [])
    assert read(b"abc", 0) == ((), b"abc", [])


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_payload_that_points_to_itself(length):
    """A length below 4 would never get past the header."""
    payloads, trailing, slugs = read(H("2800000c") + b"12345678" + H("2800") + length.to_bytes(2) + b"rest", 40)
    assert slugs == ["payload-length"]
    assert [type(payload) for payload in payloads] == [NoncePayload, UnframedPayload]
    assert payloads[1].data == H("2800") + length.to_bytes(2) + b"rest"
    assert trailing == b""


def test_payload_longer_than_the_message():
    payloads, _, slugs = read(H("0000ffff") + b"1234", 34)
    assert slugs == ["payload-overrun"]
    assert payloads[0].summary == "KE(incomplete)"
    assert read(H("0000ffff") + b"1234", 34, cut=True)[2] == []


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_announced_payload_that_is_not_there(left):
    payloads, _, slugs = read(H("2a000005aa") + bytes(left), 40)
    assert slugs == ["payload-overrun"]
    assert payloads[1].type == 42
    assert payloads[1].data == bytes(left)


def test_ten_thousand_payloads_are_bounded():
    data = H("28000004") * 10_000
    payloads, trailing, slugs = read(data, 40)
    assert slugs == ["too-many-payloads"]
    assert len(payloads) == MAX_PAYLOADS + 1
    assert payloads[-1].data == H("28000004") * (10_000 - MAX_PAYLOADS)
    assert trailing == b""


def test_time_is_linear():
    """A million headers must not cost more than the thousand that are read."""
    short, long = H("28000004") * 2_000, H("28000004") * 1_000_000
    started = time.perf_counter()
    parse_payloads(short, 40, 2)
    middle = time.perf_counter()
    parse_payloads(long, 40, 2)
    assert time.perf_counter() - middle < 20 * (middle - started) + 0.05


def test_thousands_of_malformed_payloads_make_few_notices():
    payloads, _, slugs = read(H("22000004") * 900, 34)
    assert len(payloads) == 901
    assert all(isinstance(payload, MalformedPayload) for payload in payloads)
    assert len(slugs) == MAX_NOTICES
    assert slugs[-1] == "more-notices"


def test_malformed_payload_does_not_end_the_chain():
    """A KE payload of two octets has no room for its group; the nonce behind it is read all the same."""
    payloads, _, slugs = read(H("28000006 0e0e 00000008 01020304"), 34)
    assert slugs == ["malformed-payload"]
    assert isinstance(payloads[0], MalformedPayload)
    assert payloads[0].summary == "KE(malformed)"
    assert payloads[1].data == H("01020304")


@pytest.mark.parametrize(("kind", "major"), [(200, 2), (1, 2), (32, 2), (55, 2), (255, 2), (200, 1), (33, 1), (23, 1)])
def test_unknown_payloads_keep_their_octets(kind, major):
    payloads, _, slugs = read(H("0000000a") + b"secret", kind, major)
    assert slugs == []
    assert type(payloads[0]) is RawPayload
    assert payloads[0].data == b"secret"
    assert payloads[0].summary == f"?{kind}"


@pytest.mark.parametrize(
    ("kind", "major", "cls", "label"),
    [
        (49, 2, GspmPayload, "GSPM"), (51, 2, GsaPayload, "GSA"), (52, 2, KdPayload, "KD"),
        (54, 2, PuzzleSolutionPayload, "PS"), (17, 1, KdPayload, "KD"),
    ],
)  # fmt: skip
def test_framed_payloads(kind, major, cls, label):
    payloads, _, slugs = read(H("00000007 0a0b0c"), kind, major)
    assert slugs == []
    assert type(payloads[0]) is cls
    assert payloads[0].summary == label


@pytest.mark.parametrize(("kind", "label"), [(15, "SAK"), (16, "SAT"), (18, "SEQ"), (19, "POP"), (22, "GAP")])
def test_gdoi_payloads(kind, label):
    assert read(H("00000007 0a0b0c"), kind, 1, exchange_type=33)[0][0].summary == label


def test_group_identification():
    payload = read(H("0000000d 02000000") + b"group", 50)[0][0]
    assert type(payload) is IdgPayload
    assert payload.summary == "IDg[group]"


def test_draft_nat_detection_shares_its_number_with_gdoi():
    """draft-ietf-ipsec-nat-t-ike-00 had NAT-D at 15, in main and aggressive mode."""
    data = H("00000018") + bytes(20)
    assert type(read(data, 15, 1, exchange_type=2)[0][0]) is NatDetectionPayload
    assert type(read(data, 15, 1, exchange_type=33)[0][0]) is not NatDetectionPayload


def test_critical_bit_and_reserved_bits_are_kept():
    payload = read(H("00ff0005 aa"), 200)[0][0]
    assert (payload.critical, payload.reserved) == (True, 0x7F)
    assert "critical" in payload.describe()[0].value
    payload = read(H("00ff0005 aa"), 200, 1)[0][0]
    assert (payload.critical, payload.reserved) == (False, 0xFF)


def test_encrypted_payload_ends_the_chain():
    """What its next payload field names is inside."""
    payloads, trailing, slugs = read(H("23000008 01020304 28000004"), 46)
    assert len(payloads) == 1
    assert isinstance(payloads[0], EncryptedPayload)
    assert (payloads[0].inner_type, payloads[0].data) == (35, H("01020304"))
    assert trailing == H("28000004")
    assert slugs == []


def test_fragment_first_in_an_exchange():
    payloads, _, slugs = read(H("2300000e 0001 0002 0102030405ff"), 53)
    assert slugs == []
    fragment = payloads[0]
    assert isinstance(fragment, EncryptedFragmentPayload)
    assert (fragment.fragment_number, fragment.total_fragments, fragment.data) == (1, 2, H("0102030405ff"))


@pytest.mark.parametrize(("number", "total"), [(0, 0), (0, 2), (3, 2)])
def test_impossible_fragment_numbers(number, total):
    data = H("00000009") + number.to_bytes(2) + total.to_bytes(2) + b"x"
    payloads, _, slugs = read(data, 53)
    assert slugs == ["fragment-number"]
    assert payloads[0].total_fragments == total


def test_fragment_without_room_for_its_numbers():
    payloads, _, slugs = read(H("28000006 0001"), 53)
    assert slugs == ["payload-length"]
    assert isinstance(payloads[0], UnframedPayload)


def test_encrypted_payload_that_claims_too_much():
    payloads, _, slugs = read(H("230000ff 01020304"), 46)
    assert slugs == ["payload-overrun"]
    assert (payloads[0].data, payloads[0].missing) == (H("01020304"), 0xFF - 8)


def test_offsets_are_relative_to_the_message():
    payloads, _, notices = parse_payloads(H("28000005 aa 00000003"), 40, 2, 100)
    assert [payload.offset for payload in payloads] == [100, 105]
    assert notices[0].offset == 105
