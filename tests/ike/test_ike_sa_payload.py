"""SA payloads: both versions, every field, and lies of inner lengths and counts."""

from __future__ import annotations

import pytest

from ipsecanalyze.ike.chain import parse_payloads, write_payloads
from ipsecanalyze.ike.payloads import Attribute, MalformedPayload, Proposal, SaPayload, Transform

H = bytes.fromhex


def read(body, major=2):
    data = b"\0\0" + (4 + len(body)).to_bytes(2) + body
    payloads, trailing, notices = parse_payloads(data, 33 if major == 2 else 1, major)
    assert write_payloads(payloads) + trailing == data
    return payloads[0], [(notice.slug, notice.offset) for notice in notices]


#: RFC 7296 §3.3: two proposals, ESP with ENCR_AES_CBC-128 and -256, HMAC-SHA2-256-128, NO_ESN; then AES-GCM-16-256.
TWO_PROPOSALS = H(
    "02000034 01030404 c1a2b3c4"
    "0300000c 0100000c 800e0080"
    "0300000c 0100000c 800e0100"
    "03000008 0300000c"
    "00000008 05000000"
    "00000020 02030402 c1a2b3c5"
    "0300000c 01000014 800e0100"
    "00000008 05000000"
)


def test_two_proposals():
    sa, problems = read(TWO_PROPOSALS)
    assert problems == []
    assert isinstance(sa, SaPayload)
    first, second = sa.proposals
    assert (first.number, first.protocol, first.spi) == (1, 3, H("c1a2b3c4"))
    assert [(t.type, t.id, t.key_length) for t in first.transforms] == [
        (1, 12, 128), (1, 12, 256), (3, 12, None), (5, 0, None)
    ]  # fmt: skip
    assert second.transforms[0].text == "ENCR_AES_GCM_16-256"
    assert sa.summary == (
        "SA[ESP:c1a2b3c4 ENCR_AES_CBC-128/ENCR_AES_CBC-256/AUTH_HMAC_SHA2_256_128/NO_ESN,"
        " ESP:c1a2b3c5 ENCR_AES_GCM_16-256/NO_ESN]"
    )


def test_tree_offsets_point_at_the_octets():
    sa, _ = read(TWO_PROPOSALS)
    sa.offset = 100
    lines = [(line.offset, line.name, line.level) for line in sa.describe()]
    assert lines[:6] == [
        (100, "SA", 0), (104, "proposal", 1), (112, "SPI", 2), (116, "transform", 2),
        (124, "KEY_LENGTH (14)", 3), (128, "transform", 2),
    ]  # fmt: skip
    assert (104 + 0x34, "proposal", 1) in lines


def test_the_same_body_is_parsed_once():
    assert read(TWO_PROPOSALS)[0].proposals is read(TWO_PROPOSALS)[0].proposals


def test_large_bodies_are_not_remembered():
    body = TWO_PROPOSALS[:0x34] * 45 + TWO_PROPOSALS
    assert read(body)[0].proposals is not read(body)[0].proposals
    assert read(body)[0].proposals == read(body)[0].proposals


@pytest.mark.parametrize("kind", range(6, 13))
def test_additional_key_exchanges(kind):
    """Transform types 6 to 12 (RFC 9370) are unknown to Wireshark 4.0."""
    sa, problems = read(H("00000010 01010001 00000008") + bytes((kind,)) + H("000024"))
    assert problems == []
    transform = sa.proposals[0].transforms[0]
    assert (transform.type_name, transform.name) == (f"ADDKE{kind - 5}", "ML_KEM_768")
    assert sa.summary == f"SA[ADDKE{kind - 5}:ML_KEM_768]"


def test_unknown_numbers_have_stable_names():
    sa, problems = read(H("00000010 01c80001 00000008 fa00ffff"))
    assert problems == []
    assert sa.proposals[0].protocol == 200
    assert sa.proposals[0].transforms[0].type == 250
    assert "65535" in sa.proposals[0].transforms[0].name


def test_reserved_octets_and_wrong_last_octets_are_kept():
    sa, problems = read(H("07110010 01010001 09220008 01330003"))
    assert [slug for slug, _ in problems] == ["last-substructure", "last-substructure"]
    proposal = sa.proposals[0]
    assert (proposal.more, proposal.reserved) == (7, 0x11)
    assert (proposal.transforms[0].more, proposal.transforms[0].reserved, proposal.transforms[0].reserved2) == (
        9, 0x22, 0x33
    )  # fmt: skip


def test_wrong_number_of_transforms_is_told():
    sa, problems = read(H("00000010 01010005 00000008 01000003"))
    assert problems == [("count-mismatch", 4 + 7)]
    assert sa.proposals[0].declared_transforms == 5
    assert len(sa.proposals[0].transforms) == 1


