"""Keys as crypto takes them: of one ESP or AH SA, of one generation of an IKE SA, and what these are derived from.

Data only. Numbers are IANA's transform IDs of IKEv2 (RFC 7296 §3.3.2), for IKEv1 too: readers of key files translate.
No secret is in any repr. Where keys come from is `keys/`; what is done with them is in the files beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["EspKeys", "IkeKeys", "Psk", "SharedSecret"]


@dataclass(frozen=True, slots=True)
class EspKeys:
    """The keys of one ESP or AH SA, which is one way."""

    protocol: str = "ESP"
    """"ESP" or "AH"."""
    source: str | None = None
    """Addresses as text; None where unknown. Wildcards as Wireshark has them ("10.0.0.*", CIDR) stay text."""
    destination: str | None = None
    spi: int | None = None
    """None: unknown, to be matched by the ICV."""
    encryption: int = 11
    """ENCR transform ID; 11 is NULL."""
    encryption_key: bytes = field(default=b"", repr=False)
    """Without the salt."""
    salt: bytes = field(default=b"", repr=False)
    integrity: int = 0
    """INTEG transform ID; 0 is NONE (AEAD)."""
    integrity_key: bytes = field(default=b"", repr=False)
    icv_octets: int | None = None
    """Where it differs from what the algorithm prescribes (HMAC-SHA2-256-96); None: as prescribed."""
    is_checked: bool = True
    """False: the integrity algorithm is not known, only the length of the ICV (Wireshark's "ANY n bit")."""
    esn: bool | None = None
    """Extended sequence numbers; None: unknown, to be inferred by the ICV."""
    sequence_high: int | None = None
    """The high 32 bits of the sequence number at some time, where a source tells (`ip xfrm state`)."""
    mode: str | None = None
    """"tunnel", "transport", "beet"; None: unknown."""
    origin: str = ""
    """File and line, or the message that it was derived from; for people."""


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """One generation of the keys of an IKE SA (RFC 7296 §2.14; RFC 9370 makes several; RFC 2409 §5)."""

    version: int = 2
    spi_i: int = 0
    spi_r: int = 0
    """0: unknown."""
    encryption: int | None = None
    """ENCR transform ID; None: as negotiated in the capture."""
    integrity: int | None = None
    """INTEG transform ID; None: as negotiated."""
    prf: int | None = None
    sk_d: bytes = field(default=b"", repr=False)
    """IKEv1: SKEYID_d."""
    sk_ai: bytes = field(default=b"", repr=False)
    """IKEv1: SKEYID_a, in both."""
    sk_ar: bytes = field(default=b"", repr=False)
    sk_ei: bytes = field(default=b"", repr=False)
    """With the salt of AEAD and CTR behind the key. IKEv1: Ka, the final key, in both."""
    sk_er: bytes = field(default=b"", repr=False)
    sk_pi: bytes = field(default=b"", repr=False)
    sk_pr: bytes = field(default=b"", repr=False)
    skeyid: bytes = field(default=b"", repr=False)
    """IKEv1: SKEYID. IKEv2: SKEYSEED. Optional."""
    skeyid_e: bytes = field(default=b"", repr=False)
    """IKEv1, before it is expanded to Ka."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """The result of one key exchange, g^ir, from which everything else follows."""

    value: bytes = field(repr=False)
    spi_i: int = 0
    spi_r: int = 0
    """0: unknown, to be tried."""
    method: int | None = None
    """KE transform ID, where known."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Psk:
    """A pre-shared key, or a PPK (RFC 8784)."""

    value: bytes = field(repr=False)
    identities: tuple[str, ...] = ()
    """Whom it is for: addresses or identities as text; empty: anybody."""
    is_ppk: bool = False
    origin: str = ""
