"""All that `tcpdump -E` takes."""

from __future__ import annotations

import gzip

from ipsecanalyze.keys import load_keys

KEY = "0x" + "ab" * 16


def test_forms(ring_of) -> None:
    ring = ring_of(f"0x12345678@192.0.2.1 aes128-cbc-hmac96:{KEY}\n305419896@2001:db8::1 3des-cbc:{KEY}{'cd' * 8}\n")
    aes, des = ring.esp
    assert (aes.spi, aes.destination, aes.encryption, aes.icv_octets) == (0x12345678, "192.0.2.1", 12, 12)
    assert not aes.is_checked
    assert (des.spi, des.destination, des.encryption, des.icv_octets) == (305419896, "2001:db8::1", 3, None)


def test_plain_characters_are_a_key_too(ring_of) -> None:
    (keys,) = ring_of("0x1@192.0.2.1 aes-cbc:sixteencharsabcd\n").esp
    assert keys.encryption_key == b"sixteencharsabcd"


def test_several_on_a_line_and_the_command_around_them(ring_of) -> None:
    entries = f"0x1@192.0.2.1 aes128-cbc:{KEY},0x2@192.0.2.1 aes128-cbc:{KEY}"
    assert [keys.spi for keys in ring_of(entries).esp] == [1, 2]
    assert ring_of(f'tcpdump -r wan.pcap -E "{entries}" -n\n') == ring_of(entries)


def test_any_spi(ring_of) -> None:
    (keys,) = ring_of(f"aes128-cbc:{KEY}\n").esp
    assert (keys.spi, keys.destination) == (None, None)


def test_ike(ring_of) -> None:
    spis = "0x0011223344556677 0x8899aabbccddeeff"
    text = f"ikev2 I {spis} sha256:0x{'11' * 32} aes256:0x{'22' * 32}\n"
    text += f"ikev2 R {spis} sha256:0x{'33' * 32} aes256:0x{'44' * 32}\n"
    (keys,) = ring_of(text).ike
    assert (keys.spi_i, keys.spi_r, keys.encryption, keys.integrity) == (0x0011223344556677, 0x8899AABBCCDDEEFF, 12, 12)
    assert (keys.sk_ai[:1], keys.sk_ei[:1], keys.sk_ar[:1], keys.sk_er[:1]) == (b"\x11", b"\x22", b"\x33", b"\x44")
    (half,) = ring_of(text.splitlines()[1]).ike
    assert (half.sk_ei, half.sk_er[:1]) == (b"", b"\x44")


def test_broken_entries_are_told(ring_of) -> None:
    entries = (f"1@nowhere aes128-cbc:{KEY}", f"2@192.0.2.1 rot13:{KEY}", "3@192.0.2.1 aes128-cbc:0x12")
    ring = ring_of("\n".join((*entries, f"4@192.0.2.1 aes128-cbc:{KEY}")))
    assert [keys.spi for keys in ring.esp] == [4]
    assert [problem.line for problem in ring.problems] == [1, 2, 3]


def test_file_beside_the_file(tmp_path) -> None:
    (tmp_path / "secrets").write_text(f"0x1@192.0.2.1 aes128-cbc:{KEY}\n")
    (tmp_path / "options").write_text("file secrets\n")
    ring = load_keys(tmp_path / "options")
    assert [keys.spi for keys in ring.esp] == [1]
    assert ring.esp[0].origin.endswith("secrets:1")


def test_files_in_a_ring_and_missing_ones(tmp_path) -> None:
    (tmp_path / "one").write_text("file two\nfile three\n")
    (tmp_path / "two").write_text("file one\n")
    ring = load_keys(tmp_path / "one")
    assert len(ring) == 0
    assert ring.problem_count == 2


def test_packed(tmp_path) -> None:
    (tmp_path / "keys").write_bytes(gzip.compress(f"0x1@192.0.2.1 aes128-cbc:{KEY}\n".encode()))
    assert len(load_keys(tmp_path)) == 1
