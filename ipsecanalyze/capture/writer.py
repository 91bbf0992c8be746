"""Writing captures: packets to pcapng (with interfaces and comments) or pcap, both with nanoseconds.

What `write_capture` writes, `open_capture` reads back equal: but for the numbering of interfaces, which follows
their first use, and for comments, which pcap cannot hold. Source: draft-ietf-opsawg-pcapng, draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final, Literal

from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcap import COMMON_SNAPLEN
from ipsecanalyze.capture.pcapng import MAX_INTERFACES
from ipsecanalyze.capture.pcapng_blocks import BYTE_ORDER_MAGIC, OPT_COMMENT, BlockType
from ipsecanalyze.capture.walker import MAX_RECORD
from ipsecanalyze.errors import CaptureError, UsageError

__all__ = ["write_capture"]

_LENGTH: Final = Struct("<I")
_OPTION: Final = Struct("<HH")
_SECTION: Final = Struct("<IHHq")
_INTERFACE: Final = Struct("<HHI")
_ENHANCED: Final = Struct("<IIIII")
_PCAP_HEADER: Final = Struct("<IHHiIII")
_PCAP_RECORD: Final = Struct("<IIII")
_PCAP_NANOSECONDS: Final = 0xA1B23C4D
_SECOND: Final = 1_000_000_000

Format = Literal["pcapng", "pcap"]


def write_capture(
    target: str | os.PathLike[str] | BinaryIO,
    packets: Iterable[Packet],
    *,
    format: Format = "pcapng",  # noqa: A002 - the word that users know
    link_type: int | None = None,
    interface_names: Mapping[int, str] | None = None,
    comment: str = "",
) -> int:
    """Write packets to a path (replaced only once all is written) or a binary file; returns how many there were.

    `link_type` is for captures without packets, and what all packets must have in a pcap (None: that of the first).
    `interface_names` names pcapng interfaces by `Packet.interface`; `comment` is about the whole file.
    Raises UsageError for what the format cannot hold, CaptureError where the path cannot be written.
    """
    if format not in ("pcapng", "pcap"):
        raise UsageError(f"no such capture format: {format}")
    if format == "pcap":
        write: Callable[[BinaryIO], int] = _PcapWriter(packets, link_type).write
    else:
        write = _PcapngWriter(packets, link_type, interface_names or {}, comment).write
    if not isinstance(target, str | os.PathLike):
        return write(target)
    path = Path(target)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe is written to, not replaced
            with path.open("wb") as stream:
                return write(stream)
        return _replace(path, write)
    except OSError as error:
        raise CaptureError(f"cannot be written: {error.strerror or error}", path=os.fspath(path)) from error


def _replace(path: Path, write: Callable[[BinaryIO], int]) -> int:
    """Write beside the path and move it there when complete: no half-written capture is ever left behind."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            count = write(stream)
        partial.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    return count


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _check(packet: Packet, limit: int) -> None:
    if len(packet.data) > limit:
        raise UsageError(
            f"frame {packet.number} has {len(packet.data)} octets, more than the {limit} that are read back"
        )
    if not len(packet.data) <= packet.wire_length <= 0xFFFF_FFFF:
        raise UsageError(f"frame {packet.number}: {packet.wire_length} octets on the wire, {len(packet.data)} captured")


class _PcapWriter:
    def __init__(self, packets: Iterable[Packet], link_type: int | None) -> None:
        self._packets = packets
        self._link_type = link_type

    def write(self, stream: BinaryIO) -> int:
        count = 0
        for packet in self._packets:
            if count == 0:
                if self._link_type is None:
                    self._link_type = packet.link_type
                if not 0 <= self._link_type <= 0x03FF_FFFF:
                    raise UsageError(f"no such link type: {self._link_type}")
                stream.write(self._header())
            if packet.link_type != self._link_type:
                raise UsageError(f"pcap holds one link type: frame {packet.number} has {packet.link_type}; use pcapng")
            _check(packet, COMMON_SNAPLEN)
            seconds, fraction = divmod(packet.time_ns, _SECOND)
            if not 0 <= seconds <= 0xFFFF_FFFF:
                raise UsageError(f"frame {packet.number}: pcap holds times from 1970 to 2106 only; use pcapng")
            stream.write(_PCAP_RECORD.pack(seconds, fraction, len(packet.data), packet.wire_length))
            stream.write(packet.data)
            count += 1
        if count == 0:
            stream.write(self._header())
        return count

    def _header(self) -> bytes:
        link_type = 1 if self._link_type is None else self._link_type
        return _PCAP_HEADER.pack(_PCAP_NANOSECONDS, 2, 4, 0, 0, COMMON_SNAPLEN, link_type)


class _PcapngWriter:
    def __init__(
        self, packets: Iterable[Packet], link_type: int | None, names: Mapping[int, str], comment: str
    ) -> None:
        self._packets = packets
        self._link_type = link_type
        self._names = names
        self._comment = comment
        self._interfaces: dict[tuple[int, int], int] = {}

    def write(self, stream: BinaryIO) -> int:
        options = _options([(OPT_COMMENT, _text(self._comment))] if self._comment else [])
        stream.write(_block(BlockType.SECTION_HEADER, _SECTION.pack(BYTE_ORDER_MAGIC, 1, 0, -1) + options))
        count = 0
        for packet in self._packets:
            _check(packet, MAX_RECORD >> 1)
            interface = self._interfaces.get((packet.interface, packet.link_type))
            if interface is None:
                interface = self._describe(stream, packet.interface, packet.link_type)
            if not 0 <= packet.time_ns < 1 << 64:
                raise UsageError(f"frame {packet.number}: its time is outside what pcapng holds in nanoseconds")
            captured = len(packet.data)
            fixed = _ENHANCED.pack(
                interface, packet.time_ns >> 32, packet.time_ns & 0xFFFF_FFFF, captured, packet.wire_length
            )
            options = _options([(OPT_COMMENT, _text(comment)) for comment in packet.comments])
            stream.write(_block(BlockType.ENHANCED_PACKET, fixed + packet.data + bytes(-captured & 3) + options))
            count += 1
        if not self._interfaces:
            self._describe(stream, 0, 1 if self._link_type is None else self._link_type)
        return count

    def _describe(self, stream: BinaryIO, interface: int, link_type: int) -> int:
        if not 0 <= link_type <= 0xFFFF:
            raise UsageError(f"pcapng holds link types up to 65535, not {link_type}")
        if len(self._interfaces) >= MAX_INTERFACES:
            raise UsageError(f"more than the {MAX_INTERFACES} interfaces that are read back")
        number = self._interfaces[interface, link_type] = len(self._interfaces)
        options = [(9, b"\x09")]  # if_tsresol: nanoseconds
        name = self._names.get(interface)
        if name:
            options.insert(0, (2, _text(name)))
        stream.write(_block(BlockType.INTERFACE, _INTERFACE.pack(link_type, 0, 0) + _options(options)))
        return number


def _text(text: str) -> bytes:
    """As UTF-8, cut to what an option can hold."""
    return text.encode("utf-8", "replace")[:0xFFFF]


def _options(options: list[tuple[int, bytes]]) -> bytes:
    if not options:
        return b""
    parts = [_OPTION.pack(code, len(value)) + value + bytes(-len(value) & 3) for code, value in options]
    return b"".join(parts) + _OPTION.pack(0, 0)


def _block(kind: int, body: bytes) -> bytes:
    size = _LENGTH.pack(len(body) + 12)
    return _LENGTH.pack(kind) + size + body + size
