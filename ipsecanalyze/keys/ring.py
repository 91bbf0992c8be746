"""The ring on which all keys hang: of ESP and AH SAs, of IKE SAs, pre-shared keys, results of key exchanges.

Nothing is read, written or decrypted here. Adding keys that are there already changes nothing but what they did not
say; lookups are by hash, so that neither many keys nor many lookups become quadratic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import merge
from itertools import chain, islice
from typing import Final, TypeAlias

from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys.addresses import is_pattern, matches, normal_address

__all__ = ["Key", "KeyProblem", "KeyRing"]

Key: TypeAlias = EspKeys | IkeKeys | SharedSecret | Psk

#: What a ring holds at most, of each kind; a file of noise must not fill the memory.
MAX_KEYS: Final = 500_000
MAX_PROBLEMS: Final = 1_000
#: Among how many SAs with the same SK_e a new one is compared with.
_MAX_ALIKE: Final = 16

_IKE_TEXTS: Final = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr", "skeyid", "skeyid_e")
_IKE_NUMBERS: Final = ("encryption", "integrity", "prf")


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """A line of a key file that could not be read, or a file that holds nothing to use. Never a secret in it."""

    path: str
    line: int | None
    what: str

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{where}: {self.what}" if where else self.what


class KeyRing:
    """Keys of any source. `len()` counts them all; the repr has counts only."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.problems: list[KeyProblem] = []
        """The first thousand things that could not be read."""
        self.problem_count = 0
        """How many there were."""
        self.dropped = 0
        """Keys beyond what a ring holds."""
        self._esp: list[EspKeys] = []
        self._esp_known: dict[tuple[object, ...], int] = {}
        self._esp_by_spi: dict[int | None, list[int]] = {}
        self._ike: list[IkeKeys] = []
        self._ike_known: dict[tuple[int, bytes, bytes], list[int]] = {}
        #: Version, SPIi → places, ascending where the SPI is 0.
        self._ike_by_spi: dict[tuple[int, int], dict[int, None]] = {}
        self._secrets: dict[bytes, SharedSecret] = {}
        self._secrets_by_spi: dict[int, list[SharedSecret]] | None = None
        self._psks: dict[tuple[bytes, tuple[str, ...], bool], Psk] = {}
        self._ppks: list[Psk] = []
        self._psks_by_name: dict[str | None, list[Psk]] | None = None
        self.add(*keys)

    @property
    def esp(self) -> list[EspKeys]:
        """All keys of ESP and AH SAs, in the order in which they came."""
        return list(self._esp)

    @property
    def ike(self) -> list[IkeKeys]:
        """All keys of IKE SAs; generations of one SA in their order."""
        return list(self._ike)

    @property
    def shared_secrets(self) -> list[SharedSecret]:
        """All results of key exchanges."""
        return list(self._secrets.values())

    @property
    def psks(self) -> list[Psk]:
        """All pre-shared keys and PPKs."""
        return list(self._psks.values())

    def ppks(self, most: int) -> list[Psk]:
        """The first PPKs (RFC 8784), as many as wanted."""
        return self._ppks[:most]

    def add(self, *keys: Key) -> None:
        """Hang keys on the ring."""
        for key in keys:
            if isinstance(key, EspKeys):
                self._add_esp(key)
            elif isinstance(key, IkeKeys):
                self._add_ike(key)
            elif isinstance(key, SharedSecret):
                self._add_secret(key)
            else:
                self._add_psk(key)

    def tell(self, path: str, line: int | None, what: str) -> None:
        """Note what could not be read."""
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(KeyProblem(path, line, what))

    def merge(self, other: KeyRing) -> None:
        """Take all keys and problems of another ring; those that came first stay first."""
        self.add(*other._esp, *other._ike, *other._secrets.values(), *other._psks.values())
        self.problem_count += other.problem_count
        self.problems += other.problems[: MAX_PROBLEMS - len(self.problems)]
        self.dropped += other.dropped

    def esp_for(self, source: str | None, destination: str | None, spi: int, protocol: str = "ESP") -> list[EspKeys]:
        """Candidates for a flow, the likeliest first.

        First those of exactly these addresses, then of this destination (the receiver chooses the SPI, RFC 4301 §4.1),
        then of this SPI with whatever addresses (NAT, MOBIKE), then those whose SPI is not known: with addresses
        or wildcards that match, then the rest. Those with an integrity algorithm come before those without.
        """
        source, destination = normal_address(source), normal_address(destination)
        ranked = [
            (_rank(keys, source, destination), not keys.is_checked, place)
            for index in (spi, None)
            for place in self._esp_by_spi.get(index, ())
            if (keys := self._esp[place]).protocol == protocol
        ]
        return [self._esp[place] for _, _, place in sorted(ranked)]

    def ike_for(
        self, spi_i: int, spi_r: int, *, version: int | None = None, strays: int | None = None
    ) -> list[IkeKeys]:
        """Candidates for an IKE SA: its generations in their order, then keys whose SPIs are not known.

        Of these there may be very many: `strays` says how many are wanted.
        """
        versions = (1, 2) if version is None else (version,)
        places = [place for one in versions for place in self._ike_by_spi.get((one, spi_i), ())] if spi_i else []
        sure = [self._ike[place] for place in sorted(places)]
        sure = [keys for keys in sure if not (keys.spi_r and spi_r) or keys.spi_r == spi_r]
        unknown = merge(*(self._ike_by_spi.get((one, 0), ()) for one in versions))
        return sure + [self._ike[place] for place in islice(unknown, strays)]

    def shared_secrets_for(self, spi_i: int, spi_r: int, *, strays: int | None = None) -> list[SharedSecret]:
        """Results of key exchanges of an IKE SA in their order, then (`strays` many) those of unknown IKE SAs."""
        if self._secrets_by_spi is None:
            self._secrets_by_spi = {}
            for secret in self._secrets.values():
                self._secrets_by_spi.setdefault(secret.spi_i, []).append(secret)
        sure = self._secrets_by_spi.get(spi_i, []) if spi_i else []
        sure = [secret for secret in sure if not (secret.spi_r and spi_r) or secret.spi_r == spi_r]
        return sure + self._secrets_by_spi.get(0, [])[:strays]

    def psks_for(self, *identities: str | None, most: int | None = None) -> list[Psk]:
        """Pre-shared keys: those for most of these identities or addresses, then those for anybody, then all others.

        `most` says how many are wanted. PPKs are not among them.
        """
        by_name = self._psks_by_name
        if by_name is None:
            by_name = self._psks_by_name = {}
            for psk in self._psks.values():
                for name in {_plain(name) for name in psk.identities} or (None,) if not psk.is_ppk else ():
                    by_name.setdefault(name, []).append(psk)
        wanted = {_plain(identity) for identity in identities if identity}
        hits = Counter(psk for name in sorted(wanted) for psk in by_name.get(name, ()))
        others = (psk for psk in self._psks.values() if psk.identities and not psk.is_ppk and psk not in hits)
        found = chain((psk for psk, _ in hits.most_common()), by_name.get(None, ()), others)
        return list(islice(found, most))

    def __len__(self) -> int:
        return len(self._esp) + len(self._ike) + len(self._secrets) + len(self._psks)

    def __iter__(self) -> Iterator[Key]:
        yield from self._esp
        yield from self._ike
        yield from self._secrets.values()
        yield from self._psks.values()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRing) and _bare(self) == _bare(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        counts = f"esp={len(self._esp)}, ike={len(self._ike)}, shared_secrets={len(self._secrets)}"
        return f"KeyRing({counts}, psks={len(self._psks)}, problems={self.problem_count})"

    def _is_full(self, held: int) -> bool:
        if held >= MAX_KEYS:
            self.dropped += 1
            if self.dropped == 1:
                self.tell("", None, f"more than {MAX_KEYS} keys of one kind; the rest is not kept")
            return True
        return False

    def _add_esp(self, keys: EspKeys) -> None:
        source, destination = normal_address(keys.source), normal_address(keys.destination)
        if (source, destination) != (keys.source, keys.destination):
            keys = replace(keys, source=source, destination=destination)
        identity = (
            *(keys.protocol, source, destination, keys.spi, keys.encryption, keys.encryption_key, keys.salt),
            *(keys.integrity, keys.integrity_key, keys.icv_octets, keys.is_checked),
        )
        place = self._esp_known.get(identity)
        if place is None:
            if self._is_full(len(self._esp)):
                return
            self._esp_known[identity] = len(self._esp)
            self._esp_by_spi.setdefault(keys.spi, []).append(len(self._esp))
            self._esp.append(keys)
            return
        known = self._esp[place]
        high = [number for number in (known.sequence_high, keys.sequence_high) if number is not None]
        self._esp[place] = replace(
            known,
            esn=known.esn if known.esn is not None else keys.esn,
            sequence_high=max(high, default=None),
            mode=known.mode or keys.mode,
        )

    def _add_ike(self, keys: IkeKeys) -> None:
        identity = (keys.version, keys.sk_ei or keys.sk_d or keys.skeyid, keys.sk_er)
        if not identity[1] and not identity[2] and not keys.skeyid_e:
            return
        places = self._ike_known.setdefault(identity, [])
        for place in places[:_MAX_ALIKE]:
            known = self._ike[place]
            if _compatible(known, keys):
                self._ike[place] = complete = _union(known, keys)
                if complete.spi_i != known.spi_i:
                    del self._ike_by_spi[known.version, known.spi_i][place]
                    self._ike_by_spi.setdefault((known.version, complete.spi_i), {})[place] = None
                return
        if self._is_full(len(self._ike)):
            return
        places.append(len(self._ike))
        self._ike_by_spi.setdefault((keys.version, keys.spi_i), {})[len(self._ike)] = None
        self._ike.append(keys)

    def _add_secret(self, secret: SharedSecret) -> None:
        known = self._secrets.get(secret.value)
        if known is None:
            if not secret.value or self._is_full(len(self._secrets)):
                return
        elif known.spi_i or not secret.spi_i:
            return
        self._secrets[secret.value] = secret
        self._secrets_by_spi = None

    def _add_psk(self, psk: Psk) -> None:
        identity = (psk.value, psk.identities, psk.is_ppk)
        if identity in self._psks or self._is_full(len(self._psks)):
            return
        self._psks[identity] = psk
        self._psks_by_name = None
        if psk.is_ppk:
            self._ppks.append(psk)


def _plain(identity: str) -> str:
    """An identity for comparison."""
    return identity.lower().lstrip("@")


def _rank(keys: EspKeys, source: str | None, destination: str | None) -> int:
    plain = not is_pattern(keys.source) and not is_pattern(keys.destination)
    if keys.spi is not None:
        if plain and keys.destination is not None and keys.destination == destination:
            return 0 if keys.source == source else 1
        return 2
    return 3 if matches(keys.source, source) and matches(keys.destination, destination) else 4


def _compatible(one: IkeKeys, other: IkeKeys) -> bool:
    """Whether both can be the same generation of the same SA."""
    for name in ("spi_i", "spi_r", *_IKE_TEXTS):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine and theirs and mine != theirs:
            return False
    return all(
        getattr(one, name) is None or getattr(other, name) in (None, getattr(one, name)) for name in _IKE_NUMBERS
    )


def _union(one: IkeKeys, other: IkeKeys) -> IkeKeys:
    """What both say of one generation."""
    missing = {name: getattr(other, name) for name in ("spi_i", "spi_r", *_IKE_TEXTS) if not getattr(one, name)}
    missing |= {name: getattr(other, name) for name in _IKE_NUMBERS if getattr(one, name) is None}
    return replace(one, **missing)


def _bare(ring: KeyRing) -> tuple[list[Key], ...]:
    """All keys without where they came from."""
    return tuple(
        [replace(key, origin="") for key in kind]
        for kind in (ring.esp, ring.ike, ring.shared_secrets, ring.psks)
    )  # fmt: skip
