"""IKEv1 opened with what the daemons logged, against what the kernel installed, what was configured, and tshark.

`keys/ikev1_secrets.json` holds what charon of either gateway logged about phase 1 and its key exchanges ("origin" names
file and line of the log beside the original capture), and the pre-shared keys that were configured.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipsecanalyze
from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.crypto.material import IkeKeys, Psk, SharedSecret
from ipsecanalyze.keys import KeyRing, load_keys
from ipsecanalyze.opening.ike_v1 import open_v1
from ipsecanalyze.opening.revealed import Revealed, RevealedChild
from ipsecanalyze.sa.records import Certainty, IkeSa, MessageRecord, State
from ipsecanalyze.sa.tracker import Tracker

CAPTURES = Path(__file__).parent.parent / "captures"
TABLES = sorted(path.parent.parent.name for path in CAPTURES.glob("*/keys/ikev1_decryption_table"))
LIVING = [name for name in TABLES if name != "v1-wrongpsk-a"]
PSK = [name for name in LIVING if name != "v1-main-cert-a"]
Story = tuple[IkeSa, list[MessageRecord], Revealed]


def secrets(name: str) -> KeyRing:
    """All that is known of the scenario's IKE SAs."""
    return load_keys(CAPTURES / name / "keys" / "ikev1_secrets.json")


def only_ka(name: str) -> KeyRing:
    """What Wireshark's table holds."""
    return load_keys(CAPTURES / name / "keys" / "ikev1_decryption_table")


def only_secrets(name: str) -> KeyRing:
    """Pre-shared keys and the results of key exchanges; nothing derived."""
    return KeyRing(key for key in secrets(name) if isinstance(key, Psk | SharedSecret))


def only_logged(name: str) -> KeyRing:
    """SKEYID and what follows from it; neither pre-shared keys nor results of key exchanges."""
    return KeyRing(key for key in secrets(name) if isinstance(key, IkeKeys))


@cache
def datagrams(name: str) -> tuple[Datagram, ...]:
    capture = next(path for path in (CAPTURES / name).glob("wan.pcap*"))
    return tuple(record.datagram for record in ipsecanalyze.analyze(capture).messages)


def follow(sent: list[Datagram] | tuple[Datagram, ...], ring: KeyRing) -> list[Story]:
    """Track the datagrams, and open each IKE SA."""
    tracker = Tracker()
    for datagram in sent:
        tracker.feed(datagram)
    tracker.finish()
    found = []
    for sa in tracker.ike_sas:
        records = [record for record in tracker.messages if record.ike_sa is sa]
        found.append((sa, records, open_v1(sa, records, ring)))
    return found


def opened(name: str, ring: KeyRing) -> list[Story]:
    return follow(datagrams(name), ring)


def encrypted(records: list[MessageRecord]) -> list[MessageRecord]:
    return [record for record in records if record.message.is_encrypted]


def notes(records: list[MessageRecord]) -> list[str]:
    return [note for record in records for note in record.notes]


def kernel(name: str) -> dict[int, tuple[str, str]]:
    rows = json.loads((CAPTURES / name / "keys" / "sas.json").read_text())
    return {int(row["spi"], 16): (row["enc_key"], row["auth_key"]) for row in rows if row["spi"] != "0x01000000"}


def key_pairs(child: RevealedChild, spi: int) -> list[tuple[str, str]]:
    return [
        ("0x" + keys.encryption_key.hex(), "0x" + keys.integrity_key.hex()) for keys in child.keys if keys.spi == spi
    ]


# Everything opens, with whatever there is


@pytest.mark.parametrize("ring_of", [only_ka, only_logged, only_secrets, secrets])
@pytest.mark.parametrize("name", LIVING)
def test_everything_opens(name: str, ring_of: object) -> None:
    assert callable(ring_of)
    for sa, records, revealed in opened(name, ring_of(name)):
        assert not revealed.failed
        assert encrypted(records)
        assert all(record.opened for record in encrypted(records))
        # Cisco's fragments are counted one by one.
        pieces = sum(record.message.next_payload == 132 for record in records)
        assert revealed.opened == len(encrypted(records)) + pieces
        assert sa.decrypted
        assert revealed.keys
        assert {keys.spi_i for keys in revealed.keys} == {sa.initiator.spi}
        assert not [note for note in notes(records) if note.startswith(("inside:", "not opened"))]


