"""The registries agree with Wireshark's tables, where both know a number (`tshark -G values`)."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from ipsecanalyze.registry import eap, ikev1, ikev2

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

#: Not a name: what Wireshark writes for ranges without assignments.
NO_NAME = re.compile(
    r"(?i)^(reserved|unassigned|undefined|future use|private use|doi-specific|<unknown>|none|allocated|\*)"
)


def words(text: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")


def group(text: str) -> str:
    """ "2048-bit MODP Group with 256-bit Prime Order Subgroup" → "MODP_2048_256"."""
    text = text.replace("-bit", " bit")
    if brainpool := re.match(r"(\d+) bit Brainpool", text):
        return f"BRAINPOOL_P{brainpool[1]}R1"
    if modp := re.search(r"(\d+) bit MODP(?: Group with (\d+))?", text, re.IGNORECASE):
        return "_".join(["MODP", modp[1], *([modp[2]] if modp[2] else [])])
    if ecp := re.match(r"(\d+) bit random ECP", text, re.IGNORECASE):
        return f"ECP_{ecp[1]}"
    if ec2n := re.search(r"(?:GP|GF)\[2\^(\d+)\]", text):
        return f"EC2N_{ec2n[1]}"
    return words(text)


def eap_type(text: str) -> str:
    method = re.search(r"\((EAP-[^)]*|[A-Z]+-EAP)\)", text)
    return words(method[1]) if method else words(text)


def prefixed(prefix: str):
    return lambda text: f"{prefix}{words(text).removeprefix(prefix)}"


# (field, which of its tables, enum, Wireshark's name → ours)
TABLES = [
    ("isakmp.exchangetype", 0, (ikev1.ExchangeType, ikev2.ExchangeType), words),
    ("isakmp.notify.msgtype", 0, (ikev1.NotifyType,), words),
    ("isakmp.notify.msgtype", 1, (ikev2.NotifyType,), words),
    ("isakmp.id.type", 0, (ikev1.IdType,), prefixed("ID_")),
    ("isakmp.id.type", 1, (ikev2.IdType,), prefixed("ID_")),
    ("isakmp.cfg.type", 0, (ikev1.ConfigType,), lambda text: words(text).removeprefix("ISAKMP_")),
    ("isakmp.cfg.type", 1, (ikev2.ConfigType,), words),
    ("isakmp.cfg.attr.type", 0, (ikev1.ConfigAttribute,), words),
    ("isakmp.cfg.attr.type", 1, (ikev2.ConfigAttribute,), words),
    ("isakmp.cfg.attr.xauth.type", 0, (ikev1.XauthType,), words),
    ("isakmp.prop.protoid", 0, (ikev1.ProtocolId,), lambda text: words(text).removeprefix("IPSEC_")),
    ("isakmp.prop.protoid", 1, (ikev2.ProtocolId,), words),
    ("isakmp.sa.doi", 0, (ikev1.Doi,), words),
    ("isakmp.tf.id.encr", 0, (ikev2.Encr,), prefixed("ENCR_")),
    ("isakmp.tf.id.prf", 0, (ikev2.Prf,), words),
    ("isakmp.tf.id.integ", 0, (ikev2.Integ,), words),
    ("isakmp.tf.id.dh", 0, (ikev2.KeyExchange,), group),
    ("isakmp.ts.type", 0, (ikev2.TrafficSelectorType,), words),
    ("isakmp.ipsec.attr.type", 0, (ikev1.IpsecAttribute,), words),
    ("isakmp.ipsec.attr.life_type", 0, (ikev1.LifeType,), words),
    ("isakmp.ipsec.attr.encap_mode", 0, (ikev1.EncapsulationMode,), words),
    ("isakmp.ipsec.attr.auth_algorithm", 0, (ikev1.IpsecAuthAlgorithm,), words),
    ("isakmp.ike.attr.type", 0, (ikev1.Phase1Attribute,), words),
    ("isakmp.ike.attr.encryption_algorithm", 0, (ikev1.Phase1Encryption,), prefixed("ENCR_")),
    ("isakmp.ike.attr.hash_algorithm", 0, (ikev1.Phase1Hash,), words),
    ("isakmp.ike.attr.authentication_method", 0, (ikev1.Phase1AuthMethod,), words),
    ("isakmp.ike.attr.group_type", 0, (ikev1.GroupType,), words),
    ("isakmp.ike.attr.group_description", 0, (ikev1.KeyExchange,), group),
    ("isakmp.notify.data.ipcomp.transform_id", 0, (ikev2.IpcompTransform,), prefixed("IPCOMP_")),
    ("isakmp.notify.data.signature_hash_algorithms", 0, (ikev2.HashAlgorithm,), words),
    ("eap.code", 0, (eap.EapCode,), words),
    ("eap.type", 0, (eap.EapType,), eap_type),
]

#: Names that differ though the thing is the same, and Wireshark 4.0's slips.
SAME = {
    ("ExchangeType", 2): "IDENTITY_PROTECTION_MAIN_MODE",
    ("ExchangeType", 6): "TRANSACTION_CONFIG_MODE",
    ("NotifyType", 46): "CHILD_SA_NOT_FOUND",  # Wireshark repeats 44's name
    ("NotifyType", 16429): "SENDER_REQUEST_ID",  # renamed by RFC 9838
    ("NotifyType", 42): "USE_ASSIGNED_HOA",
    ("IdType", 12): "ID_KEY_LIST",  # ID_LIST (RFC 3554), ID_FC_NAME (RFC 4595)
    ("ConfigAttribute", 16525): "XAUTH_CHALLANGE",
    ("ConfigAttribute", 28675): "UNITY_SPLIT_DOMAIN",
    ("ConfigAttribute", 28678): "UNITY_SPLIT_EXCLUDE",
    ("Encr", 18): "ENCR_AES_GCM_WITH_A_8_OCTET_ICV",
    ("Encr", 19): "ENCR_AES_GCM_WITH_A_12_OCTET_ICV",
    ("Encr", 20): "ENCR_AES_GCM_WITH_A_16_OCTET_ICV",
    ("Encr", 25): "ENCR_CAMELLIA_CCM_WITH_AN_8_OCTET_ICV",
    ("Encr", 26): "ENCR_CAMELLIA_CCM_WITH_A_12_OCTET_ICV",
    ("Encr", 27): "ENCR_CAMELLIA_CCM_WITH_A_16_OCTET_ICV",
    ("Prf", 4): "PRF_AES128_CBC",
    ("Prf", 8): "PRF_AES128_CMAC6",
    ("IpsecAttribute", 11): "EXTENDED_64_BIT_SEQUENCE_NUMBER",
    ("EncapsulationMode", 61440): "CHECK_POINT_IPSEC_UDP_ENCAPSULATION",
    ("IpsecAuthAlgorithm", 2): "HMAC_SHA",
    ("Phase1Attribute", 20): "ASYMMETRIC_CRYPTOGRAPHIC_ALGORITHM_TYPE",
    ("Phase1Encryption", 1): "ENCR_DES_CBC",
    ("Phase1Encryption", 2): "ENCR_IDEA_CBC",
    ("Phase1Encryption", 3): "ENCR_BLOWFISH_CBC",
    ("Phase1Encryption", 4): "ENCR_RC5_R16_B64_CBC",
    ("Phase1Encryption", 5): "ENCR_3DES_CBC",
    ("Phase1Encryption", 6): "ENCR_CAST_CBC",
    ("Phase1Encryption", 127): "ENCR_SM4_CBC_DEPRECATED",
    ("Phase1Hash", 2): "SHA",
    ("Phase1AuthMethod", 4): "ENCRYPTION_WITH_RSA",
    ("Phase1AuthMethod", 5): "REVISED_ENCRYPTION_WITH_RSA",
    ("Phase1AuthMethod", 9): "ECDSA_WITH_SHA_256_ON_THE_P_256_CURVE",
    ("Phase1AuthMethod", 10): "ECDSA_WITH_SHA_384_ON_THE_P_384_CURVE",
    ("Phase1AuthMethod", 11): "ECDSA_WITH_SHA_512_ON_THE_P_521_CURVE",
    ("Phase1AuthMethod", 65009): "XAUTHINITRSAREVISEDENCRYPTION",
    ("Phase1AuthMethod", 65010): "XAUTHRESPRSAREVISEDENCRYPTION",
    ("KeyExchange", 7): "EC2N_163",
    ("KeyExchange", 9): "EC2N_283",
    ("KeyExchange", 11): "EC2N_409",
    ("KeyExchange", 13): "EC2N_571",
    ("EapType", 3): "LEGACY_NAK_RESPONSE_ONLY",
    ("EapType", 4): "EAP_MD5_CHALLENGE",
    ("EapType", 19): "EAP_SRP_SHA1_PART1",
    ("EapType", 29): "EAP_MS_CHAP_V2",
    ("EapType", 50): "EAP_AKA",
    ("EapType", 53): "EAP_EKEV1",
    ("EapType", 55): "TUNNELED_EAP_PROTOCOL",
    ("EapType", 254): "EXPANDED_TYPE",
    ("EapType", 255): "EXPERIMENTAL",
}
#: Numbers that Wireshark names and we leave unnamed: nobody says what they mean, or they are halves of one method.
LEFT_OUT = {("ConfigAttribute", n) for n in (16400, 16401, 16402)} | {("EapType", 20)}


@pytest.fixture(scope="module")
def tables() -> dict[str, list[dict[int, str]]]:
    """Field → its tables, number → name."""
    assert TSHARK is not None
    text = subprocess.run([TSHARK, "-G", "values"], capture_output=True, text=True, check=True, timeout=60).stdout
    found: dict[str, list[dict[int, str]]] = {}
    highest: dict[str, int] = {}
    for line in text.splitlines():
        kind, _, entry = line.partition("\t")
        if kind not in ("V", "R") or not entry.startswith(("isakmp.", "eap.")):
            continue
        field, *rest = entry.split("\t")
        first, last, name = (rest[0], rest[0], rest[1]) if kind == "V" else rest
        if field not in found or int(first, 0) < highest[field]:
            found.setdefault(field, []).append({})  # a second table of the same field begins
        highest[field] = int(first, 0)
        if first == last and not NO_NAME.match(name):
            found[field][-1][int(first, 0)] = name
    return found


@pytest.mark.parametrize(("field", "index", "classes", "translate"), TABLES, ids=[f"{t[0]}-{t[1]}" for t in TABLES])
def test_names_agree(tables, field, index, classes, translate):
    theirs = tables[field][index]
    assert theirs
    for number, name in theirs.items():
        key = (classes[0].__name__, number)
        ours = {cls(number).name for cls in classes if number in cls.__members__.values()}
        if not ours:
            assert key in LEFT_OUT, f"{key} is {name}"
            continue
        accepted = {name.replace("_", "") for name in ours | {SAME.get(key, "")}}
        assert translate(name).replace("_", "") in accepted, f"{key} is {name}"
