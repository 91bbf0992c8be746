"""IPComp and BEET's header; packets of a kernel are in test_esp.py."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto.ipcomp import decompress, read_beet
from ipsecanalyze.errors import DecryptError

from .conftest import outcome, slug_of


def deflate(data):
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def test_deflate():
    head = bytes((4, 0, 0xAB, 0xCD))
    for wrap in (bytes, memoryview):
        opened = decompress(wrap(head + deflate(b"packet" * 50)))
        assert opened == (4, b"packet" * 50, 0xABCD)
    assert decompress(bytes((6, 0, 0, 2)) + deflate(b"x")).payload == b"x"


def test_what_cannot_be_decompressed_is_told():
    assert slug_of(decompress, b"\x04\x00\x00") == "too-short"
    with pytest.raises(DecryptError, match="LZS is not supported: of IPComp only DEFLATE"):
        decompress(bytes((4, 0, 0, 3)) + b"data")
    assert slug_of(decompress, bytes((4, 0, 0xAB, 0xCD)) + b"data", 3) == "unsupported"
    assert slug_of(decompress, bytes((4, 0, 0, 2)) + b"\xff\xff") == "malformed"
    assert slug_of(decompress, bytes((4, 0, 0, 2)) + deflate(b"packet" * 9)[:-2]) == "malformed"
    assert slug_of(decompress, bytes((4, 0, 0, 2)) + deflate(bytes(10_000_000))) == "malformed"


def test_beet():
    header = read_beet(bytes((6, 1, 4, 0)) + bytes(4) + b"optionsX" + b"payload")
    assert header == (6, b"optionsX", b"payload")
    assert slug_of(read_beet, b"\x06\x00") == "too-short"
    assert slug_of(read_beet, bytes((6, 0, 9, 0)) + bytes(4)) == "malformed"
    assert slug_of(read_beet, bytes((6, 9, 0, 0)) + bytes(4)) == "malformed"


@given(st.binary(max_size=80))
def test_any_octets_raise_nothing_else(octets):
    for read in (decompress, read_beet):
        assert outcome(read, octets) in {"", "too-short", "malformed", "unsupported"}
