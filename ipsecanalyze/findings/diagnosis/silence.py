"""Requests that are sent again and again without an answer: who is silent, from which message on, and why that may be.

Which request, how large, over which port and what else came back decide which of these it is: a peer that cannot be
reached, a version it does not speak, UDP port 4500 blocked, fragments lost on the way, an ICMP error, EAP that stopped,
a peer that died. One silence gives one finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ipsecanalyze.capture.packet import Encapsulation
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.diagnosis import eap
from ipsecanalyze.findings.diagnosis.icmp import errors_of
from ipsecanalyze.findings.diagnosis.liveness import dead_peer
from ipsecanalyze.findings.evidence import fallen_back, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import span
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import Exchange, IkeSa, MessageRecord, Mode, Peer, State

__all__ = ["not_continued", "unanswered"]

_AUTH = int(ikev2.ExchangeType.IKE_AUTH)
_LATER = frozenset((int(ikev2.ExchangeType.CREATE_CHILD_SA), int(ikev2.ExchangeType.INFORMATIONAL)))
_INITIAL = frozenset((int(ikev2.ExchangeType.IKE_SA_INIT), int(ikev2.ExchangeType.IKE_SESSION_RESUME)))
_QUICK = int(ikev1.ExchangeType.QUICK_MODE)
_PHASE_1 = frozenset((int(ikev1.ExchangeType.IDENTITY_PROTECTION), int(ikev1.ExchangeType.AGGRESSIVE)))
#: A silence is told of from so long on, and after so many transmissions.
_PATIENCE_NS = 2_000_000_000
_LEAST_SENT = 2
#: What is sent again so soon after is a copy (a mirror port), or a fragment of the same message.
_APART_NS = 50_000_000
#: An initiator goes on at once after an answer; so long without that, and with so many of them it is a flood.
_GOES_ON_NS, _FLOOD = 4_000_000_000, 10
#: A peer counts as dead after so many transmissions.
_DEAD_SENT = 3
#: Octets of IP from which on a path with tunnels or PPPoE is likely to need fragments.
_LARGE = 1400


@dataclass
class _Silence:
    """A request without an answer."""

    case: Case
    sa: IkeSa
    name: str
    kind: int
    by_initiator: bool
    frames: tuple[int, ...]
    capture: int
    first: MessageRecord | None
    sent: int
    waited_ns: int
    exchange: Exchange | None = None
    """IKEv2 only."""
    message: int = 0
    """IKEv1: which message of phase 1."""

    @property
    def asker(self) -> Peer:
        return self.sa.initiator if self.by_initiator else self.sa.responder

    @property
    def silent(self) -> Peer:
        return self.sa.responder if self.by_initiator else self.sa.initiator

    @property
    def octets(self) -> int:
        """Of the request with its IP and UDP headers."""
        if self.first is None:
            return 0
        datagram = self.first.datagram
        marker = 4 if datagram.encapsulation is Encapsulation.UDP else 0
        return datagram.length + marker + 8 + (40 if ":" in datagram.source else 20)

    @property
    def ip_fragments(self) -> int:
        return self.first.datagram.fragments if self.first is not None else 1

    @property
    def is_floated(self) -> bool:
        """Over port 4500, while what was answered before was not."""
        if self.first is None or self.first.datagram.encapsulation is not Encapsulation.UDP:
            return False
        return not self.silent.moves and self.silent.port != 4500

    @cached_property
    def told(self) -> str:
        """What was seen, as a sentence."""
        times = "once" if self.sent == 1 else f"{self.sent} times"
        what = self.name if not self.message else f"message {self.message} of {self.name}"
        return (
            f"{self.asker.address} sent {what} {times}, and no answer of {self.silent.address} is in this capture,"
            f" which goes on for {span(self.waited_ns)} after the first transmission."
        )

    def finding(
        self, slug: str, severity: Severity, certainty: Certainty, title: str, why: str, remedy: str, *references: str
    ) -> Finding:
        return Finding(
            slug,
            severity,
            certainty,
            self.sa.id,
            title,
            f"{self.told} {why}{fallen_back(self.case, self.sa)}",
            remedy,
            self.frames,
            references,
            self.capture,
        )


@told_once
def unanswered(case: Case) -> Iterator[Finding]:
    """Every IKE SA that ends in a request which nobody answers."""
    peers = _Peers(case)
    for sa in case.ike_sas:
        if not sa.retransmissions:
            continue
        silence = _silence_v2(case, sa) if sa.version.startswith("2") else _silence_v1(case, sa)
        if silence is None or silence.sent < _LEAST_SENT or silence.waited_ns < _PATIENCE_NS:
            continue
        if errors_of(sa) or _is_one_sided(silence, peers):
            continue  # an ICMP error says why: `icmp_rejected`
        found = _explain(silence, peers)
        if found is not None:
            yield found


@told_once
def not_continued(case: Case) -> Iterator[Finding]:
    """Seen from behind the block: the first exchange came through, and what has to go to port 4500 never comes."""
    stopped = [sa for sa in case.ike_sas if _stops_at_4500(sa)]
    responders = Counter(sa.responder.address for sa in stopped)
    for sa in stopped:
        if responders[sa.responder.address] >= _FLOOD:
            continue  # `flood.py`
        records = case.messages_of(sa)
        last = records[-1] if records else None
        if last is None or last.from_initiator is not False:
            continue
        waited = _waited(case, last.datagram.capture, last.datagram.time_ns)
        if waited < _GOES_ON_NS:
            continue
        asker, peer = sa.initiator.address, sa.responder.address
        found = place_of(records)
        yield Finding(
            "nat-t-blocked",
            Severity.HIGH if case.next_established(sa) is None else Severity.MEDIUM,
            Certainty.INFERRED,
            sa.id,
            f"{asker} does not go on with {peer} where it has to move to UDP port 4500",
            f"{peer} answered the messages on port {sa.responder.port}, which show a NAT, and nothing of {asker}"
            f" followed in the {span(waited)} until the end of the capture. Because of the NAT its next message goes to"
            f" UDP port 4500: most likely that port is blocked between {asker} and this capture point. It may also have"
            f" given up, or not have liked the answer.{fallen_back(case, sa)}",
            f"Let UDP port 4500 through in both directions between {asker} and {peer}, and check with a capture at"
            f" {asker} whether it sends to that port.",
            found.frames,
            ("RFC 7296 §2.23",) if sa.version.startswith("2") else ("RFC 3947 §4",),
            found.capture,
        )


def _stops_at_4500(sa: IkeSa) -> bool:
    if sa.state is not State.HALF_OPEN or sa.started_late or not sa.chosen or sa.retransmissions or sa.icmp_errors:
        return False
    if sa.encapsulation is not Encapsulation.NONE or not (sa.initiator.behind_nat or sa.responder.behind_nat):
        return False
    return all(exchange.exchange_type in _INITIAL | _PHASE_1 for exchange in sa.exchanges)


def _explain(silence: _Silence, peers: _Peers) -> Finding | None:
    if silence.kind in _INITIAL or silence.message == 1:
        return _first_message(silence, peers)
    sa = silence.sa
    if silence.exchange is not None and silence.kind in _LATER:
        return _dead(silence) if silence.sent >= _DEAD_SENT else None
    exchange = silence.exchange
    missing = exchange is not None and exchange.fragments_seen < exchange.fragments_expected
    if missing or silence.ip_fragments > 1 or (silence.octets > _LARGE and not _in_fragments(silence)):
        return _fragments_lost(silence)
    if silence.is_floated:
        return _blocked_4500(silence)
    if silence.kind == _AUTH and exchange is not None and eap.rounds_of(sa) > 1:
        return eap.unanswered(silence.case, sa, exchange, silence.told)
    return _stopped(silence)


def _is_one_sided(silence: _Silence, peers: _Peers) -> bool:
    """Whether the silent side must have answered before, and none of it is in the capture: then nobody is to blame."""
    if silence.kind in _INITIAL or silence.message == 1 or peers.sends(silence.silent.address):
        return False
    return not any(e.answered or e.initiated_by_initiator is not silence.by_initiator for e in silence.sa.exchanges)


def _in_fragments(silence: _Silence) -> bool:
    return silence.exchange is not None and silence.exchange.fragments_expected > 1


# Which request


def _silence_v2(case: Case, sa: IkeSa) -> _Silence | None:
    seen: set[bool] = set()
    for exchange in reversed(sa.exchanges):
        side = exchange.initiated_by_initiator
        # Only the last request of either side: what came before it was answered, or given up.
        if side in seen:
            continue
        seen.add(side)
        if exchange.responses or not exchange.retransmissions:
            continue
        # Frames count per capture: times tell those of several captures apart.
        wanted, times = set(exchange.requests), range(exchange.first_time_ns, exchange.last_time_ns + 1)
        sent = [r for r in case.messages_of(sa) if r.datagram.frame in wanted and r.datagram.time_ns in times]
        found = place_of(sent)
        if not sent:
            continue
        return _Silence(
            case,
            sa,
            exchange.name,
            exchange.exchange_type,
            side,
            *found,
            sent[0],
            _transmissions((exchange.first_time_ns, *exchange.retransmission_times_ns)),
            _waited(case, found.capture, exchange.first_time_ns),
            exchange,
        )
    return None


def _transmissions(times_ns: Iterable[int]) -> int:
    """How often something was sent: copies and fragments that come close together are one transmission."""
    count, last = 0, None
    for time_ns in times_ns:
        count += last is None or time_ns - last >= _APART_NS
        last = time_ns
    return count


def _silence_v1(case: Case, sa: IkeSa) -> _Silence | None:
    is_up = sa.state is State.ESTABLISHED
    if sa.started_late or (sa.state is not State.HALF_OPEN and not is_up):
        return None
    if is_up and (sa.exchanges[-1].exchange_type != _QUICK or case.flows_of(sa)):
        return None
    run: list[MessageRecord] = []
    records = case.messages_of(sa)
    for record in reversed(records):
        if run and record.from_initiator is not run[-1].from_initiator:
            break
        run.append(record)
    run.reverse()
    start = next((i for i in range(len(run) - 1, -1, -1) if run[i].retransmission_of is None), None)
    if start is None or run[start].from_initiator is None:
        return None
    first, sent = run[start], run[start:]
    kind = first.message.exchange_type
    if kind != _QUICK if is_up else kind not in _PHASE_1:
        return None
    before = 0 if is_up else sum(1 for r in records if r.retransmission_of is None and r.message.exchange_type == kind)
    found = place_of(sent)
    name = "Quick Mode" if is_up else "main mode" if sa.mode is Mode.MAIN else "aggressive mode"
    times = _transmissions(record.datagram.time_ns for record in sent)
    waited = _waited(case, found.capture, first.datagram.time_ns)
    return _Silence(case, sa, name, kind, first.from_initiator is True, *found, first, times, waited, message=before)


def _waited(case: Case, capture: int, since_ns: int) -> int:
    last = case.captures[capture].last_time_ns if capture < len(case.captures) else None
    return max(0, (last or since_ns) - since_ns)


# What it means


class _Peers:
    """What is known of the peers beside the IKE SA in question; looked up only where something is wrong."""

    def __init__(self, case: Case) -> None:
        self._case = case

    @cached_property
    def _senders(self) -> set[str]:
        case = self._case
        return {record.datagram.source for record in case.messages} | {flow.source for flow in case.flows}

    @cached_property
    def _versions(self) -> dict[tuple[str, str], IkeSa]:
        return {(sa.responder.address, sa.version): sa for sa in self._case.ike_sas if sa.chosen}

    def sends(self, address: str) -> bool:
        return address in self._senders

    def answered_as(self, address: str, version: str) -> IkeSa | None:
        return self._versions.get((address, version))


def _first_message(silence: _Silence, peers: _Peers) -> Finding:
    sa, silent = silence.sa, silence.silent.address
    other = peers.answered_as(silent, "1.0" if sa.version.startswith("2") else "2.0")
    port = silence.first.datagram.destination_port if silence.first is not None else 500
    mine, theirs = (2, 1) if sa.version.startswith("2") else (1, 2)
    if other is not None and peers.answered_as(silent, sa.version) is None:
        return silence.finding(
            "version-mismatch",
            Severity.MEDIUM,
            Certainty.INFERRED,
            f"{silent} does not answer IKEv{mine}, but answers IKEv{theirs}",
            f"{silent} does answer IKEv{theirs} in {other.id}, so it can be reached: most likely it is configured for"
            f" IKEv{theirs} only.",
            f"Configure the same version on both sides, IKEv2 if both can: on {silence.asker.address} or on {silent}.",
            "RFC 7296 §2.5",
        )
    alive = peers.sends(silent)
    why = (
        f"{silent} does send other IPsec packets in this capture, so the host is there: its firewall or its"
        f" configuration drops what comes from {silence.asker.address}."
        if alive
        else f"UDP port {port} is filtered on the way, {silent} is down or runs no IKE daemon, or it drops what it has"
        " no configuration for."
    )
    return silence.finding(
        "peer-unreachable",
        Severity.HIGH if silence.case.next_established(sa) is None else Severity.MEDIUM,
        Certainty.OBSERVED,
        f"{silent} does not answer the IKE requests of {silence.asker.address}",
        why,
        f"Capture at {silent} too: if the requests get there, look at its firewall, its log and whether a connection"
        f" for {silence.asker.address} is configured; if not, let UDP ports 500 and 4500 through on the way.",
        "RFC 7296 §2.1" if mine == 2 else "RFC 2408 §5.1",
    )


def _fragments_lost(silence: _Silence) -> Finding:
    exchange, sa = silence.exchange, silence.sa
    missing = exchange is not None and exchange.fragments_seen < exchange.fragments_expected
    if missing and exchange is not None:
        seen = f"{exchange.fragments_seen} of {exchange.fragments_expected}"
        why = f"Of its fragments (RFC 7383) only {seen} are in this capture: the others are lost before it."
        remedy = (
            f"Find what drops packets of UDP on the way from {silence.asker.address}; smaller fragments may pass"
            " (`charon.fragment_size` in strongswan.conf)."
        )
    else:
        pieces = f" and came in {silence.ip_fragments} IP fragments" if silence.ip_fragments > 1 else ""
        why = (
            f"The request has {silence.octets} octets{pieces}, while smaller messages before were answered."
            " Fragments of"
            " IP are often dropped by firewalls and NATs, and what is too large for the path vanishes."
        )
        both = sa.fragmentation or sum(notify.type == 16430 for notify in sa.notifies) > 1
        on = "it was negotiated, but not used for this" if both else "it was not negotiated here"
        remedy = (
            f"Turn on IKE fragmentation on both sides ({on}): `fragmentation = yes` in swanctl.conf,"
            " `fragmentation=yes` in ipsec.conf; or send less (fewer certificates, ECDSA instead of RSA)."
        )
    if silence.is_floated:
        why += " It is also the first message over UDP port 4500, so that port may be blocked instead."
    return silence.finding(
        "fragments-lost",
        Severity.HIGH,
        Certainty.INFERRED,
        f"{silence.name} of {silence.asker.address} ({silence.octets} octets) does not get through"
        + (" in fragments" if missing or silence.ip_fragments > 1 else ": it is large"),
        why,
        remedy,
        "RFC 7383 §1",
        "RFC 7296 §2",
    )


def _blocked_4500(silence: _Silence) -> Finding:
    asker, silent = silence.asker, silence.silent
    behind = f" {asker.address} is behind a NAT, so both sides have to use port 4500." if asker.behind_nat else ""
    return silence.finding(
        "nat-t-blocked",
        Severity.HIGH,
        Certainty.INFERRED,
        f"{silent.address} answers on UDP port 500, but nothing on port 4500",
        f"The messages before, on port {silent.port}, were answered; the exchange stops exactly when it moves to port"
        f" 4500.{behind} Most likely UDP port 4500 is blocked between this capture point and {silent.address}, in one"
        " direction or both, or at its own firewall.",
        f"Let UDP port 4500 through in both directions between {asker.address} and {silent.address}, and check with a"
        f" capture at {silent.address} whether it arrives there.",
        "RFC 7296 §2.23" if silence.exchange is not None else "RFC 3947 §4",
    )


def _stopped(silence: _Silence) -> Finding | None:
    """It answered the messages before, and is silent from here on."""
    sa, silent, asker = silence.sa, silence.silent.address, silence.asker.address
    psk = (sa.authentication_initiator or "").startswith("psk")
    if silence.exchange is None and psk and silence.message == 5 and silence.by_initiator:
        return silence.finding(
            "authentication-failed",
            Severity.HIGH,
            Certainty.INFERRED,
            f"{silent} falls silent at the first message that the pre-shared key protects",
            f"Messages 1 to 4 were answered. Message 5 is the first that is encrypted with a key that depends on the"
            f" pre-shared key: most likely {silent} cannot read it, as its key for {asker} is another one.",
            "Compare the pre-shared key on both sides, and for which identities or addresses it is configured.",
            "RFC 2409 §5.4",
        )
    return silence.finding(
        "peer-unreachable",
        Severity.HIGH,
        Certainty.INFERRED,
        f"{silent} answered the first messages of {asker}, but not {silence.name}",
        f"What came before was answered, over the same port. {silent} drops the message silently, waits for something"
        " (an AAA server, a user), or its answer is lost before this capture point.",
        f"Look at the log of {silent} at that time, and capture there: does {silence.name} arrive, is an answer sent?",
        "RFC 7296 §2.1" if silence.exchange is not None else "RFC 2408 §5.1",
    )


def _dead(silence: _Silence) -> Finding | None:
    sa, silent, asker = silence.sa, silence.silent.address, silence.asker.address
    if sa.state is State.HALF_OPEN:
        return None
    exchange = silence.exchange
    since = exchange.first_time_ns if exchange is not None else sa.last_time_ns
    return dead_peer(case=silence.case, sa=sa, told=silence.told, since_ns=since, ends=(asker, silent),
                     frames=silence.frames, capture=silence.capture, certainty=Certainty.OBSERVED)  # fmt: skip
