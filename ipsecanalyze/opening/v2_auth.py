"""Verifying AUTH payloads of IKEv2 with what is at hand: pre-shared keys, or the certificates in the exchange.

RFC 7296 §2.15; IKE_INTERMEDIATE adds what RFC 9242 §3.3.2 says. A verdict is a note for people; where something is
missing there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ipsecanalyze.crypto.ikev2 import key_pad_auth, signed_octets
from ipsecanalyze.crypto.material import IkeKeys, Psk
from ipsecanalyze.crypto.signatures import verify_signature
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.ike.payloads import AuthPayload, CertPayload, IdPayload

__all__ = ["SidesProof", "judge"]

_SHARED_KEY: Final = 2
#: Pre-shared keys that are tried for one AUTH payload.
_PSKS: Final = 64


@dataclass(slots=True)
class SidesProof:
    """What the AUTH payload of one side is computed over."""

    first_message: bytes = b""
    """Its IKE_SA_INIT message."""
    other_nonce: bytes = b""
    identity: IdPayload | None = None
    certificates: list[CertPayload] = field(default_factory=list)
    intermediate: bytes | None = b""
    """IntAuth of both sides and the message ID; None where they cannot be computed."""


def judge(
    auth: AuthPayload, proof: SidesProof, keys: IkeKeys, prf: int, psks: Sequence[Psk], *, of_initiator: bool
) -> str:
    """Words for the notes of the message: "AUTH verified with the pre-shared key"; "" where it cannot be told."""
    sk_p = keys.sk_pi if of_initiator else keys.sk_pr
    if not sk_p or proof.identity is None or proof.intermediate is None or not proof.first_message:
        return ""
    octets = signed_octets(prf, sk_p, proof.first_message, proof.other_nonce, proof.identity.body(), proof.intermediate)
    try:
        if auth.method == _SHARED_KEY:
            return _by_psk(auth, prf, psks, octets)
        if not proof.certificates:
            return ""
        right = verify_signature(auth.method, auth.data, octets, proof.certificates[0].data)
    except DecryptError:
        return ""
    return "AUTH verified with the certificate" if right else "AUTH wrong: the signature does not fit the certificate"


def _by_psk(auth: AuthPayload, prf: int, psks: Sequence[Psk], octets: bytes) -> str:
    usable = [psk for psk in psks if not psk.is_ppk][:_PSKS]
    if not usable:
        return ""
    if any(key_pad_auth(prf, psk.value, octets) == auth.data for psk in usable):
        return "AUTH verified with the pre-shared key"
    # EAP's AUTH payloads are made with a key that nobody wrote into a configuration (RFC 7296 §2.16).
    return "AUTH was not made with a pre-shared key that is known"
