"""ISAKMP's Notify Message Types (RFC 2408 §3.14.1), those of the IPsec DOI, and private ones seen in practice.

Only numbers live here; notification data is decoded in `ike/`.
"""

from __future__ import annotations

from typing import Self

from ipsecanalyze.registry.ikev1_base import HistoricEnum

__all__ = ["NotifyType"]

_PRIVATE = (range(8192, 16384), range(32768, 40960))


class NotifyType(HistoricEnum, prefix="NOTIFY"):
    """Notify Message Types: below 16384 errors, above status."""

    @property
    def is_error(self) -> bool:
        """Whether it says that something failed (RFC 2408 §3.14.1)."""
        return 0 < self < 16384

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        member = super()._missing_(value)
        if member is not None and any(member in numbers for numbers in _PRIVATE):
            member.status = "private"
        return member

    RESERVED = 0, "RFC 2408", "reserved"
    # Errors
    INVALID_PAYLOAD_TYPE = 1, "RFC 2408"
    DOI_NOT_SUPPORTED = 2, "RFC 2408"
    SITUATION_NOT_SUPPORTED = 3, "RFC 2408"
    INVALID_COOKIE = 4, "RFC 2408"
    INVALID_MAJOR_VERSION = 5, "RFC 2408"
    INVALID_MINOR_VERSION = 6, "RFC 2408"
    INVALID_EXCHANGE_TYPE = 7, "RFC 2408"
    INVALID_FLAGS = 8, "RFC 2408"
    INVALID_MESSAGE_ID = 9, "RFC 2408"
    INVALID_PROTOCOL_ID = 10, "RFC 2408"
    INVALID_SPI = 11, "RFC 2408"
    INVALID_TRANSFORM_ID = 12, "RFC 2408"
    ATTRIBUTES_NOT_SUPPORTED = 13, "RFC 2408"
    NO_PROPOSAL_CHOSEN = 14, "RFC 2408"
    BAD_PROPOSAL_SYNTAX = 15, "RFC 2408"
    PAYLOAD_MALFORMED = 16, "RFC 2408"
    INVALID_KEY_INFORMATION = 17, "RFC 2408"
    INVALID_ID_INFORMATION = 18, "RFC 2408"
    INVALID_CERT_ENCODING = 19, "RFC 2408"
    INVALID_CERTIFICATE = 20, "RFC 2408"
    CERT_TYPE_UNSUPPORTED = 21, "RFC 2408"
    INVALID_CERT_AUTHORITY = 22, "RFC 2408"
    INVALID_HASH_INFORMATION = 23, "RFC 2408"
    AUTHENTICATION_FAILED = 24, "RFC 2408"
    INVALID_SIGNATURE = 25, "RFC 2408"
    ADDRESS_NOTIFICATION = 26, "RFC 2408"
    NOTIFY_SA_LIFETIME = 27, "RFC 2408"
    CERTIFICATE_UNAVAILABLE = 28, "RFC 2408"
    UNSUPPORTED_EXCHANGE_TYPE = 29, "RFC 2408"
    UNEQUAL_PAYLOAD_LENGTHS = 30, "RFC 2408"
    # Status
    CONNECTED = 16384, "RFC 2408"
    RESPONDER_LIFETIME = 24576, "RFC 2407"
    REPLAY_STATUS = 24577, "RFC 2407"
    INITIAL_CONTACT = 24578, "RFC 2407"
    # Status for private use
    R_U_THERE = 36136, "RFC 3706", "private"
    R_U_THERE_ACK = 36137, "RFC 3706", "private"
    NS_NHTB_INFORM = 40001, "Juniper (next-hop tunnel binding)", "private"
    UNITY_LOAD_BALANCE = 40501, "Cisco Unity", "private"
    UNITY_UNKNOWN = 40502, "Cisco Unity", "private"
    UNITY_GROUP_HASH = 40503, "Cisco Unity", "private"
