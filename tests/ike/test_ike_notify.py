"""Notification data in words: the formats are the RFCs', most of the octets are of real messages."""

from __future__ import annotations

import pytest

from ipsecanalyze.ike.chain import parse_payloads, write_payloads
from ipsecanalyze.ike.message import parse_ike
from ipsecanalyze.ike.payloads import MalformedPayload, NotifyPayload
from ipsecanalyze.registry.ikev1 import NotifyType as V1
from ipsecanalyze.registry.ikev2 import NotifyType as V2

H = bytes.fromhex


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (V2.UNSUPPORTED_CRITICAL_PAYLOAD, "c8", "payload PAYLOAD_200 (200)"),
        (V2.INVALID_MAJOR_VERSION, "02", "highest version is 2"),
        (V2.INVALID_MESSAGE_ID, "0000002a", "message ID 42"),
        (V2.INVALID_SPI, "c1a2b3c4", "SPI c1a2b3c4"),
        (V2.INVALID_KE_PAYLOAD, "000f", "MODP_3072"),
        (V2.INVALID_KE_PAYLOAD, "0024", "ML_KEM_768"),
        (V2.SET_WINDOW_SIZE, "00000008", "window 8"),
        (V2.IPCOMP_SUPPORTED, "896202", "CPI 8962, IPCOMP_DEFLATE"),
        (V2.NAT_DETECTION_SOURCE_IP, "74cc280f4ad00a634cd07dafff5ccfed187a2cba",
         "SHA-1 74cc280f4ad00a634cd07dafff5ccfed187a2cba"),
        (V2.COOKIE, "0102030405060708", "token of 8 octets"),
        (V2.ADDITIONAL_IP4_ADDRESS, "0a010001", "10.1.0.1"),
        (V2.ADDITIONAL_IP6_ADDRESS, "fd010000000000000000000000000001", "fd01::1"),
        (V2.NO_NATS_ALLOWED, "c0000201 c6336401 01f4 1194", "192.0.2.1 port 500 to 198.51.100.1 port 4500"),
        (V2.AUTH_LIFETIME, "00000e10", "3600 s"),
        (V2.REDIRECT, "0104cb007101", "to 203.0.113.1"),
        (V2.REDIRECT, "0310 676174652e6578616d706c652e6f7267 aabbccdd",
         "to gate.example.org, nonce of 4 octets"),
        (V2.REDIRECTED_FROM, "0104c6336401", "from 198.51.100.1"),
        (V2.TICKET_LT_OPAQUE, "00015180 aabb", "lifetime 86400 s, ticket of 2 octets"),
        (V2.TICKET_OPAQUE, "aabbcc", "ticket of 3 octets"),
        (V2.ROHC_SUPPORTED, "8001000f 80020002", "MAX_CID 15, ROHC_PROFILE 2"),
        (V2.QUICK_CRASH_DETECTION, "00" * 16, "token of 16 octets"),
        (V2.IKEV2_MESSAGE_ID_SYNC, "aabbccdd 00000005 00000007", "next to send 5, next to receive 7"),
        (V2.IPSEC_REPLAY_COUNTER_SYNC, "00001000", "add 4096 to outgoing counters"),
        (V2.SECURE_PASSWORD_METHODS, "00010003", "PACE, "),
        (V2.SIGNATURE_HASH_ALGORITHMS, "0002000300040005", "SHA2_256, SHA2_384, SHA2_512, IDENTITY"),
        (V2.PUZZLE, "0005 10 aabb", "PRF_HMAC_SHA2_256, difficulty 16 bits, cookie of 2 octets"),
        (V2.PPK_IDENTITY, "02 616c696365", 'PPK_ID_FIXED "alice"'),
        (V2.USE_AGGFRAG, "01", "don't fragment"),
        (V2.USE_AGGFRAG, "00", "no requirements"),
        (V2.SUPPORTED_AUTH_METHODS, "0202 030e01", "SHARED_KEY_MIC, DIGITAL_SIGNATURE"),
    ],
)  # fmt: skip
def test_ikev2_data_in_words(kind, data, text):
    notify = NotifyPayload(type=41, protocol=0, notify_type=int(kind), data=H(data))
    assert notify.description.startswith(text)
    assert notify.type_name == kind.name


