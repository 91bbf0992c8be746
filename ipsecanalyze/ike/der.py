"""Just enough DER (ITU-T X.690) to name what IKE carries: distinguished names, algorithm identifiers, certificates.

Reads tags and lengths inside fences and never recurses on input; verifies nothing. Malformed input raises WireError.
Certificates are verified elsewhere, by a library made for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.text import escape, hex_text

__all__ = ["CertificateFacts", "algorithm_text", "certificate_facts", "name_text", "oid_text"]

INTEGER, BIT_STRING, OID, UTC_TIME, GENERALIZED_TIME = 0x02, 0x03, 0x06, 0x17, 0x18
SEQUENCE, SET, CONTEXT_0, CONTEXT_1, CONTEXT_2 = 0x30, 0x31, 0xA0, 0xA1, 0xA2
BMP_STRING, UNIVERSAL_STRING, T61_STRING = 0x1E, 0x1C, 0x14
#: More relative names than this are no name that somebody means.
_MOST_NAMES = 64

#: RFC 4514 §3 and RFC 4519, and what IPsec implementations print for the rest.
_ATTRIBUTES = {
    "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.13": "D", "2.5.4.41": "N",
    "2.5.4.42": "G", "2.5.4.43": "I", "2.5.4.46": "dnQualifier", "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "E",
    "1.2.840.113549.1.9.2": "unstructuredName", "1.2.840.113549.1.9.8": "unstructuredAddress",
}  # fmt: skip

#: RFC 7427 Appendix A, RFC 8420, RFC 5758, RFC 9881, and key types and curves of RFC 3279, 5480 and 8410.
_ALGORITHMS = {
    "1.2.840.113549.1.1.1": "rsaEncryption", "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption", "1.2.840.113549.1.1.8": "mgf1",
    "1.2.840.113549.1.1.10": "RSASSA-PSS", "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption", "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption", "1.2.840.10040.4.1": "dsa",
    "1.2.840.10040.4.3": "dsa-with-sha1",
    "2.16.840.1.101.3.4.3.1": "dsa-with-sha224", "2.16.840.1.101.3.4.3.2": "dsa-with-sha256",
    "1.2.840.10045.2.1": "ecPublicKey", "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.1": "ecdsa-with-SHA224", "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384", "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384", "1.3.132.0.35": "P-521", "1.3.132.0.33": "P-224",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1", "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1", "1.3.101.110": "X25519", "1.3.101.111": "X448",
    "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448", "1.3.14.3.2.26": "SHA-1",
    "2.16.840.1.101.3.4.2.1": "SHA2-256", "2.16.840.1.101.3.4.2.2": "SHA2-384", "2.16.840.1.101.3.4.2.3": "SHA2-512",
    "2.16.840.1.101.3.4.2.4": "SHA2-224", "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65", "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What an X.509 certificate says about itself (RFC 5280 §4.1); nothing is verified. Texts are escaped."""

    subject: str
    issuer: str
    serial: str
    """Hex digits."""
    not_before: datetime
    not_after: datetime
    key: str
    """Type and size of the public key, as in "RSA 2048" or "P-256"."""
    signature_algorithm: str


def _element(data: bytes, position: int, end: int) -> tuple[int, int, int]:
    """(tag, start, end) of the element at `position`; single-octet tags, definite lengths of up to four octets."""
    if end - position < 2:
        raise WireError("DER element is cut short", layer="DER", offset=position)
    tag, length = data[position], data[position + 1]
    start = position + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or end - start < size:
            raise WireError("DER length cannot be read", layer="DER", offset=position)
        length = int.from_bytes(data[start : start + size])
        start += size
    if tag & 0x1F == 0x1F or length > end - start:
        raise WireError("DER element is longer than what holds it", layer="DER", offset=position)
    return tag, start, start + length


def _expect(data: bytes, position: int, end: int, tag: int) -> tuple[int, int]:
    found, start, stop = _element(data, position, end)
    if found != tag:
        raise WireError(f"DER tag {tag:#04x} expected, {found:#04x} found", layer="DER", offset=position)
    return start, stop


def _elements(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    while position < end:
        tag, start, stop = _element(data, position, end)
        yield tag, start, stop
        position = stop


def oid_text(encoded: bytes) -> str:
    """The dotted form of an object identifier's content octets."""
    if not encoded or encoded[-1] & 0x80 or len(encoded) > 64:
        raise WireError("object identifier cannot be read", layer="DER", offset=0)
    numbers: list[int] = []
    value = 0
    for octet in encoded:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in (first, numbers[0] - 40 * first, *numbers[1:]))


def _string(tag: int, data: bytes) -> str:
    if tag == BMP_STRING:
        text = data.decode("utf-16-be", "replace")
    elif tag == UNIVERSAL_STRING:
        text = data.decode("utf-32-be", "replace")
    elif tag == T61_STRING:
        text = data.decode("latin-1")
    else:
        return escape(data)
    return escape(text)


def _name(data: bytes, position: int, end: int) -> str:
    parts = []
    for tag, start, stop in _elements(data, position, end):
        if tag != SET:
            raise WireError("a relative name is a SET", layer="DER", offset=start)
        values = []
        for inner, at, until in _elements(data, start, stop):
            if inner != SEQUENCE:
                raise WireError("an attribute is a SEQUENCE", layer="DER", offset=at)
            oid_start, oid_stop = _expect(data, at, until, OID)
            oid = oid_text(data[oid_start:oid_stop])
            value_tag, value_start, value_stop = _element(data, oid_stop, until)
            # A comma of theirs must not look like one of ours (RFC 4514 §2.4).
            value = _string(value_tag, data[value_start:value_stop]).replace(",", "\\,")
            values.append(f"{_ATTRIBUTES.get(oid, oid)}={value}")
        parts.append("+".join(values))
        if len(parts) > _MOST_NAMES:
            raise WireError("a name of too many parts", layer="DER", offset=start)
    return ", ".join(parts)


