"""Certificates in the clear or opened: keys and signatures that are weak, validity at the time of the capture, names.

No chain is verified: which authorities the peers trust is not in a capture. A library reads the certificates.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, NamedTuple

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.signatures import hash_of
from ipsecanalyze.findings.audit.verdict import severity_of, year_of
from ipsecanalyze.findings.case import Case, payloads_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import count_of, series, span
from ipsecanalyze.ike.der import CertificateFacts
from ipsecanalyze.ike.payloads import CertPayload, IdPayload
from ipsecanalyze.sa.records import IkeSa, MessageRecord, Mode

__all__ = ["certificates", "names_of"]

#: Different certificates that are looked at.
_MOST: Final = 10_000
_CLEAR: Final = 8
#: P-192, brainpoolP160r1 and brainpoolP192r1: less than 112 bits of strength. And those with 112, as RSA of 2048 bits.
_WEAK_CURVES: Final = ("EC 1.2.840.10045.3.1.1", "EC 1.3.36.3.3.2.8.1.1.1", "EC 1.3.36.3.3.2.8.1.1.3")
_CURVES_224: Final = ("P-224", "EC 1.3.132.0.33", "EC 1.3.36.3.3.2.8.1.1.5")
_ADDRESS_4, _FQDN, _MAIL, _ADDRESS_6, _DN = 1, 2, 3, 5, 9
_IDS: Final = (5, 35, 36)


class _Seen(NamedTuple):
    sa: IkeSa
    record: MessageRecord
    facts: CertificateFacts
    slug: str
    severity: Severity
    fault: str
    meaning: str
    remedy: str
    references: tuple[str, ...]


def certificates(case: Case, profile: Profile) -> Iterator[Finding]:
    """Each certificate once for each that sends it."""
    found: Gathering[_Seen] = Gathering()
    judged: dict[tuple[str, bytes, bytes], list[_Seen]] = {}
    for record in _records(case):
        sa = record.ike_sa
        if sa is None:
            continue
        payloads = list(payloads_of(record))
        certs = [payload for payload in payloads if isinstance(payload, CertPayload)]
        identity = next((one for one in payloads if isinstance(one, IdPayload) and one.type in _IDS), None)
        for place, cert in enumerate(certs):
            named = identity if place == 0 else None
            key = record.datagram.source, hashlib.sha256(cert.data).digest(), named.body() if named else b""
            if key not in judged:
                if len(judged) >= _MOST:
                    break
                judged[key] = list(_judge(sa, record, cert, named, profile))
            for seen in judged[key]:
                spot = record.datagram.capture, record.datagram.frame
                found.add((key, seen.slug, seen.fault), seen, sa.id, lambda spot=spot: spot)  # type: ignore[misc]
    yield from found.findings(_finding)


def _records(case: Case) -> Iterator[MessageRecord]:
    """Messages that may have certificates: opened ones, and the first of aggressive mode, which are in the clear."""
    clear: dict[str, int] = {}
    for record in case.messages:
        sa = record.ike_sa
        if record.opened:
            yield record
        elif sa is not None and sa.mode is Mode.AGGRESSIVE and clear.get(sa.id, 0) < _CLEAR:
            clear[sa.id] = clear.get(sa.id, 0) + 1
            if not record.message.is_encrypted:
                yield record


def _finding(group: Group[_Seen]) -> Finding:
    seen = group.first
    sender = seen.record.datagram.source
    return Finding(
        slug=seen.slug,
        severity=seen.severity,
        certainty=Certainty.OBSERVED,
        subject=seen.sa.id,
        title=f"The certificate of {sender} {seen.fault}",
        explanation=f"{sender} sent the certificate of {seen.facts.subject} (issued by {seen.facts.issuer}, "
        f"{seen.facts.key}, signed with {seen.facts.signature_algorithm}) in frame {seen.record.datagram.frame}. It "
        f"{seen.fault}. {seen.meaning}" + group.others("message", "messages", ""),
        remedy=seen.remedy,
        frames=group.frames,
        references=seen.references,
        capture=group.capture,
    )


def _judge(
    sa: IkeSa, record: MessageRecord, cert: CertPayload, identity: IdPayload | None, profile: Profile
) -> Iterator[_Seen]:
    facts = cert.certificate
    if facts is None:
        return
    time_ns = record.datagram.time_ns
    moment = datetime.fromtimestamp(max(time_ns, 0) / 1e9, UTC)
    if not facts.not_before <= moment <= facts.not_after:
        apart = (facts.not_before - moment if moment < facts.not_before else moment - facts.not_after).total_seconds()
        days = count_of(int(apart // 86400), "day") if apart >= 172_800 else span(apart * 1e9)
        fault = f"had expired {days} before" if moment > facts.not_after else f"becomes valid only {days} later"
        yield _Seen(
            sa,
            record,
            facts,
            "expired-certificate",
            Severity.MEDIUM,
            f"{fault} at the time of the capture",
            f"It is valid from {facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}, and was captured on "
            f"{moment:%Y-%m-%d}, if the capturing system's clock is right. Peers that accept it check nothing.",
            "Renew the certificate, and let the peer reject those that are not valid; check the clocks.",
            ("RFC 5280 §4.1.2.5", "RFC 4945 §5.1.3"),
        )
    for severity, fault, meaning, reference in _weak(facts, profile, year_of(time_ns)):
        yield _Seen(
            sa,
            record,
            facts,
            "weak-certificate",
            severity,
            fault,
            meaning,
            "Issue a new certificate: RSA of 3072 bits or more or P-256, signed with SHA2-256 or more.",
            (reference,),
        )
    if identity is not None:
        names = names_of(cert.data)
        if names is not None and not _fits(identity, facts, names):
            shown = series(names, most=6) if names else "no alternative name"
            yield _Seen(
                sa,
                record,
                facts,
                "weak-certificate",
                Severity.MEDIUM,
                f"does not contain the identity {identity.text}",
                f"The sender claims to be {identity.text} ({identity.type_name}); the certificate has {shown}. A peer "
                "that accepts this lets everyone with a certificate of the same issuer claim that identity.",
                "Issue a certificate with the identity as subjectAltName, or configure the identity that it has.",
                ("RFC 7296 §3.5", "RFC 4945 §3.1"),
            )


def _weak(facts: CertificateFacts, profile: Profile, year: int) -> Iterator[tuple[Severity, str, str, str]]:
    limit = profile.limits.get("rsa-bits")
    kind, _, size = facts.key.partition(" ")
    if kind == "RSA" and size.isdigit() and limit is not None and int(size) < limit.value:
        severity = Severity.HIGH if int(size) < 2048 else Severity.MEDIUM
        yield (
            severity,
            f"has an RSA key of {size} bits",
            f"{limit.clause} asks for {limit.value} bits at least.",
            limit.clause,
        )
    fault = f"has a key of a kind that is too weak ({facts.key})"
    if facts.key in _WEAK_CURVES:
        yield Severity.MEDIUM, fault, "Its strength is less than 112 bits.", "SP 800-57pt1r5 §5.6.1"
    elif facts.key in _CURVES_224 and limit is not None and limit.value > 2048:
        meaning = f"Its strength is that of RSA with 2048 bits, and {limit.clause} asks for {limit.value}."
        yield Severity.MEDIUM, fault, meaning, limit.clause
    elif facts.key == "dsa":
        yield Severity.MEDIUM, fault, "DSS should not be used any more.", "RFC 8247 §3.1"
    name = hash_of(facts.signature_algorithm)
    if name in ("MD5", "SHA1") and facts.subject != facts.issuer:
        cell = profile.cell("signature-hash", name, year=year)
        severity = severity_of(cell) or Severity.MEDIUM
        yield (
            severity,
            f"is signed with {facts.signature_algorithm}",
            "Collisions of this hash were made in public: its issuer's signature may be on another certificate too.",
            cell.clause or "RFC 8247 §3.2",
        )


def names_of(encoded: bytes) -> list[str] | None:
    """The alternative names of a certificate, as text; None where a library cannot read it."""
    from cryptography import x509  # it is slow to load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            certificate = x509.load_der_x509_certificate(encoded)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        except Exception:
            return None
        found: list[str] = []
        for name in names:
            if isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier):
                found.append(name.value)
            elif isinstance(name, x509.IPAddress):
                found.append(str(name.value))
        return found


def _fits(identity: IdPayload, facts: CertificateFacts, names: list[str]) -> bool:
    """Whether a certificate contains an identity (RFC 4945 §3.1); unknown kinds fit."""
    lower = [name.lower() for name in names]
    if identity.id_type == _DN:
        return identity.text == facts.subject
    if identity.id_type in (_FQDN, _MAIL):
        text = identity.text.lower()
        if text in lower or f"cn={text}" in facts.subject.lower().split(", "):
            return True
        return any(name.startswith("*.") and text.partition(".")[2] == name[2:] for name in lower)
    if identity.id_type in (_ADDRESS_4, _ADDRESS_6) and len(identity.data) in (4, 16):
        return str(ip_address(identity.data)) in lower
    return True