@pytest.mark.parametrize("name", TABLES)
def test_payloads_inside_as_tshark_sees_them(name: str, tshark_path: str) -> None:
    table = (CAPTURES / name / "keys" / "ikev1_decryption_table").read_text().splitlines()
    # Wireshark keeps one key for a cookie.
    options = [part for line in table if line for part in ("-o", f"uat:ikev1_decryption_table:{line}")]
    capture = next(path for path in (CAPTURES / name).glob("wan.pcap*"))
    command = [tshark_path, "-n", "-r", str(capture), "-Y", "isakmp && !icmp", *options, "-T", "fields"]
    command += ["-e", "frame.number", "-e", "isakmp.typepayload"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    theirs = {int(frame): types for frame, _, types in (line.partition("\t") for line in lines)}
    compared = 0
    for _, records, _ in opened(name, only_ka(name)):
        for record in encrypted(records):
            # tshark lists proposals and transforms (2, 3) too, and fragments.
            seen = [int(text) for text in theirs[record.datagram.frame].split(",") if text not in ("", "2", "3", "132")]
            if name == "v1-wrongpsk-a" and not seen:
                continue
            assert record.opened is not None
            if name != "v1-wrongpsk-a":
                assert [payload.type for payload in record.opened] == seen
            compared += 1
    assert compared


# What is inside is verified


@pytest.mark.parametrize("ring_of", [only_logged, only_secrets, secrets])
@pytest.mark.parametrize("name", LIVING)
def test_every_hash_is_right(name: str, ring_of: object) -> None:
    assert callable(ring_of)
    for _, records, _ in opened(name, ring_of(name)):
        assert not [note for note in notes(records) if note.endswith("wrong")]
        for record in encrypted(records):
            if record.retransmission_of is None:
                assert [note for note in record.notes if note.endswith("verified")], record.datagram.frame


@pytest.mark.parametrize("name", LIVING)
def test_ka_verifies_nothing(name: str) -> None:
    for _, records, _ in opened(name, only_ka(name)):
        assert not [note for note in notes(records) if "verified" in note or "wrong" in note]


def test_signatures_are_verified() -> None:
    [(_, records, _)] = opened("v1-main-cert-a", only_secrets("v1-main-cert-a"))
    assert [note for note in notes(records) if "SIG" in note] == ["SIG_I verified", "SIG_R verified"]


def test_wrong_signatures_are_told() -> None:
    name = "v1-main-cert-a"
    ring = KeyRing(replace(keys, skeyid=b"y" * 64) for keys in only_logged(name).ike)
    [(_, records, _)] = opened(name, ring)
    assert [note for note in notes(records) if "SIG" in note] == ["SIG_I wrong", "SIG_R wrong"]


def test_ka_is_completed_by_what_it_is_derived_from() -> None:
    name = "v1-main-psk-a"
    ring = only_ka(name)
    ring.merge(only_secrets(name))
    [(_, _, revealed)] = opened(name, ring)
    [logged] = only_logged(name).ike
    [used] = revealed.keys
    for field in ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "skeyid", "skeyid_e", "spi_i", "spi_r"):
        assert getattr(used, field) == getattr(logged, field), field


def test_a_wrong_skeyid_a_is_told() -> None:
    name = "v1-main-psk-a"
    ring = KeyRing(replace(keys, sk_ai=b"x" * 20, sk_ar=b"x" * 20, skeyid=b"y" * 20) for keys in only_logged(name).ike)
    [(sa, records, revealed)] = opened(name, ring)
    assert not revealed.failed
    said = notes(records)
    assert said.count("HASH wrong") == 5
    assert "HASH_I wrong" in said
    assert "HASH_R wrong" in said
    assert sa.state is State.CLOSED  # a Quick Mode was agreed on all the same


# What becomes known of the IKE SA