@pytest.mark.parametrize("kind", [kind for kind in V2 if kind != V2.COOKIE])
@pytest.mark.parametrize("data", ["", "ff", "ffff", "ffffff", "ff" * 40])
def test_data_of_the_wrong_form_is_shown_in_hex_or_words(kind, data):
    text = NotifyPayload(type=41, protocol=0, notify_type=int(kind), data=H(data)).description
    assert bool(text) == bool(data)
    assert text.isprintable()


def test_wrong_length_is_not_interpreted():
    def describe(kind, data):
        return NotifyPayload(type=41, protocol=0, notify_type=int(kind), data=H(data)).description

    assert describe(V2.INVALID_KE_PAYLOAD, "00000f") == "00000f"
    assert describe(V2.AUTH_LIFETIME, "0e10") == "0e10"
    assert describe(V2.REDIRECT, "0105cb007101ff") == "0105cb007101ff"
    assert describe(V2.REDIRECT, "01ff") == "01ff"
    assert describe(V2.SIGNATURE_HASH_ALGORITHMS, "000200") == "000200"


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (V1.R_U_THERE, "080d12f1", "sequence 135074545"),
        (V1.R_U_THERE_ACK, "00000001", "sequence 1"),
        (V1.RESPONDER_LIFETIME, "80010001 80020e10", "3600 seconds"),
        (V1.RESPONDER_LIFETIME, "800b0001 000c0004 00015180", "86400 seconds"),
        (V1.RESPONDER_LIFETIME, "80010001 80020e10 80010002 00020004 00465000", "3600 seconds, 4608000 kilobytes"),
        (V1.REPLAY_STATUS, "00000001", "replay detection enabled"),
        (V1.UNITY_LOAD_BALANCE, "c0000207", "192.0.2.7"),
        (V1.RESPONDER_LIFETIME, "0001ffff 00", "0001ffff00"),
    ],
)
def test_ikev1_data_in_words(kind, data, text):
    notify = NotifyPayload(type=11, doi=1, protocol=1, notify_type=int(kind), data=H(data))
    assert notify.description == text


def test_hostile_text_is_escaped():
    notify = NotifyPayload(type=41, protocol=0, notify_type=16407, data=b"\x03\x08\x1b[31m\r\n\xff")
    assert notify.description == "to \\x1b[31m\\x0d\\x0a\\xff"


def test_dead_peer_detection_in_a_real_message(chain):
    found = chain("v1-dpd-dead-a", 146)
    payloads, _, _ = parse_payloads(found.data, found.first_type, 1)
    notify = payloads[1]
    assert isinstance(notify, NotifyPayload)
    assert (notify.doi, notify.protocol, len(notify.spi), notify.notify_type) == (1, 1, 16, 36136)
    assert notify.summary == "N(R_U_THERE: sequence 135074545)"


def test_mobike_in_a_real_message(chain):
    found = chain("v2-mobike-a", 166)
    payloads, _, _ = parse_payloads(found.data, found.first_type, 2)
    assert [payload.summary for payload in payloads] == [
        "N(UPDATE_SA_ADDRESSES)", "N(NAT_DETECTION_SOURCE_IP)", "N(NAT_DETECTION_DESTINATION_IP)", "N(COOKIE2)"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "major", "data"),
    [
        (41, 2, "00000007 000000"), (41, 2, "0000000a 03044009 c1a2"), (41, 2, "00000004"),
        (11, 1, "0000000b 00000001 010000"), (11, 1, "0000000d 00000001 0102000e aa"),
    ],
)  # fmt: skip
def test_too_short(first, major, data):
    payloads, _, notices = parse_payloads(H(data), first, major)
    assert isinstance(payloads[0], MalformedPayload)
    assert [notice.slug for notice in notices] == ["malformed-payload"]
    assert write_payloads(payloads) == H(data)


def test_is_error(sample):
    assert parse_ike(sample("v2-noprop-ike-a", 4)).find(NotifyPayload).is_error
    assert not parse_ike(sample("v2-psk-aescbc-a", 3)).find(NotifyPayload).is_error
