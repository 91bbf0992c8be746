"""NAT detection: the hashes, the table of cases, and captures from both sides of real NATs."""

from __future__ import annotations

import pytest

from ipsecanalyze.sa.nat import detection_hash, judge
from ipsecanalyze.sa.records import Peer
from ipsecanalyze.sa.tracker import Tracker

SOURCE, DESTINATION = 16388, 16389


def test_the_hash_is_the_one_of_the_rfcs(kit) -> None:
    spis = (1 << 63 | 5).to_bytes(8) + bytes(8)
    for address, port, function in (("192.0.2.1", 500, "sha1"), ("2001:db8::1", 4500, "sha256")):
        assert detection_hash(spis, address, port, function) == kit.nat_hash(1 << 63 | 5, 0, address, port, function)


@pytest.mark.parametrize(
    ("source", "destination", "verdict"),
    [
        (True, True, False),
        (False, True, True),
        (True, False, True),
        (False, False, True),
        (False, None, True),
        (True, None, None),
        (None, True, None),
        (None, False, True),
        (None, None, None),
    ],
)
def test_the_table_of_cases(source, destination, verdict) -> None:
    peer = Peer("192.0.2.1", 500, 1, nat_source_match=source, nat_destination_match=destination)
    judge(peer)
    assert peer.behind_nat is verdict


def exchange(kit, *, alice_says: str, alice_captured: str, bob_sends_to: str):
    """IKE_SA_INIT where Alice calls herself one thing, is captured as another, and Bob answers a third."""
    peers = kit.Peers(here=alice_captured)
    i, r = peers.spi_i, peers.spi_r
    request = (
        kit.notify(SOURCE, kit.nat_hash(i, 0, alice_says, 500)),
        kit.notify(DESTINATION, kit.nat_hash(i, 0, kit.BOB, 500)),
    )
    response = (
        kit.notify(SOURCE, kit.nat_hash(i, r, kit.BOB, 500)),
        kit.notify(DESTINATION, kit.nat_hash(i, r, bob_sends_to, 500)),
    )
    tracker = Tracker()
    tracker.feed(peers.send(peers.init_request(*request)))
    tracker.feed(peers.send(peers.init_response(*response), back=True))
    return tracker.ike_sas[0]


INSIDE, OUTSIDE = "10.0.0.5", "203.0.113.9"


@pytest.mark.parametrize(
    ("says", "captured", "sends_to", "matches", "behind"),
    [
        (OUTSIDE, OUTSIDE, OUTSIDE, (True, True), False),
        (INSIDE, INSIDE, OUTSIDE, (True, False), True),  # captured inside
        (INSIDE, OUTSIDE, OUTSIDE, (False, True), True),  # captured outside
        (INSIDE, "100.64.0.1", OUTSIDE, (False, False), True),  # captured between two NATs
    ],
)
def test_both_directions_are_reasoned_about(kit, says, captured, sends_to, matches, behind) -> None:
    sa = exchange(kit, alice_says=says, alice_captured=captured, bob_sends_to=sends_to)
    assert (sa.initiator.nat_source_match, sa.initiator.nat_destination_match) == matches
    assert sa.initiator.behind_nat is behind
    assert sa.responder.behind_nat is False


def test_one_of_several_source_hashes_is_enough(kit) -> None:
    peers = kit.Peers()
    i, r = peers.spi_i, peers.spi_r
    hashes = [kit.notify(SOURCE, kit.nat_hash(i, 0, address, 500)) for address in ("10.9.9.9", kit.ALICE, "10.8.8.8")]
    tracker = Tracker()
    tracker.feed(peers.send(peers.init_request(*hashes)))
    tracker.feed(
        peers.send(peers.init_response(kit.notify(DESTINATION, kit.nat_hash(i, r, kit.ALICE, 500))), back=True)
    )
    assert tracker.ike_sas[0].initiator.behind_nat is False


@pytest.mark.parametrize(("number", "function"), [(1, "md5"), (2, "sha1"), (4, "sha256"), (6, "sha512")])
@pytest.mark.parametrize("payload", [20, 130])
def test_ikev1_uses_the_negotiated_hash(kit, number, function, payload) -> None:
    peers = kit.Peers()
    i, r = peers.spi_i, peers.spi_r

    def main(*bodies, spi_r=r):
        return kit.message(i, spi_r, 2, 0, 0, *bodies, version=0x10)

    def nat_d(first: str, then: str):
        return [(payload, kit.nat_hash(i, r, address, 500, function)) for address in (first, then)]

    tracker = Tracker()
    tracker.feed(peers.send(main((1, kit.sa_body_v1(digest=number)), spi_r=0)))
    tracker.feed(peers.send(main((1, kit.sa_body_v1(digest=number))), back=True))
    tracker.feed(peers.send(main((4, b"k" * 64), (10, b"n" * 16), *nat_d(kit.BOB, kit.ALICE))))
    tracker.feed(peers.send(main((4, b"k" * 64), (10, b"n" * 16), *nat_d(OUTSIDE, kit.BOB)), back=True))
    sa = tracker.ike_sas[0]
    assert sa.initiator.behind_nat is True
    assert sa.responder.behind_nat is False
    assert sa.initiator.nonce_length == 16
    assert sa.initiator.key_exchange_groups == (14,)


@pytest.mark.parametrize(
    ("scenario", "name", "matches"),
    [
        ("v2-natt-a", "wan.pcap", (True, False)),
        ("v2-natt-a", "wan-sun.pcap", (False, True)),
        ("v1-natt-a", "wan.pcap", (True, False)),
        ("v2-oneway-4500-a", "wan.pcap", (True, False)),
        ("v2-psk-aescbc-a", "wan.pcap", (True, True)),
    ],
)
def test_captures_inside_and_outside_of_a_real_nat(kit, scenario, name, matches) -> None:
    tracker = Tracker()
    for datagram in kit.capture(scenario, name):
        tracker.feed(datagram)
    tracker.finish()
    (sa,) = tracker.ike_sas
    assert (sa.initiator.nat_source_match, sa.initiator.nat_destination_match) == matches
    assert sa.initiator.behind_nat is (matches != (True, True))
    assert sa.responder.behind_nat is False
    assert (sa.nat_keepalives > 0) is ("natt" in scenario)
