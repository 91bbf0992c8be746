"""Secrets that were given, judged by themselves: pre-shared keys that can be guessed, ESP keys that two SAs share.

No secret is shown, nor anything that it could be told from: of a pre-shared key only in which range its strength lies.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import log2
from typing import Final, NamedTuple

from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.ivs import is_stream
from ipsecanalyze.findings.audit.negotiated import Spot, choice_record
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.case import Case, flow_subject
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.registry.ikev2 import Encr
from ipsecanalyze.sa.records import IkeSa, Mode

__all__ = ["reused_key", "strength_of_psk", "weak_psk"]

#: Pre-shared keys that may be that of an IKE SA: with more, it is not told which one is.
_CANDIDATES: Final = 8
#: Bits: what can be searched for today, and what is asked for (SP 800-57pt1r5 §5.6.1).
_SEARCHED, _ASKED = 64, 112
#: What people write where a secret should stand, without digits and signs around it.
_GUESSES: Final = (
    "password passwort passwd pass secret geheim key psk presharedkey sharedsecret sharedkey mysecret supersecret "
    "cisco juniper fortinet fortigate strongswan libreswan openswan racoon ipsec vpn vpnkey vpnpassword ikev ike test "
    "testing testpsk changeme default admin administrator root letmein welcome qwerty abc abcdef company office tunnel "
    "example foo foobar"
)
_WORDS: Final = frozenset(_GUESSES.split())
#: What stands around words, and signs for letters in them: "p4$$w0rd!".
_AROUND: Final = b"0123456789!?.,;:+*#-_ "
_LETTERS: Final = bytes.maketrans(b"01345@$", b"oieasas")
#: Octets from which on a word is no longer what makes a key.
_LONG: Final = 20
#: Octets of a beginning that is looked for again and again.
_LONGEST_PERIOD: Final = 64
_KINDS: Final = ((rb"[a-z]", 26), (rb"[A-Z]", 26), (rb"[0-9]", 10), (rb"[\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]", 33))


def strength_of_psk(value: bytes) -> float:
    """Bits at most: what its length and its kinds of characters allow; 0 for what is among the first guesses."""
    plain = value.lower().strip(_AROUND)
    words = {re.sub(rb"[^a-z]", b"", one).decode() for one in (plain, plain.translate(_LETTERS))}
    if not value or (len(value) < _LONG and words & _WORDS):
        return 0.0
    length = len(value)
    for period in range(1, min(length // 2, _LONGEST_PERIOD) + 1):
        if value == (value[:period] * (length // period + 1))[:length]:
            length = period  # "abcabcabc" is as good as "abc"
            break
    if all(48 <= octet <= 57 for octet in value):
        alphabet = 10
    elif re.fullmatch(rb"[0-9a-f]+|[0-9A-F]+", value):
        alphabet = 16
    elif all(32 <= octet < 127 for octet in value):
        alphabet = sum(size for kind, size in _KINDS if re.search(kind, value))
    else:
        alphabet = 256
    return length * log2(alphabet)


class _Weak(NamedTuple):
    sa: IkeSa
    bits: float
    certainty: Certainty


def weak_psk(case: Case, profile: Profile) -> Iterator[Finding]:
    """Pre-shared keys of the ring that IKE SAs of the case were authenticated with."""
    del profile
    if case.keys is None or not case.keys.psks:
        return
    found: Gathering[_Weak] = Gathering()
    for sa in case.ike_sas:
        bits = _bits_of(case.keys, sa) if _uses_psk(sa) else None
        if bits is None or bits >= _ASKED:
            continue
        certainty = Certainty.OBSERVED if _is_verified(case, sa) else Certainty.INFERRED
        level = (bits > 0) + (bits >= _SEARCHED)

        def spot(sa: IkeSa = sa) -> Spot | None:
            record = choice_record(case, sa)
            return (record.datagram.capture, record.datagram.frame) if record is not None else None

        key = sa.initiator.address, sa.responder.address, level, sa.mode is Mode.AGGRESSIVE
        found.add(key, _Weak(sa, bits, certainty), sa.id, spot)
    yield from found.findings(_weak)


def _uses_psk(sa: IkeSa) -> bool:
    if sa.version == "1.0":
        return any(one.type == "AUTH" and "PRE_SHARED" in one.name for one in sa.chosen)
    return sa.decrypted and "psk" in (sa.authentication_initiator, sa.authentication_responder)


def _bits_of(ring: KeyRing, sa: IkeSa) -> float | None:
    """The strength of the strongest one that may be its pre-shared key: whichever it is, it has no more."""
    sides = (sa.initiator.identity, sa.responder.identity, sa.initiator.address, sa.responder.address)
    candidates = ring.psks_for(*sides, most=_CANDIDATES + 1)
    if not candidates or len(candidates) > _CANDIDATES:
        return None
    return max(strength_of_psk(psk.value) for psk in candidates)


def _is_verified(case: Case, sa: IkeSa) -> bool:
    return any("AUTH verified with the pre-shared key" in note for one in case.messages_of(sa) for note in one.notes)


def _weak(group: Group[_Weak]) -> Finding:
    sa, bits, certainty = group.first
    is_open = sa.mode is Mode.AGGRESSIVE
    if bits == 0:
        severity, how = Severity.HIGH, "is among the first that anybody tries"
    elif bits < _SEARCHED:
        severity, how = Severity.HIGH if is_open else Severity.MEDIUM, f"has less than {_SEARCHED} bits of strength"
    else:
        severity, how = Severity.LOW, f"has less than {_ASKED} bits of strength"
    who = (
        "Aggressive mode gives everybody on the way what is needed to search for it"
        if is_open
        else "Who takes the responder's place once gets what is needed to search for it"
    )
    return Finding(
        slug="weak-psk",
        severity=severity,
        certainty=certainty,
        subject=sa.id,
        title=f"The pre-shared key {how}",
        explanation=f"The pre-shared key that was given for {sa.initiator.address} and {sa.responder.address} ({sa.id})"
        f" {how}, by its length and kinds of characters, which is the most that it can have. {who}, without being "
        "noticed." + group.others("IKE SA", "IKE SAs"),
        remedy="Draw a new one of 128 random bits or more (`openssl rand -base64 24`), one for each pair of peers, or "
        "use certificates.",
        frames=group.frames,
        references=("RFC 7296 §2.15",) if sa.version == "2.0" else ("RFC 2409 §5.4",),
        capture=group.capture,
    )


class _Shared(NamedTuple):
    flows: tuple[Flow, Flow]
    cipher: str


def reused_key(case: Case, profile: Profile) -> Iterator[Finding]:
    """SAs of ESP that keys opened, and that have the same encryption key (and salt)."""
    del profile
    if case.keys is None:
        return
    found: Gathering[_Shared] = Gathering()
    seen: dict[tuple[int, bytes, bytes], Flow] = {}
    # Not `esp_for`, which goes over all keys without an SPI each time.
    by_spi: dict[tuple[str, int | None], list[EspKeys]] = defaultdict(list)
    for each in case.keys.esp:
        by_spi[each.protocol, each.spi].append(each)
    for flow in case.flows:
        key = (
            _key_of(by_spi.get((flow.protocol, flow.spi), ()), flow)
            if flow.opening is not None and flow.opening.opened
            else None
        )
        if key is None or not key.encryption_key:
            continue
        identity = key.encryption, key.encryption_key, key.salt
        before = seen.setdefault(identity, flow)
        # One SA may change its addresses (NAT, MOBIKE): it keeps its SPI and its direction.
        if before.spi == flow.spi and (before.source, before.destination) != (flow.destination, flow.source):
            continue
        spots = [(one.capture, one.first_frame) for one in (before, flow)]
        where = [lambda spot=spot: spot for spot in spots]
        subject = flow.child_sa or flow_subject(flow)
        found.add(identity, _Shared((before, flow), Encr(key.encryption).name), subject, *where)
    yield from found.findings(_shared)


def _key_of(candidates: Sequence[EspKeys], flow: Flow) -> EspKeys | None:
    """The key of that SPI that opened a flow, where it is plain which one that is."""
    ends = flow.source, flow.destination
    candidates = [key for key in candidates if (key.source, key.destination) == ends] or candidates
    if flow.opening is not None and len(candidates) > 1:
        candidates = [key for key in candidates if key.origin == flow.opening.key_origin]
    return candidates[0] if len(candidates) == 1 else None


def _shared(group: Group[_Shared]) -> Finding:
    (before, flow), cipher = group.first
    streams = is_stream(cipher)
    meaning = (
        "Where two packets under such a key have the same IV, and counters that begin alike make them so, their XOR is "
        "that of their contents, and with GCM packets can be forged."
        if streams
        else "What is learnt of one of them holds for the other, and packets of one can be played into the other where "
        "the integrity key is the same too."
    )
    return Finding(
        slug="reused-key",
        severity=Severity.HIGH if streams else Severity.MEDIUM,
        certainty=Certainty.OBSERVED,
        subject=flow.child_sa or flow_subject(flow),
        title=f"{group.count + 1} ESP SAs have the same key of {cipher}",
        explanation=f"{flow_subject(before)} from {before.source} to {before.destination} and {flow_subject(flow)} "
        f"from {flow.source} to {flow.destination} were opened with the same encryption key ({cipher}). {meaning}",
        remedy="Let IKE make the keys, which gives each SA and direction its own; where keys are written by hand, draw "
        "one for each SA and direction.",
        frames=group.frames,
        references=("RFC 4106 §3", "RFC 3686 §2.1") if streams else ("RFC 4301 §4.5.1",),
        capture=group.capture,
    )
