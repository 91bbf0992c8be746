"""NATs between the peers: where they are, whether both sides know, and whether their mappings last."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import Place, place, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, series
from ipsecanalyze.ike.payloads import NatDetectionPayload
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import Exchange, IkeSa, Mode, Peer

__all__ = ["mapping_changed", "nat_detected", "nat_t_disabled"]

_SOURCE, _DESTINATION = (
    int(ikev2.NotifyType.NAT_DETECTION_SOURCE_IP),
    int(ikev2.NotifyType.NAT_DETECTION_DESTINATION_IP),
)
_BEGINNINGS = frozenset(
    (
        int(ikev2.ExchangeType.IKE_SA_INIT),
        int(ikev2.ExchangeType.IKE_SESSION_RESUME),
        int(ikev1.ExchangeType.IDENTITY_PROTECTION),
        int(ikev1.ExchangeType.AGGRESSIVE),
    )
)
_FLOAT = 4500
#: Messages at the beginning of an IKE SA that its NAT detection is looked for in.
_BEGINNING = 32


def nat_detected(case: Case) -> Iterator[Finding]:
    """The NAT detection hashes say that a NAT is on the way (RFC 7296 §2.23, RFC 3947 §3.2)."""
    told: set[tuple[str, str]] = set()
    for sa in case.ike_sas:
        sides = [peer for peer in (sa.initiator, sa.responder) if peer.behind_nat]
        pair = (sa.initiator.address, sa.responder.address)
        if not sides or pair in told:
            continue
        told.add(pair)
        found = _evidence(case, sa)
        both = len(sides) == 2
        who = f"{pair[0]} and {pair[1]} are" if both else f"{sides[0].address} is"
        # That addresses are changed twice on the way of both sides is rare; hashes made of something else are not.
        puzzling = both and all(peer.nat_source_match is peer.nat_destination_match is False for peer in sides)
        where = (
            "No NAT detection hash of either side fits the packets here: there are NATs on both sides, or the hashes"
            " were made of other addresses or ports."
            if puzzling
            else " ".join(_where(sa, peer) for peer in sides)
        )
        if puzzling and sa.encapsulation is Encapsulation.TCP:
            where += " With TCP, some make them of the ports of UDP."
        pretence = (
            " Some implementations send a wrong hash on purpose to get encapsulation without a NAT (strongSwan's"
            " `encap = yes`); a capture cannot tell that apart."
            if any(peer.nat_source_match is False for peer in sides)
            else ""
        )
        carried = {
            Encapsulation.UDP: "IKE and ESP go in UDP over port 4500",
            Encapsulation.TCP: "IKE and ESP go in TCP",
            Encapsulation.NONE: "No message in UDP encapsulation is in the capture",
        }[sa.encapsulation]
        keepalives = f", with {count_of(sa.nat_keepalives, 'NAT keepalive')}" if sa.nat_keepalives else ""
        yield Finding(
            "nat-detected",
            Severity.INFO,
            Certainty.INFERRED if puzzling else Certainty.OBSERVED,
            sa.id,
            f"There seem to be NATs between {pair[0]} and {pair[1]}" if puzzling else f"{who} behind a NAT",
            f"{where} {carried}{keepalives}.{pretence}",
            "A NAT is no fault. Keepalives have to come more often than the NAT forgets its mapping, and the side"
            " behind the NAT has to begin.",
            found.frames,
            ("RFC 7296 §2.23", "RFC 3948 §4") if sa.version.startswith("2") else ("RFC 3947 §3.2", "RFC 3948 §4"),
            found.capture,
        )


def _where(sa: IkeSa, peer: Peer) -> str:
    other = sa.responder if peer is sa.initiator else sa.initiator
    own, sent = peer.nat_source_match, peer.nat_destination_match
    if own is False and sent is False:
        return f"Neither hash of {peer.address} fits: NATs change its address on both sides of this capture point."
    if own is False:
        return (
            f"The hash that {peer.address} sent of its own address does not fit the packets here, so the NAT is between"
            " its host and this capture point."
        )
    return (
        f"The hash that {other.address} sent of the address it sees is not that of {peer.address} port {peer.port}, so"
        f" the NAT is between this capture point and {other.address}."
    )


def _evidence(case: Case, sa: IkeSa) -> Place:
    if sa.version.startswith("2"):
        return place(case, sa, (n.frame for n in sa.notifies if n.type in (_SOURCE, _DESTINATION)))
    # RFC 3947 §3.2: in messages 3 and 4 of main mode, 2 and 3 of aggressive mode.
    first = [record for record in case.messages_of(sa)[:_BEGINNING] if record.retransmission_of is None]
    likely = first[2:4] if sa.mode is Mode.MAIN else first[1:3]
    return place_of(r for r in likely if any(isinstance(p, NatDetectionPayload) for p in r.message.payloads))


@told_once
def nat_t_disabled(case: Case) -> Iterator[Finding]:
    """There is a NAT, and yet the exchange stays on port 500 without encapsulation."""
    for sa in case.ike_sas:
        sides = [peer for peer in (sa.initiator, sa.responder) if peer.behind_nat]
        if not sides or sa.encapsulation is not Encapsulation.NONE:
            continue
        beyond = _beyond(case, sa)
        if not beyond.frames:
            continue
        # Who takes part in NAT detection sends hashes, of which the other side's match is known.
        silent = [peer for peer in (sa.initiator, sa.responder) if peer.nat_source_match is None]
        off = (
            f"{silent[0].address} sent no NAT detection hash: NAT traversal is turned off there, or it has none."
            if len(silent) == 1
            else "Both sides sent hashes, and still the initiator did not move to port 4500."
        )
        behind = series([peer.address for peer in sides])
        flows = [flow for flow in case.flows_of(sa) if flow.encapsulation is Encapsulation.NONE]
        esp = (
            f" {count_of(sum(flow.packets for flow in flows), 'ESP packet')} without encapsulation followed."
            if flows
            else " No ESP followed."
        )
        found = place(case, sa, (*_evidence(case, sa).frames, *beyond.frames))
        yield Finding(
            "nat-t-disabled",
            Severity.MEDIUM if len({flow.source for flow in flows}) > 1 else Severity.HIGH,
            Certainty.OBSERVED,
            sa.id,
            f"There is a NAT in front of {behind}, but NAT traversal is not used",
            f"The NAT detection hashes show a NAT at {behind}, yet the messages after them stay on port"
            f" {sa.responder.port} and nothing is encapsulated in UDP.{esp} {off} ESP without ports does not get"
            " through"
            " most NATs, or for one client only.",
            f"Turn NAT traversal on at {silent[0].address if len(silent) == 1 else 'both sides'} (libreswan:"
            " `nat-ikev1-method` and `encapsulation=auto`; Cisco IOS: `crypto ipsec nat-transparency"
            " udp-encapsulation`; strongSwan always has it) and let UDP port 4500 through.",
            found.frames,
            ("RFC 7296 §2.23",) if sa.version.startswith("2") else ("RFC 3947 §4",),
            found.capture,
        )


def _beyond(case: Case, sa: IkeSa) -> Place:
    """The first messages that belong on port 4500 where there is a NAT."""
    later: Exchange | None = next((e for e in sa.exchanges if e.exchange_type not in _BEGINNINGS), None)
    if later is not None:
        return place(case, sa, (*later.requests[:1], *later.responses[:1]))
    if sa.version.startswith("1") and sa.mode is Mode.MAIN:
        first = [record for record in case.messages_of(sa)[:_BEGINNING] if record.retransmission_of is None]
        return place_of(first[4:6])
    return Place((), 0)


def mapping_changed(case: Case) -> Iterator[Finding]:
    """The port (or address) that a peer comes from changed in the middle: its NAT made a new mapping."""
    for sa in case.ike_sas:
        for peer in (sa.initiator, sa.responder):
            changes = _changes(sa, peer) if len(peer.moves) > 1 or (peer.moves and sa.started_late) else []
            if not changes:
                continue
            found = place(case, sa, (frame for frame, _, _ in changes))
            ports = list(dict.fromkeys(str(port) for _, _, port in changes))
            rhythm = (
                f"{count_of(sa.nat_keepalives, 'NAT keepalive')} of this IKE SA were captured"
                if sa.nat_keepalives
                else "No NAT keepalive of this IKE SA was captured"
            )
            yield Finding(
                "nat-mapping-changed",
                Severity.MEDIUM,
                Certainty.OBSERVED if peer.behind_nat else Certainty.INFERRED,
                sa.id,
                f"The port that {peer.address} comes from changed {count_of(len(changes), 'time')} during {sa.id}",
                f"After it had settled, {peer.address} was seen with port {series(ports)}: the NAT in front of it"
                " dropped its mapping and made another one. Until the other side hears from the new port, what it sends"
                f" goes to the old one and is lost. {rhythm}.",
                f"Send keepalives more often than the NAT forgets (20 s is usual): `charon.keep_alive` in"
                f" strongswan.conf, `keep-alive=` in ipsec.conf, on the side of {peer.address}; or raise the UDP"
                " timeout"
                " of the NAT.",
                found.frames,
                ("RFC 3948 §4", "RFC 7296 §2.23"),
                found.capture,
            )


def _changes(sa: IkeSa, peer: Peer) -> list[tuple[int, str, int]]:
    """The moves to another port at the same address, less the first move to NAT traversal's port."""
    settled: tuple[str, int] | None = (peer.address, peer.port) if sa.started_late else None
    floated = peer.port == _FLOAT or sa.started_late
    other = sa.responder if peer is sa.initiator else sa.initiator
    floated = floated or other.port == _FLOAT
    if floated:
        settled = (peer.address, peer.port)
    changes = []
    for frame, address, port in peer.moves:
        if settled is None:
            settled = (address, port)
            continue
        if address == settled[0] and port != settled[1] and port != _FLOAT:
            changes.append((frame, address, port))
        settled = (address, port)
    return changes
