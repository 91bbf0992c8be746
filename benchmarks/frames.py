"""Ethernet frames with IPv4 and UDP headers around a payload, checksums right; tagged and fragmented ones too."""

from __future__ import annotations

from struct import Struct

_IPV4 = Struct(">BBHHHBBH4s4s")
_UDP = Struct(">HHHH")
_ETHERNET = bytes.fromhex("020000000002 020000000001 0800")
_IP, _DATA = 14, 34  # where the IPv4 header and its payload begin in a frame without tags
_DONT_FRAGMENT, _MORE_FRAGMENTS = 0x4000, 0x2000


def _checksum(header: bytes) -> int:
    total = sum(Struct(f">{len(header) // 2}H").unpack(header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def ipv4(
    source: bytes,
    destination: bytes,
    protocol: int,
    length: int,
    *,
    ttl: int = 63,
    identification: int = 0,
    fragment: int = _DONT_FRAGMENT,
) -> bytes:
    """Ethernet and IPv4 headers in front of `length` octets; `fragment` is the word of flags and offset."""
    before = (0x45, 0, 20 + length, identification, fragment, ttl, protocol)
    checksum = _checksum(_IPV4.pack(*before, 0, source, destination))
    return _ETHERNET + _IPV4.pack(*before, checksum, source, destination)


def udp(source: bytes, destination: bytes, ports: tuple[int, int], payload_length: int) -> bytes:
    """Ethernet, IPv4 and UDP headers in front of a payload (no UDP checksum)."""
    length = 8 + payload_length
    return ipv4(source, destination, 17, length) + _UDP.pack(*ports, length, 0)


def tagged(frame: bytes, vlan: int) -> bytes:
    """The frame with an 802.1Q tag."""
    return frame[:12] + b"\x81\x00" + vlan.to_bytes(2) + frame[12:]


def fragments(frame: bytes, identification: int) -> tuple[bytes, bytes]:
    """An IPv4 frame as two fragments of about the same size."""
    *_, ttl, protocol, _, source, destination = _IPV4.unpack_from(frame, _IP)
    data = frame[_DATA:]
    half = len(data) // 2 + 7 & ~7
    pieces = ((data[:half], _MORE_FRAGMENTS), (data[half:], half // 8))
    first, second = (
        ipv4(source, destination, protocol, len(piece), ttl=ttl, identification=identification, fragment=word) + piece
        for piece, word in pieces
    )
    return first, second
