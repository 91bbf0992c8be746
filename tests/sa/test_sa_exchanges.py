"""Request and response, retransmissions, message IDs, fragments."""

from __future__ import annotations

import random

import pytest

from ipsecanalyze.sa.tracker import Tracker


@pytest.fixture
def peers(kit):
    return kit.Peers()


def run(datagrams) -> Tracker:
    tracker = Tracker()
    for datagram in datagrams:
        tracker.feed(datagram)
    tracker.finish()
    return tracker


def slugs(tracker: Tracker) -> list[str]:
    return [notice.slug for notice in tracker.notices]


def test_a_response_finds_its_request_and_the_round_trip_time(kit, peers) -> None:
    peers.established()
    tracker = run(peers.sent)
    first, answer, auth, auth_answer = tracker.messages
    assert (answer.response_to, answer.round_trip_ns) == (first.datagram.frame, 10 * kit.MS)
    assert (auth_answer.response_to, auth_answer.from_initiator, auth_answer.is_response) == (3, False, True)
    assert first.response_to is auth.response_to is None
    (sa,) = tracker.ike_sas
    assert [(e.name, e.requests, e.responses) for e in sa.exchanges] == [
        ("IKE_SA_INIT", (1,), (2,)),
        ("IKE_AUTH", (3,), (4,)),
    ]
    assert tracker.notices == []


def test_requests_of_both_sides_may_have_one_message_id(kit, peers) -> None:
    peers.established()
    peers.send(peers.sealed(37, 2, 64))
    peers.send(peers.sealed(37, 2, 64, back=True), back=True)
    peers.send(peers.sealed(37, 2, 64, response=True))
    peers.send(peers.sealed(37, 2, 64, back=True, response=True), back=True)
    tracker = run(peers.sent)
    assert [record.response_to for record in tracker.messages[4:]] == [None, None, 6, 5]
    assert tracker.ike_sas[0].retransmissions == 0


def test_retransmissions_are_told_from_new_messages(kit, peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    for _ in range(3):
        peers.send(peers.sealed(35, 1))
    peers.send(peers.sealed(35, 1, back=True, response=True), back=True)
    peers.send(peers.sealed(35, 1, back=True, response=True), back=True)
    tracker = run(peers.sent)
    assert [record.retransmission_of for record in tracker.messages] == [None, 1, None, None, 4, 4, None, 7]
    (sa,) = tracker.ike_sas
    assert (sa.messages, sa.retransmissions) == (8, 4)
    auth = sa.exchanges[1]
    assert (auth.retransmissions, len(auth.retransmission_times_ns)) == (3, 2)
    # From the first transmission, not from the last one.
    assert auth.round_trip_ns == 30 * kit.MS


def test_a_retransmission_that_differs_is_told(kit, peers) -> None:
    peers.established()
    peers.send(peers.sealed(37, 2, 64))
    peers.send(peers.sealed(37, 2, 64, fill=b"x"))
    record = run(peers.sent).messages[-1]
    assert record.retransmission_of == 5
    assert record.notes == ["differs from frame 5, which it should repeat"]


def test_retransmissions_cut_by_the_snap_length_are_known_by_their_header(kit, peers) -> None:
    peers.established()
    peers.send(peers.sealed(37, 2, 64), cut=60)
    peers.send(peers.sealed(37, 2, 64), cut=60)
    peers.send(peers.sealed(37, 3, 64), cut=60)
    assert [record.retransmission_of for record in run(peers.sent).messages[4:]] == [None, 5, None]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([2, 3, 4], []),
        ([2, 5], ["message-id-gap"]),
        ([2, 3, 1], ["message-id-backwards"]),
        ([2, 9, 14], ["message-id-gap"]),  # once per side
    ],
)
def test_message_ids_go_up_one_by_one(kit, peers, ids, expected) -> None:
    peers.established()
    for number in ids:
        kind = 37 if number != 1 else 36
        peers.send(peers.sealed(kind, number, 64))
        peers.send(peers.sealed(kind, number, 64, back=True, response=True), back=True)
    assert slugs(run(peers.sent)) == expected


def test_a_request_before_the_answer_to_the_last_one_is_beyond_the_window(kit, peers) -> None:
    # RFC 7296 §2.3: one outstanding request unless SET_WINDOW_SIZE was sent.
    peers.established()
    peers.send(peers.sealed(37, 2, 64))
    peers.send(peers.sealed(37, 3, 64))
    tracker = run(peers.sent)
    assert slugs(tracker) == ["message-id-window"]
    assert tracker.notices[0].frame == 6


