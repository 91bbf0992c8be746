"""What is weak by the standards of a profile: the table of rules."""

from __future__ import annotations

from ipsecanalyze.findings.audit import (
    algorithms,
    authentication,
    certificates,
    child_sas,
    exposure,
    ivs,
    lifetimes,
    nonces,
    null_encryption,
    public_values,
    quantum,
    responders,
    secrets,
    signatures,
    spis,
    versions,
)
from ipsecanalyze.findings.model import Defect
from ipsecanalyze.findings.rule import Rule

__all__ = ["RULES"]

_UNSEEN_ANSWERS = frozenset({Defect.ONE_SIDED, Defect.DROPPED})

RULES: tuple[Rule, ...] = (
    Rule(versions.ikev1_in_use, ("ikev1-in-use",)),
    Rule(authentication.aggressive_mode_psk, ("aggressive-mode-psk",)),
    Rule(
        algorithms.weak_algorithms,
        (
            "weak-encryption",
            "weak-integrity",
            "weak-prf",
            "weak-key-exchange",
            "weak-offer",
            "null-encryption",
            "no-integrity",
        ),
    ),
    Rule(null_encryption.null_encryption, ("null-encryption",)),
    Rule(public_values.public_values, ("invalid-public-value", "reused-public-value")),
    Rule(authentication.weak_authentication, ("weak-authentication",)),
    Rule(secrets.weak_psk, ("weak-psk",)),
    Rule(signatures.weak_signature_hash, ("weak-signature-hash",)),
    Rule(child_sas.no_pfs, ("no-pfs",)),
    Rule(child_sas.no_esn, ("no-esn",)),
    Rule(child_sas.small_block_volume, ("small-block-volume",)),
    Rule(ivs.iv_reuse, ("iv-reuse", "predictable-iv")),
    Rule(secrets.reused_key, ("reused-key",)),
    Rule(nonces.nonces, ("nonce-reuse", "short-nonce")),
    Rule(spis.predictable_spi, ("predictable-spi",)),
    Rule(lifetimes.long_lifetime, ("long-lifetime",)),
    Rule(certificates.certificates, ("weak-certificate", "expired-certificate")),
    Rule(exposure.identity_exposed, ("identity-exposed",)),
    Rule(exposure.implementation_exposed, ("implementation-exposed",)),
    Rule(responders.downgrade_possible, ("downgrade-possible",)),
    Rule(responders.no_flood_protection, ("no-flood-protection",), _UNSEEN_ANSWERS),
    Rule(responders.amplification, ("amplification",), _UNSEEN_ANSWERS),
    Rule(quantum.no_post_quantum, ("no-post-quantum",)),
)
