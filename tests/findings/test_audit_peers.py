"""Who the peers are and how they prove it: methods, signatures, certificates, what listeners learn."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from struct import pack

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

import ipsecanalyze
from ipsecanalyze.findings import Certainty, Finding, Severity
from ipsecanalyze.findings.audit.certificates import names_of
from ipsecanalyze.findings.audit.signatures import hash_of
from ipsecanalyze.ike.payloads import AuthPayload, CertPayload, EapPayload, IdPayload, Payload

sys.path.insert(0, str(Path(__file__).parent))
from audit_made import (
    HASH_V1,
    HASHES,
    HERE,
    ID_V1,
    KE_V1,
    NONCE_V1,
    SA_V1,
    START_NS,
    THERE,
    VENDOR,
    Wire,
    audited,
    message,
    notify,
    proposal_v1,
    sound,
)

CAPTURES = Path(__file__).parents[1] / "captures"
START = datetime.fromtimestamp(START_NS / 1e9, UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def shipped(name: str, *, with_keys: bool = True) -> list[Finding]:
    folder = CAPTURES / name
    keys = [folder / "keys"] if with_keys else None
    return ipsecanalyze.analyze(next(iter(sorted(folder.glob("wan.pcap*")))), keys=keys).audit()


def slugs(findings: list[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.slug, []).append(finding)
    return found


# IKEv1


def aggressive(auth: int = 1, digest: int = 4, *, answer: bool = True) -> Wire:
    wire = Wire()
    suite = proposal_v1((1, 7), (14, 256), (2, digest), (3, auth), (4, 14), (11, 1), (12, 3600))
    identity = (ID_V1, pack(">BBH", 2, 0, 0) + b"moon.example")
    body = [(SA_V1, suite), (KE_V1, sound(14, 1)), (NONCE_V1, b"n" * 16), identity]
    wire.send(message(5, 0, 4, 0, 0, *body, version=0x10), HERE, THERE)
    if answer:
        body = [(SA_V1, suite), (KE_V1, sound(14, 2)), (NONCE_V1, b"m" * 16), identity, (HASH_V1, b"h" * 32)]
        wire.send(message(5, 6, 4, 0, 0, *body, version=0x10), THERE, HERE)
    return wire


def test_aggressive_mode_with_a_pre_shared_key() -> None:
    found = audited(aggressive().case())
    (finding,) = found["aggressive-mode-psk"]
    assert (finding.severity, finding.frames) == (Severity.HIGH, (1, 2))
    assert found["identity-exposed"][0].frames == (1, 2)
    assert "moon.example" in found["identity-exposed"][0].explanation


def test_without_an_answer_there_is_no_hash() -> None:
    assert "aggressive-mode-psk" not in audited(aggressive(answer=False).case())


def test_aggressive_mode_with_signatures_gives_no_hash_of_a_key() -> None:
    assert "aggressive-mode-psk" not in audited(aggressive(auth=3).case())


@pytest.mark.parametrize(
    ("auth", "severity", "words"),
    [
        (65001, Severity.MEDIUM, "XAUTH"),
        (65005, Severity.LOW, "XAUTH"),
        (64221, Severity.LOW, "XAUTH"),
        (4, Severity.MEDIUM, "RSA-encrypted nonces"),
        (5, Severity.MEDIUM, "RSA-encrypted nonces"),
        (2, Severity.MEDIUM, "DSS"),
    ],
)
def test_methods_of_ikev1(auth: int, severity: Severity, words: str) -> None:
    (finding,) = audited(aggressive(auth).case())["weak-authentication"]
    assert (finding.severity, finding.frames) == (severity, (2,))
    assert words in finding.title


@pytest.mark.parametrize(("digest", "name"), [(1, "MD5"), (2, "SHA1")])
def test_signatures_of_ikev1(digest: int, name: str) -> None:
    (finding,) = audited(aggressive(3, digest).case())["weak-signature-hash"]
    assert (finding.severity, finding.frames) == (Severity.HIGH, (2,))
    assert name in finding.title
    assert "weak-signature-hash" not in audited(aggressive(1, digest).case())
    assert "weak-signature-hash" not in audited(aggressive(3, 4).case())


# IKEv2


def opened(
    *inside: tuple[Payload, ...], extra: tuple[tuple[int, bytes], ...] = (HASHES,), profile: str = "rfc"
) -> dict[str, list[Finding]]:
    """IKE_SA_INIT in frames 1 and 2, then opened IKE_AUTH messages, alternating."""
    wire = Wire()
    spis = wire.init(1, extra=extra)
    for number, _ in enumerate(inside):
        flags, ends = ((0x08, (HERE, THERE)), (0x20, (THERE, HERE)))[number % 2]
        wire.send(message(*spis, 35, flags, 1 + number // 2, (46, b"%016d" % number + bytes(100))), *ends)
    return audited(wire.case({3 + number: payloads for number, payloads in enumerate(inside)}), profile)


def identity(text: bytes = b"moon.example", kind: int = 2, *, of: int = 35) -> IdPayload:
    return IdPayload(type=of, id_type=kind, data=text)


def auth(method: int, data: bytes = b"s" * 32) -> AuthPayload:
    return AuthPayload(type=39, method=method, data=data)


MSCHAPV2 = EapPayload(type=48, code=1, identifier=1, eap_type=26, data=b"challenge")


def test_eap_mschapv2_behind_a_certificate() -> None:
    found = opened((identity(),), (identity(of=36), auth(14), MSCHAPV2))
    (finding,) = found["weak-authentication"]
    assert (finding.severity, finding.frames) == (Severity.MEDIUM, (4,))


def test_a_gateway_that_proves_nothing_before_eap() -> None:
    found = opened((identity(),), (identity(of=36), MSCHAPV2))
    worst = max(found["weak-authentication"], key=lambda one: one.severity.rank)
    assert (worst.severity, worst.frames) == (Severity.HIGH, (4,))


def test_null_authentication() -> None:
    (finding,) = opened((identity(), auth(13)), (identity(of=36), auth(14)))["weak-authentication"]
    assert (finding.severity, finding.frames) == (Severity.LOW, (3,))
    # Where the responder proves nothing either, who is in the way reads everything.
    (finding,) = opened((identity(), auth(13)), (identity(of=36), auth(13)))["weak-authentication"]
    assert (finding.severity, finding.frames) == (Severity.MEDIUM, (3,))


def rfc_7427(algorithm: bytes) -> bytes:
    return bytes((len(algorithm),)) + algorithm + b"s" * 32


SHA1_RSA = bytes.fromhex("300d06092a864886f70d0101050500")
SHA256_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
ECDSA_SHA1 = bytes.fromhex("300906072a8648ce3d0401")
PSS_DEFAULT = bytes.fromhex("300d06092a864886f70d01010a3000")


@pytest.mark.parametrize(
    ("payload", "severity", "certainty"),
    [
        (auth(14, rfc_7427(SHA1_RSA)), Severity.HIGH, Certainty.OBSERVED),
        (auth(14, rfc_7427(ECDSA_SHA1)), Severity.HIGH, Certainty.OBSERVED),
        (auth(14, rfc_7427(PSS_DEFAULT)), Severity.HIGH, Certainty.OBSERVED),
        (auth(1), Severity.MEDIUM, Certainty.INFERRED),
    ],
)
def test_weak_signatures(payload: AuthPayload, severity: Severity, certainty: Certainty) -> None:
    (finding,) = opened((identity(), payload), (identity(of=36), auth(2)))["weak-signature-hash"]
    assert (finding.severity, finding.certainty, finding.frames) == (severity, certainty, (3,))


def test_sound_signatures() -> None:
    found = opened((identity(), auth(14, rfc_7427(SHA256_RSA))), (identity(of=36), auth(2)))
    assert "weak-signature-hash" not in found
    assert "weak-authentication" not in found


def test_sha1_in_the_list_of_hashes() -> None:
    wire = Wire()
    wire.init(1, extra=(notify(16431, pack(">HH", 1, 2)),))
    found = audited(wire.case())["weak-signature-hash"]
    assert {(one.severity, one.frames) for one in found} == {(Severity.LOW, (1,)), (Severity.LOW, (2,))}


def test_no_list_of_hashes() -> None:
    wire = Wire()
    wire.init(1, extra=())
    (finding,) = audited(wire.case())["weak-signature-hash"]
    assert (finding.severity, finding.certainty, finding.frames) == (Severity.INFO, Certainty.INFERRED, (1,))


def test_names_of_hashes() -> None:
    assert hash_of("sha1WithRSAEncryption") == hash_of("RSASSA-PSS with SHA-1, salt 20") == "SHA1"
    assert hash_of("ecdsa-with-SHA256") == hash_of("RSASSA-PSS with SHA2-256, salt 32") == "SHA2_256"
    assert hash_of("sha512WithRSAEncryption") == "SHA2_512"
    assert hash_of("md5WithRSAEncryption") == "MD5"
    assert hash_of("Ed25519") is None


# Certificates


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def certificate(
    *,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = KEY,
    days: tuple[int, int] = (-100, 100),
    names: tuple[x509.GeneralName, ...] = (x509.DNSName("moon.example"),),
) -> CertPayload:
    subject = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"), x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(subject).serial_number(7).public_key(key.public_key())
    builder = builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")]))
    builder = builder.not_valid_before(START + timedelta(days[0])).not_valid_after(START + timedelta(days[1]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    encoded = builder.sign(KEY, hashes.SHA256()).public_bytes(encoding=_der())
    return CertPayload(type=37, encoding=4, data=encoded)


def _der():
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def of_certificate(
    cert: CertPayload, claimed: IdPayload | None = None, *, profile: str = "rfc"
) -> dict[str, list[Finding]]:
    signed = auth(14, rfc_7427(SHA256_RSA))
    return opened((claimed or identity(), cert, signed), (identity(of=36), auth(2)), profile=profile)


def test_a_sound_certificate() -> None:
    found = of_certificate(certificate())
    assert not {"weak-certificate", "expired-certificate"} & found.keys()


def test_curves_are_judged_as_rsa_of_their_strength() -> None:
    """P-224 has the 112 bits of RSA with 2048 bits: weak where that is weak, and nowhere else."""
    cert = certificate(key=ec.generate_private_key(ec.SECP224R1()))
    assert "weak-certificate" not in of_certificate(cert)
    assert "weak-certificate" in of_certificate(cert, profile="bsi-tr-02102-3")
    (finding,) = of_certificate(certificate(key=ec.generate_private_key(ec.SECP192R1())))["weak-certificate"]
    assert finding.references == ("SP 800-57pt1r5 §5.6.1",)


@pytest.mark.parametrize(
    ("days", "words"), [((-400, -35), "expired 35 days before"), ((3, 100), "becomes valid only 2 days later")]
)
def test_validity_at_the_time_of_the_capture(days: tuple[int, int], words: str) -> None:
    (finding,) = of_certificate(certificate(days=days))["expired-certificate"]
    assert (finding.severity, finding.frames) == (Severity.MEDIUM, (3,))
    assert words in finding.title


def test_short_keys_by_the_profile() -> None:
    (finding,) = of_certificate(certificate(key=rsa_key(1024)))["weak-certificate"]
    assert (finding.severity, finding.frames) == (Severity.HIGH, (3,))
    assert "1024 bits" in finding.title
    assert "weak-certificate" not in of_certificate(certificate(key=rsa_key(2048)))
    assert not [one for one in shipped("v2-cert-gcm-esn-a") if one.slug == "weak-certificate"]


@pytest.mark.parametrize(
    ("claimed", "fits"),
    [
        (identity(b"moon.example"), True),
        (identity(b"MOON.example"), True),
        (identity(b"sun.example"), False),
        (identity(b"moon@example.org", 3), True),
        (identity(b"sun@example.org", 3), False),
        (identity(bytes((192, 0, 2, 1)), 1), True),
        (identity(bytes((192, 0, 2, 2)), 1), False),
        (identity(ip_address("2001:db8::1").packed, 5), True),
        (identity(b"branch7.example.net"), True),
        (identity(b"key", 11), True),
        (identity(bytes.fromhex("3000"), 9), False),
    ],
)  # fmt: skip
def test_the_identity_is_in_the_certificate(claimed: IdPayload, fits: bool) -> None:
    names = (
        x509.DNSName("moon.example"),
        x509.DNSName("*.example.net"),
        x509.RFC822Name("moon@example.org"),
        x509.IPAddress(ip_address("192.0.2.1")),
        x509.IPAddress(ip_address("2001:db8::1")),
    )
    assert ("weak-certificate" not in of_certificate(certificate(names=names), claimed)) is fits


def test_the_name_of_a_certificate_is_an_identity() -> None:
    cert = certificate(names=())
    subject = x509.load_der_x509_certificate(cert.data).subject.public_bytes()
    assert "weak-certificate" not in of_certificate(cert, identity(subject, 9))
    assert "weak-certificate" in of_certificate(cert, identity(b"moon.example"))


@given(st.binary(max_size=300))
def test_any_octets_may_be_a_certificate(octets: bytes) -> None:
    names_of(octets)
    names_of(certificate().data[: len(octets)] + octets)


def test_shipped_certificates_fit_their_identities() -> None:
    for name in ("v2-cert-gcm-esn-a", "v2-frag-a", "v1-main-cert-a", "v2-ipfrag-a"):
        assert not {"weak-certificate", "expired-certificate"} & slugs(shipped(name)).keys()


# Exposure


def test_vendor_ids_that_name_an_implementation() -> None:
    wire = Wire()
    wire.init(1, extra=(HASHES, (VENDOR, bytes.fromhex("882fe56d6fd20dbc2251613b2ebe5beb"))))  # strongSwan
    wire.init(2, extra=(HASHES, (VENDOR, bytes.fromhex("882fe56d6fd20dbc2251613b2ebe5beb"))))
    findings = audited(wire.case())["implementation-exposed"]
    assert {(one.subject, one.frames) for one in findings} == {(HERE, (1, 3)), (THERE, (2, 4))}
    assert all(one.severity is Severity.INFO for one in findings)


def test_capabilities_name_nobody() -> None:
    wire = Wire()
    wire.init(1, extra=(HASHES, (VENDOR, bytes.fromhex("4a131c81070358455c5728f20e95452f"))))  # RFC 3947
    assert "implementation-exposed" not in audited(wire.case())
