"""`setkey -D` of BSD, macOS and ipsec-tools: the SAs of the kernel.

A line with both addresses (with ports in brackets where ESP goes in UDP), then indented lines: protocol with SPI, "E:"
and "A:" with algorithm and key in groups of four octets, and the state. AEAD has "E:" alone, its salt behind the key.
"""

from __future__ import annotations

import re
from typing import Final

from ipsecanalyze.keys.addresses import is_address
from ipsecanalyze.keys.reader import Sink, from_hex, shown
from ipsecanalyze.keys.suites import aead_of, esp_keys, integrity_of
from ipsecanalyze.registry.ikev2 import Encr

__all__ = ["SetkeyReader", "recognises"]

_ADDRESSES: Final = re.compile(r"([0-9a-fA-F.:]+)(?:%\S+?)?(?:\[\d+\])? ([0-9a-fA-F.:]+)(?:%\S+?)?(?:\[\d+\])?\s*")
_SA: Final = re.compile(r"\s+(esp|ah|ipcomp|esp-udp|\S+) mode=(\S+) spi=(\d+)\((0x[0-9a-f]+)\)")
_ALGORITHM: Final = re.compile(r"\s+([EA]): (\S+)(?:\s+([0-9a-fA-Fx][0-9a-fA-Fx ]*))?$")

_ENCRYPTION: Final = {
    "des-cbc": Encr.ENCR_DES,
    "3des-cbc": Encr.ENCR_3DES,
    "rijndael-cbc": Encr.ENCR_AES_CBC,
    "aes-cbc": Encr.ENCR_AES_CBC,
    "blowfish-cbc": Encr.ENCR_BLOWFISH,
    "cast128-cbc": Encr.ENCR_CAST,
    "camellia-cbc": Encr.ENCR_CAMELLIA_CBC,
    "aes-ctr": Encr.ENCR_AES_CTR,
    "null": Encr.ENCR_NULL,
    "simple": Encr.ENCR_NULL,
    "aes-gcm-16": aead_of("gcm"),
    "aes-gcm-12": aead_of("gcm", 12),
    "aes-gcm-8": aead_of("gcm", 8),
    "aes-gmac": aead_of("gmac"),
    "chacha20-poly1305": aead_of("chacha20"),
}
_INTEGRITY: Final = {
    "hmac-md5": ("md5", 12),
    "hmac-sha1": ("sha1", 12),
    "hmac-sha2-256": ("sha256", 16),
    "hmac-sha2-384": ("sha384", 24),
    "hmac-sha2-512": ("sha512", 32),
    "hmac-sha256": ("sha256", 16),
    "hmac-sha384": ("sha384", 24),
    "hmac-sha512": ("sha512", 32),
    "aes-xcbc-mac": ("xcbc", 12),
}


def recognises(line: str) -> bool:
    """Whether the line is two addresses and nothing else."""
    if len(line) > 120 or line[:1] not in "0123456789abcdefABCDEF:" or " " not in line:
        return False
    found = _ADDRESSES.fullmatch(line)
    return found is not None and is_address(found[1]) and is_address(found[2])


class SetkeyReader:
    """Reads SAs."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._addresses: tuple[str, str] | None = None
        self._clear()

    def feed(self, line: str) -> bool:
        """Take a line."""
        if line[:1] not in (" ", "\t"):
            self.finish()
            self._addresses = None
            if recognises(line):
                found = _ADDRESSES.fullmatch(line)
                self._addresses = (found[1], found[2]) if found else None
            return self._addresses is not None
        if self._addresses is None:
            return False
        if sa := _SA.match(line):
            # Several protocols may follow one pair of addresses.
            self.finish()
            self._protocol, self._mode, self._spi = sa[1], sa[2], int(sa[4], 16)
            self._line = self._sink.line
        elif algorithm := _ALGORITHM.match(line):
            self._algorithms[algorithm[1]] = (algorithm[2], algorithm[3] or "")
        return True

    def finish(self) -> None:
        """Keep the last SA."""
        try:
            self._keep()
        except ValueError as error:
            self._sink.tell(f"the SA with SPI {self._spi:08x} is left out: {error}", self._line)
        self._clear()

    def _clear(self) -> None:
        self._protocol = ""
        self._mode = "any"
        self._spi = self._line = 0
        self._algorithms: dict[str, tuple[str, str]] = {}

    def _keep(self) -> None:
        if self._protocol not in ("esp", "esp-udp", "ah") or not self._algorithms or self._addresses is None:
            return
        encryption, integrity, octets = int(Encr.ENCR_NULL), 0, None
        material = integrity_key = b""
        if "E" in self._algorithms:
            name, key = self._algorithms["E"]
            if name not in _ENCRYPTION:
                raise ValueError(f"unknown algorithm {shown(name)}")
            encryption, material = int(_ENCRYPTION[name]), from_hex(key)
        if "A" in self._algorithms and self._algorithms["A"][0] != "null":
            name, key = self._algorithms["A"]
            if name not in _INTEGRITY:
                raise ValueError(f"unknown algorithm {shown(name)}")
            integrity, octets = integrity_of(*_INTEGRITY[name])
            integrity_key = from_hex(key)
        keys = esp_keys(
            material,
            protocol="AH" if self._protocol == "ah" else "ESP",
            source=self._addresses[0],
            destination=self._addresses[1],
            spi=self._spi,
            encryption=encryption,
            integrity=integrity,
            integrity_key=integrity_key,
            icv_octets=octets,
            mode=self._mode if self._mode in ("tunnel", "transport", "beet") else None,
            origin=self._sink.origin(self._line),
        )
        self._sink.add(keys)
