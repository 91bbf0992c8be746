"""Verifying the signatures of AUTH and SIG payloads with the signer's certificate.

Only the signature is verified: whether the certificate is to be trusted is not looked at.
"""

from __future__ import annotations

from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ipsecanalyze.errors import DecryptError, WireError
from ipsecanalyze.ike.der import algorithm_text
from ipsecanalyze.registry.ikev2 import AuthMethod

__all__ = ["verify_phase1_signature", "verify_signature"]

_RSA, _DIGITAL_SIGNATURE = 1, 14
#: RFC 4754 §3: the curve tells the hash; octets of r and of s.
_ECDSA: MappingProxyType[int, tuple[type[hashes.HashAlgorithm], int]] = MappingProxyType(
    {9: (hashes.SHA256, 32), 10: (hashes.SHA384, 48), 11: (hashes.SHA512, 66)}
)
_HASHES: MappingProxyType[str, type[hashes.HashAlgorithm]] = MappingProxyType(
    {
        "sha1": hashes.SHA1,
        "sha224": hashes.SHA224,
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
)
#: Ed25519, and Ed448 by its OID (RFC 8410 §3).
_EDWARDS = ("Ed25519", "Ed448", "1.3.101.113")
#: RFC 8017 §A.2.3: the salt of PSS, and the hash where the parameters name none.
_PSS_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512, hashes.SHA1)


def verify_signature(method: int, data: bytes, octets: bytes, certificate: bytes) -> bool:
    """Whether an AUTH payload's signature is right (RFC 7296 §2.15, RFC 4754, RFC 7427, RFC 8420).

    `method` and `data` are the payload's, `octets` what `ikev2.signed_octets` gives, `certificate` the DER of an X.509
    certificate or of a raw public key (SubjectPublicKeyInfo, RFC 7670). Raises DecryptError: "certificate" where it
    cannot be read, "unsupported" for a method or algorithm that nothing here verifies.
    """
    key = _public_key(certificate)
    try:
        return _verify(key, method, data, octets)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, OverflowError) as error:
        raise DecryptError(f"this signature cannot be verified: {error}", slug="unsupported") from None


def _public_key(certificate: bytes) -> object:
    try:
        return x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm, TypeError):
        pass
    try:
        return load_der_public_key(certificate)
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise DecryptError("the certificate has no public key that can be read", slug="certificate") from None


def _verify(key: object, method: int, data: bytes, octets: bytes) -> bool:
    if method == _RSA and isinstance(key, rsa.RSAPublicKey):
        return any(_rsa_is_right(key, data, octets, digest) for digest in (hashes.SHA1, hashes.SHA256, hashes.SHA512))
    if method in _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
        digest, size = _ECDSA[method]
        if len(data) != 2 * size:
            return False
        pair = encode_dss_signature(int.from_bytes(data[:size]), int.from_bytes(data[size:]))
        key.verify(pair, octets, ec.ECDSA(digest()))
        return True
    if method == _DIGITAL_SIGNATURE:
        return _verify_named(key, data, octets)
    raise DecryptError(f"{AuthMethod(method).name} cannot be verified with this certificate", slug="unsupported")


def _rsa_is_right(key: rsa.RSAPublicKey, data: bytes, octets: bytes, digest: type[hashes.HashAlgorithm]) -> bool:
    # RFC 7296 §3.8: SHA-1 unless known better; the signature itself names the hash, and some senders use SHA-2.
    try:
        key.verify(data, octets, padding.PKCS1v15(), digest())
    except InvalidSignature:
        return False
    return True


def _verify_named(key: object, data: bytes, octets: bytes) -> bool:
    """RFC 7427 §3: the length of the algorithm identifier, the identifier in DER, the signature."""
    if not data or len(data) <= 1 + data[0]:
        return False
    identifier, signature = data[1 : 1 + data[0]], data[1 + data[0] :]
    try:
        name = algorithm_text(identifier)
    except WireError:
        raise DecryptError("the algorithm identifier cannot be read", slug="malformed") from None
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)) and name.startswith(_EDWARDS):
        key.verify(signature, octets)
        return True
    digest = next(
        (made for label, made in _HASHES.items() if label in name.lower().replace("sha2-", "sha").replace("-", "")),
        None,
    )
    if isinstance(key, ec.EllipticCurvePublicKey) and digest is not None and name.startswith("ecdsa"):
        key.verify(signature, octets, ec.ECDSA(digest()))
        return True
    if isinstance(key, rsa.RSAPublicKey) and "PSS" in name:
        return any(_pss_is_right(key, signature, octets, made) for made in ((digest,) if digest else _PSS_HASHES))
    if isinstance(key, rsa.RSAPublicKey) and digest is not None and "WithRSA" in name:
        key.verify(signature, octets, padding.PKCS1v15(), digest())
        return True
    raise DecryptError(f"{name} cannot be verified with this certificate", slug="unsupported")


def _pss_is_right(key: rsa.RSAPublicKey, signature: bytes, octets: bytes, digest: type[hashes.HashAlgorithm]) -> bool:
    try:
        key.verify(signature, octets, padding.PSS(padding.MGF1(digest()), padding.PSS.AUTO), digest())
    except InvalidSignature:
        return False
    return True


def verify_phase1_signature(signature: bytes, expected: bytes, certificate: bytes) -> bool:
    """Whether IKEv1's SIG payload signs HASH_I or HASH_R, `expected` (RFC 2409 §5.1); RSA, and ECDSA of RFC 4754.

    RSA signs the hash itself, without naming the algorithm (RFC 2409 §5.1). Raises DecryptError as above.
    """
    key = _public_key(certificate)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            return key.recover_data_from_signature(signature, padding.PKCS1v15(), None) == expected
        if isinstance(key, ec.EllipticCurvePublicKey):
            for digest, size in _ECDSA.values():
                if len(signature) == 2 * size:
                    pair = encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
                    key.verify(pair, expected, ec.ECDSA(digest()))
                    return True
            return False
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError) as error:
        raise DecryptError(f"this signature cannot be verified: {error}", slug="unsupported") from None
    raise DecryptError("signatures of this kind of key are not verified", slug="unsupported")
