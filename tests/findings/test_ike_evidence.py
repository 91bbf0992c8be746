"""Diagnoses of IKE on the shipped captures: the frames named are exactly those that tshark finds for the same fault."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import ipsecanalyze
from ipsecanalyze.findings import Certainty, Finding, Severity

CAPTURES = Path(__file__).parents[1] / "captures"

#: scenario, slug, what tshark must find in every frame named, and in none other of the capture.
READABLE = [
    ("v1-noprop-a", "no-proposal-chosen", "isakmp.exchangetype == 2 || isakmp.notify.msgtype == 14"),
    ("v2-noprop-ike-a", "no-proposal-chosen", "isakmp.exchangetype == 34"),
    (
        "v2-invalid-ke-a",
        "invalid-ke-retry",
        "isakmp.notify.msgtype == 17 || (isakmp.exchangetype == 34 && isakmp.flag_r == 0)",
    ),
    ("v1-natt-a", "nat-detected", "isakmp.typepayload == 20"),
    ("v2-natt-a", "nat-detected", "isakmp.notify.msgtype == 16388 && isakmp.notify.msgtype == 16389"),
    ("v2-oneway-4500-a", "nat-t-blocked", "isakmp.exchangetype == 35 && udp.port == 4500 && isakmp.flag_r == 0"),
    ("v2-redirect-a", "redirected", "isakmp.notify.msgtype == 16408"),
    ("v2-authfail-a", "error-reply-encrypted", "isakmp.exchangetype == 35"),
    ("v2-ts-a", "error-reply-encrypted", "isakmp.exchangetype == 35"),
    (
        "v2-cookie-a",
        "ike-flood",
        "isakmp.exchangetype == 34 && !(ip.addr == 192.0.2.1) && isakmp.flag_r == 0",
    ),
]


def diagnosis(scenario: str, slug: str, *, with_keys: bool) -> Finding:
    folder = CAPTURES / scenario
    capture = next(iter(sorted(folder.glob("wan.pcap*"))))
    analysis = ipsecanalyze.analyze(capture, keys=[folder / "keys"] if with_keys else None)
    return next(finding for finding in analysis.diagnose() if finding.slug == slug)


@pytest.mark.parametrize(("scenario", "slug", "shown"), READABLE)
def test_frames_are_what_tshark_finds(scenario: str, slug: str, shown: str, tshark_path: str) -> None:
    finding = diagnosis(scenario, slug, with_keys=False)
    capture = next(iter(sorted((CAPTURES / scenario).glob("wan.pcap*"))))
    command = [tshark_path, "-r", str(capture), "-Y", shown, "-T", "fields", "-e", "frame.number"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert finding.frames == tuple(map(int, output.split()))


@pytest.mark.parametrize(
    ("scenario", "slug", "frames"),
    [
        ("v2-authfail-a", "authentication-failed", (5, 6)),
        ("v1-wrongpsk-a", "authentication-failed", (7, 8, 10, 12, 16)),
        ("v2-ts-a", "ts-unacceptable", (5, 6)),
        ("v2-redirect-a", "redirected", (17,)),
        ("v1-dpd-dead-a", "dpd-timeout", (159, 160, 161)),
        ("v2-eap-mschapv2-a", "ts-narrowed", (5, 15)),
    ],
)
def test_what_keys_show_is_observed(scenario: str, slug: str, frames: tuple[int, ...]) -> None:
    finding = diagnosis(scenario, slug, with_keys=True)
    assert (finding.certainty, finding.frames) == (Certainty.OBSERVED, frames)


@pytest.mark.parametrize("scenario", ["v1-dpd-dead-a", "v2-dpd-dead-a"])
def test_dead_peers_are_found_without_keys(scenario: str) -> None:
    finding = diagnosis(scenario, "dpd-timeout", with_keys=False)
    assert finding.severity == Severity.HIGH
    assert finding.title == "198.51.100.1 stopped answering 192.0.2.1"


def test_a_wrong_key_is_concluded_without_keys() -> None:
    assert diagnosis("v1-wrongpsk-a", "authentication-failed", with_keys=False).certainty == Certainty.INFERRED


def test_a_dozen_of_forged_senders_is_little() -> None:
    finding = diagnosis("v2-cookie-a", "ike-flood", with_keys=False)
    assert (finding.severity, finding.certainty) == (Severity.LOW, Certainty.INFERRED)
    assert "12 attempts from 12 addresses" in finding.title
