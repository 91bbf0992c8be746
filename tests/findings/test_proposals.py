"""Offers compared: what would agree with the smallest change, in keywords of strongSwan and libreswan."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from ike_made import HERE, THERE, Talk, Wire, offer, one, suite, suite_v1

from ipsecanalyze.findings import Severity
from ipsecanalyze.findings.proposals import libreswan, offer_text, smallest_change, strongswan, suite_text
from ipsecanalyze.sa.records import Algorithm


def algorithms(*transforms: tuple[str, int] | tuple[str, int, int]) -> list[Algorithm]:
    return [Algorithm(one[0], one[1], f"{one[0]}_{one[1]}", one[2] if len(one) > 2 else None) for one in transforms]


CBC = algorithms(("ENCR", 12, 256), ("INTEG", 12), ("PRF", 5), ("KE", 14))
GCM = algorithms(("ENCR", 20, 128), ("PRF", 6), ("KE", 19))
V1 = algorithms(("ENCR", 7, 256), ("HASH", 4), ("AUTH", 1), ("KE", 14))


@pytest.mark.parametrize(
    ("these", "swan", "libre"),
    [
        (CBC, "aes256-sha256-modp2048", "aes256-sha2_256;modp2048"),
        (GCM, "aes128gcm16-prfsha384-ecp256", "aes_gcm128-sha2_384;dh19"),
        (V1, "aes256-sha256-modp2048", "aes256-sha2_256;modp2048"),
        (algorithms(("ENCR", 5), ("HASH", 2), ("KE", 2)), "3des-sha1-modp1024", "3des-sha1;modp1024"),
        (algorithms(("ENCR", 28), ("PRF", 7), ("KE", 31)), "chacha20poly1305-prfsha512-x25519",
         "chacha20_poly1305-sha2_512;dh31"),
        # ESP: no PRF, and no group unless there is PFS.
        (algorithms(("ENCR", 12, 128), ("INTEG", 12), ("ESN", 0)), "aes128-sha256", "aes128-sha2_256"),
        (algorithms(("ENCR", 20, 256), ("KE", 20), ("ESN", 1)), "aes256gcm16-ecp384-esn", "aes_gcm256;dh20"),
        (algorithms(("ENCR", 20, 256), ("INTEG", 0), ("KE", 0)), "aes256gcm16", "aes_gcm256"),
        # A PRF of its own, which libreswan cannot write beside integrity.
        (algorithms(("ENCR", 12, 256), ("INTEG", 12), ("PRF", 6), ("KE", 14)),
         "aes256-sha256-prfsha384-modp2048", None),
        (algorithms(("ENCR", 20, 256), ("PRF", 5), ("KE", 31), ("ADDKE1", 36)),
         "aes256gcm16-prfsha256-x25519-ke1_mlkem768", None),
        # Without a keyword there is no line.
        (algorithms(("ENCR", 1234, 256), ("INTEG", 12), ("KE", 14)), None, None),
        (algorithms(("ENCR", 12), ("INTEG", 12), ("KE", 14)), None, None),
    ],
)  # fmt: skip
def test_lines_of_configuration_files(these: list[Algorithm], swan: str | None, libre: str | None) -> None:
    assert strongswan(these) == swan
    assert libreswan(these) == libre
    assert suite_text(these)


class TestSmallestChange:
    def test_one_transform_of_the_nearest_proposal(self) -> None:
        change = smallest_change([CBC, GCM], [algorithms(("ENCR", 12, 128), ("INTEG", 12), ("PRF", 5), ("KE", 14))])
        assert change is not None
        assert [one.id for one in change.missing] == [12]
        assert strongswan(change.suite) == "aes128-sha256-modp2048"

    def test_what_both_have_is_kept(self) -> None:
        wanted = algorithms(("ENCR", 12, 128), ("ENCR", 12, 256), ("INTEG", 12), ("PRF", 5), ("KE", 19), ("KE", 20))
        change = smallest_change([CBC], [wanted])
        assert change is not None
        assert strongswan(change.suite) == "aes256-sha256-ecp256"
        assert suite_text(change.missing) == "ecp256"

    def test_another_kind_of_cipher(self) -> None:
        change = smallest_change([CBC], [GCM])
        assert change is not None
        assert {one.type for one in change.missing} == {"ENCR", "PRF", "KE"}
        assert strongswan(change.suite) == "aes128gcm16-prfsha384-ecp256"

    def test_nothing_is_missing(self) -> None:
        change = smallest_change([GCM, CBC], [CBC])
        assert change is not None
        assert not change.missing

    def test_nothing_is_known(self) -> None:
        assert smallest_change([CBC], []) is None
        assert smallest_change([], [CBC]) is None

    def test_long_offers_are_bounded(self) -> None:
        assert smallest_change([CBC] * 5000, [GCM] * 5000) is not None
        assert offer_text([CBC] * 3 + [GCM]) == "aes256-sha256-modp2048, aes128gcm16-ecp256-prfsha384"


class TestRefusedOffers:
    def test_the_peer_offered_something_itself(self, tmp_path: Path) -> None:
        wire = Wire()
        mine, theirs = Talk(wire), Talk(wire, here=THERE, there=HERE, spi_i=3)
        mine.send(mine.ask())
        mine.send(mine.refuse(14), back=True)
        theirs.send(theirs.ask(body=suite(bits=128, groups=(15, 14))))
        finding = one(wire.analyze(tmp_path), "no-proposal-chosen")
        assert (finding.severity, finding.frames) == (Severity.HIGH, (1, 2))
        assert "it offered this itself in ike-2" in finding.explanation
        assert f"{HERE} also offers aes128." in finding.explanation
        assert "`proposals = aes128-sha256-modp2048`" in finding.remedy
        assert "`ike=aes128-sha2_256;modp2048`" in finding.remedy

    def test_it_took_something_elsewhere(self, tmp_path: Path) -> None:
        wire = Wire()
        mine, other = Talk(wire), Talk(wire, here="203.0.113.7", spi_i=3)
        mine.send(mine.ask(body=offer((1, 3, None), (3, 2, None), (2, 2, None), (4, 2, None))))
        mine.send(mine.refuse(14), back=True)
        other.init()
        finding = one(wire.analyze(tmp_path), "no-proposal-chosen")
        assert "it took this of 203.0.113.7 in ike-2" in finding.explanation
        assert "`proposals = aes256-sha256-modp2048`" in finding.remedy

    def test_it_named_a_group_elsewhere(self, tmp_path: Path) -> None:
        wire = Wire()
        mine, other = Talk(wire), Talk(wire, here="203.0.113.7", spi_i=3)
        mine.send(mine.ask())
        mine.send(mine.refuse(14), back=True)
        other.send(other.ask())
        other.send(other.refuse(17, b"\0\x15"), back=True)
        explanation = one(wire.analyze(tmp_path), "no-proposal-chosen").explanation
        assert "Nothing in this capture tells what" in explanation
        assert "with INVALID_KE_PAYLOAD" in explanation

    def test_the_offer_had_what_is_taken_elsewhere(self, tmp_path: Path) -> None:
        wire = Wire()
        mine, other = Talk(wire), Talk(wire, here="203.0.113.7", spi_i=3)
        mine.send(mine.ask())
        mine.send(mine.refuse(14), back=True)
        other.init()
        assert "it is not the algorithms" in one(wire.analyze(tmp_path), "no-proposal-chosen").explanation

    def test_main_mode_with_another_cipher(self, tmp_path: Path) -> None:
        wire = Wire()
        mine, other = Talk(wire), Talk(wire, here="203.0.113.7", spi_i=3, spi_r=4)
        mine.send(mine.message(2, 0, (1, suite_v1(encr=5)), spi_r=0, version=0x10, flags=0))
        mine.send(mine.message(5, 9, (11, b"\0\0\0\1\1\0\0\x0e"), back=True, version=0x10, flags=0), back=True)
        refused = one(wire.analyze(tmp_path), "no-proposal-chosen")
        assert "3des is outdated" in refused.explanation
        other.send(other.message(2, 0, (1, suite_v1()), spi_r=0, version=0x10, flags=0))
        other.send(other.message(2, 0, (1, suite_v1()), back=True, version=0x10, flags=0), back=True)
        assert "also offers aes256." in one(wire.analyze(tmp_path), "no-proposal-chosen").explanation

    def test_main_mode_with_another_method(self, tmp_path: Path) -> None:
        wire = Wire()
        mine, other = Talk(wire), Talk(wire, here="203.0.113.7", spi_i=3, spi_r=4)
        mine.send(mine.message(2, 0, (1, suite_v1(digest=2)), spi_r=0, version=0x10, flags=0))
        refusal = (11, b"\0\0\0\1\1\0\0\x0e")
        mine.send(mine.message(5, 9, refusal, back=True, version=0x10, flags=0), back=True)
        other.send(other.message(2, 0, (1, suite_v1(auth=3)), spi_r=0, version=0x10, flags=0))
        other.send(other.message(2, 0, (1, suite_v1(auth=3)), back=True, version=0x10, flags=0), back=True)
        finding = one(wire.analyze(tmp_path), "no-proposal-chosen")
        assert "authentication method differs" in finding.explanation
        assert "and sha256 would have to be offered" in finding.explanation
        assert "`ike=aes256-sha2_256;modp2048`" in finding.remedy