def test_long_attribute():
    sa, problems = read(H("00000015 01010001 0000000d 0100000c 0012 0001 ff"))
    assert problems == []
    assert sa.proposals[0].transforms[0].attributes == (Attribute(18, b"\xff"),)


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        ("00000007 01010000", 2),  # proposal shorter than its header
        ("00000009 01010000", 2),  # proposal beyond the payload
        ("00000008 01010400", 2),  # SPI beyond the proposal
        ("00000010 01010001 00000009 01000003", 10),  # transform beyond the proposal
        ("00000010 01010001 00000004 01000003", 10),  # transform shorter than its header
        ("0000000c 01010001 00000008", 8),  # half a transform
        ("00000013 01010001 0000000b 01000003 800e01", 16),  # half an attribute
        ("00000014 01010001 0000000c 01000003 000e0001", 18),  # attribute beyond the transform
        ("02000008 01010000 0000", 8),  # half a proposal
    ],
)
def test_lengths_that_lie_keep_the_octets(body, offset):
    payload, problems = read(H(body))
    assert problems[-1] == ("malformed-payload", 4 + offset)
    assert isinstance(payload, MalformedPayload)
    assert payload.data == H(body)
    assert payload.summary == "SA(malformed)"


def test_many_lies_make_few_notices():
    _, problems = read(H("00000190 01010031") + H("07000008 01000003") * 49)
    assert len(problems) == 8


#: RFC 2409 §5.1 style: one proposal, two transforms, long and short attributes.
PHASE_1 = H(
    "00000001 00000001"
    "00000050 01010002"
    "03000024 01010000 80010007 800e0100 80020004 80030001 8004000e 800b0001 800c7080"
    "00000024 02010000 80010005 80020002 8003fde9 80040002 800b0001 000c0004 00015180"
)


def test_phase_1():
    sa, problems = read(PHASE_1, 1)
    assert problems == []
    assert (sa.doi, sa.situation) == (1, 1)
    first, second = sa.proposals[0].transforms
    assert (first.number, first.id, first.key_length, first.type_name) == (1, 1, 256, "")
    assert first.text == "ENCR_AES_CBC-256/SHA2_256/MODP_2048/PRE_SHARED_KEY"
    assert second.text == "ENCR_3DES/SHA1/MODP_1024/XAUTH_INIT_PRE_SHARED"
    assert second.attributes[-1] == Attribute(12, H("00015180"))
    assert second.attributes[-1].number == 86400
    assert sa.summary == f"SA[{first.text} | {second.text}]"


def test_quick_mode(chain):
    found = chain("v1-natt-a", 9)
    payloads, _, notices = parse_payloads(found.data, found.first_type, 1, 0, found.exchange_type)
    assert not notices
    sa = next(payload for payload in payloads if isinstance(payload, SaPayload))
    transform = sa.proposals[0].transforms[0]
    assert (sa.proposals[0].protocol, transform.id, transform.key_length) == (3, 12, 128)
    assert transform.text == "ESP_AES_CBC-128/HMAC_SHA1/UDP_ENCAPSULATED_TUNNEL"


def test_key_length_attribute_depends_on_the_phase():
    """14 in phase 1, 6 in phase 2; a phase-1 attribute 6 is a group prime."""
    attributes = (Attribute(6, 192), Attribute(14, 256))
    assert Transform(number=1, id=1, protocol=1, attributes=attributes).key_length == 256
    assert Transform(number=1, id=12, protocol=3, attributes=attributes).key_length == 192
    assert Transform(type=1, id=12, protocol=3, attributes=attributes).key_length == 256


@pytest.mark.parametrize("body", ["00000002 00000001 0102", "00000001", "00000001 0102", "ffffffff"])
def test_other_dois_are_kept(body):
    sa, problems = read(H(body), 1)
    assert problems == []
    assert isinstance(sa, SaPayload)
    assert sa.opaque == H(body)[4:]


def test_labeled_situations_are_kept():
    sa, problems = read(H("00000001 00000003 aabbcc"), 1)
    assert problems == []
    assert (sa.situation, sa.opaque) == (3, H("aabbcc"))
    assert "SIT_SECRECY" in sa.describe()[2].value


def test_written_by_hand():
    sa = SaPayload(
        type=33,
        proposals=(
            Proposal(
                number=1, protocol=1,
                transforms=(
                    Transform(type=1, id=12, attributes=(Attribute(14, 128),)),
                    Transform(type=4, id=14),
                ),
            ),
            Proposal(number=2, protocol=1, transforms=(Transform(type=2, id=5),)),
        ),
    )  # fmt: skip
    assert sa.body() == H(
        "0200001c 01010002 0300000c 0100000c 800e0080 00000008 0400000e00000010 02010001 00000008 02000005"
    )