@pytest.mark.parametrize("ring_of", [only_ka, only_secrets])
@pytest.mark.parametrize("name", LIVING)
def test_who_they_are(name: str, ring_of: object) -> None:
    assert callable(ring_of)
    named = ("192.0.2.1", "198.51.100.1") if "main-psk" in name or "rekey" in name else None
    for sa, _, _ in opened(name, ring_of(name)):
        who = (sa.initiator.identity, sa.responder.identity)
        assert who == (named or ("moon.corpus.example", "sun.corpus.example"))
        assert sa.authentication_responder == ("rsa-sig" if "cert" in name else "psk")


def test_the_user_of_xauth() -> None:
    [(sa, records, _)] = opened("v1-xauth-a", only_ka("v1-xauth-a"))
    assert sa.authentication_initiator == "psk+xauth (user carol-a)"
    assert "XAUTH succeeded" in notes(records)
    assert "assigns 10.9.0.1" in notes(records)
    shown = [payload.summary for record in records for payload in record.opened or ()]
    assert not [text for text in shown if "Secret" in text]


@pytest.mark.parametrize("name", ["v1-main-psk-a", "v1-aggr-psk-a", "v1-main-cert-a", "v1-natt-a", "v1-xauth-a"])
@pytest.mark.parametrize("ring_of", [only_ka, only_secrets])
def test_deletion_is_observed(name: str, ring_of: object) -> None:
    assert callable(ring_of)
    [(sa, records, _)] = opened(name, ring_of(name))
    assert (sa.state, sa.certainty) == (State.CLOSED, Certainty.OBSERVED)
    assert "probably" not in sa.outcome
    assert "deleted by the initiator" in sa.outcome
    assert records[-1].notes[-1] == "deletes the IKE SA"
    spi = next(iter(int.from_bytes(p.spis[0]) for r in records[-2:] for p in r.opened or () if p.label == "D"))
    assert f"deletes ESP {spi:08x}" in records[-2].notes
    assert sa.closed_ns == records[-1].datagram.time_ns


def test_liveness_checks_are_read() -> None:
    [(sa, _, _)] = opened("v1-dpd-dead-a", only_ka("v1-dpd-dead-a"))
    assert (sa.state, sa.certainty) == (State.ESTABLISHED, Certainty.OBSERVED)
    checks = [(notify.name, notify.data) for notify in sa.notifies if notify.name.startswith("R_U_THERE")]
    assert len([name for name, _ in checks if name == "R_U_THERE"]) == 8
    assert {data for name, data in checks if name == "R_U_THERE_ACK"} < {data for _, data in checks}
    assert checks[-3:] == [("R_U_THERE", "sequence 704499561")] * 3


def test_reauthentication_is_two_ike_sas() -> None:
    (old, _, first), (new, _, second) = opened("v1-rekey-pfs-a", secrets("v1-rekey-pfs-a"))
    assert old.state is State.REKEYED
    assert new.rekeys == old.id
    assert (new.state, new.certainty) == (State.CLOSED, Certainty.OBSERVED)
    assert len(first.children) == 3
    assert len(second.children) == 2


def test_a_refusal_in_the_clear_stays() -> None:
    [(sa, _, revealed)] = opened("v1-noprop-a", secrets("v1-main-psk-a"))
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.OBSERVED)
    assert not revealed.opened
    assert not revealed.failed
    assert not sa.decrypted


@pytest.mark.parametrize("ring_of", [only_ka, only_secrets, secrets])
def test_different_pre_shared_keys_are_observed(ring_of: object) -> None:
    assert callable(ring_of)
    [(sa, records, revealed)] = opened("v1-wrongpsk-a", ring_of("v1-wrongpsk-a"))
    assert not revealed.failed
    assert len(revealed.keys) == 2
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.OBSERVED)
    assert "PAYLOAD_MALFORMED" in sa.outcome
    assert sa.reason == "the two sides derived different keys: their pre-shared keys differ"
    assert all(record.opened for record in encrypted(records))
    assert sa.established_ns is None


