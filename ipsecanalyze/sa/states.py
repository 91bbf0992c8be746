"""The life of an IKE SA as a transition table.

Everything that changes `IkeSa.state` goes through `advance`. The table knows no packets: what counts as which event
is decided in `negotiation.py` (read off messages in the clear) and `conclusions.py` (inferred once all was seen).
The diagram in docs/states.md is drawn from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from ipsecanalyze.sa.records import State

__all__ = ["TRANSITIONS", "Event", "advance", "diagram"]


class Event(StrEnum):
    """What can happen to an IKE SA."""

    OFFER = "offer"
    """The initiator proposes (IKE_SA_INIT request; first message of main or aggressive mode); no retransmission."""
    RETRY = "retry"
    """The responder wants the offer again, with a COOKIE or another group (RFC 7296 §2.6, §1.3)."""
    ANSWER = "answer"
    """The responder took a proposal."""
    REFUSED = "refused"
    """An error notify in the clear, or a reply to the authentication that can hold nothing but an error."""
    AUTHENTICATED = "authenticated"
    """Both sides proved who they are."""
    TRAFFIC = "traffic"
    """ESP or AH that only this IKE SA can have made possible, or that goes on after a supposed end."""
    DELETED = "deleted"
    """One side deleted it."""
    SUPERSEDED = "superseded"
    """It ended because another IKE SA of the same peers took over."""


#: (state, event) → state. A pair that is missing changes nothing.
TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.HALF_OPEN, Event.REFUSED): State.FAILED,
        (State.HALF_OPEN, Event.AUTHENTICATED): State.ESTABLISHED,
        (State.HALF_OPEN, Event.TRAFFIC): State.ESTABLISHED,
        # Errors in the clear can be forged: whoever waits on may still succeed (RFC 7296 §2.21.1).
        (State.FAILED, Event.OFFER): State.HALF_OPEN,
        (State.FAILED, Event.RETRY): State.HALF_OPEN,
        (State.FAILED, Event.ANSWER): State.HALF_OPEN,
        (State.FAILED, Event.AUTHENTICATED): State.ESTABLISHED,
        (State.FAILED, Event.TRAFFIC): State.ESTABLISHED,
        (State.ESTABLISHED, Event.DELETED): State.CLOSED,
        (State.ESTABLISHED, Event.SUPERSEDED): State.REKEYED,
        (State.CLOSED, Event.SUPERSEDED): State.REKEYED,
        # A deletion that was only inferred is refuted by what follows.
        (State.CLOSED, Event.TRAFFIC): State.ESTABLISHED,
    }
)


def advance(state: State, event: Event) -> State:
    """The state after the event; the same where the table says nothing."""
    return TRANSITIONS.get((state, event), state)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {_node(State.HALF_OPEN)}: {Event.OFFER}"]
    lines += [f"    {_node(before)} --> {_node(after)}: {event}" for (before, event), after in TRANSITIONS.items()]
    lines += [f"    {_node(state)} --> [*]" for state in (State.FAILED, State.CLOSED, State.REKEYED)]
    return "\n".join(lines) + "\n"


def _node(state: State) -> str:
    return state.value.replace("-", "_")
