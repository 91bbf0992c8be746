"""What the tests of opening ESP share: the scenarios that can be opened, and ESP packets made here."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.writer import write_capture
from ipsecanalyze.crypto.material import EspKeys

CAPTURES = Path(__file__).parents[1] / "captures"
MOON, SUN = "192.0.2.1", "198.51.100.1"


def octets(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) & 1)
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def ipv4(source: str, destination: str, protocol: int, payload: bytes, ident: int = 7) -> bytes:
    head = b"\x45\0" + (20 + len(payload)).to_bytes(2) + ident.to_bytes(2) + b"\x40\0\x40" + bytes((protocol, 0, 0))
    head += octets(source) + octets(destination)
    return head[:10] + checksum(head).to_bytes(2) + head[12:] + payload


def udp(port: int, payload: bytes) -> bytes:
    return (40_000).to_bytes(2) + port.to_bytes(2) + (8 + len(payload)).to_bytes(2) + bytes(2) + payload


def inner(number: int, size: int = 60) -> bytes:
    return ipv4("10.1.0.10", "10.2.0.10", 17, udp(53, bytes((number & 255,)) * size), number & 0xFFFF)


@dataclass
class Gcm:
    """One SA of AES-GCM, one way."""

    spi: int = 0xC0FFEE01
    key: bytes = bytes(range(16))
    salt: bytes = b"salt"
    source: str = MOON
    destination: str = SUN
    extended: bool = False
    sequence: int = field(default=0)

    @property
    def keys(self) -> EspKeys:
        return EspKeys("ESP", self.source, self.destination, self.spi, 20, self.key, self.salt)

    def protect(self, data: bytes, next_header: int = 4, *, tfc: int = 0, padding: bytes | None = None) -> bytes:
        self.sequence += 1
        low, high = self.sequence & 0xFFFFFFFF, self.sequence >> 32
        pad = bytes(range(1, -(len(data) + tfc + 2) % 4 + 1)) if padding is None else padding
        plain = data + bytes(tfc) + pad + bytes((len(pad), next_header))
        head = self.spi.to_bytes(4) + low.to_bytes(4)
        iv = self.sequence.to_bytes(8)
        bound = head[:4] + high.to_bytes(4) + head[4:] if self.extended else head
        return head + iv + AESGCM(self.key).encrypt(self.salt + iv, plain, bound)


@dataclass
class Cbc:
    """One SA of AES-CBC with HMAC-SHA2-256, one way; `icv` octets of it are sent."""

    spi: int = 0xC0FFEE02
    key: bytes = bytes(range(16))
    auth: bytes = bytes(range(100, 132))
    source: str = MOON
    destination: str = SUN
    icv: int = 16
    sequence: int = 0

    @property
    def keys(self) -> EspKeys:
        return EspKeys("ESP", self.source, self.destination, self.spi, 12, self.key, b"", 12, self.auth)

    def protect(self, data: bytes, next_header: int = 4) -> bytes:
        self.sequence += 1
        pad = bytes(range(1, -(len(data) + 2) % 16 + 1))
        iv = hashlib.sha256(self.sequence.to_bytes(4)).digest()[:16]
        encryptor = Cipher(AES(self.key), modes.CBC(iv)).encryptor()
        body = self.spi.to_bytes(4) + self.sequence.to_bytes(4) + iv
        body += encryptor.update(data + pad + bytes((len(pad), next_header)))
        return body + hmac.digest(self.auth, body, "sha256")[: self.icv]


def frames(payloads: list[bytes], source: str = MOON, destination: str = SUN, cut: int | None = None) -> list[Packet]:
    """ESP packets as frames of raw IP, a millisecond apart."""
    packets = []
    for number, payload in enumerate(payloads, 1):
        data = ipv4(source, destination, 50, payload, number)
        packets.append(Packet(1_700_000_000_000_000_000 + number * 1_000_000, 101, data[:cut], len(data), number))
    return packets


def capture(path: Path, packets: list[Packet]) -> Path:
    write_capture(path, packets)
    return path
