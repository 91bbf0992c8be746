"""Child SAs out of opened exchanges of IKEv2: what was agreed on, and the keys that follow (RFC 7296 §1.3, §2.17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar

from ipsecanalyze.crypto.ikev2 import child_keys
from ipsecanalyze.crypto.material import EspKeys, IkeKeys
from ipsecanalyze.crypto.suite import ChildSuite, IkeSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.ike.payloads import NotifyPayload, Payload, Proposal, SaPayload, TrafficSelectorPayload
from ipsecanalyze.opening.revealed import RevealedChild
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.algorithms import suites_v2

__all__ = ["IKE", "chosen_proposal", "derive", "describe_child", "find", "ike_suite"]

IKE: Final = 1
"""Protocol ID of IKE in proposals, notifies and deletes (RFC 7296 §3.3.1)."""
_PROTOCOLS: Final = {2: "AH", 3: "ESP"}
_SPI_OCTETS: Final = {IKE: 8, 2: 4, 3: 4}
_ENCR, _PRF, _INTEG, _KE, _ESN = 1, 2, 3, 4, 5
#: Additional key exchanges (RFC 9370 §2.2.1).
_ADDKE: Final = range(6, 13)
_NULL: Final = 11
_TRANSPORT: Final = int(ikev2.NotifyType.USE_TRANSPORT_MODE)
_BEET: Final = int(ikev2.NotifyType.USE_BEET_MODE)
_REKEY: Final = int(ikev2.NotifyType.REKEY_SA)
_TS_I, _TS_R = 44, 45
_P = TypeVar("_P", bound=Payload)


def find(payloads: Sequence[Payload], kind: type[_P], number: int | None = None) -> _P | None:
    """The first payload of a class (and payload type); None without one."""
    for payload in payloads:
        if isinstance(payload, kind) and (number is None or payload.type == number):
            return payload
    return None


def _transform(proposal: Proposal, kind: int) -> tuple[int, int | None] | None:
    for transform in proposal.transforms:
        if transform.type == kind:
            return transform.id, transform.key_length
    return None


def ike_suite(proposal: Proposal) -> IkeSuite | None:
    """The algorithms of an IKE SA; None where the proposal lacks what every one has."""
    encryption, prf = _transform(proposal, _ENCR), _transform(proposal, _PRF)
    if encryption is None or prf is None:
        return None
    integrity = _transform(proposal, _INTEG)
    return IkeSuite(encryption[0], prf[0], integrity[0] if integrity else 0, encryption[1])


def chosen_proposal(request: Sequence[Payload], response: Sequence[Payload]) -> tuple[Proposal, Proposal] | None:
    """(what was offered, what was chosen of it) in the SA payloads of an exchange."""
    offer, answer = find(request, SaPayload), find(response, SaPayload)
    if offer is None or answer is None or not answer.proposals:
        return None
    chosen = answer.proposals[0]
    octets = _SPI_OCTETS.get(chosen.protocol)
    if len(chosen.spi) != octets:
        return None
    for offered in offer.proposals:
        if (offered.number, offered.protocol, len(offered.spi)) == (chosen.number, chosen.protocol, octets):
            return offered, chosen
    return None


def _child_suite(chosen: Proposal) -> ChildSuite:
    encryption, integrity = _transform(chosen, _ENCR) or (_NULL, None), _transform(chosen, _INTEG)
    esn = _transform(chosen, _ESN)
    return ChildSuite(
        encryption=encryption[0],
        integrity=integrity[0] if integrity else 0,
        key_bits=encryption[1],
        esn=bool(esn and esn[0]),
        protocol=_PROTOCOLS[chosen.protocol],
    )


def describe_child(
    request: Sequence[Payload], response: Sequence[Payload], frame: int, *, by_initiator: bool
) -> tuple[RevealedChild, ChildSuite] | None:
    """The Child SA that an exchange made; None where it made none. `by_initiator`: the IKE SA's initiator asked."""
    pair = chosen_proposal(request, response)
    if pair is None or pair[1].protocol not in _PROTOCOLS:
        return None
    offered, chosen = pair
    spis = (int.from_bytes(offered.spi), int.from_bytes(chosen.spi))
    selectors = [_selectors(response, kind) or _selectors(request, kind) for kind in (_TS_I, _TS_R)]
    suite = _child_suite(chosen)
    rekeyed = next((p for p in request if isinstance(p, NotifyPayload) and p.notify_type == _REKEY), None)
    kinds = {payload.notify_type for payload in response if isinstance(payload, NotifyPayload)}
    group = _transform(chosen, _KE)
    if not by_initiator:
        spis, selectors = (spis[1], spis[0]), selectors[::-1]
    child = RevealedChild(
        frame=frame,
        protocol=suite.protocol,
        initiator_spi=spis[0],
        responder_spi=spis[1],
        mode="transport" if _TRANSPORT in kinds else "beet" if _BEET in kinds else "tunnel",
        chosen=suites_v2((chosen,))[0],
        esn=bool(suite.esn),
        selectors_initiator=selectors[0],
        selectors_responder=selectors[1],
        rekeys_spi=int.from_bytes(rekeyed.spi) if rekeyed is not None and len(rekeyed.spi) == 4 else None,
        has_key_exchange=bool(group and group[0]) or _has_additional(chosen),
    )
    return child, suite


