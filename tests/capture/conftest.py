"""Helpers for the tests of capture/: packets to decode, captures to write, and tshark to ask."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ipsecanalyze.capture.decoder import Decoder, datagrams
from ipsecanalyze.capture.packet import Datagram, Packet
from ipsecanalyze.capture.writer import write_capture

SECOND = 1_000_000_000


@pytest.fixture(scope="session")
def decode() -> Callable[..., tuple[list[Datagram], Decoder]]:
    """Decode frames (octets, one a second) of one link type: the datagrams, and the decoder for its counts."""

    def run(frames: Iterable[bytes], link_type: int = 1, **limits: int) -> tuple[list[Datagram], Decoder]:
        decoder = Decoder(**limits)
        packets = (
            Packet(number * SECOND, link_type, bytes(frame), len(bytes(frame)), number)
            for number, frame in enumerate(frames, 1)
        )
        return list(datagrams(packets, decoder)), decoder

    return run


@pytest.fixture
def tshark_fields(tmp_path: Path, tshark_path: str) -> Callable[..., list[list[str]]]:
    """What tshark reads in the given fields, one row a frame."""

    def ask(source: Path | Iterable[bytes], fields: list[str], link_type: int = 1, *options: str) -> list[list[str]]:
        if not isinstance(source, Path):
            path = tmp_path / "asked.pcapng"
            write_capture(
                path,
                [Packet(n * SECOND, link_type, bytes(f), len(bytes(f)), n) for n, f in enumerate(source, 1)],
            )
            source = path
        command = [tshark_path, "-r", str(source), "-T", "fields", *options]
        for field in fields:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    return ask
