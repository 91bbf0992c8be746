"""Flows: their other direction, their IKE SA, and what they say about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.capture.packet import DatagramKind, Encapsulation
from ipsecanalyze.sa.pairing import pair_flows
from ipsecanalyze.sa.records import Certainty, State
from ipsecanalyze.sa.tracker import Tracker

CAPTURES = Path(__file__).parent.parent / "captures"
S = 1_000_000_000


@dataclass(eq=False)
class Flow:
    """What pairing asks of a flow."""

    source: str
    destination: str
    spi: int
    first_time_ns: int
    last_time_ns: int
    packets: int = 3
    protocol: str = "ESP"
    encapsulation: Encapsulation = Encapsulation.NONE
    ports: tuple[tuple[int, int], ...] = ()
    pair_spi: int | None = field(default=None)
    ike_sa: str | None = None
    child_sa: str | None = None


def run(datagrams) -> Tracker:
    tracker = Tracker()
    for datagram in datagrams:
        tracker.feed(datagram)
    tracker.finish()
    return tracker


@pytest.fixture
def peers(kit):
    return kit.Peers()


def there_and_back(peers, spis=(1, 2), *, start: float = 0.1, length: float = 5.0, **more):
    """Flows to the responder and to the initiator, in seconds from now."""
    begin = peers.time_ns + int(start * S)
    end = begin + int(length * S)
    return [
        Flow(peers.here, peers.there, spis[1], begin, end, **more),
        Flow(peers.there, peers.here, spis[0], begin + 20_000_000, end, **more),
    ]


def test_a_child_sa_of_two_flows(peers) -> None:
    peers.established()
    flows = there_and_back(peers)
    sas = run(peers.sent).ike_sas
    (child,) = pair_flows(flows, sas)
    assert (child.initiator_spi, child.responder_spi, child.certainty) == (1, 2, Certainty.INFERRED)
    assert [(f.pair_spi, f.ike_sa, f.child_sa) for f in flows] == [(1, "ike-1", "child-1"), (2, "ike-1", "child-1")]
    assert sas[0].children == ["child-1"]


def test_one_way_flows_are_children_too(peers) -> None:
    peers.established()
    flows = there_and_back(peers)[:1]
    (child,) = pair_flows(flows, run(peers.sent).ike_sas)
    assert (child.initiator_spi, child.responder_spi, flows[0].pair_spi) == (None, 2, None)


def test_a_stranger_cannot_make_child_sas_by_the_thousand(peers) -> None:
    peers.established()
    real = there_and_back(peers)
    real[0].packets = 1000
    begin = peers.time_ns + 8 * S
    spoofed = [Flow(peers.here, peers.there, 1000 + n, begin + n * 20 * S, begin + n * 20 * S, 1) for n in range(2000)]
    children = pair_flows([*spoofed, real[0]], run(peers.sent).ike_sas)
    assert [child.responder_spi for child in children] == [2]
    assert {flow.ike_sa for flow in spoofed} == {None}


def test_flows_without_ike_are_paired_and_belong_to_nothing(peers) -> None:
    flows = [*there_and_back(peers), Flow("10.0.0.1", "10.0.0.2", 9, 0, 5)]
    (child,) = pair_flows(flows, [])
    # The side whose packet came first stands for the initiator.
    assert (child.ike_sa, child.initiator_spi, child.responder_spi) == (None, 1, 2)
    assert flows[2].child_sa is None


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "AH"},
        {"encapsulation": Encapsulation.UDP},
        {"source": "203.0.113.1"},
        {"first_time_ns": 2 * 10**18, "last_time_ns": 2 * 10**18 + 1},
    ],
)
def test_what_is_no_pair(peers, change) -> None:
    flows = there_and_back(peers)
    for name, value in change.items():
        setattr(flows[1], name, value)
    pair_flows(flows, [])
    assert [flow.pair_spi for flow in flows] == [None, None]


def test_rekeyed_children_are_paired_by_their_births(peers) -> None:
    peers.established()
    flows = there_and_back(peers, (1, 2), length=30)
    for number in (2, 3):
        peers.time_ns += 30 * S
        peers.send(peers.sealed(36, number, 400))
        peers.send(peers.sealed(36, number, 400, back=True, response=True), back=True)
        # The responder has nothing to say for a while: its first packet is nearer to the next birth.
        new = there_and_back(peers, (number * 10 + 1, number * 10 + 2), length=30)
        new[1].first_time_ns += 25 * S
        flows += new
    pair_flows(flows, run(peers.sent).ike_sas)
    assert {flow.spi: flow.pair_spi for flow in flows} == {1: 2, 2: 1, 21: 22, 22: 21, 31: 32, 32: 31}


def test_ports_tell_clients_behind_one_nat_apart(kit) -> None:
    sent, flows = [], []
    for number in range(3):
        peers = kit.Peers(spi_i=0x10 + number, spi_r=0x20 + number)
        peers.port = 4500
        ports = (30000 + number, 4500)
        for datagram in peers.established():
            if datagram.source == peers.here:
                datagram.source_port = ports[0]
            else:
                datagram.destination_port = ports[0]
        sent += peers.sent
        outward, inward = there_and_back(peers, (100 + number, 200 + number), encapsulation=Encapsulation.UDP)
        outward.ports, inward.ports = (ports,), (ports[::-1],)
        flows += [inward, outward]
    sas = run(sent).ike_sas
    pair_flows(flows, sas)
    assert [(flow.spi, flow.pair_spi, flow.ike_sa) for flow in flows[1::2]] == [
        (200, 100, "ike-1"),
        (201, 101, "ike-2"),
        (202, 102, "ike-3"),
    ]


def test_a_child_sa_moves_with_its_ike_sa(peers) -> None:
    peers.established()
    flows = there_and_back(peers, length=3)
    peers.here, peers.time_ns = "192.0.2.200", peers.time_ns + 5 * S
    peers.send(peers.sealed(37, 2))
    peers.send(peers.sealed(37, 2, back=True, response=True), back=True)
    moved = there_and_back(peers, length=3)
    (child,) = pair_flows([*flows, *moved], run(peers.sent).ike_sas)
    assert {flow.child_sa for flow in (*flows, *moved)} == {child.id}


def test_a_flow_older_than_the_ike_sa_is_not_its(peers) -> None:
    flows = there_and_back(peers, length=60)
    peers.time_ns += 30 * S
    peers.established()
    (child,) = pair_flows(flows, run(peers.sent).ike_sas)
    assert child.ike_sa is None


def test_a_flow_older_than_a_late_ike_sa_may_be_its(peers) -> None:
    peers.established()
    flows = there_and_back(peers, length=60)
    peers.time_ns += 30 * S
    peers.send(peers.sealed(37, 2, 64))
    peers.send(peers.sealed(37, 2, 64, back=True, response=True), back=True)
    (child,) = pair_flows(flows, run(peers.sent[4:]).ike_sas)
    assert child.ike_sa == "ike-1"


def test_traffic_establishes_what_looked_half_open(peers) -> None:
    peers.established()
    sas = run(peers.sent[:3]).ike_sas  # the answer to IKE_AUTH was not captured
    assert sas[0].state is State.HALF_OPEN
    pair_flows(there_and_back(peers), sas)
    assert (sas[0].state, sas[0].certainty) == (State.ESTABLISHED, Certainty.INFERRED)
    assert sas[0].outcome.startswith("established in")


@pytest.mark.parametrize(("length", "state"), [(4.0, State.CLOSED), (60.0, State.ESTABLISHED)])
def test_traffic_refutes_a_supposed_deletion(peers, length, state) -> None:
    peers.established()
    flows = there_and_back(peers, length=length)
    peers.time_ns += 5 * S
    peers.send(peers.sealed(37, 2, 48))
    peers.send(peers.sealed(37, 2, 48, back=True, response=True), back=True)
    sas = run(peers.sent).ike_sas
    assert sas[0].state is State.CLOSED
    pair_flows(flows, sas)
    assert sas[0].state is state
    assert ("deleted" in sas[0].outcome) is (state is State.CLOSED)


ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"])


@given(
    st.lists(
        st.builds(
            lambda source, destination, spi, start, length, udp: Flow(
                source, destination, spi, start, start + length,
                encapsulation=Encapsulation.UDP if udp else Encapsulation.NONE, ports=((4500, 4500),) if udp else (),
            ),
            ADDRESSES, ADDRESSES, st.integers(1, 9), st.integers(0, 100 * S), st.integers(0, 50 * S), st.booleans(),
        ),
        max_size=40,
    )
)  # fmt: skip
def test_pairs_are_mutual_and_go_both_ways(flows) -> None:
    children = pair_flows(flows, [])
    members: dict[str, list[Flow]] = {}
    for flow in flows:
        assert (flow.pair_spi is None) is (flow.child_sa is None)
        if flow.child_sa is not None:
            members.setdefault(flow.child_sa, []).append(flow)
    assert {child.id for child in children} == set(members)
    for one, other in members.values():
        assert (one.source, one.destination) == (other.destination, other.source)
        assert (one.pair_spi, other.pair_spi) == (other.spi, one.spi)
        assert one.encapsulation is other.encapsulation


def test_many_flows_between_two_addresses(kit) -> None:
    flows = []
    for number in range(3000):
        time_ns = (number * 7919 % 3000) * S
        flows.append(Flow(kit.ALICE, kit.BOB, number, time_ns, time_ns + S // 2))
        flows.append(Flow(kit.BOB, kit.ALICE, 10_000 + number, time_ns + 1000, time_ns + S // 2))
    assert len(pair_flows(flows, [])) == 3000
    assert all(abs((flow.pair_spi or 0) - flow.spi) == 10_000 for flow in flows)


def captured(kit, scenario: str):
    tracker, flows = Tracker(), {}
    for datagram in kit.capture(scenario):
        if datagram.kind not in (DatagramKind.ESP, DatagramKind.AH):
            tracker.feed(datagram)
            continue
        at = 0 if datagram.kind is DatagramKind.ESP else 4
        spi = int.from_bytes(datagram.payload[at : at + 4])
        flow = flows.setdefault(
            (datagram.source, datagram.destination, spi),
            Flow(
                datagram.source, datagram.destination, spi, datagram.time_ns, datagram.time_ns, 0,
                datagram.kind.upper(), datagram.encapsulation, ((datagram.source_port, datagram.destination_port),),
            ),
        )  # fmt: skip
        flow.packets += 1
        flow.last_time_ns = datagram.time_ns
    tracker.finish()
    children = pair_flows(list(flows.values()), tracker.ike_sas)
    return tracker, list(flows.values()), children


def truth(scenario: str) -> dict[int, set[int]]:
    """SPIs that were installed within a second for opposite directions, as the kernel said."""
    spis = json.loads((CAPTURES / scenario / "meta.json").read_text())["spis"]
    found: dict[int, set[int]] = {}
    for one in spis:
        for other in spis:
            opposite = (one["src"], one["dst"]) == (other["dst"], other["src"])
            if opposite and abs(one["installed"] - other["installed"]) < 1:
                found.setdefault(int(one["spi"], 16), set()).add(int(other["spi"], 16))
    return found


@pytest.mark.parametrize(
    ("scenario", "sas", "pairs"),
    [
        ("v2-psk-aescbc-a", 1, 1),
        ("v2-multichild-a", 1, 3),
        ("v2-multigw-a", 2, 2),
        ("v2-rekey-pfs-a", 2, 4),
        ("v2-rekey-nopfs-a", 2, 4),
        ("v1-rekey-pfs-a", 2, 4),
        ("v2-delete-a", 1, 2),
        ("v2-ah-tunnel-a", 1, 1),
    ],
)
def test_pairs_are_those_of_the_kernel(kit, scenario, sas, pairs) -> None:
    tracker, flows, children = captured(kit, scenario)
    expected = truth(scenario)
    assert len(children) == pairs
    assert len(tracker.ike_sas) == sas
    assert all(flow.pair_spi in expected[flow.spi] for flow in flows)
    assert all(flow.ike_sa is not None for flow in flows)
    for child in children:
        owner = next(sa for sa in tracker.ike_sas if sa.id == child.ike_sa)
        assert child.id in owner.children
        assert {flow.destination for flow in flows if flow.spi == child.initiator_spi} == {owner.initiator.address}


def test_children_go_to_the_ike_sa_that_made_them(kit) -> None:
    tracker, _, _ = captured(kit, "v2-rekey-pfs-a")
    assert [len(sa.children) for sa in tracker.ike_sas] == [3, 1]
    tracker, _, children = captured(kit, "v2-mobike-a")
    assert len(children) == 1
    assert tracker.ike_sas[0].icmp_errors