@pytest.mark.parametrize("seed", range(5))
def test_fragments_in_any_order(kit, peers, seed) -> None:
    order = list(range(1, 6))
    random.Random(seed).shuffle(order)
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    for number in order:
        peers.send(peers.sealed(35, 1, 400, fragment=(number, 5)))
    for number in (2, 1):
        peers.send(peers.sealed(35, 1, 400, back=True, response=True, fragment=(number, 2)), back=True)
    tracker = run(peers.sent)
    (sa,) = tracker.ike_sas
    auth = sa.exchanges[1]
    assert sa.fragmentation
    assert sa.retransmissions == 0
    assert (auth.fragments_expected, auth.fragments_seen) == (7, 7)
    assert len(auth.requests) == 5


def test_missing_repeated_and_impossible_fragments(kit, peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    for number in (1, 3, 3, 0, 9):
        peers.send(peers.sealed(35, 1, 400, fragment=(number, 3)))
    auth = run(peers.sent).ike_sas[0].exchanges[1]
    assert (auth.fragments_expected, auth.fragments_seen, auth.retransmissions) == (3, 2, 1)


def test_a_finer_fragmentation_replaces_the_old_one(kit, peers) -> None:
    # RFC 7383 §2.5.2: after a timeout the sender may try smaller fragments, of a larger total.
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    for number, total in ((1, 2), (1, 3), (2, 3), (2, 2), (3, 3)):
        peers.send(peers.sealed(35, 1, 400, fragment=(number, total)))
    auth = run(peers.sent).ike_sas[0].exchanges[1]
    assert (auth.fragments_expected, auth.fragments_seen) == (3, 3)


def quick_mode(kit, peers, number: int, octets: int, *, back: bool = False, fill: bytes = b"q", kind: int = 32):
    data = kit.message(peers.spi_i, peers.spi_r, kind, 1, number, raw=fill * octets, first=8, version=0x10)
    return peers.send(data, back=back)


def phase1(kit, peers, *, messages: int = 6) -> None:
    i, r = peers.spi_i, peers.spi_r
    clear = [(1, kit.sa_body_v1())], [(4, b"k" * 64), (10, b"n" * 20)]
    for index in range(messages):
        spi_r = r if index else 0
        if index < 4:
            data = kit.message(i, spi_r, 2, 0, 0, *clear[index // 2], (13, bytes([index]) * 16), version=0x10)
        else:
            data = kit.message(i, r, 2, 1, 0, raw=bytes([index]) * 64, first=5, version=0x10)
        peers.send(data, back=bool(index % 2))


def test_ikev1_messages_answer_the_latest_of_the_other_side(kit, peers) -> None:
    phase1(kit, peers)
    for index in range(3):
        quick_mode(kit, peers, 77, 100, back=index == 1, fill=bytes([index]))
    tracker = run(peers.sent)
    assert [record.response_to for record in tracker.messages] == [None, 1, 2, 3, 4, 5, None, 7, 8]
    assert [record.notes for record in tracker.messages[:2]] == [["message 1"], ["message 2"]]
    (sa,) = tracker.ike_sas
    assert [(e.name, e.requests, e.responses) for e in sa.exchanges] == [
        ("IDENTITY_PROTECTION", (1, 3, 5), (2, 4, 6)),
        ("QUICK_MODE", (7, 9), (8,)),
    ]
    assert sa.child_exchanges == 1
    assert sa.retransmissions == 0


def test_ikev1_retransmissions_are_the_same_octets(kit, peers) -> None:
    phase1(kit, peers)
    quick_mode(kit, peers, 77, 100)
    quick_mode(kit, peers, 77, 100, back=True, fill=b"r")
    quick_mode(kit, peers, 77, 100, back=True, fill=b"r")
    quick_mode(kit, peers, 77, 100)
    records = run(peers.sent).messages[6:]
    assert [record.retransmission_of for record in records] == [None, None, 8, 7]


def test_a_quick_mode_begun_by_the_responder(kit, peers) -> None:
    phase1(kit, peers)
    quick_mode(kit, peers, 5, 100, back=True)
    quick_mode(kit, peers, 5, 100, fill=b"a")
    tracker = run(peers.sent)
    assert [(r.from_initiator, r.is_response) for r in tracker.messages[6:]] == [(False, False), (True, True)]
    assert tracker.ike_sas[0].exchanges[1].initiated_by_initiator is False


def test_long_lived_sas_keep_their_first_and_latest_exchanges(kit, peers) -> None:
    peers.established()
    for number in range(2, 1502):
        peers.send(peers.sealed(37, number, 64))
        peers.send(peers.sealed(37, number, 64, back=True, response=True), back=True)
    (sa,) = run(peers.sent).ike_sas
    assert len(sa.exchanges) == 1024
    assert sa.exchanges[0].name == "IKE_SA_INIT"
    assert sa.exchanges[-1].message_id == 1501
    assert sa.exchange_counts["INFORMATIONAL"] == 3000
    assert sa.messages == 3004
