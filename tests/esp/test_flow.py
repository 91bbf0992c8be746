"""Flows: statistics against the standard library's, batches and merges that change nothing."""

import copy
import statistics
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation, IcmpError
from ipsecanalyze.esp.arrival import Arrival, Circumstances
from ipsecanalyze.esp.breaks import MergeError
from ipsecanalyze.esp.flow import Flow, FlowTable
from ipsecanalyze.esp.sequence import SequenceState

special = st.sampled_from(
    [
        None,
        None,
        Circumstances(vlan=(5,)),
        Circumstances(fragments=3),
        Circumstances(truncated=True),
        Circumstances(inferred=True),
    ]
)
arrivals = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.sampled_from([64, 64, 576, 1444, 0, 65_535]),
        st.integers(0, 10**12),
        st.integers(1, 100),
        st.integers(0, 255),
        st.sampled_from([0, 0xB8, 255]),
        st.booleans(),
        st.sampled_from([0, 4500 << 16 | 4500, 1 << 16 | 4500]),
        special,
    ),
    min_size=1,
    max_size=60,
)
KEY = ("ESP", "192.0.2.1", "192.0.2.2", 0x1234, Encapsulation.NONE)


def flow(rows: list[Arrival], cuts: list[int] | None = None, *, continuing: bool = False) -> Flow:
    made = Flow(*KEY, sequence=SequenceState(continuing=continuing))
    bounds = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts or [])})
    for start, end in pairwise(bounds):
        made.update(rows[start:end])
    return made


def public(made: Flow) -> dict[str, Any]:
    names = [name for name in dir(Flow) if not name.startswith("_") and not callable(getattr(made, name))]
    values = {name: getattr(made, name) for name in names if name != "sequence"}
    names = [name for name in dir(SequenceState) if not name.startswith("_")]
    return values | {name: getattr(made.sequence, name) for name in names if not callable(getattr(made.sequence, name))}


@given(arrivals)
def test_statistics(rows: list[Arrival]) -> None:
    made = flow(rows)
    sizes = [row[1] for row in rows]
    gaps = [after[2] - before[2] for before, after in pairwise(rows)]
    forward = [gap for gap in gaps if gap >= 0]
    for found, values in ((made.sizes, sizes), (made.gaps_ns, forward)):
        assert (found.count, found.total, found.squares) == (len(values), sum(values), sum(v * v for v in values))
        assert (found.minimum, found.maximum) == ((min(values), max(values)) if values else (None, None))
        assert found.first == tuple(values[:16])
        assert sum(found.histogram.values()) == len(values)
        for bits, count in found.histogram.items():
            assert count == sum(value.bit_length() == bits for value in values)
        if values:
            assert found.mean == pytest.approx(statistics.fmean(values))
            assert found.stddev == pytest.approx(statistics.pstdev(values), abs=1e-3)
        else:
            assert found.mean is found.stddev is None
    assert made.time_reversals == len(gaps) - len(forward)
    assert (made.first_time_ns, made.last_time_ns) == (min(row[2] for row in rows), max(row[2] for row in rows))
    assert (made.first_frame, made.last_frame) == (rows[0][3], rows[-1][3])
    assert made.length_residues == {r: n for r in range(16) if (n := sum(size % 16 == r for size in sizes))}
    assert made.ttls == {t: sum(row[4] == t for row in rows) for t in sorted({row[4] for row in rows})}
    assert made.traffic_classes == {t: sum(row[5] == t for row in rows) for t in sorted({row[5] for row in rows})}
    assert made.dont_fragment == sum(row[6] for row in rows)
    assert list(made.ports) == list(dict.fromkeys((row[7] >> 16, row[7] & 0xFFFF) for row in rows if row[7]))
    inferred = sum(row[8] is not None and row[8].inferred for row in rows)
    assert (made.inferred_packets, made.is_inferred) == (inferred, inferred == len(rows))
    assert made.vlans == (((5,),) if any(row[8] and row[8].vlan for row in rows) else ())
    assert made.ip_fragments == sum(bool(row[8] and row[8].fragments > 1) for row in rows)
    assert made.truncated_packets == sum(bool(row[8] and row[8].truncated) for row in rows)


