"""AH: packets of a real kernel and of scapy, an independent writer; mutable fields, options, extension headers."""

from __future__ import annotations

import warnings
from functools import cache

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto.ah import AhOpener, freeze
from ipsecanalyze.crypto.material import EspKeys

from .conftest import outcome, read_vectors, slug_of

H = bytes.fromhex
PACKETS = read_vectors("ah_packets")["packets"]


def keys_of(row, **changes):
    fields = {
        "protocol": "AH",
        "integrity": row["integrity"],
        "integrity_key": H(row["integrity_key"]),
        "icv_octets": row["icv_octets"],
        "esn": row["esn"],
    }
    return EspKeys(**(fields | changes))


@pytest.mark.parametrize("row", PACKETS, ids=lambda row: f"{row['scenario']}-{row['frame']}")
def test_packets_of_a_kernel(row):
    packet = H(row["packet"])
    for esn in (None, row["esn"]):
        opener = AhOpener(keys_of(row, esn=esn))
        verified = opener.open(packet)
        assert verified.next_header == row["next_header"]
        assert verified.sequence_high == (0 if row["esn"] else None)
        assert verified.offset == 20
        if row["lan"]:
            # Behind the router nothing but TTL and checksum differs.
            inner, lan = bytearray(verified.payload), bytearray(H(row["lan"]))
            inner[8] = lan[8] = 0
            inner[10:12] = lan[10:12] = bytes(2)
            assert inner == lan
        hop = bytearray(packet)
        hop[1], hop[8], hop[10:12] = 0xB8, 3, b"\x12\x34"
        assert opener.open(bytes(hop)).payload == verified.payload
        assert opener.open(packet + b"trailer").payload == verified.payload
        for position in (5, 9, 12, 26, 30, 40, len(packet) - 1):
            changed = bytearray(packet)
            changed[position] ^= 1
            assert slug_of(opener.open, bytes(changed)) in {"icv", "malformed"}
        assert slug_of(opener.open, packet[:-1]) == "truncated"


def test_wrong_keys():
    row = PACKETS[0]
    packet = H(row["packet"])
    assert slug_of(AhOpener(keys_of(row, integrity_key=b"another")).open, packet) == "icv"
    assert slug_of(AhOpener, keys_of(row, integrity_key=b"")) == "missing-key"
    assert slug_of(AhOpener, keys_of(row, integrity=0)) == "unsupported"
    assert slug_of(AhOpener, keys_of(row, integrity=3)) == "unsupported"
    assert slug_of(AhOpener, keys_of(row, icv_octets=65)) == "icv-length"


@cache
def scapy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scapy.layers.inet
        import scapy.layers.inet6
        import scapy.layers.ipsec
    return scapy


def by_scapy(packet, algorithm="HMAC-SHA1-96", key=bytes(range(20))):
    """The packet with AH, as scapy writes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ipsec = scapy().layers.ipsec
        sa = ipsec.SecurityAssociation(ipsec.AH, spi=0x77, auth_algo=algorithm, auth_key=key)
        return bytes(sa.encrypt(packet, seq_num=5))


def test_ipv4_with_options():
    inet = scapy().layers.inet
    options = [
        inet.IPOption_NOP(),
        inet.IPOption_Router_Alert(),
        inet.IPOption_RR(routers=["1.2.3.4", "5.6.7.8"]),
    ]
    raw = by_scapy(inet.IP(src="192.0.2.1", dst="192.0.2.2", tos=4, options=options) / inet.UDP(dport=9) / b"data")
    opener = AhOpener(EspKeys(protocol="AH", integrity=2, integrity_key=bytes(range(20))))
    verified = opener.open(raw)
    assert verified.next_header == 17
    assert verified.payload.endswith(b"data")
    at = raw.index(bytes((1, 2, 3, 4)))
    assert opener.open(raw[:at] + b"\x09\x09\x09\x09" + raw[at + 4 :]).payload == verified.payload
    at = raw.index(b"\x94\x04\x00\x00")
    assert slug_of(opener.open, raw[: at + 3] + b"\x01" + raw[at + 4 :]) == "icv"


def test_ipv6_with_extension_headers():
    inet, inet6 = scapy().layers.inet, scapy().layers.inet6
    mutable = inet6.HBHOptUnknown(otype=0x3E, optdata=b"abcdef")
    fixed = inet6.HBHOptUnknown(otype=0x1E, optdata=b"ghijkl")
    packet = (
        inet6.IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=7)
        / inet6.IPv6ExtHdrHopByHop(options=[mutable, fixed])
        / inet6.IPv6ExtHdrDestOpt(options=[fixed])
        / inet.UDP(dport=9)
        / b"data"
    )
    raw = by_scapy(packet)
    opener = AhOpener(EspKeys(protocol="AH", integrity=2, integrity_key=bytes(range(20))))
    verified = opener.open(raw)
    assert verified.payload.endswith(b"data")
    hop = bytearray(raw)
    hop[0:4], hop[7] = b"\x6b\xc1\x23\x45", 2
    at = raw.index(b"abcdef")
    hop[at : at + 6] = b"zzzzzz"
    assert opener.open(bytes(hop)).payload == verified.payload
    at = raw.index(b"ghijkl")
    assert slug_of(opener.open, raw[:at] + b"z" + raw[at + 1 :]) == "icv"


def test_ipv6_with_a_routing_header_on_its_way_and_at_its_end():
    # The same packet as seen before its last hop and behind it: what the ICV covers is the same.
    first, last = bytes(range(16)), bytes(range(16, 32))
    ah = bytes((59, 1)) + bytes(10)

    def packet(destination, left, address):
        routing = bytes((51, 2, 0, left)) + bytes(4) + address
        return (
            b"\x60"
            + bytes(3)
            + (len(routing) + len(ah)).to_bytes(2)
            + bytes((43, 9))
            + bytes(16)
            + destination
            + (routing + ah)
        )

    assert freeze(packet(first, 1, last)) == freeze(packet(last, 0, first))


def test_gmac():
    head = bytes((0x45, 0, 0, 20 + 12 + 24 + 4)) + bytes(4) + bytes((9, 51)) + bytes(2) + b"\xc0\0\2\1" + b"\xc0\0\2\2"
    ah, iv, payload = bytes((59, 7, 0, 0)) + b"\0\0\0\x77" + b"\0\0\0\x05", b"12345678", b"data"
    frozen = head[:8] + b"\0" + head[9:]
    tag = AESGCM(bytes(16)).encrypt(b"salt" + iv, b"", frozen + ah + iv + bytes(16) + payload)
    keys = EspKeys(protocol="AH", integrity=9, integrity_key=bytes(16), salt=b"salt")
    assert AhOpener(keys).open(head + ah + iv + tag + payload).payload == payload
    assert slug_of(AhOpener(keys).open, head + ah + iv + bytes(16) + payload) == "icv"


@given(st.binary(max_size=120), st.sampled_from([0x45, 0x46, 0x60]), st.sampled_from([0, 43, 51, 60]))
def test_any_octets_raise_nothing_else(octets, version, following):
    data = bytearray(octets)
    if len(data) > 20:
        data[0], data[6 if version == 0x60 else 9] = version, following
        data[2:6] = bytes((0, len(data), 0, max(len(data) - 40, 0)))
    opener = AhOpener(EspKeys(protocol="AH", integrity=2, integrity_key=b"key"))
    assert outcome(opener.open, bytes(data)) in {"icv", "truncated", "too-short", "malformed", "unsupported"}
