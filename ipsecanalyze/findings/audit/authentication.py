"""How the peers prove who they are: aggressive mode with a pre-shared key, methods that give too much away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import Spot, choice_record, offer_record
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.verdict import cell_text, severity_of, year_of
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.ike.payloads import AuthPayload, EapPayload
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import IkeSa, MessageRecord, Mode

__all__ = ["aggressive_mode_psk", "weak_authentication"]

_AUTH: Final = int(ikev2.ExchangeType.IKE_AUTH)
#: EAP methods by which the client learns nothing of the server, and whose answers can be tried out offline.
_WEAK_EAP: Final = {4: "EAP-MD5", 6: "EAP-GTC", 26: "EAP-MSCHAPv2", 29: "EAP-MSCHAPv2"}
_NULL_AUTH: Final = 13
#: Words of the records → rows of a profile.
_ROWS: Final = {"psk": "PSK", "rsa-sig": "RSA", "dss-sig": "DSS", "ecdsa-256": "ECDSA_256", "ecdsa-384": "ECDSA_384",
                "ecdsa-521": "ECDSA_521"}  # fmt: skip


class _Way(NamedTuple):
    """A way to authenticate that is weak."""

    sa: IkeSa
    what: str
    severity: Severity
    title: str
    meaning: str
    remedy: str
    references: tuple[str, ...]


def _method_v1(sa: IkeSa) -> str:
    return next((algorithm.name for algorithm in sa.chosen if algorithm.type == "AUTH"), "")


def aggressive_mode_psk(case: Case, profile: Profile) -> Iterator[Finding]:
    """Aggressive mode with a pre-shared key gives everybody on the way a hash to try passwords on."""
    del profile
    found: Gathering[IkeSa] = Gathering()
    for sa in case.ike_sas:
        if sa.mode is Mode.AGGRESSIVE and _method_v1(sa).endswith(("PRE_SHARED_KEY", "PRE_SHARED")):
            key = sa.initiator.address, sa.responder.address
            found.add(key, sa, sa.id, _spot_of(offer_record, case, sa), _spot_of(choice_record, case, sa))

    def told(group: Group[IkeSa]) -> Finding:
        sa = group.first
        return Finding(
            slug="aggressive-mode-psk",
            severity=Severity.HIGH,
            certainty=Certainty.OBSERVED,
            subject=sa.id,
            title="Aggressive mode with a pre-shared key: the key can be searched for offline",
            explanation=f"{sa.initiator.address} and {sa.responder.address} negotiated IKEv1 in aggressive mode with a "
            "pre-shared key. The second message has HASH_R in the clear, and all that it was computed from "
            "but the key: whoever has these packets can try out keys without being noticed. Anybody can get such a "
            "hash by asking the responder. The identities are in the clear too." + group.others("IKE SA", "IKE SAs"),
            remedy="Use IKEv2, or main mode; refuse aggressive mode at the responder. Until then, a key of 128 random "
            "bits cannot be searched for; replace the present one if people chose it.",
            frames=group.frames,
            references=("RFC 2409 §5.4", "CVE-2002-1623"),
            capture=group.capture,
        )

    yield from found.findings(told)


def _spot_of(find: Callable[[Case, IkeSa], MessageRecord | None], case: Case, sa: IkeSa) -> Callable[[], Spot | None]:
    def spot() -> Spot | None:
        record = find(case, sa)
        return (record.datagram.capture, record.datagram.frame) if record is not None else None

    return spot


def weak_authentication(case: Case, profile: Profile) -> Iterator[Finding]:
    """Methods of IKEv1 by what was chosen; of IKEv2 by what keys opened."""
    found: Gathering[_Way] = Gathering()
    for sa in case.ike_sas:
        if sa.version == "1.0":
            way = _way_v1(sa)
            if way is not None:
                sides = sa.initiator.address, sa.responder.address
                found.add((way.title, *sides), way, sa.id, _spot_of(choice_record, case, sa))
        elif sa.decrypted:
            for way, spot in _ways_v2(case, sa, profile):
                sides = sa.initiator.address, sa.responder.address
                found.add((way.title, *sides), way, sa.id, lambda spot=spot: spot)  # type: ignore[misc]

    def told(group: Group[_Way]) -> Finding:
        way = group.first
        return Finding(
            slug="weak-authentication",
            severity=way.severity,
            certainty=Certainty.OBSERVED,
            subject=way.sa.id,
            title=way.title,
            explanation=f"{way.sa.initiator.address} and {way.sa.responder.address} {way.what}. {way.meaning}"
            + group.others("IKE SA", "IKE SAs"),
            remedy=way.remedy,
            frames=group.frames,
            references=way.references,
            capture=group.capture,
        )

    yield from found.findings(told)


def _way_v1(sa: IkeSa) -> _Way | None:
    name = _method_v1(sa)
    what = f"agreed on the phase 1 authentication method {name}"
    if "XAUTH" in name and "PRE_SHARED" in name:
        return _Way(
            sa,
            what,
            Severity.MEDIUM,
            "XAUTH behind a pre-shared key that a group shares",
            "The users' passwords go to whoever knows the group's key: each user can pose as the gateway and collect "
            "those of the others.",
            "Move to IKEv2 with certificates for the gateway, and EAP-TLS or certificates for users.",
            ("draft-beaulieu-ike-xauth",),
        )
    if "XAUTH" in name or "HYBRID" in name:
        return _Way(
            sa,
            what,
            Severity.LOW,
            "Users authenticate by XAUTH passwords",
            "XAUTH never became a standard; the user's password is sent as it is inside the IKE SA, and proves nothing "
            "that is bound to the keys.",
            "Move to IKEv2 with EAP-TLS, or with certificates for users.",
            ("draft-beaulieu-ike-xauth",),
        )
    if name in ("RSA_ENCRYPTION", "REVISED_RSA_ENCRYPTION"):
        return _Way(
            sa,
            what,
            Severity.MEDIUM,
            "IKEv1 authenticates by RSA-encrypted nonces",
            "Implementations that tell wrong padding from right one let an attacker decrypt nonces "
            "(Bleichenbacher oracles were found in several), and so impersonate the peer.",
            "Move to IKEv2 with signatures; until then use RSA signatures, and other keys than before.",
            ("RFC 2409 §5.2", "RFC 2409 §5.3", "CVE-2018-0131"),
        )
    if name == "DSS_SIGNATURES":
        return _Way(
            sa,
            what,
            Severity.MEDIUM,
            "IKEv1 authenticates by DSS signatures",
            "DSS in IKE means SHA-1, and keys of 1024 bits as a rule.",
            "Use RSA or ECDSA with SHA-2.",
            ("RFC 8247 §3.1",),
        )
    if name == "PRE_SHARED_KEY" and sa.mode is not Mode.AGGRESSIVE:
        return _Way(
            sa,
            what,
            Severity.LOW,
            "IKEv1 in main mode with a pre-shared key",
            "Who takes the responder's place once gets what is needed to try out keys offline; a key that people chose "
            "does not stand that.",
            "Use a key of 128 random bits, or certificates; move to IKEv2.",
            ("RFC 2409 §5.4", "CVE-2018-5389"),
        )
    return None


def _ways_v2(case: Case, sa: IkeSa, profile: Profile) -> Iterator[tuple[_Way, Spot]]:
    """By the opened IKE_AUTH messages."""
    weak_eap: tuple[str, Spot] | None = None
    first_answer: tuple[bool, bool, Spot] | None = None
    null: Spot | None = None
    is_gateway_null = False
    for record in case.messages_of(sa):
        if not record.opened or record.message.exchange_type != _AUTH:
            continue
        spot = record.datagram.capture, record.datagram.frame
        auth = next((payload for payload in record.opened if isinstance(payload, AuthPayload)), None)
        eap = next((payload for payload in record.opened if isinstance(payload, EapPayload)), None)
        if auth is not None and auth.method == _NULL_AUTH:
            null = null or spot
            is_gateway_null = is_gateway_null or record.from_initiator is False
        if record.from_initiator is False and first_answer is None:
            first_answer = (auth is not None, eap is not None, spot)
        if eap is not None and weak_eap is None and eap.eap_type in _WEAK_EAP:
            weak_eap = _WEAK_EAP[int(eap.eap_type or 0)], spot
    if weak_eap is not None:
        yield _way_eap(sa, weak_eap[0]), weak_eap[1]
        if first_answer is not None and first_answer[1] and not first_answer[0]:
            yield _way_unproven(sa, weak_eap[0]), first_answer[2]
    if null is not None:
        yield _way_null(sa, is_gateway=is_gateway_null), null
    if first_answer is not None and weak_eap is None and not (sa.authentication_initiator or "").startswith("eap"):
        yield from ((way, first_answer[2]) for way in _ways_profile(sa, profile))


def _ways_profile(sa: IkeSa, profile: Profile) -> Iterator[_Way]:
    for word in dict.fromkeys((sa.authentication_initiator, sa.authentication_responder)):
        row = _ROWS.get(word or "")
        cell = profile.cell("authentication", row, year=year_of(sa.first_time_ns)) if row else None
        severity = severity_of(cell) if cell is not None else None
        if cell is not None and row is not None and severity is not None:
            yield _Way(
                sa,
                f"authenticated by {word}",
                severity,
                f"Authentication by {row}, which the profile advises against",
                cell_text(cell, f"{row} authentication"),
                "Use signatures that the profile recommends on both sides.",
                (cell.clause,),
            )


def _way_eap(sa: IkeSa, method: str) -> _Way:
    return _Way(
        sa,
        f"authenticated the user by {method}",
        Severity.MEDIUM,
        f"Users authenticate by {method}",
        f"What {method} answers can be searched for the password by whoever ends the IKE SA: all rests on the client "
        "checking the gateway's certificate.",
        "Use EAP-TLS or certificates for users; make sure that clients check the gateway's name and issuer.",
        ("RFC 7296 §2.16", "RFC 3748 §7.2"),
    )


def _way_unproven(sa: IkeSa, method: str) -> _Way:
    return _Way(
        sa,
        f"began {method} before the gateway had proved who it is: its first IKE_AUTH answer has no AUTH payload",
        Severity.HIGH,
        f"The gateway does not authenticate itself before {method}",
        f"RFC 5998 allows that for methods that authenticate both sides with keys of their own; {method} does not, so "
        "anybody can take the gateway's place and get the user's answers.",
        "Give the gateway a certificate and let it authenticate by a signature.",
        ("RFC 7296 §2.16", "RFC 5998 §4"),
    )


def _way_null(sa: IkeSa, *, is_gateway: bool) -> _Way:
    return _Way(
        sa,
        "used NULL authentication",
        Severity.MEDIUM if is_gateway else Severity.LOW,
        "The responder does not prove who it is (NULL authentication)"
        if is_gateway
        else "The initiator does not say who it is (NULL authentication)",
        "Encryption without knowing with whom stops listeners, and nobody who is in the way."
        if is_gateway
        else "The responder lets anybody in; the initiator knows whom it talks to.",
        "Where the peer is to be known, use certificates or a pre-shared key.",
        ("RFC 7619 §2",),
    )
