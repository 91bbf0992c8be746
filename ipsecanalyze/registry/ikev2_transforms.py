"""IANA's IKEv2 transforms: what a proposal can offer, and the attributes of an offer.

Only numbers live here; what an algorithm does is the business of `crypto/`. The status "deprecated" is IANA's, set by
RFC 8247 and RFC 9395. Names are the registry's; key exchange methods have the names that implementations print.
"""

from __future__ import annotations

from types import MappingProxyType

from ipsecanalyze.registry.base import OpenEnum

__all__ = [
    "TRANSFORM_IDS",
    "Encr",
    "Esn",
    "GroupControllerAuth",
    "Integ",
    "KeyExchange",
    "KeyWrap",
    "Prf",
    "TransformAttribute",
    "TransformType",
    "transform_id",
]


class TransformType(OpenEnum, prefix="TRANSFORM", private=241):
    """Transform Type Values (RFC 7296 §3.3.2)."""

    RESERVED = 0, "RFC 7296", "reserved"
    ENCR = 1, "RFC 7296"
    PRF = 2, "RFC 7296"
    INTEG = 3, "RFC 7296"
    KE = 4, "RFC 7296, RFC 9370"
    ESN = 5, "RFC 7296, RFC 9827"
    """IANA calls it "Sequence Numbers (SN)" since RFC 9827."""
    ADDKE1 = 6, "RFC 9370"
    ADDKE2 = 7, "RFC 9370"
    ADDKE3 = 8, "RFC 9370"
    ADDKE4 = 9, "RFC 9370"
    ADDKE5 = 10, "RFC 9370"
    ADDKE6 = 11, "RFC 9370"
    ADDKE7 = 12, "RFC 9370"
    KWA = 13, "RFC 9838"
    GCAUTH = 14, "RFC 9838"


class TransformAttribute(OpenEnum, prefix="ATTRIBUTE", private=16384):
    """Transform Attribute Types (RFC 7296 §3.3.5)."""

    KEY_LENGTH = 14, "RFC 7296"
    """In bits."""
    SIGNATURE_ALGORITHM_IDENTIFIER = 18, "RFC 9838"


class Encr(OpenEnum, prefix="ENCR", private=1024):
    """Transform Type 1: encryption algorithms."""

    RESERVED = 0, "RFC 7296", "reserved"
    ENCR_DES_IV64 = 1, "RFC 1827", "deprecated"
    ENCR_DES = 2, "RFC 2405", "deprecated"
    ENCR_3DES = 3, "RFC 2451"
    ENCR_RC5 = 4, "RFC 2451", "deprecated"
    ENCR_IDEA = 5, "RFC 2451", "deprecated"
    ENCR_CAST = 6, "RFC 2451", "deprecated"
    ENCR_BLOWFISH = 7, "RFC 2451", "deprecated"
    ENCR_3IDEA = 8, "RFC 7296", "deprecated"
    ENCR_DES_IV32 = 9, "RFC 7296", "deprecated"
    ENCR_RC4 = 10, "RFC 7296", "reserved"
    ENCR_NULL = 11, "RFC 2410"
    ENCR_AES_CBC = 12, "RFC 3602"
    ENCR_AES_CTR = 13, "RFC 5930"
    ENCR_AES_CCM_8 = 14, "RFC 4309, RFC 5282"
    ENCR_AES_CCM_12 = 15, "RFC 4309, RFC 5282"
    ENCR_AES_CCM_16 = 16, "RFC 4309, RFC 5282"
    ENCR_AES_GCM_8 = 18, "RFC 4106, RFC 5282"
    ENCR_AES_GCM_12 = 19, "RFC 4106, RFC 5282"
    ENCR_AES_GCM_16 = 20, "RFC 4106, RFC 5282"
    ENCR_NULL_AUTH_AES_GMAC = 21, "RFC 4543"
    ENCR_AES_XTS = 22, "IEEE P1619", "reserved"
    ENCR_CAMELLIA_CBC = 23, "RFC 5529"
    ENCR_CAMELLIA_CTR = 24, "RFC 5529"
    ENCR_CAMELLIA_CCM_8 = 25, "RFC 5529"
    ENCR_CAMELLIA_CCM_12 = 26, "RFC 5529"
    ENCR_CAMELLIA_CCM_16 = 27, "RFC 5529"
    ENCR_CHACHA20_POLY1305 = 28, "RFC 7634"
    ENCR_AES_CCM_8_IIV = 29, "RFC 8750"
    ENCR_AES_GCM_16_IIV = 30, "RFC 8750"
    ENCR_CHACHA20_POLY1305_IIV = 31, "RFC 8750"
    ENCR_KUZNYECHIK_MGM_KTREE = 32, "RFC 9227"
    ENCR_MAGMA_MGM_KTREE = 33, "RFC 9227"
    ENCR_KUZNYECHIK_MGM_MAC_KTREE = 34, "RFC 9227"
    ENCR_MAGMA_MGM_MAC_KTREE = 35, "RFC 9227"
    # Private numbers without a vendor ID: kernels have these, and strongSwan names them so.
    ENCR_SERPENT_CBC = 1026, "strongSwan", "private"
    ENCR_TWOFISH_CBC = 1027, "strongSwan", "private"


