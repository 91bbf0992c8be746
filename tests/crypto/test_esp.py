"""ESP: packets of the RFCs and of a real kernel open to what was sent; anything else is a DecryptError."""

from __future__ import annotations

import hmac
import struct
from functools import cache

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto.ciphers import stream_of
from ipsecanalyze.crypto.encryption import ENCRYPTION
from ipsecanalyze.crypto.esp import EspOpener
from ipsecanalyze.crypto.integrity import INTEGRITY
from ipsecanalyze.crypto.ipcomp import IPCOMP, decompress
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.errors import DecryptError

from .conftest import outcome, read_vectors, slug_of

H = bytes.fromhex
PACKETS = read_vectors("esp_packets")["packets"]
UNSUPPORTED = {1026, 1027}
OPENABLE = [row for row in PACKETS if row["encryption"] not in UNSUPPORTED]
KEY, SALT = bytes(range(16)), b"salt"


def keys_of(row, **changes):
    fields = {
        "encryption": row["encryption"],
        "encryption_key": H(row["key"]),
        "salt": H(row["salt"]),
        "integrity": row["integrity"],
        "integrity_key": H(row["integrity_key"]),
        "icv_octets": row["icv_octets"],
        "esn": row["esn"],
    }
    return EspKeys(**(fields | changes))


def still(packet):
    """The packet without what a hop changes."""
    data = bytearray(packet)
    if data[0] >> 4 == 4:
        data[8], data[10:12] = 0, bytes(2)
    else:
        data[7] = 0
    return bytes(data)


@pytest.mark.parametrize("row", read_vectors("rfc")["esp"], ids=lambda row: row["name"])
def test_packets_of_the_rfcs(row):
    keys = EspKeys(encryption=row["encryption"], encryption_key=H(row["key"]), salt=H(row["salt"]), esn=row["esn"])
    opened = EspOpener(keys).open(H(row["packet"]), row["high"])
    assert opened.payload.hex() == row["payload"]
    assert opened.next_header == row["next_header"]
    assert opened.padding == row["padding"]
    assert not opened.padding_wrong
    assert opened.sequence_high == row["high"]
    assert opened.verified == (row["encryption"] != 12)


@pytest.mark.parametrize("row", OPENABLE, ids=lambda row: f"{row['scenario']}-{row['frame']}")
@pytest.mark.parametrize("wrap", [bytes, memoryview])
def test_packets_of_a_kernel_open_to_the_clear_text(row, wrap):
    opener = EspOpener(keys_of(row))
    for esn in (None, row["esn"]):
        opener = EspOpener(keys_of(row, esn=esn))
        for _ in range(2):  # nothing of one packet reaches the next one
            opened = opener.open(wrap(H(row["packet"])))
            assert opened.next_header == row["next_header"]
            assert not opened.padding_wrong
            assert opened.sequence_high == (0 if row["esn"] else None)
            assert opened.verified == (row["integrity"] != 0 or ENCRYPTION[row["encryption"]].is_aead)
            inner = bytes(opened.inner)
            if opened.next_header == IPCOMP:
                inner = decompress(inner).payload
            if row["lan"]:
                assert still(inner) == still(H(row["lan"]))


def test_each_algorithm_has_a_packet_of_a_kernel():
    assert {row["encryption"] for row in OPENABLE} >= {2, 3, 6, 7, 11, 12, 13, 16, 20, 21, 23, 28}
    assert {row["integrity"] for row in OPENABLE} >= {0, 1, 2, 5, 8, 12, 13, 14}
    assert sum(1 for row in OPENABLE if row["lan"]) > 100


def test_tfc_padding_is_told():
    rows = [row for row in OPENABLE if row["scenario"] == "v2-tfc-a"]
    assert any(EspOpener(keys_of(row)).open(H(row["packet"])).tfc_octets > 0 for row in rows)


def test_algorithms_that_the_library_lacks():
    rows = [row for row in PACKETS if row["encryption"] in UNSUPPORTED]
    assert rows
    for row in rows:
        assert slug_of(EspOpener, keys_of(row)) == "unsupported"