def _has_additional(chosen: Proposal) -> bool:
    return any(transform.type in _ADDKE and transform.id for transform in chosen.transforms)


def _selectors(payloads: Sequence[Payload], kind: int) -> list[str]:
    found = find(payloads, TrafficSelectorPayload, kind)
    return [selector.text for selector in found.selectors] if found is not None else []


def derive(
    child: RevealedChild,
    suite: ChildSuite,
    keys: Sequence[IkeKeys],
    prf: int,
    nonces: tuple[bytes, bytes],
    secrets: Sequence[tuple[bytes, ...]],
    *,
    by_initiator: bool,
) -> None:
    """Put the keys of the Child SA into it, as far as `keys` and `secrets` (one of each is right) are enough."""
    with_sk_d = [one for one in keys if one.sk_d]
    if not with_sk_d:
        child.missing = "SK_d of its IKE SA is needed"
        return
    values: list[tuple[bytes, ...]] = [()]
    if child.has_key_exchange:
        values = list(secrets)
        if not values:
            several = any(one.id and one.type.startswith("ADDKE") for one in child.chosen)
            what = (
                "several key exchanges (IKE_FOLLOWUP_KE): their shared secrets"
                if several
                else "a key exchange of its own (PFS): its shared secret"
            )
            child.missing = f"it has {what}, or the keys of the SA, are needed"
            return
    asked, answered = child.initiator_spi, child.responder_spi
    if not by_initiator:
        asked, answered = answered, asked
    ends = (child.initiator_address, child.responder_address)
    there, back = (ends, ends[::-1]) if by_initiator else (ends[::-1], ends)
    for one in with_sk_d:
        for value in values:
            try:
                pair = child_keys(
                    suite,
                    prf,
                    one.sk_d,
                    *nonces,
                    secrets=value,
                    spi_i=asked,
                    spi_r=answered,
                    origin=_origin(child, one),
                )
            except DecryptError as error:
                child.missing = error.reason
                return
            child.keys += [_at(pair[0], there, child), _at(pair[1], back, child)]


def _origin(child: RevealedChild, keys: IkeKeys) -> str:
    source = f" ({keys.origin})" if keys.origin else ""
    return f"derived from the IKE SA, frame {child.frame}{source}"


def _at(keys: EspKeys, ends: tuple[str, str], child: RevealedChild) -> EspKeys:
    return replace(keys, source=ends[0] or None, destination=ends[1] or None, mode=child.mode)
