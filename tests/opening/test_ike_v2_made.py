"""IKEv2 messages that somebody made who knows the keys: what no daemon sends, and what no scenario has.

The messages of a scenario are given other contents, sealed with its own keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

import ipsecanalyze
from ipsecanalyze.crypto.ikev2 import child_keys, with_ppk
from ipsecanalyze.crypto.integrity import integrity_algorithm
from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk, SharedSecret
from ipsecanalyze.crypto.suite import ChildSuite
from ipsecanalyze.keys.load import load_keys
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.ike import open_ike
from ipsecanalyze.opening.ike_v2 import open_v2
from ipsecanalyze.opening.revealed import Revealed
from ipsecanalyze.opening.tries import Tries
from ipsecanalyze.sa.records import Certainty, IkeSa, MessageRecord, State
from ipsecanalyze.sa.tracker import Tracker

FOLDER = Path(__file__).parent.parent / "captures" / "v2-psk-aescbc-a"
AUTH, CHILD, INFORMATIONAL = 35, 36, 37
SA, KE, ID_I, ID_R, AUTHENTICATION, NONCE, NOTIFY, DELETE, TS_I, TS_R, EAP = 33, 34, 35, 36, 39, 40, 41, 42, 44, 45, 48


@cache
def keys() -> IkeKeys:
    (found,) = {replace(key, origin="") for key in load_keys(sorted((FOLDER / "keys").glob("charon-*"))).ike}
    return found


@cache
def beginning() -> tuple[ipsecanalyze.Datagram, ...]:
    """The datagrams of IKE_SA_INIT."""
    capture = next(FOLDER.glob("wan.pcap*"))
    return tuple(record.datagram for record in ipsecanalyze.analyze(capture).messages[:2])


def payload(following: int, body: bytes) -> bytes:
    return bytes((following, 0)) + (4 + len(body)).to_bytes(2) + body


def chain(*payloads: tuple[int, bytes]) -> tuple[int, bytes]:
    following = [*(kind for kind, _ in payloads[1:]), 0][: len(payloads)]
    octets = b"".join(payload(kind, body) for kind, (_, body) in zip(following, payloads, strict=True))
    return payloads[0][0] if payloads else 0, octets


def sealed(
    exchange: int,
    number: int,
    content: tuple[int, bytes],
    *,
    by_initiator: bool = True,
    response: bool = False,
    fragment: tuple[int, int] | None = None,
) -> bytes:
    """A message under the scenario's keys (AES-CBC, HMAC-SHA2-256-128); its flag I is that of its sender."""
    first_type, inside = content
    from_initiator = by_initiator is not response
    key = keys()
    plain = inside + bytes(-(len(inside) + 1) % 16) + bytes((-(len(inside) + 1) % 16,))
    encryptor = Cipher(algorithms.AES(key.sk_ei if from_initiator else key.sk_er), modes.CBC(bytes(16))).encryptor()
    body = (b"".join(part.to_bytes(2) for part in fragment) if fragment else b"") + bytes(16)
    body += encryptor.update(plain)
    octets = key.spi_i.to_bytes(8) + key.spi_r.to_bytes(8)
    octets += bytes((53 if fragment else 46, 0x20, exchange, 8 * from_initiator | 32 * response))
    octets += number.to_bytes(4) + (28 + 4 + len(body) + 16).to_bytes(4)
    octets += bytes((first_type, 0)) + (4 + len(body) + 16).to_bytes(2) + body
    mac = integrity_algorithm(12).mac(key.sk_ai if from_initiator else key.sk_ar)
    return octets + mac(octets, b"")[:16]


def tracked(messages: list[bytes]) -> Tracker:
    """IKE_SA_INIT with these messages behind it, each with its sender's address."""
    tracker = Tracker()
    first, second = beginning()
    for datagram in (first, second):
        tracker.feed(datagram)
    for number, octets in enumerate(messages):
        like = first if octets[19] & 8 else second
        when, frame = second.time_ns + 1_000_000 * (number + 1), 100 + number
        tracker.feed(replace(like, payload=octets, length=len(octets), frame=frame, time_ns=when))
    tracker.finish()
    return tracker