def test_the_responders_key_alone_tells_that_they_differ() -> None:
    ring = only_secrets("v1-wrongpsk-a")
    right = KeyRing([*ring.shared_secrets, *(psk for psk in ring.psks if b"Alpha" in psk.value)])
    [(sa, records, revealed)] = opened("v1-wrongpsk-a", right)
    assert revealed.opened == 4
    assert sum(revealed.failed.values()) == 4
    assert sa.state is State.FAILED
    assert "differ" in sa.reason
    wrong = KeyRing([*ring.shared_secrets, *(psk for psk in ring.psks if b"Alpha" not in psk.value)])
    [(sa, records, revealed)] = opened("v1-wrongpsk-a", wrong)
    assert "HASH_I verified" in notes(records)
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.INFERRED)
    assert "one side" in sa.outcome


# Child SAs


@pytest.mark.parametrize("ring_of", [only_secrets, secrets])
@pytest.mark.parametrize("name", LIVING)
def test_child_keys_are_those_of_the_kernel(name: str, ring_of: object) -> None:
    assert callable(ring_of)
    installed = kernel(name)
    compared = set()
    for _, _, revealed in opened(name, ring_of(name)):
        for child in revealed.children:
            assert not child.missing
            for spi in (child.initiator_spi, child.responder_spi):
                assert installed[spi] in key_pairs(child, spi)
                # Those of phase 1 are not among the candidates of a key exchange of its own.
                assert len(key_pairs(child, spi)) <= (3 if child.has_key_exchange else 1)
                compared.add(spi)
    assert compared == set(installed)


@pytest.mark.parametrize("name", [name for name in PSK if "pfs" not in name])
def test_skeyid_d_is_enough_without_pfs(name: str) -> None:
    [(_, _, revealed)] = opened(name, KeyRing(replace(k, skeyid=b"", skeyid_e=b"") for k in only_logged(name).ike))
    for child in revealed.children:
        for spi in (child.initiator_spi, child.responder_spi):
            assert key_pairs(child, spi) == [kernel(name)[spi]]


@pytest.mark.parametrize("name", LIVING)
def test_what_is_missing_for_child_keys(name: str) -> None:
    for _, _, revealed in opened(name, only_ka(name)):
        for child in revealed.children:
            assert not child.keys
            assert "SKEYID_d" in child.missing
    if "pfs" in name:
        for _, _, revealed in opened(name, only_logged(name)):
            assert revealed.children
            for child in revealed.children:
                assert not child.keys
                assert "a key exchange of its own (PFS)" in child.missing


@pytest.mark.parametrize("name", LIVING)
def test_what_children_are(name: str) -> None:
    meta = json.loads((CAPTURES / name / "meta.json").read_text())
    directions = {int(row["spi"], 16): (row["src"], row["dst"]) for row in meta["spis"]}
    for sa, records, revealed in opened(name, only_ka(name)):
        assert revealed.children
        for child in revealed.children:
            assert child.protocol == "ESP"
            assert child.mode == meta["mode"]
            theirs = "10.9.0.1/32" if "xauth" in name else meta["addresses"]["moon_lan"]
            assert child.selectors_initiator == [theirs]
            assert child.selectors_responder == [meta["addresses"]["sun_lan"]]
            assert child.chosen[0].name == "ENCR_AES_CBC"
            assert child.chosen[0].key_length == (256 if "cert" in name else 128)
            group = ["MODP_1536"] if "pfs" in name else []
            assert [algorithm.name for algorithm in child.chosen if algorithm.type == "KE"] == group
            assert child.has_key_exchange is ("pfs" in name)
            assert (child.initiator_address, child.responder_address) == ("192.0.2.1", "198.51.100.1")
            if "natt" not in name:
                # An SPI is on packets towards the side that chose it.
                assert directions[child.initiator_spi][1] == sa.initiator.address
                assert directions[child.responder_spi][1] == sa.responder.address
            answer = next(record for record in records if record.datagram.frame == child.frame)
            assert answer.is_response
            for keys in child.keys:
                assert keys.mode == child.mode


# Captures that are not whole


