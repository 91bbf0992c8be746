"""What `tcpdump -E` takes: `spi@destination algorithm:secret`, `algorithm:secret`, `file NAME`, `ikev2 I|R …`.

Several may stand on a line, separated by commas. Algorithms have OpenSSL's names; "-hmac96" behind one says that an ICV
of 12 octets follows, of which tcpdump does not know the algorithm. pluto prints lines of the last form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from ipsecanalyze.crypto.material import EspKeys, IkeKeys
from ipsecanalyze.keys.addresses import is_address
from ipsecanalyze.keys.reader import Sink, from_hex, shown
from ipsecanalyze.keys.suites import esp_keys, split_salt
from ipsecanalyze.registry.ikev2 import Encr, Integ

__all__ = ["NAMES", "IkeLines", "TcpdumpReader", "recognises"]

#: Name without "-cbc" → ENCR transform ID.
NAMES: Final = {
    "des": Encr.ENCR_DES,
    "3des": Encr.ENCR_3DES,
    "des3": Encr.ENCR_3DES,
    "des-ede3": Encr.ENCR_3DES,
    "blowfish": Encr.ENCR_BLOWFISH,
    "bf": Encr.ENCR_BLOWFISH,
    "cast": Encr.ENCR_CAST,
    "cast5": Encr.ENCR_CAST,
    "cast128": Encr.ENCR_CAST,
    "none": Encr.ENCR_NULL,
    "null": Encr.ENCR_NULL,
    "aes": Encr.ENCR_AES_CBC,
    **{f"aes{dash}{bits}": Encr.ENCR_AES_CBC for bits in (128, 192, 256) for dash in ("", "-")},
    **{f"camellia{dash}{bits}": Encr.ENCR_CAMELLIA_CBC for bits in (128, 192, 256) for dash in ("", "-")},
}
#: How pluto calls the integrity of an IKE SA, and the encryption before its bits.
_IKE_INTEGRITY: Final = {
    "none": Integ.NONE,
    "md5": Integ.AUTH_HMAC_MD5_96,
    "sha": Integ.AUTH_HMAC_SHA1_96,
    "sha1": Integ.AUTH_HMAC_SHA1_96,
    "sha256": Integ.AUTH_HMAC_SHA2_256_128,
    "sha384": Integ.AUTH_HMAC_SHA2_384_192,
    "sha512": Integ.AUTH_HMAC_SHA2_512_256,
    "aes_xcbc": Integ.AUTH_AES_XCBC_96,
    "xcbc": Integ.AUTH_AES_XCBC_96,
    "cmac": Integ.AUTH_AES_CMAC_96,
}
_IKE_ENCRYPTION: Final = {
    "aes": Encr.ENCR_AES_CBC,
    "3des": Encr.ENCR_3DES,
    "camellia": Encr.ENCR_CAMELLIA_CBC,
    "aes_ctr": Encr.ENCR_AES_CTR,
    "aes_gcm": Encr.ENCR_AES_GCM_16,
    "aes_gcm_8": Encr.ENCR_AES_GCM_8,
    "aes_gcm_12": Encr.ENCR_AES_GCM_12,
    "aes_gcm_16": Encr.ENCR_AES_GCM_16,
    "chacha20_poly1305": Encr.ENCR_CHACHA20_POLY1305,
    "null": Encr.ENCR_NULL,
}
#: Pairs of salts that are kept for keys that come without.
_MAX_SALTS: Final = 8
_ESP: Final = re.compile(r"(0x[0-9a-fA-F]{1,8}|\d{1,10})@(\S+)[ \t]+([\w-]+):(\S+)")
_DEFAULT: Final = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*):(0x[0-9a-fA-F]{10,})")
_IKE: Final = re.compile(
    r"ikev2\s+([IR])\s+0x([0-9a-fA-F]{16})\s+0x([0-9a-fA-F]{16})\s+([\w-]+):(\S*)\s+([\w-]+):(\S*)"
)
_FILE: Final = re.compile(r"file\s+(\S.*)")
#: Commas separate the entries; they may stand in a secret of plain characters, so only before what begins an entry.
_NEXT: Final = re.compile(r",(?=\s*(?:0x[0-9a-fA-F]+@|\d+@|ikev2 |file |[a-z0-9-]+:0x))")


def recognises(line: str) -> bool:
    """Whether the line has an entry of one of the forms."""
    if "@" not in line and ":0x" not in line and "-E" not in line and "file " not in line:
        return False
    line = _unwrapped(line)
    if line.startswith("file "):
        return _FILE.fullmatch(line) is not None and "=" not in line and len(line.split()) == 2
    return (
        _ESP.match(line) is not None
        or _IKE.match(line) is not None
        or ((found := _DEFAULT.match(line)) is not None and _cipher(found[1]) is not None)
    )


class TcpdumpReader:
    """Reads a line at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._ike = IkeLines(sink)

    def feed(self, line: str) -> bool:
        """Take a line."""
        if not recognises(line):
            return line.startswith("#")
        for entry in _NEXT.split(_unwrapped(line)):
            try:
                self._entry(entry.strip())
            except ValueError as error:
                self._sink.tell(f"not an entry of tcpdump -E: {error}")
        return True

    def finish(self) -> None:
        """Keep what came of the IKE lines."""
        self._ike.finish()

    def _entry(self, entry: str) -> None:
        if not entry or self._ike.feed(entry):
            return
        if found := _FILE.fullmatch(entry):
            self._sink.include(found[1].strip())
        elif found := _ESP.fullmatch(entry):
            if not is_address(found[2]):
                raise ValueError("behind the @ is no address")
            self._sink.add(_esp(found[3], found[4], int(found[1], 0) & 0xFFFF_FFFF, found[2]))
        elif found := _DEFAULT.fullmatch(entry):
            self._sink.add(_esp(found[1], found[2], None, None))
        else:
            raise ValueError("it has none of the forms")