class Prf(OpenEnum, prefix="PRF", private=1024):
    """Transform Type 2: pseudorandom functions."""

    RESERVED = 0, "RFC 7296", "reserved"
    PRF_HMAC_MD5 = 1, "RFC 2104", "deprecated"
    PRF_HMAC_SHA1 = 2, "RFC 2104"
    PRF_HMAC_TIGER = 3, "RFC 2104", "deprecated"
    PRF_AES128_XCBC = 4, "RFC 4434"
    PRF_HMAC_SHA2_256 = 5, "RFC 4868"
    PRF_HMAC_SHA2_384 = 6, "RFC 4868"
    PRF_HMAC_SHA2_512 = 7, "RFC 4868"
    PRF_AES128_CMAC = 8, "RFC 4615"
    PRF_HMAC_STREEBOG_512 = 9, "RFC 9385"


class Integ(OpenEnum, prefix="AUTH", private=1024):
    """Transform Type 3: integrity algorithms."""

    NONE = 0, "RFC 7296"
    AUTH_HMAC_MD5_96 = 1, "RFC 2403", "deprecated"
    AUTH_HMAC_SHA1_96 = 2, "RFC 2404"
    AUTH_DES_MAC = 3, "RFC 7296", "deprecated"
    AUTH_KPDK_MD5 = 4, "RFC 1826", "deprecated"
    AUTH_AES_XCBC_96 = 5, "RFC 3566"
    AUTH_HMAC_MD5_128 = 6, "RFC 4595", "deprecated"
    AUTH_HMAC_SHA1_160 = 7, "RFC 4595", "deprecated"
    AUTH_AES_CMAC_96 = 8, "RFC 4494"
    AUTH_AES_128_GMAC = 9, "RFC 4543"
    AUTH_AES_192_GMAC = 10, "RFC 4543"
    AUTH_AES_256_GMAC = 11, "RFC 4543"
    AUTH_HMAC_SHA2_256_128 = 12, "RFC 4868"
    AUTH_HMAC_SHA2_384_192 = 13, "RFC 4868"
    AUTH_HMAC_SHA2_512_256 = 14, "RFC 4868"