def opened(messages: list[bytes], ring: KeyRing | None = None) -> tuple[IkeSa, list[MessageRecord], Revealed]:
    tracker = tracked(messages)
    (sa,) = tracker.ike_sas
    records = [record for record in tracker.messages if record.ike_sa is sa]
    return sa, records, open_v2(sa, records, KeyRing([keys()]) if ring is None else ring, {})


def proposal(protocol: int, spi: bytes, *transforms: tuple[int, int, int | None]) -> bytes:
    rows = b""
    for place, (kind, number, bits) in enumerate(transforms):
        attribute = b"" if bits is None else b"\x80\x0e" + bits.to_bytes(2)
        more = 3 if place + 1 < len(transforms) else 0
        rows += bytes((more, 0)) + (8 + len(attribute)).to_bytes(2) + bytes((kind, 0)) + number.to_bytes(2) + attribute
    head = bytes((1, protocol, len(spi), len(transforms)))
    return b"\0\0" + (8 + len(spi) + len(rows)).to_bytes(2) + head + spi + rows


ESP = ((1, 12, 128), (3, 12, None), (5, 0, None))
SELECTOR = b"\x01\0\0\0\x07\0\0\x10\0\0\xff\xff" + bytes((10, 1, 0, 0, 10, 1, 255, 255))


def create(number: int, spis: tuple[bytes, bytes], *, by_initiator: bool = True, **others: object) -> list[bytes]:
    """A CREATE_CHILD_SA exchange: what is asked, what is answered."""
    transforms = others.get("transforms", ESP)
    protocol = others.get("protocol", 3)
    messages = []
    for response, spi in enumerate(spis):
        offer = proposal(protocol, spi, *transforms)  # type: ignore[arg-type, misc]
        nonce = bytes((number & 255, response)) * 16
        content = chain((SA, offer), (NONCE, nonce), (TS_I, SELECTOR), (TS_R, SELECTOR))
        messages.append(sealed(CHILD, number, content, by_initiator=by_initiator, response=bool(response)))
    return messages


def authenticated(*, eap: bool = False) -> list[bytes]:
    ids = (b"\x02\0\0\0moon", b"\x02\0\0\0sun")
    proof = b"\x02\0\0\0" + bytes(32)
    asked = sealed(AUTH, 1, chain((ID_I, ids[0]), *([] if eap else [(AUTHENTICATION, proof)])))
    answer = [(ID_R, ids[1]), (AUTHENTICATION, proof), *([(EAP, b"\x01\x01\0\x05\x01")] if eap else [])]
    return [asked, sealed(AUTH, 1, chain(*answer), response=True)]


def stray(number: int) -> IkeKeys:
    """Keys of another IKE SA, which is not known."""
    other = number.to_bytes(32)
    return replace(keys(), spi_i=0, spi_r=0, sk_ei=other, sk_er=other, sk_ai=other, sk_ar=other)


def esp_keys(revealed: Revealed) -> dict[int | None, EspKeys]:
    return {key.spi: key for child in revealed.children for key in child.keys}


@pytest.mark.parametrize("by_initiator", [True, False])
def test_whose_spi_is_whose(by_initiator: bool) -> None:
    spis = (b"\0\0\0\x11", b"\0\0\0\x22")
    messages = [*authenticated(), *create(2 if by_initiator else 0, spis, by_initiator=by_initiator)]
    sa, _, revealed = opened(messages)
    assert sa.state is State.ESTABLISHED
    (child,) = revealed.children
    assert (child.initiator_spi, child.responder_spi) == ((0x11, 0x22) if by_initiator else (0x22, 0x11))
    number = 2 if by_initiator else 0
    there, back = child_keys(
        ChildSuite(12, 12, 128),
        5,
        keys().sk_d,
        bytes((number, 0)) * 16,
        bytes((number, 1)) * 16,
        spi_i=0x11,
        spi_r=0x22,
    )
    found = esp_keys(revealed)
    assert found[0x22].encryption_key == there.encryption_key
    assert found[0x11].encryption_key == back.encryption_key
    # The SPI is its receiver's.
    asker = beginning()[0].source if by_initiator else beginning()[0].destination
    assert (found[0x11].destination, found[0x22].source) == (asker, asker)


