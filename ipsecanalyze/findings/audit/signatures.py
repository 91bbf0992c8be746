"""Hashes of signatures: SHA-1 and MD5 in IKEv1's phase 1, in IKEv2's SIGNATURE_HASH_ALGORITHMS, in AUTH payloads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import Spot, choice_record
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.verdict import cell_text, severity_of, year_of
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.ike.payloads import AuthPayload
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import IkeSa, NotifySeen

__all__ = ["hash_of", "weak_signature_hash"]

_HASHES: Final = int(ikev2.NotifyType.SIGNATURE_HASH_ALGORITHMS)
_AUTH: Final = int(ikev2.ExchangeType.IKE_AUTH)
_RSA, _DSS, _DIGITAL_SIGNATURE = 1, 3, 14
_BY_SIGNATURE: Final = ("DSS_SIGNATURES", "RSA_SIGNATURES", "XAUTH_INIT_RSA", "XAUTH_RESP_RSA", "XAUTH_INIT_DSS",
                        "XAUTH_RESP_DSS", "HYBRID_INIT_RSA", "HYBRID_RESP_RSA")  # fmt: skip


class _Hash(NamedTuple):
    sa: IkeSa
    severity: Severity
    certainty: Certainty
    title: str
    explanation: str
    remedy: str
    references: tuple[str, ...]


def hash_of(signature: str) -> str | None:
    """The row of a profile's "signature-hash" that a signature algorithm belongs to: "SHA1" of "ecdsa-with-SHA1"."""
    match = re.search(r"(md5|sha-?1(?![0-9])|sha2?-?(256|384|512))", signature, re.IGNORECASE)
    if match is None:
        return None
    if match[2]:
        return f"SHA2_{match[2]}"
    return "MD5" if match[1].lower() == "md5" else "SHA1"


def weak_signature_hash(case: Case, profile: Profile) -> Iterator[Finding]:
    """Look at each IKE SA: what was agreed on, what is offered, what was signed with."""
    found: Gathering[_Hash] = Gathering()
    for sa in case.ike_sas:
        looks = _of_v1(case, sa, profile) if sa.version == "1.0" else _of_v2(case, sa, profile)
        for one, spot in looks:
            found.add((one.title, sa.initiator.address, sa.responder.address), one, sa.id, spot)
    yield from found.findings(_finding)


def _finding(group: Group[_Hash]) -> Finding:
    one = group.first
    return Finding(
        slug="weak-signature-hash",
        severity=one.severity,
        certainty=one.certainty,
        subject=one.sa.id,
        title=one.title,
        explanation=one.explanation + group.others("IKE SA", "IKE SAs"),
        remedy=one.remedy,
        frames=group.frames,
        references=one.references,
        capture=group.capture,
    )


def _of_v1(case: Case, sa: IkeSa, profile: Profile) -> Iterator[tuple[_Hash, Callable[[], Spot | None]]]:
    names = {algorithm.type: algorithm.name for algorithm in sa.chosen}
    if names.get("AUTH") not in _BY_SIGNATURE or names.get("HASH") not in ("MD5", "SHA1"):
        return
    name = names["HASH"]
    cell = profile.cell("signature-hash", name, year=year_of(sa.first_time_ns))
    severity = severity_of(cell)
    if severity is None:
        return

    def spot() -> Spot | None:
        record = choice_record(case, sa)
        return (record.datagram.capture, record.datagram.frame) if record is not None else None

    yield (
        _Hash(
            sa,
            severity,
            Certainty.OBSERVED,
            f"IKEv1 signatures rest on {name}",
            f"{sa.initiator.address} and {sa.responder.address} agreed on {names['AUTH']} with the hash {name}: what "
            "is signed is made with it, and collisions let others use a signature made for something else (SLOTH). "
            f"{cell_text(cell, name)}",
            "Move to IKEv2 with RFC 7427 signatures; until then choose SHA-256 as the hash of phase 1.",
            (cell.clause, "RFC 2409 §5.1"),
        ),
        spot,
    )


