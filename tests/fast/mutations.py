"""Damages captures in ways that reach every corner of a scanner: records, headers of packets, headers of files.

Everything comes from the `Random` that is given, so that hypothesis can choose, and a seed repeats a run. Not a test;
`conftest.py` and the fuzz script load it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

Record = tuple[int, int, bytes, int]
"""Seconds, nanoseconds, what was captured, octets on the wire."""

EXTREMES = (0, 1, 3, 4, 7, 8, 15, 16, 27, 28, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 1 << 24, (1 << 31) - 1, 1 << 31)
EXTREMES += ((1 << 32) - 1, 262_144, 262_145, 16 << 20, 999_999, 1_000_000, 999_999_999, 1_000_000_000, 86_400, 86_401)
MAGICS = (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34)
LINKS = (0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 109, 113, 119, 127, 147, 204, 228, 229, 239, 276, 0xFFFF)
ETHERTYPES = (0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x9100, 0x9200, 0x9300, 0x8847, 0x8848, 0x8864, 0x8863, 0x880B)
ETHERTYPES += (0x6558, 0x88E5, 0x88E7, 0x894F, 0x88BE, 0x22EB, 4, 1, 0x05FF, 0x0600, 0x05DC, 0xFFFF, 0)
PROTOCOLS = (0, 1, 4, 6, 17, 41, 43, 44, 46, 47, 50, 51, 58, 59, 60, 89, 97, 108, 115, 132, 135, 137, 139, 140, 255)
PORTS = (500, 4500, 4789, 6081, 53, 443, 1701, 1024, 40_000, 0, 65_535, 10_000)
SHIMS = (
    bytes.fromhex("81000005"),
    bytes.fromhex("88a80006"),
    bytes.fromhex("91000fff"),
    bytes.fromhex("8100000188a8000281000003"),
    bytes.fromhex("884700064140"),
    bytes.fromhex("88470006404000064140"),
    bytes.fromhex("88641100000100280021"),
    bytes.fromhex("88641100000100280057"),
    bytes.fromhex("88641100000100080021"),
)


def split(octets: bytes) -> tuple[int, list[Record]]:
    """Link type and records of a whole capture: pcap, or the Enhanced Packet Blocks of a little-endian pcapng."""
    records: list[Record] = []
    if octets[:4] == b"\x0a\x0d\x0d\x0a":
        position, link = 0, 1
        while position + 12 <= len(octets):
            kind, length = struct.unpack_from("<II", octets, position)
            if kind == 1:
                (link,) = struct.unpack_from("<H", octets, position + 8)
            elif kind == 6:
                high, low, captured, wire = struct.unpack_from("<IIII", octets, position + 12)
                seconds, micros = divmod(high << 32 | low, 1_000_000)
                records.append(
                    (seconds & 0xFFFFFFFF, micros * 1000, octets[position + 28 : position + 28 + captured], wire)
                )
            position += max(length, 12)
        return link, records
    order = "<" if octets[0] in (0xD4, 0x4D) else ">"
    scale = 1 if octets[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
    (link,) = struct.unpack_from(order + "I", octets, 20)
    position = 24
    while position + 16 <= len(octets):
        seconds, fraction, captured, wire = struct.unpack_from(order + "IIII", octets, position)
        records.append((seconds, fraction * scale, octets[position + 16 : position + 16 + captured], wire))
        position += 16 + captured
    return link & 0xFFFF, records


def _word(random: Random) -> int:
    return random.choice(EXTREMES) if random.random() < 0.7 else random.getrandbits(32)


# Writing


def write_pcap(link: int, records: list[Record], random: Random) -> bytes:
    """A pcap in any byte order and resolution; now and then with a header field or a record field set to anything."""
    order, magic = random.choice("<<>"), random.choice(MAGICS)
    snaplen = random.choice((0, 65_535, 262_144, 96, 1, 1 << 31)) if random.random() < 0.3 else 262_144
    if random.random() < 0.1:
        link = random.choice(LINKS)
    if random.random() < 0.05:
        link |= random.getrandbits(6) << 26
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    scale, more = (1 if magic == 0xA1B23C4D else 1000), bytes(8 if magic == 0xA1B2CD34 else 0)
    for seconds, nanos, data, wire in records:
        fields = [seconds, nanos // scale, len(data), wire]
        if random.random() < 0.01:
            fields[random.randrange(4)] = _word(random)
        parts.append(struct.pack(order + "IIII", *fields) + more + data)
    return b"".join(parts)


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def _option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def _interface(order: str, link: int, random: Random) -> tuple[bytes, int]:
    """An Interface Description Block, and its ticks per second."""
    options, units = b"", 1_000_000
    if random.random() < 0.5:
        resolution = random.choice((6, 9, 3, 0, 10, 12, 19, 20, 127, 0x80, 0x8A, 0x94, 0xBF, 0xC0, 0xFF))
        options += _option(order, 9, bytes([resolution]))
        units = 1 << (resolution & 127) if resolution & 128 else 10 ** (resolution & 127)
    if random.random() < 0.3:
        offset = random.choice((0, 1, -1, 3600, -(1 << 31), 1 << 32, 4_611_686_018, -(1 << 63), (1 << 63) - 1))
        options += _option(order, 14, struct.pack(order + "q", offset))
    if options and random.random() < 0.8:
        options += _option(order, 0, b"")
    if random.random() < 0.1:
        link = random.choice(LINKS)
    snaplen = random.choice((0, 0, 96, 1 << 31))
    return _block(order, 1, struct.pack(order + "HHI", link & 0xFFFF, 0, snaplen) + options), units


def write_pcapng(link: int, records: list[Record], random: Random) -> bytes:
    """A pcapng of one section or more, with interfaces of all resolutions, all packet blocks, and blocks between."""
    parts: list[bytes] = []
    order, units, left = "<", [1], 0
    for seconds, nanos, data, wire in records:
        if not left:
            order = random.choice("<<>")
            left = random.choice((1, 5, 1000, 1000))
            parts.append(_block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)))
            made = [_interface(order, link, random) for _ in range(random.choice((1, 1, 2, 3, 0)))]
            parts += [block for block, _ in made]
            units = [per_second for _, per_second in made] or [1]
        left -= 1
        index = random.randrange(len(units)) if random.random() < 0.97 else random.choice((7, (1 << 32) - 1))
        ticks = (seconds * 10**9 + nanos) * units[index % len(units)] // 10**9
        ticks = min(ticks, (1 << 64) - 1) if random.random() < 0.97 else random.choice((0, 1, (1 << 64) - 1, 1 << 63))
        fields = [index, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire]
        if random.random() < 0.01:
            fields[random.randrange(3, 5)] = _word(random)
        kind, body = 6, struct.pack(order + "IIIII", *fields)
        choice = random.random()
        if choice < 0.03:
            kind, body = 3, struct.pack(order + "I", wire)
        elif choice < 0.06:
            kind, body = 2, struct.pack(order + "HHIIII", index & 0xFFFF, 0, *fields[1:])
        options = _option(order, 1, b"a comment") if random.random() < 0.03 else b""
        parts.append(_block(order, kind, body + data + bytes(-len(data) % 4) + options))
        if random.random() < 0.03:
            parts.append(
                _block(order, random.choice((4, 5, 10, 0xBAD, 77)), random.randbytes(random.choice((0, 8, 20))))
            )
        if random.random() < 0.02:
            block, per_second = _interface(order, link, random)
            parts.append(block)
            units.append(per_second)
    return b"".join(parts)


# Packets


def _set(data: bytearray, at: int, value: bytes) -> None:
    if at + len(value) <= len(data):
        data[at : at + len(value)] = value


def _ip_at(data: bytearray) -> int:
    """Where IP begins behind Ethernet, SLL, SLL2 or nothing: a good guess."""
    return next((at for at in (14, 16, 20, 18, 0) if at < len(data) and data[at] >> 4 in (4, 6)), 0)


def change_packet(data: bytes, wire: int, random: Random) -> tuple[bytes, int]:
    """One change in the headers of a packet, or to its length."""
    out = bytearray(data)
    ip = _ip_at(out)
    behind = ip + (20 if out[ip : ip + 1] and out[ip] >> 4 == 4 else 40)
    choice = random.randrange(12)
    if choice == 0:
        _set(out, 12, random.choice(ETHERTYPES).to_bytes(2))
    elif choice == 1:
        shim = random.choice(SHIMS)
        out[12:12] = shim
        wire += len(shim)
    elif choice == 2:
        _set(out, ip + (9 if behind - ip == 20 else 6), bytes([random.choice(PROTOCOLS)]))
    elif choice == 3:
        _set(out, behind + random.choice((0, 2)), random.choice(PORTS).to_bytes(2))
    elif choice == 4:
        _set(out, ip + random.choice((2, 4)), (_word(random) & 0xFFFF).to_bytes(2))
    elif choice == 5:
        _set(out, ip + 6, random.choice((0, 0x2000, 0x4000, 0x8000, 1, 0x2001, 0xC000, 0xFFFF)).to_bytes(2))
    elif choice == 6:
        _set(out, ip, bytes([random.choice((0x45, 0x46, 0x4F, 0x44, 0x60, 0x65, 0x00, 0xFF))]))
    elif choice == 7:
        kept = random.choice((random.randrange(len(out) + 1), behind, behind + 8, behind + 12, behind + 16, ip, 13, 0))
        del out[kept:]
    elif choice == 8:
        out += random.randbytes(random.choice((1, 4, 18)))
        wire = max(wire, len(out))
    elif choice == 9:
        _set(out, behind + random.randrange(16), random.choice((bytes(4), b"\xff" * 4, bytes(8), b"IKETCP")))
    elif out:
        at = random.randrange(min(len(out), behind + 40))
        out[at] = random.choice((0, 1, 0xFF, 0x80, out[at] ^ (1 << random.randrange(8)), random.getrandbits(8)))
    return bytes(out), wire


# Captures


def change_records(records: list[Record], random: Random) -> None:
    """One change to the list of records, or to one of them."""
    if not records:
        return
    at = random.randrange(len(records))
    seconds, nanos, data, wire = records[at]
    choice = random.randrange(10)
    if choice == 0:
        records.insert(random.randrange(len(records) + 1), records[at])
    elif choice == 1:
        other = random.randrange(len(records))
        records[at], records[other] = records[other], records[at]
    elif choice == 2:
        del records[at : at + random.choice((1, 1, 5))]
    elif choice == 3:
        records[at:at] = records[at : at + 6] * random.choice((1, 3))
    elif choice == 4:
        seconds = (seconds + random.choice((1, -1, 3600, -3600, 86_400, 90_000, -90_000, 1 << 31))) & 0xFFFFFFFF
        records[at] = (seconds, nanos, data, wire)
    else:
        data, wire = change_packet(data, wire, random)
        records[at] = (seconds, nanos, data, wire)


def change_octets(octets: bytearray, random: Random) -> None:
    """One change to octets, wherever it hits."""
    if not octets:
        return
    at = random.randrange(len(octets))
    choice = random.randrange(7)
    if choice == 0:
        octets[at] ^= 1 << random.randrange(8)
    elif choice == 1:
        octets[at : at + 4] = struct.pack(random.choice("<>") + "I", _word(random))
    elif choice == 2:
        del octets[at : at + random.choice((1, 2, 4, 16, 100))]
    elif choice == 3:
        octets[at:at] = random.randbytes(random.choice((1, 2, 4, 16, 100)))
    elif choice == 4:
        octets[at:at] = octets[at : at + random.choice((16, 100, 400))]
    elif choice == 5:
        del octets[max(at, len(octets) // 2) :]
    else:
        head = random.randrange(min(len(octets), 64))
        octets[head] = random.getrandbits(8)


def mutated(link: int, records: list[Record], random: Random) -> bytes:
    """A capture made of these records (of `split`), or of a part of them, changed in one way or a few."""
    first = random.randrange(len(records)) if random.random() < 0.5 else 0
    chosen = records[first : first + random.choice((3, 10, 40))]
    for _ in range(random.choice((0, 1, 1, 2, 3, 8))):
        change_records(chosen, random)
    write: Callable[[int, list[Record], Random], bytes] = random.choice((write_pcap, write_pcapng))
    octets = bytearray(write(link, chosen, random))
    for _ in range(random.choice((0, 0, 0, 1, 1, 2, 5))):
        change_octets(octets, random)
    return bytes(octets)
