"""IANA's ISAKMP and IKE (version 1) registries as open enums: messages, Phase 1, configuration.

Only numbers with their names, references and statuses live here; those of Phase 2 (the IPsec DOI) and the notifies are
in `ikev1_ipsec.py` and `ikev1_notify.py` and can be had from here. IKEv1 as a whole is historic (RFC 9395), so
"historic" is the status of all that was once current. An algorithm that IKEv2 has too has IKEv2's name.
"""

from __future__ import annotations

from types import MappingProxyType

from ipsecanalyze.registry.ikev1_base import HistoricEnum
from ipsecanalyze.registry.ikev1_ipsec import (
    AhTransformId,
    EncapsulationMode,
    EspTransformId,
    IpcompTransformId,
    IpsecAttribute,
    IpsecAuthAlgorithm,
    ProtocolId,
    Situation,
    ikev2_encr,
    ikev2_integ,
)
from ipsecanalyze.registry.ikev1_notify import NotifyType
from ipsecanalyze.registry.ikev2 import CertEncoding, Encr, KeyExchange, Prf

__all__ = [
    "AhTransformId",
    "CertEncoding",
    "ConfigAttribute",
    "ConfigType",
    "Doi",
    "EncapsulationMode",
    "EspTransformId",
    "ExchangeType",
    "GroupType",
    "IdType",
    "IpcompTransformId",
    "IpsecAttribute",
    "IpsecAuthAlgorithm",
    "IsakmpTransformId",
    "KeyExchange",
    "LifeType",
    "NotifyType",
    "PayloadType",
    "Phase1Attribute",
    "Phase1AuthMethod",
    "Phase1Encryption",
    "Phase1Hash",
    "ProtocolId",
    "Situation",
    "XauthStatus",
    "XauthType",
    "ikev2_encr",
    "ikev2_integ",
    "phase1_encr",
    "phase1_prf",
]


class ExchangeType(HistoricEnum, prefix="EXCHANGE", private=240):
    """ISAKMP Exchange Types (RFC 2408 §3.1), and those of the IPsec DOI from 32 (RFC 2409 Appendix A)."""

    NONE = 0, "RFC 2408"
    BASE = 1, "RFC 2408"
    IDENTITY_PROTECTION = 2, "RFC 2408"
    AUTHENTICATION_ONLY = 3, "RFC 2408"
    AGGRESSIVE = 4, "RFC 2408"
    INFORMATIONAL = 5, "RFC 2408"
    TRANSACTION = 6, "draft-dukes-ike-mode-cfg"
    QUICK_MODE = 32, "RFC 2409"
    """In the GDOI (port 848) it is GROUPKEY-PULL (RFC 6407)."""
    NEW_GROUP_MODE = 33, "RFC 2409"
    """In the GDOI (port 848) it is GROUPKEY-PUSH (RFC 6407)."""
    ACKNOWLEDGED_INFORMATIONAL = 34, "draft-ietf-ipsec-ike-ext-meth"

    @property
    def title(self) -> str:
        """How people call it: "Main Mode", "Quick Mode", "Informational"."""
        return _EXCHANGE_TITLES.get(self, self.name.replace("_", " ").title())


_EXCHANGE_TITLES: MappingProxyType[int, str] = MappingProxyType(
    {
        ExchangeType.IDENTITY_PROTECTION: "Main Mode",
        ExchangeType.AGGRESSIVE: "Aggressive Mode",
        ExchangeType.TRANSACTION: "Transaction (Config Mode)",
    }
)


