"""ICMP and ICMPv6 errors: what they say, and where the datagram begins that they quote.

Sources: RFC 792, RFC 1191, RFC 4443, RFC 4884; the numbers are IANA's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ipsecanalyze.capture.ip import IpPacket

__all__ = ["IcmpNews", "parse_icmp_error"]

_UNREACHABLE: Final = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "fragmentation needed",
    5: "source route failed",
    6: "destination network unknown",
    7: "destination host unknown",
    8: "source host isolated",
    9: "network unreachable (administratively prohibited)",
    10: "host unreachable (administratively prohibited)",
    11: "network unreachable for this type of service",
    12: "host unreachable for this type of service",
    13: "host unreachable (communication administratively prohibited)",
    14: "host precedence violation",
    15: "precedence cutoff in effect",
}
_REDIRECT: Final = {0: "for the network", 1: "for the host", 2: "for the service and network", 3: "for the service and host"}
_V4: Final = {
    4: "source quench",
    5: "redirect",
    11: "time exceeded",
    12: "parameter problem",
}
_TIME_EXCEEDED: Final = {0: "in transit", 1: "in reassembly"}
_V6_UNREACHABLE: Final = {
    0: "no route to destination",
    1: "destination unreachable (communication administratively prohibited)",
    2: "beyond scope of source address",
    3: "address unreachable",
    4: "port unreachable",
    5: "source address failed policy",
    6: "route to destination rejected",
    7: "error in source routing header",
}
_V6_PARAMETER: Final = {
    0: "erroneous header field",
    1: "unrecognized next header",
    2: "unrecognized IPv6 option",
    3: "incomplete IPv6 header chain",
}


@dataclass(frozen=True, slots=True)
class IcmpNews:
    """An error message, without what it quotes."""

    type: int
    code: int
    mtu: int | None
    description: str
    version: int
    """IP version of the quoted header."""
    quoted_start: int
    quoted_end: int
    """The captured octets of the quotation, within the packet's buffer."""


def parse_icmp_error(packet: IpPacket) -> IcmpNews | None:
    """Read the ICMP (protocol 1) or ICMPv6 (58) payload of `packet`; None where it is no error that quotes."""
    data, start = packet.data, packet.start
    if packet.end - start < 28:  # eight octets and the shortest IP header
        return None
    kind, code = data[start], data[start + 1]
    if packet.protocol == 1:
        description = _describe_v4(kind, code)
        mtu = int.from_bytes(data[start + 6 : start + 8]) or None if (kind, code) == (3, 4) else None
        # RFC 4884 §5.1: where extensions follow, the quotation says how long it is.
        quoted = data[start + 5] * 4 if kind in (3, 11, 12) else 0
    else:
        description = _describe_v6(kind, code)
        mtu = int.from_bytes(data[start + 4 : start + 8]) or None if kind == 2 else None
        quoted = data[start + 4] * 8 if kind in (1, 3) else 0
    if description is None:
        return None
    if mtu is not None:
        description += f", MTU {mtu}"
    first = start + 8
    end = min(packet.end, first + quoted) if quoted else packet.end
    return IcmpNews(kind, code, mtu, description, 4 if packet.protocol == 1 else 6, first, end)


def _describe_v4(kind: int, code: int) -> str | None:
    if kind == 3:
        return _UNREACHABLE.get(code, f"destination unreachable (code {code})")
    name = _V4.get(kind)
    if name is None:
        return None
    detail = {5: _REDIRECT, 11: _TIME_EXCEEDED}.get(kind, {}).get(code)
    if detail is None and code:
        detail = f"(code {code})"
    return f"{name} {detail}" if detail else name


def _describe_v6(kind: int, code: int) -> str | None:
    if kind == 1:
        return _V6_UNREACHABLE.get(code, f"destination unreachable (code {code})")
    if kind == 2:
        return "packet too big"
    if kind == 3:
        return f"time exceeded {_TIME_EXCEEDED.get(code, f'(code {code})')}"
    if kind == 4:
        return f"parameter problem: {_V6_PARAMETER.get(code, f'code {code}')}"
    return None
