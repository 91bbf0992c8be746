"""What is on a ring, for people: SPIs, addresses, algorithms, lengths of keys, and where they came from.

No secret is in it.
"""

from __future__ import annotations

from typing import Any

from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.keys.suites import encryption_name, icv_octets_of, integrity_name
from ipsecanalyze.registry.ikev2 import KeyExchange, Prf

__all__ = ["listing"]


def listing(ring: KeyRing) -> dict[str, Any]:
    """The ring as a JSON document without its secrets: lengths in bits stand for the keys."""
    return {
        "schema": "ipsecanalyze.key-list/1",
        "esp": [_esp(keys) for keys in ring.esp],
        "ike": [_ike(keys) for keys in ring.ike],
        "shared_secrets": [_secret(secret) for secret in ring.shared_secrets],
        "psks": [_psk(psk) for psk in ring.psks],
        "problems": [{"path": found.path, "line": found.line, "what": found.what} for found in ring.problems],
    }


def _esp(keys: EspKeys) -> dict[str, Any]:
    return {
        "protocol": keys.protocol,
        "spi": None if keys.spi is None else f"{keys.spi:08x}",
        "source": keys.source,
        "destination": keys.destination,
        "encryption": encryption_name(keys.encryption),
        "encryption_bits": len(keys.encryption_key) * 8,
        "integrity": integrity_name(keys.integrity) if keys.is_checked else None,
        "integrity_bits": len(keys.integrity_key) * 8,
        "icv_octets": icv_octets_of(keys),
        "esn": keys.esn,
        "mode": keys.mode,
        "origin": keys.origin,
    }


def _ike(keys: IkeKeys) -> dict[str, Any]:
    names = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr", "skeyid", "skeyid_e")
    return {
        "version": keys.version,
        "initiator_spi": f"{keys.spi_i:016x}" if keys.spi_i else None,
        "responder_spi": f"{keys.spi_r:016x}" if keys.spi_r else None,
        "encryption": None if keys.encryption is None else encryption_name(keys.encryption),
        "integrity": None if keys.integrity is None else integrity_name(keys.integrity),
        "prf": None if keys.prf is None else Prf(keys.prf).name,
        "bits": {name: len(value) * 8 for name in names if (value := getattr(keys, name))},
        "origin": keys.origin,
    }


def _secret(secret: SharedSecret) -> dict[str, Any]:
    return {
        "initiator_spi": f"{secret.spi_i:016x}" if secret.spi_i else None,
        "responder_spi": f"{secret.spi_r:016x}" if secret.spi_r else None,
        "method": None if secret.method is None else KeyExchange(secret.method).name,
        "bits": len(secret.value) * 8,
        "origin": secret.origin,
    }


def _psk(psk: Psk) -> dict[str, Any]:
    return {"ppk": psk.is_ppk, "identities": list(psk.identities), "bits": len(psk.value) * 8, "origin": psk.origin}
