"""The one place where a ring of keys is completed by what the captures themselves tell, before ESP is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path as FilePath

from ipsecanalyze._fast import make_scanner
from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.capture.pcapng import is_pcapng
from ipsecanalyze.capture.source import open_source
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.keys import load_secrets
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.ike import open_ike
from ipsecanalyze.sa.tracker import Tracker

__all__ = ["Path", "capture_secrets", "complete_ring"]

#: A file's path, or "-" for standard input.
Path = str | os.PathLike[str]


def complete_ring(paths: Iterable[Path], ring: KeyRing) -> KeyRing:
    """The ring, with the ESP and AH keys that follow from its IKE keys and the IKE messages of these captures.

    Captures that can be read only once (standard input, a pipe) are passed over. Raises CaptureError.
    """
    if not (ring.ike or ring.shared_secrets or ring.psks):
        return ring
    tracker = Tracker()

    def feed(datagrams: list[Datagram]) -> None:
        for datagram in datagrams:
            tracker.feed(datagram)

    for number, path in enumerate(paths):
        name = os.fspath(path)
        if name != "-" and FilePath(name).is_file():
            make_scanner(ScanOptions(limits=Limits(flows=1)), path=name, capture=number).scan_file(name, feed)
    tracker.finish()
    return open_ike(tracker.ike_sas, tracker.messages, ring).ring


def capture_secrets(path: Path) -> list[EspKeys]:
    """The ESP and AH keys that a capture file has in Decryption Secrets Blocks (pcapng), wherever they stand in it.

    None for what can be read only once (standard input, a pipe). Raises CaptureError where it cannot be read.
    """
    name = os.fspath(path)
    if name == "-" or not FilePath(name).is_file():
        return []
    with open_source(name) as source:
        if not is_pcapng(source.read(28)):
            return []
    scanner = make_scanner(ScanOptions(limits=Limits(flows=1)), path=name)
    scanner.scan_file(name, lambda _: None)
    secrets = scanner.facts.decryption_secrets
    return load_secrets(secrets, name).esp if secrets else []
