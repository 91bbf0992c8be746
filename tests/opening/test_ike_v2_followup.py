"""Several key exchanges of one Child SA, or of the rekeying of an IKE SA: IKE_FOLLOWUP_KE (RFC 9370 §2.2.4).

No daemon at hand does it with keys in its log, so the exchanges are made here, and so is the key schedule, by hashlib
alone.
"""

from __future__ import annotations

import hmac
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ipsecanalyze.crypto.material import IkeKeys, SharedSecret
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.ike import open_ike
from ipsecanalyze.opening.v2_keys import likely_secrets
from ipsecanalyze.sa.tracker import Tracker

sys.path.insert(0, str(Path(__file__).parent))
from test_ike_v2_made import authenticated, beginning, chain, create, esp_keys, keys, opened, sealed

FOLLOWUP, KE, NOTIFY = 44, 34, 41
#: Of the scenario: its IKE_SA_INIT; then SK(0) to SK(2) of what is made here; and one of another exchange.
FIRST, SK, OTHER = b"first" * 6, [b"zero" * 8, b"one" * 11, b"two" * 9], b"other" * 5
ESP = ((1, 12, 128), (3, 12, None), (4, 31, None), (5, 0, None))
IKE = ((1, 12, 128), (2, 5, None), (3, 12, None), (4, 31, None))
ADDITIONAL = ((6, 36, None), (7, 0, None), (8, 37, None))
SPIS = (b"\0\0\0\x11", b"\0\0\0\x22")


def prf_plus(key: bytes, seed: bytes, octets: int) -> bytes:
    block, found = b"", b""
    for number in range(1, 256):
        block = hmac.digest(key, block + seed + bytes((number,)), "sha256")
        found += block
        if len(found) >= octets:
            break
    return found[:octets]


def followups(number: int, count: int) -> list[bytes]:
    """IKE_FOLLOWUP_KE exchanges; what is in them matters to nobody who has the shared secrets."""
    link = b"\0\0" + (16441).to_bytes(2) + b"link"
    content = chain((KE, (36).to_bytes(2) + bytes(2 + 32)), (NOTIFY, link))
    rounds = range(number, number + count)
    return [sealed(FOLLOWUP, place, content, response=response) for place in rounds for response in (False, True)]


def ring(*values: bytes) -> KeyRing:
    spis = (keys().spi_i, keys().spi_r)
    return KeyRing([keys(), *(SharedSecret(value, *spis) for value in values)])


@pytest.mark.parametrize(
    "secrets",
    [
        (FIRST, *SK),
        (FIRST, OTHER, *SK, OTHER[1:]),
        # charon prints what comes behind SK(0) as one.
        (FIRST, SK[0], SK[1] + SK[2]),
        (SK[2], SK[0], SK[1]),
    ],
    ids=["in order", "among others", "joined", "in disorder"],
)
def test_a_child_with_several_key_exchanges(secrets: tuple[bytes, ...]) -> None:
    messages = [*authenticated(), *create(2, SPIS, transforms=(*ESP, *ADDITIONAL)), *followups(3, 2)]
    _, records, revealed = opened(messages, ring(*secrets))
    assert revealed.opened == len(records) - 2
    nonces = bytes((2, 0)) * 16 + bytes((2, 1)) * 16
    material = prf_plus(keys().sk_d, SK[0] + nonces + SK[1] + SK[2], 2 * 48)
    (child,) = revealed.children
    assert not child.missing
    found = {(key.spi, key.encryption_key, key.integrity_key) for key in child.keys}
    assert (0x22, material[:16], material[16:48]) in found
    assert (0x11, material[48:64], material[64:]) in found


def test_what_comes_behind_it_has_its_place() -> None:
    # 20 Child SAs with three key exchanges each, in the order of the log.
    secrets = [FIRST]
    messages = authenticated()
    for number in range(2, 22):
        secrets += [bytes((number, place)) * 16 for place in range(3)]
        messages += create(number, (number.to_bytes(4), (900 + number).to_bytes(4)), transforms=(*ESP, *ADDITIONAL))
    _, _, revealed = opened(messages, ring(*secrets))
    found = esp_keys(revealed)
    assert len(found) == 40
    for number, child in enumerate(revealed.children, 2):
        mine = secrets[3 * number - 5 : 3 * number - 2]
        seed = mine[0] + bytes((number, 0)) * 16 + bytes((number, 1)) * 16 + mine[1] + mine[2]
        assert child.keys[0].encryption_key == prf_plus(keys().sk_d, seed, 16)


def test_without_the_secrets_it_is_told() -> None:
    _, _, revealed = opened(create(0, SPIS, transforms=(*ESP, *ADDITIONAL)), ring(FIRST))
    (child,) = revealed.children
    assert not child.keys
    assert "several key exchanges" in child.missing


def test_an_ike_sa_is_rekeyed_with_several_key_exchanges() -> None:
    spis = (b"\x33" * 8, b"\x44" * 8)
    messages = [*authenticated(), *create(2, spis, protocol=1, transforms=(*IKE, *ADDITIONAL)), *followups(3, 2)]
    nonces = bytes((2, 0)) * 16 + bytes((2, 1)) * 16
    seed = hmac.digest(keys().sk_d, SK[0] + nonces + SK[1] + SK[2], "sha256")
    material = prf_plus(seed, nonces + b"".join(spis), 32 * 3 + 16 * 2 + 32 * 2)
    sk_d, sk_ai, sk_ei = material[:32], material[32:64], material[96:112]

    # The new IKE SA's first message: an empty INFORMATIONAL request, AES-128-CBC and HMAC-SHA2-256-128.
    body = bytes(16) + Cipher(algorithms.AES(sk_ei), modes.CBC(bytes(16))).encryptor().update(bytes(15) + b"\x0f")
    octets = b"".join(spis) + bytes((46, 0x20, 37, 8)) + bytes(4) + (28 + 4 + len(body) + 16).to_bytes(4)
    octets += bytes(2) + (4 + len(body) + 16).to_bytes(2) + body
    octets += hmac.digest(sk_ai, octets, "sha256")[:16]

    tracker = Tracker()
    first, second = beginning()
    for number, message in enumerate((first.payload, second.payload, *messages, octets)):
        like = first if message[19] & 8 else second
        when = first.time_ns + number * 1_000_000
        tracker.feed(replace(like, payload=message, length=len(message), frame=1 + number, time_ns=when))
    tracker.finish()
    result = open_ike(tracker.ike_sas, tracker.messages, ring(FIRST, OTHER, *SK))
    old, heir = tracker.ike_sas
    assert heir.rekeys == old.id
    (used,) = result.revealed[heir.id].keys
    assert isinstance(used, IkeKeys)
    assert used.sk_d == sk_d


def test_so_many_are_tried_and_no_more() -> None:
    many = [SharedSecret(number.to_bytes(2)) for number in range(500)]
    for count in range(1, 9):
        assert len(likely_secrets(many, [31] * count, 7)) == 32
    assert likely_secrets(many, [31, 36], 7)[0] == ((7).to_bytes(2), (8).to_bytes(2))
    assert likely_secrets([], [31, 36], 0) == []