@pytest.mark.parametrize("octets", [0, 3, 5, 8, 255])
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 200])
def test_spis_of_impossible_sizes_make_nothing(protocol: int, octets: int) -> None:
    ike = ((1, 12, 128), (2, 5, None), (3, 12, None), (4, 14, None))
    transforms = ike if protocol == 1 else ESP
    messages = create(0, (b"\x11" * octets, b"\x22" * octets), protocol=protocol, transforms=transforms)
    _, _, revealed = opened(messages, KeyRing([keys(), SharedSecret(b"g" * 32)]))
    assert revealed.opened == 2
    assert not revealed.children
    assert len(revealed.successors) == (protocol == 1 and octets == 8)


def test_fragments_beyond_the_last_one() -> None:
    messages = [
        sealed(INFORMATIONAL, 0, (0, b"abcd"), fragment=(number, total))
        for number, total in ((2, 2), (3, 2), (9, 2), (1, 0), (65535, 1))
    ]
    _, records, revealed = opened(messages)
    assert revealed.opened == len(messages)
    assert all(record.opened is None for record in records)


def test_a_message_that_comes_again_is_read_once() -> None:
    # Behind more exchanges than the tracker remembers.
    spis = (b"\0\0\0\x11", b"\0\0\0\x22")
    again = create(0, spis)
    between = [sealed(INFORMATIONAL, number, (0, b"")) for number in range(1, 100)]
    _, records, revealed = opened([*again, *between, *again])
    assert len(revealed.children) == 1
    assert records[-1].opened == records[3].opened != ()


def test_other_contents_under_a_known_message_id_change_nothing() -> None:
    first, second = create(0, (b"\0\0\0\x11", b"\0\0\0\x22"))
    other = create(0, (b"\0\0\0\x33", b"\0\0\0\x44"))
    _, records, revealed = opened([first, second, *other])
    assert [child.initiator_spi for child in revealed.children] == [0x11]
    assert records[-1].opened is not None
    assert records[-1].opened != records[3].opened


def test_captures_that_count_their_frames_anew() -> None:
    first, second = create(0, (b"\0\0\0\x11", b"\0\0\0\x22"))
    later = create(1, (b"\0\0\0\x33", b"\0\0\0\x44"))
    tracker = tracked([first, second, *later, first])
    (sa,) = tracker.ike_sas
    records = tracker.messages
    for record in records[4:]:
        record.datagram.frame -= 2  # as those of another capture, with the same numbers
    open_v2(sa, records, KeyRing([keys()]), {})
    assert records[-1].retransmission_of == 100
    assert records[-1].opened == records[2].opened


def test_a_strangers_messages_do_not_keep_the_keys_from_being_tried() -> None:
    forged = [sealed(INFORMATIONAL, 50 + number, (0, b""))[:-1] + b"\xff" for number in range(40)]
    strays = [stray(number) for number in range(200)]
    _, _, revealed = opened([*forged, *authenticated()], KeyRing([keys(), *strays]))
    assert revealed.opened == 2
    # Keys that do not say whose they are are tried so often, and not more.
    _, _, revealed = opened([*forged * 9, *authenticated()], KeyRing([replace(keys(), spi_i=0, spi_r=0), *strays]))
    assert revealed.opened == 0


