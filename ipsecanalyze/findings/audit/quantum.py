"""Traffic that a quantum computer of later years can read: no key encapsulation, no post-quantum pre-shared key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import Spot, choice_record, offer_record
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.verdict import year_of
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import IkeSa, State

__all__ = ["no_post_quantum"]

_USE_PPK: Final = int(ikev2.NotifyType.USE_PPK)
_PPK_IDENTITY: Final = int(ikev2.NotifyType.PPK_IDENTITY)
_CAME_TO_BE: Final = (State.ESTABLISHED, State.CLOSED, State.REKEYED)


def no_post_quantum(case: Case, profile: Profile) -> Iterator[Finding]:
    """IKE SAs whose keys rest on classical key exchange alone, with the octets that were sent under them."""
    found: Gathering[IkeSa] = Gathering()
    protected = {sa.id for sa in case.ike_sas if sa.chosen and _is_protected(sa)}
    for sa in case.ike_sas:
        if not sa.chosen or sa.state not in _CAME_TO_BE or sa.id in protected:
            continue
        if sa.rekeys in protected and sa.version == "2.0":
            # SK_d of the IKE SA before goes into its keys (RFC 7296 §2.18).
            protected.add(sa.id)
            continue
        if sa.version == "1.0" and sa.authentication_responder == "psk":
            continue  # the pre-shared key goes into all keys (RFC 2409 §5)

        def spot(sa: IkeSa = sa) -> Spot | None:
            record = choice_record(case, sa)
            return (record.datagram.capture, record.datagram.frame) if record is not None else None

        def offer(sa: IkeSa = sa) -> Spot | None:
            record = offer_record(case, sa)
            return (record.datagram.capture, record.datagram.frame) if record is not None else None

        group = found.add(frozenset((sa.initiator.address, sa.responder.address)), sa, sa.id, offer, spot)
        group.octets += sum(flow.octets for flow in case.flows_of(sa))

    def told(group: Group[IkeSa]) -> Finding:
        sa = group.first
        cell = profile.cell("requirements", "post-quantum", year=year_of(sa.last_time_ns))
        severities = {"must": Severity.HIGH, "should": Severity.MEDIUM}
        groups = ", ".join(algorithm.name for algorithm in sa.chosen if algorithm.type == "KE") or "its key exchange"
        what = f"{group.octets:,} octets rest" if group.octets else "An IKE SA rests"
        says = f" {cell.clause}: {cell.note}." if cell.note else ""
        return Finding(
            slug="no-post-quantum",
            severity=severities.get(cell.status.value, Severity.INFO),
            certainty=Certainty.OBSERVED,
            subject=sa.id,
            title=f"{what} on classical key exchange alone",
            explanation=f"The keys between {sa.initiator.address} and {sa.responder.address} come from {groups} alone, "
            f"without ML-KEM (RFC 9370) and without a post-quantum pre-shared key (RFC 8784): {group.octets:,} octets "
            "of ESP and AH in this capture can be read by whoever keeps them until a quantum computer is there."
            f"{says}" + group.others("IKE SA", "IKE SAs"),
            remedy="Add ML-KEM-768 as an additional key exchange (strongSwan 6: `proposals = "
            "aes256-sha256-x25519-ke1_mlkem768`), or a PPK of 256 random bits on both sides (strongSwan: `ppk_id` and "
            "`ppk_required`; libreswan: `ppk=insist`).",
            frames=group.frames,
            references=(cell.clause, "RFC 9370 §1", "RFC 8784 §1") if cell.clause else ("RFC 9370 §1", "RFC 8784 §1"),
            capture=group.capture,
        )

    yield from found.findings(told)


def _is_protected(sa: IkeSa) -> bool:
    if any(
        algorithm.name.startswith("ML_KEM_")
        for algorithm in sa.chosen
        if algorithm.type == "KE" or algorithm.type.startswith("ADDKE")
    ):
        return True
    # Both sides know PPKs; whether they share one is encrypted. One that is optional may be left out.
    sides = {notify.from_initiator for notify in sa.notifies if notify.type == _USE_PPK}
    if len(sides) < 2:
        return False
    # RFC 8784 §3: the responder answers PPK_IDENTITY where it used the key.
    return not sa.decrypted or any(one.type == _PPK_IDENTITY and not one.from_initiator for one in sa.notifies)
