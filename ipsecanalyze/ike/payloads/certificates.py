"""Certificates and requests for them (RFC 7296 §3.6, §3.7; RFC 2408 §3.9, §3.10).

Says what a certificate says of itself; verifies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.der import CertificateFacts, certificate_facts, name_text
from ipsecanalyze.ike.payloads.base import Payload, Problems, TreeLine, numbered, require
from ipsecanalyze.ike.text import escape, hex_text, measured
from ipsecanalyze.registry import ikev1, ikev2

__all__ = ["CertPayload", "CertRequestPayload", "parse_cert", "parse_cert_request"]

#: Encodings, the same in both versions but for the last two, which IKEv1 does not have.
_X509 = (4, 5)
_HASH_AND_URL = (12, 13)
#: IKEv2's CERTREQ lists SHA-1 hashes of the issuers' keys (RFC 7296 §3.7).
_HASH_OCTETS = 20
_V1_CERT, _V1_CERT_REQUEST = 6, 7


def _encoding(kind: int, encoding: int) -> ikev1.CertEncoding | ikev2.CertEncoding:
    if kind in (_V1_CERT, _V1_CERT_REQUEST):
        return ikev1.CertEncoding(encoding)
    return ikev2.CertEncoding(encoding)


@dataclass(slots=True, kw_only=True)
class CertPayload(Payload):
    """Certificate: one certificate, revocation list, or the hash and URL of one."""

    label: ClassVar[str] = "CERT"
    title: ClassVar[str] = "Certificate"

    encoding: int
    """`CertEncoding` number."""
    data: bytes

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return bytes((self.encoding,)) + self.data

    @property
    def certificate(self) -> CertificateFacts | None:
        """What the certificate says; None for other encodings and for octets that cannot be read."""
        if self.encoding not in _X509:
            return None
        try:
            return certificate_facts(self.data)
        except WireError:
            return None

    @property
    def url(self) -> str | None:
        """Where the certificate is to be had, for the "hash and URL" encodings; escaped."""
        if self.encoding in _HASH_AND_URL and len(self.data) > _HASH_OCTETS:
            return escape(self.data[_HASH_OCTETS:])
        return None

    @property
    def summary(self) -> str:
        """As in "CERT[C=CH, O=strongSwan, CN=moon]", or the encoding."""
        facts = self.certificate
        return f"CERT[{facts.subject if facts else self.url or _encoding(self.type, self.encoding).name}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Encoding, and what can be read."""
        yield TreeLine(at, "encoding", numbered(_encoding(self.type, self.encoding)), 1)
        at += 1
        facts = self.certificate
        if facts:
            yield TreeLine(at, "subject", facts.subject, 1)
            yield TreeLine(at, "issuer", facts.issuer, 1)
            yield TreeLine(at, "serial number", facts.serial, 1)
            yield TreeLine(
                at, "valid", f"{facts.not_before:%Y-%m-%d %H:%M:%S} to {facts.not_after:%Y-%m-%d %H:%M:%S} UTC", 1
            )
            yield TreeLine(at, "public key", facts.key, 1)
            yield TreeLine(at, "signed with", facts.signature_algorithm, 1)
        elif self.url:
            yield TreeLine(at, "SHA-1", hex_text(self.data[:_HASH_OCTETS]), 1)
            yield TreeLine(at + _HASH_OCTETS, "URL", self.url, 1)
        yield TreeLine(at, "data", measured(self.data, 32), 1)


@dataclass(slots=True, kw_only=True)
class CertRequestPayload(Payload):
    """Certificate Request: which issuers the sender trusts."""

    label: ClassVar[str] = "CERTREQ"
    title: ClassVar[str] = "Certificate Request"

    encoding: int
    """`CertEncoding` number."""
    data: bytes
    """IKEv2: SHA-1 hashes of issuers' public keys; IKEv1: a distinguished name."""

    def body(self) -> bytes:
        """The octets behind the generic payload header."""
        return bytes((self.encoding,)) + self.data

    @property
    def authorities(self) -> tuple[str, ...]:
        """IKEv2: the hashes in hex; IKEv1: the issuer's name. Octets of no such form come as one hex text."""
        if not self.data:
            return ()
        if self.type == _V1_CERT_REQUEST:
            try:
                return (name_text(self.data),)
            except WireError:
                return (hex_text(self.data),)
        if len(self.data) % _HASH_OCTETS:
            return (hex_text(self.data),)
        return tuple(self.data[i : i + _HASH_OCTETS].hex() for i in range(0, len(self.data), _HASH_OCTETS))

    @property
    def summary(self) -> str:
        """As in "CERTREQ[2 authorities]", IKEv1 "CERTREQ[C=CH, O=strongSwan, CN=CA]"."""
        authorities = self.authorities
        if self.type == _V1_CERT_REQUEST and authorities:
            return f"CERTREQ[{authorities[0]}]"
        return f"CERTREQ[{len(authorities)} authorit{'y' if len(authorities) == 1 else 'ies'}]"

    def lines(self, at: int) -> Iterator[TreeLine]:
        """Encoding and authorities."""
        yield TreeLine(at, "encoding", numbered(_encoding(self.type, self.encoding)), 1)
        for index, authority in enumerate(self.authorities):
            yield TreeLine(at + 1 + index * _HASH_OCTETS, "authority", authority, 1)


def parse_cert(kind: int, body: bytes, problems: Problems) -> CertPayload:
    """Read a CERT payload of either version."""
    del problems
    require(body, 1, "CERT payload")
    return CertPayload(type=kind, encoding=body[0], data=body[1:])


def parse_cert_request(kind: int, body: bytes, problems: Problems) -> CertRequestPayload:
    """Read a CERTREQ payload of either version."""
    del problems
    require(body, 1, "CERTREQ payload")
    return CertRequestPayload(type=kind, encoding=body[0], data=body[1:])
