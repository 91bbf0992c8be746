"""ESP and AH headers: scapy as an independent writer, and every truncation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.errors import WireError
from ipsecanalyze.esp.header import AhHeader, EspHeader

word = st.integers(0, 0xFFFFFFFF)


@given(word, word, st.binary(max_size=20))
def test_esp(spi: int, sequence: int, rest: bytes) -> None:
    header = EspHeader.parse(EspHeader(spi, sequence).to_bytes() + rest)
    assert header == EspHeader(spi, sequence)


@given(st.integers(0, 255), word, word, st.binary(max_size=64), st.integers(0, 0xFFFF), st.binary(max_size=20))
def test_ah(protocol: int, spi: int, sequence: int, icv: bytes, reserved: int, rest: bytes) -> None:
    icv = icv[: len(icv) // 4 * 4]
    octets = AhHeader(protocol, spi, sequence, icv, reserved).to_bytes()
    header = AhHeader.parse(octets + rest)
    assert (header.next_header, header.spi, header.sequence, header.icv) == (protocol, spi, sequence, icv)
    assert header.header_length == len(octets)
    assert not header.cut
    assert header.to_bytes() == octets
    for end in range(len(octets)):
        if end < 12:
            with pytest.raises(WireError):
                AhHeader.parse(octets[:end])
        else:
            assert AhHeader.parse(octets[:end]).cut


def test_headers_that_scapy_wrote() -> None:
    ipsec = pytest.importorskip("scapy.layers.ipsec")
    assert EspHeader.parse(bytes(ipsec.ESP(spi=0xC0FFEE01, seq=77, data=b"x"))) == EspHeader(0xC0FFEE01, 77)
    octets = bytes(ipsec.AH(nh=4, payloadlen=4, spi=0xABCD, seq=9, icv=bytes(range(12))))
    header = AhHeader.parse(octets)
    assert (header.next_header, header.spi, header.sequence, header.icv) == (4, 0xABCD, 9, bytes(range(12)))
    assert header.to_bytes() == octets


@given(st.binary(max_size=80))
def test_random_octets(octets: bytes) -> None:
    for parse, least in ((EspHeader.parse, 8), (AhHeader.parse, 12)):
        if len(octets) < least:
            with pytest.raises(WireError):
                parse(octets)
        else:
            assert octets.startswith(parse(octets).to_bytes())


def test_an_icv_that_fills_no_words_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="32-bit words"):
        AhHeader(4, 1, 1, b"abc").to_bytes()
