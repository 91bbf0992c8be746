"""What may stand between a link header and IP: Ethernet, LLC, VLAN tags, PPPoE, PPP, MPLS.

`resolve` takes them off one by one, in a loop, until it stands before an IP header or something unknown.
Raises WireError only. Sources: IEEE 802.3, 802.1Q, RFC 1042, RFC 2516, RFC 1661, RFC 3032, RFC 4448.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipsecanalyze.errors import WireError

__all__ = ["Kind", "need", "resolve"]

MAX_TAGS: Final = 16


class Kind:
    """EtherTypes by name, and above them what has no EtherType. Plain integers, as this is per-packet work."""

    UNKNOWN: Final = 0
    IPV4: Final = 0x0800
    VLAN: Final = 0x8100
    IPV6: Final = 0x86DD
    MPLS: Final = 0x8847
    PPPOE: Final = 0x8864
    ETHERNET: Final = 0x6558  # transparent Ethernet bridging
    PPP: Final = 0x880B
    LLC: Final = 0x1_0000
    ANY_IP: Final = 0x1_0001


PPP_PROTOCOLS: Final = {
    0x0021: Kind.IPV4,
    0x0057: Kind.IPV6,
    0x0281: Kind.MPLS,
    0x0283: Kind.MPLS,
    0x0031: Kind.ETHERNET,
}
_GUESSABLE: Final = frozenset((Kind.IPV4, Kind.IPV6, Kind.VLAN, 0x0806, 0x88A8, Kind.PPPOE))


def need(data: bytes, size: int, layer: str) -> None:
    """Raise WireError("truncated") where `data` has fewer than `size` octets."""
    if len(data) < size:
        raise WireError(
            f"{layer} needs {size} octets, {len(data)} are there", layer=layer, offset=len(data), slug="truncated"
        )


def _length_or_type(value: int) -> int:
    return value if value >= 0x0600 else Kind.LLC


def _ethernet(data: bytes, offset: int) -> tuple[int, int]:
    need(data, offset + 14, "ethernet")
    return _length_or_type(data[offset + 12] << 8 | data[offset + 13]), offset + 14


def _vlan(data: bytes, offset: int) -> tuple[int, int]:
    need(data, offset + 4, "vlan")
    return _length_or_type(data[offset + 2] << 8 | data[offset + 3]), offset + 4


def _llc(data: bytes, offset: int) -> tuple[int, int]:
    """SNAP with the OUI of EtherTypes (RFC 1042), 802.1H's, or IP's own SAP."""
    need(data, offset + 3, "llc")
    head = data[offset : offset + 6]
    if head in (b"\xaa\xaa\x03\x00\x00\x00", b"\xaa\xaa\x03\x00\x00\xf8"):
        need(data, offset + 8, "snap")
        return data[offset + 6] << 8 | data[offset + 7], offset + 8
    if head[:3] == b"\x06\x06\x03":
        return Kind.IPV4, offset + 3
    return Kind.UNKNOWN, offset


def _pppoe(data: bytes, offset: int) -> tuple[int, int]:
    need(data, offset + 6, "pppoe")
    if data[offset] != 0x11:
        raise WireError(f"PPPoE version and type {data[offset]:#04x}", layer="pppoe", offset=offset)
    return (Kind.PPP if data[offset + 1] == 0 else Kind.UNKNOWN), offset + 6


def _ppp(data: bytes, offset: int) -> tuple[int, int]:
    """PPP with or without address and control, protocol field compressed or not (RFC 1661 §6.5)."""
    if data[offset : offset + 2] == b"\xff\x03":
        offset += 2
    need(data, offset + 2, "ppp")
    protocol = data[offset]
    if protocol & 1:
        return PPP_PROTOCOLS.get(protocol, Kind.UNKNOWN), offset + 1
    return PPP_PROTOCOLS.get(protocol << 8 | data[offset + 1], Kind.UNKNOWN), offset + 2


def _mpls(data: bytes, offset: int) -> tuple[int, int]:
    """The label stack; what is below it is guessed, for labels do not tell: IP by its version, else a pseudo-wire."""
    while True:
        need(data, offset + 4, "mpls")
        bottom = data[offset + 2] & 1
        offset += 4
        if bottom:
            break
    need(data, offset + 1, "mpls")
    version = data[offset] >> 4
    # An Ethernet pseudo-wire behind a control word (first nibble 0, RFC 4385 §3) or without one.
    for start in (offset + 4, offset) if version == 0 else (offset,):
        if int.from_bytes(data[start + 12 : start + 14]) in _GUESSABLE and version not in (4, 6):
            return Kind.ETHERNET, start
    return Kind.ANY_IP, offset


def _any_ip(data: bytes, offset: int) -> tuple[int, int]:
    need(data, offset + 1, "ip")
    version = data[offset] >> 4
    return (Kind.IPV4 if version == 4 else Kind.IPV6 if version == 6 else Kind.UNKNOWN), offset


_STEPS: Final[dict[int, Callable[[bytes, int], tuple[int, int]]]] = {
    Kind.ETHERNET: _ethernet,
    Kind.VLAN: _vlan,
    0x88A8: _vlan,  # 802.1ad
    0x9100: _vlan,  # before 802.1ad
    0x9200: _vlan,
    0x9300: _vlan,
    Kind.LLC: _llc,
    Kind.PPPOE: _pppoe,
    Kind.PPP: _ppp,
    Kind.MPLS: _mpls,
    0x8848: _mpls,
    Kind.ANY_IP: _any_ip,
}


def resolve(kind: int, data: bytes, offset: int, vlan: tuple[int, ...] = ()) -> tuple[int, int, tuple[int, ...]]:
    """Take off headers until IP or something unknown: (EtherType or Kind.UNKNOWN, offset, VLAN identifiers).

    `vlan` are the identifiers found already, outermost first. Raises WireError where a header is cut or wrong, or
    more than `MAX_TAGS` tags are stacked.
    """
    steps = 0
    while kind not in (Kind.IPV4, Kind.IPV6):
        step = _STEPS.get(kind)
        if step is None:
            return Kind.UNKNOWN, offset, vlan
        steps += 1
        if steps > MAX_TAGS:
            raise WireError(f"more than {MAX_TAGS} headers before IP", layer="link", offset=offset)
        start = offset
        kind, offset = step(data, start)
        if step is _vlan:
            vlan += ((data[start] << 8 | data[start + 1]) & 0xFFF,)
    return kind, offset, vlan
