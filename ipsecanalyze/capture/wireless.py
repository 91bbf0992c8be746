"""802.11 data frames and the radio headers before them (radiotap, Prism, AVS).

Only frames in the clear lead on to IP: protected ones, and aggregates (A-MSDU), are unknown content. Raises
WireError only. Sources: IEEE 802.11-2016 §9.2, https://www.radiotap.org.
"""

from __future__ import annotations

from typing import Final

from ipsecanalyze.capture.shim import Kind, need
from ipsecanalyze.errors import WireError

__all__ = ["avs", "ieee80211", "prism", "radiotap"]

_DATA: Final = 2
_FLAGS_DATA_PAD: Final = 0x20


def ieee80211(data: bytes) -> tuple[int, int]:
    """LINKTYPE_IEEE802_11 (105): the header of a data frame, of a length that its bits say."""
    return _frame(data, 0, padded=False)


def _frame(data: bytes, start: int, *, padded: bool) -> tuple[int, int]:
    need(data, start + 2, "802.11")
    control, flags = data[start], data[start + 1]
    subtype = control >> 4
    # Only data frames that carry data (bit 2 of the subtype: none) in the clear (0x40: protected).
    if control >> 2 & 3 != _DATA or subtype & 4 or flags & 0x40:
        return Kind.UNKNOWN, start
    length = 30 if flags & 3 == 3 else 24
    if subtype & 8:
        need(data, start + length + 2, "802.11")
        if data[start + length] & 0x80:
            return Kind.UNKNOWN, start
        length += 6 if flags & 0x80 else 2
    if padded:
        length = (length + 3) & ~3
    return Kind.LLC, start + length


def radiotap(data: bytes) -> tuple[int, int]:
    """LINKTYPE_IEEE802_11_RADIOTAP (127)."""
    need(data, 8, "radiotap")
    length = int.from_bytes(data[2:4], "little")
    if length < 8:
        raise WireError(f"radiotap header of {length} octets", layer="radiotap", offset=2)
    present = int.from_bytes(data[4:8], "little")
    offset, word = 8, present
    while word & 0x8000_0000:  # further words of presence bits
        need(data, offset + 4, "radiotap")
        word = int.from_bytes(data[offset : offset + 4], "little")
        offset += 4
    padded = False
    if present & 2:
        if present & 1:
            offset = ((offset + 7) & ~7) + 8
        need(data, offset + 1, "radiotap")
        padded = bool(data[offset] & _FLAGS_DATA_PAD)
    return _frame(data, length, padded=padded)


def prism(data: bytes) -> tuple[int, int]:
    """LINKTYPE_IEEE802_11_PRISM (119): 144 octets in host order, or an AVS header by its magic."""
    need(data, 8, "prism")
    if data[:3] == b"\x80\x21\x10":
        return avs(data)
    length = min(int.from_bytes(data[4:8], "little"), int.from_bytes(data[4:8], "big"))
    if length < 8:
        raise WireError(f"Prism header of {length} octets", layer="prism", offset=4)
    return _frame(data, length, padded=False)


def avs(data: bytes) -> tuple[int, int]:
    """LINKTYPE_IEEE802_11_AVS (163): the header says its length in network order."""
    need(data, 8, "avs")
    length = int.from_bytes(data[4:8])
    if length < 8:
        raise WireError(f"AVS header of {length} octets", layer="avs", offset=4)
    return _frame(data, length, padded=False)
