"""Identities, selectors, configuration, EAP, certificates, AUTH, Delete, vendor IDs: fields and how they are worded."""

from __future__ import annotations

import datetime
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ipsecanalyze.ike.chain import parse_payloads, write_payloads
from ipsecanalyze.ike.message import parse_ike
from ipsecanalyze.ike.payloads import (
    AuthPayload,
    CertPayload,
    CertRequestPayload,
    ConfigPayload,
    DeletePayload,
    EapPayload,
    IdPayload,
    MalformedPayload,
    NatOriginalAddressPayload,
    TrafficSelectorPayload,
    VendorIdPayload,
)

H = bytes.fromhex


def read(kind, body, major=2):
    body = H(body) if isinstance(body, str) else body
    data = b"\0\0" + (4 + len(body)).to_bytes(2) + body
    payloads, trailing, notices = parse_payloads(data, kind, major)
    assert write_payloads(payloads) + trailing == data
    assert all((line.name + line.value).isprintable() for payload in payloads for line in payload.describe())
    return payloads[0], [notice.slug for notice in notices]


def inside(found):
    return parse_payloads(found.data, found.first_type, found.major, 0, found.exchange_type)[0]


#: RFC 7427 Appendix A.4.3.
RSASSA_PSS_SHA256 = (
    "0e000000 43 304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120 aabb"
)

MOON = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "strongSwan"),
        x509.NameAttribute(NameOID.COMMON_NAME, "moon"),
    ]
)


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (1, H("c0000201"), "192.0.2.1"),
        (1, H("c00002"), "c00002"),
        (2, b"moon.strongswan.org", "moon.strongswan.org"),
        (3, b"carol@example.org", "carol@example.org"),
        (5, H("20010db8000000000000000000000001"), "2001:db8::1"),
        (9, MOON.public_bytes(), "C=CH, O=strongSwan, CN=moon"),
        (9, b"\x30\x05junk", "30056a756e6b"),
        (10, b"\x82\x04moon", "moon"),
        (10, b"\x87\x04\xc0\x00\x02\x01", "192.0.2.1"),
        (10, b"\xa4" + bytes((len(MOON.public_bytes()),)) + MOON.public_bytes(), "C=CH, O=strongSwan, CN=moon"),
        (11, b"group-a", '"group-a"'),
        (11, H("00ff"), "00ff"),
        (13, b"", "(none)"),
        (2, "mönch".encode(), "mönch"),
        (2, b"a\x1b[2Jb\n", "a\\x1b[2Jb\\x0a"),
        (2, "abc\u202egpj.exe".encode(), "abc\\u202egpj.exe"),
        (2, b"\xff\xfe", "\\xff\\xfe"),
        (2, b"back\\slash", "back\\\\slash"),
    ],
)
def test_ikev2_identities(kind, data, text):
    identity, problems = read(35, bytes((kind, 0, 0, 0)) + data)
    assert problems == []
    assert isinstance(identity, IdPayload)
    assert identity.text == text
    assert identity.summary == f"IDi[{text}]"


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (4, H("0a010000ffffff00"), "10.1.0.0/24"),
        (4, H("0a010000ff00ff00"), "10.1.0.0/255.0.255.0"),
        (4, H("0a01"), "0a01"),
        (6, H("fd010000000000000000000000000000ffffffffffffffff0000000000000000"), "fd01::/64"),
        (7, H("0a0100050a010009"), "10.1.0.5-10.1.0.9"),
        (8, H("fd01" + "00" * 14 + "fd01" + "00" * 13 + "0f"), "fd01::/124"),
    ],
)
def test_ikev1_identities_name_traffic(kind, data, text):
    identity, problems = read(5, bytes((kind, 6, 0x13, 0x89)) + data, 1)
    assert problems == []
    assert (identity.protocol, identity.port) == (6, 5001)
    assert identity.text == text
    assert identity.summary == f"ID[{text}, tcp/5001]"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ("07000010 0000ffff 0a010000 0a0100ff", "10.1.0.0/24"),
        ("07060010 13891389 0a010000 0a0100ff", "10.1.0.0/24[tcp/5001]"),
        ("07110010 13891392 0a010005 0a010005", "10.1.0.5/32[udp/5001-5010]"),
        ("07060010 0000ffff 00000000 ffffffff", "0.0.0.0/0[tcp]"),
        ("07010010 08000800 0a010001 0a010003", "10.1.0.1-10.1.0.3[icmp/8(0)]"),
        ("07000010 ffff0000 0a010000 0a0100ff", "10.1.0.0/24[0/OPAQUE]"),
        ("07000010 0000ffff 0a0100ff 0a010000", "10.1.0.255-10.1.0.0"),
        ("08000028 0000ffff" + "fd01" + "00" * 14 + "fd01" + "00" * 6 + "ff" * 8, "fd01::/64"),
        ("0a00000c 7365637265743a73", 'label "secret:s"'),
        ("f1000006 0102", "TS_241 0102"),
    ],
)
def test_traffic_selectors(fields, text):
    payload, problems = read(44, H("01000000") + H(fields))
    assert problems == []
    assert isinstance(payload, TrafficSelectorPayload)
    assert payload.summary == f"TSi[{text}]"


