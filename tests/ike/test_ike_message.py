"""Headers and whole messages: values as tshark 4.0.17 reads them, write-back, and what is told of damaged messages."""

from __future__ import annotations

import struct

import pytest

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.message import IkeMessage, parse_ike
from ipsecanalyze.ike.payloads import (
    EncryptedFragmentPayload,
    EncryptedPayload,
    FragmentPayload,
    IdPayload,
    KePayload,
    NatDetectionPayload,
    NoncePayload,
    NotifyPayload,
    SaPayload,
    UnframedPayload,
    VendorIdPayload,
)


def header(next_payload=0, version=0x20, exchange=34, flags=8, message_id=0, length=28):
    return struct.pack(">QQBBBBII", 0x1122334455667788, 0, next_payload, version, exchange, flags, message_id, length)


def slugs(message):
    return [notice.slug for notice in message.notices]


def test_writes_back_what_it_read(any_message):
    message = parse_ike(any_message)
    assert message.to_bytes() == any_message
    assert not {"malformed-payload", "length-mismatch", "trailing-octets"} & set(slugs(message))


def test_reads_chains_from_inside_encrypted_messages(any_chain):
    from ipsecanalyze.ike.chain import parse_payloads, write_payloads

    payloads, trailing, notices = parse_payloads(any_chain.data, any_chain.first_type, any_chain.major)
    assert payloads
    assert not notices
    assert write_payloads(payloads) + trailing == any_chain.data
    if any_chain.major == 2:
        assert not trailing


def test_ikev2_header_fields(sample):
    message = parse_ike(sample("v2-psk-aescbc-a", 3))
    assert (message.spi_i, message.spi_r) == (0x95FDB71F535797F6, 0)
    assert (message.next_payload, message.major, message.minor, message.exchange_type) == (33, 2, 0, 34)
    assert (message.flags, message.message_id, message.length) == (0x08, 0, 464)
    assert message.is_v2
    assert not message.is_v1
    assert message.from_initiator
    assert not message.is_response
    assert not message.is_encrypted
    assert (message.exchange_name, message.version_text) == ("IKE_SA_INIT", "2.0")
    assert message.notices == ()


def test_ikev2_response_flags(sample):
    message = parse_ike(sample("v2-psk-aescbc-a", 4))
    assert message.is_response
    assert not message.from_initiator
    assert message.spi_r == 0xB96F40ED41A432A8


def test_ikev2_payloads_in_order(sample):
    message = parse_ike(sample("v2-psk-aescbc-a", 3))
    assert [payload.type for payload in message.payloads] == [33, 34, 40, 41, 41, 41, 41, 41]
    assert [payload.offset for payload in message.payloads] == [28, 76, 340, 376, 404, 432, 440, 456]
    key_exchange = message.find(KePayload)
    assert key_exchange is not None
    assert (key_exchange.group, len(key_exchange.data)) == (14, 256)
    assert key_exchange.data.startswith(bytes.fromhex("1764c247b040b53a91fbb54e2513148d"))
    nonce = message.find(NoncePayload)
    assert nonce is not None
    assert nonce.data.hex() == "2abed033c7f171a9b6f8e7aadd23f8b68d77eabf941d5141a4b97a0fd9efe3c6"
    assert [notify.notify_type for notify in message.find_all(NotifyPayload)] == [16388, 16389, 16430, 16431, 16406]
    assert message.find(IdPayload) is None


def test_summaries_for_ladders(sample):
    assert " ".join(payload.summary for payload in parse_ike(sample("v2-psk-aescbc-a", 3)).payloads) == (
        "SA[ENCR_AES_CBC-256/AUTH_HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048] KE[MODP_2048] Nonce"
        " N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) N(IKEV2_FRAGMENTATION_SUPPORTED)"
        " N(SIGNATURE_HASH_ALGORITHMS: SHA2_256, SHA2_384, SHA2_512, IDENTITY) N(REDIRECT_SUPPORTED)"
    )
    assert parse_ike(sample("v2-invalid-ke-a", 4)).payloads[0].summary == "N(INVALID_KE_PAYLOAD: MODP_3072)"
    assert parse_ike(sample("v2-noprop-ike-a", 4)).payloads[0].summary == "N(NO_PROPOSAL_CHOSEN)"


def test_encrypted_ikev2_message(sample):
    data = sample("v2-psk-aescbc-a", 5)
    message = parse_ike(data)
    encrypted = message.find(EncryptedPayload)
    assert encrypted is not None
    assert message.is_encrypted
    assert (encrypted.type, encrypted.inner_type, encrypted.missing) == (46, 35, 0)
    assert encrypted.data == data[32:]
    assert encrypted.summary == f"SK{{{len(data) - 32}}}"


