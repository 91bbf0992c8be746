"""The keys that an IKEv1 SA may have: those of the ring, completed, and those that follow from what else is on it.

All combinations are bounded. Which keys are right only a message can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from ipsecanalyze.crypto.encryption import encryption_algorithm
from ipsecanalyze.crypto.ikev1 import expand_skeyid_e, phase1_keys, skeyid
from ipsecanalyze.crypto.material import IkeKeys, SharedSecret
from ipsecanalyze.crypto.prf import PRFS
from ipsecanalyze.crypto.suite import IkeSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.v1_phase1 import Phase1
from ipsecanalyze.registry.ikev1 import Phase1AuthMethod
from ipsecanalyze.registry.ikev2 import Encr
from ipsecanalyze.sa.records import IkeSa

__all__ = [
    "PSK_METHODS",
    "Cipher",
    "ciphers",
    "completed",
    "derived_keys",
    "given_keys",
    "phase1_secret",
    "phase1_skeyids",
    "secrets_of",
    "what_is_missing",
]

#: Keys without SPIs, shared secrets, pre-shared keys, and pairs of both that are tried for one SA.
_STRAY_KEYS: Final = 64
_SECRETS: Final = 64
_PSKS: Final = 64
_DERIVED: Final = 256
#: What a key of this many octets may be for, where no suite tells.
_BY_SIZE: Final = {
    8: (Encr.ENCR_DES,),
    16: (Encr.ENCR_AES_CBC, Encr.ENCR_CAMELLIA_CBC, Encr.ENCR_CAST, Encr.ENCR_BLOWFISH),
    24: (Encr.ENCR_3DES, Encr.ENCR_AES_CBC, Encr.ENCR_CAMELLIA_CBC),
    32: (Encr.ENCR_AES_CBC, Encr.ENCR_CAMELLIA_CBC),
}
PSK_METHODS: Final = frozenset(
    (
        Phase1AuthMethod.PRE_SHARED_KEY,
        Phase1AuthMethod.XAUTH_INIT_PRE_SHARED,
        Phase1AuthMethod.XAUTH_RESP_PRE_SHARED,
    )
)
_TEXTS: Final = ("sk_d", "sk_ai", "sk_ar", "skeyid", "skeyid_e")


class Cipher:
    """What decrypts with one set of keys."""

    def __init__(self, keys: IkeKeys, encryption: int, prf: int | None, *, is_own: bool) -> None:
        """`is_own`: the keys are said to be of this very SA. Raises DecryptError."""
        row = encryption_algorithm(encryption)
        if row.mode != "cbc":
            raise DecryptError(f"{row.name} is not for IKEv1", slug="unsupported")
        self.keys = keys
        self.encryption = encryption
        self.prf = prf
        self.is_own = is_own
        self.block_octets = row.block_octets
        self.decrypt = row.decrypter(keys.sk_ei, b"")
        """IV and ciphertext → plaintext with its padding; raises DecryptError("length")."""

    @property
    def hash_octets(self) -> int | None:
        """Octets of a HASH payload's content; None where the PRF is not known."""
        return None if self.prf is None or self.prf not in PRFS else PRFS[self.prf].octets


def ciphers(keys: IkeKeys, phase1: Phase1, *, is_own: bool) -> Iterator[Cipher]:
    """How a set of keys may be used: as negotiated, as it says itself, or by the size of its key."""
    suite = phase1.suite
    prf = suite.prf if suite is not None else keys.prf
    choices: tuple[int, ...]
    if suite is not None:
        choices = (suite.encryption,)
    elif keys.encryption is not None:
        choices = (keys.encryption,)
    else:
        choices = tuple(int(number) for number in _BY_SIZE.get(len(keys.sk_ei), ()))
    for encryption in choices:
        try:
            yield Cipher(keys, encryption, prf, is_own=is_own)
        except DecryptError:
            continue


def secrets_of(ring: KeyRing, phase1: Phase1) -> list[SharedSecret]:
    """The shared secrets that may be of this SA: its own, then those of which it is not known."""
    return ring.shared_secrets_for(phase1.cookie_i, phase1.cookie_r, strays=_SECRETS)[:_SECRETS]


def given_keys(ring: KeyRing, phase1: Phase1) -> Iterator[tuple[IkeKeys, bool]]:
    """(keys of the ring with Ka, whether they are said to be of this SA)."""
    for keys in ring.ike_for(phase1.cookie_i, phase1.cookie_r, version=1, strays=_STRAY_KEYS):
        if keys.sk_ei:
            yield keys, bool(keys.spi_i)
            continue
        for whole in _with_ka(keys, ring, phase1):
            yield whole, bool(keys.spi_i)


