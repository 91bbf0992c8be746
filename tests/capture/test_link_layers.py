"""Every link layer that is read: packets built by scapy or after the LINKTYPE_ descriptions, and read by tshark too."""

from __future__ import annotations

from struct import pack

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import GRE, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.layers.vxlan import VXLAN

from ipsecanalyze.capture.packet import Packet, PacketKind
from ipsecanalyze.capture.writer import write_capture

MAC = "02:00:00:00:00:01"
ETHER = Ether(src=MAC, dst=MAC)

SPI, SEQUENCE = 0xC0FFEE01, 7
esp = ESP(spi=SPI, seq=SEQUENCE, data=b"\xa5" * 40)
v4 = IP(src="192.0.2.1", dst="198.51.100.1", proto=50) / esp
v6 = IPv6(src="2001:db8::1", dst="2001:db8::2", nh=50) / esp
RAW4, RAW6 = bytes(v4), bytes(v6)
MACS = bytes.fromhex("020000000002020000000001")
SNAP_IP = bytes.fromhex("aaaa030000000800")


def wifi(qos: bool = False, four_addresses: bool = False, htc: bool = False) -> bytes:
    control = 0x88 if qos else 0x08
    flags = (3 if four_addresses else 1) | (0x80 if htc else 0)
    header = bytes([control, flags, 0, 0]) + MACS + MACS[:6] + b"\0\0" + (MACS[:6] if four_addresses else b"")
    return header + (b"\0\0" if qos else b"") + (bytes(4) if htc else b"") + SNAP_IP + RAW4


CASES = {
    "ethernet": (1, ETHER / v4, None),
    "ethernet-v6": (1, ETHER / v6, None),
    "vlan": (1, ETHER / Dot1Q(vlan=42) / v4, (42,)),
    "qinq": (1, ETHER / Dot1AD(vlan=7) / Dot1Q(vlan=42) / v6, (7, 42)),
    "vlan-9100": (1, Ether(src=MAC, dst=MAC, type=0x9100) / pack("!HH", 5, 0x0800) / RAW4, (5,)),
    "llc-snap": (1, Dot3(src=MAC, dst=MAC) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x800) / v4, None),
    "pppoe": (1, ETHER / PPPoE(sessionid=9) / PPP(proto=0x21) / v4, None),
    "vlan-pppoe-v6": (1, ETHER / Dot1Q(vlan=3) / PPPoE(sessionid=9) / PPP(proto=0x57) / v6, (3,)),
    "mpls": (1, Ether(src=MAC, dst=MAC, type=0x8847) / MPLS(label=16, s=0) / MPLS(label=17, s=1) / v4, None),
    "mpls-v6": (1, Ether(src=MAC, dst=MAC, type=0x8847) / MPLS(label=17, s=1) / v6, None),
    "mpls-pseudowire": (
        1,
        Ether(src=MAC, dst=MAC, type=0x8847) / MPLS(label=16, s=1) / bytes(4) / bytes(ETHER / v4),
        None,
    ),
    "gre": (1, ETHER / IP(proto=47) / GRE(proto=0x800, key_present=1, key=5) / v4, None),
    "gre-ethernet": (1, ETHER / IP(proto=47) / GRE(proto=0x6558) / ETHER / Dot1Q(vlan=6) / v4, (6,)),
    "gre-in-v6": (1, ETHER / IPv6(nh=47) / GRE(proto=0x86DD, seqnum_present=1) / v6, None),
    "ip-in-ip": (1, ETHER / IP(proto=4) / v4, None),
    "6in4": (1, ETHER / IP(proto=41) / v6, None),
    "4in6": (1, ETHER / IPv6(nh=4) / v4, None),
    "etherip": (1, ETHER / IP(proto=97) / b"\x30\0" / bytes(ETHER / v4), None),
    "vxlan": (1, ETHER / IP() / UDP(dport=4789) / VXLAN(vni=1, flags=8) / ETHER / v4, None),
    "geneve": (
        1,
        ETHER / IP() / UDP(sport=40000, dport=6081) / bytes.fromhex("0100655800000100deadbe00") / ETHER / v4,
        None,
    ),
    "sll": (113, CookedLinux(proto=0x800) / v4, None),
    "sll-vlan": (113, CookedLinux(proto=0x8100) / Dot1Q(vlan=11) / v4, (11,)),
    "sll2": (276, CookedLinuxV2(proto=0x86DD) / v6, None),
    "raw": (101, v4, None),
    "raw-v6": (101, v6, None),
    "ipv4": (228, v4, None),
    "ipv6": (229, v6, None),
    "null-little": (0, pack("<I", 2) + RAW4, None),
    "null-big": (0, pack(">I", 2) + RAW4, None),
    "null-openbsd-v6": (0, pack("<I", 24) + RAW6, None),
    "null-freebsd-v6": (0, pack("<I", 28) + RAW6, None),
    "null-darwin-v6": (0, pack(">I", 30) + RAW6, None),
    "loop": (108, pack(">I", 2) + RAW4, None),
    "ppp": (9, PPP(proto=0x21) / v4, None),
    "ppp-hdlc": (50, HDLC() / PPP(proto=0x57) / v6, None),
    "chdlc": (104, b"\x0f\0\x08\0" + RAW4, None),
    "pppoe-link": (51, PPPoE(sessionid=1) / PPP(proto=0x21) / v4, None),
    "nflog": (
        239,
        bytes.fromhex("02000001") + pack("<HH", 8, 10) + bytes(4) + pack("<HH", 4 + len(RAW4), 9) + RAW4,
        None,
    ),
    "enc": (109, pack("<III", 2, SPI, 0) + RAW4, None),
    "wifi": (105, wifi(), None),
    "wifi-qos": (105, wifi(qos=True), None),
    "wifi-qos-htc": (105, wifi(qos=True, htc=True), None),
    "wifi-wds": (105, wifi(four_addresses=True), None),
    "radiotap": (127, pack("<BBHI", 0, 0, 8, 0) + wifi(), None),
    "radiotap-flags": (127, pack("<BBHIQB", 0, 0, 17, 3, 0, 0) + wifi(qos=True), None),
    "avs": (163, pack(">II", 0x80211001, 64) + bytes(56) + wifi(), None),
    "prism": (119, pack("<II", 0x44, 144) + bytes(136) + wifi(), None),
}
# tshark 4.0 has no name for these inside, or guesses otherwise; the RFCs are the truth.
TSHARK_BLIND = {"mpls-pseudowire", "etherip", "null-openbsd-v6", "enc", "vlan-9100"}


