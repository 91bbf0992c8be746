"""What became of IKE SAs: lengths, silence, and sentences."""

from __future__ import annotations

import struct

import pytest

from ipsecanalyze.sa.outcome import describe, seconds
from ipsecanalyze.sa.records import Algorithm, Certainty, Exchange, IkeSa, Mode, Peer, State
from ipsecanalyze.sa.sizes import content_of
from ipsecanalyze.sa.tracker import Tracker


@pytest.fixture
def peers(kit):
    return kit.Peers()


def run(datagrams) -> Tracker:
    tracker = Tracker()
    for datagram in datagrams:
        tracker.feed(datagram)
    tracker.finish()
    return tracker


def only(datagrams):
    (sa,) = run(datagrams).ike_sas
    return sa


# AES-CBC with HMAC-SHA2-256-128: 16 octets of IV, 16 of ICV, content and padding length in blocks of 16.
EMPTY_OR_DELETE, ONE_NOTIFY, IDENTITY_AND_AUTH, WITH_CHILD = 48, 48, 128, 208


def begun(peers, answer: int | None = WITH_CHILD, **suite):
    peers.send(peers.init_request())
    peers.send(peers.init_response(**suite), back=True)
    peers.send(peers.sealed(35, 1))
    if answer is not None:
        peers.send(peers.sealed(35, 1, answer, back=True, response=True), back=True)


def informational(peers, number: int, octets: int = EMPTY_OR_DELETE, *, back: bool = False, after_ms: float = 10):
    peers.send(peers.sealed(37, number, octets, back=back), back=back, after_ms=after_ms)
    peers.send(peers.sealed(37, number, octets, back=not back, response=True), back=not back)


def test_how_much_an_encrypted_payload_can_hold() -> None:
    cbc = [Algorithm("ENCR", 12, "", 256), Algorithm("INTEG", 12, "")]
    gcm = [Algorithm("ENCR", 20, "", 256), Algorithm("PRF", 5, "")]
    assert [content_of(48, cbc).may_be(octets) for octets in (0, 8, 15, 16)] == [True, True, True, False]
    # AES-GCM: IV 8, ICV 16, padding length 1, and some senders pad to 4.
    assert [content_of(25, gcm).may_be(octets) for octets in (0, 8)] == [True, False]
    assert [content_of(33, gcm).may_be(octets) for octets in (0, 8)] == [False, True]
    assert [content_of(36, gcm).may_be(octets) for octets in (0, 8)] == [False, True]
    assert content_of(48, []).may_be(8)
    assert not content_of(0, gcm).may_be(8)


def test_a_short_answer_to_ike_auth_is_an_error(peers) -> None:
    begun(peers, ONE_NOTIFY)
    sa = only(peers.sent)
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.INFERRED)
    assert sa.outcome == "probably refused: the encrypted answer to IKE_AUTH is too short for anything but an error"


def test_a_medium_answer_makes_no_child_sa(peers) -> None:
    begun(peers, IDENTITY_AND_AUTH)
    sa = only(peers.sent)
    assert sa.state is State.ESTABLISHED
    assert sa.outcome == "established in 0.03 s; the answer to IKE_AUTH is too short to make a Child SA"


def test_a_long_answer_establishes(peers) -> None:
    begun(peers)
    sa = only(peers.sent)
    assert (sa.state, sa.certainty, sa.outcome) == (State.ESTABLISHED, Certainty.INFERRED, "established in 0.03 s")


def test_a_short_answer_that_goes_on_is_eap(peers) -> None:
    begun(peers, 64)
    peers.send(peers.sealed(35, 2, 64))
    peers.send(peers.sealed(35, 2, 64, back=True, response=True), back=True)
    peers.send(peers.sealed(35, 3, 64))
    peers.send(peers.sealed(35, 3, WITH_CHILD, back=True, response=True), back=True)
    informational(peers, 4, after_ms=5_000)
    assert only(peers.sent).state is State.CLOSED


