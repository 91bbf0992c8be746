"""Quick Modes: what they agreed on, the keys that follow, and the HASH payloads of later exchanges (RFC 2409 §5.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ipsecanalyze.crypto.ikev1 import exchange_hash, hash_3, quick_mode_keys
from ipsecanalyze.crypto.material import EspKeys, IkeKeys, SharedSecret
from ipsecanalyze.crypto.suite import ChildSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.ike.payloads import IdPayload, KePayload, NoncePayload, Payload, Proposal, SaPayload, Transform
from ipsecanalyze.ike.payloads.identification import ip_protocol_text, range_text
from ipsecanalyze.opening.revealed import RevealedChild
from ipsecanalyze.opening.v1_phase1 import find
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import Algorithm, MessageRecord

__all__ = ["QuickMode", "derive", "describe", "expected_hashes"]

_AH, _ESP, _IPCOMP = 2, 3, 4
_PROTOCOLS: Final = {_AH: "AH", _ESP: "ESP"}
_NULL: Final = 11
#: Shared secrets that are tried for a Quick Mode with a key exchange of its own.
_SECRETS: Final = 16
#: What one Quick Mode makes at most (RFC 2409 §5.5 allows several SA payloads and bundles).
_CHILDREN: Final = 16
#: AH transforms whose authentication algorithm has another number (RFC 2407 §4.4.3, §4.5).
_AH_AUTHENTICATION: Final = {2: 1, 3: 2, 4: 3}
#: Without a Key Length attribute; RFC 3602 §5.3 wants one, and some do not send it.
_DEFAULT_BITS: Final = {12: 128, 13: 128, 14: 128, 15: 128, 16: 128, 18: 128, 19: 128, 20: 128}
_HOSTS: Final = (1, 5)


@dataclass(slots=True)
class QuickMode:
    """One Quick Mode as far as it was opened."""

    by_initiator: bool
    """The initiator of the IKE SA began it."""
    number: int = 0
    """How many with a key exchange of their own came before, in this IKE SA."""
    request: tuple[Payload, ...] = ()
    answer: tuple[Payload, ...] = ()
    children: list[RevealedChild] = field(default_factory=list)

    def take(self, payloads: tuple[Payload, ...], *, from_beginner: bool) -> bool:
        """Take a message; whether it is the answer, which says what was chosen."""
        if find(payloads, SaPayload) is None:
            return False
        if from_beginner:
            if not self.answer:
                self.request = payloads
            return False
        if self.answer:
            return False
        self.answer = payloads
        return True

    @property
    def nonces(self) -> tuple[bytes | None, bytes | None]:
        """Ni_b and Nr_b."""
        found = (find(self.request, NoncePayload), find(self.answer, NoncePayload))
        return (found[0].data if found[0] else None, found[1].data if found[1] else None)

    @property
    def public(self) -> bytes | None:
        """The public value of its own key exchange; None without one."""
        found = find(self.answer, KePayload) or find(self.request, KePayload)
        return found.data if found else None


def expected_hashes(
    prf: int, skeyid_a: bytes, message_id: int, rest: bytes, nonces: tuple[bytes | None, bytes | None]
) -> Iterator[bytes]:
    """What the HASH payload in front of `rest` may be: HASH(1), (2) and (3). Raises DecryptError.

    HASH(2) and HASH(3) need the nonces of a Quick Mode.
    """
    nonce_i, nonce_r = nonces
    if rest:
        yield exchange_hash(prf, skeyid_a, message_id, rest)
        if nonce_i is not None:
            yield exchange_hash(prf, skeyid_a, message_id, rest, nonce_i)
    elif nonce_i is not None and nonce_r is not None:
        yield hash_3(prf, skeyid_a, message_id, nonce_i, nonce_r)


def describe(quick: QuickMode, record: MessageRecord) -> Iterator[tuple[RevealedChild, ChildSuite | None]]:
    """What a Quick Mode made, by its answer in `record`; without a suite where an algorithm is not known here."""
    ends = (record.datagram.source, record.datagram.destination)
    # The answer comes from the other side than the one that began.
    addresses = ends if not quick.by_initiator else ends[::-1]
    selectors = _selectors(quick, addresses)
    ipcomp = [
        Algorithm("IPCOMP", transform.id, transform.name)
        for _, chosen in _pairs(quick)
        if chosen.protocol == _IPCOMP
        for transform in chosen.transforms[:1]
    ]
    made = 0
    for offered, chosen in _pairs(quick):
        if chosen.protocol not in _PROTOCOLS or not chosen.transforms or made == _CHILDREN:
            continue
        made += 1
        transform = chosen.transforms[0]
        suite = _suite(transform, chosen.protocol)
        spis = (int.from_bytes(offered.spi), int.from_bytes(chosen.spi))
        if not quick.by_initiator:
            spis = spis[::-1]
        child = RevealedChild(
            frame=record.datagram.frame,
            protocol=_PROTOCOLS[chosen.protocol],
            initiator_spi=spis[0],
            responder_spi=spis[1],
            initiator_address=addresses[0],
            responder_address=addresses[1],
            mode=ikev1.EncapsulationMode(_value(transform, ikev1.IpsecAttribute.ENCAPSULATION_MODE) or 0).mode
            or "tunnel",
            chosen=[*_algorithms(transform, chosen.protocol), *ipcomp],
            esn=_value(transform, ikev1.IpsecAttribute.EXTENDED_SEQUENCE_NUMBER) == 1,
            selectors_initiator=selectors[0],
            selectors_responder=selectors[1],
            has_key_exchange=quick.public is not None,
        )
        yield child, suite


def _pairs(quick: QuickMode) -> Iterator[tuple[Proposal, Proposal]]:
    """(offered, chosen) proposals, of all SA payloads: those of one number and protocol belong together."""
    offers = [payload for payload in quick.request if isinstance(payload, SaPayload)][:_CHILDREN]
    answers = [payload for payload in quick.answer if isinstance(payload, SaPayload)][:_CHILDREN]
    for offer, answer in zip(offers, answers, strict=False):
        for chosen in answer.proposals[:_CHILDREN]:
            same = [one for one in offer.proposals if one.protocol == chosen.protocol]
            exact = [one for one in same if one.number == chosen.number]
            if exact or same:
                yield (exact or same)[0], chosen


def _value(transform: Transform, wanted: int) -> int | None:
    for attribute in transform.attributes:
        if attribute.type == wanted:
            return attribute.number
    return None


def _authentication(transform: Transform, protocol: int) -> int:
    number = _value(transform, ikev1.IpsecAttribute.AUTHENTICATION_ALGORITHM)
    if number is None:
        return _AH_AUTHENTICATION.get(transform.id, transform.id) if protocol == _AH else 0
    return number


def _suite(transform: Transform, protocol: int) -> ChildSuite | None:
    """The algorithms by IKEv2's numbers; None where it has no such algorithm."""
    authentication = _authentication(transform, protocol)
    integrity = ikev1.ikev2_integ(authentication) if authentication else 0
    encryption = ikev1.ikev2_encr(transform.id) if protocol == _ESP else _NULL
    if integrity is None or encryption is None:
        return None
    esn = _value(transform, ikev1.IpsecAttribute.EXTENDED_SEQUENCE_NUMBER) == 1
    bits = transform.key_length or _DEFAULT_BITS.get(int(encryption))
    return ChildSuite(int(encryption), int(integrity), bits, esn, _PROTOCOLS[protocol])


