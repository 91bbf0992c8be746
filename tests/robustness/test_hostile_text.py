"""Text that strangers wrote never reaches a terminal, HTML or CSV raw: identities, vendor IDs, notifies, file names."""

from __future__ import annotations

import json
import re

import pytest

import ipsecanalyze

#: Escape sequences, C1 controls, carriage return, bidirectional overrides, markup of rich, HTML and CSV.
HOSTILE = (
    b"\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\n\x00\x08\x7f\xc2\x9b31m"
    b"\xe2\x80\xae\xe2\x81\xa6[bold red]rich[/] <script>alert(1)</script>,\"=cmd|'/C calc'!A0"
)
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def capture(craft, tmp_path_factory):
    """IKEv1 aggressive mode (identities in the clear) and IKEv2, both full of hostile text, and ESP."""
    key_id = b"\x0b\x11\x01\xf4" + HOSTILE
    fqdn = b"\x02\x11\x01\xf4" + HOSTILE
    offer = [(1, craft.offer_v1()), (4, bytes(range(128))), (10, bytes(range(16)))]
    vendor = [(13, HOSTILE), (13, b"Vendor \x1b[5m" + HOSTILE[:20])]
    v1_notify = (11, b"\x00\x00\x00\x01\x01\x00\x60\x02" + HOSTILE)
    v2 = [(33, craft.offer_v2()), (34, b"\x00\x0e\x00\x00" + bytes(256)), (40, bytes(range(32)))]
    v2_notifies = [(41, b"\x00\x00\x40\x17\x00\x02\x04" + HOSTILE), (41, b"\x00\x00\x9c\x9c" + HOSTILE)]
    messages = [
        craft.ike([*offer, (5, fqdn), *vendor], version=0x10, exchange=4, flags=0, spi_i=0x11),
        craft.ike(
            [*offer, (5, key_id), (8, bytes(20)), *vendor], version=0x10, exchange=4, flags=0, spi_i=0x11, spi_r=0x22
        ),
        craft.ike([v1_notify], version=0x10, exchange=5, flags=0, spi_i=0x11, spi_r=0x22, message_id=7),
        craft.ike([*v2, *v2_notifies, (43, HOSTILE)], spi_i=0x33),
        craft.ike([(41, b"\x00\x00\x00\x0e" + HOSTILE), (200, HOSTILE)], spi_i=0x33, spi_r=0x44, flags=0x20),
    ]
    frames = [craft.udp(message) for message in messages] + [craft.esp(0x1000, number) for number in range(1, 5)]
    path = tmp_path_factory.mktemp("hostile") / "evil\x1b[31m<b>‮.pcap"
    path.write_bytes(craft.pcap(frames))
    return path


def test_the_text_is_there(capture):
    """Without this the other tests would prove nothing."""
    analysis = ipsecanalyze.analyze(capture)
    assert len(analysis.messages) == 5
    aggressive = next(sa for sa in analysis.ike_sas if sa.version == "1.0")
    assert "owned" in (aggressive.initiator.identity or "")
    assert HOSTILE in aggressive.initiator.vendor_id_data


@pytest.mark.parametrize(
    "arguments",
    [["summarize"], ["messages"], ["messages", "-v"], ["flows"], ["flows", "--format", "csv"]],
    ids=" ".join,
)
def test_command(command, capture, arguments):
    done = command(*arguments, capture)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    # RFC 4180 ends the lines of CSV with CR LF.
    for text in (done.stdout.replace("\r\n", "\n") if "csv" in arguments else done.stdout, done.stderr):
        assert FORBIDDEN.findall(text) == []
    if arguments in (["summarize"], ["messages", "-v"]):
        assert "owned" in done.stdout


def test_rich_markup_is_text(command, capture):
    """Markup in a stranger's text is shown, not obeyed."""
    assert "[bold red]" in command("messages", "-v", capture).stdout


def test_json_is_escaped_by_json(command, capture):
    done = command("summarize", "--format", "json", capture)
    assert not re.search("[\x00-\x09\x0b-\x1f]", done.stdout)
    json.loads(done.stdout)


def test_html(capture):
    text = ipsecanalyze.analyze(capture)._repr_html_()
    assert "<script>alert" not in text
    assert "evil\x1b" not in text
    assert FORBIDDEN.findall(text.replace("\t", " ")) == []


def test_csv_holds_no_formula(command, capture):
    import csv

    rows = list(csv.reader(command("flows", "--format", "csv", capture).stdout.splitlines()))
    assert len(rows) >= 2
    assert not [cell for row in rows for cell in row if cell[:1] in {"=", "+", "@"}]
