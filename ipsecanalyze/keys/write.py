"""Keys as other programs read them: Wireshark's tables, `tcpdump -E`, the project's JSON.

A writer gives text, and tells what the format cannot hold. Nothing is written to disk here; `files.py` does, with
permissions for the owner alone.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from ipsecanalyze.crypto.material import EspKeys, IkeKeys
from ipsecanalyze.errors import UsageError
from ipsecanalyze.keys import wireshark_esp, wireshark_ike
from ipsecanalyze.keys.addresses import is_address
from ipsecanalyze.keys.document import write_json
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.keys.suites import CIPHERS, encryption_name, icv_octets_of, integrity_name
from ipsecanalyze.keys.uat import quoted
from ipsecanalyze.registry.ikev2 import Encr, Integ

__all__ = ["WRITERS", "Written", "convert"]

_UNCHECKED: Final = (8, 12, 16, 20, 24, 32)


class Written(NamedTuple):
    """What a format made of a ring."""

    files: Mapping[str, str]
    """File name → content; files without a line are not in it. One file only, where the format has one."""
    left_out: tuple[str, ...]
    """What the format cannot hold, a sentence each, without secrets."""


class _Unwritable(Exception):  # noqa: N818 - never leaves this file
    """The format cannot hold these keys."""


def convert(ring: KeyRing, to: str) -> Written:
    """The ring in the format "wireshark" (4.0), "wireshark-newer", "tcpdump" or "json". Raises UsageError."""
    writer = WRITERS.get(to)
    if writer is None:
        raise UsageError(f"no such format of keys: {to}; there are {', '.join(WRITERS)}")
    return writer(ring)


def _wireshark(ring: KeyRing, *, newer: bool = False) -> Written:
    left_out: list[str] = []

    def lines(rows: Iterable[tuple[str, Callable[[], list[str]]]]) -> str:
        text = []
        for name, row in rows:
            try:
                text += row()
            except _Unwritable as reason:
                left_out.append(f"{name}: {reason}")
        return "".join(f"{line}\n" for line in dict.fromkeys(text))

    def esp(keys: EspKeys) -> tuple[str, Callable[[], list[str]]]:
        return _esp_name(keys), lambda: _esp_rows(keys, newer=newer)

    def ike(keys: IkeKeys) -> tuple[str, Callable[[], list[str]]]:
        return _ike_name(keys), lambda: [_ikev1_row(keys) if keys.version == 1 else _ikev2_row(keys)]

    # The first line that fits is taken: those with a known integrity algorithm come first.
    esp_keys = sorted(ring.esp, key=lambda keys: (keys.spi is None, not keys.is_checked))
    files = {
        "esp_sa": lines(map(esp, esp_keys)),
        "ikev1_decryption_table": lines(ike(keys) for keys in ring.ike if keys.version == 1),
        "ikev2_decryption_table": lines(ike(keys) for keys in ring.ike if keys.version == 2),
    }
    pairs = Counter((keys.spi_i, keys.spi_r) for keys in ring.ike if keys.version == 2 and keys.spi_i)
    left_out += [
        f"the IKE SA {spi_i:016x}: Wireshark uses only the last of its {count} generations of keys"
        for (spi_i, _), count in pairs.items()
        if count > 1
    ]
    left_out += _never(ring)
    return Written({name: text for name, text in files.items() if text}, tuple(left_out))


def _tcpdump(ring: KeyRing) -> Written:
    lines: list[str] = []
    left_out: list[str] = []
    for keys in ring.esp:
        try:
            lines.append(_tcpdump_esp(keys))
        except _Unwritable as reason:
            left_out.append(f"{_esp_name(keys)}: {reason}")
    for ike in ring.ike:
        try:
            lines += _tcpdump_ike(ike)
        except _Unwritable as reason:
            left_out.append(f"{_ike_name(ike)}: {reason}")
    left_out += _never(ring)
    text = "".join(f"{line}\n" for line in dict.fromkeys(lines))
    return Written({"tcpdump-keys": text} if text else {}, tuple(left_out))


def _json(ring: KeyRing) -> Written:
    return Written({"keys.json": write_json(ring)}, ())


def _never(ring: KeyRing) -> list[str]:
    """What no format but JSON holds."""
    counts = (("pre-shared keys", len(ring.psks)), ("results of key exchanges", len(ring.shared_secrets)))
    return [f"{what} ({count}): only JSON has a place for them" for what, count in counts if count]


def _esp_rows(keys: EspKeys, *, newer: bool) -> list[str]:
    if keys.protocol != "ESP":
        raise _Unwritable("Wireshark does not check AH")
    if keys.encryption in wireshark_esp.ENCRYPTION_NAMES:
        encryption = wireshark_esp.ENCRYPTION_NAMES[keys.encryption]
    elif newer and keys.encryption in wireshark_esp.NEWER_ENCRYPTION_NAMES:
        encryption = wireshark_esp.NEWER_ENCRYPTION_NAMES[keys.encryption]
    else:
        raise _Unwritable(f"Wireshark has no {encryption_name(keys.encryption)}")
    cipher = CIPHERS[keys.encryption]
    octets = icv_octets_of(keys)
    if cipher.icv:
        integrity = "NULL"
    elif (keys.integrity, octets) in wireshark_esp.INTEGRITY_NAMES and (keys.is_checked or octets == 0):
        integrity = wireshark_esp.INTEGRITY_NAMES[keys.integrity, octets]
    elif octets in _UNCHECKED:
        integrity = f"ANY {octets * 8} bit authentication [no checking]"
    else:
        raise _Unwritable(f"Wireshark has no {integrity_name(keys.integrity)} with {octets} octets")
    rest = [
        "*" if keys.spi is None else f"0x{keys.spi:08x}",
        encryption,
        _hex(keys.encryption_key + keys.salt),
        integrity,
        _hex(keys.integrity_key),
    ]
    if newer:
        rest.append("64-bit" if keys.esn else "32-bit")
        rest.append(f"0x{keys.sequence_high or 0:08x}" if keys.esn else "")
    addresses = [keys.source or "*", keys.destination or "*"]
    return [
        ",".join(quoted(field) for field in [family, *addresses, *rest]) for family in _families(addresses, newer=newer)
    ]


def _families(addresses: list[str], *, newer: bool) -> list[str]:
    for address in addresses:
        if is_address(address.partition("/")[0]):
            return ["IPv6" if ipaddress.ip_address(address.partition("/")[0]).version == 6 else "IPv4"]
        if address != "*":
            return ["IPv6" if ":" in address else "IPv4"]
    # 4.0 does not know "Any".
    return ["Any"] if newer else ["IPv4", "IPv6"]


def _ikev1_row(keys: IkeKeys) -> str:
    if not keys.spi_i:
        raise _Unwritable("its SPIs are not known")
    if not keys.sk_ei:
        raise _Unwritable("its final key is not known")
    return f"{keys.spi_i:016x},{keys.sk_ei.hex()}"


def _ikev2_row(keys: IkeKeys) -> str:
    if not keys.spi_i or not keys.spi_r:
        raise _Unwritable("its SPIs are not known")
    encryption, integrity = _ike_suite(keys)
    bits = (len(keys.sk_ei) - CIPHERS[encryption].salt) * 8 if encryption in CIPHERS else 0
    name = wireshark_ike.ENCRYPTION_NAMES.get((encryption, bits))
    if name is None:
        raise _Unwritable(f"Wireshark has no {encryption_name(encryption)} for IKE")
    integrity_text = wireshark_ike.INTEGRITY_NAMES.get(integrity)
    if integrity_text is None:
        integrity_text = "ANY 96-bits of Authentication [No Checking]"
    return (
        f"{keys.spi_i:016x},{keys.spi_r:016x},{keys.sk_ei.hex()},{keys.sk_er.hex()},{quoted(name)},"
        f"{keys.sk_ai.hex()},{keys.sk_ar.hex()},{quoted(integrity_text)}"
    )


def _ike_suite(keys: IkeKeys) -> tuple[int, int]:
    if keys.encryption is None or keys.integrity is None:
        raise _Unwritable("its algorithms are not known")
    if not keys.sk_ei or not keys.sk_er:
        raise _Unwritable("it has no SK_e")
    return keys.encryption, keys.integrity


_TCPDUMP_ESP: Final = MappingProxyType(
    {
        int(Encr.ENCR_DES): "des-cbc",
        int(Encr.ENCR_3DES): "3des-cbc",
        int(Encr.ENCR_BLOWFISH): "blowfish-cbc",
        int(Encr.ENCR_CAST): "cast-cbc",
    }
)
_TCPDUMP_INTEGRITY: Final = MappingProxyType(
    {
        int(Integ.AUTH_HMAC_MD5_96): "md5",
        int(Integ.AUTH_HMAC_SHA1_96): "sha1",
        int(Integ.AUTH_HMAC_SHA2_256_128): "sha256",
        int(Integ.AUTH_HMAC_SHA2_384_192): "sha384",
        int(Integ.AUTH_HMAC_SHA2_512_256): "sha512",
    }
)


def _tcpdump_esp(keys: EspKeys) -> str:
    if keys.protocol != "ESP":
        raise _Unwritable("tcpdump does not check AH")
    name = _TCPDUMP_ESP.get(keys.encryption)
    if keys.encryption in (Encr.ENCR_AES_CBC, Encr.ENCR_CAMELLIA_CBC):
        family = "aes" if keys.encryption == Encr.ENCR_AES_CBC else "camellia"
        name = f"{family}{len(keys.encryption_key) * 8}-cbc"
    if name is None:
        raise _Unwritable(f"tcpdump has no {encryption_name(keys.encryption)}")
    if keys.spi is not None and (keys.destination is None or not is_address(keys.destination)):
        raise _Unwritable("its destination is not known, without which tcpdump takes no SPI")
    octets = icv_octets_of(keys)
    if octets not in (0, 12):
        raise _Unwritable(f"tcpdump knows only ICVs of 12 octets, not of {octets}")
    entry = f"{name}{'-hmac96' if octets == 12 else ''}:0x{keys.encryption_key.hex()}"
    return entry if keys.spi is None else f"0x{keys.spi:08x}@{keys.destination} {entry}"


def _tcpdump_ike(keys: IkeKeys) -> list[str]:
    if keys.version != 2 or not keys.spi_i or not keys.spi_r:
        raise _Unwritable("tcpdump needs IKEv2 and both SPIs")
    encryption, integrity = _ike_suite(keys)
    name = {int(Encr.ENCR_AES_CBC): f"aes{len(keys.sk_ei) * 8}", int(Encr.ENCR_3DES): "3des"}.get(encryption)
    hash_name = _TCPDUMP_INTEGRITY.get(integrity)
    if name is None or hash_name is None:
        raise _Unwritable(f"tcpdump has no {encryption_name(encryption)} with {integrity_name(integrity)}")
    return [
        f"ikev2 {side} 0x{keys.spi_i:016x} 0x{keys.spi_r:016x} {hash_name}:0x{auth.hex()} {name}:0x{key.hex()}"
        for side, auth, key in (("I", keys.sk_ai, keys.sk_ei), ("R", keys.sk_ar, keys.sk_er))
    ]


def _hex(octets: bytes) -> str:
    return f"0x{octets.hex()}" if octets else ""


def _esp_name(keys: EspKeys) -> str:
    spi = "without SPI" if keys.spi is None else f"{keys.spi:08x}"
    return f"the {keys.protocol} SA {spi} to {keys.destination or 'anybody'}"


def _ike_name(keys: IkeKeys) -> str:
    return f"the IKE SA {keys.spi_i:016x}" if keys.spi_i else "an IKE SA"


WRITERS: Final[Mapping[str, Callable[[KeyRing], Written]]] = MappingProxyType(
    {
        "wireshark": _wireshark,
        "wireshark-newer": lambda ring: _wireshark(ring, newer=True),
        "tcpdump": _tcpdump,
        "json": _json,
    }
)
"""Name → what writes it."""
