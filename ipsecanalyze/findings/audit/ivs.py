"""IVs that come twice under one key, or that can be foretold: in IKEv2 messages always, in ESP of small captures
where keys tell the cipher.

Under GCM, CCM, CTR and ChaCha20-Poly1305 a repeated IV gives away the XOR of two packets, and with it, in GCM, the key
of the integrity protection (RFC 4106 §2, §10). A repeated packet (same octets) is none. Under CBC an IV that can
be foretold, a counter or the end of the packet before (as old stacks did), lets somebody who can have packets sent
confirm guesses about others (RFC 3602 §3).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ipsecanalyze.capture.packet import DatagramKind
from ipsecanalyze.esp.flow import Flow, FlowKey
from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import algorithms_of_flow
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.walk import encrypted_octets
from ipsecanalyze.findings.case import Case, flow_subject, frames_of
from ipsecanalyze.findings.model import MOST_FRAMES, Certainty, Finding, Severity
from ipsecanalyze.sa.records import Algorithm

__all__ = ["MOST_PACKETS", "is_stream", "iv_reuse"]

#: ESP packets that are looked at again: of captures with more, none are.
MOST_PACKETS: Final = 200_000
_REMEMBERED: Final = 1_000_000
_STREAMS: Final = ("_GCM_", "_CCM_", "_CTR", "CHACHA20", "GMAC", "_MGM_")
_IMPLICIT: Final = ("_IIV", "_KTREE")
#: Octets of the IV: 8 for all that make a stream, 8 or 16 for CBC.
_STREAM_IV: Final = 8
_HEADER: Final = 8


#: Predictable IVs in a row that are told, and how far apart counters are.
_FORETOLD, _STEP = 3, 1 << 16


class _Repeat(NamedTuple):
    subject: str
    what: str
    name: str
    is_stream: bool
    first_frame: int
    frame: int


class _Foretold(NamedTuple):
    subject: str
    what: str
    name: str
    how: str
    times: int
    frames: tuple[int, ...]
    capture: int


class _Chain:
    """The IVs of one direction under CBC, one after the other."""

    __slots__ = ("_before", "_iv", "_runs", "best")

    def __init__(self) -> None:
        self._before, self._iv = b"", b""
        #: How → frames in a row in which it was so.
        self._runs: dict[str, list[int]] = {"ends": [], "counts": []}
        self.best: tuple[str, tuple[int, ...]] = "", ()

    def add(self, iv: bytes, octets: bytes, frame: int) -> None:
        """The next packet; `octets` are what stands behind its IV."""
        if octets == self._before and iv == self._iv:
            return  # sent again
        if self._iv:
            step = int.from_bytes(iv) - int.from_bytes(self._iv)
            for how, holds in (("ends", iv in self._before), ("counts", 0 < step <= _STEP)):
                run = self._runs[how] = [*self._runs[how][:MOST_FRAMES], frame] if holds else []
                if len(run) > len(self.best[1]):
                    self.best = how, tuple(run)
        self._before, self._iv = octets, iv

    @property
    def is_predictable(self) -> bool:
        """Whether it was so often enough for no chance."""
        return len(self.best[1]) >= _FORETOLD


def iv_reuse(case: Case, profile: Profile) -> Iterator[Finding]:
    """Look at the IVs of encrypted IKEv2 messages, and of ESP where that is feasible."""
    del profile
    found: Gathering[_Repeat] = Gathering()
    foretold: list[_Foretold] = []
    _in_ike(case, found, foretold)
    _in_esp(case, found, foretold)

    def told(group: Group[_Repeat]) -> Finding:
        one = group.first
        meaning = (
            "With this cipher both packets hide behind the same key stream: their XOR is that of their contents, and "
            "with GCM packets can be forged from then on."
            if one.is_stream
            else "With CBC it tells whether the contents begin alike, and IVs that repeat are not unpredictable."
        )
        return Finding(
            slug="iv-reuse",
            severity=Severity.CRITICAL if one.is_stream else Severity.MEDIUM,
            certainty=Certainty.OBSERVED,
            subject=one.subject,
            title=f"{one.what} used an IV of {one.name} twice",
            explanation=f"{one.what} sent two different packets with the same IV under {one.name}, first in frames "
            f"{one.first_frame} and {one.frame}; {group.count} such pairs were seen. {meaning}",
            remedy="Stop using it until it is updated: its counter restarts or is shared (clones of a virtual machine, "
            "a failover node that continues with old state). Rekey now, which makes new keys.",
            frames=group.frames,
            references=("RFC 4106 §2", "RFC 7296 §3.14"),
            capture=group.capture,
        )

    yield from found.findings(told)
    yield from map(_predictable, foretold)


def _predictable(one: _Foretold) -> Finding:
    how = {
        "ends": "its IVs are octets of the packet before, as in implementations that go on with its last block",
        "counts": "its IVs count",
    }[one.how]
    return Finding(
        slug="predictable-iv",
        severity=Severity.MEDIUM,
        certainty=Certainty.OBSERVED,
        subject=one.subject,
        title=f"{one.what} uses IVs of {one.name} that can be foretold",
        explanation=f"{one.what} encrypts with {one.name}, which wants IVs that nobody can foretell, and {how}: so it "
        f"was {one.times} times in a row. Who can have packets sent through it (by a website, a mail) can test guesses "
        "about the contents of others.",
        remedy="Update the implementation, or use AES-GCM, which wants IVs that differ and nothing more.",
        frames=frames_of(one.frames),
        references=("RFC 3602 §3", "RFC 7296 §3.14"),
        capture=one.capture,
    )


def is_stream(name: str) -> bool:
    """Whether an encryption algorithm makes a key stream of key and IV."""
    return any(part in name for part in _STREAMS)


def _cipher(algorithms: list[Algorithm]) -> tuple[str, bool, int] | None:
    """(name, whether it makes a stream, octets of the IV) of the encryption algorithm; None where IVs say nothing."""
    name = next((one.name for one in algorithms if one.type == "ENCR"), "")
    if not name or any(part in name for part in _IMPLICIT) or name == "ENCR_NULL":
        return None
    if is_stream(name):
        return name, True, _STREAM_IV
    return name, False, 16 if "AES" in name or "CAMELLIA" in name else 8


def _in_ike(case: Case, found: Gathering[_Repeat], foretold: list[_Foretold]) -> None:
    chains: dict[tuple[str, bool], tuple[_Chain, int]] = {}
    seen: dict[tuple[str, bool, bytes], tuple[int, int, int]] = {}
    ciphers: dict[str, tuple[str, bool, int] | None] = {}
    for record in case.messages:
        sa = record.ike_sa
        if sa is None or sa.version != "2.0" or record.from_initiator is None or record.datagram.truncated:
            continue
        if sa.id not in ciphers:
            ciphers[sa.id] = _cipher(sa.chosen)
        cipher = ciphers[sa.id]
        octets = encrypted_octets(record.datagram.payload) if cipher is not None else None
        if cipher is None or octets is None or len(octets) < cipher[2]:
            continue
        iv = octets[: cipher[2]]
        key = sa.id, record.from_initiator, iv
        spot = record.datagram.capture, record.datagram.frame
        if not cipher[1]:
            chain, capture = chains.setdefault((sa.id, record.from_initiator), (_Chain(), spot[0]))
            if capture == spot[0]:
                chain.add(iv, octets[cipher[2] :], spot[1])
        before = seen.get(key)
        if before is None:
            if len(seen) < _REMEMBERED:
                seen[key] = (*spot, hash(octets))
        elif before[2] != hash(octets):
            side, peer = ("initiator", sa.initiator) if record.from_initiator else ("responder", sa.responder)
            repeat = _Repeat(sa.id, f"The {side} of {sa.id} ({peer.address})", *cipher[:2], before[1], spot[1])
            where = [lambda place=place: place for place in (before[:2], spot)]
            found.add((sa.id, side), repeat, sa.id, *where)
    for (name, from_initiator), (chain, capture) in chains.items():
        if chain.is_predictable:
            side = "initiator" if from_initiator else "responder"
            cipher = ciphers[name]
            how, frames = chain.best
            what = f"The {side} of {name}"
            foretold.append(_Foretold(name, what, cipher[0] if cipher else "", how, len(frames), frames, capture))


def _in_esp(case: Case, found: Gathering[_Repeat], foretold: list[_Foretold]) -> None:
    if case.look_again is None:
        return
    wanted: dict[int, dict[FlowKey, tuple[Flow, tuple[str, bool, int]]]] = {}
    packets: dict[int, int] = {}
    for flow in case.flows:
        packets[flow.capture] = packets.get(flow.capture, 0) + flow.packets
        child = case.child_sa.get(flow.child_sa) if flow.child_sa is not None else None
        cipher = _cipher(child.chosen if child is not None and child.chosen else algorithms_of_flow(flow))
        if flow.protocol == "ESP" and cipher is not None:
            key = flow.protocol, flow.source, flow.destination, flow.spi, flow.encapsulation
            wanted.setdefault(flow.capture, {})[key] = flow, cipher
    for capture, flows in wanted.items():
        if packets[capture] <= MOST_PACKETS:
            _in_capture(case, capture, flows, found, foretold)


def _in_capture(
    case: Case,
    capture: int,
    flows: dict[FlowKey, tuple[Flow, tuple[str, bool, int]]],
    found: Gathering[_Repeat],
    foretold: list[_Foretold],
) -> None:
    assert case.look_again is not None  # noqa: S101 - for the type checker
    seen: dict[tuple[FlowKey, bytes], tuple[int, int]] = {}
    chains: dict[FlowKey, _Chain] = {}
    for datagram in case.look_again(capture):
        if datagram.kind is not DatagramKind.ESP or datagram.truncated:
            continue
        octets = datagram.payload
        spi = int.from_bytes(octets[:4])
        flow_key: FlowKey = ("ESP", datagram.source, datagram.destination, spi, datagram.encapsulation)
        one = flows.get(flow_key)
        if one is None:
            continue
        flow, cipher = one
        iv = octets[_HEADER : _HEADER + cipher[2]]
        if not cipher[1]:
            chains.setdefault(flow_key, _Chain()).add(iv, octets[_HEADER + cipher[2] :], datagram.frame)
        before = seen.get((flow_key, iv))
        if before is None:
            seen[flow_key, iv] = datagram.frame, hash(octets)
        elif before[1] != hash(octets):
            subject = flow.child_sa or flow_subject(flow)
            what = f"ESP {spi:08x} from {flow.source} to {flow.destination}"
            repeat = _Repeat(subject, what, *cipher[:2], before[0], datagram.frame)
            spots = (capture, before[0]), (capture, datagram.frame)
            found.add(flow_key, repeat, subject, *[lambda place=place: place for place in spots])
    for flow_key, chain in chains.items():
        if chain.is_predictable:
            flow, cipher = flows[flow_key]
            how, frames = chain.best
            what = f"ESP {flow.spi:08x} from {flow.source} to {flow.destination}"
            subject = flow.child_sa or flow_subject(flow)
            foretold.append(_Foretold(subject, what, cipher[0], how, len(frames), frames, capture))
