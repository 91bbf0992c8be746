"""The sequence analysis against a plain model that remembers everything."""

import copy
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.esp.lateness import REPLAY_WINDOWS
from ipsecanalyze.esp.sequence import MergeError, SequenceState

MASK = 0xFFFFFFFF
EPOCH = 1 << 32


def unwrap(wire: list[int]) -> list[int]:
    """RFC 4303 Appendix A relative to the packet before: the candidate nearest to it."""
    out: list[int] = []
    for number in wire:
        if not out:
            out.append(number)
            continue
        before = out[-1]
        epoch = before >> 32
        candidates = [number + (epoch + k) * EPOCH for k in (-1, 0, 1)]
        # A tie at 2^31 goes down, as signed 32-bit integers do.
        out.append(min(candidates, key=lambda s: (abs(s - before), s)))
    return out


def model(wire: list[int]) -> dict[str, object]:
    """Everything by definition, in quadratic time if need be."""
    numbers = unwrap(wire)
    lift = -(min(numbers) & ~MASK)
    seen: set[int] = set()
    top = None
    duplicates = reordered = largest = 0
    outside = dict.fromkeys(REPLAY_WINDOWS, 0)
    for number in numbers:
        if number in seen:
            duplicates += 1
        elif top is not None and number < top:
            reordered += 1
        if top is not None and number < top:
            largest = max(largest, top - number)
            for window in REPLAY_WINDOWS:
                outside[window] += top - number >= window
        seen.add(number)
        top = number if top is None else max(top, number)
    ordered = sorted(seen)
    holes = [b - a - 1 for a, b in pairwise(ordered) if b - a > 1]
    return {
        "packets": len(wire),
        "first": wire[0],
        "last": wire[-1],
        "lowest": min(numbers) + lift,
        "highest": max(numbers) + lift,
        "wraps": (max(numbers) + lift) >> 32,
        "unique": len(seen),
        "lost": max(numbers) - min(numbers) + 1 - len(seen),
        "duplicates": duplicates,
        "reordered": reordered,
        "largest_lateness": largest,
        "outside_window": outside,
        "loss_bursts": len(holes),
        "longest_loss_burst": max(holes, default=0),
        "restarts": restarts(numbers),
        "breaks": [
            (index, before + lift, after + lift)
            for index, (before, after) in enumerate(pairwise(numbers), 1)
            if abs(after - before) > 4096 or backward(before, after)
        ][:64],
    }


def backward(before: int, after: int) -> bool:
    return after - before < -4096 or (after - before < -64 and after & MASK <= 64)


def restarts(numbers: list[int]) -> int:
    jumps = list(pairwise(numbers))
    count = 0
    for index, (before, after) in enumerate(jumps):
        if backward(before, after):
            count += not any(q - p > 32 and p + 32 < before <= q + 32 for p, q in jumps[index + 1 :])
        elif after - before > 1 << 30 and after & MASK <= 64:
            count += 1
    return count


def facts(state: SequenceState) -> dict[str, object]:
    names = [name for name in model([1]) if name != "breaks"]
    found: dict[str, object] = {name: getattr(state, name) for name in names}
    found["breaks"] = [(jump.packet, jump.before, jump.after) for jump in state.breaks]
    return found


def scan(
    wire: list[int], *, continuing: bool = False, batches: list[int] | None = None, gaps: int = 4096
) -> SequenceState:
    state = SequenceState(gaps=gaps, continuing=continuing)
    cuts = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in batches or [])})
    for start, end in pairwise(cuts):
        state.update(wire[start:end])
    return state


def merged(pieces: list[list[int]]) -> SequenceState:
    """One pass per piece, joined from the left."""
    whole = scan(pieces[0])
    for piece in pieces[1:]:
        whole.merge(scan(piece, continuing=True))
    return whole


@st.composite
def walks(draw: st.DrawFn, most: int = 25) -> list[int]:
    """Numbers as captures have them: steps, loss, duplicates, late packets, restarts, wraps, and nonsense."""
    at = draw(st.sampled_from([0, 1, 5, 60, 300, 5000, 1 << 20, (1 << 31) - 3, EPOCH - 20, EPOCH - 1]))
    out = [at]
    step = st.one_of(
        st.just(1),
        st.just(1),
        st.integers(-3, 4),
        st.integers(-140, 140),
        st.integers(-5000, 5000),
        st.sampled_from([4096, 4097, -4096, -4097, 64, 65, -64, -65, 32, 33, 1 << 30, 1 << 31, -(1 << 31), 9000]),
        st.integers(-EPOCH, EPOCH),
        st.none(),
    )
    for change in draw(st.lists(step, max_size=most)):
        out.append(draw(st.integers(0, 3)) if change is None else (out[-1] + change) & MASK)
        for _ in range(draw(st.sampled_from([0, 0, 0, 3, 8]))):
            out.append((out[-1] + 1) & MASK)
    return out


@given(walks(), st.lists(st.integers(0, 1 << 16), max_size=4))
def test_equals_the_model_in_any_batches(wire: list[int], batches: list[int]) -> None:
    assert facts(scan(wire, batches=batches)) == model(wire)


@given(walks(), st.lists(st.integers(0, 1 << 16), min_size=1, max_size=4))
def test_merged_pieces_equal_one_pass_or_say_that_they_cannot(wire: list[int], cuts: list[int]) -> None:
    bounds = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    pieces = [wire[start:end] for start, end in pairwise(bounds)]
    # Pieces this small are all head: merging may not give up.
    assert facts(merged(pieces)) == model(wire)


