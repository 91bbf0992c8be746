"""What is being made is made to its end, however impatient the user is. Without an engine."""

from __future__ import annotations

import _thread
from threading import Event

import pytest

from ipsecanalyze.lab import lab


def test_what_is_being_made_is_made_before_the_interrupt_goes_on() -> None:
    made: list[str] = []

    def create() -> None:
        _thread.interrupt_main()
        # Time for the main thread to be interrupted; it has to wait for this one nevertheless.
        Event().wait(0.2)
        made.append("network")

    with pytest.raises(KeyboardInterrupt):
        lab._wholly(create)
    assert made == ["network"]


def test_what_fails_there_fails_here() -> None:
    def create() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        lab._wholly(create)
