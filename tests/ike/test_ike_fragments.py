"""Cisco's fragments put together in any order, RFC 7383's kept account of; both bounded."""

from __future__ import annotations

import itertools
import random

import pytest

from ipsecanalyze.ike.fragments import CiscoReassembler, FragmentBook, FragmentSet, FragmentStatus, fragment_key
from ipsecanalyze.ike.message import IkeMessage, parse_ike
from ipsecanalyze.ike.payloads import EncryptedFragmentPayload, FragmentPayload


def cisco(number, data, *, last=False, fragment_id=1, spi=1):
    fragment = FragmentPayload(type=132, fragment_id=fragment_id, fragment_number=number, flags=int(last), data=data)
    message = IkeMessage(
        spi_i=spi, spi_r=2, next_payload=132, major=1, minor=0, exchange_type=2, flags=0, message_id=0,
        length=36 + len(data), payloads=(fragment,),
    )  # fmt: skip
    return parse_ike(message.to_bytes())


def skf(number, total):
    return EncryptedFragmentPayload(type=53, fragment_number=number, total_fragments=total, data=b"")


@pytest.mark.parametrize("order", [(7, 8), (8, 7)])
def test_a_real_message(sample, order):
    """strongSwan's third message of main mode, with certificate; the whole is what tshark 4.0.17 reassembles."""
    reassembler = CiscoReassembler()
    first, last = (parse_ike(sample("v1-main-cert-a", frame)) for frame in order)
    assert reassembler.add(first) is None
    assert len(reassembler) == 1
    whole = reassembler.add(last)
    assert whole is not None
    message = parse_ike(whole)
    assert (message.length, len(whole), message.exchange_name) == (1292, 1292, "IDENTITY_PROTECTION")
    assert message.is_encrypted
    assert message.next_payload == 5
    assert message.notices == ()
    assert len(reassembler) == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 5))))
def test_every_order(order):
    reassembler = CiscoReassembler()
    results = [reassembler.add(cisco(number, bytes((number,)) * 3, last=number == 4)) for number in order]
    assert results == [None, None, None, b"\1\1\1\2\2\2\3\3\3\4\4\4"]


def test_duplicates_are_counted_and_harmless():
    reassembler = CiscoReassembler()
    reassembler.add(cisco(1, b"first"))
    assert reassembler.add(cisco(1, b"other")) is None
    assert reassembler.duplicates == 1
    assert reassembler.add(cisco(2, b"second", last=True)) == b"firstsecond"


def test_senders_and_identifiers_are_kept_apart():
    reassembler = CiscoReassembler()
    reassembler.add(cisco(1, b"a"), sender="192.0.2.1")
    assert reassembler.add(cisco(2, b"b", last=True), sender="192.0.2.2") is None
    assert reassembler.add(cisco(2, b"b", last=True, fragment_id=2), sender="192.0.2.1") is None
    assert reassembler.add(cisco(2, b"b", last=True), sender="192.0.2.1") == b"ab"


def test_no_fragment(sample):
    reassembler = CiscoReassembler()
    assert reassembler.add(parse_ike(sample("v1-noprop-a", 3))) is None
    assert reassembler.add(cisco(0, b"x", last=True)) is None
    assert len(reassembler) == 0


def test_reassembly_is_bounded():
    reassembler = CiscoReassembler(messages=10, octets=1_000, message_octets=500)
    for spi in range(1, 101):
        reassembler.add(cisco(1, b"x" * 10, spi=spi))
    assert len(reassembler) == 10
    assert reassembler.dropped == 90
    for number in range(2, 60):
        reassembler.add(cisco(number, b"x" * 10, spi=100))
    assert reassembler.dropped == 91
    for spi in range(200, 210):
        reassembler.add(cisco(1, b"x" * 400, spi=spi))
    assert len(reassembler) == 2


