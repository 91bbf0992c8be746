"""Captures of gigabytes in seconds: a block of records is made once and written over and over.

Each time round, the times of its records and the sequence numbers of its streams go on where they were.
"""

from __future__ import annotations

from collections.abc import Hashable
from operator import add
from pathlib import Path
from struct import Struct

from writer import FORMS, START_NS

_STAMP = Struct("<II")
_NUMBER = Struct(">I")


class Block:
    """Records of a capture; `write` repeats them."""

    def __init__(self, *, form: str = "pcap", step_ns: int = 2_000) -> None:
        self._form = FORMS[form]
        self._step = step_ns
        self._records = bytearray()
        self._starts: list[int] = []
        self._places: list[int] = []
        self._numbers: list[int] = []
        self._streams: list[Hashable] = []
        self._highest: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, frame: bytes, *, stream: Hashable = None, number_at: int = 0, skipped: int = 0) -> None:
        """Append a frame; that of a stream has its next sequence number (after `skipped` ones) at `number_at`."""
        start = len(self._records)
        self._starts.append(start)
        self._records += self._form.record(frame, START_NS)
        if stream is not None:
            number = self._highest[stream] = self._highest.get(stream, 0) + 1 + skipped
            self._streams.append(stream)
            self._numbers.append(number)
            self._places.append(start + self._form.frame_at + number_at)

    def write(self, path: str | Path, packets: int) -> None:
        """Write a capture of so many packets."""
        records, numbers, stamp = self._records, self._numbers, self._form.stamp
        stamps = [start + self._form.time_at for start in self._starts]
        strides = [self._highest[stream] for stream in self._streams]
        time = START_NS
        with Path(path).open("wb") as file:
            file.write(self._form.header)
            while packets:
                for place, number in zip(self._places, numbers, strict=True):
                    _NUMBER.pack_into(records, place, number)
                for place in stamps:
                    time += self._step
                    _STAMP.pack_into(records, place, *stamp(time))
                if packets < len(self):
                    file.write(memoryview(records)[: self._starts[packets]])
                    return
                file.write(records)
                packets -= len(self)
                numbers = list(map(add, numbers, strides))
