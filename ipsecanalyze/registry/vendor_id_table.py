"""The vendor IDs that are known: data for `vendor_ids.py`, without code that looks at packets.

Most vendor IDs are the MD5 hash of a text (RFC 2408 §3.16 suggests it). Those stand here as the text, so that every row
can be checked by hashing it; octets are written out only where no text is known. `source` tells who documents a row:
an RFC or draft, the vendor, or the implementations that recognise it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["HASHED", "PLUTO_HASHED", "PREFIXES", "RAW", "TEXTS", "Known", "Prefix"]

IMPLEMENTATION = "implementation"
CAPABILITY = "capability"


class Known(NamedTuple):
    """A vendor ID that is matched as a whole; `key` is the text that is hashed or sent, or the octets in hex."""

    key: str
    name: str
    version: str | None
    kind: str
    source: str


class Prefix(NamedTuple):
    """A vendor ID with something behind it; `rest` names the decoder in `vendor_ids.py` that reads that."""

    key: str
    name: str
    rest: str
    kind: str
    source: str


def _versions(product: str, versions: str, source: str) -> list[Known]:
    """Rows for a product that hashes its name and version."""
    return [Known(f"{product} {v}", product, v, IMPLEMENTATION, source) for v in versions.split()]


def _nat_traversal(text: str, source: str | None = None) -> Known:
    return Known(text, f"NAT-T ({text})", None, CAPABILITY, source or text)


_STRONGSWAN_VERSIONS = (
    "2.2.0 2.2.1 2.2.2 2.3.0 2.3.1 2.3.2 2.4.0 2.4.1 2.4.2 2.4.3 2.4.4 2.5.0 2.5.1 2.5.2 2.5.3 2.5.4 2.5.5 2.5.6 2.5.7 "
    "2.6.0 2.6.1 2.6.2 2.6.3 2.6.4 2.7.0 2.7.1 2.7.2 2.7.3 2.8.0 2.8.1 2.8.2 2.8.3 2.8.4 2.8.5 2.8.6 2.8.7 2.8.8 "
    "4.0.0 4.0.1 4.0.2 4.0.3 4.0.4 4.0.5 4.0.6 4.0.7 4.1.0 4.1.1 4.1.2 4.1.3 4.1.4 4.1.5 4.1.6 4.1.7 4.1.8 4.1.9 "
    "4.1.10 4.1.11 4.2.0 4.2.1 4.2.2 4.2.3 4.2.4 4.2.5 4.2.6 4.2.7 4.2.8 4.2.9 4.2.10 4.2.11"
)
_SSH = "SSH Communications Security's list of its vendor IDs"
_IPSEC_EXPRESS = "SSH Communications Security IPSEC Express version"
_EXPRESS_VERSIONS = "2.0.0 2.1.0 2.1.1 2.1.2 3.0.0 3.0.1 4.0.0 4.0.1 4.1.0 4.1.1 4.2.0 5.0 5.0.0 5.1.0 5.1.1"
_CRACK = "IKE Challenge/Response for Authenticated Cryptographic Keys"
_CRACK_DRAFT = "draft-harkins-ipsra-crack"
_MS_IKEE = "Microsoft MS-IKEE"
_GSS_DRAFT = "draft-ietf-ipsec-isakmp-gss-auth"
_PLUTO = "recognised by strongSwan and libreswan (pluto)"

HASHED: tuple[Known, ...] = (
    # NAT traversal
    Known("RFC 3947", "NAT-T (RFC 3947)", None, CAPABILITY, "RFC 3947 §3.1"),
    *(_nat_traversal(f"draft-ietf-ipsec-nat-t-ike-{revision:02}") for revision in range(10)),
    Known(
        "draft-ietf-ipsec-nat-t-ike-02\n",
        "NAT-T (draft-ietf-ipsec-nat-t-ike-02\\n)",
        None,
        CAPABILITY,
        "draft-ietf-ipsec-nat-t-ike-02 (its own example hashes the line feed too)",
    ),
    _nat_traversal("draft-ietf-ipsec-nat-t-ike", "Apple racoon"),
    Known(
        "RFC XXXX", "NAT-T (RFC XXXX)", None, CAPABILITY, "draft-ietf-ipsec-nat-t-ike-09 before its number was known"
    ),
    _nat_traversal("draft-stenberg-ipsec-nat-traversal-01"),
    _nat_traversal("draft-stenberg-ipsec-nat-traversal-02"),
    _nat_traversal("draft-huttunen-ipsec-esp-in-udp-00.txt"),
    Known(
        "ESPThruNAT",
        "NAT-T (draft-huttunen-ipsec-esp-in-udp-01)",
        None,
        CAPABILITY,
        "draft-huttunen-ipsec-esp-in-udp-01",
    ),
    # Other capabilities
    Known("draft-ietf-ipsra-isakmp-xauth-06.txt", "XAUTH", None, CAPABILITY, "draft-beaulieu-ike-xauth-02"),
    Known("Vid-Initial-Contact", "Vid-Initial-Contact", None, CAPABILITY, _MS_IKEE),
    Known("GSSAPI", "GSSAPI", None, CAPABILITY, _GSS_DRAFT),
    Known("A GSS-API Authentication Method for IKE", "GSS-API authentication", None, CAPABILITY, _GSS_DRAFT),
    Known("A GSS-API Authentication Method for IKE\n", "GSS-API authentication", None, CAPABILITY, _GSS_DRAFT),
    Known(_CRACK, "CRACK", None, CAPABILITY, _CRACK_DRAFT),
    Known(f"{_CRACK}\n", "CRACK", None, CAPABILITY, _CRACK_DRAFT),
    Known(f"{_CRACK} (Revised)", "CRACK (revised)", None, CAPABILITY, _CRACK_DRAFT),
    Known(f"{_CRACK} (Revised)\n", "CRACK (revised)", None, CAPABILITY, _CRACK_DRAFT),
    Known("CISCO-UNITY", "Cisco Unity", None, CAPABILITY, "Cisco"),
    Known("MS-Negotiation Discovery Capable", "MS-Negotiation Discovery Capable", None, CAPABILITY, _MS_IKEE),
    Known("IKE CGA version 1", "IKE CGA version 1", None, CAPABILITY, _MS_IKEE),
    Known("MS-MamieExists", "MS-MamieExists (AuthIP)", None, CAPABILITY, _MS_IKEE),
    Known("NLBS_PRESENT", "NLBS_PRESENT (fast failover)", None, CAPABILITY, _MS_IKEE),
    Known("Fortinet Auto-Discovery Sender", "Fortinet Auto-Discovery Sender", None, CAPABILITY, "Fortinet ADVPN"),
    Known("Fortinet Auto-Discovery Receiver", "Fortinet Auto-Discovery Receiver", None, CAPABILITY, "Fortinet ADVPN"),
    Known("Fortinet Endpoint Control", "Fortinet Endpoint Control", None, CAPABILITY, "Fortinet"),
    Known("forticlient connect license", "FortiClient connect license", None, CAPABILITY, "Fortinet"),
    # Implementations
    Known("strongSwan", "strongSwan", None, IMPLEMENTATION, "strongSwan (send_vendor_id)"),
    *_versions("strongSwan", _STRONGSWAN_VERSIONS, "strongSwan (pluto)"),
    Known("KAME/racoon", "KAME/racoon", None, IMPLEMENTATION, "KAME"),
    Known("IPSec-Tools", "IPsec-Tools racoon", None, IMPLEMENTATION, "IPsec-Tools"),
    Known("Microsoft Xbox One 2013", "Microsoft Xbox One", None, IMPLEMENTATION, _MS_IKEE),
    Known("SSH Sentinel", "SSH Sentinel", None, IMPLEMENTATION, _SSH),
    *_versions("SSH Sentinel", "1.1 1.2 1.3 1.4 1.4.1", _SSH),
    *(
        Known(f"{product} {v}", "SSH IPSEC Express", v, IMPLEMENTATION, _SSH)
        for product, versions in (
            (_IPSEC_EXPRESS.replace("SSH", "Ssh", 1), "1.1.0 1.1.1 1.1.2 1.2.1 1.2.2"),
            (_IPSEC_EXPRESS, _EXPRESS_VERSIONS),
        )
        for v in versions.split()
    ),
    *(
        Known(f"SSH Communications Security QuickSec {v}", "SSH QuickSec", v, IMPLEMENTATION, _SSH)
        for v in ("0.9.0", "1.1.0", "1.1.1", "1.1.2", "1.1.3")
    ),
)
"""Vendor IDs that are the MD5 hash of `key`."""

PLUTO_HASHED: tuple[Known, ...] = (
    Known("Linux FreeS/WAN 2.00 PLUTO_SENDS_VENDORID", "FreeS/WAN", "2.00", IMPLEMENTATION, "FreeS/WAN"),
    Known(
        "Linux FreeS/WAN 2.00 X.509-1.3.1 PLUTO_SENDS_VENDORID",
        "FreeS/WAN",
        "2.00 (X.509-1.3.1)",
        IMPLEMENTATION,
        "FreeS/WAN",
    ),
    Known(
        "Linux FreeS/WAN 2.00 X.509-1.3.1 LDAP PLUTO_SENDS_VENDORID",
        "FreeS/WAN",
        "2.00 (X.509-1.3.1, LDAP)",
        IMPLEMENTATION,
        "FreeS/WAN",
    ),
    Known("Openswan 2.2.0", "Openswan", "2.2.0", IMPLEMENTATION, "Openswan"),
)
"""Vendor IDs that are "OE" and ten octets of the MD5 hash of `key`, made printable as pluto does it."""

TEXTS: tuple[Known, ...] = (
    Known("OpenPGP10171", "OpenPGP", None, CAPABILITY, "PGPnet"),
    Known("IKEv2", "IKEv2 supported", None, CAPABILITY, "Openswan"),
    Known("Opportunistic IPsec", "Opportunistic IPsec", None, CAPABILITY, "libreswan"),
    Known("FLEXVPN-SUPPORTED", "Cisco FlexVPN supported", None, CAPABILITY, "Cisco"),
    Known("CISCO-DELETE-REASON", "Cisco Delete Reason", None, CAPABILITY, "Cisco"),
    Known("CISCO-DYNAMIC-ROUTE", "Cisco Dynamic Route", None, CAPABILITY, "Cisco"),
    Known("CISCOVPN-REV-02", "Cisco VPN revision", "02", CAPABILITY, "Cisco"),
)
"""Vendor IDs that are sent as the text `key`."""

RAW: tuple[Known, ...] = (
    Known("09002689dfd6b712", "XAUTH", None, CAPABILITY, "draft-beaulieu-ike-xauth-02 (the first half of the hash)"),
    Known("3b9031dce4fcf88b489a923963dd0c49", "DPD (NG)", None, CAPABILITY, "Shrew Soft"),
    Known("f14b94b7bff1fef02773b8c49feded26", "Shrew Soft VPN Client", None, IMPLEMENTATION, "Shrew Soft"),
    Known("660822b3a73a244149578d62e0eb46a0", "Microsoft Xbox IKEv2", None, CAPABILITY, _MS_IKEE),
    Known("101fb0b35c5a4f4c08b919f1cb9777b0", "NCP client", None, IMPLEMENTATION, _PLUTO),
    Known("404bf439522ca3f6", "SonicWall", None, IMPLEMENTATION, _PLUTO),
    Known("da8e937880010000", "SafeNet-based (SonicWall, WatchGuard, 3Com)", None, IMPLEMENTATION, _PLUTO),
    Known("8404adf9cda05760b2ca292e4bff537b", "Secure Computing Sidewinder", None, IMPLEMENTATION, _PLUTO),
    Known("b858d1addd08c1e8adafea150608aa4497aa6cc8", "ZyXEL ZyWALL router", None, IMPLEMENTATION, "strongSwan"),
    Known("f758f22668750f03b08df6ebe1d0", "ZyXEL ZyWALL USG 100", None, IMPLEMENTATION, "strongSwan"),
    Known("625027749d5ab97f5616c1602765cf480a3b7d0b", "ZyXEL ZyWALL", None, IMPLEMENTATION, _PLUTO),
    Known("800100018002000180030002", "Cisco Unity firewall type", None, CAPABILITY, "libreswan"),
)
"""Vendor IDs that are the octets `key` (hex)."""

_NETSCREEN = (
    "299ee8289f40a8973bc78687e2e7226b532c3b76 3a15e1f3cf2a63582e3ac82d1c64cbe3b6d779e7 "
    "47d2b126bfcd83489760e2cf8c5d4d5a03497c15 4a4340b543e02b84c88a8b96a8af9ebe77d9accc "
    "64405f46f03b7660a23be116a1975058e69e8387 699369228741c6d4ca094c93e242c9de19e7b7c6 "
    "8c0dc6cf62a0ef1b5c6eabd1b67ba69866adf16a 92d27a9ecb31d99246986d3453d0c3d57a222a61 "
    "9b096d9ac3275a7d6fe8b91c583111b09efed1a0 bf03746108d746c904f1f3547de24f78479fed12 "
    "c2e80500f4cc5fbf5daaeed3bb59abaeee56c652 c8660a62b03b1b6130bf781608d32a6a8d0fb89f "
    "f885da40b1e7a9abd17655ec5bbec0f21f0ed52e 2a2bcac19b8e91b426107807e02e7249569d6fd3 "
    "166f932d55eb64d8e4df4fd37e2313f0d0fd8451 a35bfd05ca1ac0b3d2f24e9e82bfcbff9c9e52b5"
)

PREFIXES: tuple[Prefix, ...] = (
    Prefix("afcad71368a1f1c96b8696fc7757", "DPD", "dotted", CAPABILITY, "RFC 3706 §5.1"),
    Prefix(
        "12f5f28c457168a9702d9fe274cc",
        "Cisco Unity",
        "dotted",
        CAPABILITY,
        "Cisco (MD5 of CISCO-UNITY, then a version)",
    ),
    Prefix("4048b7d56ebce88525e7de7f00d6c2d3", "IKE fragmentation", "flags", CAPABILITY, "Cisco, Microsoft MS-IKEE"),
    Prefix(
        "1f07f70eaa6514d3b0fa96542a50", "Cisco VPN 3000", "nibbles", IMPLEMENTATION, "Cisco (MD5 of ALTIGA GATEWAY)"
    ),
    Prefix(b"CISCO(COPYRIGHT)&Copyright (c) ".hex(), "Cisco copyright", "text", IMPLEMENTATION, "Cisco"),
    Prefix(b"CISCO-GRE-MODE".hex(), "Cisco GRE mode", "ignored", CAPABILITY, "Cisco"),
    Prefix("1e2b516905991c7d7c96fcbfb587e461", "Microsoft Windows", "windows", IMPLEMENTATION, _MS_IKEE),
    Prefix("01528bbbc00696121849ab9a1c5b2a51", "Microsoft KEY_MODS", "number", CAPABILITY, _MS_IKEE),
    Prefix(
        "7bb93867d76c8d80df0f40fae8fc3b19", "Microsoft AuthIP initial KE", "number", CAPABILITY, "Microsoft MS-AIPS"
    ),
    Prefix("686a8cbdfe634b405146fb2baf33e9e8", "Microsoft security realm", "ignored", CAPABILITY, _MS_IKEE),
    Prefix("f4ed19e0c114eb516faaac0ee37daf2807b4381f", "Check Point", "check_point", IMPLEMENTATION, "Check Point"),
    Prefix("8299031757a36082c6a621de", "Fortinet FortiGate", "fortigate", IMPLEMENTATION, "Fortinet"),
    Prefix("08db45e6cb01f80bb576e9a78c0f54e1300b8881", "ELVIS-PLUS Zastava", "zastava", IMPLEMENTATION, "ELVIS-PLUS"),
    Prefix("c6f57ac398f493208145b758", "NCP server", "ignored", IMPLEMENTATION, _PLUTO),
    Prefix("eb4c1b788afd4a9cb7730a68", "NCP client", "ignored", IMPLEMENTATION, _PLUTO),
    Prefix("47bbe7c993f1fc13b4e6d0db565c68e5", "SafeNet SoftRemote", "embedded_text", IMPLEMENTATION, _PLUTO),
    *(Prefix(h, "Juniper NetScreen (ScreenOS)", "ignored", IMPLEMENTATION, _PLUTO) for h in _NETSCREEN.split()),
    Prefix(b"HeartBeat_Notify".hex(), "NetScreen heartbeat notify", "ignored", CAPABILITY, _PLUTO),
    Prefix(b"BNES".hex(), "Nortel Contivity", "number", IMPLEMENTATION, "Nortel Contivity"),
    Prefix(b"LVG".hex(), "Lucent VPN Gateway", "text", IMPLEMENTATION, _PLUTO),
    Prefix(b"LVC".hex(), "Lucent VPN Client", "text", IMPLEMENTATION, _PLUTO),
    Prefix(b"TIMESTEP ".hex(), "TimeStep", "text", IMPLEMENTATION, _PLUTO),
    Prefix(b"OpenIKED-".hex(), "OpenIKED", "text", IMPLEMENTATION, "OpenBSD iked"),
    Prefix(b"OE-Libreswan-".hex(), "Libreswan", "text", IMPLEMENTATION, "libreswan 3.6 and later"),
    Prefix(b"OEN".hex(), "Libreswan", "pluto", IMPLEMENTATION, "libreswan 3.0 to 3.5"),
    Prefix(b"OSW".hex(), "Openswan", "pluto", IMPLEMENTATION, "Openswan (Xelerance)"),
    Prefix(b"OE".hex(), "Openswan or FreeS/WAN", "pluto", IMPLEMENTATION, "Openswan, FreeS/WAN (pluto)"),
)
"""Vendor IDs that begin with the octets `key` (hex); the longest that fits wins."""
