"""Recognises vendor IDs: who implements the peer, or what it can do.

`identify` takes the octets of a Vendor ID payload and never fails. What a stranger put there reaches the result only
as bytes or as printable ASCII. The known vendor IDs are in `vendor_id_table.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from ipsecanalyze.registry import vendor_id_table as table

__all__ = ["VendorId", "identify", "known_vendor_ids"]

_LONGEST_TEXT = 64
"""Octets of a stranger's text that are shown."""
_LONGEST_CACHED = 128
"""Octets: what is longer is looked up anew, so that the cache stays small."""


@dataclass(frozen=True, slots=True)
class VendorId:
    """A vendor ID and what is known about it."""

    data: bytes
    """The octets of the payload."""
    name: str | None = None
    """The implementation or capability; None where it is unknown."""
    version: str | None = None
    kind: str = "unknown"
    """`"implementation"`, `"capability"` or `"unknown"`."""
    source: str = ""
    """Who documents it: an RFC or draft, the vendor, or implementations that recognise it."""

    @property
    def label(self) -> str:
        """One line for people: name and version, or the text it is made of, or hex. Bounded, printable ASCII."""
        if self.name is not None:
            return f"{self.name} {self.version}" if self.version else self.name
        text = _printable(self.data.rstrip(b"\0"))
        if text is not None:
            return f'"{text}"'
        return self.data[:_LONGEST_TEXT].hex() + ("..." if len(self.data) > _LONGEST_TEXT else "")

    def __str__(self) -> str:
        return self.label


def identify(data: bytes) -> VendorId:
    """What the octets of a Vendor ID payload say (RFC 7296 §3.12, RFC 2408 §3.16); never raises."""
    return _identify_cached(data) if len(data) <= _LONGEST_CACHED else _identify(data)


def known_vendor_ids() -> dict[bytes, VendorId]:
    """The vendor IDs that are recognised as a whole (those with a version behind a prefix are more)."""
    return dict(_whole())


def _identify(data: bytes) -> VendorId:
    known = _whole().get(data)
    if known is not None:
        return known
    for prefix, row in _prefixes():
        if data.startswith(prefix):
            fits, version = _REST[row.rest](data[len(prefix) :])
            if fits:
                return VendorId(data, row.name, version, row.kind, row.source)
    return VendorId(data)


_identify_cached = lru_cache(maxsize=4096)(_identify)


def _md5(text: str) -> bytes:
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


def _pluto_hash(text: str) -> bytes:
    """FreeS/WAN's way: "OE" and ten octets of the hash, each moved to 0x40 … 0x7f."""
    return b"OE" + bytes(octet & 0x7F | 0x40 for octet in _md5(text)[:10])


@cache
def _whole() -> dict[bytes, VendorId]:
    """Octets → vendor ID, made at first use: importing must not cost a hundred hashes."""
    makers: tuple[tuple[tuple[table.Known, ...], Callable[[str], bytes]], ...] = (
        (table.HASHED, _md5),
        (table.PLUTO_HASHED, _pluto_hash),
        (table.TEXTS, str.encode),
        (table.RAW, bytes.fromhex),
    )
    return {
        (data := make(row.key)): VendorId(data, row.name, row.version, row.kind, row.source)
        for rows, make in makers
        for row in rows
    }


@cache
def _prefixes() -> tuple[tuple[bytes, table.Prefix], ...]:
    """Prefixes, the longest first."""
    return tuple(sorted(((bytes.fromhex(row.key), row) for row in table.PREFIXES), key=lambda pair: -len(pair[0])))


def _printable(data: bytes) -> str | None:
    """The octets as text where all of them are printable ASCII, cut after 64; None otherwise."""
    if not data or not all(0x20 <= octet < 0x7F for octet in data):
        return None
    text = data[:_LONGEST_TEXT].decode("ascii")
    return text + "..." if len(data) > _LONGEST_TEXT else text


# Decoders of what stands behind a prefix: (whether it is this vendor ID at all, its version).


def _ignored(_rest: bytes) -> tuple[bool, str | None]:
    return True, None


