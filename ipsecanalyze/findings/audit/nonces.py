"""Nonces that are too short, or were used before (RFC 7296 §2.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.walk import Values, is_same_message, values_of
from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.sa.records import IkeSa

__all__ = ["nonces"]

_REMEMBERED: Final = 1_000_000
#: Octets: IKEv2 (RFC 7296 §2.10); IKEv1 (RFC 2409 §5).
_LEAST: Final = {"2.0": 16, "1.0": 8}
#: Preferred key sizes of PRFs in octets, where half of them is more than 16 (RFC 4868 §2.1.1: the output's length).
_PRF_OCTETS: Final = {"PRF_HMAC_SHA2_384": 48, "PRF_HMAC_SHA2_512": 64, "PRF_HMAC_STREEBOG_512": 64}


class _Short(NamedTuple):
    values: Values
    octets: int
    least: int
    prf: str


class _Reuse(NamedTuple):
    before: Values
    values: Values
    with_public: bool


def nonces(case: Case, profile: Profile) -> Iterator[Finding]:
    """Look at each nonce, in the clear and in opened messages."""
    del profile
    short: Gathering[_Short] = Gathering()
    reuses: Gathering[_Reuse] = Gathering()
    seen: dict[int, Values] = {}
    for values in values_of(case.messages):
        datagram = values.record.datagram
        spot = datagram.capture, datagram.frame
        least, prf = _least(values.sa)
        for nonce in values.nonces:
            if len(nonce) < least:
                found = _Short(values, len(nonce), least, prf)
                key = datagram.source, len(nonce), least
                short.add(key, found, values.sa.id, lambda spot=spot: spot)  # type: ignore[misc]
                continue
            before = seen.get(hash(nonce))
            if before is None:
                if len(seen) < _REMEMBERED:
                    seen[hash(nonce)] = values
                continue
            same_side = before.record.from_initiator is values.record.from_initiator
            if nonce not in before.nonces or is_same_message(before.record, values.record):
                continue
            if before.sa.id == values.sa.id and same_side:
                # The same IKE SA begins anew with a cookie, or with another group.
                continue
            publics = {data for _, data in before.publics} & {data for _, data in values.publics}
            reuse = _Reuse(before, values, bool(publics))
            first = before.record.datagram.capture, before.record.datagram.frame
            where = [lambda place=place: place for place in (first, spot)]
            reuses.add((before.record.datagram.source, datagram.source, hash(nonce)), reuse, values.sa.id, *where)
    yield from short.findings(_short)
    yield from reuses.findings(_reused)


def _least(sa: IkeSa) -> tuple[int, str]:
    least = _LEAST.get(sa.version, 16)
    if sa.version == "2.0":
        for algorithm in sa.chosen:
            if algorithm.type == "PRF" and algorithm.name in _PRF_OCTETS:
                return max(least, _PRF_OCTETS[algorithm.name] // 2), algorithm.name
    return least, ""


def _short(group: Group[_Short]) -> Finding:
    values, octets, least, prf = group.first
    version = "IKEv1" if values.sa.version == "1.0" else "IKEv2"
    rule = f"half the key of {prf}, {least} octets," if prf else f"{version}'s {least} octets"
    return Finding(
        slug="short-nonce",
        severity=Severity.MEDIUM,
        certainty=Certainty.OBSERVED,
        subject=values.sa.id,
        title=f"A nonce of {octets} octets is too short",
        explanation=f"The nonce that {values.record.datagram.source} sent in frame {values.record.datagram.frame} has "
        f"{octets} octets, less than {rule} that are the least. Short nonces add little randomness of this side to the "
        "keys." + group.others("message", "messages", " of the same sender"),
        remedy="Update the implementation that sends it; nonces of 32 octets are common.",
        frames=group.frames,
        references=("RFC 7296 §2.10",) if version == "IKEv2" else ("RFC 2409 §5",),
        capture=group.capture,
    )


def _reused(group: Group[_Reuse]) -> Finding:
    before, values, with_public = group.first
    times = group.count + 1
    one, other = before.record.datagram.source, values.record.datagram.source
    who = f"{other} sent" if one == other else f"{one} and {other} sent"
    more = " The public value is the same too: where both sides repeat themselves, keys repeat." if with_public else ""
    return Finding(
        slug="nonce-reuse",
        severity=Severity.HIGH if with_public else Severity.MEDIUM,
        certainty=Certainty.OBSERVED,
        subject=values.sa.id,
        title=f"The same nonce was sent {times} times",
        explanation=f"{who} the same nonce {times} times, first for {before.sa.id} in frame "
        f"{before.record.datagram.frame}, then for {values.sa.id} in frame {values.record.datagram.frame}. Nonces are "
        f"random, and new for each exchange: the random numbers of the sender repeat, or something sends recorded "
        f"messages.{more}",
        remedy="Check the random number generator of the sender (virtual machines cloned with its state, devices "
        "without entropy at start), or who sends recorded messages.",
        frames=group.frames,
        references=("RFC 7296 §2.10",),
        capture=group.capture,
    )