class IkeLines:
    """The two lines of an IKE SA, one for each direction; salts that are not in them, where the source has them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._half: dict[tuple[int, int], tuple[int, str, int, int, bytes, bytes]] = {}
        self._salts: list[tuple[bytes, bytes]] = []

    def add_salts(self, initiator: bytes, responder: bytes) -> None:
        """Take salts of an IKE SA whose lines may follow; one is empty where it is not known."""
        if (initiator, responder) not in self._salts:
            self._salts.append((initiator, responder))
            del self._salts[:-_MAX_SALTS]

    def feed(self, line: str) -> bool:
        """Take a line; whether it was one of them."""
        found = _IKE.match(line)
        if found is None:
            return False
        try:
            encryption, integrity = _ike_cipher(found[6].lower()), _IKE_INTEGRITY[found[4].lower()]
            spis = int(found[2], 16), int(found[3], 16)
            keys = from_hex(found[7]), from_hex(found[5])
        except (KeyError, ValueError) as error:
            what = str(error) if isinstance(error, ValueError) else f"unknown integrity {shown(found[4])}"
            self._sink.tell(f"keys of an IKE SA are left out: {what}")
            return True
        if not keys[0]:
            return True  # pluto prints an empty key where it has none to give (AEAD, over 256 bits)
        half = self._half.pop(spis, None)
        if half is not None and half[1] != found[1]:
            first, second = (half[4:], keys) if found[1] == "R" else (keys, half[4:])
            self._keep(spis, encryption, int(integrity), first, second, half[0])
        else:
            if half is not None:
                self._alone(spis, half)
            self._half[spis] = (self._sink.line, found[1], encryption, int(integrity), *keys)
        return True

    def finish(self) -> None:
        """Lines without their other direction count too."""
        halves, self._half = self._half, {}
        for spis, half in halves.items():
            self._alone(spis, half)

    def _alone(self, spis: tuple[int, int], half: tuple[int, str, int, int, bytes, bytes]) -> None:
        line, side, encryption, integrity, *keys = half
        nothing = (b"", b"")
        pair = (keys[0], keys[1])
        self._keep(spis, encryption, integrity, *((pair, nothing) if side == "I" else (nothing, pair)), line)

    def _keep(
        self,
        spis: tuple[int, int],
        encryption: int,
        integrity: int,
        initiator: tuple[bytes, ...],
        responder: tuple[bytes, ...],
        line: int,
    ) -> None:
        pairs = [(initiator[0], responder[0])]
        try:
            _check(encryption, pairs[0])
        except ValueError as error:
            pairs = list(self._salted(encryption, pairs[0]))
            if not pairs:
                self._sink.tell(f"keys of an IKE SA are left out: {error}", line)
        for sk_ei, sk_er in pairs:
            self._sink.add(
                IkeKeys(
                    spi_i=spis[0],
                    spi_r=spis[1],
                    encryption=encryption,
                    integrity=integrity,
                    sk_ei=sk_ei,
                    sk_er=sk_er,
                    sk_ai=initiator[1],
                    sk_ar=responder[1],
                    origin=self._sink.origin(line),
                )
            )

    def _salted(self, encryption: int, pair: tuple[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
        """The keys with each pair of salts behind them, the latest first; without the key whose salt is not known."""
        for salts in reversed(self._salts):
            sk_ei, sk_er = (key + salt if key and salt else b"" for key, salt in zip(pair, salts, strict=True))
            with suppress(ValueError):
                _check(encryption, (sk_ei, sk_er))
                if sk_ei or sk_er:
                    yield sk_ei, sk_er


def _check(encryption: int, keys: Iterable[bytes]) -> None:
    """Raise ValueError, without secrets, where a key and its salt have an impossible length."""
    for key in keys:
        if key:
            split_salt(encryption, key)


def _esp(algorithm: str, secret: str, spi: int | None, destination: str | None) -> EspKeys:
    encryption = _cipher(algorithm)
    if encryption is None:
        raise ValueError(f"unknown algorithm {shown(algorithm)}")
    key = from_hex(secret) if secret[:2] in ("0x", "0X") else secret.encode("utf-8", "surrogateescape")
    if encryption == Encr.ENCR_NULL:
        key = b""
    elif encryption == Encr.ENCR_3DES and len(key) == 16:  # two keys, K1 = K3
        key += key[:8]
    has_icv = algorithm.endswith("-hmac96")
    return esp_keys(
        key,
        destination=destination,
        spi=spi,
        encryption=encryption,
        icv_octets=12 if has_icv else None,
        # Neither is the integrity algorithm known, nor, without the suffix, whether there is one.
        is_checked=False,
    )


def _cipher(algorithm: str) -> int | None:
    number = NAMES.get(algorithm.removesuffix("-hmac96").removesuffix("-cbc").lower())
    return None if number is None else int(number)


def _ike_cipher(name: str) -> int:
    number = _IKE_ENCRYPTION.get(name) or _IKE_ENCRYPTION.get(re.sub(r"[-_]?(128|192|256)$", "", name))
    if number is None:
        raise ValueError(f"unknown encryption {shown(name)}")
    return int(number)


def _unwrapped(line: str) -> str:
    """What is behind -E, where somebody kept the whole command line."""
    start = line.find("-E ")
    if start >= 0 and (line[:start].strip() == "" or "tcpdump" in line[:start]):
        rest = line[start + 3 :].strip()
        if rest[:1] in ("'", '"'):
            return rest[1:].partition(rest[0])[0].strip()
        return rest.partition(" -")[0].strip()
    return line.strip()
