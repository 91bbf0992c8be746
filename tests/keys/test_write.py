"""What is written is read back equal, as far as the format holds it; what it cannot hold is told."""

from __future__ import annotations

import json

# Beside this file, which is not in a package.
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk
from ipsecanalyze.errors import UsageError
from ipsecanalyze.keys import KeyRing
from ipsecanalyze.keys.document import document, write_json
from ipsecanalyze.keys.load import SECRETS_TYPE_ESP, load_secrets
from ipsecanalyze.keys.wireshark_esp import ENCRYPTION_NAMES, INTEGRITY_NAMES, NEWER_ENCRYPTION_NAMES
from ipsecanalyze.keys.write import convert

sys.path.insert(0, str(Path(__file__).parent))
import strategies

SCHEMA = json.loads((resources.files("ipsecanalyze") / "keys.schema.json").read_text())
INTEGRITIES = [(n, 12 if (n, o) == (12, 12) else None) for n, o in INTEGRITY_NAMES]


def back(text: str) -> KeyRing:
    return load_secrets([(SECRETS_TYPE_ESP, text.encode())], "file")


@given(st.lists(strategies.ANY, max_size=8))
def test_json(keys: list) -> None:
    ring = KeyRing(keys)
    text = write_json(ring)
    jsonschema.validate(json.loads(text), SCHEMA)
    found = back(text)
    assert not found.problems
    assert found == ring


@given(st.lists(strategies.esp(sorted(ENCRYPTION_NAMES), INTEGRITIES, plain=True), max_size=6))
def test_wireshark(keys: list[EspKeys]) -> None:
    ring = KeyRing(keys)
    written = convert(ring, "wireshark")
    assert not written.left_out
    found = back(written.files.get("esp_sa", ""))
    assert not found.problems
    assert sorted(map(repr, map(_with_keys, found.esp))) == sorted(map(repr, map(_with_keys, ring.esp)))


@given(st.lists(strategies.esp([*ENCRYPTION_NAMES, *NEWER_ENCRYPTION_NAMES], INTEGRITIES), max_size=6))
def test_wireshark_newer(keys: list[EspKeys]) -> None:
    ring = KeyRing(keys)
    written = convert(ring, "wireshark-newer")
    assert not written.left_out
    found = back(written.files.get("esp_sa", ""))
    assert not found.problems
    assert sorted(map(repr, map(_esn, found.esp))) == sorted(map(repr, map(_esn, ring.esp)))


def _with_keys(keys: EspKeys) -> tuple:
    return (
        *(keys.source, keys.destination, keys.spi, keys.encryption, keys.encryption_key, keys.salt),
        *(keys.integrity, keys.integrity_key, keys.icv_octets, keys.is_checked),
    )


def _esn(keys: EspKeys) -> tuple:
    return (*_with_keys(keys), bool(keys.esn), keys.sequence_high if keys.esn else None)


@given(
    st.integers(1, 2**64 - 1),
    st.integers(1, 2**64 - 1),
    st.lists(st.binary(min_size=32, max_size=32), min_size=4, max_size=4),
)
def test_ike_tables_and_tcpdump(spi_i: int, spi_r: int, keys: list[bytes]) -> None:
    ring = KeyRing([
        IkeKeys(2, spi_i, spi_r, 12, 12, sk_ei=keys[0], sk_er=keys[1], sk_ai=keys[2], sk_ar=keys[3]),
        IkeKeys(1, spi_i, sk_ei=keys[0], sk_er=keys[0]),
    ])  # fmt: skip
    written = convert(ring, "wireshark")
    assert back(written.files["ikev2_decryption_table"] + written.files["ikev1_decryption_table"]) == ring
    assert back(convert(ring, "tcpdump").files["tcpdump-keys"]).ike[0] == _located(ring.ike[0])


def _located(keys: IkeKeys) -> IkeKeys:
    from dataclasses import replace

    return replace(keys, origin="file:1")


@given(st.lists(strategies.esp([12, 3, 2], [(1, None), (2, None)], plain=True, any_spi=False), max_size=5))
def test_tcpdump(keys: list[EspKeys]) -> None:
    """Neither the source nor the integrity algorithm has a place there."""
    keys = [key for key in keys if key.destination is not None]
    written = convert(KeyRing(keys), "tcpdump")
    assert not written.left_out
    found = back(written.files.get("tcpdump-keys", ""))
    assert not found.problems
    expected = {(key.destination, key.spi, key.encryption, key.encryption_key, 12) for key in keys}
    assert {(k.destination, k.spi, k.encryption, k.encryption_key, k.icv_octets) for k in found.esp} == expected


def test_what_cannot_be_written_is_told() -> None:
    ring = KeyRing([
        EspKeys(spi=1, encryption=28, encryption_key=b"k" * 32, salt=b"salt"),
        EspKeys(protocol="AH", spi=2, integrity=12, integrity_key=b"k" * 32),
        IkeKeys(sk_ei=b"e" * 32, sk_er=b"f" * 32),
        Psk(b"secret"),
    ])  # fmt: skip
    for to in ("wireshark", "tcpdump"):
        written = convert(ring, to)
        assert not written.files
        assert len(written.left_out) == 4
        assert "secret" not in " ".join(written.left_out)
    assert len(convert(ring, "wireshark-newer").left_out) == 3
    with pytest.raises(UsageError):
        convert(ring, "pgp")


def test_without_addresses_4_0_gets_a_line_for_each_family() -> None:
    ring = KeyRing([EspKeys(spi=1, encryption=12, encryption_key=b"k" * 16)])
    assert [line[:6] for line in convert(ring, "wireshark").files["esp_sa"].splitlines()] == ['"IPv4"', '"IPv6"']
    assert convert(ring, "wireshark-newer").files["esp_sa"].startswith('"Any",')


def test_gcm_of_save_keys_is_written_as_wireshark_reads_it() -> None:
    text = f'"IPv4","*","*","0x1","AES-GCM [RFC4106]","0x{"11" * 20}","ANY 128 bit authentication [no checking]",""\n'
    written = convert(back(text), "wireshark").files["esp_sa"]
    assert '"AES-GCM with 16 octet ICV [RFC4106]"' in written
    assert '"NULL",""' in written


def test_generations_that_wireshark_does_not_use_are_told() -> None:
    keys = [IkeKeys(2, 1, 2, 12, 12, sk_ei=bytes([n]) * 16, sk_er=bytes([n]) * 16) for n in range(3)]
    written = convert(KeyRing(keys), "wireshark")
    assert len(written.files["ikev2_decryption_table"].splitlines()) == 3
    assert "last of its 3 generations" in written.left_out[0]


def test_document_of_other_programs_is_told() -> None:
    for text in ('{"schema": "other/1"}', "{", "{" * 100_000, '{"a": ' * 100_000):
        assert back(text).problem_count == 1
    ring = back(
        '{"schema": "ipsecanalyze.keys/1", "esp": [{"spi": "zz"}, {"spi": "1"}, 3], "ike": 4, "psks": [{"value": ""}]}'
    )
    assert len(ring.esp) == 1
    assert ring.problem_count == 4
    assert document(KeyRing())["schema"] == "ipsecanalyze.keys/1"
