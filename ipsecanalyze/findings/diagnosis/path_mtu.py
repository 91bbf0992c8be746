"""Packets that are too large for the path: refused by ICMP, or cut into IP fragments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.case import Case, flow_subject, frames_of
from ipsecanalyze.findings.diagnosis.delivery import lost_packets
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import count_of, share, spi_text

__all__ = ["path_mtu"]

_TOO_BIG = ("fragmentation needed", "packet too big")
#: Losses beside fragments from which on they have to do with each other, as a guess.
_SOME = 3
_MTU = re.compile(r"MTU (\d+)")
#: Of the outer IPv4 header, ESP with an AES-CBC IV, padding and ICV, and the inner IPv4 and TCP headers.
_OVERHEAD = 20 + 8 + 16 + 17 + 16 + 40


def path_mtu(case: Case) -> Iterator[Finding]:
    """ICMP says that ESP is too large, or it comes in fragments."""
    for flow in case.flows:
        refused = [(frame, text) for frame, text in flow.icmp_errors if text.startswith(_TOO_BIG)]
        if refused:
            yield _refused(case, flow, refused)
        elif flow.ip_fragments:
            yield _fragmented(case, flow)


def _refused(case: Case, flow: Flow, refused: list[tuple[int, str]]) -> Finding:
    mtus = sorted({int(found[1]) for _, text in refused if (found := _MTU.search(text))})
    mtu = f" of {mtus[0]:,} octets" if mtus else ""
    all_of_them = len(refused) == flow.icmp_error_count
    some = ("It says" if len(refused) == 1 else "They say") if all_of_them else f"{len(refused):,} of them say"
    largest = flow.sizes.maximum or 0
    return Finding(
        slug="path-mtu",
        severity=Severity.MEDIUM,
        certainty=Certainty.OBSERVED,
        subject=flow_subject(flow),
        title=f"{flow.protocol} from {flow.source} to {flow.destination} is too large for a link on the way",
        explanation=(
            f"{count_of(flow.icmp_error_count, 'ICMP error')} about {flow.protocol} {spi_text(flow.spi)} from "
            f"{flow.source} to {flow.destination}. {some} that packets with DF set do not fit the MTU{mtu} of the next "
            f"link, and were dropped. The flow's largest packets have {largest:,} octets behind the IP header. Small "
            "packets pass (pings, logins) and large ones vanish, unless the gateway heeds these messages and passes "
            "them on to the hosts."
        ),
        remedy=_remedy(flow, mtus[0] if mtus else None),
        frames=case.sure_frames(flow, (frame for frame, _ in refused)),
        references=("RFC 4301 §8.2", "RFC 1191"),
        capture=flow.capture,
    )


def _fragmented(case: Case, flow: Flow) -> Finding:
    found = case.trace_of(flow)
    lost = lost_packets(flow)
    return Finding(
        slug="path-mtu",
        severity=Severity.MEDIUM if lost >= _SOME else Severity.LOW,
        certainty=Certainty.OBSERVED,
        subject=flow_subject(flow),
        title=f"{flow.protocol} from {flow.source} to {flow.destination} travels in IP fragments",
        explanation=(
            f"{flow.ip_fragments:,} of {count_of(flow.packets, 'packet')} of {flow.protocol} {spi_text(flow.spi)} "
            f"from {flow.source} to {flow.destination} ({share(flow.ip_fragments, flow.packets)}) came in IP "
            "fragments: with what IPsec adds, they are larger than the MTU of a link before this point. Each costs "
            "the receiver a reassembly, is lost whole with any of its fragments, and many firewalls drop fragments"
            + (
                f". {count_of(lost, 'packet')} of the flow never arrived here: fragments that were dropped, or "
                "packets with DF that were too large."
                if lost >= _SOME
                else "."
            )
        ),
        remedy=_remedy(flow, None),
        frames=frames_of(found.fragment_frames if found else ()),
        references=("RFC 4301 §8.2", "RFC 4303 §3.3.4"),
        capture=flow.capture,
    )


def _remedy(flow: Flow, mtu: int | None) -> str:
    overhead = _OVERHEAD + (20 if ":" in flow.source else 0) + (0 if flow.encapsulation is Encapsulation.NONE else 8)
    example = ""
    if mtu is not None and mtu > 2 * overhead:
        example = f", here to {mtu - overhead:,} or less ({mtu - overhead - 20:,} for IPv6 inside)"
    return (
        f"Clamp the TCP MSS of what goes into the tunnel at {flow.source} and {flow.destination}{example}, set the "
        "MTU of the tunnel interface to what the path carries less the overhead of ESP, and let ICMP "
        '"fragmentation needed" through on the whole path.'
    )
