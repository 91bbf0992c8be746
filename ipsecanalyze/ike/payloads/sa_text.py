"""How suites are worded: names of transforms, attributes and whole proposals.

Words come from the registries; nothing is parsed and nothing judged here.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING

from ipsecanalyze.ike.payloads.base import numbered
from ipsecanalyze.ike.text import hex_text
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.registry.base import OpenEnum

if TYPE_CHECKING:
    from ipsecanalyze.ike.payloads.sa import Attribute, Proposal, Transform

__all__ = [
    "attribute_text",
    "doi_text",
    "proposal_text",
    "proposals_text",
    "protocol_text",
    "situation_text",
    "transform_line",
    "transform_name",
    "transform_text",
    "transform_type_name",
]

_PROTOCOL_ISAKMP = 1
#: A suite with more transforms than these is cut in one-line texts: some peers offer dozens.
_SHOWN_TRANSFORMS = 8
_SHOWN_PROPOSALS = 2
#: Additional Key Exchange 1 to 7.
_ADDITIONAL = range(6, 13)

#: IKEv1 protocol → its registry of transform identifiers (RFC 2407 §4.4).
_TRANSFORMS_V1: MappingProxyType[int, type[OpenEnum]] = MappingProxyType(
    {
        1: ikev1.IsakmpTransformId,
        2: ikev1.AhTransformId,
        3: ikev1.EspTransformId,
        4: ikev1.IpcompTransformId,
    }
)
#: Attributes whose values are in a registry: RFC 2409 Appendix A, RFC 2407 §4.5.
_VALUES_PHASE_1: MappingProxyType[int, type[OpenEnum]] = MappingProxyType(
    {
        1: ikev1.Phase1Encryption,
        2: ikev1.Phase1Hash,
        3: ikev1.Phase1AuthMethod,
        4: ikev2.KeyExchange,
        5: ikev1.GroupType,
        11: ikev1.LifeType,
    }
)
_VALUES_PHASE_2: MappingProxyType[int, type[OpenEnum]] = MappingProxyType(
    {
        1: ikev1.LifeType,
        3: ikev2.KeyExchange,
        4: ikev1.EncapsulationMode,
        5: ikev1.IpsecAuthAlgorithm,
    }
)
#: In which order people say a suite: cipher, hash, group, authentication; integrity, group, mode.
_SUITE_PHASE_1 = (2, 4, 3)
_SUITE_PHASE_2 = (5, 3, 4)
_PHASE_1_CIPHER = 1


def doi_text(doi: int) -> str:
    """IKEv1's domain of interpretation with its number."""
    return numbered(ikev1.Doi(doi))


def situation_text(situation: int) -> str:
    """The situation bits of the IPsec DOI (RFC 2407 §4.2)."""
    bits = ((1, "SIT_IDENTITY_ONLY"), (2, "SIT_SECRECY"), (4, "SIT_INTEGRITY"))
    names = [name for bit, name in bits if situation & bit]
    if situation >> 3:
        names.append(f"{situation >> 3 << 3:#x}")
    return " | ".join(names) or "0"


def protocol_text(protocol: int, *, is_v1: bool) -> str:
    """A protocol with its number: "ESP (3)"."""
    return numbered(ikev1.ProtocolId(protocol) if is_v1 else ikev2.ProtocolId(protocol))


def transform_type_name(kind: int) -> str:
    """The type in letters: "ENCR", "PRF", "ADDKE1" …"""
    return ikev2.TransformType(kind).name


def transform_name(transform: Transform) -> str:
    """The name of the transform's identifier in its registry."""
    if transform.number is None:
        return ikev2.transform_id(transform.type, transform.id).name
    registry = _TRANSFORMS_V1.get(transform.protocol)
    return registry(transform.id).name if registry else f"TRANSFORM_{transform.id}"


def transform_text(transform: Transform) -> str:
    """The algorithm with its key length in bits; for IKEv1 the suite that the attributes describe."""
    length = transform.key_length
    suffix = "" if length is None else f"-{length}"
    if transform.number is None:
        return transform_name(transform) + suffix
    # Of an attribute that comes twice the first counts, as in RFC 2407 §4.5.
    values = {attribute.type: attribute.number for attribute in reversed(transform.attributes)}
    if transform.protocol == _PROTOCOL_ISAKMP:
        cipher = values.get(_PHASE_1_CIPHER)
        first = transform_name(transform) if cipher is None else ikev1.Phase1Encryption(cipher).name
        order, registries = _SUITE_PHASE_1, _VALUES_PHASE_1
    else:
        first = transform_name(transform)
        order, registries = _SUITE_PHASE_2, _VALUES_PHASE_2
    return "/".join([first + suffix, *(registries[kind](values[kind]).name for kind in order if kind in values)])


def transform_line(transform: Transform) -> str:
    """The value of a transform's line in a tree."""
    if transform.number is None:
        kind = ikev2.TransformType(transform.type)
        return f"{numbered(kind)}: {numbered(ikev2.transform_id(transform.type, transform.id))}"
    return f"{transform.number}: {transform_name(transform)} ({transform.id})"


def attribute_text(transform: Transform, attribute: Attribute) -> tuple[str, str]:
    """(name, value) of an attribute in words; which registry holds is told by the transform."""
    kind: OpenEnum
    registries: MappingProxyType[int, type[OpenEnum]]
    if transform.number is None:
        kind, registries = ikev2.TransformAttribute(attribute.type), MappingProxyType({})
    elif transform.protocol == _PROTOCOL_ISAKMP:
        kind, registries = ikev1.Phase1Attribute(attribute.type), _VALUES_PHASE_1
    else:
        kind, registries = ikev1.IpsecAttribute(attribute.type), _VALUES_PHASE_2
    registry = registries.get(attribute.type)
    if registry is not None:
        value = numbered(registry(attribute.number))
    elif isinstance(attribute.value, int):
        value = str(attribute.value)
    elif len(attribute.value) <= 8:
        value = f"{attribute.number} ({len(attribute.value)} octets)"
    else:
        value = hex_text(attribute.value)
    return numbered(kind), value


def _shown(transform: Transform) -> str:
    # The methods of RFC 9370 would look like further choices for the first key exchange.
    return f"{transform.type_name}:{transform.text}" if transform.type in _ADDITIONAL else transform.text


def proposal_text(proposal: Proposal) -> str:
    """One proposal in a line: "ESP:c1a2b3c4 ENCR_AES_CBC-128/AUTH_HMAC_SHA2_256_128"."""
    shown = proposal.transforms[:_SHOWN_TRANSFORMS]
    is_v1 = any(transform.number is not None for transform in shown)
    text = (" | " if is_v1 else "/").join([_shown(transform) for transform in shown])
    if len(proposal.transforms) > len(shown):
        text += f" +{len(proposal.transforms) - len(shown)}"
    if proposal.protocol == _PROTOCOL_ISAKMP and not proposal.spi:
        return text
    protocol = ikev1.ProtocolId(proposal.protocol) if is_v1 else ikev2.ProtocolId(proposal.protocol)
    spi = f":{hex_text(proposal.spi, 16)}" if proposal.spi else ""
    return f"{protocol.name}{spi} {text}"


def proposals_text(proposals: Iterable[Proposal]) -> str:
    """Several proposals in a line; of many only the first ones and how many more there are."""
    known = list(proposals)
    text = ", ".join(proposal_text(proposal) for proposal in known[:_SHOWN_PROPOSALS])
    return text + (f" +{len(known) - _SHOWN_PROPOSALS}" if len(known) > _SHOWN_PROPOSALS else "")