def test_keys_of_ikev1_take_no_places_from_those_of_ikev2() -> None:
    others = [IkeKeys(version=1, sk_ei=n.to_bytes(16), sk_er=n.to_bytes(16)) for n in range(100)]
    _, _, revealed = opened(authenticated(), KeyRing([*others, replace(keys(), spi_i=0, spi_r=0)]))
    assert revealed.opened == 2


def test_a_small_message_is_tried_with_all_keys() -> None:
    larger = replace(keys(), spi_i=0, spi_r=0, sk_ei=b"x" * 16, integrity=14, sk_ai=b"a" * 64, sk_ar=b"b" * 64)
    _, _, revealed = opened([sealed(INFORMATIONAL, 0, (0, b""))], KeyRing([larger, replace(keys(), spi_i=0, spi_r=0)]))
    assert revealed.opened == 1


def test_half_of_eap_is_no_ike_sa() -> None:
    sa, _, _ = opened(authenticated(eap=True))
    assert sa.state is State.HALF_OPEN
    sa, _, _ = opened(authenticated())
    assert (sa.state, sa.certainty) == (State.ESTABLISHED, Certainty.OBSERVED)


def test_an_initiator_that_does_not_believe_the_responder() -> None:
    notify = chain((NOTIFY, b"\0\0" + (24).to_bytes(2)))
    sa, _, _ = opened([*authenticated(), sealed(INFORMATIONAL, 2, notify)])
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.OBSERVED)
    assert "AUTHENTICATION_FAILED" in sa.outcome


def test_a_ppk_is_found_behind_many_psks_and_in_keys_that_differ_by_it_alone() -> None:
    # RFC 8784 §3
    mixed = with_ppk(keys(), 5, b"post-quantum")
    messages = [*authenticated(), *create(2, (b"\0\0\0\x11", b"\0\0\0\x22"))]
    psks = [Psk(b"%d" % number) for number in range(100)]
    nonces = (b"\x02\0" * 16, b"\x02\x01" * 16)
    expected, _ = child_keys(ChildSuite(12, 12, 128), 5, mixed.sk_d, *nonces)
    for ring in (KeyRing([keys(), *psks, Psk(b"post-quantum", is_ppk=True)]), KeyRing([keys(), mixed])):
        _, _, revealed = opened(messages, ring)
        candidates = [key.encryption_key for child in revealed.children for key in child.keys]
        assert expected.encryption_key in candidates


def test_more_rekeyings_than_secrets_are_tried() -> None:
    pfs = ((1, 12, 128), (3, 12, None), (4, 14, None), (5, 0, None))
    secrets = [SharedSecret(number.to_bytes(32), keys().spi_i, keys().spi_r) for number in range(1, 102)]
    messages = authenticated()
    for number in range(2, 102):
        messages += create(number, (number.to_bytes(4), (1000 + number).to_bytes(4)), transforms=pfs)
    _, _, revealed = opened(messages, KeyRing([keys(), *secrets]))
    assert len(revealed.children) == 100
    for number, child in enumerate(revealed.children, 2):
        nonces = (bytes((number, 0)) * 16, bytes((number, 1)) * 16)
        there, _ = child_keys(ChildSuite(12, 12, 128), 5, keys().sk_d, *nonces, secrets=(number.to_bytes(32),))
        assert there.encryption_key in {key.encryption_key for key in child.keys}


