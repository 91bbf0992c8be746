"""Public values and nonces against numbers computed independently: powers, points by a library, its refusals."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.findings import Finding, Severity
from ipsecanalyze.findings.audit.groups import curve, fault_of, modp_prime, public_octets
from ipsecanalyze.findings.audit.walk import encrypted_octets, values_of
from ipsecanalyze.ike.payloads import KePayload

sys.path.insert(0, str(Path(__file__).parent))
from audit_made import HERE, STRONG, THERE, Wire, audited, message, proposal, sound

CURVES = {
    19: ec.SECP256R1,
    20: ec.SECP384R1,
    21: ec.SECP521R1,
    25: ec.SECP192R1,
    26: ec.SECP224R1,
    28: ec.BrainpoolP256R1,
    29: ec.BrainpoolP384R1,
    30: ec.BrainpoolP512R1,
}
BITS = {1: 768, 2: 1024, 5: 1536, 14: 2048, 15: 3072, 16: 4096, 17: 6144, 18: 8192, 22: 1024, 23: 2048, 24: 2048}
#: The first and last octets of RFC 2409 §6.1 and RFC 3526: pi begins behind 64 ones, and the constant ends it.
ENDS = {1: "a63a3620", 2: "ece65381", 5: "ca237327", 14: "8aacaa68", 15: "a93ad2ca", 16: "34063199"}


@pytest.mark.parametrize("group", BITS)
def test_primes(group: int) -> None:
    prime = modp_prime(group)
    assert prime is not None
    assert prime.bit_length() == BITS[group]
    assert pow(2, prime - 1, prime) == 1  # Fermat; a wrong constant would not be prime
    if group < 20:
        assert f"{prime:x}".startswith("ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd1")
        assert f"{prime:x}".endswith("ffffffffffffffff")
    if group in ENDS:
        assert f"{prime:x}"[:-16].endswith(ENDS[group])


@pytest.mark.parametrize("group", [14, 15, 2, 22, 23, 24])
def test_values_of_modp_groups(group: int) -> None:
    prime = modp_prime(group)
    assert prime is not None
    octets = BITS[group] // 8
    assert fault_of(group, pow(2, 12345, prime).to_bytes(octets)) is None
    assert fault_of(group, (2).to_bytes(octets)) is None
    assert fault_of(group, (prime - 2).to_bytes(octets)) is None
    assert fault_of(group, (0).to_bytes(octets)) == "is zero"
    assert fault_of(group, (1).to_bytes(octets)) == "is 1"
    assert fault_of(group, (prime - 1).to_bytes(octets)) == "is p - 1"
    assert fault_of(group, prime.to_bytes(octets)) == "is not smaller than the prime"
    assert fault_of(group, b"\xff" * octets) == "is not smaller than the prime"
    assert fault_of(group, bytes(octets - 1)) == f"has {octets - 1} octets instead of {octets}"


@pytest.mark.parametrize("group", CURVES)
def test_points(group: int) -> None:
    found = curve(group)
    assert found is not None
    try:
        numbers = ec.generate_private_key(CURVES[group]()).public_key().public_numbers()
    except UnsupportedAlgorithm:
        pytest.skip("the library has no such curve")
    x, y = numbers.x.to_bytes(found.octets), numbers.y.to_bytes(found.octets)
    assert public_octets(group, is_response=False) == 2 * found.octets
    assert fault_of(group, x + y) is None
    changed = bytearray(x + y)
    changed[-1] ^= 1
    assert fault_of(group, bytes(changed)) == "is not on the curve"
    assert fault_of(group, bytes(2 * found.octets)) == "is zero"
    assert fault_of(group, found.p.to_bytes(found.octets) + y) == "has a coordinate that is not smaller than the prime"
    assert fault_of(group, b"\4" + x + y) == f"has {2 * found.octets + 1} octets instead of {2 * found.octets}"


def test_x25519_of_small_order_is_what_a_library_refuses() -> None:
    private = x25519.X25519PrivateKey.generate()
    assert fault_of(31, private.public_key().public_bytes_raw()) is None
    p = 2**255 - 19
    refused = [1, p - 1, p, p + 1]
    refused += [int.from_bytes(bytes.fromhex(text), "little") for text in (
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    )]  # fmt: skip
    for u in refused:
        for top in (0, 1 << 255):
            value = (u | top).to_bytes(32, "little")
            assert fault_of(31, value) == "is a point of small order"
            with pytest.raises(ValueError, match="computing shared key"):
                private.exchange(x25519.X25519PublicKey.from_public_bytes(value))
    assert fault_of(31, bytes(32)) == "is zero"
    assert fault_of(31, (9).to_bytes(32, "little")) is None


def test_x448_of_small_order() -> None:
    assert fault_of(32, x448.X448PrivateKey.generate().public_key().public_bytes_raw()) is None
    p = 2**448 - 2**224 - 1
    for u in (1, p - 1, p, p + 1):
        assert fault_of(32, u.to_bytes(56, "little")) == "is a point of small order"


def test_kems_by_their_length() -> None:
    assert fault_of(36, b"k" * 1184) is None
    assert fault_of(36, b"k" * 1088, is_response=True) is None
    assert fault_of(36, b"k" * 1184, is_response=True) == "has 1184 octets instead of 1088"
    assert fault_of(37, b"k" * 1568, is_response=True) is None


def test_unknown_groups_are_left_alone() -> None:
    assert fault_of(2000, b"k" * 7) is None
    assert fault_of(2000, bytes(7)) == "is zero"


@given(st.binary(max_size=80), st.integers(0, 65535), st.booleans())
def test_any_octets_may_come(value: bytes, group: int, is_response: bool) -> None:
    fault_of(group, value, is_response=is_response)


# In cases


def test_an_invalid_value_is_told_with_its_frame() -> None:
    wire = Wire()
    point = bytearray(sound(19, 7))
    point[0] ^= 0x55
    wire.init(1)
    wire.init(2, publics=(bytes(point), sound(19, 8)))
    found = audited(wire.case())
    (finding,) = found["invalid-public-value"]
    assert finding.frames == (3,)
    assert finding.severity is Severity.HIGH
    assert "not on the curve" in finding.explanation
    assert HERE in finding.explanation


def test_a_wrong_length_is_less_bad() -> None:
    wire = Wire()
    wire.init(1, publics=(sound(19, 7), sound(19, 8)[:-1]))
    (finding,) = audited(wire.case())["invalid-public-value"]
    assert (finding.frames, finding.severity) == ((2,), Severity.MEDIUM)
    assert "63 octets instead of 64" in finding.title


def test_values_of_ikev1_are_judged_by_the_chosen_group() -> None:
    wire = Wire()
    from audit_made import KE_V1, NONCE_V1, SA_V1, proposal_v1

    suite = proposal_v1((1, 7), (14, 128), (2, 4), (3, 1), (4, 14), (11, 1), (12, 3600))
    wire.send(message(5, 0, 2, 0, 0, (SA_V1, suite), version=0x10), HERE, THERE)
    wire.send(message(5, 6, 2, 0, 0, (SA_V1, suite), version=0x10), THERE, HERE)
    wire.send(message(5, 6, 2, 0, 0, (KE_V1, (1).to_bytes(256)), (NONCE_V1, b"n" * 16), version=0x10), HERE, THERE)
    wire.send(message(5, 6, 2, 0, 0, (KE_V1, sound(14, 3)), (NONCE_V1, b"m" * 16), version=0x10), THERE, HERE)
    (finding,) = audited(wire.case())["invalid-public-value"]
    assert finding.frames == (3,)
    assert finding.title == "A public value of MODP_2048 is 1"


def test_reuse_by_one_sender_by_others_and_reflection() -> None:
    wire = Wire()
    same = sound(19, 99)
    wire.init(1, publics=(same, sound(19, 1)))
    wire.init(2, publics=(same, sound(19, 2)))
    (finding,) = audited(wire.case())["reused-public-value"]
    assert (finding.frames, finding.severity) == ((1, 3), Severity.LOW)
    wire.init(3, publics=(same, sound(19, 3)), here="192.0.2.9")
    assert {one.severity for one in audited(wire.case())["reused-public-value"]} == {Severity.LOW, Severity.MEDIUM}
    mirror = Wire()
    mirror.init(4, publics=(same, same))
    (finding,) = audited(mirror.case())["reused-public-value"]
    assert (finding.frames, finding.severity) == ((1, 2), Severity.HIGH)


def test_a_cookie_round_repeats_without_a_finding() -> None:
    wire = Wire()
    public, spis = sound(19, 5), (0x1234567890ABCDEF, 0x1212121212121212)
    wire.init(1, publics=(public, sound(19, 6)), spis=spis, answer=False)
    wire.send(message(spis[0], 0, 34, 0x20, 0, (41, bytes((0, 0)) + (16390).to_bytes(2) + b"c" * 16)), THERE, HERE)
    cookie = (41, bytes((0, 0)) + (16390).to_bytes(2) + b"c" * 16)
    body = [cookie, (33, proposal(*STRONG)), (34, bytes((0, 19, 0, 0)) + public), (40, b"%032d" % 1)]
    wire.send(message(spis[0], 0, 34, 0x08, 0, *body), HERE, THERE)
    found = audited(wire.case())
    assert not {"reused-public-value", "nonce-reuse", "invalid-public-value"} & found.keys()


def test_values_inside_opened_messages_count() -> None:
    wire = Wire()
    spis = wire.init(1)
    wire.auth(spis)
    inside = KePayload(type=34, group=14, data=(1).to_bytes(256))
    (finding,) = audited(wire.case({3: (inside,)}))["invalid-public-value"]
    assert finding.frames == (3,)


def test_nonces() -> None:
    wire = Wire()
    wire.init(1, nonces=(b"n" * 15, b"m" * 32))
    (finding,) = audited(wire.case())["short-nonce"]
    assert finding.frames == (1,)
    wire = Wire()
    offer = proposal((1, 20, 256), (2, 7), (4, 19))
    wire.init(1, nonces=(b"n" * 31, b"m" * 32), offer=offer)  # PRF_HMAC_SHA2_512 wants 32
    (finding,) = audited(wire.case())["short-nonce"]
    assert "PRF_HMAC_SHA2_512" in finding.explanation
    wire = Wire()
    wire.init(1, nonces=(b"n" * 32, b"m" * 32))
    wire.init(2, nonces=(b"n" * 32, b"o" * 32))
    (finding,) = audited(wire.case())["nonce-reuse"]
    assert (finding.frames, finding.severity) == ((1, 3), Severity.MEDIUM)
    wire = Wire()
    wire.init(1, nonces=(b"n" * 32, b"n" * 32))
    assert audited(wire.case())["nonce-reuse"][0].frames == (1, 2)


@given(st.binary(max_size=200))
def test_the_short_walk_takes_any_octets(octets: bytes) -> None:
    encrypted_octets(octets)
    wire = Wire()
    wire.send(message(1, 0, 34, 0x08, 0)[:16] + octets, HERE, THERE)
    for record in wire.records()[1] if len(octets) > 12 and octets[1] >> 4 in (1, 2) else []:
        list(values_of([record]))


def test_a_flood_stays_linear() -> None:
    wire = Wire()
    value = sound(19, 1)
    for number in range(3_000):
        wire.init(number, publics=(value, value), here=f"10.0.{number >> 8}.{number & 255}", answer=False)
    case = wire.case()
    began = perf_counter()
    found = audited(case)
    assert perf_counter() - began < 5
    assert len(found["reused-public-value"]) == 101


def again(wire: Wire, *, source: str = HERE, after_ms: float = 500, answer_spi: int = 99) -> dict[str, list[Finding]]:
    """The request once more, answered with another SPI, as by a cluster or a responder that began anew."""
    request, answer = wire.sent[:2]
    octets = bytearray(answer.payload)
    octets[8:16] = answer_spi.to_bytes(8)
    wire.send(request.payload, source, THERE, after_ms=after_ms)
    wire.send(bytes(octets[:-1]) + b"\7", THERE, source)
    return audited(wire.case())


@pytest.mark.parametrize("source", [HERE, "203.0.113.9"], ids=["sent again", "seen behind a NAT too"])
def test_one_message_that_comes_again_reuses_nothing_of_its_sender(source: str) -> None:
    wire = Wire()
    wire.init(1, spis=(5, 6))
    found = again(wire, source=source)
    senders = [
        one.explanation.split(" sent ")[0] for slug in ("nonce-reuse", "reused-public-value") for one in found[slug]
    ]
    assert senders == [THERE, THERE]  # whose two answers differ, and have the same values
    assert "predictable-spi" not in found


def test_a_message_that_comes_an_hour_later_was_recorded() -> None:
    wire = Wire()
    wire.init(1, spis=(5, 6))
    found = again(wire, source="203.0.113.9", after_ms=3_600_000)
    assert any(one.explanation.startswith(HERE) for one in found["nonce-reuse"])


def test_mirrored_and_resent_messages_reuse_nothing() -> None:
    for gap_ns in (0, 1_000, 3_000_000_000):
        wire = Wire()
        wire.auth(wire.init(1))
        twice = [replace(one, time_ns=one.time_ns + gap) for one in wire.sent for gap in (0, gap_ns)]
        twice.sort(key=lambda one: one.time_ns)
        wire.sent = [replace(one, frame=frame) for frame, one in enumerate(twice, 1)]
        found = audited(wire.case())
        assert not found.keys() & {"nonce-reuse", "reused-public-value", "predictable-spi", "iv-reuse", "amplification"}
