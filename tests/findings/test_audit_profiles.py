"""Profiles: the data is sound, and says what the documents say (spot checks of each table)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ipsecanalyze._fast.contract import CaptureFacts
from ipsecanalyze.errors import UsageError
from ipsecanalyze.findings import Severity
from ipsecanalyze.findings.audit.grade import grade
from ipsecanalyze.findings.audit.profile import TABLES, Status, load_profile, profile_names
from ipsecanalyze.findings.audit.verdict import severity_of, year_of
from ipsecanalyze.findings.find import audit
from ipsecanalyze.findings.gateways import gateways_of
from ipsecanalyze.findings.model import Certainty, Finding
from ipsecanalyze.registry import ikev1, ikev2

sys.path.insert(0, str(Path(__file__).parent))
from audit_made import Wire, proposal

REGISTRIES = {
    "encryption": (*ikev2.Encr.__members__, *ikev1.Phase1Encryption.__members__),
    "prf": tuple(ikev2.Prf.__members__),
    "integrity": tuple(ikev2.Integ.__members__),
    "key-exchange": tuple(ikev2.KeyExchange.__members__),
    "version": ("IKEv1", "IKEv2"),
    "authentication": ("RSA", "PSK", "DSS", "ECDSA_256", "ECDSA_384", "ECDSA_521", "DIGITAL_SIGNATURE", "NULL"),
    "signature-hash": (*ikev2.HashAlgorithm.__members__, "MD5"),
    "requirements": ("pfs", "esn", "post-quantum"),
}


@pytest.mark.parametrize("name", profile_names())
def test_each_row_names_something_and_has_a_clause(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert all((profile.title, profile.edition, profile.left_out, profile.date))
    for table in TABLES:
        known = REGISTRIES[table.split(".")[-1]]
        for row, cell in profile.tables[table].items():
            algorithm, _, bits = row.partition("/")
            assert algorithm in known, (table, row)
            assert not bits or bits in ("128", "192", "256")
            assert cell.clause or cell.status is Status.NOT_MENTIONED, (table, row)
    assert all(limit.clause and limit.value > 0 for limit in profile.limits.values())


@pytest.mark.parametrize(
    ("name", "table", "row", "bits", "year", "status"),
    [
        ("rfc", "ike.encryption", "ENCR_AES_CBC", 256, 2026, "must"),
        ("rfc", "ike.encryption", "ENCR_AES_CBC", 192, 2026, "may"),
        ("rfc", "ike.encryption", "ENCR_DES", None, 2026, "must-not"),
        ("rfc", "ike.prf", "PRF_HMAC_SHA1", None, 2026, "must-"),
        ("rfc", "key-exchange", "MODP_2048", None, 2026, "must"),
        ("rfc", "key-exchange", "MODP_1024", None, 2026, "should-not"),
        ("rfc", "key-exchange", "MODP_1024_160", None, 2026, "must-not"),
        ("rfc", "key-exchange", "MODP_3072", None, 2026, "not-mentioned"),
        ("rfc", "esp.encryption", "ENCR_3DES", None, 2026, "should-not"),
        ("rfc", "esp.encryption", "ENCR_AES_GCM_16", 128, 2026, "must"),
        ("nist-800-77r1", "esp.encryption", "ENCR_3DES", None, 2023, "aging"),
        ("nist-800-77r1", "esp.encryption", "ENCR_3DES", None, 2024, "must-not"),
        ("nist-800-77r1", "ike.encryption", "ENCR_CHACHA20_POLY1305", None, 2026, "must-not"),
        ("bsi-tr-02102-3", "key-exchange", "MODP_2048", None, 2022, "aging"),
        ("bsi-tr-02102-3", "key-exchange", "MODP_2048", None, 2026, "should-not"),
        ("bsi-tr-02102-3", "key-exchange", "MODP_3072", None, 2026, "should"),
        ("cnsa-2.0", "ike.encryption", "ENCR_AES_GCM_16", 256, 2026, "must"),
        ("cnsa-2.0", "ike.encryption", "ENCR_AES_GCM_16", 128, 2026, "must-not"),
        ("cnsa-2.0", "key-exchange", "ECP_384", None, 2029, "may"),
        ("cnsa-2.0", "key-exchange", "ECP_384", None, 2030, "must-not"),
        ("cnsa-2.0", "key-exchange", "ML_KEM_1024", None, 2030, "must"),
    ],
)
def test_cells(name: str, table: str, row: str, bits: int | None, year: int, status: str) -> None:
    assert load_profile(name).cell(table, row, bits, year).status == status


def test_severity_follows_from_the_cell() -> None:
    rfc = load_profile("rfc")
    assert severity_of(rfc.cell("ike.encryption", "ENCR_DES"), "ENCR_DES") is Severity.CRITICAL
    assert severity_of(rfc.cell("ike.integrity", "AUTH_HMAC_MD5_96")) is Severity.HIGH
    assert severity_of(rfc.cell("key-exchange", "MODP_1536")) is Severity.MEDIUM
    assert severity_of(rfc.cell("ike.prf", "PRF_HMAC_SHA1")) is Severity.LOW
    assert severity_of(rfc.cell("key-exchange", "MODP_2048")) is None
    assert severity_of(rfc.cell("key-exchange", "MODP_4096")) is None


def test_what_is_wanted_comes_first() -> None:
    assert load_profile("rfc").wanted("key-exchange", 2026) == ["MODP_2048", "ECP_256"]
    assert load_profile("cnsa-2.0").wanted("key-exchange", 2026)[0] == "ML_KEM_1024"
    assert load_profile("cnsa-2.0").wanted("esp.encryption", 2026)[0] == "ENCR_AES_GCM_16 with 256 bits"


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(UsageError, match="bsi-tr-02102-3"):
        load_profile("bsi")


def test_years() -> None:
    assert year_of(1_767_225_599 * 10**9) == 2025
    assert year_of(1_767_225_600 * 10**9) == 2026
    assert year_of(-5) == 1970


def finding(severity: Severity, slug: str = "weak-encryption") -> Finding:
    return Finding(slug, severity, Certainty.OBSERVED, "ike-1", "t", "e.", "r.")


def test_grades() -> None:
    info, low, medium, high, critical = map(finding, Severity)
    assert grade([]) == grade([info]) == "A"
    assert grade([info, low]) == "B"
    assert grade([low, medium]) == "C"
    assert grade([high, high]) == "D"
    assert grade([high, finding(Severity.HIGH, "weak-prf")]) == "E"
    assert grade([critical]) == "F"


def test_grades_of_many_gateways_are_not_cut_off() -> None:
    """A concentrator with 150 peers: the last one's DES counts as that of the first."""
    offer = proposal((1, 2), (2, 5), (3, 12), (4, 14))
    wire = Wire()
    for number in range(150):
        value = b"\x55" * 255 + bytes((number,))
        wire.init(number, offer=offer, group=14, here=f"203.0.113.{number}", publics=(value, b"\x56" + value[1:]))
    case = wire.case()
    case.captures = [CaptureFacts("made.pcap")]
    profile = load_profile()
    shown = audit(case, profile)
    gateways = gateways_of([(case, shown)], profile)
    assert len(gateways) == 151
    assert {one.grade for one in gateways} == {"F"}
    (last,) = (one for one in gateways if one.address == "203.0.113.149")
    assert last.findings[0].frames
