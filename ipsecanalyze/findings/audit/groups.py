"""The groups of key exchanges as numbers: primes, curves, lengths of public values, and what no honest side sends.

MODP primes of RFC 2409 §6 and RFC 3526 are computed by the formula that defines them (2^n - 2^(n-64) - 1 + 2^64 *
([2^(n-130) pi] + c)); those of RFC 5114 and the curves are written down, as OpenSSL 3 prints them. Nothing here sees
packets.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

__all__ = ["Curve", "curve", "fault_of", "modp_prime", "public_octets"]

#: Group → (bits, c) of the formula (RFC 2409 §6.1, §6.2; RFC 3526 §2 to §7).
_MODP: Final = {
    1: (768, 149686),
    2: (1024, 129093),
    5: (1536, 741804),
    14: (2048, 124476),
    15: (3072, 1690314),
    16: (4096, 240904),
    17: (6144, 929484),
    18: (8192, 4743158),
}
#: Primes of RFC 5114 §2.1 to §2.3.
_RFC_5114: Final = {
    22: int(
        "b10b8f96a080e01dde92de5eae5d54ec52c99fbcfb06a3c69a6a9dca52d23b616073e28675a23d189838ef1e2ee652c013ec"
        "b4aea906112324975c3cd49b83bfaccbdd7d90c4bd7098488e9c219a73724effd6fae5644738faa31a4ff55bccc0a151af5f"
        "0dc8b4bd45bf37df365c1a65e68cfda76d4da708df1fb2bc2e4a4371",
        16,
    ),
    23: int(
        "ad107e1e9123a9d0d660faa79559c51fa20d64e5683b9fd1b54b1597b61d0a75e6fa141df95a56dbaf9a3c407ba1df15eb3d"
        "688a309c180e1de6b85a1274a0a66d3f8152ad6ac2129037c9edefda4df8d91e8fef55b7394b7ad5b7d0b6c12207c9f98d11"
        "ed34dbf6c6ba0b2c8bbc27be6a00e0a0b9c49708b3bf8a317091883681286130bc8985db1602e714415d9330278273c7de31"
        "efdc7310f7121fd5a07415987d9adc0a486dcdf93acc44328387315d75e198c641a480cd86a1b9e587e8be60e69cc928b2b9"
        "c52172e413042e9b23f10b0e16e79763c9b53dcf4ba80a29e3fb73c16b8e75b97ef363e2ffa31f71cf9de5384e71b81c0ac4"
        "dffe0c10e64f",
        16,
    ),
    24: int(
        "87a8e61db4b6663cffbbd19c651959998ceef608660dd0f25d2ceed4435e3b00e00df8f1d61957d4faf7df4561b2aa3016c3"
        "d91134096faa3bf4296d830e9a7c209e0c6497517abd5a8a9d306bcf67ed91f9e6725b4758c022e0b1ef4275bf7b6c5bfc11"
        "d45f9088b941f54eb1e59bb8bc39a0bf12307f5c4fdb70c581b23f76b63acae1caa6b7902d52526735488a0ef13c6d9a51bf"
        "a4ab3ad8347796524d8ef6a167b5a41825d967e144e5140564251ccacb83e6b486f6b3ca3f7971506026c0b857f689962856"
        "ded4010abd0be621c3a3960a54e710c375f26375d7014103a4b54330c198af126116d2276e11715f693877fad7ef09cadb09"
        "4ae91e1a1597",
        16,
    ),
}


class Curve(NamedTuple):
    """A curve y^2 = x^3 + ax + b over the integers modulo p."""

    octets: int
    """Of one coordinate."""
    p: int
    a: int
    b: int


#: Group → (p, a or "" for p - 3, b) in hex: RFC 5903 and RFC 5114 (NIST's curves), RFC 6954 (Brainpool).
_CURVES: Final = {
    19: (
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        "",
        "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    ),
    20: (
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        "",
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    ),
    21: (
        (
            "1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
            "fffffffffffffffffffffffffffffff"
        ),
        "",
        (
            "51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf0735"
            "73df883d2c34f1ef451fd46b503f00"
        ),
    ),
    25: (
        "fffffffffffffffffffffffffffffffeffffffffffffffff",
        "",
        "64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1",
    ),
    26: (
        "ffffffffffffffffffffffffffffffff000000000000000000000001",
        "",
        "b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4",
    ),
    27: (
        "d7c134aa264366862a18302575d1d787b09f075797da89f57ec8c0ff",
        "68a5e62ca9ce6c1c299803a6c1530b514e182ad8b0042a59cad29f43",
        "2580f63ccfe44138870713b1a92369e33e2135d266dbb372386c400b",
    ),
    28: (
        "a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377",
        "7d5a0975fc2c3057eef67530417affe7fb8055c126dc5c6ce94a4b44f330b5d9",
        "26dc5c6ce94a4b44f330b5d9bbd77cbf958416295cf7e1ce6bccdc18ff8c07b6",
    ),
    29: (
        "8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b412b1da197fb71123acd3a729901d1a71874700133107ec53",
        "7bc382c63d8c150c3c72080ace05afa0c2bea28e4fb22787139165efba91f90f8aa5814a503ad4eb04a8c7dd22ce2826",
        "4a8c7dd22ce28268b39b55416f0447c2fb77de107dcd2a62e880ea53eeb62d57cb4390295dbc9943ab78696fa504c11",
    ),
    30: (
        (
            "aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca703308717d4d9b009bc66842aecda12ae6a380e62881"
            "ff2f2d82c68528aa6056583a48f3"
        ),
        (
            "7830a3318b603b89e2327145ac234cc594cbdd8d3df91610a83441caea9863bc2ded5d5aa8253aa10a2ef1c98b9ac8b57f11"
            "17a72bf2c7b9e7c1ac4d77fc94ca"
        ),
        (
            "3df91610a83441caea9863bc2ded5d5aa8253aa10a2ef1c98b9ac8b57f1117a72bf2c7b9e7c1ac4d77fc94cadc083e679840"
            "50b75ebae5dd2809bd638016f723"
        ),
    ),
}
#: Length of public values of a fixed length: X25519 and X448 (RFC 8031 §3.1).
_MONTGOMERY: Final = {31: 32, 32: 56}
#: ML-KEM's encapsulation keys and ciphertexts (FIPS 203 §8, table 3).
_KEM: Final = {35: (800, 768), 36: (1184, 1088), 37: (1568, 1568)}
_P25519: Final = 2**255 - 19
_P448: Final = 2**448 - 2**224 - 1


@cache
def modp_prime(group: int) -> int | None:
    """The prime of a MODP group; None for other groups."""
    if group in _RFC_5114:
        return _RFC_5114[group]
    if group not in _MODP:
        return None
    bits, constant = _MODP[group]
    pi = _pi(bits - 130)
    return int(2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi + constant))


def _pi(bits: int) -> int:
    """[2^bits * pi], by Machin's formula with some bits to spare."""
    spare = 64
    one = 1 << (bits + spare)
    return 4 * (4 * _arctan_inverse(5, one) - _arctan_inverse(239, one)) >> spare


