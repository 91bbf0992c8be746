"""Secrets of one run: pre-shared keys, EAP passwords, an authority and certificates. Fresh, and never printed.

They go into containers as files (mode 0600), never on a command line or into an environment.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

__all__ = ["Certified", "Credentials", "identity"]

_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def identity(node: str) -> str:
    """The IKE identity of a node."""
    return f"{node}.lab.example"


@dataclass(frozen=True, slots=True)
class Certified:
    """A node's certificate and private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


class Credentials:
    """Makes what is asked for, the same for the same name."""

    def __init__(self) -> None:
        self._secrets: dict[str, bytes] = {}
        self._authorities: dict[str, tuple[_PrivateKey, x509.Certificate]] = {}
        self._certified: dict[tuple[str, str], Certified] = {}

    def __repr__(self) -> str:
        return f"Credentials(secrets={len(self._secrets)}, certificates={len(self._certified)})"

    def secret(self, name: str) -> bytes:
        """32 random octets under this name."""
        return self._secrets.setdefault(name, secrets.token_bytes(32))

    def password(self, name: str) -> str:
        """A password for EAP."""
        return self.secret(f"eap {name}").hex()[:24]

    def authority(self, kind: str) -> bytes:
        """The certificate (PEM) of the authority of this kind, "rsa" or "ecdsa"."""
        return self._authority(kind)[1].public_bytes(serialization.Encoding.PEM)

    def certified(self, node: str, kind: str) -> Certified:
        """A node's certificate by that authority, for its `identity`."""
        if (node, kind) not in self._certified:
            issuer_key, issuer = self._authority(kind)
            key = _new_key(kind)
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity(node))])
            certificate = (
                _builder(subject, issuer.subject, key)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(identity(node))]), critical=False)
                .sign(issuer_key, hashes.SHA256())
            )
            self._certified[node, kind] = Certified(
                certificate.public_bytes(serialization.Encoding.PEM),
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                ),
            )
        return self._certified[node, kind]

    def _authority(self, kind: str) -> tuple[_PrivateKey, x509.Certificate]:
        if kind not in self._authorities:
            key = _new_key(kind)
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lab authority ({kind})")])
            certificate = (
                _builder(name, name, key)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .sign(key, hashes.SHA256())
            )
            self._authorities[kind] = key, certificate
        return self._authorities[kind]


def _new_key(kind: str) -> _PrivateKey:
    if kind == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _builder(subject: x509.Name, issuer: x509.Name, key: _PrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of engines on other machines
        .not_valid_after(now + timedelta(days=30))
    )
