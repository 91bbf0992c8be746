"""Traffic selectors: refused, or narrowed by the responder (RFC 7296 §2.9; IKEv1: the identities of Quick Mode)."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.diagnosis.children import Refusal, refusals
from ipsecanalyze.findings.evidence import Dialogue, place, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import series
from ipsecanalyze.ike.payloads import ConfigPayload, IdPayload, NotifyPayload, TrafficSelectorPayload
from ipsecanalyze.ike.payloads.selectors import TrafficSelector
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import IkeSa, MessageRecord

__all__ = ["ts_narrowed", "ts_unacceptable"]

_UNACCEPTABLE = int(ikev2.NotifyType.TS_UNACCEPTABLE)
_ADDITIONAL = int(ikev2.NotifyType.ADDITIONAL_TS_POSSIBLE)
_SINGLE_PAIR = int(ikev2.NotifyType.SINGLE_PAIR_REQUIRED)
_INVALID_ID = int(ikev1.NotifyType.INVALID_ID_INFORMATION)
_TS_I, _TS_R = 44, 45
#: Child SAs of the same peers that are looked at for what they agree on.
_LOOKED_AT = 256
_TRANSPORT = int(ikev2.NotifyType.USE_TRANSPORT_MODE)


def _selectors(record: MessageRecord | None, kind: int) -> tuple[TrafficSelector, ...]:
    for payload in (record.opened or ()) if record is not None else ():
        if isinstance(payload, TrafficSelectorPayload) and payload.type == kind:
            return payload.selectors
    return ()


def _text(selectors: tuple[TrafficSelector, ...]) -> str:
    return series([selector.text for selector in selectors], 6)


@told_once
def ts_unacceptable(case: Case) -> Iterator[Finding]:
    """The peer does not want a Child SA for the networks that were asked for."""
    if not case.has_keys:
        return
    for sa in case.ike_sas:
        if not sa.decrypted or not sa.notifies:
            continue
        kinds = (_UNACCEPTABLE, _SINGLE_PAIR) if sa.version.startswith("2") else (_INVALID_ID,)
        for refusal in refusals(case, sa, *kinds):
            yield _refused(case, sa, refusal)


def _asked(refusal: Refusal) -> tuple[str, str]:
    """(the asker's side, the other side) as it was asked for."""
    if refusal.sa.version.startswith("2"):
        return _text(_selectors(refusal.request, _TS_I)), _text(_selectors(refusal.request, _TS_R))
    opened = (refusal.request.opened or ()) if refusal.request is not None else ()
    identities = [payload.text for payload in opened if isinstance(payload, IdPayload)]
    return (identities[0], identities[1]) if len(identities) > 1 else ("its own address", "the peer's address")


def _refused(case: Case, sa: IkeSa, refusal: Refusal) -> Finding:
    asker, peer = refusal.asker, refusal.refuser
    mine, theirs = _asked(refusal)
    elsewhere = []
    for owner, child in case.children_between(sa)[:_LOOKED_AT]:
        if child.selectors_initiator:
            sides = (series(child.selectors_initiator), series(child.selectors_responder))
            if owner.initiator.address != asker:
                sides = sides[::-1]
            elsewhere.append(f"{sides[0]} with {sides[1]} ({child.id})")
    known = (
        f" Elsewhere both agreed on {series(elsewhere, 3)}."
        if elsewhere
        else f" What {peer} would accept is not in the capture: it does not say so in its answer."
    )
    found = place(case, sa, refusal.frames)
    if refusal.notify.type == _SINGLE_PAIR and sa.version.startswith("2"):
        return Finding(
            "ts-unacceptable",
            Severity.HIGH,
            Certainty.OBSERVED,
            sa.id,
            f"{peer} wants a Child SA for a single pair of addresses, not for {mine} with {theirs}",
            f"{asker} asked for traffic between {mine} (its side) and {theirs} (the side of {peer}), and {peer}"
            f" answered {refusal.notify.name} in frame {refusal.frame}: it makes Child SAs only for one address"
            f" with one other, an SA for each pair.{known if elsewhere else ''}",
            f"Let {asker} ask for one pair of addresses at a time, or let {peer} accept whole networks.",
            found.frames,
            ("RFC 7296 §2.9",),
            found.capture,
        )
    return Finding(
        "ts-unacceptable",
        Severity.HIGH,
        Certainty.OBSERVED,
        sa.id,
        f"{peer} refuses a Child SA for {mine} with {theirs}",
        f"{asker} asked for traffic between {mine} (its side) and {theirs} (the side of {peer}), and {peer} answered"
        f" {refusal.notify.name} in frame {refusal.frame}: its own networks do not overlap with these.{known}",
        f"Make the networks mirror images: on {asker} local {mine} and remote {theirs}, on {peer} local {theirs} and"
        f" remote {mine} (`local_ts` and `remote_ts` in swanctl.conf, `leftsubnet=` and `rightsubnet=` in ipsec.conf).",
        found.frames,
        ("RFC 7296 §2.9",) if sa.version.startswith("2") else ("RFC 2409 §5.5",),
        found.capture,
    )


@told_once
def ts_narrowed(case: Case) -> Iterator[Finding]:
    """The responder took less than was asked for."""
    if not case.has_keys:
        return
    for sa in case.ike_sas:
        if not sa.decrypted or not sa.version.startswith("2"):
            continue
        dialogue: Dialogue | None = None
        told: set[tuple[str, str]] = set()
        for record in case.messages_of(sa):
            if record.opened is None or not record.is_response or record.retransmission_of is not None:
                continue
            if not _selectors(record, _TS_R):
                continue
            dialogue = dialogue or Dialogue(case, sa)
            request = _request(dialogue, sa, record)
            if request is None or not _selectors(request, _TS_R):
                continue
            lost = [
                kind for kind in (_TS_I, _TS_R) if _is_narrower(_selectors(request, kind), _selectors(record, kind))
            ]
            key = (_text(_selectors(record, _TS_I)), _text(_selectors(record, _TS_R)))
            if lost and key not in told:
                told.add(key)
                yield _narrowed(sa, request, record, lost)


def _request(dialogue: Dialogue, sa: IkeSa, response: MessageRecord) -> MessageRecord | None:
    """The request with the selectors; with EAP it is the first of several (RFC 7296 §2.16)."""
    request = dialogue.request_of(response)
    if _selectors(request, _TS_R) or response.message.exchange_type != int(ikev2.ExchangeType.IKE_AUTH):
        return request
    del sa
    return next((record for record in dialogue.before(response) if _selectors(record, _TS_R)), None)


def _is_narrower(asked: tuple[TrafficSelector, ...], given: tuple[TrafficSelector, ...]) -> bool:
    return bool(given) and any(one.is_range and not any(_covers(wide, one) for wide in given) for one in asked)


def _covers(wide: TrafficSelector, one: TrafficSelector) -> bool:
    return (
        wide.type == one.type
        and wide.protocol in (0, one.protocol)
        and wide.start_address <= one.start_address
        and wide.end_address >= one.end_address
        and wide.start_port <= one.start_port
        and wide.end_port >= one.end_port
    )


def _narrowed(sa: IkeSa, request: MessageRecord, response: MessageRecord, lost: list[int]) -> Finding:
    asker = request.datagram.source
    peer = response.datagram.source
    kinds = {p.notify_type for p in response.opened or () if isinstance(p, NotifyPayload)}
    # Who asks for an address asks for everything, and is given what belongs to that address.
    is_client = any(isinstance(payload, ConfigPayload) for payload in request.opened or ()) and lost == [_TS_I]
    more = (
        " It says that further Child SAs are possible for the rest (ADDITIONAL_TS_POSSIBLE)."
        if _ADDITIONAL in kinds
        else ""
    )
    words = [
        f"{_text(_selectors(request, kind))} on {'its own side' if kind == _TS_I else f'the side of {peer}'} and was"
        f" given {_text(_selectors(response, kind))}"
        for kind in lost
    ]
    found = place_of((request, response))
    return Finding(
        "ts-narrowed",
        Severity.INFO if is_client or _TRANSPORT in kinds else Severity.LOW,
        Certainty.OBSERVED,
        sa.id,
        f"{peer} gave {asker} less than the traffic selectors that it asked for",
        f"{asker} asked for {', and for '.join(words)}.{more} The tunnel works for what was given; packets for the rest"
        " are not protected by it, or dropped."
        + (
            " Clients that are assigned an address ask for everything, so this is as it should be." if is_client else ""
        ),
        "Nothing, if it is meant."
        if is_client
        else f"If the rest is wanted too, add it to the networks that {peer} allows for this connection; else ask for"
        f" what is given only, on {asker}.",
        found.frames,
        ("RFC 7296 §2.9",),
        found.capture,
    )
