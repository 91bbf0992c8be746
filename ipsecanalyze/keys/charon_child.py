"""Keys of Child SAs in a charon log, and which SPI each belongs to.

charon names keys by the initiator and the responder of the exchange, and SPIs by inbound and outbound. Which of the two
it was itself, the message says that it parsed before: a response makes it the initiator. Where the log does not tell,
each SPI gets both keys, to be tried. Without any SPI the keys go on the ring without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ipsecanalyze.keys.charon_lines import Dump
from ipsecanalyze.keys.reader import Sink
from ipsecanalyze.keys.suites import CIPHERS, esp_keys
from ipsecanalyze.keys.swan_names import Suite, encryption_of, integrity_of_name
from ipsecanalyze.registry.ikev2 import Encr

__all__ = ["ChildTracker"]

_LABELS: Final = {
    "encryption initiator key": ("initiator", 0),
    "encryption responder key": ("responder", 0),
    "integrity initiator key": ("initiator", 1),
    "integrity responder key": ("responder", 1),
}
_USING: Final = re.compile(r"\s*using (\S+) for (encryption|integrity)")
_ADDING: Final = re.compile(r"(?:adding|registering) (inbound|outbound) (ESP|AH) SA")
_SPI: Final = re.compile(r"\s+SPI 0x([0-9a-f]{1,8}), src (\S+) dst (\S+)")
_ESTABLISHED: Final = re.compile(r"CHILD_SA .{1,200}? established with SPIs ([0-9a-f]{8})_i ([0-9a-f]{8})_o")
_PARSED: Final = re.compile(r"(?:parsed) [A-Z0-9_]+ (request|response) \d+")

#: SPI, source, destination.
_Place: TypeAlias = tuple[int | None, str | None, str | None]


@dataclass(slots=True)
class _Child:
    """A Child SA while its lines come."""

    line: int
    is_initiator: bool | None
    esn: bool | None
    encryption: int | None = None
    integrity: tuple[int, int | None] = (0, None)
    is_ah: bool = False
    keys: dict[str, list[bytes]] = field(default_factory=lambda: {"initiator": [b"", b""], "responder": [b"", b""]})
    spis: dict[str, _Place] = field(default_factory=dict)
    unknown: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether any dump came."""
        return any(key for pair in self.keys.values() for key in pair)


@dataclass(slots=True)
class _Thread:
    """What a thread is about."""

    child: _Child | None = None
    is_initiator: bool | None = None
    suite: Suite = field(default_factory=Suite)
    adding: str | None = None


class ChildTracker:
    """Takes dumps and texts by thread: one thread makes a Child SA from its keys to its SPIs."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._threads: dict[str, _Thread] = {}

    def suite(self, thread: str, suite: Suite) -> None:
        """The proposal that was chosen for a Child SA."""
        self._thread(thread).suite = suite

    def dump(self, thread: str, dump: Dump) -> bool:
        """Octets with a label; whether they were of a Child SA."""
        place = _LABELS.get(dump.label)
        if place is None:
            return False
        child = self._child(thread, dump.line)
        pair = child.keys[place[0]]
        if pair[place[1]]:  # the next one, without a word in between
            self._close(thread)
            pair = self._child(thread, dump.line).keys[place[0]]
        pair[place[1]] = dump.data
        return True

    def text(self, thread: str, group: str, text: str) -> None:
        """A message that may tell algorithms, SPIs, or who began."""
        if group not in ("ENC", "CHD", "IKE") or text.startswith("  activating"):
            return
        state = self._thread(thread)
        if group == "ENC":
            if found := _PARSED.match(text):
                state.is_initiator = found[1] == "response"
        elif group == "CHD" and (found := _USING.match(text)):
            self._using(thread, found[1], found[2])
        elif found := _ADDING.match(text):
            state.adding = found[1]
            if state.child is not None:
                state.child.is_ah = found[2] == "AH"
        elif (found := _SPI.match(text)) and state.adding is not None:
            if state.child is not None and state.child.has_keys:
                state.child.spis[state.adding] = (int(found[1], 16), found[2], found[3])
                if len(state.child.spis) == 2:
                    self._close(thread)
            state.adding = None
        elif (
            "SPIs" in text and (found := _ESTABLISHED.search(text)) and state.child is not None and state.child.has_keys
        ):
            state.child.spis.setdefault("inbound", (int(found[1], 16), None, None))
            state.child.spis.setdefault("outbound", (int(found[2], 16), None, None))
            self._close(thread)

    def finish(self) -> None:
        """Keep what is open."""
        for thread in list(self._threads):
            self._close(thread)

    def _thread(self, thread: str) -> _Thread:
        return self._threads.setdefault(thread, _Thread())

    def _child(self, thread: str, line: int) -> _Child:
        state = self._thread(thread)
        if state.child is None:
            suite = state.suite
            state.child = _Child(line, state.is_initiator, suite.esn, suite.encryption)
            if suite.integrity is not None:
                state.child.integrity = (suite.integrity, suite.icv_octets)
        return state.child

    def _using(self, thread: str, name: str, kind: str) -> None:
        state = self._thread(thread)
        if state.child is not None and (state.child.has_keys or kind == "encryption"):
            self._close(thread)
        child = self._child(thread, self._sink.line)
        if kind == "encryption":
            child.encryption, child.integrity = encryption_of(name), (0, None)
            child.unknown = child.encryption is None
        else:
            if child.encryption is None or not state.suite.encryption:
                child.encryption = child.encryption or int(Encr.ENCR_NULL)
            integrity = integrity_of_name(name)
            child.unknown = child.unknown or integrity is None
            child.integrity = integrity or (0, None)

    def _close(self, thread: str) -> None:
        """Hang the keys on the ring, for each direction."""
        state = self._thread(thread)
        child, state.child = state.child, None
        if child is None or not child.has_keys:
            return
        if child.unknown:
            self._sink.tell("the keys of a Child SA are left out: unknown algorithm", child.line)
            return
        places: dict[str, _Place] = child.spis or {"inbound": (None, None, None), "outbound": (None, None, None)}
        for direction, place in places.items():
            owners = ["initiator", "responder"]
            if child.spis and child.is_initiator is not None:
                # What comes in was encrypted with the peer's key.
                owners = ["initiator" if (direction == "outbound") == child.is_initiator else "responder"]
            for owner in owners:
                self._keep(child, child.keys[owner], place)

    def _keep(self, child: _Child, keys: list[bytes], place: _Place) -> None:
        encryption = child.encryption if child.encryption is not None else int(Encr.ENCR_NULL)
        cipher = CIPHERS.get(encryption)
        material, integrity_key = keys
        if not material and not integrity_key:
            return
        if cipher is not None and cipher.icv == 0 and child.integrity[0] == 0 and integrity_key:
            self._sink.tell("the keys of a Child SA are left out: its integrity algorithm is not told", child.line)
            return
        try:
            self._sink.add(
                esp_keys(
                    material,
                    protocol="AH" if child.is_ah else "ESP",
                    spi=place[0],
                    source=place[1],
                    destination=place[2],
                    encryption=encryption,
                    integrity=child.integrity[0],
                    integrity_key=integrity_key,
                    icv_octets=child.integrity[1],
                    esn=child.esn,
                    origin=self._sink.origin(child.line),
                )
            )
        except ValueError as error:
            self._sink.tell(f"the keys of a Child SA are left out: {error}", child.line)
