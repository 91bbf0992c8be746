"""AH behind IPv4 options and IPv6 extension headers, from the capture on.

What the ICV covers is written out here octet by octet, as RFC 4302 §3.3.3.1 and its Appendix A say; nothing of
`crypto/ah.py` has a part in it.
"""

from __future__ import annotations

import hmac
import io
import sys
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.export import write_inner

sys.path.insert(0, str(Path(__file__).parent))
from esp_made import capture, ipv4, octets, udp

KEY = bytes(range(20))
SPI = 0x0A4B0001
INNER = ipv4("10.1.0.10", "10.2.0.10", 17, udp(53, b"behind options"))
A, B, C = (bytes.fromhex("20010db8") + bytes(11) + bytes((last,)) for last in (1, 2, 3))


def ah(icv: bytes) -> bytes:
    return b"\x04\x04\0\0" + SPI.to_bytes(4) + b"\0\0\0\x01" + icv


def icv_of(covered: bytes) -> bytes:
    """`covered`: everything in front of AH; AH with an ICV of zero and the payload follow."""
    return hmac.digest(KEY, covered + ah(bytes(12)) + INNER, "sha1")[:12]


def v4(options: bytes, *, destination: str, tos: int, ttl: int, place: int, total: int) -> bytes:
    head = bytes((0x40 | (20 + len(options)) // 4, tos)) + total.to_bytes(2) + b"\x12\x34" + place.to_bytes(2)
    return head + bytes((ttl, 51)) + b"\0\0" + octets("192.0.2.1") + octets(destination) + options


#: Router alert (immutable), no operation; then record route or a loose source route (mutable), and the end.
ALERT = b"\x94\x04\0\0\x01"
RECORDED = b"\x07\x0b\x08" + octets("203.0.113.9") + bytes(4)
ROUTE = b"\x83\x0b\x04" + octets("198.51.100.7") + octets("198.51.100.1")


@pytest.mark.parametrize(("mutable", "here"), [(RECORDED, "198.51.100.1"), (ROUTE, "203.0.113.5")])
@pytest.mark.parametrize("is_fragmented", [False, True])
def test_ipv4_options(tmp_path: Path, mutable: bytes, here: str, is_fragmented: bool) -> None:
    total = 40 + len(ah(b"")) + 12 + len(INNER) - 4
    covered = v4(ALERT + bytes(11), destination="198.51.100.1", tos=0, ttl=0, place=0, total=total)
    assert len(covered) == 36
    body = ah(icv_of(covered)) + INNER
    fields = {"destination": here, "tos": 0xB8, "ttl": 61}
    if not is_fragmented:
        packets = [v4(ALERT + mutable, place=0x4000, total=total, **fields) + body]
    else:  # router alert is copied into every fragment, record route is not (RFC 791 §3.1)
        packets = [
            v4(ALERT + mutable, place=0x2000, total=36 + 32, **fields) + body[:32],
            v4(ALERT + bytes(3), place=4, total=28 + len(body) - 32, **fields) + body[32:],
        ]
    assert opened(tmp_path, packets) == [INNER]
    # The router alert is covered.
    assert opened(tmp_path, [packet.replace(b"\x94\x04\0\0", b"\x94\x04\0\x01") for packet in packets]) == []


def v6(first: int, destination: bytes, length: int, *, label: int = 0, hops: int = 0) -> bytes:
    return (6 << 28 | label).to_bytes(4) + length.to_bytes(2) + bytes((first, hops)) + A + destination


@pytest.mark.parametrize("is_fragmented", [False, True])
@pytest.mark.parametrize("left", [0, 1])
def test_ipv6_extension_headers(tmp_path: Path, left: int, is_fragmented: bool) -> None:
    def hop_by_hop(following: int, changing: bytes) -> bytes:  # options 0x3e may change on the way, 0x1e may not
        return bytes((following, 1)) + b"\x3e\x04" + changing + b"\x1e\x04" + b"kept" + b"\x01\x00"

    def routing(following: int, left: int, address: bytes) -> bytes:
        return bytes((following, 2, 0, left)) + bytes(4) + address

    to = b"\x33\x00\x1e\x04last"  # destination options, AH follows
    length = 16 + 24 + 8 + len(ah(bytes(12)) + INNER)
    covered = v6(0, C, length) + hop_by_hop(43, bytes(4)) + routing(60, 0, B) + to
    body = to + ah(icv_of(covered)) + INNER
    destination, address = (B, C) if left else (C, B)
    fields = {"label": 0xBC1_2345, "hops": 9}
    if not is_fragmented:
        packets = [v6(0, destination, length, **fields) + hop_by_hop(43, b"path") + routing(60, left, address) + body]
    else:
        packets = []
        for place, piece in ((1, body[:40]), (40, body[40:])):
            head = v6(0, destination, 40 + 8 + len(piece), **fields) + hop_by_hop(43, b"path")
            fragment = b"\x3c\0" + place.to_bytes(2) + b"\0\0\0\x07"
            packets.append(head + routing(44, left, address) + fragment + piece)
    assert opened(tmp_path, packets) == [INNER]
    assert opened(tmp_path, [packet.replace(b"kept", b"lost") for packet in packets]) == []


def opened(folder: Path, packets: list[bytes]) -> list[bytes]:
    frames = [Packet(number * 1_000_000, 101, data, len(data), number) for number, data in enumerate(packets, 1)]
    ring, path = KeyRing([EspKeys("AH", spi=SPI, integrity=2, integrity_key=KEY)]), capture(folder / "ah.pcap", frames)
    found = [packet.data for packet in ipsecanalyze.decrypt(path, ring)]
    # With the C core `decrypt` on the command line goes another way.
    out = io.BytesIO()
    _, count = write_inner([path], ring, out)
    assert count == len(found)
    assert all(packet in out.getvalue() for packet in found)
    return found
