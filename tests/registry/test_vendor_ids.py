"""Vendor IDs: known octets from RFCs, vendors' documents and other implementations' logs are recognised."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.registry import vendor_id_table as table
from ipsecanalyze.registry.vendor_ids import VendorId, identify, known_vendor_ids

# Octets as RFCs, drafts and vendors print them, or as daemons log them on receipt; not made by hashing here.
SEEN = [
    ("4a131c81070358455c5728f20e95452f", "NAT-T (RFC 3947)", "capability"),  # RFC 3947 §3.1
    ("90cb80913ebb696e086381b5ec427b1f", "NAT-T (draft-ietf-ipsec-nat-t-ike-02\\n)", "capability"),  # the draft, §3.1
    ("cd60464335df21f87cfdb2fc68b6a448", "NAT-T (draft-ietf-ipsec-nat-t-ike-02)", "capability"),  # charon's table
    ("7d9419a65310ca6f2c179d9215529d56", "NAT-T (draft-ietf-ipsec-nat-t-ike-03)", "capability"),  # the draft, §3.1
    ("4485152d18b6bbcd0be8a8469579ddcc", "NAT-T (draft-ietf-ipsec-nat-t-ike-00)", "capability"),
    ("8f8d83826d246b6fc7a8a6a428c11de8", "NAT-T (draft-ietf-ipsec-nat-t-ike-08)", "capability"),
    ("4df37928e9fc4fd1b3262170d515c662", "NAT-T (draft-ietf-ipsec-nat-t-ike)", "capability"),  # macOS racoon
    ("27bab5dc01ea0760ea4e3190ac27c0d0", "NAT-T (draft-stenberg-ipsec-nat-traversal-01)", "capability"),
    ("afcad71368a1f1c96b8696fc77570100", "DPD 1.0", "capability"),  # RFC 3706 §5.1
    ("09002689dfd6b712", "XAUTH", "capability"),  # draft-beaulieu-ike-xauth-02
    ("12f5f28c457168a9702d9fe274cc0100", "Cisco Unity 1.0", "capability"),
    ("12f5f28c457168a9702d9fe274cc02d4", "Cisco Unity", "capability"),
    ("4048b7d56ebce88525e7de7f00d6c2d3", "IKE fragmentation", "capability"),  # MS-IKEE
    ("4048b7d56ebce88525e7de7f00d6c2d380000000", "IKE fragmentation 80000000", "capability"),  # strongSwan
    ("4048b7d56ebce88525e7de7f00d6c2d3c0000000", "IKE fragmentation c0000000", "capability"),  # Cisco
    ("1e2b516905991c7d7c96fcbfb587e46100000004", "Microsoft Windows Server 2003, XP SP2", "implementation"),
    ("1e2b516905991c7d7c96fcbfb587e46100000009", "Microsoft Windows 8, Server 2012 or later", "implementation"),
    ("1e2b516905991c7d7c96fcbfb587e4610000000c", "Microsoft Windows version 12", "implementation"),
    ("26244d38eddb61b3172a36e3d0cfb819", "Vid-Initial-Contact", "capability"),
    ("fb1de3cdf341b7ea16b7e5be0855f120", "MS-Negotiation Discovery Capable", "capability"),
    ("e3a5966a76379fe707228231e5ce8652", "IKE CGA version 1", "capability"),
    ("214ca4faffa7f32d6748e5303395ae83", "MS-MamieExists (AuthIP)", "capability"),
    ("72872b95fcda2eb708efe322119b4971", "NLBS_PRESENT (fast failover)", "capability"),
    ("8aa394cf8a5577dc3110c113b027a4f2", "Microsoft Xbox One", "implementation"),
    ("882fe56d6fd20dbc2251613b2ebe5beb", "strongSwan", "implementation"),  # charon's table
    ("7f50cc4ebf04c2d9da73abfd69b77aa2", "strongSwan 2.7.3", "implementation"),  # logged from an Astaro gateway
    ("7003cbc1097dbe9c2600ba6983bc8b35", "KAME/racoon", "implementation"),
    ("621b04bb09882ac1e15935fefa24aeee", "GSSAPI", "capability"),
    ("b46d8914f3aaa3f2fedeb7c7db2943ca", "GSS-API authentication", "capability"),
    ("054182a07c7ae206f9d2cf9d2432c482", "SSH Sentinel", "implementation"),
    ("9aa1f3b43472a45d5f506aeb260cf214", "SSH IPSEC Express 4.1.0", "implementation"),
    ("59e454a8c2cf02a34959121f1890bc87", "SSH QuickSec 1.1.3", "implementation"),
    ("1f07f70eaa6514d3b0fa96542a500301", "Cisco VPN 3000 3.0.1", "implementation"),
    ("1f07f70eaa6514d3b0fa96542a500407", "Cisco VPN 3000 4.0.7", "implementation"),
    ("464c455856504e2d535550504f52544544", "Cisco FlexVPN supported", "capability"),
    ("434953434f2d44454c4554452d524541534f4e", "Cisco Delete Reason", "capability"),
    ("434953434f2d44594e414d49432d524f555445", "Cisco Dynamic Route", "capability"),
    ("434953434f56504e2d5245562d3032", "Cisco VPN revision 02", "capability"),
    ("8299031757a36082c6a621de0005024d", "Fortinet FortiGate 5 (build 589)", "implementation"),  # FortiOS 5.2.0
    ("8299031757a36082c6a621de00000000", "Fortinet FortiGate", "implementation"),  # FortiOS 7
    ("9b15e65a871aff342666623ba5022e60", "Fortinet Auto-Discovery Sender", "capability"),
    ("ca4a4cbb12eab6c58c57067c2e653786", "Fortinet Auto-Discovery Receiver", "capability"),
    (
        "f4ed19e0c114eb516faaac0ee37daf2807b4381f000000010000138c000000000000000018800000",
        "Check Point VPN-1/FireWall-1 NG AI",
        "implementation",
    ),
    (
        "47bbe7c993f1fc13b4e6d0db565c68e5010201010201010310382e302e3020284275696c6420313029000000",
        "SafeNet SoftRemote 8.0.0 (Build 10)",
        "implementation",
    ),
    ("699369228741c6d4ca094c93e242c9de19e7b7c60000000500000500", "Juniper NetScreen (ScreenOS)", "implementation"),
    ("4865617274426561745f4e6f74696679386b0100", "NetScreen heartbeat notify", "capability"),
    ("424e455300000009", "Nortel Contivity 9", "implementation"),
    (
        "54494d455354455020312053475720313532302033313520322e303145303133",
        "TimeStep 1 SGW 1520 315 2.01E013",
        "implementation",
    ),
    ("4c5643372e312e323a5850", "Lucent VPN Client 7.1.2:XP", "implementation"),
    ("4f70656e5047503130313731", "OpenPGP", "capability"),
    ("4f70706f7274756e6973746963204950736563", "Opportunistic IPsec", "capability"),
    ("f14b94b7bff1fef02773b8c49feded26", "Shrew Soft VPN Client", "implementation"),
    ("625027749d5ab97f5616c1602765cf480a3b7d0b", "ZyXEL ZyWALL", "implementation"),
]


@pytest.mark.parametrize(("octets", "label", "kind"), SEEN, ids=[label for _, label, _ in SEEN])
def test_seen_vendor_ids(octets, label, kind):
    vendor = identify(bytes.fromhex(octets))
    assert (vendor.label, vendor.kind) == (label, kind)
    assert vendor.data.hex() == octets
    assert vendor.source


def test_at_least_a_hundred():
    assert len(known_vendor_ids()) + len(table.PREFIXES) >= 100


def test_every_row_is_found_again():
    for data, vendor in known_vendor_ids().items():
        assert identify(data) == vendor
    rows = [*table.HASHED, *table.PLUTO_HASHED, *table.TEXTS, *table.RAW]
    assert len(known_vendor_ids()) == len(rows)  # no row hides another
    assert len({row.key for row in table.PREFIXES}) == len(table.PREFIXES)


def test_hashes_are_md5_of_the_text():
    known = known_vendor_ids()
    for row in table.HASHED:
        assert known[hashlib.md5(row.key.encode()).digest()].name == row.name


def test_kinds():
    rows = [*table.HASHED, *table.PLUTO_HASHED, *table.TEXTS, *table.RAW, *table.PREFIXES]
    assert {row.kind for row in rows} == {"implementation", "capability"}
    assert all(row.source for row in rows)


@pytest.mark.parametrize(
    ("data", "name", "version"),
    [
        (b"OE-Libreswan-5.2", "Libreswan", "5.2"),
        (b"OE-Libreswan-v4.12-dirty", "Libreswan", "v4.12-dirty"),
        (b"OpenIKED-7.3", "OpenIKED", "7.3"),
        (b"CISCO(COPYRIGHT)&Copyright (c) 2009 Cisco Systems, Inc.", "Cisco copyright", "2009 Cisco Systems, Inc."),
        (b"OENlqIUfTESD", "Libreswan", None),
        (b"OSWlqIUfTESD", "Openswan", None),
        (b"OEAlqIUfTESD", "Openswan or FreeS/WAN", None),
    ],
)
def test_texts_with_versions(data, name, version):
    vendor = identify(data)
    assert (vendor.name, vendor.version) == (name, version)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"OE",
        b"OEnough said",  # a space is not in pluto's alphabet
        b"OE-Libreswan-\x1b[31m",
        bytes.fromhex("afcad71368a1f1c96b8696fc7757"),
        bytes.fromhex("afcad71368a1f1c96b8696fc77570100ff"),
        bytes(16),
    ],
)
def test_what_is_only_similar_stays_unknown(data):
    vendor = identify(data)
    assert (vendor.name, vendor.version, vendor.kind) == (None, None, "unknown")


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (b"Some Gateway 1.0", '"Some Gateway 1.0"'),
        (b"Some Gateway 1.0\0\0", '"Some Gateway 1.0"'),
        (b"\x1b[2Jclear", "1b5b324a636c656172"),
        (b"A" * 65, '"' + "A" * 64 + '..."'),
        (b"\xff" * 65, "ff" * 64 + "..."),
        (b"", ""),
    ],
)
def test_labels_of_unknown_vendor_ids(data, label):
    assert identify(data).label == label


def check(vendor: VendorId, data: bytes) -> None:
    assert vendor.data == data
    assert vendor.label.isascii()
    assert vendor.label.isprintable()
    assert len(vendor.label) < 200
    assert vendor.kind in {"implementation", "capability", "unknown"}
    assert str(vendor) == vendor.label


@given(st.binary(max_size=300))
def test_any_octets(data):
    check(identify(data), data)


@given(st.sampled_from([bytes.fromhex(row.key) for row in table.PREFIXES]), st.binary(max_size=200))
def test_any_octets_behind_a_prefix(prefix, rest):
    check(identify(prefix + rest), prefix + rest)


def test_all_truncations():
    for data in [*known_vendor_ids(), *(bytes.fromhex(octets) for octets, _, _ in SEEN)]:
        for end in range(len(data)):
            check(identify(data[:end]), data[:end])


def test_long_vendor_ids_are_not_kept():
    data = b"OE-Libreswan-" + b"x" * 60000
    assert identify(data) is not identify(data)
    assert len(identify(data).label) < 100


def ike_messages(vendor_ids: list[bytes]) -> bytes:
    """A capture (raw IP) with one IKEv1 message for each vendor ID."""
    capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for second, data in enumerate(vendor_ids):
        payload = struct.pack(">BBH", 0, 0, 4 + len(data)) + data
        ike = b"initiatr" + bytes(8) + bytes([13, 0x10, 2, 0]) + struct.pack(">II", 0, 28 + len(payload)) + payload
        udp = struct.pack(">HHHH", 500, 500, 8 + len(ike), 0) + ike
        addresses = bytes([192, 0, 2, 1, 198, 51, 100, 1])
        packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses + udp
        capture += struct.pack("<IIII", second, 0, len(packet), len(packet)) + packet
    return capture


#: What Wireshark calls things that have another name here; elsewhere one name must contain a word of the other.
WIRESHARK_NAMES = {
    "NAT-T (draft-huttunen-ipsec-esp-in-udp-01)": "ESPThruNAT",
    "CRACK": "Challenge/Response",
    "CRACK (revised)": "(Revised)",
    "Microsoft Windows Vista": "MS NT5 ISAKMPOAKLEY",
    "IPsec-Tools racoon": "IPSec-Tools",
}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_names_agree_with_wireshark(tmp_path):
    vendors = [*known_vendor_ids().values(), *(identify(bytes.fromhex(octets)) for octets, _, _ in SEEN)]
    path = tmp_path / "vendor-ids.pcap"
    path.write_bytes(ike_messages([vendor.data for vendor in vendors]))
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "isakmp.vid_string"]
    names = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert len(names) == len(vendors)
    compared = 0
    for vendor, theirs in zip(vendors, names, strict=True):
        if theirs == "Unknown Vendor ID" or vendor.label.startswith("Microsoft Windows"):
            continue  # Wireshark shows the Windows version in a field of its own
        compared += 1
        expected = WIRESHARK_NAMES.get(vendor.label)
        if expected:
            assert expected in theirs
            continue
        ours = vendor.label.lower().replace("(", " ").replace(")", " ").split()
        assert any(len(word) > 2 and word in theirs.lower() for word in ours), f"{vendor.label} is {theirs}"
        if vendor.version and "ssh" in ours:
            assert theirs.endswith(vendor.version)
    assert compared > 60
