"""Notification data in words: one function per format, one table per version.

A decoder returns None where the data has not the form that the RFC gives it; then the octets are shown. Everything
returned is escaped; nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from ipsecanalyze.ike.payloads.identification import address_text
from ipsecanalyze.ike.text import escape, escape_or_hex, hex_text
from ipsecanalyze.registry import ikev1, ikev2

__all__ = ["describe_v1", "describe_v2"]

_Decoder = Callable[[bytes], str | None]
#: Entries of a list that are worded; a message may hold thousands.
_SHOWN = 16
#: Gateway identity type → octets of an address (RFC 5685 §6.3).
_GATEWAY_OCTETS = {1: 4, 2: 16}


def _numbers(data: bytes, size: int) -> list[int] | None:
    if not data or len(data) % size:
        return None
    return [int.from_bytes(data[i : i + size]) for i in range(0, min(len(data), _SHOWN * size), size)]


def _hash(data: bytes) -> str | None:
    return f"SHA-1 {data.hex()}" if len(data) == 20 else None


def _group(data: bytes) -> str | None:
    return ikev2.KeyExchange(int.from_bytes(data)).name if len(data) == 2 else None


def _hashes(data: bytes) -> str | None:
    found = _numbers(data, 2)
    return None if found is None else ", ".join(ikev2.HashAlgorithm(number).name for number in found)


def _password_methods(data: bytes) -> str | None:
    found = _numbers(data, 2)
    return None if found is None else ", ".join(ikev2.SecurePasswordMethod(number).name for number in found)


def _auth_methods(data: bytes) -> str | None:
    # RFC 9593 §3.2: length, authentication method, and by length a CERTREQ index or an algorithm identifier.
    names: list[str] = []
    position = 0
    while position < len(data) and len(names) < _SHOWN:
        length = data[position]
        if length < 2 or position + length > len(data):
            return None
        names.append(ikev2.AuthMethod(data[position + 1]).name)
        position += length
    return ", ".join(names) or None


def _seconds(data: bytes) -> str | None:
    return f"{int.from_bytes(data)} s" if len(data) == 4 else None


def _number(data: bytes) -> str | None:
    return str(int.from_bytes(data)) if 1 <= len(data) <= 8 else None


def _payload_type(data: bytes) -> str | None:
    return f"payload {ikev2.PayloadType(data[0]).notation} ({data[0]})" if len(data) == 1 else None


def _major_version(data: bytes) -> str | None:
    return f"highest version is {data[0]}" if len(data) == 1 else None


def _message_id(data: bytes) -> str | None:
    return f"message ID {int.from_bytes(data)}" if len(data) == 4 else None


def _spi(data: bytes) -> str | None:
    return f"SPI {data.hex()}" if len(data) in (4, 8) else None


def _ipcomp(data: bytes) -> str | None:
    # RFC 7296 §3.10.1: CPI, transform ID, and attributes of which none are defined.
    if len(data) < 3:
        return None
    return f"CPI {data[:2].hex()}, {ikev2.IpcompTransform(data[2]).name}"


def _address(data: bytes) -> str | None:
    return address_text(data) if len(data) in (4, 16) else None


def _gateway(data: bytes) -> tuple[str, bytes] | None:
    # RFC 5685 §6: identity type, length, identity, then the nonce of the initiator in IKE_SA_INIT.
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    kind, identity = data[0], data[2 : 2 + data[1]]
    if kind in _GATEWAY_OCTETS and len(identity) != _GATEWAY_OCTETS[kind]:
        return None
    text = escape(identity) if kind == ikev2.GatewayIdentityType.FQDN else address_text(identity)
    return text, data[2 + data[1] :]


def _redirect(data: bytes) -> str | None:
    found = _gateway(data)
    if found is None:
        return None
    text, nonce = found
    return f"to {text}" + (f", nonce of {len(nonce)} octets" if nonce else "")


def _redirected_from(data: bytes) -> str | None:
    found = _gateway(data)
    return None if found is None else f"from {found[0]}"


def _ticket(data: bytes) -> str | None:
    # RFC 5723 §7.1: lifetime, then the ticket.
    return f"lifetime {int.from_bytes(data[:4])} s, ticket of {len(data) - 4} octets" if len(data) > 4 else None


def _opaque_ticket(data: bytes) -> str | None:
    return f"ticket of {len(data)} octets"


def _token(data: bytes) -> str | None:
    return f"token of {len(data)} octets"


def _window(data: bytes) -> str | None:
    return f"window {int.from_bytes(data)}" if len(data) == 4 else None


def _message_id_sync(data: bytes) -> str | None:
    # RFC 6311 §5.2: nonce, next message ID to send, next to receive.
    if len(data) != 12:
        return None
    return f"next to send {int.from_bytes(data[4:8])}, next to receive {int.from_bytes(data[8:])}"


def _replay_sync(data: bytes) -> str | None:
    return f"add {int.from_bytes(data)} to outgoing counters" if len(data) in (4, 8) else None


def _puzzle(data: bytes) -> str | None:
    # RFC 8019 §8.1: PRF, difficulty, cookie.
    if len(data) < 4:
        return None
    difficulty = data[2]
    return f"{ikev2.Prf(int.from_bytes(data[:2])).name}, difficulty {difficulty} bits, cookie of {len(data) - 3} octets"


def _ppk_identity(data: bytes) -> str | None:
    # RFC 8784 §5.1
    return f"{ikev2.PpkIdType(data[0]).name} {escape_or_hex(data[1:])}" if len(data) > 1 else None


def _ppk_identity_key(data: bytes) -> str | None:
    # RFC 9867 §3.1: PPK_ID, then a confirmation of 8 octets.
    if len(data) < 10:
        return None
    return f"{ikev2.PpkIdType(data[0]).name} {escape_or_hex(data[1:-8])}, confirmation {data[-8:].hex()}"


def _aggfrag(data: bytes) -> str | None:
    # RFC 9347 §5.1: the lowest bits are C and D.
    if len(data) != 1:
        return None
    flags = [name for bit, name in ((0x02, "congestion control"), (0x01, "don't fragment")) if data[0] & bit]
    return ", ".join(flags) or "no requirements"


def _rohc(data: bytes) -> str | None:
    # RFC 5857 §3.1: attributes as in IKE, format bit and all.
    texts: list[str] = []
    position = 0
    while position + 4 <= len(data) and len(texts) < _SHOWN:
        kind, value = int.from_bytes(data[position : position + 2]), int.from_bytes(data[position + 2 : position + 4])
        if not kind & 0x8000:
            return None
        texts.append(f"{ikev2.RohcAttribute(kind & 0x7FFF).name} {value}")
        position += 4
    return ", ".join(texts) or None


def _no_nats(data: bytes) -> str | None:
    # RFC 4555 §4.2.6: addresses and ports as the sender sees them.
    half = {12: 4, 36: 16}.get(len(data))
    if half is None:
        return None
    ports = data[2 * half :]
    source, destination = address_text(data[:half]), address_text(data[half : 2 * half])
    return f"{source} port {int.from_bytes(ports[:2])} to {destination} port {int.from_bytes(ports[2:])}"


def _text(data: bytes) -> str | None:
    return escape_or_hex(data)


_DECODERS_V2: MappingProxyType[int, _Decoder] = MappingProxyType(
    {
        ikev2.NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD: _payload_type,
        ikev2.NotifyType.INVALID_MAJOR_VERSION: _major_version,
        ikev2.NotifyType.INVALID_MESSAGE_ID: _message_id,
        ikev2.NotifyType.INVALID_SPI: _spi,
        ikev2.NotifyType.INVALID_KE_PAYLOAD: _group,
        ikev2.NotifyType.SET_WINDOW_SIZE: _window,
        ikev2.NotifyType.IPCOMP_SUPPORTED: _ipcomp,
        ikev2.NotifyType.NAT_DETECTION_SOURCE_IP: _hash,
        ikev2.NotifyType.NAT_DETECTION_DESTINATION_IP: _hash,
        ikev2.NotifyType.COOKIE: _token,
        ikev2.NotifyType.ADDITIONAL_IP4_ADDRESS: _address,
        ikev2.NotifyType.ADDITIONAL_IP6_ADDRESS: _address,
        ikev2.NotifyType.COOKIE2: _token,
        ikev2.NotifyType.NO_NATS_ALLOWED: _no_nats,
        ikev2.NotifyType.AUTH_LIFETIME: _seconds,
        ikev2.NotifyType.REDIRECT: _redirect,
        ikev2.NotifyType.REDIRECTED_FROM: _redirected_from,
        ikev2.NotifyType.TICKET_LT_OPAQUE: _ticket,
        ikev2.NotifyType.TICKET_OPAQUE: _opaque_ticket,
        ikev2.NotifyType.ROHC_SUPPORTED: _rohc,
        ikev2.NotifyType.QUICK_CRASH_DETECTION: _token,
        ikev2.NotifyType.IKEV2_MESSAGE_ID_SYNC: _message_id_sync,
        ikev2.NotifyType.IPSEC_REPLAY_COUNTER_SYNC: _replay_sync,
        ikev2.NotifyType.SECURE_PASSWORD_METHODS: _password_methods,
        ikev2.NotifyType.SIGNATURE_HASH_ALGORITHMS: _hashes,
        ikev2.NotifyType.PUZZLE: _puzzle,
        ikev2.NotifyType.PPK_IDENTITY: _ppk_identity,
        ikev2.NotifyType.PPK_IDENTITY_KEY: _ppk_identity_key,
        ikev2.NotifyType.USE_AGGFRAG: _aggfrag,
        ikev2.NotifyType.SUPPORTED_AUTH_METHODS: _auth_methods,
        ikev2.NotifyType.SA_RESOURCE_INFO: _text,
        ikev2.NotifyType.TS_MAX_QUEUE: _number,
    }
)


def _attributes_v1(data: bytes) -> str | None:
    # RFC 2407 §4.6.3.1: the lifetime attributes of phase 2 (of phase 1 where the protocol is ISAKMP).
    texts: list[str] = []
    unit = ""
    position = 0
    while position + 4 <= len(data) and len(texts) < _SHOWN:
        kind, value = int.from_bytes(data[position : position + 2]), int.from_bytes(data[position + 2 : position + 4])
        position += 4
        if not kind & 0x8000:
            if value > min(8, len(data) - position):
                return None
            value, position = int.from_bytes(data[position : position + value]), position + value
        if kind & 0x7FFF in (1, 11):
            unit = ikev1.LifeType(value).name.lower()
        elif kind & 0x7FFF in (2, 12):
            texts.append(f"{value} {unit}".rstrip())
    return ", ".join(texts) or None


def _sequence(data: bytes) -> str | None:
    return f"sequence {int.from_bytes(data)}" if len(data) == 4 else None


def _replay_status(data: bytes) -> str | None:
    return {0: "replay detection disabled", 1: "replay detection enabled"}.get(int.from_bytes(data[:8]))


_DECODERS_V1: MappingProxyType[int, _Decoder] = MappingProxyType(
    {
        ikev1.NotifyType.RESPONDER_LIFETIME: _attributes_v1,
        ikev1.NotifyType.REPLAY_STATUS: _replay_status,
        ikev1.NotifyType.R_U_THERE: _sequence,
        ikev1.NotifyType.R_U_THERE_ACK: _sequence,
        ikev1.NotifyType.UNITY_LOAD_BALANCE: _address,
        ikev1.NotifyType.INITIAL_CONTACT: _text,
    }
)


def _describe(decoders: MappingProxyType[int, _Decoder], notify_type: int, data: bytes) -> str:
    if not data:
        return ""
    decoder = decoders.get(notify_type)
    text = decoder(data) if decoder else None
    return hex_text(data) if text is None else text


def describe_v2(notify_type: int, data: bytes) -> str:
    """The data of an IKEv2 notification in words; "" without data, hex digits where they cannot be read."""
    return _describe(_DECODERS_V2, notify_type, data)


def describe_v1(notify_type: int, data: bytes) -> str:
    """The data of an IKEv1 notification in words; "" without data, hex digits where they cannot be read."""
    return _describe(_DECODERS_V1, notify_type, data)