def test_an_informational_at_once_refuses_the_responder(peers) -> None:
    begun(peers)
    informational(peers, 2)
    sa = only(peers.sent)
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.INFERRED)
    assert "INFORMATIONAL" in sa.outcome


def test_a_last_informational_deletes(peers) -> None:
    begun(peers)
    informational(peers, 0, back=True, after_ms=8_000)
    sa = only(peers.sent)
    assert (sa.state, sa.certainty) == (State.CLOSED, Certainty.INFERRED)
    assert sa.outcome == "established in 0.03 s; probably deleted by the responder after 8 s"


def test_an_empty_informational_deletes_nothing(peers) -> None:
    begun(peers, encr=20, integ=None)
    informational(peers, 2, 8 + 1 + 16, after_ms=8_000)
    assert only(peers.sent).state is State.ESTABLISHED


def test_liveness_checks_at_intervals_delete_nothing(peers) -> None:
    begun(peers)
    for number in range(2, 5):
        informational(peers, number, after_ms=30_000)
    sa = only(peers.sent)
    assert sa.state is State.ESTABLISHED
    assert sa.outcome == "established in 0.03 s; last message after 1 min 30 s"
    informational(peers, 5, after_ms=7_000)
    assert only(peers.sent).state is State.CLOSED


def test_silence_after_a_liveness_check(peers) -> None:
    begun(peers)
    for _ in range(5):
        peers.send(peers.sealed(37, 2, EMPTY_OR_DELETE), after_ms=4_000)
    assert only(peers.sent).outcome == "established in 0.03 s; then INFORMATIONAL was sent 5 times without an answer"


def test_ike_auth_without_an_answer(peers) -> None:
    begun(peers, None)
    for _ in range(4):
        peers.send(peers.sealed(35, 1))
    sa = only(peers.sent)
    assert (sa.state, sa.certainty) == (State.HALF_OPEN, Certainty.OBSERVED)
    assert sa.outcome == "IKE_AUTH was sent 5 times without an answer"


def test_fragments_of_one_message_are_one_transmission(peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_response(), back=True)
    for _ in range(2):
        for number in (1, 2, 3):
            peers.send(peers.sealed(35, 1, 400, fragment=(number, 3)))
    assert only(peers.sent).outcome == "IKE_AUTH was sent 2 times without an answer"


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        (14, b"", "the responder refused the offer: NO_PROPOSAL_CHOSEN"),
        (7, b"", "the responder refused the offer: INVALID_SYNTAX"),
        (16407, b"\x01\x04\xcb\x00\x71\x01", "the responder sent the initiator elsewhere: REDIRECT (203.0.113.1)"),
    ],
)
def test_errors_in_the_clear_are_observed(peers, kind, data, sentence) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_notify(kind, data), back=True)
    sa = only(peers.sent)
    assert (sa.state, sa.certainty) == (State.FAILED, Certainty.OBSERVED)
    assert sa.outcome.startswith(sentence.partition(" (")[0])
    assert data == b"" or "203.0.113.1" in sa.outcome


def test_an_error_that_something_better_follows_is_forgotten(peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_notify(14), back=True)
    peers.send(peers.init_response(), back=True)
    peers.send(peers.sealed(35, 1))
    peers.send(peers.sealed(35, 1, back=True, response=True), back=True)
    assert only(peers.sent).state is State.ESTABLISHED


def test_rounds_that_were_not_taken_up(peers) -> None:
    peers.send(peers.init_request())
    peers.send(peers.init_notify(16390, b"c" * 16), back=True)
    assert only(peers.sent).outcome == "the responder wanted a cookie back; the initiator did not try again"
    peers.send(peers.init_notify(17, struct.pack(">H", 20)), back=True)
    assert "ECP_384" in only(peers.sent).outcome


