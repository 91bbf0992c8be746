"""What can be learnt by listening: who the peers are, and which software they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import Spot
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import series
from ipsecanalyze.ike.payloads import CertRequestPayload, ConfigPayload, IdPayload, VendorIdPayload
from ipsecanalyze.registry.vendor_ids import identify
from ipsecanalyze.sa.records import IkeSa, MessageRecord, Mode, Peer

__all__ = ["identity_exposed", "implementation_exposed"]

_FIRST: Final = 8
_APPLICATION_VERSION: Final = 7


class _Told(NamedTuple):
    sa: IkeSa
    texts: tuple[str, ...]


def identity_exposed(case: Case, profile: Profile) -> Iterator[Finding]:
    """Identities of aggressive mode, and the authorities that IKEv1 asks for in the clear."""
    del profile
    identities: Gathering[_Told] = Gathering()
    authorities: Gathering[_Told] = Gathering()
    for sa in case.ike_sas:
        if sa.version != "1.0":
            continue
        sides = sa.initiator.address, sa.responder.address
        method = next((algorithm.name for algorithm in sa.chosen if algorithm.type == "AUTH"), "")
        if sa.mode is Mode.AGGRESSIVE:
            told = tuple(text for peer in (sa.initiator, sa.responder) if (text := peer.identity))
            if told:
                where = [_where(case, sa, IdPayload, side=side) for side in (True, False)]
                identities.add((*sides, told), _Told(sa, told), sa.id, *where)
        elif "RSA" in method or "DSS" in method or "ECDSA" in method:
            record = _first_clear(case, sa, CertRequestPayload, None)
            if record is not None:
                names = tuple(
                    dict.fromkeys(
                        name for payload in record.message.find_all(CertRequestPayload) for name in payload.authorities
                    )
                )
                if names:
                    spot = record.datagram.capture, record.datagram.frame
                    authorities.add((*sides, names), _Told(sa, names), sa.id, lambda spot=spot: spot)  # type: ignore[misc]
    yield from identities.findings(_identity)
    yield from authorities.findings(_authority)


def _first_clear(
    case: Case, sa: IkeSa, kind: type[IdPayload | CertRequestPayload | VendorIdPayload], side: bool | None
) -> MessageRecord | None:
    for record in case.messages_of(sa)[:_FIRST]:
        if side is not None and record.from_initiator is not side:
            continue
        if any(isinstance(payload, kind) for payload in record.message.payloads):
            return record
    return None


def _where(
    case: Case, sa: IkeSa, kind: type[IdPayload | CertRequestPayload | VendorIdPayload], *, side: bool
) -> Callable[[], Spot | None]:
    def spot() -> Spot | None:
        record = _first_clear(case, sa, kind, side)
        return (record.datagram.capture, record.datagram.frame) if record is not None else None

    return spot


def _identity(group: Group[_Told]) -> Finding:
    sa, texts = group.first
    return Finding(
        slug="identity-exposed",
        severity=Severity.LOW,
        certainty=Certainty.OBSERVED,
        subject=sa.id,
        title=f"Identities are in the clear: {series(list(texts))}",
        explanation=f"Aggressive mode between {sa.initiator.address} and {sa.responder.address} sends identities "
        f"unencrypted: {series(list(texts))}. Whoever listens learns who talks, and what to claim to be."
        + group.others("IKE SA", "IKE SAs"),
        remedy="Use IKEv2 or main mode, which encrypt identities; take names that tell nothing until then.",
        frames=group.frames,
        references=("RFC 2409 §5", "RFC 7296 §1.2"),
        capture=group.capture,
    )


def _authority(group: Group[_Told]) -> Finding:
    sa, texts = group.first
    return Finding(
        slug="identity-exposed",
        severity=Severity.INFO,
        certainty=Certainty.OBSERVED,
        subject=sa.id,
        title=f"Certificate authorities are named in the clear: {series(list(texts))}",
        explanation=f"Certificate requests between {sa.initiator.address} and {sa.responder.address} name the "
        f"authorities that are trusted, before anything is encrypted: {series(list(texts))}."
        + group.others("IKE SA", "IKE SAs"),
        remedy="Send no certificate requests where the peers are configured anyway, or use IKEv2, which sends hashes.",
        frames=group.frames,
        references=("RFC 2408 §3.10", "RFC 4945 §3.2"),
        capture=group.capture,
    )


def implementation_exposed(case: Case, profile: Profile) -> Iterator[Finding]:
    """Vendor IDs that say which software it is, by address."""
    del profile
    found: Gathering[tuple[str, tuple[str, ...]]] = Gathering()
    known: dict[tuple[bytes, ...], tuple[str, ...]] = {}
    for sa in case.ike_sas:
        for peer, side in ((sa.initiator, True), (sa.responder, False)):
            if not peer.vendor_id_data:
                continue
            names = known.get(peer.vendor_id_data)
            if names is None:
                names = known[peer.vendor_id_data] = _software(peer)
            if names:
                key = peer.address, names
                found.add(key, key, sa.id, _where(case, sa, VendorIdPayload, side=side))

    def told(group: Group[tuple[str, tuple[str, ...]]]) -> Finding:
        address, names = group.first
        return Finding(
            slug="implementation-exposed",
            severity=Severity.INFO,
            certainty=Certainty.OBSERVED,
            subject=address,
            title=f"{address} tells which software it runs: {series(list(names))}",
            explanation=f"The vendor IDs that {address} sends before anything is encrypted name {series(list(names))} "
            f"({group.count} IKE {'SA' if group.count == 1 else 'SAs'}). Who looks for a known weakness finds it so; "
            "order and contents of the other payloads tell nearly as much.",
            remedy="Keep it up to date. Where it can be configured, send no vendor ID (strongSwan: "
            "`charon.send_vendor_id = no`, the default).",
            frames=group.frames,
            references=("RFC 7296 §3.12",),
            capture=group.capture,
        )

    yield from found.findings(told)
    yield from _versions(case)


def _versions(case: Case) -> Iterator[Finding]:
    """APPLICATION_VERSION inside of messages that keys opened: told to the peer alone."""
    found: Gathering[tuple[str, str, str]] = Gathering()
    for record in case.messages:
        for payload in record.opened or ():
            if not isinstance(payload, ConfigPayload):
                continue
            for attribute in payload.attributes:
                if attribute.type == _APPLICATION_VERSION and attribute.text:
                    sender, peer = record.datagram.source, record.datagram.destination
                    spot = record.datagram.capture, record.datagram.frame
                    key = sender, attribute.text
                    found.add(key, (sender, attribute.text, peer), sender, lambda spot=spot: spot)  # type: ignore[misc]

    def told(group: Group[tuple[str, str, str]]) -> Finding:
        sender, version, peer = group.first
        return Finding(
            slug="implementation-exposed",
            severity=Severity.INFO,
            certainty=Certainty.OBSERVED,
            subject=sender,
            title=f"{sender} tells its peer which software it runs: {version}",
            explanation=f"In an encrypted message {sender} told {peer} its APPLICATION_VERSION, {version}. Only the "
            "peer can read it, and needs it for nothing; who authenticates as one learns where known weaknesses are.",
            remedy="Keep it up to date, and leave APPLICATION_VERSION out where that can be configured.",
            frames=group.frames,
            references=("RFC 7296 §2.20", "RFC 7296 §3.15.1"),
            capture=group.capture,
        )

    yield from found.findings(told)


def _software(peer: Peer) -> tuple[str, ...]:
    vendors = map(identify, peer.vendor_id_data)
    return tuple(dict.fromkeys(vendor.label for vendor in vendors if vendor.kind == "implementation"))
