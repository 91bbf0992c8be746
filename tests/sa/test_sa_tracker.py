"""Which message belongs to which IKE SA, what the clear ones say, and the limits."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze._fast.contract import Limits
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.sa.records import Mode, State
from ipsecanalyze.sa.tracker import Tracker

COOKIE, INVALID_KE, NO_PROPOSAL, REDIRECT = 16390, 17, 14, 16407


@pytest.fixture
def peers(kit):
    return kit.Peers()


def run(datagrams, limits: Limits | None = None) -> Tracker:
    tracker = Tracker(limits)
    for datagram in datagrams:
        tracker.feed(datagram)
    tracker.finish()
    return tracker


# Identity


def test_the_same_spi_from_two_addresses_is_two_attempts(kit) -> None:
    one, two = kit.Peers(), kit.Peers(here="192.0.2.77", spi_r=0x3333333333333333)
    one.send(one.init_request())
    two.send(two.init_request())
    one.send(one.init_response(), back=True)
    two.send(two.init_response(), back=True)
    tracker = run([*one.sent[:1], *two.sent[:1], *one.sent[1:], *two.sent[1:]])
    assert [(sa.initiator.address, sa.responder.spi, sa.messages) for sa in tracker.ike_sas] == [
        (kit.ALICE, one.spi_r, 2),
        ("192.0.2.77", two.spi_r, 2),
    ]


def test_port_4500_and_a_new_address_are_one_sa(kit, peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    peers.port = 4500
    peers.send(peers.sealed(35, 1))
    peers.send(peers.sealed(35, 1, back=True, response=True), back=True)
    peers.here = "192.0.2.200"
    peers.send(peers.sealed(37, 2))
    peers.send(peers.sealed(37, 2, back=True, response=True), back=True)
    (sa,) = run(peers.sent).ike_sas
    assert (sa.initiator.address, sa.initiator.port) == (kit.ALICE, 500)
    assert sa.initiator.moves == ((3, kit.ALICE, 4500), (5, "192.0.2.200", 4500))
    assert sa.responder.moves == ((4, kit.BOB, 4500),)
    assert sa.encapsulation is Encapsulation.UDP
    assert sa.messages == 6


@pytest.mark.parametrize("major", [1, 2])
def test_minor_versions_are_ignored(kit, peers, major) -> None:
    # RFC 7296 §2.5: "messages containing higher minor version numbers" are processed all the same.
    if major == 2:
        request, response = peers.init_request(), peers.init_response()
    else:
        request = kit.message(peers.spi_i, 0, 2, 0, 0, (1, kit.sa_body_v1()), version=0x10)
        response = kit.message(peers.spi_i, peers.spi_r, 2, 0, 0, (1, kit.sa_body_v1()), version=0x10)
    peers.send(request[:17] + bytes([major << 4 | 0xF]) + request[18:])
    peers.send(response, back=True)
    tracker = run(peers.sent)
    (sa,) = tracker.ike_sas
    assert (sa.version, sa.messages, len(sa.chosen) > 0) == (f"{major}.0", 2, True)
    assert [record.message.version_text for record in tracker.messages] == [f"{major}.15", f"{major}.0"]
    assert tracker.messages[1].response_to == 1


def test_a_cookie_round_is_part_of_the_attempt(kit, peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_notify(COOKIE, b"c" * 20), back=True)
    peers.send(peers.init_request(kit.notify(COOKIE, b"c" * 20)))
    peers.send(peers.init_response(), back=True)
    tracker = run(peers.sent)
    (sa,) = tracker.ike_sas
    assert sa.cookie_rounds == 1
    assert sa.retransmissions == 0
    assert [record.notes for record in tracker.messages] == [[], ["cookie requested"], ["returns the cookie"], []]
    assert [(e.requests, e.responses) for e in sa.exchanges] == [((1,), (2,)), ((3,), (4,))]


@pytest.mark.parametrize("spi_r", [0, 0x7777])
def test_another_group_is_asked_for(kit, peers, spi_r) -> None:
    peers.send(peers.init_request(group=14))
    peers.send(peers.init_notify(INVALID_KE, struct.pack(">H", 19), spi_r), back=True)
    peers.send(peers.init_request(group=19))
    peers.send(peers.init_response(group=19), back=True)
    tracker = run(peers.sent)
    sa = tracker.ike_sas[0]
    if spi_r:
        # A responder that picks an SPI only to refuse has begun something else when it picks another one.
        assert tracker.messages[1].ike_sa is sa
        return
    assert len(tracker.ike_sas) == 1
    assert sa.invalid_ke_rounds == (19,)
    assert sa.initiator.key_exchange_groups == (14, 19)
    assert tracker.messages[1].notes == ["MODP_2048 refused, wants ECP_256"]
    assert [a.name for a in sa.chosen if a.type == "KE"] == ["ECP_256"]


def test_a_retry_under_another_spi_continues_the_attempt(kit, peers) -> None:
    peers.send(peers.init_request(group=14))
    peers.send(peers.init_notify(INVALID_KE, struct.pack(">H", 19)), back=True)
    peers.spi_i = 0x9999
    peers.established()
    (sa,) = run(peers.sent).ike_sas
    assert sa.initiator.spi == 0x9999
    assert sa.messages == 6


def test_another_spi_much_later_is_another_attempt(kit, peers) -> None:
    peers.send(peers.init_request(group=14))
    peers.send(peers.init_notify(INVALID_KE, struct.pack(">H", 19)), back=True)
    peers.spi_i = 0x9999
    peers.send(peers.init_request(), after_ms=60_000)
    assert len(run(peers.sent).ike_sas) == 2


def test_a_used_spi_with_another_offer_is_a_new_attempt(kit, peers) -> None:
    peers.established()
    peers.send(peers.init_request())
    peers.send(peers.init_request(nonce=b"m" * 32))
    tracker = run(peers.sent)
    assert [sa.messages for sa in tracker.ike_sas] == [5, 1]
    assert tracker.messages[4].retransmission_of == 1


def test_two_responders_to_one_offer_make_two_sas(kit, peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    peers.spi_r = 0x5555
    peers.send(peers.init_response(), back=True)
    assert [sa.responder.spi for sa in run(peers.sent).ike_sas] == [0x2222222222222222, 0x5555]


def test_a_capture_that_starts_late_has_the_sa_too(kit, peers) -> None:
    peers.established()
    peers.send(peers.sealed(37, 2, 64, back=True), back=True)
    peers.send(peers.sealed(37, 2, 64, response=True))
    (sa,) = run(peers.sent[4:]).ike_sas
    # The I flag says who the initiator is, though the responder is seen first.
    assert (sa.initiator.address, sa.responder.address) == (kit.ALICE, kit.BOB)
    assert sa.started_late
    assert sa.state is State.ESTABLISHED
    assert sa.outcome == "already established when the capture began"


def test_a_capture_that_starts_with_the_answer(kit, peers) -> None:
    peers.established()
    (sa,) = run(peers.sent[1:]).ike_sas
    assert (sa.initiator.address, sa.started_late, sa.state) == (kit.ALICE, False, State.ESTABLISHED)


def test_only_one_direction_captured(kit, peers) -> None:
    peers.established()
    for half in (peers.sent[::2], peers.sent[1::2]):
        (sa,) = run(half).ike_sas
        assert (sa.messages, sa.initiator.address, sa.responder.address) == (2, kit.ALICE, kit.BOB)


# What the clear payloads say


def test_offer_choice_and_labels(kit, peers) -> None:
    vendor = bytes.fromhex("4a131c81070358455c5728f20e95452f")  # RFC 3947
    peers.send(peers.init_request((43, vendor), (43, b"\x1b[31mred\x00")))
    peers.send(peers.init_response(encr=20, bits=128, integ=None), back=True)
    (sa,) = run(peers.sent).ike_sas
    offered = [[(a.type, a.id, a.name, a.key_length) for a in suite] for suite in sa.offered]
    assert offered == [
        [
            ("ENCR", 12, "ENCR_AES_CBC", 256),
            ("INTEG", 12, "AUTH_HMAC_SHA2_256_128", None),
            ("PRF", 5, "PRF_HMAC_SHA2_256", None),
            ("KE", 14, "MODP_2048", None),
        ]
    ]
    assert [(a.type, a.id, a.key_length) for a in sa.chosen] == [("ENCR", 20, 128), ("PRF", 5, None), ("KE", 14, None)]
    assert sa.initiator.nonce_length == 32
    assert sa.responder.nonce_length == 24
    assert sa.initiator.vendor_id_data == (vendor, b"\x1b[31mred\x00")
    assert "RFC 3947" in sa.initiator.vendor_ids[0]
    assert all(character.isprintable() for text in sa.initiator.vendor_ids for character in text)
    assert sa.authentication_initiator is None


def test_ikev1_phase_1_attributes(kit, peers) -> None:
    i, r = peers.spi_i, peers.spi_r
    offer = (1, kit.sa_body_v1(auth=65001, life=3600))
    identity = (5, struct.pack(">BBH", 2, 17, 500) + b"alice.example\x07")
    peers.send(kit.message(i, 0, 4, 0, 0, offer, (4, b"k" * 64), (10, b"n" * 16), identity, version=0x10))
    peers.send(kit.message(i, r, 4, 0, 0, offer, (4, b"k" * 64), (10, b"m" * 20), version=0x10), back=True)
    (sa,) = run(peers.sent).ike_sas
    assert (sa.version, sa.mode) == ("1.0", Mode.AGGRESSIVE)
    assert [(a.type, a.id, a.name, a.key_length) for a in sa.chosen] == [
        ("ENCR", 7, "ENCR_AES_CBC", 128),
        ("HASH", 2, "SHA1", None),
        ("AUTH", 65001, "XAUTH_INIT_PRE_SHARED", None),
        ("KE", 14, "MODP_2048", None),
    ]
    assert (sa.lifetime_seconds, sa.lifetime_kilobytes) == (3600, None)
    assert (sa.authentication_initiator, sa.authentication_responder) == ("psk+xauth", "psk")
    assert sa.initiator.identity is not None
    assert sa.initiator.identity.startswith("alice.example")
    assert "\x07" not in sa.initiator.identity
    assert (sa.initiator.nonce_length, sa.responder.nonce_length) == (16, 20)


def test_cisco_fragments_of_ikev1_become_one_message(kit, peers) -> None:
    i, r = peers.spi_i, peers.spi_r
    whole = kit.message(i, 0, 2, 0, 0, (1, kit.sa_body_v1()), (13, b"v" * 300), version=0x10)
    pieces = [whole[:100], whole[100:250], whole[250:]]
    for number in (2, 1, 3):
        body = struct.pack(">HBB", 1, number, int(number == 3)) + pieces[number - 1]
        peers.send(kit.message(i, 0, 2, 0, 0, (132, body), version=0x10))
    peers.send(kit.message(i, r, 2, 0, 0, (1, kit.sa_body_v1()), version=0x10), back=True)
    tracker = run(peers.sent)
    (sa,) = tracker.ike_sas
    assert sa.fragmentation
    assert [a.name for a in sa.offered[0]][:2] == ["ENCR_AES_CBC", "SHA1"]
    assert sa.exchange_counts == {"IDENTITY_PROTECTION": 4}
    assert tracker.messages[2].message.to_bytes() == whole
    assert tracker.messages[3].response_to == 3


def test_keepalives_and_icmp_errors_find_their_sa(kit, peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    peers.port = 4500
    sealed = peers.send(peers.sealed(35, 1))
    for _ in range(3):
        peers.sent.append(
            Datagram(
                DatagramKind.KEEPALIVE, kit.ALICE, kit.BOB, b"\xff", 9, peers.time_ns, 1, 4500, 4500, Encapsulation.UDP
            )
        )
    peers.sent.append(kit.icmp(sealed, 10, peers.time_ns))
    peers.sent.append(kit.icmp(peers.sent[0], 11, peers.time_ns))
    (sa,) = run(peers.sent).ike_sas
    assert sa.nat_keepalives == 3
    assert sa.icmp_errors == ((10, "host unreachable"), (11, "host unreachable"))


# Limits


def flood(kit, count: int):
    peers = kit.Peers()
    for number in range(count):
        peers.here = f"203.0.{number >> 8 & 255}.{number & 255}"
        peers.spi_i = 0xABC00000 + number
        peers.send(peers.init_request(), after_ms=0.1)
    return peers.sent


def test_a_flood_pushes_out_the_oldest_attempts_but_nothing_established(kit, peers) -> None:
    peers.established()
    peers.send(peers.sealed(37, 2, 64))
    tracker = run([*peers.sent[:4], *flood(kit, 500), peers.sent[4]], Limits(half_open=100))
    assert [sa.messages for sa in tracker.ike_sas] == [5] + [1] * 100
    assert tracker.ike_sas[-1].initiator.spi == 0xABC00000 + 499
    # Their messages go with them.
    assert len(tracker.messages) == 105
    (notice,) = tracker.notices
    assert notice.slug == "half-open-limit"
    assert notice.message.startswith("400 IKE SAs")
    assert "400 messages" in notice.message


def test_a_flood_is_worth_no_more_memory_than_its_limit(kit) -> None:
    tracker = run(flood(kit, 20_000), Limits(half_open=200))
    assert len(tracker.messages) == len(tracker.ike_sas) == 200


def test_the_limit_of_ike_sas(kit) -> None:
    sent = []
    for number in range(6):
        peers = kit.Peers(spi_i=0x100 + number, spi_r=0x200 + number)
        sent += peers.established()
    tracker = run(sent, Limits(ike_sas=4))
    assert len(tracker.ike_sas) == 4
    assert [(notice.slug, notice.message.split()[0]) for notice in tracker.notices] == [("ike-sa-limit", "8")]
    assert len(tracker.messages) == 24


@pytest.mark.parametrize("limits", [Limits(messages=3), Limits(message_octets=800)])
def test_the_limits_of_messages(kit, peers, limits) -> None:
    peers.established()
    tracker = run(peers.sent, limits)
    assert 0 < len(tracker.messages) < 4
    assert tracker.ike_sas[0].messages == 4
    assert [notice.slug for notice in tracker.notices] == ["message-limit"]


def test_notices_are_bounded_and_counted(kit, peers) -> None:
    junk = [peers.send(b"\x01" * 20) for _ in range(50)]
    tracker = run(junk, Limits(notices=10))
    assert len(tracker.notices) == 11
    assert tracker.notices[-1].slug == "more-notices"
    assert "truncated 50" in tracker.notices[-1].message


# Hostile input


def test_headers_without_an_initiator_and_of_unknown_versions_belong_to_nothing(kit, peers) -> None:
    peers.send(kit.message(0, 0, 34, 8, 0))
    peers.send(kit.message(0, 2, 37, 0x20, 0))
    peers.send(kit.message(1, 2, 34, 8, 0, version=0x50))
    tracker = run(peers.sent)
    assert tracker.ike_sas == []
    assert [record.ike_sa for record in tracker.messages] == [None, None, None]
    assert [(notice.slug, notice.frame) for notice in tracker.notices] == [
        ("zero-spi", 1),
        ("zero-spi", 2),
        ("unknown-version", 3),
    ]


ADDRESSES = st.sampled_from(["192.0.2.1", "198.51.100.1", "2001:db8::1"])
SPIS = st.sampled_from([0, 1, 2, 0xFFFFFFFFFFFFFFFF])


@st.composite
def headers(draw) -> bytes:
    version = draw(st.sampled_from([0x10, 0x20, 0x21, 0x30]))
    content = draw(st.binary(max_size=120))
    length = draw(st.sampled_from([28 + len(content), 0, 28, 1 << 31]))
    kinds = st.sampled_from([0, 1, 2, 4, 5, 6, 32, 33, 34, 35, 36, 37, 43, 44, 132, 255])
    first = draw(st.sampled_from([0, 1, 5, 8, 20, 33, 34, 41, 43, 46, 53, 132]))
    return (
        struct.pack(
            ">QQBBBBII", draw(SPIS), draw(SPIS), first, version, draw(kinds), draw(st.integers(0, 255)),
            draw(st.sampled_from([0, 1, 2, 0xFFFFFFFF])), length,
        )
        + content
    )  # fmt: skip


@given(st.lists(st.tuples(ADDRESSES, ADDRESSES, headers(), st.integers(-5, 5)), max_size=30))
def test_random_messages_never_raise(packets) -> None:
    time_ns, datagrams = 10**18, []
    for frame, (source, destination, payload, step) in enumerate(packets, 1):
        time_ns += step * 10**9
        datagrams.append(
            Datagram(DatagramKind.IKE, source, destination, payload, frame, time_ns, len(payload), 500, 500)
        )
    tracker = run(datagrams, Limits(half_open=5, ike_sas=8, notices=20))
    assert len(tracker.ike_sas) <= 8
    assert all(sa.outcome for sa in tracker.ike_sas)
    assert sum(sa.messages for sa in tracker.ike_sas) <= len(datagrams)
    tracker.finish()


@given(st.data())
def test_mutated_conversations_never_raise(kit, data) -> None:
    peers = kit.Peers()
    peers.established()
    peers.send(peers.sealed(36, 2))
    peers.send(peers.sealed(36, 2, back=True, response=True), back=True)
    for datagram in peers.sent:
        octets = bytearray(datagram.payload)
        for _ in range(data.draw(st.integers(0, 3))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        datagram.payload = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    order = data.draw(st.permutations(peers.sent))
    tracker = run(order)
    assert len(tracker.messages) <= len(peers.sent)
