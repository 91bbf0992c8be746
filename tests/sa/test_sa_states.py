"""The transition table, and the page that is drawn from it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.sa.records import State
from ipsecanalyze.sa.states import TRANSITIONS, Event, advance, diagram

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_state_can_be_reached_from_the_first() -> None:
    reached = {State.HALF_OPEN}
    for _ in State:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)


def test_errors_in_the_clear_change_nothing_once_established() -> None:
    # RFC 7296 §2.21.4: unprotected errors about an existing IKE SA are hints, no more.
    for state in (State.ESTABLISHED, State.CLOSED, State.REKEYED):
        assert advance(state, Event.REFUSED) is state


def test_a_forged_error_does_not_end_an_attempt() -> None:
    # RFC 7296 §2.21.1.
    assert advance(advance(State.FAILED, Event.ANSWER), Event.AUTHENTICATED) is State.ESTABLISHED


@given(st.lists(st.sampled_from(Event)))
def test_rekeyed_is_final_and_half_open_is_never_returned_to_from_an_established_one(events: list[Event]) -> None:
    state, was_established = State.HALF_OPEN, False
    for event in events:
        before, state = state, advance(state, event)
        was_established |= state is State.ESTABLISHED
        assert before is not State.REKEYED or state is State.REKEYED
        assert not (was_established and state in (State.HALF_OPEN, State.FAILED))


def test_the_documentation_is_drawn_from_the_table() -> None:
    assert diagram() in (DOCS / "states.md").read_text()
    arrows = [line for line in diagram().splitlines() if "-->" in line]
    assert len(arrows) == len(TRANSITIONS) + 4
    assert all(TRANSITIONS.get(pair) is not pair[0] for pair in product(State, Event))
