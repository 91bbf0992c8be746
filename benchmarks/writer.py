"""Writes captures fast: complete frames in, pcap or pcapng records out. For benchmarks and floods, not for users."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Protocol, Self

START_NS = 1_700_000_000_000_000_000
_FLUSH = 4096


class Form(Protocol):
    """A file format: its header, its records, and where a record holds the time and the frame."""

    header: bytes
    time_at: int
    frame_at: int

    @staticmethod
    def stamp(time_ns: int) -> tuple[int, int]:
        """The two words of 32 bits that stand at `time_at`."""

    @staticmethod
    def record(frame: bytes, time_ns: int) -> bytes:
        """The frame as a record."""


class Pcap:
    """Little-endian pcap with nanoseconds."""

    header = Struct("<IHHiIII").pack(0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
    time_at = 0
    frame_at = 16
    _head = Struct("<IIII")

    @staticmethod
    def stamp(time_ns: int) -> tuple[int, int]:
        return divmod(time_ns, 1_000_000_000)

    @staticmethod
    def record(frame: bytes, time_ns: int) -> bytes:
        size = len(frame)
        return Pcap._head.pack(*divmod(time_ns, 1_000_000_000), size, size) + frame


class Pcapng:
    """Little-endian pcapng: one section, one interface that counts nanoseconds (if_tsresol 9), enhanced packets."""

    header = Struct("<IIIHHqI").pack(0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + Struct("<IIHHIHHB3xII").pack(
        1, 32, 1, 0, 262_144, 9, 1, 9, 0, 32
    )
    time_at = 12
    frame_at = 28
    _head = Struct("<IIIIIII")

    @staticmethod
    def stamp(time_ns: int) -> tuple[int, int]:
        return time_ns >> 32, time_ns & 0xFFFFFFFF

    @staticmethod
    def record(frame: bytes, time_ns: int) -> bytes:
        size = len(frame)
        padding = bytes(-size % 4)
        total = 32 + size + len(padding)
        head = Pcapng._head.pack(6, total, 0, time_ns >> 32, time_ns & 0xFFFFFFFF, size, size)
        return head + frame + padding + total.to_bytes(4, "little")


FORMS: dict[str, type[Form]] = {"pcap": Pcap, "pcapng": Pcapng}


class CaptureFile:
    """A capture of Ethernet frames with times that grow by a fixed step."""

    def __init__(self, path: str | Path, *, form: str = "pcap", step_ns: int = 2_000) -> None:
        self._form = FORMS[form]
        self._file = Path(path).open("wb")  # noqa: SIM115 - closed by close()
        self._file.write(self._form.header)
        self._time = START_NS
        self._step = step_ns
        self._pending: list[bytes] = []
        self.packets = 0

    def write(self, frame: bytes) -> None:
        """Append one frame."""
        self._time += self._step
        self._pending.append(self._form.record(frame, self._time))
        self.packets += 1
        if len(self._pending) >= _FLUSH:
            self._flush()

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write(b"".join(self._pending))
        self._pending.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