@pytest.mark.parametrize("row", OPENABLE[::3], ids=lambda row: f"{row['scenario']}-{row['frame']}")
def test_changed_and_cut_packets(row):
    opener = EspOpener(keys_of(row))
    packet = H(row["packet"])
    if opener.verifies:
        for position in (0, 5, 9, len(packet) // 2, len(packet) - 1):
            changed = bytearray(packet)
            changed[position] ^= 0x40
            assert slug_of(opener.open, bytes(changed)) == "icv"
        assert slug_of(opener.open, packet[:-4]) in {"icv", "too-short"}
    assert slug_of(opener.open, packet[:60], missing=len(packet) - 60) == "truncated"
    assert slug_of(opener.open, packet[:9]) == "too-short"
    assert slug_of(opener.open, b"") == "too-short"
    assert opener.open(packet).next_header == row["next_header"]


@pytest.mark.parametrize("row", OPENABLE[::5], ids=lambda row: f"{row['scenario']}-{row['frame']}")
def test_wrong_keys(row):
    if row["integrity"]:
        wrong = keys_of(row, integrity_key=bytes(len(row["integrity_key"]) // 2))
        assert slug_of(EspOpener(wrong).open, H(row["packet"])) == "icv"
    elif row["salt"]:
        wrong = keys_of(row, salt=bytes(len(row["salt"]) // 2))
        assert slug_of(EspOpener(wrong).open, H(row["packet"])) == "icv"
    if row["key"] and row["encryption"] not in {6, 7}:  # whose keys have any length
        assert slug_of(EspOpener, keys_of(row, encryption_key=H(row["key"])[:-3])) == "key-length"


def seal(sequence, payload=b"payload.", *, next_header=59, padding=None, high=b"", key=KEY, spi=0x1001, icv=16):
    """An ESP packet of AES-GCM."""
    padding = bytes(range(1, 3)) if padding is None else padding
    plain = payload + padding + bytes((len(padding), next_header))
    head, iv = struct.pack(">II", spi, sequence), struct.pack(">Q", sequence)
    sealed = AESGCM(key).encrypt(SALT + iv, plain, head[:4] + high + head[4:])
    return head + iv + sealed[: len(plain) + icv]


def gcm_keys(**fields):
    return EspKeys(**({"encryption": 20, "encryption_key": KEY, "salt": SALT} | fields))


def test_dummy_packets_are_told():
    opened = EspOpener(gcm_keys()).open(seal(1, b"random"))
    assert opened.is_dummy
    assert opened.tfc_octets == 0


def test_padding_is_checked():
    opener = EspOpener(gcm_keys(esn=False))
    assert opener.open(seal(1, padding=b"\x01\x01")).padding_wrong
    assert opener.open(seal(1, padding=bytes(range(1, 256)))).padding == 255
    assert not opener.open(seal(1, padding=b"")).padding_wrong
    bad = b"\x00" * 4 + bytes((200, 4))
    head, iv = struct.pack(">II", 1, 1), bytes(8)
    packet = head + iv + AESGCM(KEY).encrypt(SALT + iv, bad, head)
    assert slug_of(opener.open, packet) == "padding"


def test_without_icv_wrong_padding_means_a_wrong_key():
    row = next(row for row in OPENABLE if row["encryption"] == 12 and row["integrity"] == 0)
    packet = H(row["packet"])
    failures = 0
    for first in range(256):
        key = bytes((first,)) * (len(row["key"]) // 2)
        slug = outcome(EspOpener(keys_of(row, encryption_key=key)).open, packet)
        assert slug in {"", "padding"}
        failures += slug == "padding"
    assert failures > 250


def test_unknown_integrity_algorithm_with_a_known_length():
    row = next(row for row in OPENABLE if row["encryption"] == 12 and row["integrity"] == 12)
    keys = keys_of(row, integrity=0, integrity_key=b"", icv_octets=16, is_checked=False, esn=None)
    opened = EspOpener(keys).open(H(row["packet"]))
    assert not opened.verified
    assert opened.sequence_high is None
    assert still(bytes(opened.inner)) == still(H(row["lan"]))


def test_hmac_sha2_256_of_96_bits():
    row = next(row for row in OPENABLE if row["encryption"] == 12 and row["integrity"] == 12)
    body = H(row["packet"])[:-16]
    short = body + hmac.digest(H(row["integrity_key"]), body, "sha256")[:12]
    assert EspOpener(keys_of(row, icv_octets=12)).open(short).verified
    assert slug_of(EspOpener(keys_of(row)).open, short) in {"icv", "length"}
    assert slug_of(EspOpener, keys_of(row, icv_octets=33)) == "icv-length"
    assert slug_of(EspOpener, gcm_keys(icv_octets=13)) == "icv-length"


@pytest.mark.parametrize("icv", [8, 12])
def test_gcm_with_a_short_icv(icv):
    packet = seal(7, icv=icv)
    number = {8: 18, 12: 19}[icv]
    assert EspOpener(gcm_keys(encryption=number)).open(packet).payload == b"payload."
    assert EspOpener(gcm_keys(icv_octets=icv)).open(packet).payload == b"payload."
    assert slug_of(EspOpener(gcm_keys(encryption=number)).open, packet[:-1] + bytes((packet[-1] ^ 1,))) == "icv"


@pytest.mark.parametrize("high", [b"", b"\x00\x00\x00\x05"])
def test_implicit_ivs(high):
    head = struct.pack(">II", 0x2002, 77)
    plain = b"payload." + b"\x01\x02\x02\x04"
    for number, cipher, salt in (
        (29, AESCCM(KEY, tag_length=8), b"abc"),
        (30, AESGCM(KEY), SALT),
        (31, ChaCha20Poly1305(KEY * 2), SALT),
    ):
        nonce = salt + (high or bytes(4)) + head[4:]
        packet = head + cipher.encrypt(nonce, plain, head[:4] + high + head[4:])
        key = KEY * 2 if number == 31 else KEY
        for esn in (bool(high), None):
            opened = EspOpener(EspKeys(encryption=number, encryption_key=key, salt=salt, esn=esn)).open(packet)
            assert opened.payload == b"payload."
            assert opened.sequence_high == (int.from_bytes(high) if high else None)


def high(number):
    return number.to_bytes(4)


@pytest.mark.parametrize("integrity", [2, 5, 8, 14])
def test_the_high_half_is_covered_by_an_icv_of_its_own(integrity):
    row = INTEGRITY[integrity]
    mac_key, iv = bytes(range(row.key_octets)), bytes(range(16))
    body = struct.pack(">II", 0x2002, 77) + iv
    body += Cipher(AES(KEY), modes.CBC(iv)).encryptor().update(b"payload." + bytes(range(1, 7)) + b"\x06\x04")
    packet = body + row.mac(mac_key)(body, high(6))[: row.icv_octets]
    keys = EspKeys(encryption=12, encryption_key=KEY, integrity=integrity, integrity_key=mac_key)
    assert EspOpener(keys).open(packet).sequence_high == 6
    assert EspOpener(keys).open(packet).payload == b"payload."


def test_the_high_half_is_covered_by_gmac():
    head, iv, plain = struct.pack(">II", 0x2002, 77), bytes(range(8)), b"payload." + b"\x01\x02\x02\x04"
    tag = AESGCM(KEY).encrypt(SALT + iv, b"", head[:4] + high(2) + head[4:] + iv + plain)
    opened = EspOpener(gcm_keys(encryption=21)).open(head + iv + plain + tag)
    assert (opened.payload, opened.sequence_high) == (b"payload.", 2)


def test_the_high_half_is_given_or_inferred():
    assert EspOpener(gcm_keys(esn=True)).open(seal(9, high=high(4711)), 4711).sequence_high == 4711
    assert slug_of(EspOpener(gcm_keys(esn=True)).open, seal(9, high=high(4711)), 4712) == "icv"
    assert slug_of(EspOpener(gcm_keys(esn=True)).open, seal(9, high=high(4711))) == "icv"
    for hint in (4710, 4711, 4712):
        opener = EspOpener(gcm_keys(esn=None, sequence_high=hint))
        assert opener.open(seal(9, high=high(4711))).sequence_high == 4711
    for number in range(8):
        assert EspOpener(gcm_keys()).open(seal(9, high=high(number))).sequence_high == number


def test_the_high_half_follows_wraps_in_any_order():
    opener = EspOpener(gcm_keys(esn=True))
    numbers = [2**32 - 2, 2**32 + 1, 2**32 - 1, 2**32, 2**33 - 5, 2**33 + 3, 2**33 - 1, 2**34 + 9, 2**34 - 1]
    for number in numbers:
        packet = seal(number & 0xFFFFFFFF, high=high(number >> 32))
        assert opener.open(packet).sequence_high == number >> 32
        assert opener.sequence.last == number


def test_one_packet_tells_whether_numbers_are_extended():
    opener = EspOpener(gcm_keys())
    assert opener.open(seal(1)).sequence_high is None
    assert slug_of(opener.open, seal(2, high=high(0))) == "icv"
    opener = EspOpener(gcm_keys())
    assert opener.open(seal(1, high=high(0))).sequence_high == 0
    assert slug_of(opener.open, seal(2)) == "icv"


def test_forged_packets_cost_few_tries(monkeypatch):
    opener = EspOpener(gcm_keys())
    tries = 0
    unseal = opener._unseal

    def counted(packet, high):
        nonlocal tries
        tries += 1
        return unseal(packet, high)

    monkeypatch.setattr(opener, "_unseal", counted)
    forged = seal(5, key=bytes(16))
    for _ in range(1_000):
        assert slug_of(opener.open, forged) == "icv"
    assert tries < 32 * 15 + 1_000 * 3
    assert opener.open(seal(6, high=high(0))).sequence_high == 0


@pytest.mark.parametrize("row", OPENABLE[::2], ids=lambda row: f"{row['scenario']}-{row['frame']}")
def test_a_glimpse_of_a_cut_packet(row):
    packet = H(row["packet"])
    payload = bytes(EspOpener(keys_of(row)).open(packet).payload)
    for size in (60, 75, len(packet)):
        seen = bytes(EspOpener(keys_of(row)).glimpse(packet[:size]))
        assert len(seen) > min(size, len(packet)) - 8 - 16 - 16
        common = min(len(seen), len(payload))
        assert seen[:common] == payload[:common]
    assert slug_of(EspOpener(keys_of(row)).glimpse, packet[:8]) == "too-short"


def test_a_glimpse_with_camellia_and_with_an_implicit_iv():
    head, iv = struct.pack(">II", 0x2002, 77), bytes(range(8))
    plain = b"payload." * 4
    packet = head + AESGCM(KEY).encrypt(SALT + high(3) + head[4:], plain, b"")
    opener = EspOpener(EspKeys(encryption=30, encryption_key=KEY, salt=SALT, esn=True, sequence_high=3))
    assert opener.glimpse(packet[:30]) == plain[:22]
    assert opener.glimpse(packet[:30], 3) == plain[:22]
    keys = EspKeys(encryption=27, encryption_key=KEY, salt=b"abc", esn=False)
    sealed = stream_of("ccm", "Camellia", KEY)(b"abc" + iv, plain)
    assert EspOpener(keys).glimpse(head + iv + sealed) == plain
    assert stream_of("ccm", "AES", KEY)(b"abc" + iv, plain) == AESCCM(KEY).encrypt(b"abc" + iv, plain, None)[:32]


def test_a_key_of_an_unusual_length_is_told():
    row = next(row for row in OPENABLE if row["integrity"] == 12)
    keys = keys_of(row, integrity_key=H(row["integrity_key"])[:-1])
    with pytest.raises(DecryptError, match="31 octets, 32 are usual"):
        EspOpener(keys).open(H(row["packet"]))


def test_open_in_two_halves():
    packets = [seal(1), seal(2, key=bytes(16)), seal(3), seal(4)[:20]]
    opener = EspOpener(gcm_keys(esn=False))
    results = [opener.unseal(packet) for packet in packets]
    assert [getattr(result, "slug", "") for result in results] == ["", "icv", "", "too-short"]
    assert opener.finish(*results[2]) == EspOpener(gcm_keys(esn=False)).open(packets[2])


@cache
def openers():
    return [EspOpener(keys_of(row, esn=esn)) for row in OPENABLE[::4] for esn in (None, False, True)]


@given(st.data(), st.binary(max_size=200), st.sampled_from([None, 0, 1, 2**32 - 1]))
def test_any_octets_open_or_raise_decrypt_error(data, octets, high):
    opener = data.draw(st.sampled_from(openers()))
    assert outcome(opener.open, octets, high) in {"", "icv", "too-short", "length", "padding"}


@given(
    st.sampled_from(sorted(ENCRYPTION)),
    st.sampled_from([0, 1, 2, 3, 5, 8, 9, 12, 14, 99]),
    st.binary(max_size=40),
    st.binary(max_size=5),
    st.binary(max_size=70),
    st.sampled_from([None, 0, 1, 8, 12, 16, 32, 64]),
    st.booleans(),
    st.binary(max_size=120),
)
def test_any_keys_open_or_raise_decrypt_error(encryption, integrity, key, salt, mac_key, icv, checked, packet):
    keys = EspKeys(
        encryption=encryption,
        encryption_key=key,
        salt=salt,
        integrity=integrity,
        integrity_key=mac_key,
        icv_octets=icv,
        is_checked=checked,
    )
    told = outcome(lambda: EspOpener(keys).open(packet))
    assert told in {
        *("", "icv", "too-short", "length", "padding"),
        *("key-length", "salt-length", "icv-length", "unsupported", "missing-key"),
    }