@settings(max_examples=60)
@given(walks(), walks(), walks())
def test_merging_is_associative(a: list[int], b: list[int], c: list[int]) -> None:
    left = merged([a, b, c])
    behind = scan(b, continuing=True)
    behind.merge(scan(c, continuing=True))
    right = scan(a)
    assert facts(left) == model(a + b + c)
    right.merge(behind)
    assert facts(right) == facts(left)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-20_000, 30_000), st.integers(1, 20_000)), min_size=1, max_size=8),
    st.integers(0, 1 << 30),
)
def test_long_pieces_merge_exactly_or_refuse(runs: list[tuple[int, int]], cut: int) -> None:
    wire = [500_000]
    for jump, length in runs:
        start = wire[-1] + jump
        wire.extend((start + k) & MASK for k in range(length))
    cut %= len(wire) + 1
    whole = scan(wire)
    try:
        both = merged([wire[:cut], wire[cut:]]) if cut else scan(wire)
    except MergeError:
        # Only a piece that stays below the one before for longer than a head may be refused.
        numbers = unwrap(wire)
        assert min(numbers[cut:]) <= max(numbers[:cut])
        return
    assert facts(both) == facts(whole)


def test_a_refused_merge_changes_nothing() -> None:
    first = scan(list(range(1, 60_000)))
    before = facts(first)
    with pytest.raises(MergeError):
        first.merge(scan([n for n in range(1, 50_000) if n % 3], continuing=True))
    assert facts(first) == before
    with pytest.raises(MergeError):
        first.merge(scan([5, 6]))  # not scanned as a continuation
    assert facts(first) == before


def test_rfc_4303_appendix_a_crosses_the_epoch() -> None:
    state = scan([EPOCH - 2, EPOCH - 1, 0, 1, EPOCH - 3, 2])
    assert state.highest == EPOCH + 2
    assert (state.wraps, state.lost, state.reordered, state.restarts) == (1, 0, 1, 0)


def test_a_late_packet_from_the_epoch_before() -> None:
    state = scan([1, 2, EPOCH - 1, 3])
    assert (state.lowest, state.highest, state.wraps) == (EPOCH - 1, EPOCH + 3, 1)
    assert list(state.gaps()) == [(EPOCH, EPOCH)]


@pytest.mark.parametrize(
    ("wire", "count"),
    [
        ([*range(1, 301), *range(1, 50)], 1),  # began anew
        ([*range(1, 301), *range(1, 400)], 1),  # and went on beyond the old numbers
        ([*range(1, 301), *range(1, 101), *range(301, 400)], 0),  # old packets replayed
        ([*range(1, 10_001), *(n for k in range(50) for n in (1 + k, 10_001 + k))], 0),  # replayed while others flow
        ([*range(1, 1001), 1, 1001, *range(2, 20)], 1),  # a late packet of the old counter
        ([*range(3_000_000_000, 3_000_000_100), *range(1, 50)], 1),  # seen as a jump forward
        ([*range(1, 100), *range(1, 100), *range(1, 100)], 2),
        ([5, 4, 3, 2, 1, 6], 0),
        ([*range(1, 100), *range(200, 300), *range(100, 200), *range(300, 310)], 0),  # a burst that came late
    ],
)
def test_restarts(wire: list[int], count: int) -> None:
    assert scan(wire).restarts == count


def test_in_order_loss_beyond_the_limit_is_settled_and_still_counted() -> None:
    wire = [n for n in range(1, 90_000) if n % 10]
    state = scan(wire, gaps=100)
    expected = model(wire)
    found = facts(state)
    assert found == expected
    assert state.settled > 8000
    assert sum(1 for _ in state.gaps()) <= 100 + 1024
    assert state.ambiguous == 0
    late = [*wire, 10, 20]
    late_state = scan(late, gaps=100)
    assert (late_state.ambiguous, late_state.duplicates, late_state.lost) == (2, 2, expected["lost"])


@given(walks(most=60), st.lists(st.integers(0, 1 << 16), max_size=4))
@settings(max_examples=50)
def test_settling_does_not_depend_on_batches(wire: list[int], batches: list[int]) -> None:
    stretched = [n for base in wire for n in range(base, base + 40, 3) if n <= MASK]
    one = scan(stretched, gaps=5)
    many = scan(stretched, gaps=5, batches=batches)
    assert facts(one) == facts(many)
    assert (one.settled, one.ambiguous) == (many.settled, many.ambiguous)


def test_settled_pieces_merge_where_they_do_not_overlap() -> None:
    wire = [n for n in range(1, 60_000) if n % 7]
    whole = scan(wire[:30_000], gaps=50)
    whole.merge(scan(wire[30_000:], continuing=True, gaps=50))
    assert facts(whole) == model(wire)
    with pytest.raises(MergeError):
        whole.merge(scan([7], continuing=True))


def test_random_numbers_stay_bounded_and_quick() -> None:
    # A linear congruential sequence: every number jumps, as with an attacker's noise.
    number, wire = 1, []
    for _ in range(30_000):
        number = (number * 1_664_525 + 1_013_904_223) & MASK
        wire.append(number)
    state = scan(wire, gaps=256, batches=[8192, 16_384])
    assert state.packets == 30_000
    assert len(state.breaks) == 64
    assert sum(1 for _ in state.gaps()) <= 256 + 1024


def test_an_empty_state_takes_the_other() -> None:
    empty = SequenceState()
    empty.merge(copy.deepcopy(scan([7, 8, 10], continuing=True)))
    assert facts(empty) == model([7, 8, 10])
    assert SequenceState().lost == SequenceState().highest == 0