def test_real_fragments_in_any_order(sample):
    fragments = [parse_ike(sample("v2-frag-a", frame)) for frame in (5, 6, 7, 8)]
    keys = {fragment_key(message) for message in fragments}
    assert len(keys) == 1
    responses = {fragment_key(parse_ike(sample("v2-frag-a", frame))) for frame in (9, 10, 11)}
    assert len(responses) == 1
    assert not keys & responses
    for order in itertools.permutations(fragments):
        found: FragmentSet[bytes] = FragmentSet()
        statuses = []
        for message in order:
            payload = message.find(EncryptedFragmentPayload)
            statuses.append(found.add(payload.fragment_number, payload.total_fragments, payload.data))
        assert statuses == [FragmentStatus.NEW] * 3 + [FragmentStatus.COMPLETE]
        assert found.in_order() == [message.payloads[0].data for message in fragments]
        assert found.missing == []


def test_only_the_first_fragment_names_the_first_payload(sample):
    inner = [parse_ike(sample("v2-frag-a", frame)).payloads[0].inner_type for frame in (5, 6, 7, 8)]
    assert inner == [35, 0, 0, 0]


def test_last_fragment_first():
    found: FragmentSet[str] = FragmentSet()
    assert found.add(3, 3, "c") is FragmentStatus.NEW
    assert not found.is_complete
    assert found.missing == [1, 2]
    assert found.add(1, 3, "a") is FragmentStatus.NEW
    assert found.add(3, 3, "again") is FragmentStatus.DUPLICATE
    assert found.add(2, 3, "b") is FragmentStatus.COMPLETE
    assert found.is_complete
    assert found.in_order() == ["a", "b", "c"]
    assert found.duplicates == 1


def test_total_grows_when_the_sender_tries_smaller_pieces():
    """RFC 7383 §2.6: a larger total voids what is there, a smaller one is of the attempt before."""
    found: FragmentSet[str] = FragmentSet()
    found.add(1, 2, "old")
    assert found.add(4, 4, "d") is FragmentStatus.RESTARTED
    assert found.pieces == {4: "d"}
    assert found.restarts == 1
    assert found.add(2, 2, "late") is FragmentStatus.STALE
    assert found.total == 4


@pytest.mark.parametrize(("number", "total"), [(0, 1), (2, 1), (0, 0), (65535, 0)])
def test_numbers_that_cannot_be(number, total):
    found: FragmentSet[str] = FragmentSet()
    assert found.add(number, total, "x") is FragmentStatus.INVALID
    assert found == FragmentSet()


def test_missing_is_bounded():
    found: FragmentSet[str] = FragmentSet()
    found.add(1, 65535, "x")
    assert found.missing == list(range(2, 102))


def test_book_is_bounded():
    book: FragmentBook[int] = FragmentBook(sets=100, pieces=1_000)
    for key in range(500):
        assert book.add(key, skf(1, 2), key)[0] is FragmentStatus.NEW
    assert len(book) == 100
    assert book.dropped_sets == 400
    for number in range(1, 5_000):
        book.add("flood", skf(number, 65535), number)
    assert len(book) == 1
    book.discard("flood")
    book.discard("flood")
    assert len(book) == 0


def test_book_forgets_the_set_touched_longest_ago():
    book: FragmentBook[int] = FragmentBook(sets=2)
    book.add("a", skf(1, 3), 1)
    book.add("b", skf(1, 3), 1)
    book.add("a", skf(2, 3), 2)
    book.add("c", skf(1, 3), 1)
    assert set(book.sets) == {"a", "c"}
    status, found = book.add("a", skf(3, 3), 3)
    assert status is FragmentStatus.COMPLETE
    assert found.in_order() == [1, 2, 3]


def test_account_equals_a_plain_model():
    generator = random.Random(7383)
    for _ in range(200):
        total = generator.randint(1, 12)
        numbers = [generator.randint(1, total) for _ in range(generator.randint(1, 30))]
        found: FragmentSet[int] = FragmentSet()
        for number in numbers:
            found.add(number, total, number)
        assert found.is_complete == (set(numbers) == set(range(1, total + 1)))
        assert found.duplicates == len(numbers) - len(set(numbers))
