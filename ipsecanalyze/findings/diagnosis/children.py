"""Requests for Child SAs that were refused, in opened messages: who asked, who refused, was it a rekeying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import Dialogue, notifies_of
from ipsecanalyze.ike.payloads import NotifyPayload, SaPayload
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import IkeSa, MessageRecord, NotifySeen

__all__ = ["Refusal", "refusals", "retried"]

_REKEY_SA = int(ikev2.NotifyType.REKEY_SA)
_CHILD = int(ikev2.ExchangeType.CREATE_CHILD_SA)
_AUTH = int(ikev2.ExchangeType.IKE_AUTH)
_QUICK = int(ikev1.ExchangeType.QUICK_MODE)
_IKE = 1
_REFUSALS = tuple(
    int(kind)
    for kind in (
        ikev2.NotifyType.NO_PROPOSAL_CHOSEN,
        ikev2.NotifyType.INVALID_KE_PAYLOAD,
        ikev2.NotifyType.NO_ADDITIONAL_SAS,
        ikev2.NotifyType.TS_UNACCEPTABLE,
    )
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error notify that answers a request for a Child SA (or for a new IKE SA)."""

    sa: IkeSa
    notify: NotifySeen
    response: MessageRecord
    request: MessageRecord | None
    is_rekey: bool
    """It would have replaced a Child SA, or the IKE SA."""
    is_of_ike: bool
    """It would have replaced the IKE SA."""
    earlier: int
    """How many exchanges for Child SAs the IKE SA had had before: 1 is the one that it began with."""

    @property
    def frame(self) -> int:
        """Of the notify."""
        return self.notify.frame

    @property
    def asker(self) -> str:
        """Whose request was refused."""
        return (self.sa.responder if self.notify.from_initiator else self.sa.initiator).address

    @property
    def refuser(self) -> str:
        """Who refused it."""
        return (self.sa.initiator if self.notify.from_initiator else self.sa.responder).address

    @property
    def frames(self) -> tuple[int, ...]:
        """Request and refusal."""
        return (self.frame,) if self.request is None else (self.request.datagram.frame, self.frame)


def refusals(case: Case, sa: IkeSa, *kinds: int) -> Iterator[Refusal]:
    """The refusals of a kind in an IKE SA whose messages were opened."""
    notifies = notifies_of(sa, *kinds)
    if not notifies:
        return
    dialogue = Dialogue(case, sa)
    for notify in notifies:
        response = dialogue.at(notify.frame)
        if response is None or response.opened is None:
            continue
        found = (
            _v2(dialogue, sa, notify, response) if sa.version.startswith("2") else _v1(dialogue, sa, notify, response)
        )
        if found is not None:
            yield found


def _v2(dialogue: Dialogue, sa: IkeSa, notify: NotifySeen, response: MessageRecord) -> Refusal | None:
    kind = response.message.exchange_type
    if kind not in (_AUTH, _CHILD) or not response.is_response:
        return None
    request = dialogue.request_of(response)
    inside = (request.opened or ()) if request is not None else ()
    of_ike = kind == _CHILD and any(
        isinstance(payload, SaPayload) and any(proposal.protocol == _IKE for proposal in payload.proposals)
        for payload in inside
    )
    rekeys = any(isinstance(payload, NotifyPayload) and payload.notify_type == _REKEY_SA for payload in inside)
    # IKE_AUTH counts once: with EAP it takes several exchanges.
    before = 1 + sum(
        exchange.exchange_type == _CHILD and exchange.last_time_ns < response.datagram.time_ns
        for exchange in sa.exchanges
        if exchange.answered
    )
    return Refusal(sa, notify, response, request, of_ike or (rekeys and kind == _CHILD), of_ike, before)


def _v1(dialogue: Dialogue, sa: IkeSa, notify: NotifySeen, response: MessageRecord) -> Refusal | None:
    if not sa.chosen:
        return None
    request = next(
        (
            record
            for record in dialogue.before(response)
            if record.opened is not None
            and record.message.exchange_type == _QUICK
            and record.from_initiator is not response.from_initiator
        ),
        None,
    )
    if request is None:
        return None
    done = [
        exchange
        for exchange in sa.exchanges
        if exchange.exchange_type == _QUICK
        and exchange.answered
        and exchange.message_id != request.message.message_id
        and exchange.first_time_ns < response.datagram.time_ns
    ]
    return Refusal(sa, notify, response, request, bool(done), False, len(done))


def retried(sa: IkeSa, refusal: Refusal) -> bool:
    """Whether a request that was refused came again, and was answered without another refusal."""
    at = refusal.response.datagram
    refused = {notify.frame for notify in notifies_of(sa, *_REFUSALS)}
    side = not refusal.notify.from_initiator
    later = (e for e in sa.exchanges if e.exchange_type == _CHILD and e.initiated_by_initiator is side)
    return any(e.first_time_ns >= at.time_ns and e.answered and refused.isdisjoint(e.responses) for e in later)
