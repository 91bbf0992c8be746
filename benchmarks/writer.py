"""Writes captures fast: complete frames in, pcap or pcapng records out. For benchmarks and floods, not for users."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Self

_PCAP_HEADER = Struct("<IHHiIII")
_PCAP_RECORD = Struct("<IIII")
_EPB = Struct("<IIIIIII")
_FLUSH = 4096
_START_NS = 1_700_000_000_000_000_000
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class CaptureFile:
    """A capture of Ethernet frames with nanosecond times that grow by a fixed step."""

    def __init__(self, path: str | Path, *, form: str = "pcap", step_ns: int = 2_000) -> None:
        self._file = Path(path).open("wb")  # noqa: SIM115 - closed by close()
        self._pcapng = form == "pcapng"
        self._time = _START_NS
        self._step = step_ns
        self._pending: list[bytes] = []
        self.packets = 0
        if self._pcapng:
            section = Struct("<IIIHHqI").pack(0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
            # if_tsresol 9: nanoseconds
            interface = Struct("<IIHHIHHB3xII").pack(1, 32, 1, 0, 262_144, 9, 1, 9, 0, 32)
            self._file.write(section + interface)
        else:
            self._file.write(_PCAP_HEADER.pack(0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))

    def write(self, frame: bytes) -> None:
        """Append one frame."""
        size = len(frame)
        time = self._time = self._time + self._step
        pending = self._pending
        if self._pcapng:
            padding = PADDING[size & 3]
            total = 32 + size + len(padding)
            pending.append(_EPB.pack(6, total, 0, time >> 32, time & 0xFFFFFFFF, size, size))
            pending.append(frame + padding)
            pending.append(total.to_bytes(4, "little"))
        else:
            seconds, rest = divmod(time, 1_000_000_000)
            pending.append(_PCAP_RECORD.pack(seconds, rest, size, size))
            pending.append(frame)
        self.packets += 1
        if len(pending) >= _FLUSH:
            self._file.write(b"".join(pending))
            pending.clear()

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._file.write(b"".join(self._pending))
        self._pending.clear()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