class PayloadType(HistoricEnum, prefix="PAYLOAD", private=128):
    """ISAKMP Payload Types (RFC 2408 §3.1), and private ones that are seen in practice."""

    NONE = 0, "RFC 2408"
    SA = 1, "RFC 2408"
    PROPOSAL = 2, "RFC 2408"
    TRANSFORM = 3, "RFC 2408"
    KE = 4, "RFC 2408"
    ID = 5, "RFC 2408"
    CERT = 6, "RFC 2408"
    CERTREQ = 7, "RFC 2408"
    HASH = 8, "RFC 2408"
    SIG = 9, "RFC 2408"
    NONCE = 10, "RFC 2408"
    NOTIFY = 11, "RFC 2408"
    DELETE = 12, "RFC 2408"
    VENDOR_ID = 13, "RFC 2408"
    ATTRIBUTES = 14, "draft-dukes-ike-mode-cfg"
    SAK = 15, "RFC 6407"
    """SA KEK; draft-ietf-ipsec-nat-t-ike-00 used it for NAT-D."""
    SAT = 16, "RFC 6407"
    """SA TEK; draft-ietf-ipsec-nat-t-ike-00 used it for NAT-OA."""
    KD = 17, "RFC 6407"
    SEQ = 18, "RFC 6407"
    POP = 19, "RFC 3547"
    NAT_D = 20, "RFC 3947"
    NAT_OA = 21, "RFC 3947"
    GAP = 22, "RFC 6407"
    NAT_D_DRAFT = 130, "draft-ietf-ipsec-nat-t-ike-01 to 03", "private"
    NAT_OA_DRAFT = 131, "draft-ietf-ipsec-nat-t-ike-01 to 03", "private"
    FRAGMENT = 132, "Cisco IKE fragmentation, Microsoft MS-IKEE", "private"

    @property
    def notation(self) -> str:
        """How RFCs write it in message diagrams: "SA", "ID", "N", "NAT-D"."""
        return _NOTATION.get(self, self.name)


_NOTATION: MappingProxyType[int, str] = MappingProxyType(
    {
        PayloadType.PROPOSAL: "P",
        PayloadType.TRANSFORM: "T",
        PayloadType.NONCE: "Nonce",
        PayloadType.NOTIFY: "N",
        PayloadType.DELETE: "D",
        PayloadType.VENDOR_ID: "VID",
        PayloadType.ATTRIBUTES: "ATTR",
        PayloadType.NAT_D: "NAT-D",
        PayloadType.NAT_OA: "NAT-OA",
        PayloadType.NAT_D_DRAFT: "NAT-D",
        PayloadType.NAT_OA_DRAFT: "NAT-OA",
        PayloadType.FRAGMENT: "FRAG",
    }
)


class Doi(HistoricEnum, prefix="DOI"):
    """Domains of Interpretation (RFC 2408 §3.4)."""

    ISAKMP = 0, "RFC 2408"
    IPSEC = 1, "RFC 2407"
    GDOI = 2, "RFC 6407"


class IsakmpTransformId(HistoricEnum, prefix="ISAKMP_TRANSFORM", private=249):
    """IPSEC ISAKMP Transform Identifiers (RFC 2407 §4.4.2)."""

    RESERVED = 0, "RFC 2407", "reserved"
    KEY_IKE = 1, "RFC 2407"


class Phase1Attribute(HistoricEnum, prefix="ATTRIBUTE", private=16384):
    """Attributes of a Phase 1 transform (RFC 2409 Appendix A)."""

    ENCRYPTION_ALGORITHM = 1, "RFC 2409"
    HASH_ALGORITHM = 2, "RFC 2409"
    AUTHENTICATION_METHOD = 3, "RFC 2409"
    GROUP_DESCRIPTION = 4, "RFC 2409"
    GROUP_TYPE = 5, "RFC 2409"
    GROUP_PRIME = 6, "RFC 2409"
    GROUP_GENERATOR_ONE = 7, "RFC 2409"
    GROUP_GENERATOR_TWO = 8, "RFC 2409"
    GROUP_CURVE_A = 9, "RFC 2409"
    GROUP_CURVE_B = 10, "RFC 2409"
    LIFE_TYPE = 11, "RFC 2409"
    LIFE_DURATION = 12, "RFC 2409"
    PRF = 13, "RFC 2409"
    KEY_LENGTH = 14, "RFC 2409"
    """In bits."""
    FIELD_SIZE = 15, "RFC 2409"
    GROUP_ORDER = 16, "RFC 2409"
    BLOCK_SIZE = 17, "RFC 2409"
    ASYMMETRIC_ALGORITHM_TYPE = 20, "GM/T 0022"


