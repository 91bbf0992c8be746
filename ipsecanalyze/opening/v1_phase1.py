"""What both sides said in phase 1 of IKEv1, as far as keys, IVs and hashes depend on it (RFC 2409 §5).

Facts are gathered message by message; nothing is decrypted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ipsecanalyze.crypto.ikev1 import phase1_hash
from ipsecanalyze.crypto.signatures import verify_phase1_signature
from ipsecanalyze.crypto.suite import IkeSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.ike.payloads import (
    CertPayload,
    HashPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    Payload,
    SaPayload,
    SignaturePayload,
)
from ipsecanalyze.registry import ikev1
from ipsecanalyze.sa.records import IkeSa, Mode

__all__ = ["AGGRESSIVE", "MAIN", "PHASE_1", "Phase1", "find"]

MAIN: Final = int(ikev1.ExchangeType.IDENTITY_PROTECTION)
AGGRESSIVE: Final = int(ikev1.ExchangeType.AGGRESSIVE)
PHASE_1: Final = (MAIN, AGGRESSIVE)
#: X.509, for signatures and for key exchange: some senders take the second for both.
_X509: Final = (4, 5)
#: Certificates of a message that its signature is tried with; the signer's is the first one.
_CERTIFICATES: Final = 8
#: Where a suite with several key lengths does not tell which.
_DEFAULT_KEY_BITS: Final = {int(ikev1.Phase1Encryption.ENCR_AES_CBC): 128}
_P = TypeVar("_P", bound=Payload)


def find(payloads: Sequence[Payload], kind: type[_P]) -> _P | None:
    """The first payload of a class; None without one."""
    for payload in payloads:
        if isinstance(payload, kind):
            return payload
    return None


@dataclass(slots=True)
class Phase1:
    """The beginning of an IKEv1 SA; dictionaries are by side (True: the initiator)."""

    cookie_i: int
    cookie_r: int
    suite: IkeSuite | None = None
    """None where no suite was seen, or one of algorithms that nothing here knows."""
    method: int | None = None
    """`Phase1AuthMethod` number."""
    is_aggressive: bool = False
    offer: bytes = b""
    """SAi_b: the body of the initiator's SA payload."""
    public: dict[bool, bytes] = field(default_factory=dict)
    """g^xi and g^xr."""
    nonces: dict[bool, bytes] = field(default_factory=dict)
    identities: dict[bool, bytes] = field(default_factory=dict)
    """IDii_b and IDir_b."""

    @classmethod
    def of(cls, sa: IkeSa) -> Phase1:
        """What the record of the SA already tells: cookies, suite, method."""
        chosen = sa.chosen or (sa.offered[0] if len(sa.offered) == 1 else [])
        by_type = {algorithm.type: algorithm for algorithm in reversed(chosen)}
        suite = None
        if "ENCR" in by_type and "HASH" in by_type:
            cipher = by_type["ENCR"]
            encryption, prf = ikev1.phase1_encr(cipher.id), ikev1.phase1_prf(by_type["HASH"].id)
            if encryption is not None and prf is not None:
                bits = cipher.key_length or _DEFAULT_KEY_BITS.get(cipher.id)
                suite = IkeSuite(int(encryption), int(prf), key_bits=bits)
        method = by_type["AUTH"].id if "AUTH" in by_type else None
        return cls(sa.initiator.spi, sa.responder.spi, suite, method=method, is_aggressive=sa.mode is Mode.AGGRESSIVE)

    @property
    def is_whole(self) -> bool:
        """Whether both key exchanges and nonces are known: what keys are derived from."""
        return len(self.public) == 2 and len(self.nonces) == 2

    def take(self, payloads: Sequence[Payload], *, from_initiator: bool) -> None:
        """Take what a message of phase 1 tells; the first message of its kind counts."""
        for payload in payloads:
            if isinstance(payload, SaPayload):
                if from_initiator:
                    self.offer = self.offer or payload.body()
            elif isinstance(payload, KePayload):
                self.public.setdefault(from_initiator, payload.data)
            elif isinstance(payload, NoncePayload):
                self.nonces.setdefault(from_initiator, payload.data)
            elif isinstance(payload, IdPayload):
                self.identities.setdefault(from_initiator, payload.body())

    def expected_hash(self, prf: int, skeyid: bytes, *, of_initiator: bool) -> bytes | None:
        """HASH_I or HASH_R; None where something that it covers is not known. Raises DecryptError."""
        identity = self.identities.get(of_initiator)
        if identity is None or not self.offer or len(self.public) != 2 or not skeyid:
            return None
        cookies = (self.cookie_i, self.cookie_r) if of_initiator else (self.cookie_r, self.cookie_i)
        public = (self.public[of_initiator], self.public[not of_initiator])
        return phase1_hash(prf, skeyid, *public, *cookies, self.offer, identity)

    def judge(
        self, payloads: Sequence[Payload], prf: int, skeyid: bytes, *, of_initiator: bool
    ) -> tuple[str, bool] | None:
        """(what the proof of identity in a message is, whether it is right); None where that cannot be told."""
        proof, signature = find(payloads, HashPayload), find(payloads, SignaturePayload)
        if proof is None and signature is None:
            return None
        side = "I" if of_initiator else "R"
        try:
            expected = self.expected_hash(prf, skeyid, of_initiator=of_initiator)
            if expected is None:
                return None
            if proof is not None:
                return f"HASH_{side}", proof.data == expected
        except DecryptError:
            return None
        certificates = [p.data for p in payloads if isinstance(p, CertPayload) and p.encoding in _X509]
        verdict: tuple[str, bool] | None = None
        for certificate in certificates[:_CERTIFICATES]:
            assert signature is not None  # noqa: S101 - for the type checker
            try:
                if verify_phase1_signature(signature.data, expected, certificate):
                    return f"SIG_{side}", True
            except DecryptError:
                continue
            verdict = f"SIG_{side}", False
        return verdict
