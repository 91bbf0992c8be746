"""The first exchange: cookies, key exchange guesses, versions, silence, ICMP, replies that are not taken, floods."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from ike_made import COOKIE, HERE, RESUME, THERE, Talk, Wire, found, nonce, notify, one, suite_v1

from ipsecanalyze.findings import Certainty, Severity


def shows(tshark: str, path: Path, frames: tuple[int, ...], wanted: str) -> bool:
    """Whether all these frames match a display filter."""
    command = [tshark, "-r", str(path / "made.pcap"), "-Y", wanted, "-T", "fields", "-e", "frame.number"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return set(map(str, frames)) <= set(lines)


class TestCookies:
    def test_once_is_no_fault(self, wire: Wire, talk: Talk, tmp_path: Path, tshark_path: str) -> None:
        talk.send(talk.ask())
        asked = talk.send(talk.refuse(COOKIE, b"c" * 20), back=True)
        returned = talk.send(talk.ask(notify(COOKIE, b"c" * 20)), after_ms=5)
        talk.send(talk.accept(), back=True)
        finding = one(wire.analyze(tmp_path), "cookie-challenge")
        assert (finding.severity, finding.certainty) == (Severity.INFO, Certainty.OBSERVED)
        assert finding.frames == (asked, returned)
        assert "25 ms later" in finding.explanation
        assert shows(tshark_path, tmp_path, finding.frames, f"isakmp.notify.msgtype == {COOKIE}")

    def test_a_loop_is_told_with_its_causes(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask())
        for round_ in range(3):
            cookie = bytes((round_,)) * 20
            talk.send(talk.refuse(COOKIE, cookie), back=True)
            talk.send(talk.ask(notify(COOKIE, cookie)))
        finding = one(wire.analyze(tmp_path), "cookie-challenge")
        assert finding.severity == Severity.MEDIUM
        assert "3 rounds" in finding.explanation
        assert len(finding.frames) == 6

    def test_who_never_comes_back_is_a_matter_of_floods(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask())
        talk.send(talk.refuse(COOKIE, b"c" * 20), back=True)
        assert not found(wire.analyze(tmp_path), "cookie-challenge")


class TestKeyExchangeGuess:
    def test_a_loop_means_no_common_group(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        for fill in (b"a", b"b"):
            talk.send(talk.ask(group=14, fill=fill))
            talk.send(talk.refuse(17, b"\0\x13"), back=True)
        finding = one(wire.analyze(tmp_path), "invalid-ke-retry")
        assert finding.severity == Severity.HIGH
        assert "MODP_2048 offered" in finding.title
        assert finding.frames == (1, 2, 3, 4)

    def test_giving_up_is_no_success(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask(group=14))
        talk.send(talk.refuse(17, b"\0\x13"), back=True)
        assert "did not try again" in one(wire.analyze(tmp_path), "invalid-ke-retry").explanation


class TestSilence:
    def test_a_peer_that_never_answers(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        frames = tuple(talk.send(talk.ask(), after_ms=wait) for wait in (0, 500, 1000, 2000))
        wire.wait(4)
        finding = one(wire.analyze(tmp_path), "peer-unreachable")
        assert finding.frames == frames
        assert (finding.severity, finding.certainty) == (Severity.HIGH, Certainty.OBSERVED)
        assert "sent IKE_SA_INIT 4 times" in finding.explanation

    def test_a_capture_that_ends_too_soon_says_nothing(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask())
        talk.send(talk.ask(), after_ms=500)
        assert not wire.analyze(tmp_path).diagnose() or not found(wire.analyze(tmp_path), "peer-unreachable")

    def test_a_later_success_makes_it_less(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        for wait in (0, 1000, 2000):
            talk.send(talk.ask(), after_ms=wait)
        Talk(wire, spi_i=7, spi_r=8).establish()
        finding = one(wire.analyze(tmp_path), "peer-unreachable")
        assert finding.severity == Severity.MEDIUM
        assert "ike-2, was established" in finding.explanation
        assert "does send other IPsec packets" in finding.explanation

    def test_main_mode(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        first = talk.message(2, 0, (1, suite_v1()), spi_r=0, version=0x10, flags=0)
        for wait in (0, 2000, 4000):
            talk.send(first, after_ms=wait)
        assert one(wire.analyze(tmp_path), "peer-unreachable").frames == (1, 2, 3)

    def test_the_first_encrypted_message_of_main_mode(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        def say(*bodies: tuple[int, bytes], back: bool = False, fresh: bool = False) -> None:
            talk.send(
                talk.message(2, 0, *bodies, back=back, spi_r=0 if fresh else None, version=0x10, flags=0), back=back
            )

        say((1, suite_v1()), fresh=True)
        say((1, suite_v1()), back=True)
        say((4, b"k" * 256), (10, b"n" * 20))
        say((4, b"K" * 256), (10, b"N" * 20), back=True)
        fifth = talk.message(2, 0, raw=b"e" * 64, first=5, version=0x10, flags=1)
        for wait in (10, 2000, 4000):
            talk.send(fifth, after_ms=wait)
        finding = one(wire.analyze(tmp_path), "authentication-failed")
        assert (finding.certainty, finding.frames) == (Certainty.INFERRED, (5, 6, 7))

    def test_another_version_is_answered(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        for wait in (0, 1000, 2000):
            talk.send(talk.ask(), after_ms=wait)
        other = Talk(wire, spi_i=5, spi_r=6)
        other.send(other.message(2, 0, (1, suite_v1()), spi_r=0, version=0x10, flags=0))
        other.send(other.message(2, 0, (1, suite_v1()), back=True, version=0x10, flags=0), back=True)
        analysis = wire.analyze(tmp_path)
        finding = one(analysis, "version-mismatch")
        assert finding.certainty == Certainty.INFERRED
        assert "ike-2" in finding.explanation
        assert not found(analysis, "peer-unreachable")

    def test_icmp_says_why(self, wire: Wire, talk: Talk, tmp_path: Path, tshark_path: str) -> None:
        errors = [wire.icmp("192.0.2.254", 3, 13, talk.send(talk.ask(), after_ms=1500)) for _ in range(3)]
        analysis = wire.analyze(tmp_path)
        finding = one(analysis, "icmp-rejected")
        assert list(finding.frames) == errors
        assert (finding.severity, finding.certainty) == (Severity.HIGH, Certainty.OBSERVED)
        assert "prohibited" in finding.title
        assert not found(analysis, "peer-unreachable")
        assert shows(tshark_path, tmp_path, finding.frames, "icmp.type == 3 && isakmp")


class TestReplyIgnored:
    def test_the_request_comes_again_after_the_reply(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask())
        talk.send(talk.accept(), back=True)
        for _ in range(3):
            talk.send(talk.ask(), after_ms=1000)
            talk.send(talk.accept(), back=True)
        finding = one(wire.analyze(tmp_path), "reply-ignored")
        assert finding.frames == (1, 2, 3, 5, 7)
        assert "frame 2" in finding.explanation

    def test_what_goes_on_was_not_ignored(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask())
        for _ in range(3):
            talk.send(talk.accept(), back=True, after_ms=900)
            talk.send(talk.ask())
        talk.send(talk.auth_request())
        talk.send(talk.auth_response(), back=True)
        assert not found(wire.analyze(tmp_path), "reply-ignored")


class TestVersions:
    def test_invalid_major_version(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask())
        refusal = talk.send(talk.refuse(5), back=True)
        finding = one(wire.analyze(tmp_path), "version-mismatch")
        assert finding.frames == (refusal,)
        assert THERE in finding.title

    def test_an_answer_in_the_other_version(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        talk.send(talk.ask())
        talk.send(talk.message(5, 0, (11, b"\0\0\0\1\1\0\0\5"), back=True, version=0x10, flags=0), back=True)
        finding = one(wire.analyze(tmp_path), "version-mismatch")
        assert finding.severity == Severity.HIGH


def test_a_ticket_that_is_not_taken(wire: Wire, talk: Talk, tmp_path: Path) -> None:
    talk.send(talk.message(RESUME, 0, nonce(), notify(16413, b"ticket" * 8), spi_r=0))
    refusal = talk.send(talk.message(RESUME, 0, notify(16412), back=True, spi_r=0), back=True)
    finding = one(wire.analyze(tmp_path), "resumption-refused")
    assert (finding.severity, finding.frames) == (Severity.LOW, (refusal,))


def test_an_error_without_a_rule_of_its_own(wire: Wire, talk: Talk, tmp_path: Path) -> None:
    talk.send(talk.ask())
    refusal = talk.send(talk.refuse(7), back=True)
    finding = one(wire.analyze(tmp_path), "error-notify")
    assert (finding.severity, finding.frames) == (Severity.HIGH, (refusal,))
    assert "INVALID_SYNTAX" in finding.title


class TestFloods:
    @staticmethod
    def flood(wire: Wire, count: int, *, senders: int = 250, cookies: bool = False) -> None:
        for number in range(count):
            talk = Talk(wire, here=f"10.{number % senders}.7.7", spi_i=1000 + number)
            talk.send(talk.ask(), after_ms=1)
            if cookies:
                talk.send(talk.refuse(COOKIE, b"c" * 20), back=True, after_ms=1)

    def test_a_few_single_messages_are_none(self, wire: Wire, tmp_path: Path) -> None:
        self.flood(wire, 9)
        assert not found(wire.analyze(tmp_path), "ike-flood")

    @pytest.mark.parametrize(
        ("count", "cookies", "severity"),
        [
            (12, False, Severity.LOW),
            (150, False, Severity.MEDIUM),
            (1100, False, Severity.HIGH),
            (1100, True, Severity.MEDIUM),
        ],
    )
    def test_many(self, wire: Wire, tmp_path: Path, count: int, cookies: bool, severity: Severity) -> None:
        self.flood(wire, count, cookies=cookies)
        finding = one(wire.analyze(tmp_path), "ike-flood")
        assert finding.severity == severity
        assert finding.subject == THERE
        assert f"{count:,} attempts" in finding.title
        assert ("defends itself" in finding.explanation) is cookies

    def test_initiators_that_try_again_are_real(self, wire: Wire, tmp_path: Path) -> None:
        talks = [Talk(wire, here=f"10.0.0.{number}", spi_i=1000 + number) for number in range(1, 40)]
        for _ in range(3):
            for talk in talks:
                talk.send(talk.ask())
            wire.wait(2)
        analysis = wire.analyze(tmp_path)
        assert not found(analysis, "ike-flood")
        assert len(found(analysis, "peer-unreachable")) == len(talks)

    def test_one_sender_needs_more(self, wire: Wire, tmp_path: Path) -> None:
        self.flood(wire, 50, senders=1)
        assert not found(wire.analyze(tmp_path), "ike-flood")


class TestRepeats:
    def test_what_is_tried_again_and_again_is_told_once(self, wire: Wire, tmp_path: Path) -> None:
        for number in range(60):
            talk = Talk(wire, spi_i=100 + number)
            talk.send(talk.ask(), after_ms=60_000)
            talk.send(talk.refuse(14), back=True)
        finding = one(wire.analyze(tmp_path), "no-proposal-chosen")
        assert finding.subject == "ike-1"
        assert "60 times in all" in finding.explanation
        assert finding.frames == tuple(range(1, 33))

    def test_few_are_named(self, wire: Wire, tmp_path: Path) -> None:
        for number in range(2):
            talk = Talk(wire, spi_i=100 + number)
            talk.send(talk.ask())
            talk.send(talk.refuse(14), back=True)
        assert "2 times in all (ike-2)" in one(wire.analyze(tmp_path), "no-proposal-chosen").explanation


class TestBehindTheBlock:
    """A capture at the responder, to which nothing on port 4500 comes."""

    def negotiate(self, wire: Wire, talk: Talk, *, nat: bool) -> None:
        inner = "10.0.0.1" if nat else HERE
        talk.send(talk.ask(*talk.nat_hashes((inner, 500), (THERE, 500), first=True)))
        talk.send(talk.accept(*talk.nat_hashes((THERE, 500), (HERE, 500), first=False)), back=True)
        wire.wait(5)

    def test_nothing_follows(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        self.negotiate(wire, talk, nat=True)
        finding = one(wire.analyze(tmp_path), "nat-t-blocked")
        assert (finding.severity, finding.certainty, finding.frames) == (Severity.HIGH, Certainty.INFERRED, (1, 2))

    def test_without_a_nat_nobody_knows(self, wire: Wire, talk: Talk, tmp_path: Path) -> None:
        self.negotiate(wire, talk, nat=False)
        assert not found(wire.analyze(tmp_path), "nat-t-blocked")

    def test_a_flood_is_not_told_one_by_one(self, wire: Wire, tmp_path: Path) -> None:
        for number in range(1, 13):
            talk = Talk(wire, here=f"198.18.0.{number}", spi_i=number)
            self.negotiate(wire, talk, nat=True)
        assert not found(wire.analyze(tmp_path), "nat-t-blocked")


def test_icmp_about_the_answers_blames_the_other_side(wire: Wire, talk: Talk, tmp_path: Path) -> None:
    talk.establish()
    check = talk.sealed(37, 0, back=True, response=False)
    frames = [talk.send(check, back=True, after_ms=wait) for wait in (10_000, 1000, 2000)]
    for frame in frames:
        wire.icmp(HERE, 3, 3, frame)
    finding = one(wire.analyze(tmp_path), "icmp-rejected")
    assert f"most likely {HERE}" in finding.remedy
