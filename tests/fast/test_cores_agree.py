"""The C core gives what the Python core gives: counts, flows with all their figures, notices with words and offsets,
facts and datagrams; on real captures, cut and damaged ones, and on flows made to stress each statistic.

IPSECANALYZE_EXHAUSTIVE=1 cuts every capture at every length up to 4 KiB.
"""

from __future__ import annotations

import os
import struct
from itertools import accumulate, pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze._fast import make_flow_table
from ipsecanalyze._fast.contract import Limits
from ipsecanalyze.esp.breaks import MergeError
from ipsecanalyze.esp.flow import FlowTable

CUT_LIMIT = 4096
#: Coprime to every alignment that a format could have.
CUT_STEP = 61
ONE_OF_EACH = Limits(flows=1, gaps=1)
FEW_OF_EACH = Limits(
    flows=2, gaps=2, fragments=1, fragment_octets=2000, streams=1, stream_octets=500, conversations=1, notices=2
)
SMALL = ("v2-psk-aescbc-a", "v1-natt-a", "v2-tcp-a", "v2-any-sll2-a", "v2-ipfrag-a", "v2-ah-tunnel-a", "v2-snap96-a")


# Real captures


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"protected_datagrams": True},
        {"limits": ONE_OF_EACH},
        {"limits": FEW_OF_EACH},
        {"size": 4093},
        {"size": 1 << 18},
        {"size": 1000, "protected_datagrams": True},
    ],
    ids=str,
)
def test_shipped_captures(capture_file: Any, agree: Any, octets_of: Any, options: dict[str, Any]) -> None:
    assert agree(octets_of(capture_file.path), **options)["facts"]["packets"]


@pytest.mark.captures(where=lambda capture: capture.scenario in SMALL)
@pytest.mark.parametrize("size", [1, 7, 61])
def test_small_pieces(capture_file: Any, agree: Any, octets_of: Any, size: int) -> None:
    agree(octets_of(capture_file.path)[:12_000], size=size)


def test_truncations(capture_file: Any, agree: Any, octets_of: Any) -> None:
    octets = octets_of(capture_file.path)
    step = 1 if os.environ.get("IPSECANALYZE_EXHAUSTIVE") else CUT_STEP
    for length in range(0, min(CUT_LIMIT, len(octets)) + 1, step):
        agree(octets[:length])


def test_all_captures_in_one_table(all_captures: Any, both: Any, octets_of: Any) -> None:
    def run(core: str, scan: Any, outcome: Any) -> list[Any]:
        flows = make_flow_table(300, 20, core=core)
        pairs = enumerate(all_captures)
        results = [scan([octets_of(c.path)], core=core, flows=flows, capture=at) for at, c in pairs]
        # Flows are told from the table as it is in the end: once is enough.
        return [outcome(results[-1]), [(s.facts, datagrams) for s, datagrams in results]]

    one, other = both(run)
    assert one == other


# Damage


@settings(max_examples=200)
@given(random=st.randoms(use_true_random=False), size=st.sampled_from([0, 0, 57, 1000]), is_few=st.booleans())
def test_mutated_captures(records: Any, mutations: Any, agree: Any, random: Random, size: int, is_few: bool) -> None:
    octets = mutations.mutated(*random.choice(records), random)
    agree(octets, size=size, limits=FEW_OF_EACH if is_few else Limits(), protected_datagrams=random.random() < 0.3)


@settings(max_examples=200)
@given(random=st.randoms(use_true_random=False), changes=st.integers(1, 10))
def test_octets_of_captures_changed(starts: Any, mutations: Any, agree: Any, random: Random, changes: int) -> None:
    octets = bytearray(random.choice(starts))
    for _ in range(changes):
        mutations.change_octets(octets, random)
    agree(bytes(octets))


@settings(max_examples=300)
@given(data=st.binary(max_size=300), head=st.integers(0, 4))
def test_random_octets(agree: Any, data: bytes, head: int) -> None:
    heads = [struct.pack(o + "IHHiIII", magic, 2, 4, 0, 0, 0, 1) for o in "<>" for magic in (0xA1B2C3D4, 0xA1B2CD34)]
    heads.append(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
    agree(heads[head] + data)


@pytest.mark.parametrize("seconds", [1 << 40, -(1 << 40), (1 << 63) - 1, -(1 << 63), 4_611_686_018, -4_611_686_018])
@pytest.mark.parametrize("resolution", [0, 6, 9, 19, 20, 127, 0x80, 0xBF, 0xC0, 0xFF])
def test_absurd_times(agree: Any, seconds: int, resolution: int) -> None:
    def block(kind: int, body: bytes) -> bytes:
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    options = struct.pack("<HHBxxxHHq", 9, 1, resolution, 14, 8, seconds)
    octets = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    octets += block(1, struct.pack("<HHI", 228, 0, 0) + options) + block(1, struct.pack("<HHI", 228, 0, 0))
    for number, ticks in enumerate((0, 1, 1 << 32, 1 << 62, (1 << 64) - 1)):
        ip = struct.pack(">BBHHHBBHIIII", 0x45, 0, 28, 0, 0, 64, 50, 0, 1, 2, 3, number)
        for interface in (0, 1):
            octets += block(6, struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, 28, 28) + ip)
    result = agree(octets)
    assert result["facts"]["packets"] == 10
    assert abs(result["facts"]["first_time_ns"]) <= 1 << 62


