"""pluto's log, as its sources print it (programs/pluto: kernel.c, ikev2_crypto.c); no real one was at hand."""

from __future__ import annotations

LOG = """Nov 23 06:27:56.511511: Starting Pluto (Libreswan Version 5.2 IKEv2 IKEv1 XFRM)
Nov 23 06:27:58.484727: | ikev2 I 0x95fdb71f535797f6 0xb96f40ed41a432a8 sha256:0x{a} aes256:0x{b}
Nov 23 06:27:58.484728: | ikev2 R 0x95fdb71f535797f6 0xb96f40ed41a432a8 sha256:0x{b} aes256:0x{a}
Nov 23 06:28:01.100000: | ESP encrypt key:
Nov 23 06:28:01.100000: |   87 ba a5 46  69 74 00 11  22 33 44 55  66 77 88 99
Nov 23 06:28:01.100000: | ESP integrity key:
Nov 23 06:28:01.100000: |   01 02 03 04  05 06 07 08  09 0a 0b 0c  0d 0e 0f 10
Nov 23 06:28:01.100000: |   11 12 13 14
Nov 23 06:28:01.200000: | ESP encrypt key:
Nov 23 06:28:01.200000: |   aa ba a5 46  69 74 00 11  22 33 44 55  66 77 88 99
Nov 23 06:28:01.200000: | ESP integrity key:
Nov 23 06:28:01.200000: |   bb 02 03 04  05 06 07 08  09 0a 0b 0c  0d 0e 0f 10
Nov 23 06:28:01.200000: |   11 12 13 14
Nov 23 06:28:01.209967: "net" #2: initiator established Child SA using #1; IPsec tunnel [10.1.0.0/24===10.2.0.0/24] \
{{ESP/ESN=>0xdeb7bd50 <0xf682b7cf xfrm=AES_CBC_128-HMAC_SHA1_96 DPD=passive}}
""".format(a="11" * 32, b="22" * 32)


def test_pluto(ring_of) -> None:
    ring = ring_of(LOG)
    (ike,) = ring.ike
    assert (ike.spi_i, ike.encryption, ike.integrity) == (0x95FDB71F535797F6, 12, 12)
    assert (ike.sk_ai[0], ike.sk_ei[0], ike.sk_ar[0], ike.sk_er[0]) == (0x11, 0x22, 0x22, 0x11)
    inbound = ring.esp_for(None, None, 0xF682B7CF)
    outbound = ring.esp_for(None, None, 0xDEB7BD50)
    assert [keys.encryption_key[0] for keys in inbound] == [0x87, 0xAA]
    assert [keys.encryption_key[0] for keys in outbound] == [0xAA, 0x87]
    assert {(k.encryption, k.integrity, len(k.integrity_key), k.esn) for k in ring.esp} == {(12, 2, 20, True)}
    assert not ring.problems


def test_older_words(ring_of) -> None:
    older = LOG.replace("encrypt key", "enckey").replace("integrity key", "authkey").replace("/ESN", "")
    ring = ring_of(older)
    assert len(ring.esp) == 4
    assert ring.esp[0].esn is False


def test_aead(ring_of) -> None:
    lines = [line for line in LOG.replace("|   11 12 13 14", "|   ").splitlines() if "ikev2" not in line]
    text = "\n".join(lines).replace("AES_CBC_128-HMAC_SHA1_96", "AES_GCM_16_128-NONE")
    ring = ring_of(text)
    # Without its four octets of salt a key of GCM is of no use.
    assert len(ring) == 0
    assert "impossible" in ring.problems[0].what


def test_without_the_line_of_the_spis_it_is_told(ring_of) -> None:
    ring = ring_of("\n".join(LOG.splitlines()[:-1]))
    assert not ring.esp
    assert "SPIs" in ring.problems[0].what
