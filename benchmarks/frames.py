"""Ethernet frames with IPv4 and UDP headers around a payload, checksums right."""

from __future__ import annotations

from struct import Struct

_IPV4 = Struct(">BBHHHBBH4s4s")
_UDP = Struct(">HHHH")
_ETHERNET = bytes.fromhex("020000000002 020000000001 0800")


def _checksum(header: bytes) -> int:
    total = sum(Struct(f">{len(header) // 2}H").unpack(header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def ipv4(source: bytes, destination: bytes, protocol: int, length: int, *, ttl: int = 63) -> bytes:
    """Ethernet and IPv4 headers in front of `length` octets; DF set."""
    total = 20 + length
    bare = _IPV4.pack(0x45, 0, total, 0, 0x4000, ttl, protocol, 0, source, destination)
    return _ETHERNET + _IPV4.pack(0x45, 0, total, 0, 0x4000, ttl, protocol, _checksum(bare), source, destination)


def udp(source: bytes, destination: bytes, ports: tuple[int, int], payload_length: int) -> bytes:
    """Ethernet, IPv4 and UDP headers in front of a payload (no UDP checksum)."""
    length = 8 + payload_length
    return ipv4(source, destination, 17, length) + _UDP.pack(*ports, length, 0)
