"""The log of libreswan's (and Openswan's) pluto, with plutodebug=private or crypt.

IKE SAs: the lines "| ikev2 I …" and "| ikev2 R …" that tcpdump takes too. With AEAD the salts are not in them, but in
dumps before: "calc_skeyseed_v2 initiator salt" (and responder), or, of what pluto itself sends only, "Salt before
authenticated encryption:". They name no SPIs, so the last few are put behind the key, to be tried.

Child SAs: dumps "ESP encrypt key:" and "ESP integrity key:" (in older releases "ESP enckey:", "ESP authkey:"), one pair
for each direction, then a line with SPIs and algorithms: "{ESP=>0xOUT <0xIN xfrm=AES_GCM_16_256-NONE …}". Which
direction came first depends on the release, so each SPI gets both keys, to be tried; first as the newer releases have
it, which begin with what comes in.
"""

from __future__ import annotations

import re
from typing import Final

from ipsecanalyze.keys.reader import Sink
from ipsecanalyze.keys.suites import esp_keys
from ipsecanalyze.keys.swan_names import read_suite
from ipsecanalyze.keys.tcpdump import IkeLines
from ipsecanalyze.registry.ikev2 import Encr

__all__ = ["PlutoReader", "recognises"]

_IKE: Final = re.compile(r"\|\s+(ikev2 [IR] 0x.*)")
_HEAD: Final = re.compile(r"\|\s+(ESP|AH) (encrypt|integrity|enckey|authkey)(?: key)?:\s*$")
_SALT: Final = re.compile(
    r"\|\s+(?:calc_skeyseed_v2 (initiator|responder) salt|Salt before authenticated encryption:|salt:)\s*$"
)
#: Sixteen octets at most; newer releases show behind three spaces what of them is printable.
_ROW: Final = re.compile(r"\|\s+((?:[0-9a-f]{2} {1,2}){0,15}[0-9a-f]{2})(?: {3}.*|\s*)$")
_SPIS: Final = re.compile(r"\{(ESP|AH)([^=]{0,40})=>0x([0-9a-f]{1,8}) <0x([0-9a-f]{1,8}) xfrm=(\S{1,100})")
_PLUTO: Final = re.compile(r"Starting Pluto|\{(?:ESP|AH)[^=]{0,40}=>0x[0-9a-f]+ <0x|\|\s+(?:ESP|AH) \w+ ?\w*:\s*$")
#: Pairs of keys that wait for their SPIs; beyond, the oldest are forgotten.
_MAX_WAITING: Final = 4


def recognises(line: str) -> bool:
    """Whether the line is one of pluto that matters here."""
    if "alt" in line and _SALT.search(line) is not None:
        return True
    if "| ikev2" not in line and "Starting Pluto" not in line and "=>0x" not in line and "| ESP" not in line:
        return "| AH" in line and _HEAD.search(line) is not None
    return _IKE.search(line, 0, 300) is not None or _PLUTO.search(line) is not None


class PlutoReader:
    """Reads line by line."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._ike = IkeLines(sink)
        self._dump: tuple[str, bytearray] | None = None
        self._pairs: list[dict[str, bytes]] = []
        self._salt_i = b""

    def feed(self, line: str) -> bool:
        """Take a line."""
        if self._dump is not None:
            row = _ROW.search(line)
            if row is not None:
                self._dump[1].extend(bytes.fromhex(row[1]))
                return True
            self._end_dump()
        if head := _HEAD.search(line):
            self._dump = ("encrypt" if head[2].startswith("enc") else "integrity", bytearray())
            return True
        if salt := _SALT.search(line):
            self._dump = (f"{salt[1] or 'own'} salt", bytearray())
            return True
        if found := _IKE.search(line):
            return self._ike.feed(found[1].strip())
        if found := _SPIS.search(line):
            self._child(found[1], found[2], (int(found[4], 16), int(found[3], 16)), found[5])
            return True
        return "Starting Pluto" in line

    def finish(self) -> None:
        """Keep what waits."""
        self._end_dump()
        self._ike.finish()
        if self._pairs:
            self._sink.tell("keys of a Child SA are left out: the line with its SPIs is not in the log")
        self._pairs = []

    def _end_dump(self) -> None:
        if self._dump is None:
            return
        kind, data = self._dump
        self._dump = None
        if kind.endswith("salt"):
            self._salt(kind, bytes(data))
            return
        if not self._pairs or kind in self._pairs[-1]:
            self._pairs.append({})
            del self._pairs[:-_MAX_WAITING]
        self._pairs[-1][kind] = bytes(data)

    def _salt(self, kind: str, salt: bytes) -> None:
        """Keep a salt; the initiator's waits for the responder's."""
        if not salt:
            return  # of a cipher that has none
        if kind == "initiator salt":
            self._salt_i = salt
        elif kind == "responder salt":
            self._ike.add_salts(self._salt_i, salt)
        else:  # the log does not say which side pluto is on
            self._ike.add_salts(salt, b"")
            self._ike.add_salts(b"", salt)

    def _child(self, protocol: str, words: str, spis: tuple[int, int], text: str) -> None:
        """The SPIs, that of what comes in first."""
        pairs, self._pairs = self._pairs[-2:], []
        if not pairs:
            return  # without the debug lines: nothing is hidden in the log
        suite = read_suite(text)
        encryption = suite.encryption if suite.encryption is not None else int(Encr.ENCR_NULL)
        orders = (pairs, pairs[::-1]) if len(pairs) == 2 else (pairs, [pairs[0]] * 2)
        for order in orders:
            for spi, pair in zip(spis, order, strict=False):
                try:
                    self._sink.add(
                        esp_keys(
                            pair.get("encrypt", b""),
                            protocol=protocol,
                            spi=spi,
                            encryption=encryption,
                            integrity=suite.integrity or 0,
                            integrity_key=pair.get("integrity", b""),
                            icv_octets=suite.icv_octets,
                            esn="ESN" in words,
                        )
                    )
                except ValueError as error:
                    self._sink.tell(f"the keys of SPI {spi:08x} are left out: {error}")