class Phase1Encryption(HistoricEnum, prefix="ENCR", private=65001):
    """Encryption Algorithms of Phase 1 (RFC 2409 Appendix A)."""

    RESERVED = 0, "RFC 2409", "reserved"
    ENCR_DES = 1, "RFC 2405"
    ENCR_IDEA = 2, "RFC 2409"
    ENCR_BLOWFISH = 3, "RFC 2409"
    ENCR_RC5_R16_B64 = 4, "RFC 2409"
    ENCR_3DES = 5, "RFC 2409"
    ENCR_CAST = 6, "RFC 2409"
    ENCR_AES_CBC = 7, "RFC 3602"
    ENCR_CAMELLIA_CBC = 8, "RFC 4312"
    ENCR_SM4_CBC_OLD = 127, "GM/T 0022", "deprecated"
    ENCR_SM1_CBC = 128, "GM/T 0022"
    ENCR_SM4_CBC = 129, "GM/T 0022"
    ENCR_SERPENT_CBC = 65004, "FreeS/WAN", "private"
    ENCR_TWOFISH_CBC = 65005, "FreeS/WAN", "private"


class Phase1Hash(HistoricEnum, prefix="HASH", private=65001):
    """Hash Algorithms of Phase 1, used as HMAC for the PRF (RFC 2409 Appendix A)."""

    RESERVED = 0, "RFC 2409", "reserved"
    MD5 = 1, "RFC 1321"
    SHA1 = 2, "FIPS 180-1"
    TIGER = 3, "RFC 2409"
    SHA2_256 = 4, "RFC 4868"
    SHA2_384 = 5, "RFC 4868"
    SHA2_512 = 6, "RFC 4868"
    SM3 = 20, "GM/T 0022"


class Phase1AuthMethod(HistoricEnum, prefix="AUTH_METHOD", private=65001):
    """Authentication Methods of Phase 1 (RFC 2409 Appendix A), hybrid and XAUTH ones with the role that they imply."""

    RESERVED = 0, "RFC 2409", "reserved"
    PRE_SHARED_KEY = 1, "RFC 2409"
    DSS_SIGNATURES = 2, "RFC 2409"
    RSA_SIGNATURES = 3, "RFC 2409"
    RSA_ENCRYPTION = 4, "RFC 2409"
    REVISED_RSA_ENCRYPTION = 5, "RFC 2409"
    ELGAMAL_ENCRYPTION = 6, "IANA", "reserved"
    REVISED_ELGAMAL_ENCRYPTION = 7, "IANA", "reserved"
    ECDSA_SIGNATURES = 8, "IANA", "reserved"
    ECDSA_SHA256_P256 = 9, "RFC 4754"
    ECDSA_SHA384_P384 = 10, "RFC 4754"
    ECDSA_SHA512_P521 = 11, "RFC 4754"
    HYBRID_INIT_RSA = 64221, "draft-ietf-ipsec-isakmp-hybrid-auth", "private"
    HYBRID_RESP_RSA = 64222, "draft-ietf-ipsec-isakmp-hybrid-auth", "private"
    HYBRID_INIT_DSS = 64223, "draft-ietf-ipsec-isakmp-hybrid-auth", "private"
    HYBRID_RESP_DSS = 64224, "draft-ietf-ipsec-isakmp-hybrid-auth", "private"
    XAUTH_INIT_PRE_SHARED = 65001, "draft-beaulieu-ike-xauth", "private"
    XAUTH_RESP_PRE_SHARED = 65002, "draft-beaulieu-ike-xauth", "private"
    XAUTH_INIT_DSS = 65003, "draft-beaulieu-ike-xauth", "private"
    XAUTH_RESP_DSS = 65004, "draft-beaulieu-ike-xauth", "private"
    XAUTH_INIT_RSA = 65005, "draft-beaulieu-ike-xauth", "private"
    XAUTH_RESP_RSA = 65006, "draft-beaulieu-ike-xauth", "private"
    XAUTH_INIT_RSA_ENCRYPTION = 65007, "draft-beaulieu-ike-xauth", "private"
    XAUTH_RESP_RSA_ENCRYPTION = 65008, "draft-beaulieu-ike-xauth", "private"
    XAUTH_INIT_REVISED_RSA_ENCRYPTION = 65009, "draft-beaulieu-ike-xauth", "private"
    XAUTH_RESP_REVISED_RSA_ENCRYPTION = 65010, "draft-beaulieu-ike-xauth", "private"


