"""The keys of a lab from every source that has them, and whether the sources agree.

Sources: the log of each gateway's charon (or pluto), the kernel's SAs (`ip xfrm state` in the namespace), strongSwan's
save-keys plugin where it is built, and the keys that follow from the IKE secrets and the captured messages. Two sources
that say different keys for one SPI are an error: one of them is read wrongly, or something was forged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.keys import KeyRing, load_keys
from ipsecanalyze.keys.files import write_private
from ipsecanalyze.opening.complete import complete_ring

from .engine import Engine
from .errors import LabError
from .labels import NODE

__all__ = ["CrossCheck", "KeySource", "collect", "cross_check", "derived", "load_sources", "merged"]

_Secret: TypeAlias = tuple[int, bytes, bytes, int, bytes]

#: Where a source is in a container: kind → path of a file, or a command.
_FILES = {"charon.log": "/lab/charon.log", "pluto.log": "/lab/pluto.log", "save-keys": "/lab/save-keys"}
_XFRM = ("ip", "xfrm", "state")


@dataclass(slots=True)
class KeySource:
    """One source and its keys."""

    name: str
    """"moon charon.log", "sun xfrm.txt", "derived"."""
    ring: KeyRing = field(repr=False)

    @property
    def esp(self) -> dict[tuple[str, int], set[_Secret]]:
        """Protocol and SPI → keys; SPIs are enough, since addresses differ on the two sides of a NAT.

        There may be several: with PFS, what follows from IKE depends on which of the known key exchanges it was, and
        only packets can tell.
        """
        found: dict[tuple[str, int], set[_Secret]] = {}
        for keys in self.ring.esp:
            if keys.spi is not None:
                found.setdefault((keys.protocol, keys.spi), set()).add(_secret(keys))
        return found


@dataclass(slots=True)
class CrossCheck:
    """What came of comparing sources."""

    sources: dict[str, int]
    """Source → how many SAs it has keys of."""
    confirmed: int
    """SAs whose keys at least two sources have, and agree on."""
    alone: list[str]
    """SAs that one source has alone."""
    disagreements: list[str]

    @property
    def agreed(self) -> bool:
        """Whether no two sources contradict each other."""
        return not self.disagreements


def collect(engine: Engine, lab: str, folder: Path) -> list[Path]:
    """Write everything that holds keys into files of this folder (0700), each only for its owner; returns them."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{folder}: {error.strerror or error}") from error
    written = []
    for container in engine.containers(lab):
        node = container.labels.get(NODE)
        if not node or container.status != "running":
            continue
        found = {kind: engine.read_file(container, path) for kind, path in _FILES.items()}
        state = engine.execute(container, _XFRM)
        if state.code == 0 and "proto" in state.text:
            found["xfrm.txt"] = state.text.encode()
        for kind, octets in found.items():
            if octets:
                path = folder / f"{node}-{kind}"
                write_private(path, octets.decode("utf-8", "surrogateescape"))
                written.append(path)
    if not written:
        raise LabError(f"lab {lab}: no gateway has printed keys; has anything been initiated?", slug="keys")
    return written


def load_sources(paths: Iterable[Path]) -> list[KeySource]:
    """Read what `collect` wrote; sources without keys are left out."""
    sources = [KeySource(path.name.replace("-", " ", 1), load_keys(os.fspath(path))) for path in paths]
    return [source for source in sources if len(source.ring)]


def derived(sources: Iterable[KeySource], captures: Iterable[Path]) -> KeySource | None:
    """The keys of Child SAs that follow from IKE secrets and captured messages, none of them taken from a log."""
    seed = KeyRing()
    for source in sources:
        seed.add(*source.ring.ike, *source.ring.shared_secrets)
    if not len(seed):
        return None
    ring = complete_ring(list(captures), seed)
    return KeySource("derived from IKE", ring) if ring.esp else None


def merged(sources: Iterable[KeySource]) -> KeyRing:
    """One ring with all keys."""
    ring = KeyRing()
    for source in sources:
        ring.merge(source.ring)
    return ring


def cross_check(sources: Iterable[KeySource]) -> CrossCheck:
    """Compare the keys of each SA between all sources that have them."""
    by_source: Mapping[str, dict[tuple[str, int], set[_Secret]]] = {source.name: source.esp for source in sources}
    check = CrossCheck({name: len(keys) for name, keys in by_source.items()}, 0, [], [])
    for sa in sorted({sa for keys in by_source.values() for sa in keys}):
        holders = {name: keys[sa] for name, keys in by_source.items() if sa in keys}
        title = f"{sa[0]} {sa[1]:08x}"
        if not set.intersection(*holders.values()):
            check.disagreements.append(f"{title}: {' and '.join(holders)} have different keys")
        elif len(holders) > 1:
            check.confirmed += 1
        else:
            check.alone.append(f"{title}: {next(iter(holders))}")
    return check


def _secret(keys: EspKeys) -> _Secret:
    return keys.encryption, keys.encryption_key, keys.salt, keys.integrity, keys.integrity_key
