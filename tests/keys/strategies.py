"""Keys for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys.suites import CIPHERS, INTEG_OCTETS, esp_keys

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str).filter(lambda a: a not in ("0.0.0.0", "::"))
SPIS = st.integers(1, 0xFFFF_FFFF)
IKE_SPIS = st.integers(1, (1 << 64) - 1)


def keys_of(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


@st.composite
def esp(
    draw: st.DrawFn, encryptions: Any = None, integrities: Any = None, *, plain: bool = False, any_spi: bool = True
) -> EspKeys:
    """Keys of an ESP SA; `plain`: without what tables cannot hold."""
    encryption = draw(st.sampled_from(encryptions or sorted(CIPHERS)))
    cipher = CIPHERS[encryption]
    sizes = [size for size in range(57) if size in cipher.keys]
    material = draw(st.sampled_from(sizes).flatmap(lambda size: keys_of(size + cipher.salt)))
    integrity, octets = draw(st.sampled_from(integrities or [(number, None) for number in sorted(INTEG_OCTETS)]))
    auth_key = draw(keys_of(16)) if integrity else b""
    esn = None if plain else draw(st.none() | st.booleans())
    family = draw(st.sampled_from((4, 6)))
    addresses = st.none() | st.ip_addresses(v=family).map(str).filter(lambda a: a not in ("0.0.0.0", "::"))
    return esp_keys(
        material,
        source=draw(addresses),
        destination=draw(addresses),
        spi=draw(st.none() | SPIS if any_spi else SPIS),
        encryption=encryption,
        integrity=integrity,
        integrity_key=auth_key,
        icv_octets=octets,
        esn=esn,
        sequence_high=draw(st.integers(0, 0xFFFF_FFFF)) if esn else None,
        mode=None if plain else draw(st.none() | st.sampled_from(("tunnel", "transport", "beet"))),
    )


@st.composite
def ike(draw: st.DrawFn) -> IkeKeys:
    """One generation of keys of an IKE SA, of any version."""
    octets = st.binary(max_size=40)
    return IkeKeys(
        version=draw(st.sampled_from((1, 2))),
        spi_i=draw(st.just(0) | IKE_SPIS),
        spi_r=draw(st.just(0) | IKE_SPIS),
        encryption=draw(st.none() | st.integers(0, 70000)),
        integrity=draw(st.none() | st.integers(0, 20)),
        prf=draw(st.none() | st.integers(0, 9)),
        sk_d=draw(octets), sk_ai=draw(octets), sk_ar=draw(octets), sk_ei=draw(octets), sk_er=draw(octets),
        sk_pi=draw(octets), sk_pr=draw(octets), skeyid=draw(octets), skeyid_e=draw(octets),
    )  # fmt: skip


SECRETS = st.builds(
    SharedSecret, st.binary(min_size=1), st.just(0) | IKE_SPIS, st.just(0) | IKE_SPIS, st.none() | st.integers(0, 40)
)
PSKS = st.builds(Psk, st.binary(min_size=1), st.lists(st.text(), max_size=3).map(tuple), st.booleans())
ANY = st.one_of(esp(), ike(), SECRETS, PSKS)
