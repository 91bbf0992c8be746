"""IANA's "Internet Key Exchange Version 2 (IKEv2) Parameters" as open enums.

Only numbers with their names, references and statuses live here; the large registries are in `ikev2_transforms.py`
and `ikev2_notify.py` and can be had from here. Nothing is parsed.
"""

from __future__ import annotations

from types import MappingProxyType

from ipsecanalyze.registry.base import OpenEnum
from ipsecanalyze.registry.ikev2_notify import NotifyType
from ipsecanalyze.registry.ikev2_transforms import (
    TRANSFORM_IDS,
    Encr,
    Esn,
    GroupControllerAuth,
    Integ,
    KeyExchange,
    KeyWrap,
    Prf,
    TransformAttribute,
    TransformType,
    transform_id,
)

__all__ = [
    "TRANSFORM_IDS",
    "AuthMethod",
    "CertEncoding",
    "ConfigAttribute",
    "ConfigType",
    "Encr",
    "Esn",
    "ExchangeType",
    "GatewayIdentityType",
    "GroupControllerAuth",
    "GroupKeyBagAttribute",
    "GroupWidePolicyAttribute",
    "GsaAttribute",
    "HashAlgorithm",
    "IdType",
    "Integ",
    "IpcompTransform",
    "KeyExchange",
    "KeyWrap",
    "MemberKeyBagAttribute",
    "NotifyType",
    "PayloadType",
    "PpkIdType",
    "Prf",
    "ProtocolId",
    "RohcAttribute",
    "SecurePasswordMethod",
    "TrafficSelectorType",
    "TransformAttribute",
    "TransformType",
    "transform_id",
]


class ExchangeType(OpenEnum, prefix="EXCHANGE", private=240):
    """IKEv2 Exchange Types (RFC 7296 §3.1)."""

    IKE_SA_INIT = 34, "RFC 7296"
    IKE_AUTH = 35, "RFC 7296"
    CREATE_CHILD_SA = 36, "RFC 7296"
    INFORMATIONAL = 37, "RFC 7296"
    IKE_SESSION_RESUME = 38, "RFC 5723"
    GSA_AUTH = 39, "RFC 9838"
    GSA_REGISTRATION = 40, "RFC 9838"
    GSA_REKEY = 41, "RFC 9838"
    GSA_INBAND_REKEY = 42, "RFC 9838"
    IKE_INTERMEDIATE = 43, "RFC 9242"
    IKE_FOLLOWUP_KE = 44, "RFC 9370"


class PayloadType(OpenEnum, prefix="PAYLOAD", private=128):
    """IKEv2 Payload Types (RFC 7296 §3.2)."""

    NONE = 0, "RFC 7296"
    SA = 33, "RFC 7296"
    KE = 34, "RFC 7296"
    ID_I = 35, "RFC 7296"
    ID_R = 36, "RFC 7296"
    CERT = 37, "RFC 7296"
    CERTREQ = 38, "RFC 7296"
    AUTH = 39, "RFC 7296"
    NONCE = 40, "RFC 7296"
    NOTIFY = 41, "RFC 7296"
    DELETE = 42, "RFC 7296"
    VENDOR_ID = 43, "RFC 7296"
    TS_I = 44, "RFC 7296"
    TS_R = 45, "RFC 7296"
    SK = 46, "RFC 7296"
    CP = 47, "RFC 7296"
    EAP = 48, "RFC 7296"
    GSPM = 49, "RFC 6467"
    ID_G = 50, "RFC 9838"
    GSA = 51, "RFC 9838"
    KD = 52, "RFC 9838"
    SKF = 53, "RFC 7383"
    PS = 54, "RFC 8019"

    @property
    def notation(self) -> str:
        """How RFCs write it in message diagrams: "SA", "IDi", "N", "V", "SK"."""
        return _NOTATION.get(self, self.name)


_NOTATION: MappingProxyType[int, str] = MappingProxyType(
    {
        PayloadType.ID_I: "IDi",
        PayloadType.ID_R: "IDr",
        PayloadType.NONCE: "Nonce",
        PayloadType.NOTIFY: "N",
        PayloadType.DELETE: "D",
        PayloadType.VENDOR_ID: "V",
        PayloadType.TS_I: "TSi",
        PayloadType.TS_R: "TSr",
        PayloadType.ID_G: "IDg",
    }
)


class ProtocolId(OpenEnum, prefix="PROTOCOL", private=201):
    """IKEv2 Security Protocol Identifiers (RFC 7296 §3.3.1)."""

    NONE = 0, "RFC 7296", "reserved"
    IKE = 1, "RFC 7296"
    AH = 2, "RFC 7296"
    ESP = 3, "RFC 7296"
    FC_ESP_HEADER = 4, "RFC 4595"
    FC_CT_AUTHENTICATION = 5, "RFC 4595"
    GIKE_UPDATE = 6, "RFC 9838"


