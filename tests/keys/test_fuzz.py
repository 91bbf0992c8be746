"""Readers take anything: random text, and real files that were damaged."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.keys.formats import FORMATS
from ipsecanalyze.keys.load import SECRETS_TYPE_ESP, load_secrets
from ipsecanalyze.keys.reader import Sink
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.keys.write import WRITERS

FILES = sorted(
    path
    for name in ("v2-psk-aescbc-a", "v1-main-psk-a", "lsw-v2-a", "v2-cert-gcm-esn-a")
    for path in (Path(__file__).parents[1] / "captures" / name / "keys").iterdir()
)
SETKEY = b"192.0.2.1 198.51.100.1\n\tesp mode=tunnel spi=7(0x00000007) reqid=1\n\tE: aes-gcm-16 1dd058ed 63905223\n"
TCPDUMP = b"0x1@192.0.2.1 aes128-cbc-hmac96:0x00112233445566778899aabbccddeeff,file x,ikev2 I 0x00 0x00 a:0x b:0x\n"


@cache
def content(path: Path) -> bytes:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return data[-12_000:]


def check(data: bytes) -> None:
    """Whatever was read can be shown and written."""
    ring = load_secrets([(SECRETS_TYPE_ESP, data)], "file")
    repr(list(ring))
    for writer in WRITERS.values():
        writer(ring)


@given(st.binary(max_size=400))
def test_octets(data: bytes) -> None:
    check(data)


@given(
    st.lists(st.text(alphabet=' \t0x12afAF"\\,{}[]()<>|:=@#/.-_%IPv4srcdstproespIKECHDkey', max_size=80), max_size=8)
)
def test_every_reader_takes_every_line(lines: list[str]) -> None:
    for row in FORMATS:
        reader = row.reader(Sink(KeyRing(), "file"))
        for line in lines:
            row.recognises(line)
            reader.feed(line)
        reader.finish()


@settings(max_examples=150)
@given(st.data())
def test_damaged_files(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([SETKEY, TCPDUMP, *map(content, FILES)])))
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(whole)))
        size = data.draw(st.integers(0, 60))
        whole[start : start + size] = data.draw(st.binary(max_size=20))
    check(bytes(whole))
