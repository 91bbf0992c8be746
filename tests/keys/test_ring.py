"""The ring: candidates in their order, duplicates, generations, merging, and what it never shows."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys import KeyRing
from ipsecanalyze.keys.ring import MAX_PROBLEMS


def esp(source, destination, spi, key=b"k" * 16, **others) -> EspKeys:
    return EspKeys(source=source, destination=destination, spi=spi, encryption=12, encryption_key=key, **others)


def test_candidates_come_in_order() -> None:
    exact = esp("10.0.0.1", "10.0.0.2", 7, b"a" * 16)
    behind_nat = esp("192.168.1.9", "10.0.0.2", 7, b"b" * 16)
    elsewhere = esp("192.168.1.9", "172.16.0.1", 7, b"c" * 16)
    wild = esp("10.0.0.*", "10.0.0.0/24", None, b"d" * 16)
    other_net = esp("10.9.0.0/16", None, None, b"e" * 16)
    ring = KeyRing([other_net, wild, elsewhere, behind_nat, exact])
    assert ring.esp_for("10.0.0.1", "10.0.0.2", 7) == [exact, behind_nat, elsewhere, wild, other_net]
    assert ring.esp_for("10.0.0.1", "10.0.0.2", 8) == [wild, other_net]
    assert ring.esp_for("10.0.0.1", "10.0.0.2", 7, "AH") == []


def test_unchecked_keys_come_behind_checked_ones() -> None:
    unchecked = esp("10.0.0.1", "10.0.0.2", 7, icv_octets=12, is_checked=False)
    checked = esp("10.0.0.1", "10.0.0.2", 7, integrity=8, integrity_key=b"i" * 16)
    assert KeyRing([unchecked, checked]).esp_for("10.0.0.1", "10.0.0.2", 7) == [checked, unchecked]


def test_addresses_have_one_spelling() -> None:
    ring = KeyRing([esp("2001:DB8:0:0::1", "2001:db8::0002", 7), esp("2001:db8::1", "2001:db8::2", 7)])
    assert len(ring) == 1
    assert ring.esp_for("2001:db8:0::1", "2001:db8:0:0:0::2", 7)


def test_duplicates_collapse_and_add_what_they_know() -> None:
    ring = KeyRing([esp("10.0.0.1", "10.0.0.2", 7, origin="log:1")])
    ring.add(esp("10.0.0.1", "10.0.0.2", 7, esn=True, sequence_high=2, mode="tunnel", origin="xfrm:1"))
    ring.add(esp("10.0.0.1", "10.0.0.2", 7, esn=True, sequence_high=1))
    (keys,) = ring.esp
    assert (keys.esn, keys.sequence_high, keys.mode, keys.origin) == (True, 2, "tunnel", "log:1")


def test_generations_keep_their_order() -> None:
    first = IkeKeys(spi_i=1, spi_r=2, sk_ei=b"1" * 32, sk_er=b"2" * 32)
    second = IkeKeys(spi_i=1, spi_r=2, sk_ei=b"3" * 32, sk_er=b"4" * 32)
    lost = IkeKeys(sk_ei=b"5" * 32, sk_er=b"6" * 32)
    ring = KeyRing([lost, first, second])
    assert ring.ike_for(1, 2) == [first, second, lost]
    assert ring.ike_for(1, 9) == [lost]
    assert ring.ike_for(1, 0) == [first, second, lost]


def test_ike_keys_complete_each_other() -> None:
    table = IkeKeys(spi_i=1, spi_r=2, encryption=12, integrity=12, sk_ei=b"e" * 32, sk_er=b"f" * 32)
    log = IkeKeys(sk_ei=b"e" * 32, sk_er=b"f" * 32, sk_d=b"d" * 32, prf=5)
    for ring in (KeyRing([table, log]), KeyRing([log, table])):
        (keys,) = ring.ike_for(1, 2)
        assert (keys.spi_i, keys.sk_d, keys.prf, keys.encryption) == (1, b"d" * 32, 5, 12)
        assert len(ring) == 1


def test_a_ppk_makes_another_set_of_keys() -> None:
    """RFC 8784: SK_d changes, SK_e does not."""
    before = IkeKeys(spi_i=1, spi_r=2, sk_ei=b"e" * 32, sk_er=b"f" * 32, sk_d=b"1" * 32)
    after = IkeKeys(spi_i=1, spi_r=2, sk_ei=b"e" * 32, sk_er=b"f" * 32, sk_d=b"2" * 32)
    assert KeyRing([before, after]).ike_for(1, 2) == [before, after]


def test_shared_secrets() -> None:
    known, unknown = SharedSecret(b"known", 1, 2), SharedSecret(b"unknown")
    ring = KeyRing([unknown, known])
    assert ring.shared_secrets_for(1, 2) == [known, unknown]
    ring.add(SharedSecret(b"unknown", 3, 4))
    assert [secret.value for secret in ring.shared_secrets_for(1, 2)] == [b"known"]
    assert len(ring) == 2


def test_psks_for_whom_they_are() -> None:
    anybody, moon, both = Psk(b"x"), Psk(b"y", ("moon",)), Psk(b"z", ("@moon", "sun"))
    ring = KeyRing([anybody, moon, both])
    assert ring.psks_for("moon", "sun") == [both, moon, anybody]
    assert ring.psks_for("venus") == [anybody, moon, both]


def test_merging_keeps_keys_and_problems() -> None:
    one, other = KeyRing([Psk(b"x")]), KeyRing([Psk(b"x"), Psk(b"y")])
    other.tell("file", 3, "broken")
    one.merge(other)
    assert len(one) == 2
    assert [str(problem) for problem in one.problems] == ["file:3: broken"]


def test_problems_are_bounded() -> None:
    ring = KeyRing()
    for number in range(MAX_PROBLEMS + 5):
        ring.tell("file", number, "broken")
    assert (len(ring.problems), ring.problem_count) == (MAX_PROBLEMS, MAX_PROBLEMS + 5)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=12))
def test_adding_twice_changes_nothing(plan: list[tuple[int, int, bool]]) -> None:
    keys = [esp("10.0.0.1", f"10.0.0.{d}", s if known else None, bytes([s]) * 16) for s, d, known in plan]
    once, twice = KeyRing(keys), KeyRing(keys + keys)
    assert once == twice
    merged = KeyRing(keys)
    merged.merge(once)
    assert merged == once


def test_repr_has_counts_only() -> None:
    ring = KeyRing([esp("10.0.0.1", "10.0.0.2", 7), Psk(b"secret")])
    assert repr(ring) == "KeyRing(esp=1, ike=0, shared_secrets=0, psks=1, problems=0)"


def test_few_of_very_many_keys_without_spis_take_no_time() -> None:
    many = range(1, 50_001)
    ring = KeyRing(IkeKeys(version=1 + number % 2, sk_ei=number.to_bytes(16)) for number in many)
    ring.add(*(SharedSecret(number.to_bytes(16)) for number in many))
    ring.add(*(Psk(number.to_bytes(16), (f"peer-{number}",)) for number in many), Psk(b"quantum", is_ppk=True))
    start = time.perf_counter()
    for number in range(5_000):
        assert {keys.version for keys in ring.ike_for(1, 2, version=2, strays=8)} == {2}
        assert len(ring.shared_secrets_for(1, 2, strays=8)) == 8
        assert ring.psks_for(f"PEER-{number + 1}", most=8)[0].identities == (f"peer-{number + 1}",)
        assert [psk.value for psk in ring.ppks(8)] == [b"quantum"]
    assert time.perf_counter() - start < 5


def test_keys_of_both_versions_come_in_the_order_of_the_ring() -> None:
    first, second, third = (IkeKeys(version=version, sk_ei=key) for version, key in ((2, b"a"), (1, b"b"), (2, b"c")))
    assert KeyRing([first, second, third]).ike_for(1, 2) == [first, second, third]
    assert KeyRing([first, second, third]).ike_for(1, 2, strays=2) == [first, second]
