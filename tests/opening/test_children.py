"""Child SAs that were seen, and the flows that are theirs."""

from __future__ import annotations

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.sequence import SequenceState
from ipsecanalyze.opening.children import observe_children
from ipsecanalyze.opening.revealed import Revealed, RevealedChild
from ipsecanalyze.sa.records import Certainty, ChildSa, IkeSa, Peer, State

ALICE, BOB, CAROL = "192.0.2.1", "198.51.100.1", "203.0.113.1"


def flow(source: str, destination: str, spi: int, child: str | None = None) -> Flow:
    made = Flow("ESP", source, destination, spi, Encapsulation.NONE, SequenceState())
    made.child_sa = child
    return made


def ike_sa(number: int, initiator: str, responder: str) -> IkeSa:
    return IkeSa(f"ike-{number}", "2.0", None, State.ESTABLISHED, Peer(initiator, 500, 1), Peer(responder, 500, 2))


def seen(initiator: str, responder: str) -> Revealed:
    child = RevealedChild(1, "ESP", 0x1111, 0x2222, initiator, responder)
    return Revealed(children=[child])


def test_what_was_seen_takes_the_place_of_what_was_inferred() -> None:
    flows = [flow(ALICE, BOB, 0x2222, "child-1"), flow(BOB, ALICE, 0x1111, "child-2")]
    inferred = [ChildSa("child-1", None, "ESP", None, 0x2222), ChildSa("child-2", None, "ESP", 0x1111, None)]
    sas = [ike_sa(1, ALICE, BOB)]
    children = observe_children(inferred, flows, sas, {"ike-1": seen(ALICE, BOB)})
    assert [(child.initiator_spi, child.responder_spi) for child in children] == [(0x1111, 0x2222)]
    assert children[0].certainty is Certainty.OBSERVED
    assert {one.child_sa for one in flows} == {children[0].id}
    assert [one.pair_spi for one in flows] == [0x1111, 0x2222]
    assert sas[0].children == [children[0].id]


def test_another_tunnel_with_the_same_spi_keeps_its_flows() -> None:
    """An SPI means something to its receiver only (RFC 4301 §4.1)."""
    other = flow(CAROL, "203.0.113.99", 0x2222, "child-1")
    inferred = [ChildSa("child-1", None, "ESP", None, 0x2222)]
    sas = [ike_sa(1, ALICE, BOB)]
    children = observe_children(inferred, [other], sas, {"ike-1": seen(ALICE, BOB)})
    assert other.child_sa == "child-1"
    assert other.ike_sa is None
    assert [child.certainty for child in children] == [Certainty.INFERRED, Certainty.OBSERVED]


def test_a_side_that_moved_is_still_that_side() -> None:
    moved = flow("192.0.2.77", BOB, 0x2222)
    back = flow(BOB, "192.0.2.77", 0x1111)
    sa = ike_sa(1, ALICE, BOB)
    sa.initiator.moves = ((9, "192.0.2.77", 4500),)
    observe_children([], [moved, back], [sa], {"ike-1": seen(ALICE, BOB)})
    assert moved.ike_sa == back.ike_sa == "ike-1"
