"""IKE conversations written octet by octet into captures: faults that no shipped capture has.

`Wire` is a capture of IPv4 packets on a clock of its own, `Talk` two peers on it. Encrypted messages are sealed with
keys that are written down here (AES-CBC-256, HMAC-SHA2-256-128), so that the analysis can open them, or not.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import ipsecanalyze
from ipsecanalyze.crypto.material import IkeKeys
from ipsecanalyze.findings import Finding
from ipsecanalyze.keys.ring import KeyRing

HERE, THERE, ELSEWHERE = "192.0.2.1", "198.51.100.1", "203.0.113.1"
SA_INIT, AUTH, CHILD, INFORMATIONAL, RESUME = 34, 35, 36, 37, 38
COOKIE, NAT_SOURCE, NAT_DESTINATION, REKEY_SA = 16390, 16388, 16389, 16393
Payloads = tuple[tuple[int, bytes], ...]


def transform(kind: int, number: int, bits: int | None = None, *, last: bool = False) -> bytes:
    attribute = b"" if bits is None else struct.pack(">HH", 0x800E, bits)
    return struct.pack(">BBHBBH", 0 if last else 3, 0, 8 + len(attribute), kind, 0, number) + attribute


def offer(*transforms: tuple[int, int, int | None], protocol: int = 1, spi: bytes = b"") -> bytes:
    """The body of an SA payload with one proposal."""
    rows = b"".join(transform(*one, last=place == len(transforms) - 1) for place, one in enumerate(transforms))
    return struct.pack(">BBHBBBB", 0, 0, 8 + len(spi) + len(rows), 1, protocol, len(spi), len(transforms)) + spi + rows


def suite(
    encr: int = 12, bits: int | None = 256, integ: int = 12, prf: int = 5, groups: tuple[int, ...] = (14,)
) -> bytes:
    return offer((1, encr, bits), (3, integ, None), (2, prf, None), *((4, group, None) for group in groups))


def esp_offer(*groups: int, bits: int = 128) -> bytes:
    return offer(
        (1, 12, bits), (3, 12, None), *((4, group, None) for group in groups), (5, 0, None), protocol=3, spi=b"esp!"
    )


def suite_v1(encr: int = 7, bits: int = 256, digest: int = 4, auth: int = 1, group: int = 14) -> bytes:
    pairs = ((1, encr), (14, bits), (2, digest), (3, auth), (4, group), (11, 1), (12, 28800))
    attributes = b"".join(struct.pack(">HH", 0x8000 | kind, value) for kind, value in pairs)
    one = struct.pack(">BBHBBH", 0, 0, 8 + len(attributes), 1, 1, 0) + attributes
    return struct.pack(">II", 1, 1) + struct.pack(">BBHBBBB", 0, 0, 8 + len(one), 1, 1, 0, 1) + one


def ke(group: int = 14, octets: int = 64) -> tuple[int, bytes]:
    return 34, struct.pack(">HH", group, 0) + b"k" * octets


def nonce(fill: bytes = b"n") -> tuple[int, bytes]:
    return 40, fill * 32


def notify(kind: int, data: bytes = b"", protocol: int = 0, spi: bytes = b"") -> tuple[int, bytes]:
    return 41, struct.pack(">BBH", protocol, len(spi), kind) + spi + data


def selectors(kind: int, *networks: tuple[str, str]) -> tuple[int, bytes]:
    rows = b"".join(
        struct.pack(">BBHHH", 7, 0, 16, 0, 65535) + socket.inet_aton(start) + socket.inet_aton(end)
        for start, end in networks
    )
    return kind, struct.pack(">BBBB", len(networks), 0, 0, 0) + rows


def chain(*bodies: tuple[int, bytes]) -> bytes:
    following = [*(kind for kind, _ in bodies[1:]), 0][: len(bodies)]
    return b"".join(
        struct.pack(">BBH", kind, 0, 4 + len(body)) + body for kind, (_, body) in zip(following, bodies, strict=True)
    )


@dataclass
class Wire:
    """A capture of raw IPv4 in the making."""

    time_ns: int = 1_700_000_000_000_000_000
    records: list[tuple[int, bytes]] = field(default_factory=list)

    def put(self, protocol: int, ends: tuple[str, str], payload: bytes, *, after_ms: float = 20) -> int:
        """Add a packet; its frame number."""
        self.time_ns += int(after_ms * 1_000_000)
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), len(self.records) & 0xFFFF, 0, 64, protocol, 0)
        addresses = socket.inet_aton(ends[0]) + socket.inet_aton(ends[1])
        self.records.append((self.time_ns, head + addresses + payload))
        return len(self.records)

    def udp(self, ends: tuple[str, str], ports: tuple[int, int], payload: bytes, *, after_ms: float = 20) -> int:
        return self.put(17, ends, struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload, after_ms=after_ms)

    def icmp(self, source: str, kind: int, code: int, frame: int) -> int:
        """An ICMP error about an earlier packet."""
        quoted = self.records[frame - 1][1]
        destination = socket.inet_ntoa(quoted[12:16])
        return self.put(1, (source, destination), struct.pack(">BBHI", kind, code, 0, 0) + quoted[: 28 + 64])

    def wait(self, seconds: float) -> None:
        """Let time pass: the capture goes on with something else."""
        self.udp((ELSEWHERE, "203.0.113.9"), (9, 9), b"else", after_ms=seconds * 1000)

    def save(self, path: Path) -> Path:
        head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
        rows = b"".join(
            struct.pack("<IIII", time // 10**9, time % 10**9, len(packet), len(packet)) + packet
            for time, packet in self.records
        )
        path.write_bytes(head + rows)
        return path

    def analyze(self, path: Path, *talks: Talk) -> ipsecanalyze.Analysis:
        """Of what was written so far; with the keys of the talks named."""
        keys = KeyRing([talk.keys for talk in talks]) if talks else None
        return ipsecanalyze.analyze(self.save(path / "made.pcap"), keys=keys)


@dataclass
class Talk:
    """Two peers, and what they say."""

    wire: Wire
    here: str = HERE
    there: str = THERE
    spi_i: int = 0x1111111111111111
    spi_r: int = 0x2222222222222222
    ports: tuple[int, int] = (500, 500)

    @property
    def keys(self) -> IkeKeys:
        names = ("ai", "ar", "ei", "er")
        secrets = [hashlib.sha256(f"{name}{self.spi_i}".encode()).digest() for name in names]
        fields = dict(zip((f"sk_{name}" for name in names), secrets, strict=True))
        return IkeKeys(spi_i=self.spi_i, spi_r=self.spi_r, encryption=12, integrity=12, prf=5, sk_d=b"d" * 32, **fields)

    def send(self, octets: bytes, *, back: bool = False, after_ms: float = 20) -> int:
        ends, ports = (self.here, self.there), self.ports
        if back:
            ends, ports = ends[::-1], ports[::-1]
        marker = b"" if 500 in ports else bytes(4)
        return self.wire.udp(ends, ports, marker + octets, after_ms=after_ms)

    def float(self) -> None:
        self.ports = (4500, 4500)

    def message(
        self,
        exchange: int,
        number: int,
        *bodies: tuple[int, bytes],
        back: bool = False,
        response: bool | None = None,
        spi_r: int | None = None,
        version: int = 0x20,
        first: int | None = None,
        raw: bytes | None = None,
        flags: int | None = None,
    ) -> bytes:
        is_response = back if response is None else response
        if flags is None:
            flags = (0 if back else 0x08) | (0x20 if is_response else 0)
        spi = self.spi_r if spi_r is None else spi_r
        content = chain(*bodies) if raw is None else raw
        kind = first if first is not None else bodies[0][0] if bodies else 0
        head = struct.pack(">QQBBBBII", self.spi_i, spi, kind, version, exchange, flags, number, 28 + len(content))
        return head + content

    def sealed(
        self, exchange: int, number: int, *bodies: tuple[int, bytes], back: bool = False, response: bool | None = None,
        fragment: tuple[int, int] | None = None,
    ) -> bytes:  # fmt: skip
        """An encrypted message (RFC 7296 §3.14, RFC 7383 §2.5)."""
        is_response = back if response is None else response
        keys = self.keys
        plain = chain(*bodies)
        fill = -(len(plain) + 1) % 16
        plain += bytes(fill) + bytes((fill,))
        encryptor = Cipher(algorithms.AES(keys.sk_er if back else keys.sk_ei), modes.CBC(bytes(16))).encryptor()
        body = (struct.pack(">HH", *fragment) if fragment else b"") + bytes(16) + encryptor.update(plain)
        flags = (0 if back else 0x08) | (0x20 if is_response else 0)
        head = struct.pack(
            ">QQBBBBII", self.spi_i, self.spi_r, 53 if fragment else 46, 0x20, exchange, flags, number, 48 + len(body)
        )
        head += struct.pack(">BBH", bodies[0][0] if bodies else 0, 0, 20 + len(body)) + body
        return head + hmac.digest(keys.sk_ar if back else keys.sk_ai, head, "sha256")[:16]

    # What is said often

    def ask(self, *extra: tuple[int, bytes], group: int = 14, body: bytes | None = None, fill: bytes = b"n") -> bytes:
        """An IKE_SA_INIT request."""
        return self.message(SA_INIT, 0, *extra, (33, suite(groups=(group,)) if body is None else body), ke(group),
                            nonce(fill), spi_r=0)  # fmt: skip

    def refuse(self, kind: int, data: bytes = b"") -> bytes:
        """An IKE_SA_INIT response with nothing but a notify."""
        return self.message(SA_INIT, 0, notify(kind, data), back=True, spi_r=0)

    def accept(self, *extra: tuple[int, bytes], group: int = 14) -> bytes:
        return self.message(SA_INIT, 0, (33, suite(groups=(group,))), ke(group), nonce(b"N"), *extra, back=True)

    def nat_hashes(self, source: tuple[str, int], destination: tuple[str, int], *, first: bool) -> Payloads:
        """NAT detection of a message from one address and port to another (RFC 7296 §2.23)."""
        spis = struct.pack(">QQ", self.spi_i, 0 if first else self.spi_r)
        return tuple(
            notify(kind, hashlib.sha1(spis + socket.inet_aton(host) + struct.pack(">H", port)).digest())
            for kind, (host, port) in ((NAT_SOURCE, source), (NAT_DESTINATION, destination))
        )

    def init(self) -> None:
        self.send(self.ask())
        self.send(self.accept(), back=True)

    def auth_request(self, *extra: tuple[int, bytes]) -> bytes:
        networks = ("10.1.0.0", "10.1.0.255"), ("10.2.0.0", "10.2.0.255")
        return self.sealed(AUTH, 1, (35, b"\2\0\0\0moon"), (39, b"\2\0\0\0" + bytes(32)), *extra, (33, esp_offer()),
                           selectors(44, networks[0]), selectors(45, networks[1]))  # fmt: skip

    def auth_response(self, *extra: tuple[int, bytes], right: tuple[str, str] = ("10.2.0.0", "10.2.0.255")) -> bytes:
        content = (36, b"\2\0\0\0sun"), (39, b"\2\0\0\0" + bytes(32)), (33, esp_offer())
        networks = selectors(44, ("10.1.0.0", "10.1.0.255")), selectors(45, right)
        return self.sealed(AUTH, 1, *content, *networks, *extra, back=True)

    def establish(self) -> None:
        self.init()
        self.send(self.auth_request())
        self.send(self.auth_response(), back=True)

    def rekey_request(self, number: int, *, group: int | None = 14, back: bool = False) -> bytes:
        groups = () if group is None else (group,)
        exchange = () if group is None else (ke(group),)
        spi = notify(REKEY_SA, protocol=3, spi=b"esp!")
        networks = selectors(44, ("10.1.0.0", "10.1.0.255")), selectors(45, ("10.2.0.0", "10.2.0.255"))
        return self.sealed(CHILD, number, spi, (33, esp_offer(*groups)), nonce(), *exchange, *networks, back=back,
                           response=False)  # fmt: skip

    def rekey_response(self, number: int, *, group: int | None = 14, back: bool = True) -> bytes:
        groups = () if group is None else (group,)
        exchange = () if group is None else (ke(group),)
        networks = selectors(44, ("10.1.0.0", "10.1.0.255")), selectors(45, ("10.2.0.0", "10.2.0.255"))
        return self.sealed(CHILD, number, (33, esp_offer(*groups)), nonce(b"N"), *exchange, *networks, back=back,
                           response=True)  # fmt: skip


def diagnosed(analysis: ipsecanalyze.Analysis) -> list[Finding]:
    """All that is diagnosed, of which every finding is whole."""
    every = analysis.diagnose()
    for finding in every:
        assert not finding.title.endswith("."), finding.title
        assert finding.explanation.endswith((".", ")")), finding.explanation
        assert finding.remedy.endswith((".", ")", "?")), finding.remedy
        assert "  " not in finding.explanation + finding.remedy + finding.title
        assert list(finding.frames) == sorted(set(finding.frames))
    return every


def found(analysis: ipsecanalyze.Analysis, slug: str) -> list[Finding]:
    return [finding for finding in diagnosed(analysis) if finding.slug == slug]


def one(analysis: ipsecanalyze.Analysis, slug: str) -> Finding:
    """The only finding of a slug."""
    every = diagnosed(analysis)
    matching = [finding for finding in every if finding.slug == slug]
    assert len(matching) == 1, [(finding.slug, finding.title) for finding in every]
    return matching[0]
