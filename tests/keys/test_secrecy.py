"""No repr, no message and no problem ever has a key of a scenario in it."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.keys import load_keys
from ipsecanalyze.keys.listing import listing
from ipsecanalyze.keys.load import SECRETS_TYPE_ESP, load_secrets
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.keys.write import WRITERS


def secrets_of(ring: KeyRing) -> list[bytes]:
    found = []
    for keys in ring.esp:
        found += [keys.encryption_key, keys.salt, keys.integrity_key]
    for ike in ring.ike:
        found += [ike.sk_d, ike.sk_ai, ike.sk_ar, ike.sk_ei, ike.sk_er, ike.sk_pi, ike.sk_pr, ike.skeyid, ike.skeyid_e]
    found += [secret.value for secret in ring.shared_secrets] + [psk.value for psk in ring.psks]
    return [secret for secret in found if secret]


def assert_silent(text: str, secrets: list[bytes]) -> None:
    lowered = text.lower()
    for secret in secrets:
        assert secret.hex() not in lowered
        assert repr(secret)[2:-1] not in text


def test_nothing_shows_a_key(scenario: Path) -> None:
    ring = load_keys(scenario / "keys")
    secrets = secrets_of(ring)
    assert_silent(repr(ring) + str(ring), secrets)
    assert_silent("".join(map(repr, ring)), secrets)
    assert_silent(json.dumps(listing(ring)), secrets)
    for writer in WRITERS.values():
        assert_silent(" ".join(writer(ring).left_out), secrets)


@given(st.data())
def test_problems_of_damaged_files_do_not_show_their_keys(data: st.DataObject) -> None:
    folder = Path(__file__).parents[1] / "captures" / "v2-psk-aescbc-a" / "keys"
    names = ["xfrm-monitor-moon.txt", "esp_sa", "ikev2_decryption_table", "swanctl-moon.conf"]
    secrets = secrets_of(load_keys([folder / name for name in names]))
    text = (folder / data.draw(st.sampled_from(names))).read_text()
    words = text.split(" ")
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(words) - 1))
        words.insert(data.draw(st.integers(0, len(words))), words.pop(place))
    ring = load_secrets([(SECRETS_TYPE_ESP, " ".join(words).encode())], "file")
    assert_silent(" ".join(map(str, ring.problems)), secrets)
