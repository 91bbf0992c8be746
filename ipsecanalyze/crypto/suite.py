"""What was negotiated, as far as key material depends on it: the algorithms of an IKE SA and of an ESP or AH SA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ipsecanalyze.crypto.encryption import encryption_algorithm
from ipsecanalyze.crypto.integrity import integrity_algorithm
from ipsecanalyze.crypto.material import EspKeys

__all__ = ["ChildSuite", "IkeSuite", "slices"]


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms of an IKE SA, of either version, by IANA's IKEv2 numbers."""

    encryption: int
    prf: int
    integrity: int = 0
    """0 with AEAD, and in IKEv1."""
    key_bits: int | None = None
    """The Key Length attribute; None: none was sent."""

    @property
    def encryption_octets(self) -> int:
        """Octets of SK_ei and of SK_er, salt included (RFC 5282 §7.1, RFC 5930 §3.1). Raises DecryptError."""
        row = encryption_algorithm(self.encryption)
        return row.key_size(self.key_bits) + row.salt_octets

    @property
    def integrity_octets(self) -> int:
        """Octets of SK_ai and of SK_ar: 0 with AEAD (RFC 5282 §7.3). Raises DecryptError."""
        is_aead = encryption_algorithm(self.encryption).is_aead
        return 0 if is_aead else integrity_algorithm(self.integrity).key_octets


@dataclass(frozen=True, slots=True)
class ChildSuite:
    """The algorithms of an ESP or AH SA, by IANA's IKEv2 numbers."""

    encryption: int = 11
    integrity: int = 0
    key_bits: int | None = None
    esn: bool | None = None
    protocol: str = "ESP"
    icv_octets: int | None = None
    """Where it differs from what the algorithm prescribes."""

    def sizes(self) -> tuple[int, int, int]:
        """Octets of the encryption key, of the salt behind it, and of the integrity key. Raises DecryptError."""
        integrity = integrity_algorithm(self.integrity)
        if self.protocol == "AH":
            return 0, integrity.salt_octets, integrity.key_octets
        row = encryption_algorithm(self.encryption)
        return row.key_size(self.key_bits), row.salt_octets, 0 if row.is_aead else integrity.key_octets

    @property
    def octets(self) -> int:
        """Octets of key material for one direction."""
        return sum(self.sizes())

    def split(self, material: bytes, spi: int | None = None, origin: str = "") -> EspKeys:
        """The keys of one direction: encryption key, its salt, integrity key (RFC 7296 §2.17, RFC 4106 §8.1)."""
        key_octets, salt_octets, integrity_octets = self.sizes()
        if self.protocol == "AH":  # RFC 4543 §5.1: GMAC's salt is behind its key
            encryption_key = b""
            integrity_key, salt = slices(material, integrity_octets, salt_octets)
        else:
            encryption_key, salt, integrity_key = slices(material, key_octets, salt_octets, integrity_octets)
        return EspKeys(
            protocol=self.protocol,
            spi=spi,
            encryption=self.encryption,
            encryption_key=encryption_key,
            salt=salt,
            integrity=self.integrity,
            integrity_key=integrity_key,
            icv_octets=self.icv_octets,
            esn=self.esn,
            origin=origin,
        )


def slices(material: bytes, *sizes: int) -> Iterator[bytes]:
    """Cut `material` into pieces of these sizes, one behind the other."""
    start = 0
    for size in sizes:
        yield material[start : start + size]
        start += size
