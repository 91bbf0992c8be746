"""`setkey -D`."""

from __future__ import annotations

TEXT = """192.0.2.1 198.51.100.1
\tesp mode=tunnel spi=1675186937(0x63d952f9) reqid=1(0x00000001)
\tE: rijndael-cbc  1dd058ed 63905223 aabbccdd 00112233
\tA: hmac-sha1  fde84c78 00112233 44556677 8899aabb ccddeeff
\tseq=0x00000000 replay=4 flags=0x00000000 state=mature
\tcreated: Nov 23 05:58:15 2026\tcurrent: Nov 23 05:58:16 2026
198.51.100.1[4500] 192.0.2.1[4500]
\tesp-udp mode=any spi=3251595362(0xc1cf6862) reqid=0(0x00000000)
\tE: aes-gcm-16  1dd058ed 63905223 aabbccdd 00112233 deadbeef
\tseq=0x00000000 replay=4 flags=0x00000000 state=mature
192.0.2.1 198.51.100.1
\tah mode=transport spi=4096(0x00001000) reqid=0(0x00000000)
\tA: hmac-sha2-256  00112233 44556677 8899aabb ccddeeff 00112233 44556677 8899aabb ccddeeff
192.0.2.1 198.51.100.1
\tesp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
\tE: rijndael-cbc  1dd058ed 639052
"""


def test_setkey(ring_of) -> None:
    ring = ring_of(TEXT)
    cbc, gcm, ah = ring.esp
    assert (cbc.source, cbc.destination, cbc.spi, cbc.mode) == ("192.0.2.1", "198.51.100.1", 0x63D952F9, "tunnel")
    assert (cbc.encryption, cbc.integrity, len(cbc.encryption_key), len(cbc.integrity_key)) == (12, 2, 16, 20)
    assert (gcm.encryption, gcm.salt.hex(), gcm.mode, gcm.source) == (20, "deadbeef", None, "198.51.100.1")
    assert (ah.protocol, ah.integrity, ah.encryption) == ("AH", 12, 11)
    assert [problem.line for problem in ring.problems] == [15]


def test_no_entries(ring_of) -> None:
    assert len(ring_of("No SAD entries.\n")) == 0