class IdType(OpenEnum, prefix="ID", private=201):
    """IKEv2 Identification Payload ID Types (RFC 7296 §3.5)."""

    ID_IPV4_ADDR = 1, "RFC 7296"
    ID_FQDN = 2, "RFC 7296"
    ID_RFC822_ADDR = 3, "RFC 7296"
    ID_IPV6_ADDR = 5, "RFC 7296"
    ID_DER_ASN1_DN = 9, "RFC 7296"
    ID_DER_ASN1_GN = 10, "RFC 7296"
    ID_KEY_ID = 11, "RFC 7296"
    ID_FC_NAME = 12, "RFC 4595"
    ID_NULL = 13, "RFC 7619"


class CertEncoding(OpenEnum, prefix="CERT", private=201):
    """IKEv2 Certificate Encodings (RFC 7296 §3.6); 1 to 10 are also IKEv1's (RFC 2408 §3.9)."""

    NONE = 0, "RFC 7296", "reserved"
    PKCS7_WRAPPED_X509 = 1, "RFC 7296"
    PGP = 2, "RFC 7296"
    DNS_SIGNED_KEY = 3, "RFC 7296"
    X509_SIGNATURE = 4, "RFC 7296"
    X509_KEY_EXCHANGE = 5, "RFC 2408", "reserved"
    KERBEROS_TOKEN = 6, "RFC 7296"
    CRL = 7, "RFC 7296"
    ARL = 8, "RFC 7296"
    SPKI = 9, "RFC 7296"
    X509_ATTRIBUTE = 10, "RFC 7296"
    RAW_RSA_KEY = 11, "RFC 7296, RFC 7670", "deprecated"
    HASH_AND_URL_X509 = 12, "RFC 7296"
    HASH_AND_URL_BUNDLE = 13, "RFC 7296"
    OCSP_CONTENT = 14, "RFC 4806"
    RAW_PUBLIC_KEY = 15, "RFC 7670"


class AuthMethod(OpenEnum, prefix="AUTH_METHOD", private=201):
    """IKEv2 Authentication Methods (RFC 7296 §3.8)."""

    RSA_DIGITAL_SIGNATURE = 1, "RFC 7296"
    SHARED_KEY_MIC = 2, "RFC 7296"
    """Shared Key Message Integrity Code: a pre-shared key, or the key that EAP made."""
    DSS_DIGITAL_SIGNATURE = 3, "RFC 7296"
    ECDSA_SHA256_P256 = 9, "RFC 4754"
    ECDSA_SHA384_P384 = 10, "RFC 4754"
    ECDSA_SHA512_P521 = 11, "RFC 4754"
    GENERIC_SECURE_PASSWORD = 12, "RFC 6467"
    NULL_AUTHENTICATION = 13, "RFC 7619"
    DIGITAL_SIGNATURE = 14, "RFC 7427"


class IpcompTransform(OpenEnum, prefix="IPCOMP", private=241):
    """IKEv2 Notification IPCOMP Transform IDs (RFC 7296 §3.10.1), the CPIs of RFC 3173."""

    IPCOMP_OUI = 1, "RFC 7296"
    IPCOMP_DEFLATE = 2, "RFC 2394"
    IPCOMP_LZS = 3, "RFC 2395"
    IPCOMP_LZJH = 4, "RFC 3051"


class TrafficSelectorType(OpenEnum, prefix="TS", private=241):
    """IKEv2 Traffic Selector Types (RFC 7296 §3.13.1)."""

    TS_IPV4_ADDR_RANGE = 7, "RFC 7296"
    TS_IPV6_ADDR_RANGE = 8, "RFC 7296"
    TS_FC_ADDR_RANGE = 9, "RFC 4595"
    TS_SECLABEL = 10, "RFC 9478"


class ConfigType(OpenEnum, prefix="CFG", private=128):
    """IKEv2 Configuration Payload CFG Types (RFC 7296 §3.15)."""

    CFG_REQUEST = 1, "RFC 7296"
    CFG_REPLY = 2, "RFC 7296"
    CFG_SET = 3, "RFC 7296"
    CFG_ACK = 4, "RFC 7296"


