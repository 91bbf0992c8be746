"""What was negotiated, as the audit sees it: a `Negotiation` for an IKE SA, a Child SA, or a flow that keys opened.

Offered and chosen stay apart. Where that is to be seen (frames) is looked for only when somebody asks: messages are
parsed on demand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.case import Case, flow_subject
from ipsecanalyze.ike.payloads import Payload, Proposal, SaPayload, Transform
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.algorithms import suites_v2
from ipsecanalyze.sa.records import Algorithm, ChildSa, IkeSa, MessageRecord

__all__ = ["Negotiation", "OpenedOffers", "Spot", "algorithms_of_flow", "choice_record", "negotiations", "offer_record"]

#: (capture, frame).
Spot = tuple[int, int]
#: Messages of an IKE SA among which its offer and choice are looked for: cookies and other groups come before.
_FIRST: Final = 16
_IKE, _AH, _ESP = 1, 2, 3
_NUMBERS: Final = {"AH": _AH, "ESP": _ESP}


@dataclass(slots=True)
class Negotiation:
    """Algorithms of one SA, with who negotiated them."""

    subject: str
    protocol: str
    """"IKE", "ESP" or "AH"."""
    version: str
    """Of IKE; "" where none is known."""
    chosen: Sequence[Algorithm]
    offered: Sequence[Algorithm]
    """All that was offered, each once, whatever proposal it was in."""
    sides: tuple[str, str]
    time_ns: int
    choice: Callable[[], Spot | None]
    """Where the choice is to be seen."""
    offer: Callable[[], Spot | None]


def negotiations(case: Case) -> Iterator[Negotiation]:
    """All negotiations of a case: IKE SAs, Child SAs that keys revealed, flows that only their keys explain."""
    opened = OpenedOffers(case.messages)
    # Offers are shared among IKE SAs (`sa/algorithms.py`), so what they list is worked out once for each.
    listed: dict[int, Sequence[Algorithm]] = {}
    for sa in case.ike_sas:
        if sa.chosen or sa.offered:
            if id(sa.offered) not in listed:
                listed[id(sa.offered)] = _each_once(algorithm for suite in sa.offered for algorithm in suite)
            yield _of_ike(case, sa, opened, listed[id(sa.offered)])
    for child in case.child_sas:
        if child.chosen:
            yield _of_child(case, child, opened)
    for flow in case.flows:
        child_sa = case.child_sa.get(flow.child_sa) if flow.child_sa is not None else None
        if flow.opening is not None and flow.opening.algorithms and not (child_sa is not None and child_sa.chosen):
            yield _of_flow(flow)


def _of_ike(case: Case, sa: IkeSa, opened: OpenedOffers, offered: Sequence[Algorithm]) -> Negotiation:
    answer = opened.get(_IKE, sa.responder.spi)
    if not offered and answer is not None:
        # Made by a CREATE_CHILD_SA of the one before it: who asked is its initiator.
        request = opened.get(_IKE, sa.initiator.spi)
        offered = request.offered if request is not None else ()

    def choice() -> Spot | None:
        record = choice_record(case, sa)
        return _spot(record) if record is not None else answer.spot if answer is not None else None

    def offer() -> Spot | None:
        record = offer_record(case, sa)
        request = opened.get(_IKE, sa.initiator.spi)
        return _spot(record) if record is not None else request.spot if request is not None else None

    sides = (sa.initiator.address, sa.responder.address)
    return Negotiation(sa.id, "IKE", sa.version, sa.chosen, offered, sides, sa.first_time_ns, choice, offer)


def _of_child(case: Case, child: ChildSa, opened: OpenedOffers) -> Negotiation:
    number = _NUMBERS.get(child.protocol, _ESP)
    both = [opened.get(number, spi) for spi in (child.initiator_spi, child.responder_spi) if spi is not None]
    answer = next((one for one in both if one is not None and one.is_response), None)
    request = next((one for one in both if one is not None and not one.is_response), None)
    sa = case.ike_sa.get(child.ike_sa) if child.ike_sa is not None else None
    flows = case.flows_of_child(child)
    sides = (sa.initiator.address, sa.responder.address) if sa is not None else _sides(flows)
    time_ns = answer.time_ns if answer is not None else sa.first_time_ns if sa is not None else 0
    return Negotiation(
        child.id,
        child.protocol,
        sa.version if sa is not None else "",
        child.chosen,
        request.offered if request is not None else (),
        sides,
        time_ns,
        lambda: answer.spot if answer is not None else None,
        lambda: request.spot if request is not None else None,
    )


def _of_flow(flow: Flow) -> Negotiation:
    algorithms = algorithms_of_flow(flow)
    spot = (flow.capture, flow.first_frame)
    sides = (flow.source, flow.destination)
    subject = flow_subject(flow)
    return Negotiation(
        subject, flow.protocol, "", algorithms, (), sides, flow.first_time_ns, lambda: spot, lambda: None
    )


def _sides(flows: Sequence[Flow]) -> tuple[str, str]:
    return (flows[0].source, flows[0].destination) if flows else ("", "")


def _spot(record: MessageRecord) -> Spot:
    return record.datagram.capture, record.datagram.frame


def _each_once(algorithms: Iterable[Algorithm]) -> Sequence[Algorithm]:
    return tuple(dict.fromkeys(algorithms))


def choice_record(case: Case, sa: IkeSa) -> MessageRecord | None:
    """The message in the clear that says what the responder chose."""
    return _with_sa(case.messages_of(sa)[:_FIRST], from_initiator=False)


def offer_record(case: Case, sa: IkeSa) -> MessageRecord | None:
    """The initiator's last offer in the clear before the choice."""
    found = None
    for record in case.messages_of(sa)[:_FIRST]:
        payloads = record.message.payloads
        if any(isinstance(payload, SaPayload) and payload.proposals for payload in payloads):
            if record.from_initiator is False:
                break
            if record.retransmission_of is None:
                found = record
        elif record.message.is_encrypted:
            break
    return found


