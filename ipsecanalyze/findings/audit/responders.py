"""What a responder makes of an offer, and of many: weaker choices than possible, no protection against floods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import Spot, choice_record, offer_record
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.verdict import algorithm_text, cell_of, severity_of, year_of
from ipsecanalyze.findings.case import Case, frames_of
from ipsecanalyze.findings.evidence import place
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import series, span
from ipsecanalyze.registry.ikev2 import KeyExchange
from ipsecanalyze.sa.records import Algorithm, IkeSa, State

__all__ = ["amplification", "downgrade_possible", "no_flood_protection", "strength_of"]

#: Bits of strength: SP 800-57 Part 1 Rev. 5 §5.6.1 for groups, what is commonly said of the rest.
_GROUPS: Final = {1: 60, 2: 80, 5: 90, 22: 70, 23: 100, 24: 100, 14: 112, 15: 128, 16: 150, 17: 176, 18: 200, 25: 96,
                  26: 112, 27: 112, 19: 128, 28: 128, 31: 128, 20: 192, 29: 192, 32: 224, 21: 256, 30: 256}  # fmt: skip
_CIPHERS: Final = {"ENCR_DES": 56, "ENCR_3DES": 80, "ENCR_IDEA": 100, "ENCR_CAST": 100, "ENCR_BLOWFISH": 100,
                   "ENCR_RC5": 100, "ENCR_RC5_R16_B64": 100}  # fmt: skip
_HASHES: Final = {"MD5": 60, "PRF_HMAC_MD5": 60, "AUTH_HMAC_MD5_96": 60, "SHA1": 80, "PRF_HMAC_SHA1": 80,
                  "AUTH_HMAC_SHA1_96": 80}  # fmt: skip
#: Octets of answers per octet of requests that are worth a word, and that make a tool for floods.
_AMPLIFIED, _FLOODING = 3, 10
#: Half-open IKE SAs of one responder within so long that call for cookies.
_HALF_OPEN, _WINDOW_NS = 20, 30_000_000_000


def strength_of(algorithm: Algorithm) -> int | None:
    """Roughly, in bits, for comparing algorithms of one type; None where nothing is known."""
    if algorithm.type == "KE":
        return _GROUPS.get(algorithm.id) if algorithm.name in KeyExchange.__members__ else None
    if algorithm.type == "ENCR":
        if algorithm.name in _CIPHERS:
            return _CIPHERS[algorithm.name]
        if algorithm.name == "ENCR_CHACHA20_POLY1305":
            return 256
        return algorithm.key_length if "AES" in algorithm.name or "CAMELLIA" in algorithm.name else None
    if algorithm.type in ("PRF", "HASH", "INTEG"):
        return _HASHES.get(algorithm.name, 128)
    return None


class _Weaker(NamedTuple):
    sa: IkeSa
    pairs: tuple[tuple[Algorithm, Algorithm], ...]
    """(chosen, the strongest that was offered)."""
    asked: tuple[int, int] | None
    """(group of the first offer's KE, weaker group that INVALID_KE_PAYLOAD asked for)."""
    is_weak: bool


def downgrade_possible(case: Case, profile: Profile) -> Iterator[Finding]:
    """A stronger algorithm was offered than was chosen."""
    found: Gathering[_Weaker] = Gathering()
    known: dict[tuple[int, int, int], tuple[_Pairs, bool]] = {}
    for sa in case.ike_sas:
        weaker = _weaker(sa, profile, known) if sa.chosen and sa.offered else None
        if weaker is None:
            continue
        names = tuple((one.name, other.name) for one, other in weaker.pairs)

        def offer(sa: IkeSa = sa) -> Spot | None:
            record = offer_record(case, sa)
            return (record.datagram.capture, record.datagram.frame) if record is not None else None

        def choice(sa: IkeSa = sa) -> Spot | None:
            record = choice_record(case, sa)
            return (record.datagram.capture, record.datagram.frame) if record is not None else None

        key = sa.initiator.address, sa.responder.address, names, weaker.asked
        found.add(key, weaker, sa.id, offer, choice)

    def told(group: Group[_Weaker]) -> Finding:
        weaker = group.first
        sa = weaker.sa
        words = [f"{algorithm_text(one)} though {algorithm_text(other)} was offered" for one, other in weaker.pairs]
        if weaker.asked is not None:
            first, wanted = (KeyExchange(number).name for number in weaker.asked)
            words.append(f"the key exchange {wanted} when the initiator had begun with {first}")
        protection = (
            "IKEv2 signs the offer in IKE_AUTH, so others cannot have shortened it unless they hold the keys of a peer"
            if sa.version == "2.0"
            else "in IKEv1 the initiator's offer is covered by HASH_I, the responder's choice is not"
        )
        return Finding(
            slug="downgrade-possible",
            severity=Severity.MEDIUM if weaker.is_weak else Severity.INFO,
            certainty=Certainty.OBSERVED,
            subject=sa.id,
            title=f"Weaker algorithms were chosen than offered: {series([one.name for one, _ in weaker.pairs])}"
            if weaker.pairs
            else "A weaker key exchange group was asked for than offered",
            explanation=f"{sa.responder.address} chose {series(words)}, for {sa.id} with {sa.initiator.address}. It is "
            f"the order of the responder's configuration that decides; {protection}."
            + group.others("IKE SA", "IKE SAs"),
            remedy="Put the strongest proposal first on the responder, and take what is weak out of both "
            "configurations: what is not offered cannot be chosen.",
            frames=group.frames,
            references=("RFC 7296 §2.7",) if sa.version == "2.0" else ("RFC 2409 §5",),
            capture=group.capture,
        )

    yield from found.findings(told)


_Pairs: TypeAlias = tuple[tuple[Algorithm, Algorithm], ...]


def _weaker(sa: IkeSa, profile: Profile, known: dict[tuple[int, int, int], tuple[_Pairs, bool]]) -> _Weaker | None:
    year = year_of(sa.first_time_ns)
    # Suites are shared among IKE SAs (`sa/algorithms.py`), and live as long as these.
    key = id(sa.chosen), id(sa.offered), year
    if key not in known:
        known[key] = _pairs(sa, profile, year)
    pairs, is_weak = known[key]
    asked = None
    if sa.invalid_ke_rounds and sa.initiator.key_exchange_groups:
        first, wanted = sa.initiator.key_exchange_groups[0], sa.invalid_ke_rounds[-1]
        if _GROUPS.get(wanted, 999) < _GROUPS.get(first, 0):
            asked = first, wanted
    return _Weaker(sa, pairs, asked, is_weak) if pairs or asked is not None else None


def _pairs(sa: IkeSa, profile: Profile, year: int) -> tuple[_Pairs, bool]:
    """What was chosen with the strongest offered, where that is stronger; whether a choice is weak by the profile."""
    best: dict[str, tuple[int, Algorithm]] = {}
    for suite in sa.offered:
        for algorithm in suite:
            strength = strength_of(algorithm)
            if strength is not None and strength > best.get(algorithm.type, (0, algorithm))[0]:
                best[algorithm.type] = strength, algorithm
    pairs = []
    is_weak = False
    for algorithm in sa.chosen:
        strength = strength_of(algorithm)
        top = best.get(algorithm.type)
        if strength is not None and top is not None and top[0] > strength:
            pairs.append((algorithm, top[1]))
            severity = severity_of(cell_of(profile, algorithm, "IKE", year))
            is_weak = is_weak or (severity is not None and severity.rank >= Severity.MEDIUM.rank)
    return tuple(pairs), is_weak


def no_flood_protection(case: Case, profile: Profile) -> Iterator[Finding]:
    """Responders that answered many half-open IKE SAs within a short time, and asked nobody for a cookie."""
    del profile
    half_open: dict[str, list[IkeSa]] = defaultdict(list)
    asks_cookies: set[str] = set()
    for sa in case.ike_sas:
        if sa.cookie_rounds:
            asks_cookies.add(sa.responder.address)
        elif sa.version == "2.0" and sa.state in (State.HALF_OPEN, State.FAILED) and sa.responder.spi and sa.chosen:
            half_open[sa.responder.address].append(sa)
    for address, sas in half_open.items():
        if address in asks_cookies or len(sas) < _HALF_OPEN:
            continue
        crowd = _crowd(sorted(sas, key=lambda sa: sa.first_time_ns))
        if len(crowd) < _HALF_OPEN:
            continue
        sources = len({sa.initiator.address for sa in crowd})
        duration = span(crowd[-1].first_time_ns - crowd[0].first_time_ns)
        where = place(case, crowd[0], crowd[0].frames[:2])
        frames = [frame for sa in crowd[:16] if case.capture_of(sa) == where.capture for frame in sa.frames[:2]]
        yield Finding(
            slug="no-flood-protection",
            severity=Severity.MEDIUM,
            certainty=Certainty.INFERRED,
            subject=address,
            title=f"{address} answered {len(crowd)} half-open IKE SAs within {duration} without asking for cookies",
            explanation=f"{address} computed a key exchange for each of {len(crowd)} IKE_SA_INIT requests from "
            f"{sources} {'address' if sources == 1 else 'addresses'} within {duration}, none of which went on to "
            "IKE_AUTH, and asked none for a cookie. Anybody can keep it busy so, under any address.",
            remedy="Let the responder ask for cookies from some ten half-open IKE SAs on, and limit them per address "
            "(strongSwan: `charon.cookie_threshold`, `charon.block_threshold`; libreswan: `ddos-mode=auto`).",
            frames=frames_of(frames),
            references=("RFC 7296 §2.6", "RFC 8019 §3"),
            capture=where.capture,
        )


class _Amplified(NamedTuple):
    sa: IkeSa
    asked: int
    answered: int


def amplification(case: Case, profile: Profile) -> Iterator[Finding]:
    """Responders that send far more than they were sent before the initiator has shown that it can be reached."""
    del profile
    found: Gathering[_Amplified] = Gathering()
    for sa in case.ike_sas:
        # What goes on to a third message can be reached; the responder's SPI is known only to who got the answer.
        if sa.state not in (State.HALF_OPEN, State.FAILED) or sa.started_late:
            continue
        asked = answered = 0
        spots: list[Spot] = []
        for record in case.messages_of(sa):
            datagram = record.datagram
            if record.from_initiator is None or (record.from_initiator and any(datagram.payload[8:16])):
                asked = 0
                break
            if record.from_initiator:
                asked += datagram.length
            else:
                answered += datagram.length
            spots.append((datagram.capture, datagram.frame))
        if asked and answered >= _AMPLIFIED * asked:
            where = [lambda spot=spot: spot for spot in spots[:8]]
            found.add(sa.responder.address, _Amplified(sa, asked, answered), sa.id, *where)

    def told(group: Group[_Amplified]) -> Finding:
        sa, asked, answered = group.first
        factor = answered / asked
        return Finding(
            slug="amplification",
            severity=Severity.MEDIUM if factor >= _FLOODING else Severity.LOW,
            certainty=Certainty.OBSERVED,
            subject=sa.responder.address,
            title=f"{sa.responder.address} answers with {factor:.1f} times the octets that it was sent",
            explanation=f"To {asked:,} octets from {sa.initiator.address} ({sa.id}) that nobody had to prove anything "
            f"for, {sa.responder.address} answered with {answered:,} octets, and went on though no answer came. Who "
            "forges the sender's address lets it flood others." + group.others("IKE SA", "IKE SAs"),
            remedy="Turn off IKEv1, whose responders send their answer again and again; let the responder send again "
            "only what it was asked again, and drop what is not configured without an answer.",
            frames=group.frames,
            references=("RFC 7296 §2.1", "CERT VU#419128"),
            capture=group.capture,
        )

    yield from found.findings(told)


def _crowd(sas: list[IkeSa]) -> list[IkeSa]:
    """The largest number of them that began within the window."""
    best, start = (0, 0), 0
    for end, sa in enumerate(sas):
        while sa.first_time_ns - sas[start].first_time_ns > _WINDOW_NS:
            start += 1
        if end + 1 - start > best[1] - best[0]:
            best = start, end + 1
    return sas[best[0] : best[1]]