@pytest.mark.parametrize("ring_of", [only_ka, only_logged])
@pytest.mark.parametrize("name", ["v1-main-psk-a", "v1-xauth-a", "v1-main-cert-a", "v1-dpd-dead-a"])
def test_phase_1_is_not_in_the_capture(name: str, ring_of: object) -> None:
    """From their second block on messages open: the types that follow HASH are known from the exchange."""
    assert callable(ring_of)
    sent = [datagram for datagram in datagrams(name) if datagram.payload[18] not in (2, 4)]
    [(sa, records, revealed)] = follow(sent, ring_of(name))
    [(_, whole, _)] = opened(name, secrets(name))
    expected = {record.datagram.frame: record.opened for record in whole}
    assert not revealed.failed
    assert sa.started_late
    assert (sa.state, sa.certainty) != (State.ESTABLISHED, Certainty.INFERRED)
    knows = ring_of is only_logged
    for record in records:
        assert record.opened is not None
        theirs = expected[record.datagram.frame]
        assert theirs is not None
        assert [p.type for p in record.opened] == [p.type for p in theirs]
        # With SKEYID_a HASH can be computed, and so the first block too.
        assert record.opened[0 if knows else 1 :] == theirs[0 if knows else 1 :]
        verified = [note for note in record.notes if note == "HASH verified"]
        assert bool(verified) is knows
    late = [note for note in notes(records) if "from its second block on" in note]
    assert len(late) == len({record.message.message_id for record in records})
    for child in revealed.children:
        for spi in (child.initiator_spi, child.responder_spi) if knows else ():
            assert key_pairs(child, spi) == [kernel(name)[spi]]


def test_a_message_of_an_exchange_is_lost() -> None:
    name = "v1-main-psk-a"
    for lost in range(4, len(datagrams(name))):
        sent = [datagram for index, datagram in enumerate(datagrams(name)) if index != lost]
        [(_, records, revealed)] = follow(sent, secrets(name))
        unopened = [record for record in encrypted(records) if record.opened is None]
        # Without message 5 the IV of message 6 is not known, and it has no HASH in front; the third message of a Quick
        # Mode is nothing but HASH.
        assert len(unopened) == (1 if lost in (4, 7) else 0), lost
        assert not [note for note in notes(records) if note.endswith("wrong")]
        # Without an answer there is no child; without an offer its SPI is not known.
        assert len(revealed.children) == (0 if lost in (6, 7) else 1)


def test_retransmissions_and_forgeries_are_harmless() -> None:
    name = "v1-main-psk-a"
    sent: list[Datagram] = []
    for index, datagram in enumerate(datagrams(name)):
        sent += [datagram, datagram]
        if index >= 4:
            # Somebody who knows cookies and message ID sends noise.
            noise = datagram.payload[:28] + bytes(255 - octet for octet in datagram.payload[28:])
            sent.append(replace(datagram, payload=noise))
    [(sa, _, revealed)] = follow(sent, secrets(name))
    assert sum(revealed.failed.values()) == 7
    assert revealed.opened == 14
    assert len(revealed.children) == 1
    assert sa.state is State.CLOSED
    assert len([notify for notify in sa.notifies if notify.name == "INITIAL_CONTACT"]) == 1


def test_a_cut_message_is_told() -> None:
    sent = [replace(datagram, payload=datagram.payload[:90]) for datagram in datagrams("v1-main-psk-a")]
    stories = follow(sent, secrets("v1-main-psk-a"))
    reasons = {reason for _, _, revealed in stories for reason in revealed.failed}
    assert "the capture cut the message (snap length)" in reasons


# Keys that are not enough, or wrong


def test_why_nothing_opens() -> None:
    name = "v1-main-psk-a"
    known = secrets(name)
    cases = {
        "there are no keys of this IKE SA": KeyRing(),
        "g^xy is known, the pre-shared key is not": KeyRing(known.shared_secrets),
        "a pre-shared key is known, g^xy of this IKE SA is not": KeyRing(known.psks),
        "none of the keys at hand opens it": KeyRing(replace(k, sk_ei=b"k" * 16, sk_er=b"k" * 16) for k in known.ike),
        "none of the pre-shared keys at hand fits, or g^xy is that of another IKE SA": KeyRing(
            [*known.shared_secrets, Psk(b"another")]
        ),
    }
    for reason, ring in cases.items():
        [(sa, records, revealed)] = opened(name, ring)
        assert [*revealed.failed] == [reason]
        assert revealed.failed[reason] == len(encrypted(records)) == 7
        assert (f"not opened: {reason}" in records[-1].notes) is reason.startswith("none of")
        assert not sa.decrypted
        assert sa.certainty is Certainty.INFERRED
        assert sa.outcome == opened(name, KeyRing())[0][0].outcome


