"""Every registry: any integer is accepted, names are stable, members say where they come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.registry import eap, ikev1, ikev2
from ipsecanalyze.registry.base import OpenEnum

STATUSES = {"current", "deprecated", "historic", "reserved", "private", "unassigned"}


def enums(module) -> list[type[OpenEnum]]:
    found = [getattr(module, name) for name in module.__all__]
    return [cls for cls in found if isinstance(cls, type) and issubclass(cls, OpenEnum)]


ALL = sorted({cls for module in (ikev1, ikev2, eap) for cls in enums(module)}, key=lambda c: (c.__module__, c.__name__))
ENUM_IDS = [f"{cls.__module__.rsplit('.', 1)[1]}.{cls.__name__}" for cls in ALL]


@pytest.mark.parametrize("cls", ALL, ids=ENUM_IDS)
def test_members_are_documented(cls):
    assert cls.__doc__
    for member in cls:
        assert member.status in STATUSES
        assert member.reference
        assert cls(int(member)) is member
        assert member.name.isidentifier()


@pytest.mark.parametrize("cls", ALL, ids=ENUM_IDS)
def test_no_number_twice(cls):
    assert len(cls.__members__) == len(list(cls))


@pytest.mark.parametrize("cls", ALL, ids=ENUM_IDS)
@given(number=st.integers(min_value=0, max_value=2**32))
def test_any_number_has_a_stable_name(cls, number):
    members = len(cls.__members__)
    first, second = cls(number), cls(number)
    assert first == second == number
    assert first.name == second.name
    assert first.name
    assert first.status in STATUSES
    assert len(cls.__members__) == members


@pytest.mark.parametrize(
    ("member", "name", "status"),
    [
        (ikev2.Encr(999), "ENCR_999", "unassigned"),
        (ikev2.Encr(1024), "ENCR_1024", "private"),
        (ikev2.ExchangeType(239), "EXCHANGE_239", "unassigned"),
        (ikev2.ExchangeType(240), "EXCHANGE_240", "private"),
        (ikev2.NotifyType(8191), "NOTIFY_8191", "unassigned"),
        (ikev2.NotifyType(8200), "NOTIFY_8200", "private"),
        (ikev2.NotifyType(16383), "NOTIFY_16383", "private"),
        (ikev2.NotifyType(20000), "NOTIFY_20000", "unassigned"),
        (ikev2.NotifyType(50000), "NOTIFY_50000", "private"),
        (ikev1.NotifyType(9999), "NOTIFY_9999", "private"),
        (ikev1.NotifyType(32767), "NOTIFY_32767", "unassigned"),
        (ikev1.NotifyType(32768), "NOTIFY_32768", "private"),
        (ikev1.NotifyType(40960), "NOTIFY_40960", "unassigned"),
        (ikev1.PayloadType(127), "PAYLOAD_127", "unassigned"),
        (ikev1.PayloadType(128), "PAYLOAD_128", "private"),
    ],
)
def test_unknown_numbers(member, name, status):
    assert (member.name, member.status) == (name, status)


def test_transform_types_lead_to_their_ids():
    assert ikev2.transform_id(1, 12).name == "ENCR_AES_CBC"
    assert ikev2.transform_id(2, 5).name == "PRF_HMAC_SHA2_256"
    assert ikev2.transform_id(3, 12).name == "AUTH_HMAC_SHA2_256_128"
    assert ikev2.transform_id(4, 14).name == "MODP_2048"
    assert ikev2.transform_id(5, 1).name == "ESN"
    assert [ikev2.transform_id(kind, 36).name for kind in range(6, 13)] == ["ML_KEM_768"] * 7
    assert ikev2.transform_id(13, 2).name == "KW_5649_192"
    assert ikev2.transform_id(200, 7).name == "ID_7"


def test_transform_types_have_the_names_of_the_summary():
    assert [ikev2.TransformType(number).name for number in range(1, 14)] == [
        *("ENCR", "PRF", "INTEG", "KE", "ESN"),
        *(f"ADDKE{n}" for n in range(1, 8)),
        "KWA",
    ]


@pytest.mark.parametrize("cls", [ikev1.NotifyType, ikev2.NotifyType])
def test_errors_are_below_16384(cls):
    assert cls.NO_PROPOSAL_CHOSEN.is_error
    assert cls(16383).is_error
    assert not cls(16384).is_error
    assert not cls(0).is_error
    assert not cls.INITIAL_CONTACT.is_error


# RFC 8247 §2 (MUST NOT) and RFC 9395 §6 deprecate exactly these in IANA's registries.
DEPRECATED = {
    ikev2.Encr: {1, 2, 4, 5, 6, 7, 8, 9},
    ikev2.Prf: {1, 3},
    ikev2.Integ: {1, 3, 4, 6, 7},
    ikev2.KeyExchange: {1, 22},
}


@pytest.mark.parametrize("cls", DEPRECATED)
def test_deprecated_algorithms(cls):
    assert {int(member) for member in cls if member.status == "deprecated"} == DEPRECATED[cls]


def test_ikev1_is_historic():
    assert ikev1.Phase1Encryption.ENCR_AES_CBC.status == "historic"
    assert ikev1.NotifyType.R_U_THERE.status == "private"


@pytest.mark.parametrize(
    ("phase1", "ikev2_number"),
    [(1, 2), (2, 5), (3, 7), (4, 4), (5, 3), (6, 6), (7, 12), (8, 23), (129, None), (99, None)],
)
def test_phase1_ciphers_in_ikev2(phase1, ikev2_number):
    assert ikev1.phase1_encr(phase1) == ikev2_number


@pytest.mark.parametrize(
    ("phase1", "ikev2_number"), [(1, 1), (2, 2), (3, 3), (4, 5), (5, 6), (6, 7), (20, None), (0, None)]
)
def test_phase1_hashes_in_ikev2(phase1, ikev2_number):
    assert ikev1.phase1_prf(phase1) == ikev2_number


@pytest.mark.parametrize(
    ("esp", "ikev2_number"),
    [(3, 3), (11, 11), (12, 12), (20, 20), (21, None), (22, 23), (23, 21), (0, None), (250, None)],
)
def test_esp_transforms_in_ikev2(esp, ikev2_number):
    assert ikev1.ikev2_encr(esp) == ikev2_number


@pytest.mark.parametrize(
    ("auth", "ikev2_number"), [(1, 1), (2, 2), (5, 12), (7, 14), (9, 5), (13, 11), (8, None), (0, None)]
)
def test_ipsec_authentication_in_ikev2(auth, ikev2_number):
    assert ikev1.ikev2_integ(auth) == ikev2_number


@pytest.mark.parametrize(
    ("number", "mode", "udp"),
    [
        (1, "tunnel", False),
        (2, "transport", False),
        (3, "tunnel", True),
        (4, "transport", True),
        (61443, "tunnel", True),
        (61444, "transport", True),
        (61440, None, True),
        (9, None, False),
    ],
)
def test_encapsulation_modes(number, mode, udp):
    encapsulation = ikev1.EncapsulationMode(number)
    assert (encapsulation.mode, encapsulation.is_udp) == (mode, udp)


def test_words_for_people():
    assert ikev1.ExchangeType(2).title == "Main Mode"
    assert ikev1.ExchangeType(5).title == "Informational"
    assert ikev1.ExchangeType(32).title == "Quick Mode"
    assert ikev2.PayloadType(35).notation == "IDi"
    assert ikev2.PayloadType(53).notation == "SKF"
    assert ikev1.PayloadType(130).notation == "NAT-D"
    assert ikev2.PayloadType(99).notation == "PAYLOAD_99"


def test_situation_keeps_unknown_bits():
    assert int(ikev1.Situation(0x80000001)) == 0x80000001
    assert ikev1.Situation.SIT_IDENTITY_ONLY in ikev1.Situation(0x80000001)


def test_private_numbers_that_kernels_need_mean_the_same_in_both_versions():
    for name, phase1, transform, number in (("SERPENT_CBC", 65004, 252, 1026), ("TWOFISH_CBC", 65005, 253, 1027)):
        assert ikev1.Phase1Encryption(phase1).name == f"ENCR_{name}"
        assert ikev1.ikev2_encr(transform) == ikev2.Encr[f"ENCR_{name}"] == number
        assert ikev2.Encr(number).status == "private"