class GroupType(HistoricEnum, prefix="GROUP_TYPE", private=65001):
    """Group Types (RFC 2409 Appendix A)."""

    MODP = 1, "RFC 2409"
    ECP = 2, "RFC 2409"
    EC2N = 3, "RFC 2409"


class LifeType(HistoricEnum, prefix="LIFE_TYPE", private=61440):
    """Life Types of Phase 1 and Phase 2 (RFC 2409 Appendix A, RFC 2407 §4.5); private from 65001 in Phase 1."""

    RESERVED = 0, "RFC 2407", "reserved"
    SECONDS = 1, "RFC 2409"
    KILOBYTES = 2, "RFC 2409"


class IdType(HistoricEnum, prefix="ID", private=249):
    """IPSEC Identification Types (RFC 2407 §4.6.2)."""

    RESERVED = 0, "RFC 2407", "reserved"
    ID_IPV4_ADDR = 1, "RFC 2407"
    ID_FQDN = 2, "RFC 2407"
    ID_USER_FQDN = 3, "RFC 2407"
    ID_IPV4_ADDR_SUBNET = 4, "RFC 2407"
    ID_IPV6_ADDR = 5, "RFC 2407"
    ID_IPV6_ADDR_SUBNET = 6, "RFC 2407"
    ID_IPV4_ADDR_RANGE = 7, "RFC 2407"
    ID_IPV6_ADDR_RANGE = 8, "RFC 2407"
    ID_DER_ASN1_DN = 9, "RFC 2407"
    ID_DER_ASN1_GN = 10, "RFC 2407"
    ID_KEY_ID = 11, "RFC 2407"
    ID_LIST = 12, "RFC 3554"


class ConfigType(HistoricEnum, prefix="CFG", private=128):
    """Types of a mode config Attributes payload (draft-dukes-ike-mode-cfg)."""

    CFG_REQUEST = 1, "draft-dukes-ike-mode-cfg"
    CFG_REPLY = 2, "draft-dukes-ike-mode-cfg"
    CFG_SET = 3, "draft-dukes-ike-mode-cfg"
    CFG_ACK = 4, "draft-dukes-ike-mode-cfg"


