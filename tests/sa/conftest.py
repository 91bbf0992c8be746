"""IKE messages written octet by octet, so that the tracker is tested with something that it did not write."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ipsecanalyze.capture.decoder import Decoder
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation, IcmpError
from ipsecanalyze.capture.reader import open_capture

ALICE, BOB = "192.0.2.1", "198.51.100.1"
CAPTURES = Path(__file__).parent.parent / "captures"
MS = 1_000_000


def payloads(*bodies: tuple[int, bytes]) -> bytes:
    """A chain of payloads (RFC 7296 §3.2), without the type of the first one."""
    out = b""
    for index, (_, body) in enumerate(bodies):
        following = bodies[index + 1][0] if index + 1 < len(bodies) else 0
        out += struct.pack(">BBH", following, 0, 4 + len(body)) + body
    return out


def message(
    spi_i: int,
    spi_r: int,
    exchange: int,
    flags: int,
    message_id: int,
    *bodies: tuple[int, bytes],
    version: int = 0x20,
    raw: bytes | None = None,
    first: int | None = None,
) -> bytes:
    """An IKE message; `raw` stands for the payloads (as of an encrypted IKEv1 message)."""
    content = payloads(*bodies) if raw is None else raw
    kind = first if first is not None else bodies[0][0] if bodies else 0
    return (
        struct.pack(">QQBBBBII", spi_i, spi_r, kind, version, exchange, flags, message_id, 28 + len(content)) + content
    )


def transform(kind: int, number: int, *, last: bool = False, bits: int | None = None) -> bytes:
    """An IKEv2 transform (RFC 7296 §3.3.2)."""
    attributes = b"" if bits is None else struct.pack(">HH", 0x800E, bits)
    return struct.pack(">BBHBBH", 0 if last else 3, 0, 8 + len(attributes), kind, 0, number) + attributes


def sa_body(encr: int = 12, bits: int | None = 256, integ: int | None = 12, group: int = 14) -> bytes:
    """An SA payload with one IKE proposal."""
    parts = [transform(1, encr, bits=bits)]
    if integ is not None:
        parts.append(transform(3, integ))
    parts += [transform(2, 5), transform(4, group, last=True)]
    return struct.pack(">BBHBBBB", 0, 0, 8 + sum(map(len, parts)), 1, 1, 0, len(parts)) + b"".join(parts)


def sa_body_v1(
    encr: int = 7, bits: int = 128, digest: int = 2, auth: int = 1, group: int = 14, life: int = 28800
) -> bytes:
    """An IKEv1 SA payload with one transform (RFC 2407 §4.6, RFC 2409 Appendix A)."""
    pairs = ((1, encr), (14, bits), (2, digest), (3, auth), (4, group), (11, 1), (12, life))
    attributes = b"".join(struct.pack(">HH", 0x8000 | kind, value) for kind, value in pairs)
    one = struct.pack(">BBHBBH", 0, 0, 8 + len(attributes), 1, 1, 0) + attributes
    return struct.pack(">II", 1, 1) + struct.pack(">BBHBBBB", 0, 0, 8 + len(one), 1, 1, 0, 1) + one


def notify(kind: int, data: bytes = b"") -> tuple[int, bytes]:
    """An IKEv2 Notify payload."""
    return 41, struct.pack(">BBH", 0, 0, kind) + data


def nat_hash(spi_i: int, spi_r: int, address: str, port: int, function: str = "sha1") -> bytes:
    """RFC 7296 §2.23 and RFC 3947 §3.2, written down here once more."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return hashlib.new(function, struct.pack(">QQ", spi_i, spi_r) + packed + struct.pack(">H", port)).digest()