def _of_v2(case: Case, sa: IkeSa, profile: Profile) -> Iterator[tuple[_Hash, Callable[[], Spot | None]]]:
    signed = list(_signed(case, sa, profile)) if sa.decrypted else []
    for one, where in signed:
        yield one, lambda where=where: where  # type: ignore[misc]
    sent = [notify for notify in sa.notifies if notify.type == _HASHES]
    cell = profile.cell("signature-hash", "SHA1", year=year_of(sa.first_time_ns))
    if severity_of(cell) is not None:
        for notify in sent:
            if "SHA1" in re.split(r"[^A-Za-z0-9_]+", notify.data):
                yield _listed(sa, notify, cell.clause), _place(case, sa, notify.frame)
    uses_psk = sa.decrypted and (sa.authentication_initiator, sa.authentication_responder) == ("psk", "psk")
    # A responder answers only if it will verify signatures (RFC 7427 §4): its silence says little.
    is_silent = not any(notify.from_initiator for notify in sent)
    if is_silent and sa.chosen and sa.offered and not (sa.started_late or signed or uses_psk):
        yield _silent(sa), _place(case, sa, sa.frames[0] if sa.frames else 0)


def _place(case: Case, sa: IkeSa, frame: int) -> Callable[[], Spot | None]:
    return lambda: (case.capture_of(sa), frame) if frame else None


def _listed(sa: IkeSa, notify: NotifySeen, clause: str) -> _Hash:
    side, peer = ("initiator", sa.initiator) if notify.from_initiator else ("responder", sa.responder)
    return _Hash(
        sa,
        Severity.LOW,
        Certainty.OBSERVED,
        f"The {side} accepts signatures with SHA-1",
        f"The {side} ({peer.address}) lists SHA-1 among the hashes of signatures that it accepts: {notify.data}. The "
        "other side may sign with it, and so may whoever finds collisions.",
        f"Take SHA-1 out of the signature hashes of {peer.address}.",
        (clause, "RFC 7427 §4"),
    )


def _silent(sa: IkeSa) -> _Hash:
    return _Hash(
        sa,
        Severity.INFO,
        Certainty.INFERRED,
        "RFC 7427 signatures are not negotiated: RSA certificates would sign with SHA-1",
        f"{sa.initiator.address} sends no SIGNATURE_HASH_ALGORITHMS: it does not know RFC 7427, or authenticates by a "
        "pre-shared key and leaves it out. In the first case RSA signatures are made with SHA-1 as a rule; with "
        "pre-shared keys or ECDSA it does not matter.",
        "If certificates are used, update the side that does not send it, or switch RFC 7427 signatures on.",
        ("RFC 7427 §4", "RFC 7296 §3.8"),
    )


def _signed(case: Case, sa: IkeSa, profile: Profile) -> Iterator[tuple[_Hash, Spot]]:
    year = year_of(sa.first_time_ns)
    for record in case.messages_of(sa):
        if not record.opened or record.message.exchange_type != _AUTH:
            continue
        auth = next((payload for payload in record.opened if isinstance(payload, AuthPayload)), None)
        if auth is None or auth.method not in (_RSA, _DSS, _DIGITAL_SIGNATURE):
            continue
        text = auth.signature_algorithm or ""
        name = hash_of(text) if auth.method == _DIGITAL_SIGNATURE else "SHA1"
        cell = profile.cell("signature-hash", name, year=year) if name is not None else None
        severity = severity_of(cell) if cell is not None else None
        if cell is None or severity is None:
            continue
        side = "responder" if record.from_initiator is False else "initiator"
        certainty = Certainty.OBSERVED
        how = f"signs by {text}"
        if auth.method != _DIGITAL_SIGNATURE:
            # The hash is inside the signature; SHA-1 is the one to use by default.
            certainty, severity = Certainty.INFERRED, min(severity, Severity.MEDIUM, key=lambda one: one.rank)
            how = f"signs by the method {auth.text}, whose hash is SHA-1 as a rule"
        yield (
            _Hash(
                sa,
                severity,
                certainty,
                f"The {side} signs with a weak hash: {name}",
                f"The {side} ({record.datagram.source}) {how} in frame {record.datagram.frame}. "
                f"{cell_text(cell, str(name))}",
                "Use RFC 7427 signatures with SHA2-256 or more on both sides.",
                (cell.clause, "RFC 7296 §3.8"),
            ),
            (record.datagram.capture, record.datagram.frame),
        )