@pytest.mark.parametrize("case", CASES)
def test_esp_is_found_behind(case, decode):
    link_type, frame, vlan = CASES[case]
    found, decoder = decode([frame], link_type)
    assert [(d.kind, d.payload) for d in found] == [("esp", bytes(esp))]
    assert found[0].vlan == (vlan or ())
    assert found[0].length == len(bytes(esp))
    assert {found[0].source, found[0].destination} in ({"192.0.2.1", "198.51.100.1"}, {"2001:db8::1", "2001:db8::2"})
    assert decoder.counts[PacketKind.ESP] == 1
    assert decoder.notices.notices == []


def test_tshark_finds_the_same(tshark_fields, tmp_path):
    names = [name for name in CASES if name not in TSHARK_BLIND]
    packets = []
    for number, name in enumerate(names, 1):
        frame = bytes(CASES[name][1])
        packets.append(Packet(number, CASES[name][0], frame, len(frame), number, interface=number))
    path = tmp_path / "links.pcapng"
    write_capture(path, packets)
    rows = tshark_fields(path, ["esp.spi", "esp.sequence"])
    assert dict(zip(names, rows, strict=True)) == {name: [f"{SPI:#010x}", str(SEQUENCE)] for name in names}


def test_protected_wifi_is_other(decode):
    frame = bytearray(wifi())
    frame[1] |= 0x40
    found, decoder = decode([frame], 105)
    assert found == []
    assert decoder.counts[PacketKind.OTHER] == 1


def test_unknown_link_type_is_told_once_and_counted(decode):
    found, decoder = decode([b"x" * 60] * 3, 147)
    assert found == []
    assert decoder.counts[PacketKind.OTHER] == 3
    assert decoder.notices.counts == {"unknown-link-type": 3}
    assert len(decoder.notices.notices) == 1


def test_tunnels_in_tunnels_are_bounded(decode):
    frame = RAW4
    for _ in range(30):
        frame = bytes(IP(proto=4) / frame)
    found, decoder = decode([frame], 101)
    assert found == []
    assert decoder.notices.counts == {"nested-too-deep": 1}


def test_a_stack_of_tags_is_bounded(decode):
    found, decoder = decode([MACS + b"\x81\0\0\x01" * 300 + b"\x08\0" + RAW4])
    assert found == []
    assert decoder.counts[PacketKind.MALFORMED] == 1