def _with_sa(records: Iterable[MessageRecord], *, from_initiator: bool) -> MessageRecord | None:
    for record in records:
        if record.from_initiator is from_initiator and any(
            isinstance(payload, SaPayload) and payload.proposals for payload in record.message.payloads
        ):
            return record
    return None


@dataclass(slots=True)
class _OpenedOffer:
    """An SA payload that was inside an opened message."""

    record: MessageRecord
    proposals: tuple[Proposal, ...]
    payloads: tuple[Payload, ...]

    @property
    def spot(self) -> Spot:
        return _spot(self.record)

    @property
    def is_response(self) -> bool:
        return self.record.is_response is True

    @property
    def time_ns(self) -> int:
        return self.record.datagram.time_ns

    @property
    def offered(self) -> Sequence[Algorithm]:
        return _each_once(algorithm for proposal in self.proposals for algorithm in _algorithms(proposal))


class OpenedOffers:
    """SA payloads inside opened messages, by protocol number and SPI."""

    def __init__(self, messages: Iterable[MessageRecord]) -> None:
        self._by_spi: dict[tuple[int, int], _OpenedOffer] = {}
        for record in messages:
            for payload in record.opened or ():
                if isinstance(payload, SaPayload):
                    for proposal in payload.proposals:
                        if proposal.spi:
                            key = (proposal.protocol, int.from_bytes(proposal.spi))
                            offer = _OpenedOffer(record, payload.proposals, record.opened or ())
                            self._by_spi.setdefault(key, offer)

    def get(self, protocol: int, spi: int) -> _OpenedOffer | None:
        """The SA payload with a proposal of that SPI."""
        return self._by_spi.get((protocol, spi))

    def of_child(self, child: ChildSa) -> tuple[_OpenedOffer | None, _OpenedOffer | None]:
        """(request, response) that made a Child SA."""
        number = _NUMBERS.get(child.protocol, _ESP)
        both = [self.get(number, spi) for spi in (child.initiator_spi, child.responder_spi) if spi is not None]
        request = next((one for one in both if one is not None and not one.is_response), None)
        return request, next((one for one in both if one is not None and one.is_response), None)


def _algorithms(proposal: Proposal) -> Iterator[Algorithm]:
    if any(transform.number is None for transform in proposal.transforms):
        yield from suites_v2((proposal,))[0]
        return
    for transform in proposal.transforms:
        yield from _algorithms_v1(transform, proposal.protocol)


def _algorithms_v1(transform: Transform, protocol: int) -> Iterator[Algorithm]:
    """A transform of Quick Mode in IKEv2's names (RFC 2407 §4.4, §4.5)."""
    if protocol == _ESP:
        encryption = ikev1.ikev2_encr(transform.id)
        yield Algorithm("ENCR", transform.id, encryption.name if encryption else transform.name, transform.key_length)
    for attribute in transform.attributes:
        if attribute.type == ikev1.IpsecAttribute.AUTHENTICATION_ALGORITHM:
            integrity = ikev1.ikev2_integ(attribute.number)
            name = integrity.name if integrity else ikev1.IpsecAuthAlgorithm(attribute.number).name
            yield Algorithm("INTEG", attribute.number, name)
        elif attribute.type == ikev1.IpsecAttribute.GROUP_DESCRIPTION:
            yield Algorithm("KE", attribute.number, ikev2.KeyExchange(attribute.number).name)


@cache
def _members(registry: type[ikev2.Encr | ikev2.Integ]) -> dict[str, int]:
    return {member.name: int(member) for member in registry}


def algorithms_of_flow(flow: Flow) -> list[Algorithm]:
    """The algorithms of the key that opened a flow, from the words that `FlowOpening.algorithms` has for them."""
    if flow.opening is None:
        return []
    found: list[Algorithm] = []
    parts = flow.opening.algorithms.split("/")
    if flow.protocol == "ESP":
        found += _encryption(f"ENCR_{parts[0]}")
        parts = parts[1:]
    for part in parts:
        name = f"AUTH_{part.split(' cut ')[0]}"
        if name in _members(ikev2.Integ):
            found.append(Algorithm("INTEG", _members(ikev2.Integ)[name], name))
    return found


def _encryption(text: str) -> Iterator[Algorithm]:
    known = _members(ikev2.Encr)
    if text in known:
        yield Algorithm("ENCR", known[text], text)
        return
    match = re.fullmatch(r"(.+)_(\d+)", text)
    if match and match[1] in known:
        yield Algorithm("ENCR", known[match[1]], match[1], int(match[2]))
