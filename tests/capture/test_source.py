"""Opening captures: compression by content, standard input, and clear words for what is no capture."""

from __future__ import annotations

import gzip
import io
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.reader import make_walker, open_capture
from ipsecanalyze.capture.source import Source, open_source
from ipsecanalyze.capture.writer import write_capture
from ipsecanalyze.errors import CaptureError

zstandard = pytest.importorskip("zstandard")
PACKETS = [Packet(n * 1000, 1, os.urandom(1000), 1000, n) for n in range(1, 400)]


def capture() -> bytes:
    stream = io.BytesIO()
    write_capture(stream, PACKETS)
    return stream.getvalue()


CAPTURE = capture()
COMPRESSORS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("members", [1, 3])
def test_compressed_by_content(tmp_path, compression, members):
    compress = COMPRESSORS[compression]
    step = len(CAPTURE) // members + 1
    path = tmp_path / "capture.pcap"  # the name tells nothing
    path.write_bytes(b"".join(compress(CAPTURE[i : i + step]) for i in range(0, len(CAPTURE), step)))
    with open_capture(path) as reader:
        assert [p.data for p in reader] == [p.data for p in PACKETS]
        assert (reader.compression, reader.notices) == (compression, [])


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_every_cut_is_told_and_what_is_there_is_used(tmp_path, compression):
    octets = COMPRESSORS[compression](CAPTURE)
    path = tmp_path / "cut"
    count = 0
    for cut in range(200, len(octets), 9973):
        path.write_bytes(octets[:cut])
        try:
            reader = open_capture(path)
        except CaptureError:
            continue  # cut before anything could be decompressed
        count = sum(1 for _ in reader)
        assert count < len(PACKETS)
        assert "truncated-compression" in {n.slug for n in reader.notices}
    assert count > 200


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_damage_and_trailing_data_are_told(tmp_path, compression):
    octets = COMPRESSORS[compression](CAPTURE)
    path = tmp_path / "damaged"
    path.write_bytes(octets + b"\0" * 600)
    with open_capture(path) as reader:
        assert sum(1 for _ in reader) == len(PACKETS)
        assert reader.notices == []
    path.write_bytes(octets + b"trailing")
    with open_capture(path) as reader:
        assert sum(1 for _ in reader) == len(PACKETS)
        assert [n.slug for n in reader.notices] == ["trailing-data"]
    middle = len(octets) // 2
    path.write_bytes(octets + octets[:middle] + b"\xff" * 40 + octets[middle + 40 :])
    with open_capture(path) as reader:
        assert sum(1 for _ in reader) >= len(PACKETS)
        assert "damaged-compression" in {n.slug for n in reader.notices}


def test_a_bomb_is_read_in_bounded_pieces():
    octets = gzip.compress(bytes(100 << 20), 9)
    source = Source(io.BytesIO(octets), "bomb")
    total = largest = 0
    while piece := source.read(1 << 16):
        total += len(piece)
        largest = max(largest, len(source._ready))
    assert total == 100 << 20
    assert largest < 20 << 20


def test_standard_input(monkeypatch):
    class Stdin:
        buffer = io.BytesIO(CAPTURE)

    monkeypatch.setattr(sys, "stdin", Stdin)
    with open_capture("-") as reader:
        assert sum(1 for _ in reader) == len(PACKETS)
        assert reader.path == "standard input"
    assert not Stdin.buffer.closed


def test_a_pipe_gives_packets_as_they_come():
    read, write = os.pipe()
    source = Source(os.fdopen(read, "rb"), "pipe") if os.write(write, CAPTURE[:4000]) else None
    assert source is not None
    got = source.read()
    assert got == CAPTURE[:4000]
    os.close(write)
    assert source.read() == b""
    source.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"Hello world, this is a text file\n", 'begins with "Hello world, thi"'),
        (b"\x1b]0;evil\x07" * 5, "begins with 1b 5d 30"),
        (b"\xd4\xc3\xb2\xa1\x02\x00", "cut inside its header"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(b"text", mtime=0), 'begins with "text"'),
        (b"\x0a\x0d\x0d\x0a", "is not a pcap or pcapng file"),
    ],
)
def test_what_is_no_capture(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as error:
        open_capture(path)
    text = str(error.value)
    assert message in text
    assert text.startswith(f"{path}: ")
    assert text.isprintable()


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(CaptureError, match="no such file"):
        open_capture(tmp_path / "missing")
    with pytest.raises(CaptureError, match="is a directory"):
        open_capture(tmp_path)
    with pytest.raises(CaptureError, match="cannot be opened"):
        open_capture("a\0b")


def test_permission(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CaptureError, match="permission denied"):
        open_source(tmp_path / "x")


class Failing(io.RawIOBase):
    """A disk that fails after some octets."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def read(self, size: int = -1) -> bytes:
        if not self._octets:
            raise OSError(5, "Input/output error")
        octets, self._octets = self._octets, b""
        return octets


def test_a_failing_disk():
    source = Source(Failing(CAPTURE[:1000]), "disk")  # type: ignore[arg-type]
    assert source.read() == CAPTURE[:1000]
    assert source.read() == b""
    assert [n.slug for n in source.notices.notices] == ["read-error"]
    with pytest.raises(CaptureError, match="cannot be read"):
        Source(Failing(b""), "disk")  # type: ignore[arg-type]


@given(st.binary(max_size=100))
def test_random_octets_are_a_capture_or_a_capture_error(octets):
    for content in (octets, gzip.compress(octets, mtime=0), b"\x1f\x8b" + octets, b"\x28\xb5\x2f\xfd" + octets):
        source = Source(io.BytesIO(content), "random")
        head = b""
        while piece := source.read(28):
            head += piece
        with suppress(CaptureError):
            make_walker(head[:28]).feed(head, final=True)
