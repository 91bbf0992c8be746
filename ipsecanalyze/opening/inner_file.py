"""Writing inner packets: pcapng of raw IP (LINKTYPE_RAW), with the outer times, and where each packet came from.

Blocks are put together with few operations and written in large pieces: this is half of what decryption costs.
Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from io import RawIOBase
from struct import Struct
from typing import Final, Protocol

from ipsecanalyze.opening.packets import DecryptedPacket

__all__ = ["InnerFile", "Nowhere", "Sink", "block_parts", "comment_ends", "comment_of", "header"]

LINKTYPE_RAW: Final = 101
_SECTION: Final = Struct("<IIIHHqI")
#: Interface Description Block with if_name, if_tsresol (9: nanoseconds), end of options.
_INTERFACE: Final = Struct("<IIHHI")
_ENHANCED: Final = Struct("<IIIIIII")
_OPTION: Final = Struct("<HH")
_LENGTH: Final = Struct("<I")
_COMMENT: Final = 1


def header(comment: str = "") -> bytes:
    """The section header and the description of the one interface."""
    text = comment.encode("utf-8", "replace")[:0xFFFF]
    options = b""
    if text:
        options = _OPTION.pack(_COMMENT, len(text)) + text + bytes(-len(text) & 3) + bytes(4)
    size = 28 + len(options)
    section = _SECTION.pack(0x0A0D0D0A, size, 0x1A2B3C4D, 1, 0, -1, 0)[:-4] + options + _LENGTH.pack(size)
    options = _OPTION.pack(2, 5) + b"inner\0\0\0" + _OPTION.pack(9, 1) + b"\x09\0\0\0" + bytes(4)
    size = 20 + len(options)
    return section + _INTERFACE.pack(1, size, LINKTYPE_RAW, 0, 0) + options + _LENGTH.pack(size)


def _make_ends(most: int) -> tuple[tuple[tuple[bytes, bytes, int], ...], ...]:
    return tuple(
        tuple(
            (
                bytes(-residue & 3) + _OPTION.pack(_COMMENT, size),
                bytes(-size & 3) + bytes(4),
                40 + (-residue & 3) + size + (-size & 3),
            )
            for size in range(most)
        )
        for residue in range(4)
    )


#: By octets of data modulo 4 and octets of the comment, of which there are few: what is between the two, what is
#: behind the comment, and the octets of the block that are not data.
_ENDS: Final = _make_ends(256)


def block_parts(data: bytes, time_ns: int, comment: bytes) -> tuple[bytes, ...]:
    """An Enhanced Packet Block in parts, to be joined; the comment is ASCII, of less than 256 octets."""
    size = len(data)
    before, behind, octets = _ENDS[size & 3][len(comment)]
    return (
        _ENHANCED.pack(6, size + octets, 0, time_ns >> 32 & 0xFFFFFFFF, time_ns & 0xFFFFFFFF, size, size),
        data,
        before,
        comment,
        behind,
        _LENGTH.pack(size + octets),
    )


def comment_of(capture: int, protocol: str, spi: int) -> bytes:
    """The comment of a flow's packets, to be filled with frame and sequence number."""
    file = b"" if not capture else b"capture %d, " % (capture + 1)
    return b"%bframe %%d, %b SPI %08x, sequence %%d" % (file, protocol.encode(), spi)


def comment_ends(capture: int, protocol: str, spi: int) -> tuple[bytes, bytes]:
    """The same for the C core: what is in front of the frame, and what is in front of the sequence number."""
    head, middle, _ = comment_of(capture, protocol, spi).split(b"%d")
    return head, middle


class Sink(Protocol):
    """What is written to: a binary file, or less."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take octets."""


class Nowhere:
    """Where packets are written that nobody wants, but for what is counted of them."""

    def write(self, data: bytes | memoryview) -> None:
        """Throw it away."""


class InnerFile:
    """Writes blocks to a stream in large pieces."""

    def __init__(self, stream: Sink, comment: str | None = "") -> None:
        self.stream = stream
        self._write: Callable[[bytes | memoryview], object] = (
            partial(_write_all, stream) if isinstance(stream, RawIOBase) else stream.write
        )
        self.packets = 0
        self._parts: list[bytes] = []
        self._comments: dict[tuple[int, str, int], bytes] = {}
        if comment is not None:
            self._parts.append(header(comment))

    def add(self, packet: DecryptedPacket) -> None:
        """Write one packet."""
        key = (packet.capture, packet.flow[0], packet.spi)
        comment = self._comments.get(key)
        if comment is None:
            if len(self._comments) > 65_536:
                self._comments.clear()
            comment = self._comments[key] = comment_of(*key)
        self._parts += block_parts(packet.data, packet.time_ns, comment % (packet.frame, packet.sequence))
        self.packets += 1
        if len(self._parts) > 4_096:
            self.flush()

    def add_blocks(self, blocks: bytes | memoryview, packets: int) -> None:
        """Write whole blocks of so many packets, which were made elsewhere."""
        if self._parts:
            self.flush()
        self._write(blocks)
        self.packets += packets

    def flush(self) -> None:
        """Write what waits."""
        self._write(b"".join(self._parts))
        self._parts.clear()


def _write_all(stream: RawIOBase, data: bytes | memoryview) -> None:
    """Write to a stream without a buffer, as standard output of `python -u` is: it may take a part only."""
    at = 0
    with memoryview(data) as whole:
        while at < len(whole):
            with whole[at:] as rest:
                count = stream.write(rest)
            if not count:
                raise BlockingIOError(errno.EAGAIN, "the output takes no more at the moment", at)
            at += count
