"""EAP inside IKE_AUTH: where it stops (RFC 7296 §2.16)."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import Dialogue, fallen_back, place, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import span
from ipsecanalyze.ike.payloads import EapPayload, Payload
from ipsecanalyze.registry import ikev2
from ipsecanalyze.registry.eap import EapType
from ipsecanalyze.sa.records import Exchange, IkeSa, MessageRecord, State

__all__ = ["rounds_of", "stalled", "unanswered"]

_AUTH = int(ikev2.ExchangeType.IKE_AUTH)
_REQUEST, _FAILURE = 1, 4
_IDENTITY = 1
#: How long a user may take before silence means something.
_PATIENCE_NS = 10_000_000_000


def rounds_of(sa: IkeSa) -> int:
    """How many IKE_AUTH exchanges there were: more than one means EAP, or another second authentication."""
    return sum(exchange.exchange_type == _AUTH for exchange in sa.exchanges)


def eap_in(payloads: tuple[Payload, ...] | None) -> EapPayload | None:
    """The EAP message of an opened message."""
    return next((payload for payload in payloads or () if isinstance(payload, EapPayload)), None)


def unanswered(case: Case, sa: IkeSa, exchange: Exchange, told: str) -> Finding:
    """The responder is silent in the middle of EAP."""
    found = place(case, sa, exchange.requests)
    request = Dialogue(case, sa).at(exchange.requests[0] if exchange.requests else None)
    eap = eap_in(request.opened) if request is not None else None
    step = f"EAP ({_name(eap)})" if eap is not None else "what is most likely EAP"
    silent = sa.responder.address
    return Finding(
        "eap-stalled",
        Severity.HIGH,
        Certainty.OBSERVED if eap is not None else Certainty.INFERRED,
        sa.id,
        f"{silent} falls silent in round {rounds_of(sa)} of IKE_AUTH, in the middle of {step}",
        f"{told} The rounds of IKE_AUTH before it were answered. A responder passes EAP on to an AAA server, and is"
        f" silent as long as that one is.{fallen_back(case, sa)}",
        f"See whether {silent} reaches its RADIUS server, whether the shared secret with it is right, and what the"
        " server's log says about this user.",
        found.frames,
        ("RFC 7296 §2.16", "RFC 3748 §4.3"),
        found.capture,
    )


@told_once
def stalled(case: Case) -> Iterator[Finding]:
    """The initiator does not go on with EAP: it waits for its user, or does not trust the responder."""
    for sa in case.ike_sas:
        if not sa.decrypted or sa.state is not State.HALF_OPEN or sa.started_late:
            continue
        last = next((e for e in reversed(sa.exchanges) if e.exchange_type == _AUTH), None)
        if last is None or not last.responses or sa.exchanges[-1] is not last:
            continue
        response = _last_opened(Dialogue(case, sa), last.responses)
        eap = eap_in(response.opened) if response is not None else None
        if response is None or eap is None or eap.code != _REQUEST:
            continue
        end = case.captures[response.datagram.capture].last_time_ns or response.datagram.time_ns
        waited = end - response.datagram.time_ns
        if waited < _PATIENCE_NS:
            continue
        asker, peer = sa.initiator.address, sa.responder.address
        is_first = rounds_of(sa) == 1
        why = (
            "That is the first answer, with which the responder proved who it is: most likely the initiator does not"
            " trust its certificate, or its name is not the one that was expected."
            if is_first
            else "It may wait for its user's password, or not accept the method or the certificate of the AAA server."
        )
        yield Finding(
            "eap-stalled",
            Severity.HIGH,
            Certainty.INFERRED,
            sa.id,
            f"{asker} does not answer the EAP request ({_name(eap)}) of {peer}",
            f"{peer} sent the EAP request in round {rounds_of(sa)} of IKE_AUTH, and nothing of {asker} followed in"
            f" the {span(waited)} until the end of the capture. {why}{fallen_back(case, sa)}",
            f"Look at the log of {asker}: does it trust the CA of {peer}'s certificate, does the certificate hold the"
            " name or address that is configured as the remote identity, is the EAP method allowed?",
            place_of((response,)).frames,
            ("RFC 7296 §2.16",),
            response.datagram.capture,
        )


def _last_opened(dialogue: Dialogue, frames: tuple[int, ...]) -> MessageRecord | None:
    for frame in reversed(frames):
        record = dialogue.at(frame)
        if record is not None and record.opened is not None:
            return record
    return None


def _name(eap: EapPayload) -> str:
    if eap.eap_type is None:
        return "failure" if eap.code == _FAILURE else "success"
    return "identity" if eap.eap_type == _IDENTITY else EapType(eap.eap_type).name