@given(arrivals, st.lists(st.integers(0, 1000), max_size=4))
def test_batches_and_merges(rows: list[Arrival], cuts: list[int]) -> None:
    whole = public(flow(rows))
    assert public(flow(rows, cuts)) == whole
    cut = cuts[0] % (len(rows) + 1) if cuts else 0
    first = flow(rows[:cut])
    first.merge(flow(rows[cut:], continuing=True))
    assert public(first) == whole


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=40), st.integers(0, 40), st.integers(1, 6))
def test_tables_merge(packets: list[tuple[int, int]], cut: int, limit: int) -> None:
    def table(rows: list[tuple[int, int]], start: int, *, continuing: bool) -> FlowTable:
        made = FlowTable(limit, continuing=continuing)
        for number, (spi, sequence) in enumerate(rows, start + 1):
            found = made.get(("ESP", "a", "b", spi, Encapsulation.NONE))
            if found is None:
                made.dropped_packets, made.dropped_octets = made.dropped_packets + 1, made.dropped_octets + 64
            else:
                found.update([(sequence, 64, number * 1000, number, 64, 0, False, 0, None)])
        return made

    whole = table(packets, 0, continuing=False)
    first, second = table(packets[:cut], 0, continuing=False), table(packets[cut:], cut, continuing=True)
    if second.dropped_packets:
        with pytest.raises(MergeError):
            first.merge(second)
        return
    first.merge(second)
    assert [public(found) for found in first.finish()] == [public(found) for found in whole.finish()]
    assert (first.dropped_packets, first.dropped_octets) == (whole.dropped_packets, whole.dropped_octets)


def icmp_error(spi: int, frame: int, kind: DatagramKind = DatagramKind.ESP) -> Datagram:
    head = b"" if kind is DatagramKind.ESP else bytes(4)
    payload = head + spi.to_bytes(4) + b"\0\0\0\1"
    quoted = Datagram(kind, KEY[1], KEY[2], payload, frame, 0, len(payload))
    error = IcmpError(3, 4, 1400, "fragmentation needed", quoted)
    return Datagram(DatagramKind.ICMP_ERROR, "192.0.2.9", KEY[1], b"", frame, 0, 36, icmp=error)


def test_icmp_errors_are_tied_to_the_flow_that_they_quote() -> None:
    table = FlowTable()
    made = table.get(KEY)
    assert made is not None
    table.add_icmp_error(icmp_error(KEY[3], 7))
    table.add_icmp_error(icmp_error(0x9999, 8))
    table.add_icmp_error(icmp_error(KEY[3], 9, DatagramKind.AH))
    for frame in range(100, 200):
        table.add_icmp_error(icmp_error(KEY[3], frame))
    (found,) = table.finish()
    assert found.icmp_errors[0] == (7, "fragmentation needed")
    assert (len(found.icmp_errors), found.icmp_error_count) == (16, 101)


def test_an_icmp_error_may_come_before_the_flow() -> None:
    table, behind = FlowTable(), FlowTable(continuing=True)
    table.add_icmp_error(icmp_error(KEY[3], 3))
    assert behind.get(KEY) is not None
    table.merge(behind)
    (found,) = table.finish()
    assert found.icmp_errors == [(3, "fragmentation needed")]


def test_variants_are_bounded() -> None:
    made = flow([(1, 64, 0, 1, 64, 0, False, port << 16 | 4500, Circumstances(vlan=(port,))) for port in range(1, 200)])
    assert (len(made.ports), len(made.vlans)) == (64, 64)
    again = copy.deepcopy(made)
    again.merge(flow([(2, 64, 9, 2, 64, 0, False, 300 << 16, None)], continuing=True))
    assert again.ports == made.ports


def test_settled_gaps_are_told() -> None:
    table = FlowTable(gaps=10)
    made = table.get(KEY)
    assert made is not None
    made.update([(number, 64, number, number, 64, 0, False, 0, None) for number in range(1, 10_000, 2)])
    assert [notice.slug for notice in table.notices] == ["gap-limit"]
