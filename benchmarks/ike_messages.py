"""IKEv2 messages as real initiators and responders send them, made fast (RFC 7296).

IKE_SA_INIT is valid in every field, NAT detection hashes included; key exchange values, nonces and what is encrypted
are random octets, for nobody can tell.
"""

from __future__ import annotations

from hashlib import sha1
from random import Random
from struct import Struct

_HEADER = Struct(">8s8sBBBBII")
_GENERIC = Struct(">BBH")
_SA, _KE, _NONCE, _NOTIFY, _ENCRYPTED, _VENDOR = 33, 34, 40, 41, 46, 43
_IKE_SA_INIT, _IKE_AUTH = 34, 35
_INITIATOR, _RESPONSE = 0x08, 0x20


def _transform(last: bool, kind: int, number: int, key_length: int | None = None) -> bytes:
    attribute = b"" if key_length is None else Struct(">HH").pack(0x800E, key_length)
    return Struct(">BBHBBH").pack(0 if last else 3, 0, 8 + len(attribute), kind, 0, number) + attribute


def _proposal(last: bool, number: int, transforms: list[tuple[int, int, int | None]]) -> bytes:
    body = b"".join(
        _transform(index == len(transforms) - 1, kind, value, length)
        for index, (kind, value, length) in enumerate(transforms)
    )
    return Struct(">BBHBBBB").pack(0 if last else 2, 0, 8 + len(body), number, 1, 0, len(transforms)) + body


#: AES-CBC-256 with HMAC-SHA2-256-128 or AES-GCM-256, groups 31 and 14.
_OFFER = _proposal(
    False,
    1,
    [(1, 12, 256), (1, 12, 128), (2, 5, None), (2, 2, None), (3, 12, None), (3, 2, None), (4, 31, None), (4, 14, None)],
) + _proposal(True, 2, [(1, 20, 256), (1, 20, 128), (2, 5, None), (2, 6, None), (4, 31, None), (4, 14, None)])
_CHOICE = _proposal(True, 1, [(1, 12, 256), (2, 5, None), (3, 12, None), (4, 31, None)])
_SIGNATURE_HASHES = Struct(">HHHH").pack(2, 3, 4, 5)
_VENDOR_ID = bytes.fromhex("882fe56d6fd20dbc2251613b2ebe5beb")  # strongSwan


def _payloads(chain: list[tuple[int, bytes]]) -> bytes:
    following = [kind for kind, _ in chain[1:]] + [0]
    parts = [_GENERIC.pack(after, 0, 4 + len(body)) + body for after, (_, body) in zip(following, chain, strict=True)]
    return b"".join(parts)


def _notify(kind: int, data: bytes = b"") -> tuple[int, bytes]:
    return _NOTIFY, Struct(">BBH").pack(0, 0, kind) + data


def _message(spis: tuple[bytes, bytes], exchange: int, flags: int, number: int, first: int, payloads: bytes) -> bytes:
    return _HEADER.pack(*spis, first, 0x20, exchange, flags, number, 28 + len(payloads)) + payloads


def _nat_detection(spis: tuple[bytes, bytes], kind: int, address: bytes, port: int) -> tuple[int, bytes]:
    return _notify(kind, sha1(spis[0] + spis[1] + address + port.to_bytes(2), usedforsecurity=False).digest())


def sa_init(
    spis: tuple[bytes, bytes], source: bytes, destination: bytes, random: Random, *, response: bool = False
) -> bytes:
    """An IKE_SA_INIT message from `source` to `destination`, both at port 500."""
    chain = [
        (_SA, _CHOICE if response else _OFFER),
        (_KE, b"\x00\x1f\x00\x00" + random.randbytes(32)),
        (_NONCE, random.randbytes(32)),
        _nat_detection(spis, 16388, source, 500),
        _nat_detection(spis, 16389, destination, 500),
        _notify(16430),  # IKEV2_FRAGMENTATION_SUPPORTED
        _notify(16431, _SIGNATURE_HASHES),
        (_VENDOR, _VENDOR_ID),
    ]
    flags = _RESPONSE if response else _INITIATOR
    return _message(spis, _IKE_SA_INIT, flags, 0, _SA, _payloads(chain))


def ike_auth(spis: tuple[bytes, bytes], random: Random, *, response: bool = False) -> bytes:
    """An IKE_AUTH message: an SK payload whose first inner payload is IDi or IDr."""
    body = random.randbytes(16 + 16 * random.randrange(12, 20) + 16)
    sealed = _GENERIC.pack(36 if response else 35, 0, 4 + len(body)) + body
    return _message(spis, _IKE_AUTH, _RESPONSE if response else _INITIATOR, 1, _ENCRYPTED, sealed)