def _arctan_inverse(x: int, one: int) -> int:
    power = one // x
    total, number, sign = power, 1, 1
    while power:
        power //= x * x
        number, sign = number + 2, -sign
        total += sign * (power // number)
    return total


@cache
def curve(group: int) -> Curve | None:
    """The curve of an ECP group; None for other groups."""
    found = _CURVES.get(group)
    if found is None:
        return None
    p = int(found[0], 16)
    return Curve((p.bit_length() + 7) // 8, p, int(found[1], 16) if found[1] else p - 3, int(found[2], 16))


@cache
def _small_order(group: int) -> frozenset[int]:
    """The u coordinates of X25519 and X448 that make every shared secret the same (RFC 7748 §7)."""
    if group == 32:
        return frozenset({0, 1, _P448 - 1, _P448, _P448 + 1})
    # Two points of order 8; their u as of curve25519's authors.
    order_8 = (
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
    return frozenset({0, 1, *order_8, _P25519 - 1, _P25519, _P25519 + 1})


def public_octets(group: int, *, is_response: bool) -> int | None:
    """How many octets a public value has on the wire (RFC 7296 §3.4, RFC 5903 §7, RFC 8031 §3.1); None: not known."""
    if group in _KEM:
        return _KEM[group][is_response]
    if group in _MONTGOMERY:
        return _MONTGOMERY[group]
    points = curve(group)
    if points is not None:
        return 2 * points.octets
    if group in _MODP:
        return _MODP[group][0] // 8
    prime = _RFC_5114.get(group)
    return (prime.bit_length() + 7) // 8 if prime is not None else None


def fault_of(group: int, value: bytes, *, is_response: bool = False) -> str | None:
    """What is wrong with a public value, as a clause: "is 1", "is not on the curve"; None where nothing is.

    Of KEMs only the length is judged, of groups that are not known here only whether all is zero.
    """
    octets = public_octets(group, is_response=is_response)
    if octets is not None and len(value) != octets:
        return f"has {len(value)} octets instead of {octets}"
    if value and not any(value):
        return "is zero"
    if group in _MONTGOMERY:
        return _fault_of_u(group, value)
    points = curve(group)
    if points is not None:
        return _fault_of_point(points, value)
    prime = modp_prime(group)
    if prime is None:
        return None
    # Comparing octets is enough for all but the few that begin like the prime.
    number = int.from_bytes(value)
    if number == 1:
        return "is 1"
    if number == prime - 1:
        return "is p - 1"
    return "is not smaller than the prime" if number >= prime else None


def _fault_of_u(group: int, value: bytes) -> str | None:
    # RFC 7748 §5: the top bit of X25519 is not looked at.
    u = int.from_bytes(value, "little") & ((1 << 255) - 1 if group == 31 else -1)
    return "is a point of small order" if u in _small_order(group) else None


def _fault_of_point(points: Curve, value: bytes) -> str | None:
    x, y = int.from_bytes(value[: points.octets]), int.from_bytes(value[points.octets :])
    if x >= points.p or y >= points.p:
        return "has a coordinate that is not smaller than the prime"
    if (y * y - (x * x * x + points.a * x + points.b)) % points.p:
        return "is not on the curve"
    return None
