"""IKE payloads: the table that says which parser reads which payload type, one row each.

A type without a row becomes a `RawPayload` that keeps its octets. Nothing registers itself: a new payload is a new
file and a new row.
"""

from __future__ import annotations

from types import MappingProxyType

from ipsecanalyze.ike.payloads.authentication import (
    AuthPayload,
    HashPayload,
    SignaturePayload,
    parse_auth,
    parse_hash,
    parse_signature,
)
from ipsecanalyze.ike.payloads.base import Parser, Payload, Problems, TreeLine
from ipsecanalyze.ike.payloads.certificates import CertPayload, CertRequestPayload, parse_cert, parse_cert_request
from ipsecanalyze.ike.payloads.configuration import (
    ConfigPayload,
    ConfigurationAttribute,
    parse_config_v1,
    parse_config_v2,
)
from ipsecanalyze.ike.payloads.delete import DeletePayload, parse_delete_v1, parse_delete_v2
from ipsecanalyze.ike.payloads.eap import EapPayload, parse_eap
from ipsecanalyze.ike.payloads.encrypted import (
    EncryptedFragmentPayload,
    EncryptedPayload,
    FragmentPayload,
    parse_encrypted,
    parse_encrypted_fragment,
    parse_fragment,
)
from ipsecanalyze.ike.payloads.identification import IdgPayload, IdPayload, parse_group_id, parse_id_v1, parse_id_v2
from ipsecanalyze.ike.payloads.key_exchange import KePayload, NoncePayload, parse_ke_v1, parse_ke_v2, parse_nonce
from ipsecanalyze.ike.payloads.nat import (
    NatDetectionPayload,
    NatOriginalAddressPayload,
    parse_nat_detection,
    parse_nat_original_address,
)
from ipsecanalyze.ike.payloads.notify import NotifyPayload, parse_notify_v1, parse_notify_v2
from ipsecanalyze.ike.payloads.raw import (
    FramedPayload,
    GsaPayload,
    GspmPayload,
    KdPayload,
    MalformedPayload,
    PuzzleSolutionPayload,
    RawPayload,
    UnframedPayload,
    parse_framed,
)
from ipsecanalyze.ike.payloads.sa import Attribute, Proposal, SaPayload, Transform, parse_sa_v1, parse_sa_v2
from ipsecanalyze.ike.payloads.selectors import TrafficSelector, TrafficSelectorPayload, parse_traffic_selectors
from ipsecanalyze.ike.payloads.vendor import VendorIdPayload, parse_vendor_id

__all__ = [
    "PARSERS",
    "Attribute",
    "AuthPayload",
    "CertPayload",
    "CertRequestPayload",
    "ConfigPayload",
    "ConfigurationAttribute",
    "DeletePayload",
    "EapPayload",
    "EncryptedFragmentPayload",
    "EncryptedPayload",
    "FragmentPayload",
    "FramedPayload",
    "GsaPayload",
    "GspmPayload",
    "HashPayload",
    "IdPayload",
    "IdgPayload",
    "KdPayload",
    "KePayload",
    "MalformedPayload",
    "NatDetectionPayload",
    "NatOriginalAddressPayload",
    "NoncePayload",
    "NotifyPayload",
    "Parser",
    "Payload",
    "Problems",
    "Proposal",
    "PuzzleSolutionPayload",
    "RawPayload",
    "SaPayload",
    "SignaturePayload",
    "TrafficSelector",
    "TrafficSelectorPayload",
    "Transform",
    "TreeLine",
    "UnframedPayload",
    "VendorIdPayload",
]

#: (major version, payload type) → parser of the body. RFC 7296 §3.2 and later; RFC 2408 §3.1 and later.
PARSERS: MappingProxyType[tuple[int, int], Parser] = MappingProxyType(
    {
        (2, 33): parse_sa_v2,
        (2, 34): parse_ke_v2,
        (2, 35): parse_id_v2,
        (2, 36): parse_id_v2,
        (2, 37): parse_cert,
        (2, 38): parse_cert_request,
        (2, 39): parse_auth,
        (2, 40): parse_nonce,
        (2, 41): parse_notify_v2,
        (2, 42): parse_delete_v2,
        (2, 43): parse_vendor_id,
        (2, 44): parse_traffic_selectors,
        (2, 45): parse_traffic_selectors,
        (2, 46): parse_encrypted,
        (2, 47): parse_config_v2,
        (2, 48): parse_eap,
        (2, 49): parse_framed,
        (2, 50): parse_group_id,
        (2, 51): parse_framed,
        (2, 52): parse_framed,
        (2, 53): parse_encrypted_fragment,
        (2, 54): parse_framed,
        (1, 1): parse_sa_v1,
        (1, 4): parse_ke_v1,
        (1, 5): parse_id_v1,
        (1, 6): parse_cert,
        (1, 7): parse_cert_request,
        (1, 8): parse_hash,
        (1, 9): parse_signature,
        (1, 10): parse_nonce,
        (1, 11): parse_notify_v1,
        (1, 12): parse_delete_v1,
        (1, 13): parse_vendor_id,
        (1, 14): parse_config_v1,
        (1, 15): parse_framed,
        (1, 16): parse_framed,
        (1, 17): parse_framed,
        (1, 18): parse_framed,
        (1, 19): parse_framed,
        (1, 20): parse_nat_detection,
        (1, 21): parse_nat_original_address,
        (1, 22): parse_framed,
        (1, 130): parse_nat_detection,
        (1, 131): parse_nat_original_address,
        (1, 132): parse_fragment,
    }
)
