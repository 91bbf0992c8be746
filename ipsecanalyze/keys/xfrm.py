"""`ip xfrm state` of iproute2: plain, `-s`, `-o` (a line per SA), and the stream of `ip xfrm monitor`.

A record starts at column 0 ("src A dst B", in the monitor also "Updated src …" and "Deleted src …"); what belongs to it
is indented. Words are found by their keyword, never by their place. Records of policies have the same head and no keys.
"""

from __future__ import annotations

import re
from typing import Final

from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.keys.reader import Sink, from_hex, shown
from ipsecanalyze.keys.suites import aead_of, esp_keys, integrity_of
from ipsecanalyze.registry.ikev2 import Encr

__all__ = ["XfrmReader", "recognises"]

_HEAD: Final = re.compile(r"(?:[A-Z][a-z]+ )?src (\S+) dst (\S+)(.*)")
_SA: Final = re.compile(r"\s*proto (esp|ah|comp|\S+) spi (0x[0-9a-f]+|\d+)")
_MONITOR: Final = re.compile(r"Timestamp: |Flushed |Async event|(?:hard|soft) expire|acquire |#")
#: iproute2 writes this where it was told `nokeys`.
_HIDDEN: Final = "<<Keys hidden>>"

_ENCRYPTION: Final = {
    "cbc(aes)": Encr.ENCR_AES_CBC,
    "aes": Encr.ENCR_AES_CBC,
    "cbc(des3_ede)": Encr.ENCR_3DES,
    "des3_ede": Encr.ENCR_3DES,
    "cbc(des)": Encr.ENCR_DES,
    "des": Encr.ENCR_DES,
    "cbc(camellia)": Encr.ENCR_CAMELLIA_CBC,
    "camellia": Encr.ENCR_CAMELLIA_CBC,
    "cbc(cast5)": Encr.ENCR_CAST,
    "cast5": Encr.ENCR_CAST,
    "cast128": Encr.ENCR_CAST,
    "cbc(blowfish)": Encr.ENCR_BLOWFISH,
    "blowfish": Encr.ENCR_BLOWFISH,
    "cbc(serpent)": Encr.ENCR_SERPENT_CBC,
    "serpent": Encr.ENCR_SERPENT_CBC,
    "cbc(twofish)": Encr.ENCR_TWOFISH_CBC,
    "twofish": Encr.ENCR_TWOFISH_CBC,
    "rfc3686(ctr(aes))": Encr.ENCR_AES_CTR,
    "ecb(cipher_null)": Encr.ENCR_NULL,
    "cipher_null": Encr.ENCR_NULL,
}
_AEAD: Final = {
    "rfc4106(gcm(aes))": "gcm",
    "rfc4309(ccm(aes))": "ccm",
    "rfc4309(ccm(camellia))": "camellia-ccm",
    "rfc4543(gcm(aes))": "gmac",
    "rfc7539esp(chacha20,poly1305)": "chacha20",
}
#: Kernel name → family, and the octets that the kernel takes where nothing says how many (net/xfrm/xfrm_algo.c).
_INTEGRITY: Final = {
    "hmac(md5)": ("md5", 12),
    "md5": ("md5", 12),
    "hmac(sha1)": ("sha1", 12),
    "sha1": ("sha1", 12),
    "hmac(sha256)": ("sha256", 12),
    "sha256": ("sha256", 12),
    "hmac(sha384)": ("sha384", 24),
    "hmac(sha512)": ("sha512", 32),
    "xcbc(aes)": ("xcbc", 12),
    "cmac(aes)": ("cmac", 12),
}


def recognises(line: str) -> bool:
    """Whether a record of an SA (or of a policy) may start here."""
    return " dst " in line and _HEAD.match(line) is not None


