"""IANA's numbers of the IPsec DOI (RFC 2407): what IKEv1's Phase 2 can offer.

Only numbers live here, and their IKEv2 equivalents. IPsec's own algorithms are those of RFC 8221, but these numbers are
used by IKEv1 alone and so are historic.
"""

from __future__ import annotations

from enum import KEEP, IntFlag
from types import MappingProxyType

from ipsecanalyze.registry.ikev1_base import HistoricEnum
from ipsecanalyze.registry.ikev2_transforms import Encr, Integ

__all__ = [
    "AhTransformId",
    "EncapsulationMode",
    "EspTransformId",
    "IpcompTransformId",
    "IpsecAttribute",
    "IpsecAuthAlgorithm",
    "ProtocolId",
    "Situation",
    "ikev2_encr",
    "ikev2_integ",
]


class Situation(IntFlag, boundary=KEEP):
    """The situation bitmap of an SA payload (RFC 2407 §4.2)."""

    SIT_IDENTITY_ONLY = 1
    SIT_SECRECY = 2
    SIT_INTEGRITY = 4


class ProtocolId(HistoricEnum, prefix="PROTOCOL", private=249):
    """IPSEC Security Protocol Identifiers (RFC 2407 §4.4.1)."""

    RESERVED = 0, "RFC 2407", "reserved"
    ISAKMP = 1, "RFC 2407"
    AH = 2, "RFC 2407"
    ESP = 3, "RFC 2407"
    IPCOMP = 4, "RFC 2407"
    GIGABEAM_RADIO = 5, "RFC 4705"


class EspTransformId(HistoricEnum, prefix="ESP", private=249):
    """IPSEC ESP Transform Identifiers (RFC 2407 §4.4.4)."""

    RESERVED = 0, "RFC 2407", "reserved"
    ESP_DES_IV64 = 1, "RFC 2407"
    ESP_DES = 2, "RFC 2407"
    ESP_3DES = 3, "RFC 2407"
    ESP_RC5 = 4, "RFC 2407"
    ESP_IDEA = 5, "RFC 2407"
    ESP_CAST = 6, "RFC 2407"
    ESP_BLOWFISH = 7, "RFC 2407"
    ESP_3IDEA = 8, "RFC 2407"
    ESP_DES_IV32 = 9, "RFC 2407"
    ESP_RC4 = 10, "RFC 2407"
    ESP_NULL = 11, "RFC 2407"
    ESP_AES_CBC = 12, "RFC 3602"
    ESP_AES_CTR = 13, "RFC 3686"
    ESP_AES_CCM_8 = 14, "RFC 4309"
    ESP_AES_CCM_12 = 15, "RFC 4309"
    ESP_AES_CCM_16 = 16, "RFC 4309"
    ESP_AES_GCM_8 = 18, "RFC 4106"
    ESP_AES_GCM_12 = 19, "RFC 4106"
    ESP_AES_GCM_16 = 20, "RFC 4106"
    ESP_SEED_CBC = 21, "RFC 4196"
    ESP_CAMELLIA_CBC = 22, "RFC 4312"
    ESP_NULL_AUTH_AES_GMAC = 23, "RFC 4543"
    ESP_SERPENT_CBC = 252, "FreeS/WAN", "private"
    ESP_TWOFISH_CBC = 253, "FreeS/WAN", "private"


class AhTransformId(HistoricEnum, prefix="AH", private=249):
    """IPSEC AH Transform Identifiers (RFC 2407 §4.4.3)."""

    RESERVED = 0, "RFC 2407", "reserved"
    AH_MD5 = 2, "RFC 2407"
    AH_SHA1 = 3, "RFC 2407"
    AH_DES = 4, "RFC 2407"
    AH_SHA2_256 = 5, "RFC 4868"
    AH_SHA2_384 = 6, "RFC 4868"
    AH_SHA2_512 = 7, "RFC 4868"
    AH_RIPEMD = 8, "RFC 2857"
    AH_AES_XCBC_MAC = 9, "RFC 3566"
    AH_RSA = 10, "RFC 4359"
    AH_AES_128_GMAC = 11, "RFC 4543"
    AH_AES_192_GMAC = 12, "RFC 4543"
    AH_AES_256_GMAC = 13, "RFC 4543"


class IpcompTransformId(HistoricEnum, prefix="IPCOMP", private=48):
    """IPSEC IPCOMP Transform Identifiers (RFC 2407 §4.4.5)."""

    RESERVED = 0, "RFC 2407", "reserved"
    IPCOMP_OUI = 1, "RFC 2407"
    IPCOMP_DEFLATE = 2, "RFC 2407"
    IPCOMP_LZS = 3, "RFC 2407"
    IPCOMP_LZJH = 4, "RFC 3051"