def _with_ka(keys: IkeKeys, ring: KeyRing, phase1: Phase1) -> Iterator[IkeKeys]:
    """Keys without Ka, completed by what they have: SKEYID_e, or SKEYID and a shared secret."""
    suite = _suite(keys, phase1)
    if suite is None:
        return
    try:
        if keys.skeyid_e:
            ka = expand_skeyid_e(suite.prf, keys.skeyid_e, suite.encryption_octets)
            yield replace(keys, encryption=suite.encryption, prf=suite.prf, sk_ei=ka, sk_er=ka)
        elif keys.skeyid:
            for secret in secrets_of(ring, phase1):
                yield phase1_keys(
                    suite, keys.skeyid, secret.value, phase1.cookie_i, phase1.cookie_r, origin=keys.origin
                )
    except DecryptError:
        return


def _suite(keys: IkeKeys, phase1: Phase1) -> IkeSuite | None:
    if phase1.suite is not None or keys.encryption is None or keys.prf is None:
        return phase1.suite
    return IkeSuite(keys.encryption, keys.prf)


def derived_keys(ring: KeyRing, phase1: Phase1, sa: IkeSa) -> Iterator[tuple[IkeKeys, SharedSecret]]:
    """Keys out of shared secrets, and of pre-shared keys where phase 1 says so; the likeliest first."""
    suite, method = phase1.suite, phase1.method
    if suite is None or method is None or not phase1.is_whole:
        return
    nonces = (phase1.nonces[True], phase1.nonces[False])
    cookies = (phase1.cookie_i, phase1.cookie_r)
    made = 0
    for secret in secrets_of(ring, phase1):
        psks: list[tuple[bytes | None, str]] = [(None, "")]
        if method in PSK_METHODS:
            psks = [*_psks(ring, sa)]
        for psk, origin in psks:
            if made == _DERIVED:
                return
            made += 1
            try:
                base = skeyid(suite.prf, method, *nonces, psk=psk, secret=secret.value)
                origins = ", ".join(dict.fromkeys(name for name in (origin, secret.origin) if name))
                told = f"derived from phase 1{f' ({origins})' if origins else ''}"
                yield phase1_keys(suite, base, secret.value, *cookies, origin=told), secret
            except DecryptError:
                return


def _psks(ring: KeyRing, sa: IkeSa) -> list[tuple[bytes, str]]:
    sides = (sa.initiator.identity, sa.responder.identity, sa.initiator.address, sa.responder.address)
    return [(psk.value, psk.origin) for psk in ring.psks_for(*sides, most=_PSKS)]


def phase1_skeyids(ring: KeyRing, phase1: Phase1, sa: IkeSa) -> Iterator[bytes]:
    """What SKEYID may be, without any shared secret: it needs none with pre-shared keys."""
    if phase1.suite is None or phase1.method not in PSK_METHODS or len(phase1.nonces) != 2:
        return
    for psk, _ in _psks(ring, sa):
        try:
            yield skeyid(phase1.suite.prf, phase1.method, phase1.nonces[True], phase1.nonces[False], psk=psk)
        except DecryptError:
            return


def completed(keys: IkeKeys, ring: KeyRing, phase1: Phase1, sa: IkeSa) -> IkeKeys:
    """Keys that opened something, with what others that have the same Ka know beyond."""
    others = [other for other, _ in given_keys(ring, phase1)]
    if not (keys.sk_d and keys.sk_ai and keys.skeyid):
        others += [other for other, _ in derived_keys(ring, phase1, sa)]
    for other in others:
        if other.sk_ei == keys.sk_ei:
            more = {name: getattr(other, name) for name in _TEXTS if not getattr(keys, name)}
            origins = ", ".join(dict.fromkeys(name for name in (keys.origin, other.origin) if name))
            if any(more.values()):
                keys = replace(keys, origin=origins, **more)
    return replace(
        keys,
        version=1,
        spi_i=phase1.cookie_i,
        spi_r=phase1.cookie_r,
        prf=phase1.suite.prf if phase1.suite is not None else keys.prf,
    )


def phase1_secret(keys: IkeKeys, ring: KeyRing, phase1: Phase1) -> bytes | None:
    """The shared secret that SKEYID_d was made of; None where that cannot be told."""
    suite = _suite(keys, phase1)
    if suite is None or not keys.skeyid or not keys.sk_d:
        return None
    for secret in islice(secrets_of(ring, phase1), _SECRETS):
        try:
            made = phase1_keys(suite, keys.skeyid, secret.value, phase1.cookie_i, phase1.cookie_r)
        except DecryptError:
            return None
        if made.sk_d == keys.sk_d:
            return secret.value
    return None


def what_is_missing(ring: KeyRing, phase1: Phase1) -> str:
    """Why there are no keys to try, as a clause."""
    own_secrets = [secret for secret in secrets_of(ring, phase1) if secret.spi_i]
    has_psk = bool(ring.psks_for(most=1))
    needs_psk = phase1.method in PSK_METHODS
    if own_secrets and needs_psk and not has_psk:
        return "g^xy is known, the pre-shared key is not"
    if needs_psk and has_psk:
        return "a pre-shared key is known, g^xy of this IKE SA is not"
    if own_secrets and not phase1.is_whole:
        return "keys cannot be derived: phase 1 is not whole in the capture"
    return "there are no keys of this IKE SA"
