"""What the tests of key schedules share: the IKE messages of a capture, and what charon logged about their keys.

It follows exchanges in the plainest way, one capture of one tunnel; it is not how the library does it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ipsecanalyze import datagrams, open_capture, parse_ike
from ipsecanalyze.ike.chain import parse_payloads
from ipsecanalyze.ike.message import IkeMessage
from ipsecanalyze.ike.payloads.encrypted import FragmentPayload

from .conftest import read_vectors

CAPTURES = Path(__file__).parent.parent / "captures"


class Log:
    """Key material of charon's log, in order."""

    def __init__(self, scenario: str) -> None:
        self.rows = deque((label, bytes.fromhex(value)) for label, value in scenarios()[scenario]["log"])

    def peek(self) -> str:
        return self.rows[0][0] if self.rows else ""

    def take(self, label: str) -> bytes:
        """The next value, which has to have this label."""
        found, value = self.rows.popleft()
        assert found == label
        return value

    def skip(self, *labels: str) -> None:
        while self.peek() in labels:
            self.rows.popleft()


@dataclass
class Seen:
    """A message of a capture."""

    frame: int
    data: bytes
    message: IkeMessage
    source: str
    inner: tuple = field(default=())


@cache
def scenarios():
    return read_vectors("ike_secrets")["scenarios"]


@cache
def capture_of(scenario: str) -> Path:
    return next(path for path in sorted((CAPTURES / scenario).iterdir()) if path.name.startswith("wan.pcap"))


def messages(scenario: str) -> list[Seen]:
    """Every IKE message of the capture, retransmissions left out."""
    seen: dict[bytes, Seen] = {}
    pieces: dict[tuple[str, int], list[bytes]] = {}
    with open_capture(capture_of(scenario)) as packets:
        for datagram in datagrams(packets):
            if datagram.kind != "ike" or datagram.payload in seen:
                continue
            data = datagram.payload
            message = parse_ike(data)
            fragment = message.find(FragmentPayload)
            if fragment is not None:  # Cisco's, in IKEv1; they come in order here
                parts = pieces.setdefault((datagram.source, fragment.fragment_id), [])
                parts.append(fragment.data)
                if not fragment.is_last:
                    continue
                data = b"".join(parts)
                message = parse_ike(data)
            seen[datagram.payload] = Seen(datagram.frame, data, message, datagram.source)
    return list(seen.values())


def payloads(chain: bytes, first_type: int, major: int):
    """The payloads of an opened chain, which has to be sound."""
    found, trailing, notices = parse_payloads(chain, first_type, major)
    assert not trailing
    assert not notices
    return found


def find(found, kind: int):
    return next((payload for payload in found if payload.type == kind), None)


def find_all(found, kind: int):
    return [payload for payload in found if payload.type == kind]
