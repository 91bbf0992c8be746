"""Public values of key exchanges that are not sound: outside the group, or used more than once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.groups import fault_of, public_octets
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.walk import Values, is_same_message, values_of
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.registry.ikev2 import KeyExchange

__all__ = ["public_values"]

#: Values that are remembered.
_REMEMBERED: Final = 1_000_000
#: Shorter ones are no public values.
_LEAST_OCTETS: Final = 16


class _Fault(NamedTuple):
    values: Values
    group: int
    fault: str


class _Reuse(NamedTuple):
    before: Values
    values: Values
    group: int | None


def public_values(case: Case, profile: Profile) -> Iterator[Finding]:
    """Check each public value, in the clear and in opened messages, by itself and against those before."""
    del profile
    faults: Gathering[_Fault] = Gathering()
    reuses: Gathering[_Reuse] = Gathering()
    reflected: Gathering[_Reuse] = Gathering()
    seen: dict[int, Values] = {}
    for values in values_of(case.messages):
        spot = values.record.datagram.capture, values.record.datagram.frame
        sender = values.record.datagram.source
        for group, value in values.publics:
            fault = fault_of(group, value, is_response=bool(values.record.is_response)) if group is not None else None
            if fault is not None and group is not None:
                found = _Fault(values, group, fault)
                faults.add((sender, group, fault), found, values.sa.id, lambda spot=spot: spot)  # type: ignore[misc]
                continue
            if len(value) < _LEAST_OCTETS or not any(value):
                continue
            # 64 bits of a keyed hash: those who could choose values that collide do not know the key.
            before = seen.get(hash(value))
            if before is None:
                if len(seen) < _REMEMBERED:
                    seen[hash(value)] = values
                continue
            if value not in (data for _, data in before.publics) or is_same_message(before.record, values.record):
                continue
            reuse = _Reuse(before, values, group)
            places = (before.record.datagram.capture, before.record.datagram.frame), spot
            where = [lambda place=place: place for place in places]
            if before.sa.id != values.sa.id:
                reuses.add((before.record.datagram.source, sender, hash(value)), reuse, values.sa.id, *where)
            elif before.record.from_initiator is not values.record.from_initiator:
                reflected.add(values.sa.id, reuse, values.sa.id, *where)
    yield from faults.findings(_invalid)
    yield from reflected.findings(_reflected)
    yield from reuses.findings(_reused)


def _name(group: int | None) -> str:
    return KeyExchange(group).name if group is not None else "a group that is not known"


def _side(values: Values) -> str:
    side = {True: "initiator", False: "responder", None: "sender"}[values.record.from_initiator]
    return f"the {side} ({values.record.datagram.source})"


def _invalid(group: Group[_Fault]) -> Finding:
    values, number, fault = group.first
    is_length = fault.startswith("has ") and "octets" in fault
    meaning = (
        "It cannot be a value of that group; the sender is broken, or the message was changed."
        if is_length
        else "With such a value the shared secret can be known to others, whatever the other side's private key is; "
        "sound implementations refuse it."
    )
    if public_octets(number, is_response=False) is None:
        meaning = "No sound implementation sends such a value."
    return Finding(
        slug="invalid-public-value",
        severity=Severity.MEDIUM if is_length else Severity.HIGH,
        certainty=Certainty.OBSERVED,
        subject=values.sa.id,
        title=f"A public value of {_name(number)} {fault}",
        explanation=(
            f"The public value that {_side(values)} sent in frame {values.record.datagram.frame} {fault}. {meaning}"
            + group.others("message", "messages", " of the same sender")
        ),
        remedy="Find out what sends it: a scanner or an attack, or an implementation with a bug; update both sides, as "
        "a side that accepts it has a bug of its own.",
        frames=group.frames,
        references=("RFC 6989 §2", "RFC 7296 §5") if number not in (31, 32) else ("RFC 8031 §3.2", "RFC 7748 §6"),
        capture=group.capture,
    )


def _reflected(group: Group[_Reuse]) -> Finding:
    before, values, number = group.first
    return Finding(
        slug="reused-public-value",
        severity=Severity.HIGH,
        certainty=Certainty.OBSERVED,
        subject=values.sa.id,
        title="Both sides sent the same public value",
        explanation=(
            f"In frame {values.record.datagram.frame} {_side(values)} sent back the public value of {_name(number)} "
            f"that the other side had sent in frame {before.record.datagram.frame}. Whoever does that knows no private "
            "key for it: it is a reflection attack, or an implementation that answers with what it got."
        ),
        remedy="Find out what answers at that address; a sound implementation makes a public value of its own.",
        frames=group.frames,
        references=("RFC 7296 §2.12",),
        capture=group.capture,
    )


def _reused(group: Group[_Reuse]) -> Finding:
    before, values, number = group.first
    one_sender = before.record.datagram.source == values.record.datagram.source
    who = f"{values.record.datagram.source} sent" if one_sender else (
        f"{before.record.datagram.source} and {values.record.datagram.source} sent"
    )  # fmt: skip
    times = group.count + 1
    meaning = (
        "Reuse is allowed, and gives up forward secrecy between these SAs: their private key is kept."
        if one_sender
        else "Two honest senders never have the same: the private key is one that came with the software, or the "
        "messages come from one program with several addresses (a scanner, a flood, or one host that moved)."
    )
    return Finding(
        slug="reused-public-value",
        severity=Severity.LOW if one_sender else Severity.MEDIUM,
        certainty=Certainty.OBSERVED,
        subject=values.sa.id,
        title=f"The same public value of {_name(number)} was sent for {times} IKE SAs",
        explanation=f"{who} the same public value of {_name(number)} for {times} IKE SAs, first for {before.sa.id} in "
        f"frame {before.record.datagram.frame}. {meaning}",
        remedy="Let each IKE SA make a key pair of its own, and update what has keys built in.",
        frames=group.frames,
        references=("RFC 7296 §2.12",),
        capture=group.capture,
    )