def name_text(encoded: bytes) -> str:
    """A distinguished name as IPsec people write it, "C=CH, O=strongSwan, CN=moon", in the order of its octets.

    Escaped. Raises WireError where the octets are no Name (RFC 5280 §4.1.2.4).
    """
    start, stop = _expect(encoded, 0, len(encoded), SEQUENCE)
    if stop != len(encoded):
        raise WireError("octets behind the name", layer="DER", offset=stop)
    return _name(encoded, start, stop)


def _algorithm(data: bytes, start: int, stop: int) -> tuple[str, int]:
    oid_start, oid_stop = _expect(data, start, stop, OID)
    oid = oid_text(data[oid_start:oid_stop])
    return _ALGORITHMS.get(oid, oid), oid_stop


def algorithm_text(encoded: bytes) -> str:
    """An AlgorithmIdentifier in words: "ecdsa-with-SHA256", "RSASSA-PSS with SHA2-256, salt 32".

    Unknown ones come out dotted. Raises WireError where the octets are none (RFC 5280 §4.1.1.2).
    """
    start, stop = _expect(encoded, 0, len(encoded), SEQUENCE)
    name, parameters = _algorithm(encoded, start, stop)
    if name != "RSASSA-PSS":
        return name
    # RFC 4055 §3.1: SHA-1 and a salt of 20 octets unless said otherwise.
    hash_name, salt = "SHA-1", 20
    if parameters < stop:
        inner, end = _expect(encoded, parameters, stop, SEQUENCE)
        for tag, at, until in _elements(encoded, inner, end):
            if tag == CONTEXT_0:
                hash_start, hash_stop = _expect(encoded, at, until, SEQUENCE)
                hash_name, _ = _algorithm(encoded, hash_start, hash_stop)
            elif tag == CONTEXT_2:
                salt_start, salt_stop = _expect(encoded, at, until, INTEGER)
                salt = int.from_bytes(encoded[salt_start : min(salt_stop, salt_start + 8)])
    return f"{name} with {hash_name}, salt {salt}"


def _time(data: bytes, position: int, end: int) -> tuple[datetime, int]:
    tag, start, stop = _element(data, position, end)
    text = data[start:stop].decode("ascii", "replace")
    if tag == UTC_TIME:
        # RFC 5280 §4.1.2.5.1: two digits below 50 are of this century.
        text = ("20" if text[:1] < "5" else "19") + text
    elif tag != GENERALIZED_TIME:
        raise WireError("a time is expected", layer="DER", offset=position)
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC), stop
    except ValueError:
        raise WireError("time cannot be read", layer="DER", offset=start) from None


def _public_key(data: bytes, start: int, stop: int) -> str:
    algorithm_start, algorithm_stop = _expect(data, start, stop, SEQUENCE)
    name, parameters = _algorithm(data, algorithm_start, algorithm_stop)
    if name == "ecPublicKey":
        curve_start, curve_stop = _expect(data, parameters, algorithm_stop, OID)
        curve = oid_text(data[curve_start:curve_stop])
        return _ALGORITHMS.get(curve, f"EC {curve}")
    if name in ("rsaEncryption", "RSASSA-PSS"):
        bits_start, bits_stop = _expect(data, algorithm_stop, stop, BIT_STRING)
        key_start, key_stop = _expect(data, bits_start + 1, bits_stop, SEQUENCE)
        modulus_start, modulus_stop = _expect(data, key_start, key_stop, INTEGER)
        modulus = data[modulus_start:modulus_stop].lstrip(b"\0")
        bits = 8 * len(modulus) - 8 + modulus[0].bit_length() if modulus else 0
        return f"RSA {bits}"
    return name


@lru_cache(maxsize=64)
def certificate_facts(encoded: bytes) -> CertificateFacts:
    """What a certificate (RFC 5280 §4.1) says about itself; raises WireError where the octets are none."""
    start, stop = _expect(encoded, 0, len(encoded), SEQUENCE)
    position, end = _expect(encoded, start, stop, SEQUENCE)
    tag, _, after = _element(encoded, position, end)
    if tag == CONTEXT_0:
        position = after
    serial_start, serial_stop = _expect(encoded, position, end, INTEGER)
    algorithm_start, algorithm_stop = _expect(encoded, serial_stop, end, SEQUENCE)
    signature, _ = _algorithm(encoded, algorithm_start, algorithm_stop)
    issuer_start, issuer_stop = _expect(encoded, algorithm_stop, end, SEQUENCE)
    validity_start, validity_stop = _expect(encoded, issuer_stop, end, SEQUENCE)
    not_before, behind = _time(encoded, validity_start, validity_stop)
    not_after, _ = _time(encoded, behind, validity_stop)
    subject_start, subject_stop = _expect(encoded, validity_stop, end, SEQUENCE)
    key_start, key_stop = _expect(encoded, subject_stop, end, SEQUENCE)
    return CertificateFacts(
        subject=_name(encoded, subject_start, subject_stop),
        issuer=_name(encoded, issuer_start, issuer_stop),
        serial=hex_text(encoded[serial_start:serial_stop]),
        not_before=not_before,
        not_after=not_after,
        key=_public_key(encoded, key_start, key_stop),
        signature_algorithm=signature,
    )