# Flows

#: (what, how many or how far)
MOVES = st.one_of(
    st.tuples(st.just("on"), st.sampled_from([1, 2, 10, 100, 1023, 1024, 1025, 3000])),
    st.tuples(st.just("lose"), st.sampled_from([1, 5, 31, 32, 33, 100, 4096, 5000, 1 << 20, 1 << 30, (1 << 31) - 1])),
    st.tuples(st.just("back"), st.sampled_from([1, 2, 31, 63, 64, 65, 1000, 4096, 4097, 1 << 20, 1 << 31])),
    st.tuples(st.just("repeat"), st.integers(1, 80)),
    st.tuples(st.just("swap"), st.integers(1, 80)),
    st.tuples(st.just("holes"), st.integers(1, 400)),
    st.tuples(st.just("begin"), st.sampled_from([0, 1, 2, 60, 64, 65])),
    st.tuples(st.just("end"), st.integers(1, 40)),
    st.tuples(st.just("times"), st.sampled_from([0, 1, 1000, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, -1, -1000])),
    st.tuples(st.just("jolt"), st.sampled_from([-1, -(10**9), 10**12, 1 << 32, 3600 * 10**9])),
    st.tuples(st.just("size"), st.sampled_from([8, 9, 64, 1400, 2027, 2047, 2048, 2049, 9000, 60_000])),
    st.tuples(st.just("ttl"), st.integers(1, 3)),
    st.tuples(st.just("class"), st.integers(0, 3)),
    st.tuples(st.just("df"), st.integers(0, 1)),
    st.tuples(st.just("vlan"), st.sampled_from([0, 1, 0xFFF, 0x1000, 0x2005])),
    st.tuples(st.just("port"), st.integers(0, 3)),
    st.tuples(st.just("cut"), st.integers(0, 1)),
    st.tuples(st.just("other"), st.integers(0, 2)),
)


class Maker:
    """Makes the records of a capture from moves."""

    def __init__(self, encapsulated: bool) -> None:
        self.encapsulated = encapsulated
        self.number, self.time, self.step = 1, 1_700_000_000 * 10**9, 1000
        self.size, self.ttl, self.service, self.place, self.vlan, self.port, self.cut = 64, 64, 0, 0x4000, 0, 0, 0
        self.spi = 0x1000
        self.records: list[bytes] = []

    def packet(self, number: int) -> None:
        """One more packet of the flow."""
        self.time = min(max(self.time + self.step, 0), ((1 << 32) - 1) * 10**9)
        esp = struct.pack(">II", self.spi, number & 0xFFFFFFFF) + bytes(self.size - 8)
        protocol = 50
        if self.encapsulated:
            protocol, esp = 17, struct.pack(">HHHH", 4500 + self.port, 4500, 8 + len(esp), 0) + esp
        total = 20 + len(esp)
        ip = struct.pack(">BBHHHBBHII", 0x45, self.service, total, 7, self.place, self.ttl, protocol, 0, 1, 2)
        tags = struct.pack(">HH", 0x8100, self.vlan & 0xFFF) if self.vlan else b""
        tags *= 1 + (self.vlan >> 13)
        frame = bytes(12) + tags + b"\x08\x00" + ip + esp
        kept = frame[: 14 + len(tags) + 40] if self.cut else frame
        self.records.append(struct.pack("<IIII", *divmod(self.time, 10**9), len(kept), len(frame)) + kept)

    def take(self, move: tuple[str, int]) -> None:
        """Do one of `MOVES`."""
        what, value = move
        if what in ("on", "holes", "swap", "repeat"):
            self.go_on(what, value)
        elif what in ("lose", "back"):
            self.number += value if what == "lose" else -value
        elif what in ("begin", "end"):
            self.number = value if what == "begin" else (1 << 32) - value
        elif what == "times":
            self.step = value
        elif what == "jolt":
            self.time += value
        elif what == "other":
            self.spi = 0x1000 + value
        elif what == "df":
            self.place = value << 14
        else:
            shifts = {"ttl": ("ttl", 60), "class": ("service", 0), "size": ("size", 0)}
            name, base = shifts.get(what, (what, 0))
            setattr(self, name, base + value)

    def go_on(self, what: str, count: int) -> None:
        """Several packets."""
        steps = {"on": [1], "holes": [2], "swap": [2, -1, 2], "repeat": [0, 1]}[what]
        for at in range(count):
            self.number += steps[at % len(steps)]
            self.packet(self.number)

    def capture(self) -> bytes:
        """All of it."""
        return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1) + b"".join(self.records)