def test_ikev1_main_mode(sample):
    message = parse_ike(sample("interop-v1-a", 3))
    assert message.is_v1
    assert (message.version_text, message.exchange_name) == ("1.0", "IDENTITY_PROTECTION")
    assert not message.is_response
    assert not message.from_initiator
    assert [payload.type for payload in message.payloads] == [1, 13, 13, 13, 13, 13, 13]
    sa = message.find(SaPayload)
    assert sa is not None
    assert (sa.doi, sa.situation) == (1, 1)
    transform = sa.proposals[0].transforms[0]
    assert (transform.number, transform.id, transform.key_length) == (0, 1, 128)
    assert [(a.type, a.value) for a in transform.attributes] == [
        (11, 1), (12, 28800), (1, 7), (2, 2), (3, 1), (4, 14), (14, 128)
    ]  # fmt: skip
    vendor_ids = [payload.data.hex() for payload in message.find_all(VendorIdPayload)]
    assert "afcad71368a1f1c96b8696fc77570100" in vendor_ids


def test_ikev1_key_exchange_and_nat_detection(sample):
    message = parse_ike(sample("interop-v1-a", 5))
    assert [payload.name for payload in message.payloads] == ["KE", "Nonce", "NAT-D", "NAT-D"]
    assert message.payloads[0].group is None
    assert [len(payload.data) for payload in message.find_all(NatDetectionPayload)] == [20, 20]


def test_ikev1_encryption_flag_hides_everything(sample):
    data = sample("interop-v1-a", 7)
    message = parse_ike(data)
    assert message.is_encrypted
    assert message.payloads == ()
    assert message.encrypted_data == data[28:]


def test_ikev1_aggressive_mode_shows_identities(sample):
    message = parse_ike(sample("v1-aggr-psk-a", 4))
    assert message.exchange_name == "AGGRESSIVE"
    identity = message.find(IdPayload)
    assert identity is not None
    assert (identity.id_type, identity.protocol, identity.port, identity.text) == (2, 0, 0, "sun.corpus.example")


def test_ikev1_notify_has_a_doi(sample):
    """Read without it, the type comes from the SPI's octets (zeek-spicy-ipsec's trap)."""
    notify = parse_ike(sample("v1-noprop-a", 4)).find(NotifyPayload)
    assert notify is not None
    assert (notify.doi, notify.protocol, notify.notify_type) == (1, 1, 14)
    assert notify.spi.hex() == "7c182b50e4dc901f1d77c56ebf0a5836"
    assert (notify.type_name, notify.is_error) == ("NO_PROPOSAL_CHOSEN", True)


def test_exchange_43_with_additional_key_exchange(sample):
    """IKE_INTERMEDIATE and transform type 6 are unknown to Wireshark 4.0 and malformed to nDPI."""
    first = parse_ike(sample("v2-pq-mlkem-a", 3))
    sa = first.find(SaPayload)
    assert sa is not None
    assert [(t.type, t.type_name, t.id, t.name) for t in sa.proposals[0].transforms[3:]] == [
        (4, "KE", 31, "CURVE25519"),
        (6, "ADDKE1", 36, "ML_KEM_768"),
    ]
    assert "ADDKE1:ML_KEM_768" in sa.summary
    fragment = parse_ike(sample("v2-pq-mlkem-a", 5))
    assert fragment.exchange_name == "IKE_INTERMEDIATE"
    assert fragment.next_payload == 53
    payload = fragment.find(EncryptedFragmentPayload)
    assert payload is not None
    assert (payload.fragment_number, payload.total_fragments, payload.inner_type) == (1, 2, 34)
    assert payload.summary == "SKF[1/2]"
    assert fragment.is_encrypted
    assert fragment.notices == ()


def test_exchange_44_is_known():
    assert parse_ike(header(exchange=44)).exchange_name == "IKE_FOLLOWUP_KE"


def test_cisco_fragment_is_never_encrypted(sample):
    message = parse_ike(sample("v1-main-cert-a", 7))
    fragment = message.find(FragmentPayload)
    assert fragment is not None
    assert (fragment.fragment_id, fragment.fragment_number, fragment.is_last) == (1, 1, False)
    with_flag = bytearray(sample("v1-main-cert-a", 7))
    with_flag[19] |= 1
    assert parse_ike(bytes(with_flag)).find(FragmentPayload) == fragment


@pytest.mark.parametrize("size", range(28))
def test_too_short_for_a_header(size):
    with pytest.raises(WireError) as caught:
        parse_ike(header()[:size])
    assert caught.value.slug == "truncated"


def test_major_version_zero_is_no_ike():
    with pytest.raises(WireError):
        parse_ike(header(version=0x05))


def test_header_alone():
    message = parse_ike(header())
    assert message.payloads == ()
    assert message.notices == ()
    assert message.to_bytes() == header()


