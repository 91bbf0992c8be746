"""Who is behind a NAT: the NAT detection hashes compared with the addresses that were captured.

A side A hashes the address that it sends from (source hash), the other side B hashes the address that it sends to
when it answers A (destination hash): IKEv2 `SHA-1(SPIi | SPIr | IP | port)` (RFC 7296 §2.23), IKEv1
`HASH(CKY-I | CKY-R | IP | port)` with the hash that phase 1 negotiated (RFC 3947 §3.2). The peers compare with what
they receive; a capture sees the packets somewhere between, so both hashes about A are compared with A's address
as captured:

| source hash of A | destination hash of B | where the NAT is                                       | A behind NAT |
| ---------------- | --------------------- | ------------------------------------------------------ | ------------ |
| fits             | fits                  | nowhere                                                | no           |
| does not         | fits                  | between A and the capture point (or A pretends, below) | yes          |
| fits             | does not              | between the capture point and B                        | yes          |
| does not         | does not              | on both sides                                          | yes          |
| does not         | unknown               | between A and the capture point                        | yes          |
| fits             | unknown               | none up to the capture point, unknown behind it        | unknown      |
| unknown          | fits                  | none behind the capture point, unknown before it       | unknown      |
| unknown          | does not              | between the capture point and B                        | yes          |

In TCP the ports are those of the connection (RFC 9329 §7.5). A host with several addresses may send several source
hashes: one that fits is enough (RFC 7296 §2.23). Some implementations send a wrong source hash on purpose, to get UDP
encapsulation without a NAT; a capture cannot tell that from a NAT in front of it. Only hashes and verdicts live here;
payloads are picked in `negotiation.py`.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable
from functools import lru_cache

from ipsecanalyze.sa.records import Peer

__all__ = ["HASHES_V1", "detection_hash", "hash_by_length", "judge", "note_destination_hash", "note_source_hashes"]

#: IKEv1 hash by its number (RFC 2409 Appendix A) → name in hashlib.
HASHES_V1: dict[int, str] = {1: "md5", 2: "sha1", 4: "sha256", 5: "sha384", 6: "sha512"}
_BY_LENGTH = {16: "md5", 20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}


def hash_by_length(octets: int) -> str | None:
    """The hash function (its name in hashlib) whose digest has so many octets; None for other lengths."""
    return _BY_LENGTH.get(octets)


@lru_cache(maxsize=4_096)
def _packed(address: str) -> bytes:
    # A zone index ("fe80::1%2") is no part of the address on the wire.
    plain = address.partition("%")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in plain else socket.AF_INET, plain)


@lru_cache(maxsize=len(HASHES_V1))
def _fresh(function: str) -> hashlib._Hash:
    # Copying one is quicker than asking the library for another.
    return hashlib.new(function, usedforsecurity=False)


def detection_hash(spis: bytes, address: str, port: int, function: str = "sha1") -> bytes:
    """The NAT detection hash of an address and port.

    `spis` are the 16 octets that the IKE message begins with, so that a first message, whose responder SPI is zero,
    is hashed with zero. Source: RFC 7296 §2.23; RFC 3947 §3.2 (where `function` is the negotiated hash).
    """
    digest = _fresh(function).copy()
    digest.update(spis + _packed(address) + port.to_bytes(2))
    return digest.digest()


def note_source_hashes(peer: Peer, hashes: Iterable[bytes], expected: bytes) -> None:
    """Take the hashes that a side sent of its own address; `expected` is that of the address as captured."""
    # Once wrong stays wrong: a retry over another path cannot undo a NAT that was seen.
    peer.nat_source_match = peer.nat_source_match is not False and expected in hashes


def note_destination_hash(peer: Peer, sent: bytes, expected: bytes) -> None:
    """Take the hash that the other side sent of this side's address; `expected` is that of the address as captured."""
    peer.nat_destination_match = peer.nat_destination_match is not False and sent == expected


def judge(peer: Peer) -> None:
    """Set `behind_nat` from what is known, by the table above."""
    source, destination = peer.nat_source_match, peer.nat_destination_match
    if source is False or destination is False:
        peer.behind_nat = True
    elif source and destination:
        peer.behind_nat = False
    else:
        peer.behind_nat = None
