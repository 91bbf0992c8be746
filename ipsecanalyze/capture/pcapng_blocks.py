"""The blocks of pcapng: each function reads one kind of block from its octets.

Sans-IO and without state; the walker in `pcapng.py` knows sections and interfaces. A body is what stands between
a block's two length fields. Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from math import gcd
from struct import Struct
from typing import Final

from ipsecanalyze.capture.walker import Interface
from ipsecanalyze.errors import WireError

__all__ = [
    "BYTE_ORDER_MAGIC",
    "BlockType",
    "PacketBlock",
    "SectionHeader",
    "is_pcapng",
    "parse_enhanced_packet",
    "parse_interface_block",
    "parse_old_packet",
    "parse_options",
    "parse_secrets",
    "parse_section_header",
    "parse_simple_packet",
    "parse_statistics",
]

BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
OPT_COMMENT: Final = 1
MAX_TEXT: Final = 1_024  # octets of a name, description or comment that are remembered per interface
MAX_INTERFACE_COMMENTS: Final = 16
EPB_FIXED: Final = {order: Struct(order + "IIIII") for order in "<>"}
OLD_FIXED: Final = {order: Struct(order + "HHIIII") for order in "<>"}


class BlockType(IntEnum):
    """The block types that are read; all others are skipped."""

    INTERFACE = 1
    OLD_PACKET = 2
    SIMPLE_PACKET = 3
    NAME_RESOLUTION = 4
    INTERFACE_STATISTICS = 5
    ENHANCED_PACKET = 6
    DECRYPTION_SECRETS = 10
    CUSTOM = 0xBAD
    CUSTOM_NOT_COPIED = 0x4000_0BAD
    SECTION_HEADER = 0x0A0D_0D0A


@dataclass(frozen=True, slots=True)
class SectionHeader:
    """A Section Header Block; its section length is ignored, as nothing needs it."""

    byte_order: str
    major: int
    minor: int
    comments: tuple[str, ...]


@dataclass(slots=True)
class PacketBlock:
    """A packet of any of the three packet blocks."""

    interface: int
    """Index of the interface within the section."""
    ticks: int | None
    """Time stamp in the interface's units; None in Simple Packet Blocks."""
    data: bytes
    wire_length: int
    comments: tuple[str, ...] = ()


def is_pcapng(buffer: bytes) -> bool:
    """Whether the octets begin with a Section Header Block."""
    return buffer[:4] == b"\x0a\x0d\x0d\x0a" and buffer[8:12] in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a")


def parse_options(body: bytes, offset: int, byte_order: str) -> Iterator[tuple[int, bytes]]:
    """The (code, value) pairs from `offset` on, up to opt_endofopt; an option that overruns the block ends them."""
    unpack = Struct(byte_order + "HH").unpack_from
    while offset + 4 <= len(body):
        code, length = unpack(body, offset)
        offset += 4
        if code == 0 or offset + length > len(body):
            return
        yield code, body[offset : offset + length]
        offset += (length + 3) & ~3


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")


def _comments(body: bytes, offset: int, byte_order: str) -> tuple[str, ...]:
    if offset >= len(body):
        return ()
    return tuple(_text(value) for code, value in parse_options(body, offset, byte_order) if code == OPT_COMMENT)


def _need(body: bytes, size: int, layer: str) -> None:
    if len(body) < size:
        raise WireError(
            f"the block needs {size} octets, {len(body)} are there", layer=layer, offset=len(body), slug="truncated"
        )


def parse_section_header(block: bytes) -> SectionHeader:
    """Read a whole Section Header Block (it alone says which byte order it is in); raises WireError."""
    _need(block, 28, "section header")
    byte_order = ">" if block[8:12] == b"\x1a\x2b\x3c\x4d" else "<"
    magic, major, minor = Struct(byte_order + "IHH").unpack_from(block, 8)
    if magic != BYTE_ORDER_MAGIC:
        raise WireError("no byte-order magic", layer="section header", offset=8)
    return SectionHeader(byte_order, major, minor, _comments(block[: len(block) - 4], 24, byte_order))


def _resolution(value: int) -> tuple[int, int]:
    """if_tsresol as (multiplier, divisor) from ticks to nanoseconds."""
    units = 1 << (value & 0x7F) if value & 0x80 else 10 ** (value & 0x7F)
    common = gcd(1_000_000_000, units)
    return 1_000_000_000 // common, units // common


