"""Link layers: from the first octet of a packet to the header behind the link header.

`LINK_LAYERS` has one function per LINKTYPE_ number; each takes the packet's octets and returns (kind, offset), where
`kind` is an EtherType or one of the `Kind`s above them. What may still stand between the link header and IP (VLAN
tags, PPPoE, MPLS, LLC) is taken off by `shim.resolve`. Nothing here knows what is inside IP. Raises WireError only.
Source: https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from ipsecanalyze.capture.shim import Kind, need
from ipsecanalyze.capture.wireless import avs, ieee80211, prism, radiotap

__all__ = ["LINK_LAYERS", "LinkFunction"]

LinkFunction = Callable[[bytes], tuple[int, int]]

#: AF_INET everywhere; AF_INET6 of Linux, Windows, NetBSD/OpenBSD, FreeBSD, Darwin.
ADDRESS_FAMILIES: Final = {2: Kind.IPV4, 10: Kind.IPV6, 23: Kind.IPV6, 24: Kind.IPV6, 28: Kind.IPV6, 30: Kind.IPV6}
NFULA_PAYLOAD: Final = 9


def _always(kind: int, offset: int = 0) -> LinkFunction:
    """A link header that is always the same, or that `shim.resolve` reads."""

    def found(_: bytes) -> tuple[int, int]:
        return kind, offset

    return found


def _loopback(data: bytes) -> tuple[int, int]:
    """LINKTYPE_NULL (0) in the byte order of a host that is not known, LINKTYPE_LOOP (108) in network order."""
    need(data, 4, "loopback")
    family = int.from_bytes(data[:4], "big")
    if family not in ADDRESS_FAMILIES:
        family = int.from_bytes(data[:4], "little")
    return ADDRESS_FAMILIES.get(family, Kind.UNKNOWN), 4


def _ppp(data: bytes) -> tuple[int, int]:
    """LINKTYPE_PPP (9) and LINKTYPE_PPP_HDLC (50), which may also hold Cisco HDLC (RFC 1547 §4.3.1)."""
    if data[:1] in (b"\x0f", b"\x8f"):
        return _cisco_hdlc(data)
    return Kind.PPP, 0


def _cisco_hdlc(data: bytes) -> tuple[int, int]:
    """LINKTYPE_C_HDLC (104): address, control, EtherType."""
    need(data, 4, "hdlc")
    return int.from_bytes(data[2:4]), 4


def _sll_protocol(protocol: int) -> int:
    """Linux's protocol field: an EtherType, or one of the small numbers of if_ether.h."""
    return Kind.LLC if protocol == 4 else protocol


def _sll(data: bytes) -> tuple[int, int]:
    """LINKTYPE_LINUX_SLL (113), "cooked": the capture device "any"."""
    need(data, 16, "sll")
    return _sll_protocol(int.from_bytes(data[14:16])), 16


def _sll2(data: bytes) -> tuple[int, int]:
    """LINKTYPE_LINUX_SLL2 (276)."""
    need(data, 20, "sll2")
    return _sll_protocol(int.from_bytes(data[0:2])), 20


def _nflog(data: bytes) -> tuple[int, int]:
    """LINKTYPE_NFLOG (239): TLVs in the byte order of the capturing host; the packet is one of them."""
    need(data, 4, "nflog")
    found = _nflog_payload(data, "little") or _nflog_payload(data, "big")
    return (Kind.ANY_IP, found) if found is not None else (Kind.UNKNOWN, len(data))


def _nflog_payload(data: bytes, order: Literal["little", "big"]) -> int | None:
    offset = 4
    while offset + 4 <= len(data):
        length = int.from_bytes(data[offset : offset + 2], order)
        kind = int.from_bytes(data[offset + 2 : offset + 4], order) & 0x3FFF
        if length < 4:
            return None
        if kind == NFULA_PAYLOAD:
            return offset + 4
        offset += (length + 3) & ~3
    return None


def _enc(data: bytes) -> tuple[int, int]:
    """LINKTYPE_ENC (109): BSD's enc interface, the packet inside IPsec before it is closed or after it is opened."""
    need(data, 12, "enc")
    return Kind.ANY_IP, 12


LINK_LAYERS: Final[dict[int, LinkFunction]] = {
    0: _loopback,  # NULL
    1: _always(Kind.ETHERNET),
    9: _ppp,
    12: _always(Kind.ANY_IP),  # RAW by the numbers of DLT_RAW
    14: _always(Kind.ANY_IP),
    50: _ppp,  # PPP_HDLC
    51: _always(Kind.PPPOE),  # PPP_ETHER: from the PPPoE header on
    101: _always(Kind.ANY_IP),  # RAW: the version nibble says which IP
    104: _cisco_hdlc,  # C_HDLC
    105: ieee80211,
    108: _loopback,  # LOOP
    109: _enc,
    113: _sll,
    119: prism,
    127: radiotap,
    163: avs,
    204: _always(Kind.PPP, 1),  # PPP_WITH_DIR: one octet says which way it went
    228: _always(Kind.IPV4),
    229: _always(Kind.IPV6),
    239: _nflog,
    276: _sll2,
}
"""LINKTYPE_ number → what reads it."""