def test_libreswan_logs_no_keys() -> None:
    [(sa, _, revealed)] = opened("lsw-v1-a", secrets("lsw-v1-a"))
    assert [*revealed.failed] == ["a pre-shared key is known, g^xy of this IKE SA is not"]
    assert sa.state is State.CLOSED


def test_keys_without_cookies_are_tried() -> None:
    name = "v1-main-psk-a"
    noise = [IkeKeys(version=1, sk_ei=bytes([i]) * 16, sk_er=bytes([i]) * 16) for i in range(40)]
    known = [replace(keys, spi_i=0, spi_r=0) for keys in secrets(name).ike]
    [(_, records, revealed)] = opened(name, KeyRing([*noise, *known]))
    assert not revealed.failed
    assert "HASH_R verified" in notes(records)
    stray = [replace(secret, spi_i=0, spi_r=0) for secret in secrets(name).shared_secrets]
    others = [SharedSecret(bytes([i]) * 192) for i in range(30)]
    psks = [Psk(b"no"), *secrets(name).psks]
    [(_, _, revealed)] = opened(name, KeyRing([*others, *stray, *psks]))
    assert not revealed.failed


def test_aggressive_mode_tells_the_pre_shared_key_to_all() -> None:
    """HASH_R is in the clear: a pre-shared key is verified without any result of a key exchange."""
    name = "v1-aggr-psk-a"
    [(_, records, revealed)] = opened(name, KeyRing(secrets(name).psks))
    assert "HASH_R verified" in notes(records)
    assert not revealed.opened
    [(_, records, _)] = opened(name, KeyRing([Psk(b"another")]))
    assert "HASH_R verified" not in notes(records)


# Hostile input


@settings(max_examples=200)
@given(data=st.data())
def test_hostile_messages_are_survived(data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["v1-main-psk-a", "v1-aggr-psk-a", "v1-main-cert-a", "v1-xauth-a", "v1-wrongpsk-a"])
    )
    ring = data.draw(st.sampled_from([only_ka, only_secrets, secrets]))(name)
    sent = []
    for datagram in datagrams(name):
        octets = bytearray(datagram.payload)
        for _ in range(data.draw(st.integers(0, 2))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(octets))) if data.draw(st.integers(0, 9)) == 0 else None
        sent.append(replace(datagram, payload=bytes(octets[:cut])))
    if data.draw(st.booleans()):
        sent = data.draw(st.permutations(sent))
    for _, records, revealed in follow(sent, ring):
        closed = sum(revealed.failed.values())
        # Every message either opens or is told; a fragment counts with its message.
        assert revealed.opened + closed >= len(encrypted(records))


@settings(max_examples=100)
@given(
    key=st.binary(max_size=40),
    psk=st.binary(max_size=20),
    secret=st.binary(min_size=1, max_size=300),
    encryption=st.sampled_from([None, 0, 2, 3, 12, 20, 23, 99]),
    prf=st.sampled_from([None, 0, 1, 2, 4, 5, 99]),
)
def test_wrong_keys_are_survived(
    key: bytes, psk: bytes, secret: bytes, encryption: int | None, prf: int | None
) -> None:
    name = "v1-main-psk-a"
    [known] = secrets(name).ike
    ring = KeyRing(
        [
            IkeKeys(1, known.spi_i, known.spi_r, encryption, None, prf, sk_ei=key, sk_er=key, sk_d=key, skeyid=key),
            IkeKeys(1, known.spi_i, 0, encryption, None, prf, skeyid=key),
            IkeKeys(1, 0, 0, encryption, None, prf, skeyid_e=key, sk_d=key),
            Psk(psk),
            SharedSecret(secret, known.spi_i),
        ]
    )
    for late in (False, True):
        sent = datagrams(name)[6:] if late else datagrams(name)
        [(sa, _, revealed)] = follow(sent, ring)
        assert not revealed.opened
        assert not sa.decrypted