class IpsecAttribute(HistoricEnum, prefix="ATTRIBUTE", private=32001):
    """IPSEC Security Association Attributes (RFC 2407 §4.5)."""

    SA_LIFE_TYPE = 1, "RFC 2407"
    SA_LIFE_DURATION = 2, "RFC 2407"
    GROUP_DESCRIPTION = 3, "RFC 2407"
    ENCAPSULATION_MODE = 4, "RFC 2407"
    AUTHENTICATION_ALGORITHM = 5, "RFC 2407"
    KEY_LENGTH = 6, "RFC 2407"
    """In bits."""
    KEY_ROUNDS = 7, "RFC 2407"
    COMPRESS_DICTIONARY_SIZE = 8, "RFC 2407"
    COMPRESS_PRIVATE_ALGORITHM = 9, "RFC 2407"
    ECN_TUNNEL = 10, "RFC 3168"
    EXTENDED_SEQUENCE_NUMBER = 11, "RFC 4304"
    AUTHENTICATION_KEY_LENGTH = 12, "RFC 4359"
    SIGNATURE_ENCODING_ALGORITHM = 13, "RFC 4359"
    ADDRESS_PRESERVATION = 14, "RFC 6407"
    SA_DIRECTION = 15, "RFC 6407"


class EncapsulationMode(HistoricEnum, prefix="ENCAPSULATION", private=61440):
    """Encapsulation Modes (RFC 2407 §4.5, RFC 3947 §5.1), private ones of drafts and vendors."""

    RESERVED = 0, "RFC 2407", "reserved"
    TUNNEL = 1, "RFC 2407"
    TRANSPORT = 2, "RFC 2407"
    UDP_ENCAPSULATED_TUNNEL = 3, "RFC 3947"
    UDP_ENCAPSULATED_TRANSPORT = 4, "RFC 3947"
    CHECK_POINT_UDP_ENCAPSULATION = 61440, "Check Point", "private"
    UDP_ENCAPSULATED_TUNNEL_DRAFT = 61443, "draft-ietf-ipsec-nat-t-ike-00 to 03", "private"
    UDP_ENCAPSULATED_TRANSPORT_DRAFT = 61444, "draft-ietf-ipsec-nat-t-ike-00 to 03", "private"

    @property
    def mode(self) -> str | None:
        """`"tunnel"` or `"transport"`, whatever carries the packets; None where the number does not tell."""
        if "TUNNEL" in self.name:
            return "tunnel"
        return "transport" if "TRANSPORT" in self.name else None

    @property
    def is_udp(self) -> bool:
        """Whether ESP goes in UDP (RFC 3948)."""
        return "UDP" in self.name


class IpsecAuthAlgorithm(HistoricEnum, prefix="AUTH", private=61440):
    """Authentication Algorithms of Phase 2 (RFC 2407 §4.5)."""

    NONE = 0, "RFC 2407", "reserved"
    HMAC_MD5 = 1, "RFC 2407"
    HMAC_SHA1 = 2, "RFC 2407"
    DES_MAC = 3, "RFC 2407"
    KPDK = 4, "RFC 2407"
    HMAC_SHA2_256 = 5, "RFC 4868"
    HMAC_SHA2_384 = 6, "RFC 4868"
    HMAC_SHA2_512 = 7, "RFC 4868"
    HMAC_RIPEMD = 8, "RFC 2857"
    AES_XCBC_MAC = 9, "RFC 3566"
    SIG_RSA = 10, "RFC 4359"
    AES_128_GMAC = 11, "RFC 4543"
    AES_192_GMAC = 12, "RFC 4543"
    AES_256_GMAC = 13, "RFC 4543"


_INTEGS: MappingProxyType[int, Integ] = MappingProxyType(
    {
        IpsecAuthAlgorithm.HMAC_MD5: Integ.AUTH_HMAC_MD5_96,
        IpsecAuthAlgorithm.HMAC_SHA1: Integ.AUTH_HMAC_SHA1_96,
        IpsecAuthAlgorithm.DES_MAC: Integ.AUTH_DES_MAC,
        IpsecAuthAlgorithm.KPDK: Integ.AUTH_KPDK_MD5,
        IpsecAuthAlgorithm.HMAC_SHA2_256: Integ.AUTH_HMAC_SHA2_256_128,
        IpsecAuthAlgorithm.HMAC_SHA2_384: Integ.AUTH_HMAC_SHA2_384_192,
        IpsecAuthAlgorithm.HMAC_SHA2_512: Integ.AUTH_HMAC_SHA2_512_256,
        IpsecAuthAlgorithm.AES_XCBC_MAC: Integ.AUTH_AES_XCBC_96,
        IpsecAuthAlgorithm.AES_128_GMAC: Integ.AUTH_AES_128_GMAC,
        IpsecAuthAlgorithm.AES_192_GMAC: Integ.AUTH_AES_192_GMAC,
        IpsecAuthAlgorithm.AES_256_GMAC: Integ.AUTH_AES_256_GMAC,
    }
)


def ikev2_encr(esp_transform: int) -> Encr | None:
    """The IKEv2 number of an ESP transform (they part at 21: SEED, Camellia, GMAC); None where IKEv2 has none."""
    return (
        Encr.__members__.get(EspTransformId(esp_transform).name.replace("ESP_", "ENCR_", 1)) if esp_transform else None
    )


def ikev2_integ(auth_algorithm: int) -> Integ | None:
    """The IKEv2 number, with its ICV length, of a Phase 2 authentication algorithm; None where IKEv2 has none."""
    return _INTEGS.get(auth_algorithm)