def test_unknown_major_version_keeps_the_octets():
    data = header(next_payload=33, version=0x31, length=32) + b"abcd"
    message = parse_ike(data)
    assert slugs(message) == ["unknown-version"]
    assert message.version_text == "3.1"
    assert isinstance(message.payloads[0], UnframedPayload)
    assert message.payloads[0].data == b"abcd"
    assert message.to_bytes() == data


def test_cut_by_the_capture(sample):
    data = sample("v2-snap96-a", 4)
    message = parse_ike(data)
    assert message.length == 464
    assert slugs(message) == ["truncated"]
    assert isinstance(message.payloads[0], UnframedPayload)
    assert message.payloads[0].summary == "SA(incomplete)"
    encrypted = parse_ike(sample("v2-snap96-a", 6))
    assert slugs(encrypted) == ["truncated"]
    payload = encrypted.find(EncryptedPayload)
    assert payload is not None
    assert (len(payload.data), payload.missing) == (18, 304 - 50)
    assert encrypted.is_encrypted


def test_every_truncation_says_so(sample):
    data = sample("v2-psk-aescbc-a", 4)
    for size in range(28, len(data)):
        message = parse_ike(data[:size])
        assert slugs(message) == ["truncated"]
        assert message.to_bytes() == data[:size]
    cut_behind_nonce = parse_ike(data[:376])
    assert [payload.type for payload in cut_behind_nonce.payloads] == [33, 34, 40, 41]
    assert cut_behind_nonce.payloads[-1].data == b""


def test_octets_behind_the_declared_length(sample):
    data = sample("v2-psk-aescbc-a", 3) + b"\0\0\0\0"
    message = parse_ike(data)
    assert slugs(message) == ["length-mismatch"]
    assert message.notices[0].offset == 464
    assert message.trailing == b"\0\0\0\0"
    assert len(message.payloads) == 8
    assert message.to_bytes() == data


@pytest.mark.parametrize("length", [0, 1, 27])
def test_length_less_than_the_header(sample, length):
    data = bytearray(sample("v2-psk-aescbc-a", 3))
    data[24:28] = length.to_bytes(4)
    message = parse_ike(bytes(data))
    assert slugs(message) == ["length-mismatch"]
    assert len(message.payloads) == 8
    assert message.to_bytes() == bytes(data)


def test_four_gigabytes_declared(sample):
    data = bytearray(sample("v2-psk-aescbc-a", 3))
    data[24:28] = b"\xff\xff\xff\xff"
    message = parse_ike(bytes(data))
    assert slugs(message) == ["truncated"]
    assert len(message.payloads) == 8
    assert message.to_bytes() == bytes(data)


def test_octets_behind_the_last_payload():
    data = header(next_payload=40, length=28 + 8 + 3) + bytes.fromhex("00000008 0a0b0c0d 010203")
    message = parse_ike(data)
    assert slugs(message) == ["trailing-octets"]
    assert message.trailing == b"\1\2\3"
    assert message.notices[0].offset == 36
    assert message.to_bytes() == data


def test_written_from_fields():
    message = IkeMessage(
        spi_i=1, spi_r=2, next_payload=40, major=2, minor=0, exchange_type=36, flags=0x28, message_id=7, length=49,
        payloads=(
            NoncePayload(type=40, data=b"0123456789abcdef"[:5], critical=True),
            NotifyPayload(type=41, protocol=3, spi=b"\xc1\xa2\xb3\xc4", notify_type=16393),
        ),
    )  # fmt: skip
    assert message.to_bytes().hex() == (
        "0000000000000001 0000000000000002 28202428 00000007 0000003129800009 30313233340000000c 03044009 c1a2b3c4"
    ).replace(" ", "")
    assert parse_ike(message.to_bytes()) == message
    assert message.payloads[1].summary == "N(REKEY_SA ESP:c1a2b3c4)"


def test_tree_has_offsets_and_names(sample):
    lines = parse_ike(sample("v2-pq-mlkem-a", 3)).describe()
    found = {(line.offset, line.name): line.value for line in lines}
    assert found[18, "exchange type"] == "IKE_SA_INIT (34)"
    assert found[19, "flags"] == "I (0x08)"
    assert found[40, "transform"] == "ENCR (1): ENCR_AES_CBC (12)"
    assert found[48, "KEY_LENGTH (14)"] == "256"
    assert found[76, "transform"] == "ADDKE1 (6): ML_KEM_768 (36)"
    assert found[88, "method"] == "CURVE25519 (31)"
    assert found[230, "notify type"] == "SIGNATURE_HASH_ALGORITHMS (16431)"
    assert found[232, "meaning"] == "SHA2_256, SHA2_384, SHA2_512, IDENTITY"


def test_tree_of_an_encrypted_ikev1_message(sample):
    lines = parse_ike(sample("interop-v1-a", 7) + b"x").describe()
    assert [(line.offset, line.name) for line in lines[-2:]] == [
        (28, "encrypted data"),
        (len(sample("interop-v1-a", 7)), "trailing octets"),
    ]