class ConfigAttribute(HistoricEnum, prefix="CFG_ATTRIBUTE", private=16384):
    """Mode config and XAUTH attributes, and private ones in use."""

    RESERVED = 0, "draft-dukes-ike-mode-cfg", "reserved"
    INTERNAL_IP4_ADDRESS = 1, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP4_NETMASK = 2, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP4_DNS = 3, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP4_NBNS = 4, "draft-dukes-ike-mode-cfg"
    INTERNAL_ADDRESS_EXPIRY = 5, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP4_DHCP = 6, "draft-dukes-ike-mode-cfg"
    APPLICATION_VERSION = 7, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP6_ADDRESS = 8, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP6_NETMASK = 9, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP6_DNS = 10, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP6_NBNS = 11, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP6_DHCP = 12, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP4_SUBNET = 13, "draft-dukes-ike-mode-cfg"
    SUPPORTED_ATTRIBUTES = 14, "draft-dukes-ike-mode-cfg"
    INTERNAL_IP6_SUBNET = 15, "draft-dukes-ike-mode-cfg"
    CHKPT_DEF_DOMAIN = 16387, "Check Point", "private"
    CHKPT_MAC_ADDRESS = 16388, "Check Point", "private"
    CHKPT_MARCIPAN_REASON_CODE = 16389, "Check Point", "private"
    XAUTH_TYPE = 16520, "draft-beaulieu-ike-xauth", "private"
    XAUTH_USER_NAME = 16521, "draft-beaulieu-ike-xauth", "private"
    XAUTH_USER_PASSWORD = 16522, "draft-beaulieu-ike-xauth", "private"
    XAUTH_PASSCODE = 16523, "draft-beaulieu-ike-xauth", "private"
    XAUTH_MESSAGE = 16524, "draft-beaulieu-ike-xauth", "private"
    XAUTH_CHALLENGE = 16525, "draft-beaulieu-ike-xauth", "private"
    XAUTH_DOMAIN = 16526, "draft-beaulieu-ike-xauth", "private"
    XAUTH_STATUS = 16527, "draft-beaulieu-ike-xauth", "private"
    XAUTH_NEXT_PIN = 16528, "draft-beaulieu-ike-xauth", "private"
    XAUTH_ANSWER = 16529, "draft-beaulieu-ike-xauth", "private"
    UNITY_BANNER = 28672, "Cisco Unity", "private"
    UNITY_SAVE_PASSWD = 28673, "Cisco Unity", "private"
    UNITY_DEF_DOMAIN = 28674, "Cisco Unity", "private"
    UNITY_SPLITDNS_NAME = 28675, "Cisco Unity", "private"
    UNITY_SPLIT_INCLUDE = 28676, "Cisco Unity", "private"
    UNITY_NATT_PORT = 28677, "Cisco Unity", "private"
    UNITY_LOCAL_LAN = 28678, "Cisco Unity", "private"
    UNITY_PFS = 28679, "Cisco Unity", "private"
    UNITY_FW_TYPE = 28680, "Cisco Unity", "private"
    UNITY_BACKUP_SERVERS = 28681, "Cisco Unity", "private"
    UNITY_DDNS_HOSTNAME = 28682, "Cisco Unity", "private"


class XauthType(HistoricEnum, prefix="XAUTH_TYPE", private=32768):
    """Values of XAUTH_TYPE (draft-beaulieu-ike-xauth-02)."""

    GENERIC = 0, "draft-beaulieu-ike-xauth"
    RADIUS_CHAP = 1, "draft-beaulieu-ike-xauth"
    OTP = 2, "draft-beaulieu-ike-xauth"
    S_KEY = 3, "draft-beaulieu-ike-xauth"


class XauthStatus(HistoricEnum, prefix="XAUTH_STATUS"):
    """Values of XAUTH_STATUS (draft-beaulieu-ike-xauth-02)."""

    FAIL = 0, "draft-beaulieu-ike-xauth"
    OK = 1, "draft-beaulieu-ike-xauth"


_PHASE1_PRFS: MappingProxyType[int, Prf] = MappingProxyType(
    {
        Phase1Hash.MD5: Prf.PRF_HMAC_MD5,
        Phase1Hash.SHA1: Prf.PRF_HMAC_SHA1,
        Phase1Hash.TIGER: Prf.PRF_HMAC_TIGER,
        Phase1Hash.SHA2_256: Prf.PRF_HMAC_SHA2_256,
        Phase1Hash.SHA2_384: Prf.PRF_HMAC_SHA2_384,
        Phase1Hash.SHA2_512: Prf.PRF_HMAC_SHA2_512,
    }
)


def phase1_encr(number: int) -> Encr | None:
    """The IKEv2 number of a Phase 1 encryption algorithm; None where IKEv2 has no such algorithm."""
    name = "ENCR_RC5" if number == Phase1Encryption.ENCR_RC5_R16_B64 else Phase1Encryption(number).name
    return Encr.__members__.get(name) if number else None


def phase1_prf(number: int) -> Prf | None:
    """The IKEv2 number of the PRF that a Phase 1 hash stands for: its HMAC (RFC 2409 §4); None if IKEv2 has none."""
    return _PHASE1_PRFS.get(number)
