"""ICMP and ICMPv6 errors: what they say, and where the datagram begins that they quote.

Sources: RFC 792, RFC 1191, RFC 4443, RFC 4884; the numbers are IANA's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ipsecanalyze.capture.conversations import Conversations
from ipsecanalyze.capture.encapsulation import IKE_PORT, NAT_T_PORT, Verdict, classify_udp
from ipsecanalyze.capture.ip import IpPacket, address_text, parse_ipv4, parse_ipv6
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.capture.transport import AH, ESP, TCP, UDP
from ipsecanalyze.errors import WireError

__all__ = ["IcmpNews", "parse_icmp_error", "quoted_datagram"]

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
_REDIRECT: Final = {
    0: "for the network",
    1: "for the host",
    2: "for the service and network",
    3: "for the service and host",
}
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


def quoted_datagram(news: IcmpNews, data: bytes, known: Conversations) -> Datagram | None:
    """The IKE, ESP or AH datagram that an error quotes, as far as the quotation goes; None where it is another.

    Frame, time, VLAN and interface are the caller's to fill in. Quoted later fragments say too little.
    """
    quotation = data[news.quoted_start : news.quoted_end]
    try:
        ip = (parse_ipv4 if news.version == 4 else parse_ipv6)(quotation, 0, len(quotation))
    except WireError:
        return None  # routers quote what they like; the error itself is not at fault
    if ip.fragment is not None and ip.fragment.offset:
        return None
    start, end = ip.start, ip.end
    if ip.protocol in (ESP, AH):
        kind = DatagramKind.ESP if ip.protocol == ESP else DatagramKind.AH
        return _quote(ip, start, ip.length, (0, 0), (kind, 0, Encapsulation.NONE, False))
    if ip.protocol not in (UDP, TCP) or end - start < 4:
        return None
    ports = (int.from_bytes(ip.data[start : start + 2]), int.from_bytes(ip.data[start + 2 : start + 4]))
    if ip.protocol == TCP:
        verdict: Verdict = (DatagramKind.IKE, 0, Encapsulation.TCP, True)
        return _quote(ip, end, 0, ports, verdict) if NAT_T_PORT in ports else None
    length = max(ip.length - 8, 0)
    start = min(start + 8, end)
    if end - start < 4:  # only the ports tell, as RFC 792 asks for no more
        if IKE_PORT in ports:
            verdict = (DatagramKind.IKE, 0, Encapsulation.NONE, False)
        elif NAT_T_PORT in ports:
            verdict = (DatagramKind.IKE, 0, Encapsulation.UDP, True)
        else:
            return None
        return _quote(ip, end, length, ports, verdict)
    judged = classify_udp((ip.source, ports[0]), (ip.destination, ports[1]), ip.data, start, end, length, known)
    return _quote(ip, start, length, ports, judged) if judged is not None else None


def _quote(ip: IpPacket, start: int, length: int, ports: tuple[int, int], verdict: Verdict) -> Datagram:
    kind, skip, encapsulation, inferred = verdict
    return Datagram(
        kind=kind,
        source=address_text(ip.source),
        destination=address_text(ip.destination),
        payload=ip.data[min(start + skip, ip.end) : ip.end],
        frame=0,
        time_ns=0,
        length=length - skip,
        source_port=ports[0],
        destination_port=ports[1],
        encapsulation=encapsulation,
        inferred=inferred,
        ttl=ip.ttl,
        traffic_class=ip.traffic_class,
        dont_fragment=ip.dont_fragment,
        ip_id=ip.ip_id,
    )
