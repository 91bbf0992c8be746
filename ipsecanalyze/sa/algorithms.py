"""From proposals on the wire to algorithms: what was offered, what was chosen, for how long.

IKEv2 has a transform per algorithm; IKEv1 puts a whole suite into the attributes of one transform (RFC 2409
Appendix A). Both become lists of `Algorithm`. Only numbers and names are dealt with here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ipsecanalyze.ike.payloads.sa import Proposal, Transform
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import Algorithm

__all__ = ["Lifetime", "Suites", "authentication", "authentication_methods", "lifetime", "suites_v1", "suites_v2"]

#: IKEv2 transforms with a name of their own are few; strangers' numbers must not fill the memory.
_NAMES = 4_096
#: What is remembered of whole SA payloads.
_REMEMBERED, _REMEMBERED_OCTETS = 1_024, 1_024

_ATTRIBUTES = (
    (ikev1.Phase1Attribute.ENCRYPTION_ALGORITHM, "ENCR", ikev1.Phase1Encryption),
    (ikev1.Phase1Attribute.HASH_ALGORITHM, "HASH", ikev1.Phase1Hash),
    (ikev1.Phase1Attribute.AUTHENTICATION_METHOD, "AUTH", ikev1.Phase1AuthMethod),
    (ikev1.Phase1Attribute.GROUP_DESCRIPTION, "KE", ikev2.KeyExchange),
    (ikev1.Phase1Attribute.PRF, "PRF", None),
)

#: Phase 1 authentication method → how the initiator and the responder prove who they are, in the words of
#: configuration files. Hybrid and XAUTH methods say which side is the user (draft-beaulieu-ike-xauth §8).
_METHODS: dict[int, tuple[str, str]] = {
    ikev1.Phase1AuthMethod.PRE_SHARED_KEY: ("psk", "psk"),
    ikev1.Phase1AuthMethod.DSS_SIGNATURES: ("dss-sig", "dss-sig"),
    ikev1.Phase1AuthMethod.RSA_SIGNATURES: ("rsa-sig", "rsa-sig"),
    ikev1.Phase1AuthMethod.RSA_ENCRYPTION: ("rsa-enc", "rsa-enc"),
    ikev1.Phase1AuthMethod.REVISED_RSA_ENCRYPTION: ("rsa-enc-revised", "rsa-enc-revised"),
    ikev1.Phase1AuthMethod.ECDSA_SIGNATURES: ("ecdsa-sig", "ecdsa-sig"),
    ikev1.Phase1AuthMethod.ECDSA_SHA256_P256: ("ecdsa-256", "ecdsa-256"),
    ikev1.Phase1AuthMethod.ECDSA_SHA384_P384: ("ecdsa-384", "ecdsa-384"),
    ikev1.Phase1AuthMethod.ECDSA_SHA512_P521: ("ecdsa-521", "ecdsa-521"),
    ikev1.Phase1AuthMethod.HYBRID_INIT_RSA: ("xauth", "rsa-sig"),
    ikev1.Phase1AuthMethod.HYBRID_RESP_RSA: ("rsa-sig", "xauth"),
    ikev1.Phase1AuthMethod.HYBRID_INIT_DSS: ("xauth", "dss-sig"),
    ikev1.Phase1AuthMethod.HYBRID_RESP_DSS: ("dss-sig", "xauth"),
    ikev1.Phase1AuthMethod.XAUTH_INIT_PRE_SHARED: ("psk+xauth", "psk"),
    ikev1.Phase1AuthMethod.XAUTH_RESP_PRE_SHARED: ("psk", "psk+xauth"),
    ikev1.Phase1AuthMethod.XAUTH_INIT_DSS: ("dss-sig+xauth", "dss-sig"),
    ikev1.Phase1AuthMethod.XAUTH_RESP_DSS: ("dss-sig", "dss-sig+xauth"),
    ikev1.Phase1AuthMethod.XAUTH_INIT_RSA: ("rsa-sig+xauth", "rsa-sig"),
    ikev1.Phase1AuthMethod.XAUTH_RESP_RSA: ("rsa-sig", "rsa-sig+xauth"),
}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long an IKEv1 SA may live; None where the suite does not say."""

    seconds: int | None = None
    kilobytes: int | None = None


class Suites:
    """Remembers what the octets of an SA payload offer: the same few come again and again. Bounded."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], list[list[Algorithm]]] = {}

    def of(self, major: int, proposals: tuple[Proposal, ...], body: bytes) -> list[list[Algorithm]]:
        """The suites of the proposals that `body` holds; the lists are shared, so they must not be changed."""
        known = self._known.get((major, body))
        if known is None:
            known = suites_v2(proposals) if major == 2 else suites_v1(proposals)
            if len(body) <= _REMEMBERED_OCTETS:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[major, body] = known
        return known


def suites_v2(proposals: tuple[Proposal, ...]) -> list[list[Algorithm]]:
    """The algorithms of IKEv2 proposals, a list per proposal, in the order of the wire (RFC 7296 §3.3)."""
    return [
        [_algorithm_v2(transform.type, transform.id, transform.key_length) for transform in proposal.transforms]
        for proposal in proposals
    ]


def suites_v1(proposals: tuple[Proposal, ...]) -> list[list[Algorithm]]:
    """The algorithms of IKEv1 phase 1 proposals, a list per transform (RFC 2409 Appendix A)."""
    return [_suite_v1(transform) for proposal in proposals for transform in proposal.transforms]


def authentication(proposals: tuple[Proposal, ...]) -> int | None:
    """The authentication method (IANA's number) of the first phase 1 transform."""
    for proposal in proposals:
        for transform in proposal.transforms:
            return _attribute(transform, ikev1.Phase1Attribute.AUTHENTICATION_METHOD)
    return None


def authentication_methods(number: int) -> tuple[str, str]:
    """How initiator and responder prove who they are by a phase 1 authentication method."""
    name = ikev1.Phase1AuthMethod(number).name.lower()
    return _METHODS.get(number, (name, name))


def lifetime(proposals: tuple[Proposal, ...]) -> Lifetime:
    """The lifetime in the first phase 1 transform: pairs of life type and duration (RFC 2409 Appendix A)."""
    seconds: int | None = None
    kilobytes: int | None = None
    for transform in (transform for proposal in proposals[:1] for transform in proposal.transforms[:1]):
        unit = 0
        for attribute in transform.attributes:
            if attribute.type == ikev1.Phase1Attribute.LIFE_TYPE:
                unit = attribute.number
            elif attribute.type == ikev1.Phase1Attribute.LIFE_DURATION:
                if unit == ikev1.LifeType.SECONDS:
                    seconds = attribute.number
                elif unit == ikev1.LifeType.KILOBYTES:
                    kilobytes = attribute.number
    return Lifetime(seconds, kilobytes)


@lru_cache(_NAMES)
def _algorithm_v2(kind: int, number: int, key_length: int | None) -> Algorithm:
    name = ikev2.transform_id(kind, number).name
    return Algorithm(ikev2.TransformType(kind).name, number, name, key_length)


def _suite_v1(transform: Transform) -> list[Algorithm]:
    suite = []
    for attribute, kind, registry in _ATTRIBUTES:
        number = _attribute(transform, attribute)
        if number is not None:
            name = registry(number).name if registry is not None else f"PRF_{number}"
            suite.append(Algorithm(kind, number, name, transform.key_length if kind == "ENCR" else None))
    return suite


def _attribute(transform: Transform, wanted: int) -> int | None:
    for attribute in transform.attributes:
        if attribute.type == wanted:
            return attribute.number
    return None
