"""IKE messages made for the audit's tests: proposals, public values and nonces of one's own choice; cases of them.

What would be encrypted is put into `MessageRecord.opened` as if keys had opened it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from struct import pack

from ipsecanalyze._fast.contract import Limits
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.findings import Finding
from ipsecanalyze.findings.audit.profile import load_profile
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.find import audit
from ipsecanalyze.ike.payloads import Payload
from ipsecanalyze.sa.records import MessageRecord
from ipsecanalyze.sa.tracker import Tracker

HERE, THERE = "192.0.2.1", "198.51.100.1"
#: 2026-01-02.
START_NS = 1_767_312_000_000_000_000
SA, KE, NONCE, NOTIFY, CERTREQ, VENDOR = 33, 34, 40, 41, 38, 43
SA_V1, KE_V1, ID_V1, HASH_V1, NONCE_V1 = 1, 4, 5, 8, 10


def message(
    spi_i: int, spi_r: int, exchange: int, flags: int, message_id: int, *bodies: tuple[int, bytes], version: int = 0x20
) -> bytes:
    """An IKE message, octet by octet."""
    content = b""
    for index, (_, body) in enumerate(bodies):
        following = bodies[index + 1][0] if index + 1 < len(bodies) else 0
        content += pack(">BBH", following, 0, 4 + len(body)) + body
    kind = bodies[0][0] if bodies else 0
    return pack(">QQBBBBII", spi_i, spi_r, kind, version, exchange, flags, message_id, 28 + len(content)) + content


def proposal(*transforms: tuple[int, int] | tuple[int, int, int], protocol: int = 1, spi: bytes = b"") -> bytes:
    """An SA payload's body with one IKEv2 proposal of (type, id[, key length])."""
    parts = []
    for index, (kind, number, *bits) in enumerate(transforms):
        attributes = pack(">HH", 0x800E, bits[0]) if bits else b""
        more = 3 if index + 1 < len(transforms) else 0
        parts.append(pack(">BBHBBH", more, 0, 8 + len(attributes), kind, 0, number) + attributes)
    body = spi + b"".join(parts)
    return pack(">BBHBBBB", 0, 0, 8 + len(body), 1, protocol, len(spi), len(parts)) + body


def proposal_v1(*attributes: tuple[int, int]) -> bytes:
    """An SA payload's body with one IKEv1 transform."""
    listed = b"".join(pack(">HH", 0x8000 | kind, value) for kind, value in attributes)
    one = pack(">BBHBBH", 0, 0, 8 + len(listed), 1, 1, 0) + listed
    return pack(">II", 1, 1) + pack(">BBHBBBB", 0, 0, 8 + len(one), 1, 1, 0, 1) + one


STRONG = ((1, 20, 256), (2, 5), (4, 19))


def notify(kind: int, data: bytes = b"") -> tuple[int, bytes]:
    """An IKEv2 Notify payload."""
    return NOTIFY, pack(">BBH", 0, 0, kind) + data


#: SIGNATURE_HASH_ALGORITHMS: SHA2-256, SHA2-384, SHA2-512.
HASHES = notify(16431, pack(">HHH", 2, 3, 4))


@dataclass
class Wire:
    """Datagrams in order, on one clock."""

    sent: list[Datagram] = field(default_factory=list)
    time_ns: int = START_NS

    def send(self, octets: bytes, source: str, destination: str, *, after_ms: float = 10.0) -> int:
        """Send a message; returns its frame."""
        self.time_ns += int(after_ms * 1_000_000)
        frame = len(self.sent) + 1
        self.sent.append(
            Datagram(
                DatagramKind.IKE, source, destination, octets, frame, self.time_ns, len(octets), 500, 500,
                Encapsulation.NONE,
            )
        )  # fmt: skip
        return frame

    def init(
        self,
        number: int,
        *,
        offer: bytes | None = None,
        choice: bytes | None = None,
        publics: tuple[bytes, bytes] | None = None,
        nonces: tuple[bytes, bytes] | None = None,
        group: int = 19,
        here: str = HERE,
        there: str = THERE,
        extra: Sequence[tuple[int, bytes]] = (HASHES,),
        spis: tuple[int, int] | None = None,
        answer: bool = True,
        after_ms: float = 10.0,
    ) -> tuple[int, int]:
        """IKE_SA_INIT, request and response; returns their SPIs. Each number makes values of its own."""
        spi_i, spi_r = spis or (hash((number, "i")) & 0x7FFF_FFFF_FFFF_FFFF | 1, hash((number, "r")) & (2**62 - 1) | 1)
        publics = publics or (sound(group, number), sound(group, number + 1_000_000))
        nonces = nonces or (b"%032d" % number, b"%032d" % (number + 1_000_000))
        offer = offer or proposal(*STRONG[:2], (4, group))
        bodies = [(SA, offer), (KE, pack(">HH", group, 0) + publics[0]), (NONCE, nonces[0]), *extra]
        self.send(message(spi_i, 0, 34, 0x08, 0, *bodies), here, there, after_ms=after_ms)
        if answer:
            bodies = [(SA, choice or offer), (KE, pack(">HH", group, 0) + publics[1]), (NONCE, nonces[1]), *extra]
            self.send(message(spi_i, spi_r, 34, 0x20, 0, *bodies), there, here)
        return spi_i, spi_r

    def auth(self, spis: tuple[int, int], here: str = HERE, there: str = THERE) -> None:
        """IKE_AUTH, encrypted, request and response."""
        for flags, ends in ((0x08, (here, there)), (0x20, (there, here))):
            body = b"%016d" % len(self.sent) + bytes(192)
            self.send(message(*spis, 35, flags, 1, (46, body)), *ends)

    def records(self) -> tuple[Tracker, list[MessageRecord]]:
        """What the tracker makes of it."""
        tracker = Tracker(Limits())
        for datagram in self.sent:
            tracker.feed(datagram)
        tracker.finish()
        return tracker, tracker.messages

    def case(self, opened: dict[int, Iterable[Payload]] | None = None) -> Case:
        """A case; `opened` says what was inside messages, by frame."""
        tracker, records = self.records()
        for record in records:
            if opened and record.datagram.frame in opened:
                record.opened = tuple(opened[record.datagram.frame])
                if record.ike_sa is not None:
                    record.ike_sa.decrypted = True
        return Case([], tracker.ike_sas, [], [], records, has_keys=bool(opened))


def sound(group: int, number: int) -> bytes:
    """A sound public value of group 14 or 19, of which there are as many as numbers."""
    if group == 14:
        return pow(2, number + 3000, (1 << 2048) - (1 << 1984) - 1).to_bytes(256)
    from cryptography.hazmat.primitives.asymmetric import ec

    point = ec.derive_private_key(number + 2, ec.SECP256R1()).public_key().public_numbers()
    return point.x.to_bytes(32) + point.y.to_bytes(32)


def audited(case: Case, profile: str = "rfc") -> dict[str, list[Finding]]:
    """Findings by slug."""
    found: dict[str, list[Finding]] = {}
    for finding in audit(case, load_profile(profile)):
        found.setdefault(finding.slug, []).append(finding)
    return found