def test_fibre_channel_selectors_are_framed():
    payload, problems = read(45, "01000000 09000018 00010203 00040506 00010001 00000000 ffffffff")
    assert problems == []
    assert payload.selectors[0].type == 9
    assert len(payload.selectors[0].data) == 20


def test_wrong_number_of_selectors_is_told():
    payload, problems = read(44, "03000000 07000010 0000ffff 0a010000 0a0100ff")
    assert problems == ["count-mismatch"]
    assert payload.declared_selectors == 3
    assert len(payload.selectors) == 1


@pytest.mark.parametrize("body", ["010000", "01000000 0700", "01000000 07000003", "01000000 0700000c 0000ffff 0a010000",
                                  "01000000 07000011 0000ffff 0a010000 0a0100ff 00"])  # fmt: skip
def test_malformed_selectors(body):
    payload, problems = read(44, body)
    assert problems == ["malformed-payload"]
    assert isinstance(payload, MalformedPayload)


def test_configuration_of_a_real_exchange(chain):
    request = next(p for p in inside(chain("v2-eap-mschapv2-a", 5)) if isinstance(p, ConfigPayload))
    assert request.summary == "CP(CFG_REQUEST: INTERNAL_IP4_ADDRESS)"
    reply = next(p for p in inside(chain("v2-eap-mschapv2-a", 15)) if isinstance(p, ConfigPayload))
    assert reply.summary == "CP(CFG_REPLY: INTERNAL_IP4_ADDRESS 10.9.0.1, INTERNAL_IP4_DNS 10.2.0.10)"


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("000d0008 0a020000 ffffff00", "INTERNAL_IP4_SUBNET 10.2.0.0/24"),
        ("00080011 fd090000000000000000000000000001 40", "INTERNAL_IP6_ADDRESS fd09::1/64"),
        ("0007000a 7374726f6e675377616e", "APPLICATION_VERSION strongSwan"),
        ("00070004 411b5b6d", "APPLICATION_VERSION A\\x1b[m"),
        ("00050004 00000e10", "INTERNAL_ADDRESS_EXPIRY 3600 s"),
        ("000e0004 0001 0003", "SUPPORTED_ATTRIBUTES INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS"),
        ("3fff0002 abcd", "CFG_ATTRIBUTE_16383 abcd"),
    ],
)
def test_configuration_attributes(attribute, text):
    payload, problems = read(47, H("02000000") + H(attribute))
    assert problems == []
    assert payload.summary == f"CP(CFG_REPLY: {text})"


def test_reserved_bit_of_a_configuration_attribute_is_kept():
    payload, _ = read(47, "02000000 8001000400000000")
    assert payload.attributes[0].reserved_bit


@pytest.mark.parametrize(("body", "major"), [("0100", 2), ("01000000 0001", 2), ("01000000 00010005 01", 2),
                                             ("01000000 400800", 1)])  # fmt: skip
def test_malformed_configuration(body, major):
    payload, problems = read(47 if major == 2 else 14, body, major)
    assert problems == ["malformed-payload"]
    assert isinstance(payload, MalformedPayload)


