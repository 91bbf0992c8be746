"""Fingerprints: what they tell apart, what they do not, and their documentation."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from ipsecanalyze.sa.tracker import Tracker

DOCS = Path(__file__).parent.parent.parent / "docs"


def offer(peers, *extra, **changes) -> str:
    tracker = Tracker()
    tracker.feed(peers.send(peers.init_request(*extra, **changes)))
    return tracker.ike_sas[0].initiator.fingerprint


def test_the_digest_is_that_of_the_text(kit) -> None:
    digest, _, text = offer(kit.Peers()).partition(" ")
    assert digest == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert text == "2.0/34|33,34=14,40|1:1=12/14=256+3=12+2=5+4=14"


def test_what_differs_from_run_to_run_stays_out(kit) -> None:
    one = offer(kit.Peers(), kit.notify(16388, b"1" * 20))
    assert one == offer(kit.Peers(spi_i=7, here="192.0.2.9"), kit.notify(16388, b"2" * 20), nonce=b"x" * 64)


@pytest.mark.parametrize("extra", [(16430, b""), (16431, b"\0\2"), (16389, b"1" * 20)])
def test_notifies_vendor_ids_and_groups_count(kit, extra) -> None:
    plain = offer(kit.Peers())
    assert (
        len(
            {
                plain,
                offer(kit.Peers(), kit.notify(*extra)),
                offer(kit.Peers(), (43, b"v")),
                offer(kit.Peers(), group=15),
            }
        )
        == 4
    )


def test_the_responder_has_its_own(kit) -> None:
    peers, tracker = kit.Peers(), Tracker()
    tracker.feed(peers.send(peers.init_request()))
    tracker.feed(peers.send(peers.init_notify(16390, b"c" * 8), back=True))
    assert tracker.ike_sas[0].responder.fingerprint == ""
    tracker.feed(peers.send(peers.init_request(kit.notify(16390, b"c" * 8))))
    tracker.feed(peers.send(peers.init_response(encr=20, integ=None, bits=128), back=True))
    sa = tracker.ike_sas[0]
    assert sa.responder.fingerprint.endswith(" 2.0/34|33,34=14,40|1:1=20/14=128+2=5+4=14")
    # The first message counts, not the one with the cookie.
    assert "16390" not in sa.initiator.fingerprint


def test_ikev1_lifetimes_are_part_of_it(kit) -> None:
    peers, tracker = kit.Peers(), Tracker()
    tracker.feed(peers.send(kit.message(1, 0, 2, 0, 0, (1, kit.sa_body_v1()), (13, b"V" * 20), version=0x10)))
    text = tracker.ike_sas[0].initiator.fingerprint.partition(" ")[2]
    assert text == f"1.0/2|1,13={'56' * 16}|1:1/1=7/14=128/2=2/3=1/4=14/11=1/12=28800"


def test_long_ones_are_cut_and_bounded(kit) -> None:
    peers, tracker = kit.Peers(), Tracker()
    tracker.feed(peers.send(peers.init_request(*[(43, bytes([n]) * 40) for n in range(200)])))
    fingerprint = tracker.ike_sas[0].initiator.fingerprint
    assert fingerprint.endswith("...")
    assert len(fingerprint) == 17 + 1000 + 3


def test_the_example_of_the_documentation_is_real() -> None:
    (example,) = re.findall(r"^```\n([0-9a-f]{16}) (.*)\n```$", (DOCS / "fingerprint.md").read_text(), re.MULTILINE)
    assert hashlib.sha256(example[1].encode()).hexdigest().startswith(example[0])


def test_one_implementation_has_one_look_in_all_its_captures(kit) -> None:
    looks = set()
    for scenario in ("v2-psk-aescbc-a", "v2-ts-a", "v2-delete-a"):
        tracker = Tracker()
        for datagram in kit.capture(scenario):
            tracker.feed(datagram)
        looks.add(tracker.ike_sas[0].initiator.fingerprint)
    assert len(looks) == 1