def _algorithms(transform: Transform, protocol: int) -> Iterator[Algorithm]:
    """As `sa/algorithms.py` has them: numbers of IKEv1's registries, names that people use."""
    if protocol == _ESP:
        encryption = ikev1.ikev2_encr(transform.id)
        yield Algorithm("ENCR", transform.id, encryption.name if encryption else transform.name, transform.key_length)
    authentication = _authentication(transform, protocol)
    if authentication:
        integrity = ikev1.ikev2_integ(authentication)
        name = integrity.name if integrity else ikev1.IpsecAuthAlgorithm(authentication).name
        yield Algorithm("INTEG", authentication, name)
    group = _value(transform, ikev1.IpsecAttribute.GROUP_DESCRIPTION)
    if group is not None:
        yield Algorithm("KE", group, ikev2.KeyExchange(group).name)
    if _value(transform, ikev1.IpsecAttribute.EXTENDED_SEQUENCE_NUMBER) == 1:
        yield Algorithm("ESN", 1, ikev2.transform_id(5, 1).name)


def _selectors(quick: QuickMode, addresses: tuple[str, str]) -> tuple[list[str], list[str]]:
    """Whose traffic, by side of the IKE SA: IDci and IDcr; without them the two hosts (RFC 2409 §5.5)."""
    for payloads in (quick.answer, quick.request):
        found = [_selector(payload) for payload in payloads if isinstance(payload, IdPayload)]
        if len(found) >= 2:
            pair = found[:2] if quick.by_initiator else found[1::-1]
            return [pair[0]], [pair[1]]
    hosts = [f"{address}/{128 if ':' in address else 32}" for address in addresses]
    return [hosts[0]], [hosts[1]]