def parse_interface_block(body: bytes, byte_order: str) -> Interface:
    """Read the body of an Interface Description Block; raises WireError where it is too short."""
    _need(body, 8, "interface description")
    link_type, _, snaplen = Struct(byte_order + "HHI").unpack_from(body)
    texts = {2: "", 3: "", 11: "", 12: ""}
    multiplier, divisor, offset_ns = 1_000, 1, 0
    comments: list[str] = []
    for code, value in parse_options(body, 8, byte_order):
        if code == OPT_COMMENT:
            comments.append(_text(value[:MAX_TEXT]))
        elif code == 11:  # if_filter: the first octet says what follows, 0 is libpcap's text
            texts[11] = _text(value[1:MAX_TEXT]) if value[:1] == b"\0" else ""
        elif code in texts:
            texts[code] = _text(value[:MAX_TEXT])
        elif code == 9 and value:
            multiplier, divisor = _resolution(value[0])
        elif code == 14 and len(value) == 8:
            offset_ns = Struct(byte_order + "q").unpack(value)[0] * 1_000_000_000
    return Interface(
        link_type=link_type,
        snaplen=snaplen,
        name=texts[2],
        description=texts[3],
        multiplier=multiplier,
        divisor=divisor,
        offset_ns=offset_ns,
        filter=texts[11],
        os=texts[12],
        comments=tuple(comments[:MAX_INTERFACE_COMMENTS]),
    )


def parse_enhanced_packet(body: bytes, byte_order: str) -> PacketBlock:
    """Read the body of an Enhanced Packet Block; raises WireError where it contradicts itself."""
    _need(body, 20, "enhanced packet")
    interface, high, low, captured, wire = EPB_FIXED[byte_order].unpack_from(body)
    return _packet(body, 20, interface, high << 32 | low, captured, wire, byte_order)


def parse_old_packet(body: bytes, byte_order: str) -> PacketBlock:
    """Read the body of an obsolete Packet Block; raises WireError where it contradicts itself."""
    _need(body, 20, "packet")
    interface, _, high, low, captured, wire = OLD_FIXED[byte_order].unpack_from(body)
    return _packet(body, 20, interface, high << 32 | low, captured, wire, byte_order)


def _packet(
    body: bytes, start: int, interface: int, ticks: int, captured: int, wire: int, byte_order: str
) -> PacketBlock:
    stop = start + captured
    if stop > len(body):
        raise WireError(
            f"{captured} octets of packet in a block with room for {len(body) - start}", layer="packet", offset=start
        )
    comments = _comments(body, start + ((captured + 3) & ~3), byte_order)
    return PacketBlock(interface, ticks, body[start:stop], wire, comments)


def parse_simple_packet(body: bytes, byte_order: str, snaplen: int) -> PacketBlock:
    """Read the body of a Simple Packet Block, whose interface is the section's first; raises WireError."""
    _need(body, 4, "simple packet")
    (wire,) = Struct(byte_order + "I").unpack_from(body)
    captured = min(wire, snaplen) if snaplen else wire
    if captured > len(body) - 4:
        raise WireError(
            f"{captured} octets of packet in a block with room for {len(body) - 4}", layer="simple packet", offset=4
        )
    return PacketBlock(0, None, body[4 : 4 + captured], wire)


def parse_statistics(body: bytes, byte_order: str) -> tuple[int, int | None, tuple[str, ...]]:
    """Interface index, packets dropped (isb_ifdrop + isb_osdrop; None where neither is told), comments."""
    _need(body, 12, "interface statistics")
    (interface,) = Struct(byte_order + "I").unpack_from(body)
    counter = Struct(byte_order + "Q")
    dropped: int | None = None
    comments: list[str] = []
    for code, value in parse_options(body, 12, byte_order):
        if code in (5, 7) and len(value) == 8:
            dropped = (dropped or 0) + counter.unpack(value)[0]
        elif code == OPT_COMMENT:
            comments.append(_text(value))
    return interface, dropped, tuple(comments)


def parse_secrets(body: bytes, byte_order: str) -> tuple[int, bytes]:
    """(secrets type, secrets) of a Decryption Secrets Block; raises WireError where it contradicts itself."""
    _need(body, 8, "decryption secrets")
    kind, length = Struct(byte_order + "II").unpack_from(body)
    if length > len(body) - 8:
        raise WireError(
            f"{length} octets of secrets in a block with room for {len(body) - 8}",
            layer="decryption secrets",
            offset=8,
        )
    return kind, body[8 : 8 + length]
