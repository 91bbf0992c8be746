"""The progress line: only on terminals, only when it takes long, and gone in the end."""

from __future__ import annotations

import io

import pytest

from ipsecanalyze.cli import progress
from ipsecanalyze.cli.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_long_work_is_shown(clock: Clock) -> None:
    stream = Terminal()
    with ProgressLine(200_000_000, stream) as line:
        line.update(10)
        assert stream.getvalue() == ""
        clock.now += 2
        line.update(50_000_000)
        assert "[######..................]  25%  50.0 MB of 200 MB, 25.0 MB/s, 6.00 s left" in stream.getvalue()
        length = len(stream.getvalue())
        line.update(60_000_000)
        assert len(stream.getvalue()) == length
    assert stream.getvalue().endswith("\r\x1b[K")


def test_of_unknown_length(clock: Clock) -> None:
    stream = Terminal()
    with ProgressLine(None, stream) as line:
        clock.now += 2
        line.update(50_000_000)
    assert "50.0 MB read, 25.0 MB/s" in stream.getvalue()


def test_grown_files(clock: Clock) -> None:
    stream = Terminal()
    with ProgressLine(1000, stream) as line:
        clock.now += 2
        line.update(2000)
    assert "100%" in stream.getvalue()


@pytest.mark.parametrize(("stream", "enabled"), [(io.StringIO(), True), (Terminal(), False)])
def test_silence(stream: io.StringIO, enabled: bool, clock: Clock) -> None:
    with ProgressLine(1000, stream, enabled=enabled) as line:
        clock.now += 2
        line.update(500)
    assert stream.getvalue() == ""