@dataclass
class Peers:
    """Writes the datagrams between an initiator and a responder, on a clock of its own."""

    here: str = ALICE
    there: str = BOB
    spi_i: int = 0x1111111111111111
    spi_r: int = 0x2222222222222222
    port: int = 500
    time_ns: int = 1_700_000_000_000_000_000
    frame: int = 0
    sent: list[Datagram] = field(default_factory=list)

    def send(self, payload: bytes, *, back: bool = False, after_ms: float = 10, cut: int | None = None) -> Datagram:
        """A datagram, from the initiator or `back` to it."""
        self.time_ns += int(after_ms * MS)
        self.frame += 1
        source, destination = (self.there, self.here) if back else (self.here, self.there)
        encapsulation = Encapsulation.NONE if self.port == 500 else Encapsulation.UDP
        source_port, destination_port = (self.port, self.port)
        datagram = Datagram(
            DatagramKind.IKE, source, destination, payload[:cut], self.frame, self.time_ns, len(payload),
            source_port, destination_port, encapsulation,
        )  # fmt: skip
        self.sent.append(datagram)
        return datagram

    def init_request(self, *extra: tuple[int, bytes], group: int = 14, nonce: bytes = b"n" * 32) -> bytes:
        """An IKE_SA_INIT request; `extra` payloads come first (a COOKIE does)."""
        key_exchange = (34, struct.pack(">HH", group, 0) + b"k" * 64)
        return message(self.spi_i, 0, 34, 0x08, 0, *extra, (33, sa_body(group=group)), key_exchange, (40, nonce))

    def init_response(self, *extra: tuple[int, bytes], group: int = 14, **suite: int | None) -> bytes:
        """An IKE_SA_INIT response that takes the offer."""
        key_exchange = (34, struct.pack(">HH", group, 0) + b"q" * 64)
        body = sa_body(group=group, **suite)  # type: ignore[arg-type]
        return message(self.spi_i, self.spi_r, 34, 0x20, 0, (33, body), key_exchange, (40, b"N" * 24), *extra)

    def init_notify(self, kind: int, data: bytes = b"", spi_r: int = 0) -> bytes:
        """An IKE_SA_INIT response with nothing but a notify."""
        return message(self.spi_i, spi_r, 34, 0x20, 0, notify(kind, data))

    def sealed(
        self, exchange: int, message_id: int, octets: int = 208, *, back: bool = False, response: bool = False,
        fragment: tuple[int, int] | None = None, fill: bytes = b"e",
    ) -> bytes:  # fmt: skip
        """An encrypted message whose SK payload has a body of so many octets."""
        flags = (0 if back else 0x08) | (0x20 if response else 0)
        if fragment is not None:
            head = struct.pack(">HH", *fragment)
            return message(self.spi_i, self.spi_r, exchange, flags, message_id, (53, head + fill * (octets - 4)))
        return message(self.spi_i, self.spi_r, exchange, flags, message_id, (46, fill * octets))

    def established(self) -> list[Datagram]:
        """IKE_SA_INIT and IKE_AUTH, both answered."""
        first = len(self.sent)
        self.send(self.init_request())
        self.send(self.init_response(), back=True)
        self.send(self.sealed(35, 1))
        self.send(self.sealed(35, 1, back=True, response=True), back=True)
        return self.sent[first:]


def esp(source: str, destination: str, spi: int, time_ns: int) -> Datagram:
    """An ESP packet."""
    return Datagram(DatagramKind.ESP, source, destination, struct.pack(">II", spi, 1) + bytes(32), 1, time_ns, 40)


def icmp(quoted: Datagram, frame: int, time_ns: int) -> Datagram:
    """An ICMP error that quotes a datagram."""
    error = IcmpError(3, 1, None, "host unreachable", quoted)
    return Datagram(
        DatagramKind.ICMP_ERROR, "192.0.2.254", quoted.source, b"", frame, time_ns, 0, icmp=error
    )  # fmt: skip


def capture_datagrams(scenario: str, name: str | None = None) -> Iterator[Datagram]:
    """The datagrams of a shipped capture, by default of the one that `expected.json` describes."""
    names = [name] if name is not None else ["wan.pcap", "wan.pcapng"]
    folder = CAPTURES / scenario
    (path,) = (path for one in names for path in (folder / one, folder / f"{one}.gz") if path.exists())
    decoder = Decoder()
    with open_capture(str(path)) as reader:
        for packet in reader:
            yield from decoder.decode(packet)


class Kit:
    """What tests need of this file: test modules cannot import it."""

    ALICE, BOB, MS = ALICE, BOB, MS
    Peers = Peers
    message = staticmethod(message)
    payloads = staticmethod(payloads)
    notify = staticmethod(notify)
    nat_hash = staticmethod(nat_hash)
    sa_body = staticmethod(sa_body)
    sa_body_v1 = staticmethod(sa_body_v1)
    esp = staticmethod(esp)
    icmp = staticmethod(icmp)
    capture = staticmethod(capture_datagrams)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Builders of datagrams."""
    return Kit