@pytest.mark.parametrize("by_initiator", [True, False])
def test_who_is_who_after_a_rekeying(by_initiator: bool) -> None:
    ike = ((1, 12, 128), (2, 5, None), (3, 12, None), (4, 14, None))
    spis = (b"\x11" * 8, b"\x22" * 8)
    number = 2 if by_initiator else 0
    messages = [*authenticated(), *create(number, spis, protocol=1, transforms=ike, by_initiator=by_initiator)]
    # A message of the new IKE SA; its initiator has moved meanwhile.
    late = bytearray(sealed(INFORMATIONAL, 0, (0, b"")))
    late[:16] = b"".join(spis)
    tracker = Tracker()
    for record in tracked(messages).messages:
        tracker.feed(record.datagram)
    first = beginning()[0]
    when = first.time_ns + 9_000_000_000
    octets = bytes(late)
    moved = replace(first, payload=octets, length=len(octets), frame=900, time_ns=when, source="203.0.113.77")
    tracker.feed(moved)
    tracker.finish()
    open_ike(tracker.ike_sas, tracker.messages, KeyRing([keys()]))
    old, heir = tracker.ike_sas
    assert heir.rekeys == old.id
    names = (old.initiator.identity, old.responder.identity)
    assert names == ("moon", "sun")
    assert (heir.initiator.identity, heir.responder.identity) == (names if by_initiator else names[::-1])


def bodies() -> Iterator[st.SearchStrategy[tuple[int, bytes]]]:
    small = st.binary(max_size=40)
    for kind in (
        SA,
        KE,
        ID_I,
        ID_R,
        AUTHENTICATION,
        NONCE,
        NOTIFY,
        DELETE,
        TS_I,
        TS_R,
        EAP,
        37,
        38,
        43,
        47,
        53,
        54,
        200,
    ):
        yield st.tuples(st.just(kind), small)
    transforms = st.lists(
        st.tuples(st.integers(0, 13), st.integers(0, 40), st.sampled_from([None, 0, 7, 128, 256, 65535])), max_size=5
    )
    offers = st.builds(
        lambda protocol, spi, rows: proposal(protocol, spi, *rows),
        st.integers(0, 4),
        st.binary(max_size=255),
        transforms,
    )
    yield st.tuples(st.just(SA), offers)
    # A notify and a delete whose lengths and counts lie.
    yield st.tuples(st.just(NOTIFY), st.binary(max_size=9).map(lambda rest: b"\x03\xff\x40\x09" + rest))
    yield st.tuples(st.just(DELETE), st.binary(max_size=9).map(lambda rest: b"\x03\x04\xff\xff" + rest))
    yield st.tuples(st.just(DELETE), st.just(b"\x01\0\0\0"))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_hostile_contents_behind_right_keys_are_survived(data: st.DataObject) -> None:
    messages = []
    contents = st.lists(st.one_of(*bodies()), max_size=6).map(lambda found: chain(*found))
    for _ in range(data.draw(st.integers(1, 6))):
        content = data.draw(contents)
        messages.append(
            sealed(
                data.draw(st.sampled_from([AUTH, CHILD, CHILD, INFORMATIONAL, 43, 44, 99])),
                data.draw(st.integers(0, 2)),
                content,
                by_initiator=data.draw(st.booleans()),
                response=data.draw(st.booleans()),
                fragment=data.draw(st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3))),
            )
        )
    tracker = tracked(messages)
    ring = KeyRing([keys(), SharedSecret(b"g" * 32), Psk(b"p"), Psk(b"q", is_ppk=True)])
    result = open_ike(tracker.ike_sas, tracker.messages, ring)
    assert sum(revealed.opened for revealed in result.revealed.values()) == len(set(messages))
    for revealed in result.revealed.values():
        for child in revealed.children:
            assert child.initiator_spi < 1 << 32
            assert child.responder_spi < 1 << 32


def test_strays_are_tried_so_often_over_all_ike_sas() -> None:
    strays = [stray(number) for number in range(30)]
    tracker = tracked(authenticated())
    (sa,) = tracker.ike_sas
    in_all = Tries(10)
    ring = KeyRing(strays)
    open_v2(sa, tracker.messages, ring, {}, in_all)
    assert -30 < in_all.left <= 0
    left = in_all.left
    assert not open_v2(sa, tracker.messages, ring, {}, in_all).opened
    assert in_all.left == left
    # Those that are said to be of this IKE SA are.
    assert open_v2(sa, tracker.messages, KeyRing([*strays, keys()]), {}, in_all).opened == 2
