"""`ip xfrm state` in all its spellings."""

from __future__ import annotations

import pytest

AES_GCM = "0x" + "11" * 16 + "22" * 4
RECORD = f"""src 10.0.0.1 dst 10.0.0.2
\tproto esp spi 0x00001234 reqid 5 mode tunnel
\treplay-window 0 flag af-unspec esn
\taead rfc4106(gcm(aes)) {AES_GCM} 128
\tanti-replay esn context:
\t seq-hi 0x0, seq 0x5, oseq-hi 0x3, oseq 0x10
\t replay_window 64, bitmap-length 2
\t 00000000 00000000
\tdir out
"""


def test_record(ring_of) -> None:
    (keys,) = ring_of(RECORD).esp
    assert (keys.source, keys.destination, keys.spi, keys.mode) == ("10.0.0.1", "10.0.0.2", 0x1234, "tunnel")
    assert (keys.encryption, keys.encryption_key, keys.salt) == (20, b"\x11" * 16, b"\x22" * 4)
    assert (keys.esn, keys.sequence_high, keys.origin) == (True, 3, "file:1")


def test_one_line_a_record(ring_of) -> None:
    text = RECORD.rstrip("\n").replace("\n", "\\")
    other = text.replace("0x00001234", "0x00001235")
    assert [keys.spi for keys in ring_of(f"{text}\\\n{other}\\\n").esp] == [0x1234, 0x1235]
    assert ring_of(text) == ring_of(RECORD)


def test_statistics(ring_of) -> None:
    text = RECORD.replace("0x00001234", "0x00001234(4660)").replace(" 128\n", " (160 bits) 128\n")
    assert ring_of(text) == ring_of(RECORD)


def test_monitor(ring_of) -> None:
    text = f"Timestamp: Mon Nov 23 05:58:15 2026 732207 usec\nUpdated {RECORD}Timestamp: x\nDeleted {RECORD}"
    assert ring_of(text) == ring_of(RECORD)


def test_hidden_keys_are_told(ring_of) -> None:
    ring = ring_of(RECORD.replace(AES_GCM, "<<Keys hidden>>"))
    assert len(ring) == 0
    assert "hidden" in ring.problems[0].what
    assert ring.problems[0].line == 1


@pytest.mark.parametrize(
    ("line", "encryption", "integrity", "octets"),
    [
        ("enc cbc(aes) 0x" + "33" * 16, 12, 12, 12),
        ("enc ecb(cipher_null) ", 11, 12, 12),
        ("enc cbc(des3_ede) 0x" + "33" * 24, 3, 12, 12),
        ("enc rfc3686(ctr(aes)) 0x" + "33" * 20, 13, 12, 12),
    ],
)
def test_separate_integrity_truncated(ring_of, line, encryption, integrity, octets) -> None:
    text = f"src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x1 reqid 0 mode transport\n\t{line}\n"
    (keys,) = ring_of(text + f"\tauth-trunc hmac(sha256) 0x{'44' * 32} 96\n").esp
    assert (keys.encryption, keys.integrity, keys.icv_octets) == (encryption, integrity, octets)
    (keys,) = ring_of(text + f"\tauth-trunc hmac(sha256) 0x{'44' * 32} 128\n").esp
    assert keys.icv_octets is None
    # Without a length the kernel takes that of the draft.
    (keys,) = ring_of(text + f"\tauth hmac(sha256) 0x{'44' * 32}\n").esp
    assert keys.icv_octets == 12


@pytest.mark.parametrize(("bits", "encryption"), [(64, 14), (96, 15), (128, 16)])
def test_ccm_has_a_salt_of_three_octets(ring_of, bits, encryption) -> None:
    text = RECORD.replace("rfc4106(gcm(aes))", "rfc4309(ccm(aes))").replace(AES_GCM, "0x" + "11" * 19)
    (keys,) = ring_of(text.replace(" 128\n", f" {bits}\n")).esp
    assert (keys.encryption, len(keys.encryption_key), len(keys.salt)) == (encryption, 16, 3)


def test_broken_records_are_told_and_the_others_count(ring_of) -> None:
    short = RECORD.replace(AES_GCM, "0x" + "11" * 15)
    strange = RECORD.replace("rfc4106(gcm(aes))", "rfc9999(foo)")
    odd = RECORD.replace(AES_GCM, "0x123")
    ring = ring_of(short + strange + odd + RECORD)
    assert len(ring) == 1
    assert [problem.line for problem in ring.problems] == [1, 10, 19]
    assert "rfc9999(foo)" in ring.problems[1].what


def test_policies_and_compression_have_no_keys(ring_of) -> None:
    text = """src 10.1.0.0/24 dst 10.2.0.0/24
\tdir out priority 375423 ptype main
\ttmpl src 192.0.2.1 dst 198.51.100.1
\t\tproto esp spi 0xc21a9f0d reqid 1 mode tunnel
src 192.0.2.1 dst 198.51.100.1
\tproto comp spi 0x00009251 reqid 1 mode tunnel
\tcomp deflate\x20
"""
    ring = ring_of(text)
    assert len(ring) == 0
    assert not ring.problems