def _text(rest: bytes) -> tuple[bool, str | None]:
    text = _printable(rest.rstrip(b"\0"))
    return text is not None or not rest, text


def _embedded_text(rest: bytes) -> tuple[bool, str | None]:
    """SafeNet: nine octets of numbers, the last the length of the text, "8.0.0 (Build 10)"."""
    return True, _printable(rest[9 : 9 + rest[8]]) if len(rest) > 9 else None


def _dotted(rest: bytes) -> tuple[bool, str | None]:
    """Major and minor version, an octet each."""
    return len(rest) == 2, f"{rest[0]}.{rest[1]}" if len(rest) == 2 else None


def _nibbles(rest: bytes) -> tuple[bool, str | None]:
    """0407 is 4.0.7."""
    return len(rest) == 2, f"{rest[0]}.{rest[1] >> 4}.{rest[1] & 15}" if len(rest) == 2 else None


def _number(rest: bytes) -> tuple[bool, str | None]:
    return len(rest) <= 4, str(int.from_bytes(rest)) if rest else None


def _flags(rest: bytes) -> tuple[bool, str | None]:
    """Cisco's flags: 80000000 fragments Main and Aggressive Mode, 40000000 the rest."""
    return len(rest) in (0, 4), rest.hex() or None


def _zastava(rest: bytes) -> tuple[bool, str | None]:
    """Major and minor version in a nibble each, and a reserved octet."""
    return True, f"{rest[0] >> 4}.{rest[0] & 15}" if rest else None


def _fortigate(rest: bytes) -> tuple[bool, str | None]:
    """Major version and build number, 16 bits each; newer releases send zeros."""
    if len(rest) != 4:
        return False, None
    major, build = int.from_bytes(rest[:2]), int.from_bytes(rest[2:])
    return True, f"{major} (build {build})" if major else None


_WINDOWS = {
    2: "2000",
    3: "XP",
    4: "Server 2003, XP SP2",
    5: "Vista",
    6: "Server 2008",
    7: "7",
    8: "Server 2008 R2",
    9: "8, Server 2012 or later",
}


def _windows(rest: bytes) -> tuple[bool, str | None]:
    """A 32-bit number of the Windows version (MS-IKEE)."""
    number = int.from_bytes(rest)
    return len(rest) in (0, 4), _WINDOWS.get(number, f"version {number}") if len(rest) == 4 else None


_CHECK_POINT_PRODUCTS = {1: "VPN-1/FireWall-1", 2: "SecuRemote/SecureClient"}
_CHECK_POINT_VERSIONS = {
    2: "4.1",
    3: "4.1 SP1",
    4002: "4.1 SP2 or later",
    5000: "NG",
    5001: "NG FP1",
    5002: "NG FP2",
    5003: "NG FP3",
    5004: "NG AI",
    5005: "NG AI R55",
    5006: "NG AI R56",
}


def _check_point(rest: bytes) -> tuple[bool, str | None]:
    """Product and version, 32 bits each; then time stamp, reserved, features."""
    if len(rest) < 8:
        return not rest, None
    product, version = int.from_bytes(rest[:4]), int.from_bytes(rest[4:8])
    words = (_CHECK_POINT_PRODUCTS.get(product), _CHECK_POINT_VERSIONS.get(version, f"version {version}"))
    return True, " ".join(word for word in words if word)


def _pluto(rest: bytes) -> tuple[bool, str | None]:
    """The remainder of twelve octets in pluto's alphabet, a hash that tells no version."""
    return len(rest) in (9, 10) and all(0x40 <= octet < 0x80 for octet in rest), None


_REST: dict[str, Callable[[bytes], tuple[bool, str | None]]] = {
    "ignored": _ignored,
    "text": _text,
    "embedded_text": _embedded_text,
    "dotted": _dotted,
    "nibbles": _nibbles,
    "number": _number,
    "flags": _flags,
    "zastava": _zastava,
    "fortigate": _fortigate,
    "windows": _windows,
    "check_point": _check_point,
    "pluto": _pluto,
}