def test_xauth_hides_the_password(chain):
    payloads = inside(chain("v1-xauth-a", 10))
    config = next(p for p in payloads if isinstance(p, ConfigPayload))
    name, password = config.attributes
    assert config.identifier == 0
    assert name.text == "carol-a"
    assert password.is_secret
    assert isinstance(password.value, bytes)
    told = repr(payloads) + " ".join(line.value for p in payloads for line in p.describe()) + config.summary
    assert password.value.decode() not in told
    assert password.value.hex() not in told
    status = next(p for p in inside(chain("v1-xauth-a", 11)) if isinstance(p, ConfigPayload))
    assert status.summary == "CP(CFG_SET: XAUTH_STATUS OK)"
    assert status.attributes[0].value == 1


def test_eap_conversation(chain):
    def eap(frame):
        return next(p for p in inside(chain("v2-eap-mschapv2-a", frame)) if isinstance(p, EapPayload))

    assert (eap(7).code, eap(7).eap_type, eap(7).summary) == (1, 1, "EAP(REQUEST IDENTITY)")
    assert eap(8).identity == "carol-a"
    assert eap(7).identity is None
    assert [eap(frame).text for frame in (9, 10, 11, 12)] == ["challenge", "response", "success", "success"]
    assert eap(13).summary == "EAP(SUCCESS)"


def test_eap_nak_and_expanded_types():
    assert read(48, "02050006 0315")[0].summary == "EAP(RESPONSE NAK wants EAP_TTLS)"
    assert read(48, "0105000c fe 000137 00000001")[0].type_name == "EAP_EXPANDED vendor 311 type 1"
    assert read(48, "03050006 abcd")[0].data == H("abcd")


@pytest.mark.parametrize("body", ["010500", "01050003", "01050005", "0105000401"])
def test_malformed_eap(body):
    payload, problems = read(48, body)
    assert problems == ["malformed-payload"]
    assert isinstance(payload, MalformedPayload)


@pytest.mark.parametrize(
    ("kind", "body", "major", "summary"),
    [
        (42, "01000000", 2, "D[IKE]"),
        (42, "03040002 c1a2b3c4 c1a2b3c5", 2, "D[ESP:c1a2b3c4,c1a2b3c5]"),
        (12, "00000001 03040001 c1a2b3c4", 1, "D[ESP:c1a2b3c4]"),
        (12, "00000001 01100001 000102030405060708090a0b0c0d0e0f", 1, "D[ISAKMP:000102030405060708090a0b0c0d0e0f]"),
    ],
)
def test_delete(kind, body, major, summary):
    payload, problems = read(kind, body, major)
    assert problems == []
    assert isinstance(payload, DeletePayload)
    assert payload.summary == summary


@pytest.mark.parametrize("body", ["010000", "0304ffff c1a2b3c4", "03040001 c1a2b3c4 00", "0300ffff", "03040000 c1"])
def test_delete_whose_count_lies(body):
    payload, problems = read(42, body)
    assert problems == ["malformed-payload"]
    assert isinstance(payload, MalformedPayload)


def test_nat_original_address():
    payload, problems = read(21, "01000000 0a010001", 1)
    assert problems == []
    assert isinstance(payload, NatOriginalAddressPayload)
    assert payload.summary == "NAT-OA[10.1.0.1]"
    assert read(131, "05000000" + "fd01" + "00" * 13 + "01", 1)[0].text == "fd01::1"


def test_vendor_ids(sample):
    summaries = [p.summary for p in parse_ike(sample("interop-v1-a", 3)).find_all(VendorIdPayload)]
    assert "V(DPD 1.0)" in summaries
    assert "V(NAT-T (RFC 3947))" in summaries
    assert read(43, "00112233")[0].summary == "V(00112233)"
    assert read(43, b"A\x1b[2J")[0].text.isprintable()


def make_certificate(key, algorithm):
    now = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(MOON)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "strongSwan CA")]))
        .public_key(key.public_key())
        .serial_number(0x1234567890)
        .not_valid_before(now)
        .not_valid_after(now.replace(year=2055))
        .sign(key, algorithm)
    )