class ConfigAttribute(OpenEnum, prefix="CFG_ATTRIBUTE", private=16384):
    """IKEv2 Configuration Payload Attribute Types (RFC 7296 §3.15.1), and private ones in use."""

    INTERNAL_IP4_ADDRESS = 1, "RFC 7296"
    INTERNAL_IP4_NETMASK = 2, "RFC 7296"
    INTERNAL_IP4_DNS = 3, "RFC 7296"
    INTERNAL_IP4_NBNS = 4, "RFC 7296"
    INTERNAL_ADDRESS_EXPIRY = 5, "RFC 4306", "reserved"
    INTERNAL_IP4_DHCP = 6, "RFC 7296"
    APPLICATION_VERSION = 7, "RFC 7296"
    INTERNAL_IP6_ADDRESS = 8, "RFC 7296"
    INTERNAL_IP6_DNS = 10, "RFC 7296"
    INTERNAL_IP6_NBNS = 11, "RFC 4306", "reserved"
    INTERNAL_IP6_DHCP = 12, "RFC 7296"
    INTERNAL_IP4_SUBNET = 13, "RFC 7296"
    SUPPORTED_ATTRIBUTES = 14, "RFC 7296"
    INTERNAL_IP6_SUBNET = 15, "RFC 7296"
    MIP6_HOME_PREFIX = 16, "RFC 5026"
    INTERNAL_IP6_LINK = 17, "RFC 5739"
    INTERNAL_IP6_PREFIX = 18, "RFC 5739"
    HOME_AGENT_ADDRESS = 19, "3GPP TS 24.302"
    P_CSCF_IP4_ADDRESS = 20, "RFC 7651"
    P_CSCF_IP6_ADDRESS = 21, "RFC 7651"
    FTT_KAT = 22, "3GPP"
    EXTERNAL_SOURCE_IP4_NAT_INFO = 23, "3GPP"
    TIMEOUT_PERIOD_FOR_LIVENESS_CHECK = 24, "3GPP TS 24.302"
    INTERNAL_DNS_DOMAIN = 25, "RFC 8598"
    INTERNAL_DNSSEC_TA = 26, "RFC 8598"
    ENCDNS_IP4 = 27, "RFC 9464"
    ENCDNS_IP6 = 28, "RFC 9464"
    ENCDNS_DIGEST_INFO = 29, "RFC 9464"
    INTERNAL_IP4_SERVER = 23456, "Microsoft MS-IKEE", "private"
    INTERNAL_IP6_SERVER = 23457, "Microsoft MS-IKEE", "private"
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


class GatewayIdentityType(OpenEnum, prefix="GATEWAY_IDENTITY", private=241):
    """IKEv2 Gateway Identity Types of REDIRECT and REDIRECTED_FROM (RFC 5685)."""

    IPV4 = 1, "RFC 5685"
    IPV6 = 2, "RFC 5685"
    FQDN = 3, "RFC 5685"


class RohcAttribute(OpenEnum, prefix="ROHC", private=16384):
    """ROHC Attribute Types (RFC 5857)."""

    MAX_CID = 1, "RFC 5857"
    ROHC_PROFILE = 2, "RFC 5857"
    ROHC_INTEG = 3, "RFC 5857"
    ROHC_ICV_LEN = 4, "RFC 5857"
    MRRU = 5, "RFC 5857"


class SecurePasswordMethod(OpenEnum, prefix="SECURE_PASSWORD", private=1024):
    """IKEv2 Secure Password Methods (RFC 6467)."""

    PACE = 1, "RFC 6631"
    AUGPAKE = 2, "RFC 6628"
    SECURE_PSK = 3, "RFC 6617"


class HashAlgorithm(OpenEnum, prefix="HASH", private=1024):
    """IKEv2 Hash Algorithms of SIGNATURE_HASH_ALGORITHMS (RFC 7427 §7)."""

    SHA1 = 1, "RFC 7427"
    SHA2_256 = 2, "RFC 7427"
    SHA2_384 = 3, "RFC 7427"
    SHA2_512 = 4, "RFC 7427"
    IDENTITY = 5, "RFC 8420"
    STREEBOG_256 = 6, "RFC 9385"
    STREEBOG_512 = 7, "RFC 9385"


class PpkIdType(OpenEnum, prefix="PPK_ID", private=128):
    """IKEv2 Post-quantum Preshared Key ID Types (RFC 8784 §5.1)."""

    PPK_ID_OPAQUE = 1, "RFC 8784"
    PPK_ID_FIXED = 2, "RFC 8784"


class GsaAttribute(OpenEnum, prefix="GSA_ATTRIBUTE", private=16384):
    """GSA Attributes of G-IKEv2 (RFC 9838)."""

    GSA_KEY_LIFETIME = 1, "RFC 9838"
    GSA_INITIAL_MESSAGE_ID = 2, "RFC 9838"
    GSA_NEXT_SPI = 3, "RFC 9838"


class GroupWidePolicyAttribute(OpenEnum, prefix="GWP", private=16384):
    """Group-wide Policy Attributes of G-IKEv2 (RFC 9838)."""

    GWP_ATD = 1, "RFC 9838"
    GWP_DTD = 2, "RFC 9838"
    GWP_SENDER_ID_BITS = 3, "RFC 9838"


class GroupKeyBagAttribute(OpenEnum, prefix="GROUP_KEY_BAG", private=16384):
    """Group Key Bag Attributes of G-IKEv2 (RFC 9838)."""

    SA_KEY = 1, "RFC 9838"


class MemberKeyBagAttribute(OpenEnum, prefix="MEMBER_KEY_BAG", private=16384):
    """Member Key Bag Attributes of G-IKEv2 (RFC 9838)."""

    WRAP_KEY = 1, "RFC 9838"
    AUTH_KEY = 2, "RFC 9838"
    GM_SENDER_ID = 3, "RFC 9838"
