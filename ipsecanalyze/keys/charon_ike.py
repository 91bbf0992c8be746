"""Keys of IKE SAs in a charon log: dumps in the order of derivation, with the SPIs that stand elsewhere.

The dumps carry no SPIs. They stand in the input of NAT detection (RFC 7296 §2.23: SPIi ‖ SPIr ‖ address ‖ port), in the
octets that are signed (they begin with an IKE header), and in "checkin IKEv2 SA … with SPIs". Where the log has none of
them the keys go on the ring without SPIs, to be tried.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ipsecanalyze.crypto.material import IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys.charon_lines import Dump
from ipsecanalyze.keys.reader import Sink
from ipsecanalyze.keys.swan_names import Suite

__all__ = ["IkeTracker"]

_V2_LABELS: Final = {
    "Sk_d secret": "sk_d",
    "Sk_ai secret": "sk_ai",
    "Sk_ar secret": "sk_ar",
    "Sk_ei secret": "sk_ei",
    "Sk_er secret": "sk_er",
    "Sk_pi secret": "sk_pi",
    "Sk_pr secret": "sk_pr",
}
_V1_LABELS: Final = {
    "SKEYID_d": ("sk_d",),
    "SKEYID_a": ("sk_ai", "sk_ar"),
    "SKEYID_e": ("skeyid_e",),
    "encryption key Ka": ("sk_ei", "sk_er"),
}
_SECRETS: Final = ("key exchange secret", "additional key exchange secret", "shared Diffie Hellman secret", "DH secret")
_CHECKIN: Final = re.compile(r"check(?:in|out) IKEv[12] SA (?:\S+ )?with SPIs ([0-9a-f]{16})_i ([0-9a-f]{16})_r")
#: Drafts that wait for their SPIs, over all IKE SAs; beyond, the oldest are kept as they are.
_MAX_WAITING: Final = 10_000


@dataclass(slots=True)
class _Draft:
    """One generation while its dumps come."""

    version: int
    line: int
    spis: tuple[int, int]
    suite: Suite
    keys: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    """What is known of one IKE SA."""

    spis: tuple[int, int] = (0, 0)
    suite: Suite = field(default_factory=Suite)
    drafts: list[_Draft] = field(default_factory=list)
    waiting: list[_Draft | tuple[SharedSecret, int]] = field(default_factory=list)
    generations: int = 0


class IkeTracker:
    """Takes dumps and texts of IKE SAs, by their tag; keeps keys in their order."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._states: dict[str, _State] = {}
        self._waiting = 0

    def text(self, tag: str, text: str) -> None:
        """A message that may have SPIs."""
        found = _CHECKIN.search(text)
        if found is not None:
            self._learn(self._state(tag), int(found[1], 16), int(found[2], 16))

    def suite(self, tag: str, suite: Suite) -> None:
        """The proposal that was chosen for the IKE SA."""
        self._state(tag).suite = suite

    def dump(self, tag: str, group: str, dump: Dump) -> bool:
        """Octets with a label; whether they were of an IKE SA."""
        label, data = dump.label, dump.data
        if label in _SECRETS:
            self._secret(tag, group, dump)
        elif label == "SKEYSEED":
            self._draft(tag, 2, dump).keys["skeyid"] = data
        elif label == "SKEYID":
            self._draft(tag, 1, dump).keys["skeyid"] = data
        elif label in _V2_LABELS:
            self._v2(tag, dump)
        elif label in _V1_LABELS:
            state = self._state(tag)
            draft = state.drafts[-1] if state.drafts and state.drafts[-1].version == 1 else self._draft(tag, 1, dump)
            for name in _V1_LABELS[label]:
                draft.keys[name] = data
        elif (label == "natd_chunk" and len(data) in (22, 34)) or (label.startswith("octets = m") and len(data) >= 28):
            self._learn(self._state(tag), int.from_bytes(data[:8]), int.from_bytes(data[8:16]))
        elif label == "secret" and group == "IKE":
            # The PSK, or with EAP the MSK, which opens nothing else.
            self._sink.add(Psk(data, origin=self._sink.origin(dump.line)))
        else:
            return False
        return True

    def restart(self) -> None:
        """The daemon starts again, and counts its IKE SAs from 1."""
        states, self._states = self._states, {}
        self._waiting = 0
        for state in states.values():
            self._flush(state)

    finish = restart

    def _state(self, tag: str) -> _State:
        return self._states.setdefault(tag, _State())

    def _draft(self, tag: str, version: int, dump: Dump) -> _Draft:
        state = self._state(tag)
        draft = _Draft(version, dump.line, state.spis, state.suite)
        state.drafts.append(draft)
        state.waiting.append(draft)
        state.generations += 1
        self._waiting += 1
        if self._waiting > _MAX_WAITING:
            self.restart()
            self._states[tag] = _State(state.spis, state.suite, [draft])
            self._states[tag].waiting.append(draft)
        return draft

    def _v2(self, tag: str, dump: Dump) -> None:
        state = self._state(tag)
        name = _V2_LABELS[dump.label]
        draft = state.drafts[-1] if state.drafts and state.drafts[-1].version == 2 else self._draft(tag, 2, dump)
        if name in draft.keys and draft.keys[name] != dump.data:
            # RFC 8784 §3: a PPK changes SK_d, SK_pi and SK_pr, the others stay.
            kept = {key: value for key, value in draft.keys.items() if key not in ("sk_d", "sk_pi", "sk_pr", "skeyid")}
            draft = self._draft(tag, 2, dump)
            draft.keys.update(kept)
        draft.keys[name] = dump.data

    def _secret(self, tag: str, group: str, dump: Dump) -> None:
        if not dump.data:
            return
        state = self._state(tag)
        method: int | None = None
        if group == "IKE":
            # RFC 9370 §2.2.2: the first is that of IKE_SA_INIT, the others follow in the order of the ADDKEs.
            methods = state.suite.key_exchanges
            method = methods[state.generations] if state.generations < len(methods) else None
        secret = SharedSecret(dump.data, *state.spis, method=method, origin=self._sink.origin(dump.line))
        state.waiting.append((secret, dump.line))

    def _learn(self, state: _State, spi_i: int, spi_r: int) -> None:
        if not spi_i:
            return
        if state.spis[0] and state.spis[0] != spi_i:
            # Another attempt under the same name: what waits belongs to the former.
            self._flush(state)
            state.drafts.clear()
            state.generations = 0
        state.spis = (spi_i, spi_r or (state.spis[1] if state.spis[0] == spi_i else 0))

    def _flush(self, state: _State) -> None:
        for item in state.waiting:
            if isinstance(item, tuple):
                secret, line = item
                spis = _known((secret.spi_i, secret.spi_r), state.spis)
                origin = self._sink.origin(line)
                self._sink.add(SharedSecret(secret.value, *spis, method=secret.method, origin=origin))
            else:
                self._keep(item, _known(item.spis, state.spis))
        state.waiting.clear()

    def _keep(self, draft: _Draft, spis: tuple[int, int]) -> None:
        keys = draft.keys
        if not keys.get("sk_ei") and not keys.get("sk_d"):
            self._sink.tell("the keys of an IKE SA are not complete", draft.line)
            return
        self._sink.add(
            IkeKeys(
                version=draft.version,
                spi_i=spis[0],
                spi_r=spis[1],
                encryption=draft.suite.encryption,
                integrity=(draft.suite.integrity or 0) if draft.version == 2 and draft.suite.encryption else None,
                prf=draft.suite.prf,
                origin=self._sink.origin(draft.line),
                **keys,
            )
        )


def _known(first: tuple[int, int], later: tuple[int, int]) -> tuple[int, int]:
    """The SPIs as known when the keys were made, with what came to be known of the same SA later."""
    return later if not first[0] or (first[0] == later[0] and not first[1]) else first