@pytest.mark.parametrize(
    ("key", "algorithm", "key_text", "signed"),
    [
        (rsa.generate_private_key(65537, 2048), hashes.SHA256(), "RSA 2048", "sha256WithRSAEncryption"),
        (ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), "P-384", "ecdsa-with-SHA384"),
        (ed25519.Ed25519PrivateKey.generate(), None, "Ed25519", "Ed25519"),
    ],
)
def test_certificates(key, algorithm, key_text, signed):
    payload, problems = read(37, b"\x04" + make_certificate(key, algorithm).public_bytes(Encoding.DER))
    assert problems == []
    assert isinstance(payload, CertPayload)
    facts = payload.certificate
    assert facts is not None
    assert (facts.subject, facts.issuer) == ("C=CH, O=strongSwan, CN=moon", "CN=strongSwan CA")
    assert (facts.serial, facts.key, facts.signature_algorithm) == ("1234567890", key_text, signed)
    assert facts.not_before == datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert facts.not_after.year == 2055
    assert payload.summary == "CERT[C=CH, O=strongSwan, CN=moon]"


def test_broken_certificate_and_url():
    assert read(37, b"\x04\x30\x03abc")[0].summary == "CERT[X509_SIGNATURE]"
    payload, _ = read(37, b"\x0c" + bytes(20) + b"http://example.org/\x07")
    assert payload.url == "http://example.org/\\x07"
    assert payload.certificate is None


def test_certificate_in_a_real_message(chain):
    payloads = inside(chain("v2-cert-gcm-esn-a", 6))
    certificate = next(p for p in payloads if isinstance(p, CertPayload))
    assert certificate.summary == "CERT[C=DE, O=IPsec Corpus, CN=moon.corpus.example]"
    auth = next(p for p in payloads if isinstance(p, AuthPayload))
    assert auth.method == 14
    # charon's log: RSA_EMSA_PKCS1_SHA2_256
    assert auth.signature_algorithm == "sha256WithRSAEncryption"


def test_certificate_requests(sample):
    request = parse_ike(sample("v1-main-cert-a", 6)).find(CertRequestPayload)
    assert request is not None
    assert request.summary == "CERTREQ[C=DE, O=IPsec Corpus, CN=Corpus RSA Root]"
    assert read(38, b"\x04" + bytes(40))[0].summary == "CERTREQ[2 authorities]"
    assert read(38, b"\x04")[0].summary == "CERTREQ[0 authorities]"
    assert read(38, b"\x04abc")[0].authorities == ("616263",)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("02000000 aabb", "SHARED_KEY_MIC"),
        # RFC 7427 Appendix A: sha256WithRSAEncryption, ecdsa-with-sha512, RSASSA-PSS with defaults and with SHA-256.
        ("0e000000 0f 300d06092a864886f70d01010b0500 aabb", "DIGITAL_SIGNATURE sha256WithRSAEncryption"),
        ("0e000000 0c 300a06082a8648ce3d040304 aabb", "DIGITAL_SIGNATURE ecdsa-with-SHA512"),
        ("0e000000 0f 300d06092a864886f70d01010a3000 aabb", "DIGITAL_SIGNATURE RSASSA-PSS with SHA-1, salt 20"),
        (
            RSASSA_PSS_SHA256,
            "DIGITAL_SIGNATURE RSASSA-PSS with SHA2-256, salt 32",
        ),
        ("0e000000 ff 30", "DIGITAL_SIGNATURE"),
        ("0e000000", "DIGITAL_SIGNATURE"),
        ("0e000000 02 0500", "DIGITAL_SIGNATURE"),
    ],
)
def test_auth(body, text):
    payload, problems = read(39, body)
    assert problems == []
    assert isinstance(payload, AuthPayload)
    assert payload.text == text


def test_selectors_of_a_real_exchange(chain):
    payloads = inside(chain("interop-v2-a", 6))
    selectors = [p for p in payloads if isinstance(p, TrafficSelectorPayload)]
    assert [p.summary for p in selectors] == ["TSi[10.1.0.0/24]", "TSr[10.2.0.0/24]"]
    assert ip_address(selectors[0].selectors[0].end_address) == ip_address("10.1.0.255")