def _selector(identity: IdPayload) -> str:
    data = identity.data
    text = range_text(data, data) if identity.id_type in _HOSTS and len(data) in (4, 16) else identity.text
    if not identity.protocol:
        return text
    port = f"/{identity.port}" if identity.port else ""
    return f"{text}[{ip_protocol_text(identity.protocol)}{port}]"


def derive(
    quick: QuickMode,
    child: RevealedChild,
    suite: ChildSuite | None,
    keys: IkeKeys,
    secrets: Sequence[SharedSecret],
) -> None:
    """Put the keys into a child, as far as SKEYID_d and `secrets` are enough; else say what is missing."""
    nonce_i, nonce_r = quick.nonces
    if suite is None:
        child.missing = "one of its algorithms is not supported"
    elif not keys.sk_d or keys.prf is None:
        child.missing = "SKEYID_d of its IKE SA is needed, or the pre-shared key with g^xy (Ka opens messages only)"
    elif nonce_i is None or nonce_r is None:
        child.missing = "the nonces of its Quick Mode are not known"
    else:
        values = [b""]
        if child.has_key_exchange:
            values = [secret.value for secret in _likely(quick, secrets)]
        if not values:
            child.missing = (
                "it has a key exchange of its own (PFS): its shared secret, or the keys of the SA, are needed"
            )
        try:
            for value in values:
                child.keys += _pair(quick, child, suite, keys, nonce_i, nonce_r, value)
        except DecryptError as error:
            child.missing = error.reason


def _likely(quick: QuickMode, secrets: Sequence[SharedSecret]) -> list[SharedSecret]:
    """Shared secrets of the right size, those first that came at the same place among their like."""
    octets = len(quick.public or b"")
    # Of elliptic curves the secret is the x coordinate, half of the public value (RFC 5903 §7).
    fitting = [secret for secret in secrets if len(secret.value) in (octets, octets // 2)] or list(secrets)
    places = sorted(range(len(fitting)), key=lambda place: abs(place - quick.number))
    return [fitting[place] for place in places[:_SECRETS]]


def _pair(
    quick: QuickMode,
    child: RevealedChild,
    suite: ChildSuite,
    keys: IkeKeys,
    nonce_i: bytes,
    nonce_r: bytes,
    secret: bytes,
) -> list[EspKeys]:
    spis = (child.initiator_spi, child.responder_spi)
    ends = (child.initiator_address or None, child.responder_address or None)
    if not quick.by_initiator:
        spis, ends = spis[::-1], ends[::-1]
    origin = f"derived from Quick Mode, frame {child.frame}{f' ({keys.origin})' if keys.origin else ''}"
    prf = keys.prf
    assert prf is not None  # noqa: S101 - for the type checker
    there, back = quick_mode_keys(
        suite, prf, keys.sk_d, nonce_i, nonce_r, spis[0], spis[1], secret=secret, origin=origin
    )
    return [
        replace(there, source=ends[0], destination=ends[1], mode=child.mode),
        replace(back, source=ends[1], destination=ends[0], mode=child.mode),
    ]