class KeyExchange(OpenEnum, prefix="GROUP", private=1024):
    """Transform Type 4, key exchange methods: groups and KEMs (also types 6 to 12, RFC 9370).

    IKEv1's Group Description (RFC 2409 Appendix A) has the same numbers; 3, 4 and 6 to 13 are IKEv1's alone.
    """

    NONE = 0, "RFC 7296"
    MODP_768 = 1, "RFC 7296 §B.1", "deprecated"
    MODP_1024 = 2, "RFC 7296 §B.2"
    EC2N_155 = 3, "RFC 2409 §6.3", "historic"
    EC2N_185 = 4, "RFC 2409 §6.4", "historic"
    MODP_1536 = 5, "RFC 3526"
    EC2N_163 = 6, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    EC2N_163_KOBLITZ = 7, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    EC2N_283 = 8, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    EC2N_283_KOBLITZ = 9, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    EC2N_409 = 10, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    EC2N_409_KOBLITZ = 11, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    EC2N_571 = 12, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    EC2N_571_KOBLITZ = 13, "draft-ietf-ipsec-ike-ecc-groups", "historic"
    MODP_2048 = 14, "RFC 3526"
    MODP_3072 = 15, "RFC 3526"
    MODP_4096 = 16, "RFC 3526"
    MODP_6144 = 17, "RFC 3526"
    MODP_8192 = 18, "RFC 3526"
    ECP_256 = 19, "RFC 5903"
    ECP_384 = 20, "RFC 5903"
    ECP_521 = 21, "RFC 5903"
    MODP_1024_160 = 22, "RFC 5114", "deprecated"
    MODP_2048_224 = 23, "RFC 5114"
    MODP_2048_256 = 24, "RFC 5114"
    ECP_192 = 25, "RFC 5114"
    ECP_224 = 26, "RFC 5114"
    BRAINPOOL_P224R1 = 27, "RFC 6954"
    BRAINPOOL_P256R1 = 28, "RFC 6954"
    BRAINPOOL_P384R1 = 29, "RFC 6954"
    BRAINPOOL_P512R1 = 30, "RFC 6954"
    CURVE25519 = 31, "RFC 8031"
    CURVE448 = 32, "RFC 8031"
    GOST3410_2012_256 = 33, "RFC 9385"
    GOST3410_2012_512 = 34, "RFC 9385"
    ML_KEM_512 = 35, "draft-ietf-ipsecme-ikev2-mlkem"
    ML_KEM_768 = 36, "draft-ietf-ipsecme-ikev2-mlkem"
    ML_KEM_1024 = 37, "draft-ietf-ipsecme-ikev2-mlkem"


class Esn(OpenEnum, prefix="ESN", private=1024):
    """Transform Type 5: sequence numbers (RFC 9827 gives longer titles to the same numbers)."""

    NO_ESN = 0, "RFC 7296, RFC 9827"
    """32-bit sequential numbers."""
    ESN = 1, "RFC 7296, RFC 9827"
    """64-bit numbers of which the lower half is sent (RFC 4303 §2.2.1)."""
    UNSPECIFIED_32 = 2, "RFC 9827"
    """32-bit numbers without order: no replay protection."""


class KeyWrap(OpenEnum, prefix="KW", private=1024):
    """Transform Type 13: key wrap algorithms."""

    RESERVED = 0, "RFC 9838", "reserved"
    KW_5649_128 = 1, "RFC 5649, RFC 9838"
    KW_5649_192 = 2, "RFC 5649, RFC 9838"
    KW_5649_256 = 3, "RFC 5649, RFC 9838"
    KW_ARX = 4, "RFC 9838"


class GroupControllerAuth(OpenEnum, prefix="GCAUTH", private=1024):
    """Transform Type 14: how a group controller authenticates its messages."""

    RESERVED = 0, "RFC 9838", "reserved"
    IMPLICIT = 1, "RFC 9838"
    DIGITAL_SIGNATURE = 2, "RFC 9838"


TRANSFORM_IDS: MappingProxyType[int, type[OpenEnum]] = MappingProxyType(
    {
        TransformType.ENCR: Encr,
        TransformType.PRF: Prf,
        TransformType.INTEG: Integ,
        TransformType.KE: KeyExchange,
        TransformType.ESN: Esn,
        **dict.fromkeys(range(TransformType.ADDKE1, TransformType.ADDKE7 + 1), KeyExchange),
        TransformType.KWA: KeyWrap,
        TransformType.GCAUTH: GroupControllerAuth,
    }
)
"""Transform type → the enum of its transform IDs."""


class _UnknownTransform(OpenEnum, prefix="ID"):
    """IDs of a transform type that no registry has."""

    RESERVED = 0, "", "reserved"


def transform_id(transform_type: int, number: int) -> OpenEnum:
    """The transform ID `number` as a member of the enum that belongs to `transform_type` (any integers)."""
    return TRANSFORM_IDS.get(transform_type, _UnknownTransform)(number)
