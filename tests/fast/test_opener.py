"""`_core.Opener` on its own: it calls Python for every packet, which may do whatever it likes meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ipsecanalyze._fast import IMPLEMENTATION
from ipsecanalyze._fast.columns import ROW

if IMPLEMENTATION != "c":
    pytest.skip("there is no C core", allow_module_level=True)
from ipsecanalyze._fast import _core

PLAIN = b"\x45\0\0\x1c\0\1\x40\0\x40\x11" + bytes(18) + b"\1\2" + bytes((2, 4))
PACKET = bytes(16) + bytes(60)
COMBINED, CLASSIC, WHOLE = range(3)


class WrongError(Exception):
    """What a cipher raises."""


def row(start: int = 0, captured: int = len(PACKET), flow: int = 0) -> bytes:
    return ROW.pack(start, 5, 7, captured, captured, 0, 0, 0, 0, 0, 2, 4, 0, 64, 0, 0, bytes(16), bytes(16), flow)


ROWS = row() * 3


def no_tally(_packet: bytes, _key: bytes) -> list[Any]:
    return []


def opener(
    decrypt: Callable[..., object] = lambda *_: PLAIN,
    *,
    kind: int = COMBINED,
    mac: Callable[..., object] | None = None,
    meet: Callable[..., object] | None = None,
    icv: int = 0,
    made: Any = None,
) -> Any:
    """One that knows the flow 0; `made`: one that there is already."""
    made = made if made is not None else _core.Opener((WrongError,))
    known: dict[bytes, Any] = {}
    usual = meet or (lambda _, key: known.setdefault(key, [0, 0, 0, 0, None]))
    made.enter(0, kind, decrypt, mac, icv, 20, known, usual, b"", b"h", b"m")
    return made


def run(made: Any, rows: bytes = ROWS, at: int = 0, octets: Any = PACKET, out: bytearray | None = None) -> Any:
    return made.run(rows, at, octets, bytearray(4_096) if out is None else out)


def test_rows_until_one_is_odd() -> None:
    at, packets, written, found = run(opener(), ROWS + row(flow=1))
    assert (at, packets, found) == (3 * ROW.size, 3, None)
    assert written % 3 == 0
    assert written


@pytest.mark.parametrize("at", [3 * ROW.size, 5 * ROW.size, 1 << 62, sys.maxsize])
def test_no_row_there(at: int) -> None:
    """Also where a whole row more would be beyond all numbers."""
    assert run(opener(), at=at) == (at, 0, 0, None)


def test_places_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="no such row"):
        run(opener(), at=-1)
    for start in (1, len(PACKET), 1 << 63, (1 << 64) - 1):
        with pytest.raises(ValueError, match="other octets"):
            run(opener(), row(start))
    assert run(opener(), out=bytearray(len(PACKET) + 255)) == (0, 0, 0, None)


@pytest.mark.parametrize("where", ["decrypt", "mac", "meet"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError, WrongError])
def test_errors_are_not_lost(where: str, error: type[BaseException]) -> None:
    def fail(*_: object) -> object:
        raise error

    words: dict[str, Any] = {where: fail}
    made = opener(**words, kind=CLASSIC if where == "mac" else COMBINED, icv=4)
    if error is WrongError and where != "meet":
        assert run(made) == (0, 0, 0, None)
        return
    with pytest.raises(error):
        run(made)


@pytest.mark.parametrize(
    "given", [None, b"", b"a", "text", 5, PLAIN * 100, bytearray(PLAIN), (PLAIN,), (None, 3), (PLAIN, 1, 2)]
)
def test_what_is_not_plain_comes_back(given: object) -> None:
    assert run(opener(lambda *_: given, kind=WHOLE)) == (0, 0, 0, given)


@pytest.mark.parametrize("given", [None, [], [0, 0], (0, 0, 0, 0), [0, 0, "a", 0], [0, 0, -1, 0], [0, 0, 1 << 64, 0]])
def test_tallies_that_are_none(given: object) -> None:
    with pytest.raises((SystemError, IndexError, TypeError, OverflowError)):
        run(opener(meet=lambda *_: given))


@pytest.mark.parametrize("given", [None, "text", bytearray(4), 5])
def test_codes_that_are_none(given: object) -> None:
    with pytest.raises(TypeError):
        run(opener(kind=CLASSIC, mac=lambda *_: given, icv=4))


def test_a_flow_that_goes_while_it_is_opened() -> None:
    made = _core.Opener((WrongError,))

    def leave(*_: object) -> bytes:
        made.leave(0)
        return PLAIN

    assert run(opener(leave, made=made))[:2] == (ROW.size, 1)


def test_flows_that_come_meanwhile() -> None:
    made = _core.Opener((WrongError,))

    def enter(*_: object) -> bytes:
        for flow in range(1, 3_000):
            made.enter(flow, COMBINED, len, None, 0, 20, {}, no_tally, b"", b"", b"")
        return PLAIN

    assert run(opener(enter, made=made))[:2] == (3 * ROW.size, 3)


def test_buffers_stay_while_they_are_read() -> None:
    packet, out = bytearray(PACKET), bytearray(4_096)

    def clear(*_: object) -> bytes:
        for octets in (packet, out):
            with pytest.raises(BufferError):
                octets.clear()
        return PLAIN

    assert run(opener(clear), octets=packet, out=out)[1] == 3
    packet.clear()
    out.clear()


def test_within_itself() -> None:
    made, depth = _core.Opener((WrongError,)), 0

    def again(*_: object) -> bytes:
        nonlocal depth
        depth += 1
        if depth < 20:
            run(made)
        return PLAIN

    assert run(opener(again, made=made))[1] == 3


@pytest.mark.parametrize("how", ["enter", "leave"])
def test_what_is_forgotten_calls_back(how: str) -> None:
    """A finaliser that lets the table of flows move, while one of them is being replaced or left."""
    made = _core.Opener((WrongError,))

    class Last:
        def __init__(self, flow: int) -> None:
            self.flow = flow

        def __call__(self, *_: object) -> bytes:
            return PLAIN

        def __del__(self) -> None:
            made.enter(self.flow, COMBINED, len, None, 0, 20, {}, no_tally, b"", b"", b"")

    for flow in (50_000, 100_000, 200_000):
        opener(Last(flow), made=made)
        if how == "leave":
            made.leave(0)
    opener(made=made)
    assert run(made)[1] == 3


def test_a_circle_is_collected() -> None:
    gone = []

    class Circle:
        made: Any

        def __call__(self, *_: object) -> bytes:
            return PLAIN

        def __del__(self) -> None:
            gone.append(self)

    circle = Circle()
    circle.made = opener(circle)
    del circle
    gc.collect()
    assert len(gone) == 1


def test_nothing_is_kept() -> None:
    made, before = opener(), sys.getrefcount(PLAIN)
    for _ in range(100):
        run(made)
    assert sys.getrefcount(PLAIN) == before