def test_an_ike_rekey_is_seen_by_what_it_leaves(kit, peers) -> None:
    begun(peers)
    peers.send(peers.sealed(36, 2, 400), after_ms=60_000)
    peers.send(peers.sealed(36, 2, 400, back=True, response=True), back=True)
    informational(peers, 3)
    heir = kit.Peers(spi_i=0xAAAA, spi_r=0xBBBB, time_ns=peers.time_ns, frame=peers.frame)
    informational(heir, 0, after_ms=20_000)
    informational(heir, 1, after_ms=3_000)
    old, new = run([*peers.sent, *heir.sent]).ike_sas
    assert (old.state, new.rekeys) == (State.REKEYED, old.id)
    assert old.outcome == "established in 0.03 s; ike-2 took over after 1 min 0 s"
    assert new.outcome.startswith("established by rekeying ike-1")


def test_spis_from_nowhere_rekey_nothing(kit, peers) -> None:
    begun(peers)
    informational(peers, 2, after_ms=9_000)
    other = kit.Peers(spi_i=0xAAAA, spi_r=0xBBBB, time_ns=peers.time_ns, frame=peers.frame)
    informational(other, 0)
    old, new = run([*peers.sent, *other.sent]).ike_sas
    assert (old.state, new.rekeys) == (State.CLOSED, None)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "less than 1 ms"),
        (270_000_000, "0.27 s"),
        (8_000_000_000, "8 s"),
        (59_400_000_000, "59 s"),
        (59_600_000_000, "1 min 0 s"),
        (125_000_000_000, "2 min 5 s"),
        (3 * 3600 * 10**9 + 120 * 10**9, "3 h 2 min"),
    ],
)
def test_durations(nanoseconds, text) -> None:
    assert seconds(nanoseconds) == text


@pytest.mark.parametrize(
    ("scenario", "state", "words"),
    [
        ("v2-psk-aescbc-a", State.CLOSED, "deleted by the initiator"),
        ("v2-authfail-a", State.FAILED, "too short for anything but an error"),
        ("v2-ts-a", State.ESTABLISHED, "too short to make a Child SA"),
        ("v2-noprop-ike-a", State.FAILED, "NO_PROPOSAL_CHOSEN"),
        ("v1-noprop-a", State.FAILED, "NO_PROPOSAL_CHOSEN"),
        ("v1-wrongpsk-a", State.FAILED, "as with a wrong pre-shared key"),
        ("v1-dpd-dead-a", State.ESTABLISHED, "3 Informationals in a row went unanswered"),
        ("v2-dpd-dead-a", State.ESTABLISHED, "INFORMATIONAL was sent 5 times without an answer"),
        ("v2-oneway-4500-a", State.HALF_OPEN, "IKE_AUTH was sent 5 times without an answer"),
        ("v2-invalid-ke-a", State.CLOSED, "the responder wanted MODP_3072"),
        ("v2-rekey-pfs-a", State.REKEYED, "ike-2 took over"),
        ("v1-rekey-pfs-a", State.REKEYED, "ike-2 took over"),
        ("v2-eap-mschapv2-a", State.CLOSED, "established in 1.1 s"),
        ("v2-mobike-a", State.CLOSED, "probably deleted"),
        ("v1-xauth-a", State.CLOSED, "probably deleted"),
    ],
)
def test_real_endings(kit, scenario, state, words) -> None:
    sa = run(kit.capture(scenario)).ike_sas[0]
    assert sa.state is state
    assert words in sa.outcome


def test_a_negotiation_of_which_little_was_seen() -> None:
    """One message is not "1 messages"; of Cisco's fragments without a last one there is no exchange to name."""
    ends = Peer("192.0.2.1", 500, 1), Peer("198.51.100.1", 500, 0)
    sa = IkeSa("ike-1", "1.0", Mode.MAIN, State.HALF_OPEN, *ends, messages=1)
    assert describe(sa) == "of its messages only some fragments can be read"
    sa.exchanges.append(Exchange(2, "IDENTITY_PROTECTION", 0, True, responses=(1,)))
    assert describe(sa) == "negotiation stopped in IDENTITY_PROTECTION after 1 message"
