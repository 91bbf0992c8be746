"""pluto's log, as its sources print it (programs/pluto: kernel.c, crypt_dh_v2.c, state.c, ikev2_message.c; DBG_dump.c).

No real one with secrets was at hand.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ipsecanalyze.crypto.ike import IkeOpener
from ipsecanalyze.errors import DecryptError

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


def dump(label: str, octets: bytes) -> str:
    """DBG_dump of releases from 3.30 on: hexadecimal in a column of its width, then what is printable."""
    text = f"| {label}\n"
    for at in range(0, len(octets), 16):
        row = octets[at : at + 16]
        pairs = "".join(f"{' ' * (1 + (not place % 4))}{octet:02x}" for place, octet in enumerate(row))
        shown = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in row)
        text += f"| {pairs:<52}   {shown}\n"
    return text


def test_dumps_with_a_column_of_text(ring_of) -> None:
    encryption, integrity = b"ab cd ef 12 34 !", b"0123456789 a b c 12."
    text = dump("ESP encrypt key:", encryption) + dump("ESP integrity key:", integrity)
    ring = ring_of(text + LOG.splitlines()[-1])
    assert {(keys.encryption_key, keys.integrity_key) for keys in ring.esp} == {(encryption, integrity)}


KEYS = bytes(range(32)), bytes(range(32, 64))
SALTS = b"in1t", b"re$p"
LINES = "".join(
    f"| ikev2 {side} 0x95fdb71f535797f6 0xb96f40ed41a432a8 none: aes_gcm256:0x{key.hex()}\n"
    for side, key in zip("IR", KEYS, strict=True)
)


def sealed(from_initiator: bool) -> bytes:
    """An IKEv2 message with an empty SK payload of AES-GCM (RFC 5282), sealed by the library itself."""
    head = bytes.fromhex("95fdb71f535797f6b96f40ed41a432a8") + bytes((46, 0x20, 37, 8 if from_initiator else 32))
    head += bytes(4) + (28 + 4 + 8 + 1 + 16).to_bytes(4) + bytes((0, 0, 0, 29))
    key, salt = (KEYS[0], SALTS[0]) if from_initiator else (KEYS[1], SALTS[1])
    return head + b"12345678" + AESGCM(key).encrypt(salt + b"12345678", b"\0", head)


def opens(keys, from_initiator: bool) -> bool:
    try:
        return IkeOpener(keys).open(sealed(from_initiator)).chain == b""
    except DecryptError:
        return False


def test_salts_of_aead_on_lines_of_their_own(ring_of) -> None:
    def pair(initiator: bytes, responder: bytes) -> str:
        both = dump("calc_skeyseed_v2 initiator salt", initiator), dump("calc_skeyseed_v2 responder salt", responder)
        return "".join(both)

    # Another IKE SA was begun meanwhile; which salts are whose, the log does not say.
    ring = ring_of(pair(*SALTS) + dump("calc_skeyseed_v2 SK_pi", bytes(32)) + pair(b"xxxx", b"yyyy") + LINES)
    assert len(ring.ike) == 2
    for side in (True, False):
        assert [opens(keys, side) for keys in ring.ike] == [False, True]
    assert not ring.problems


@pytest.mark.parametrize("side", [0, 1])
def test_the_salt_of_one_direction(ring_of, side: int) -> None:
    ring = ring_of(dump("Salt before authenticated encryption:", SALTS[side]) + LINES)
    assert sum(opens(keys, not side) for keys in ring.ike) == 1
    assert not any(opens(keys, bool(side)) for keys in ring.ike)


def test_without_salts_it_is_told(ring_of) -> None:
    ring = ring_of("Starting Pluto\n" + dump("calc_skeyseed_v2 initiator salt", b"") + LINES)
    assert not ring.ike
    assert "32 octets, 4 of them the salt" in ring.problems[0].what