class XfrmReader:
    """Reads SAs; the monitor's deleted ones too, because their packets are in captures."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._record: _Record | None = None

    def feed(self, line: str) -> bool:
        """Take a line, or with `-o` a whole record."""
        if "\\" in line:
            pieces = line.split("\\")
            if recognises(pieces[0]):
                for piece in pieces:
                    self._line(piece)
                return True
        return self._line(line)

    def finish(self) -> None:
        """Keep the last record."""
        record, self._record = self._record, None
        if record is not None:
            record.close(self._sink)

    def _line(self, line: str) -> bool:
        if not line.strip():
            return self._record is not None
        if line[0] in " \t":
            if self._record is None:
                return False
            self._record.line(line.strip())
            return True
        head = _HEAD.match(line)
        self.finish()
        if head is None:
            return _MONITOR.match(line) is not None
        self._record = _Record(head[1], head[2], self._sink.line)
        if head[3].strip():
            self._record.line(head[3].strip())
        return True


class _Record:
    """What one SA says of itself."""

    def __init__(self, source: str, destination: str, number: int) -> None:
        self._source = source
        self._destination = destination
        self._number = number
        self._protocol: str | None = None
        self._spi = 0
        self._mode: str | None = None
        self._esn: bool | None = None
        self._high: dict[str, int] = {}
        self._direction: str | None = None
        self._algorithms: dict[str, list[str]] = {}
        self._in_template = False

    def line(self, line: str) -> None:
        """A line of the record, without its indentation."""
        words = line.split()
        key = words[0]
        if key == "proto":
            sa = _SA.match(line)
            # Below "tmpl" a policy speaks of the SA it wants.
            if sa is not None and not self._in_template and self._protocol is None:
                self._protocol, self._spi = sa[1], int(sa[2], 0) & 0xFFFF_FFFF
                self._mode = _after(words, "mode")
        elif key == "tmpl":
            self._in_template = True
        elif key in ("auth", "auth-trunc", "aead", "enc"):
            self._algorithms[key] = words[1:]
        elif key == "replay-window":
            if "flag" in words or len(words) == 2:
                self._esn = bool(self._esn) or "esn" in words[2:]
        elif key == "dir":
            self._direction = _after(words, "dir")
        elif "seq-hi" in key:
            text = line.replace(",", " ").split()
            for name in ("seq-hi", "oseq-hi"):
                value = _after(text, name)
                if value is not None and re.fullmatch(r"0x[0-9a-f]{1,8}", value):
                    self._high[name] = int(value, 16)

    def close(self, sink: Sink) -> None:
        """Make keys of what was said."""
        if self._protocol not in ("esp", "ah") or not self._algorithms or not self._spi:
            return  # IPComp, IP in IP, policies, an SPI that was only reserved
        if any(_HIDDEN in " ".join(words) for words in self._algorithms.values()):
            sink.tell("the keys are hidden (nokeys): ask ip(8) again without that word, as root", self._number)
            return
        try:
            keys = self._keys(sink.origin(self._number))
        except ValueError as error:
            sink.tell(f"the SA with SPI {self._spi:08x} is left out: {error}", self._number)
            return
        sink.add(keys)

    def _keys(self, origin: str) -> EspKeys:
        encryption, material = int(Encr.ENCR_NULL), b""
        integrity, integrity_key, octets = 0, b"", None
        if "aead" in self._algorithms:
            name, material, bits = _algorithm(self._algorithms["aead"])
            if name not in _AEAD:
                raise ValueError(f"unknown algorithm {shown(name)}")
            encryption = aead_of(_AEAD[name], (bits or 128) // 8)
        elif "enc" in self._algorithms:
            name, material, _ = _algorithm(self._algorithms["enc"])
            if name not in _ENCRYPTION:
                raise ValueError(f"unknown algorithm {shown(name)}")
            encryption = int(_ENCRYPTION[name])
        words = self._algorithms.get("auth-trunc") or self._algorithms.get("auth")
        if words is not None and words[:1] != ["digest_null"]:
            name, integrity_key, bits = _algorithm(words)
            if name not in _INTEGRITY:
                raise ValueError(f"unknown algorithm {shown(name)}")
            family, usual = _INTEGRITY[name]
            integrity, octets = integrity_of(family, bits // 8 if bits else usual)
        high = self._high.get("oseq-hi" if self._direction == "out" else "seq-hi")
        if self._direction is None and self._high:
            high = max(self._high.values())
        return esp_keys(
            material,
            protocol=(self._protocol or "").upper(),
            source=self._source,
            destination=self._destination,
            spi=self._spi,
            encryption=encryption,
            integrity=integrity,
            integrity_key=integrity_key,
            icv_octets=octets,
            esn=self._esn,
            sequence_high=high,
            mode=self._mode,
            origin=origin,
        )


def _algorithm(words: list[str]) -> tuple[str, bytes, int | None]:
    """Name, key and bits of the ICV; `-s` puts the key's size between them: "(256 bits)"."""
    name, key, bits = (words[0] if words else ""), b"", None
    for place, word in enumerate(words[1:], 1):
        if word.startswith("0x"):
            key = from_hex(word)
        elif word.isascii() and word.isdigit() and len(word) < 5 and words[place - 1] != "(":
            bits = int(word)
    return name, key, bits


def _after(words: list[str], key: str) -> str | None:
    place = words.index(key) + 1 if key in words else len(words)
    return words[place] if place < len(words) else None