@st.composite
def flows(draw: st.DrawFn) -> Maker:
    """Flows that were long enough for a lane (core/lane.h), and then changed in all ways, or before."""
    maker = Maker(draw(st.booleans()))
    if draw(st.integers(0, 3)):
        maker.take(("times", draw(st.sampled_from([1000, 1000, 0, 1 << 31]))))
        maker.take(("on", draw(st.sampled_from([1010, 1024, 1030, 2048]))))
    for move in draw(st.lists(MOVES, min_size=1, max_size=25)):
        maker.take(move)
        if move[0] not in ("on", "holes", "swap", "repeat"):
            maker.take(("on", draw(st.sampled_from([0, 1, 3, 20, 1030]))))
    maker.take(("on", 1))
    return maker


@settings(max_examples=150)
@given(maker=flows(), gaps=st.sampled_from([1, 3, 50, 4096]), size=st.sampled_from([0, 0, 5003]))
def test_made_flows(agree: Any, maker: Maker, gaps: int, size: int) -> None:
    result = agree(maker.capture(), limits=Limits(gaps=gaps), size=size)
    assert sum(flow["packets"] for flow in result["flows"]) == len(maker.records)


@pytest.mark.parametrize("before", [0, 1, 16, 1007, 1008, 1009, 1023, 1024, 2000])
def test_times_that_go_backward_before_there_is_a_lane(agree: Any, before: int) -> None:
    """What a flow keeps of its first gaps is kept, however late these come."""
    maker = Maker(encapsulated=False)
    maker.take(("times", -1000))
    maker.take(("on", before))
    maker.take(("times", 1000))
    maker.take(("on", 2100))
    (flow,) = agree(maker.capture())["flows"]
    assert len(flow["_first_gaps"]) == 16


@settings(max_examples=60)
@given(maker=flows(), cuts=st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_pieces_scanned_apart_merge_to_the_whole(both: Any, maker: Maker, cuts: list[float]) -> None:
    """The tables of pieces scanned with C, merged in Python, are that of one pass; where Python's own can be merged."""
    octets, bounds = maker.capture(), [0, *sorted(int(cut * len(maker.records)) for cut in cuts), len(maker.records)]
    offsets = [24, *(24 + end for end in accumulate(map(len, maker.records)))]

    def run(core: str, scan: Any, outcome: Any) -> Any:
        merged, results = None, []
        for start, stop in pairwise(bounds):
            piece = octets[:24] + octets[offsets[start] : offsets[stop]]
            result = scan([piece], core=core, flows=empty_table(core, continuing=start > 0))
            table = python_table(result[0].flows)
            results.append(result)
            if merged is None:
                merged = table
                continue
            try:
                merged.merge(table)
            except MergeError:
                return None
        return [figures(flow) for flow in merged.finish()]

    python, c = both(run)
    whole, _ = both(lambda core, scan, outcome: [figures(flow) for flow in scan([octets], core=core)[0].flows.finish()])
    assert python is None or python == whole
    assert c is None or c == whole
    assert (python is None) == (c is None)


def empty_table(core: str, *, continuing: bool) -> FlowTable:
    if core == "python":
        return FlowTable(continuing=continuing)
    from ipsecanalyze._fast.native_flows import NativeFlowTable

    return NativeFlowTable(continuing=continuing)


def python_table(table: Any) -> FlowTable:
    return table.python_table() if hasattr(table, "python_table") else table


def figures(flow: Any) -> dict[str, Any]:
    """What a flow says of itself, but for frames, which count anew in each piece."""
    sequence = flow.sequence
    names = ["lowest", "highest", "unique", "lost", "duplicates", "reordered", "restarts", "wraps", "outside_window"]
    names += ["largest_lateness", "loss_bursts", "longest_loss_burst", "first", "last", "break_count", "settled"]
    own = ["protocol", "source", "destination", "spi", "packets", "octets", "first_time_ns", "last_time_ns", "sizes"]
    own += ["gaps_ns", "ttls", "traffic_classes", "length_residues", "ports", "vlans", "truncated_packets"]
    own += ["time_reversals", "dont_fragment"]
    return {name: getattr(sequence, name) for name in names} | {name: getattr(flow, name) for name in own}


# Fixtures


@pytest.fixture(scope="module")
def records(all_captures: Any, mutations: Any, octets_of: Any) -> list[Any]:
    """Link type and records of every shipped capture."""
    return [mutations.split(octets_of(capture.path)[:100_000]) for capture in all_captures]


@pytest.fixture(scope="module")
def starts(all_captures: Any, octets_of: Any) -> list[bytes]:
    """The first octets of every shipped capture."""
    return [octets_of(capture.path)[:6000] for capture in all_captures]
