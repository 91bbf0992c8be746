"""Input that is none: one line on standard error and exit code 3, or a warning with its frame; never a traceback."""

from __future__ import annotations

import gzip
import json
import os
import struct

import pytest

import ipsecanalyze
from ipsecanalyze import CaptureError

UNREADABLE = {
    "empty": b"",
    "text": b"Dear colleague,\nplease find attached the capture.\n" * 40,
    "one octet": b"\xd4",
    "pcap magic only": b"\xd4\xc3\xb2\xa1",
    "truncated pcap header": struct.pack("<IHHiII", 0xA1B2C3D4, 2, 4, 0, 0, 65535),
    "truncated pcapng header": b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c",
    "pcapng with another byte-order magic": b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00ABCD" + bytes(16),
    "gzip of text": gzip.compress(b"no capture" * 100),
    "gzip of nothing": gzip.compress(b""),
    "gzip magic and no more": b"\x1f\x8b\x08",
    "zstd magic and no more": b"\x28\xb5\x2f\xfd",
    "zeros": bytes(4096),
}


@pytest.fixture(params=UNREADABLE, ids=lambda name: name.replace(" ", "-"))
def unreadable(request, tmp_path):
    path = tmp_path / "bad.pcap"
    path.write_bytes(UNREADABLE[request.param])
    return path


def is_one_line(text: str) -> bool:
    return text.endswith("\n") and text.count("\n") == 1 and text.startswith("ipsecanalyze: ")


def test_library_says_so(unreadable):
    with pytest.raises(CaptureError) as raised:
        ipsecanalyze.analyze(unreadable)
    assert "\n" not in str(raised.value)
    assert str(unreadable) in str(raised.value)
    with pytest.raises(CaptureError):  # noqa: SIM117 - opening or reading may be what fails
        with ipsecanalyze.open_capture(unreadable) as capture:
            list(capture)


def test_several_captures_go_on(unreadable, captures):
    errors: list[ipsecanalyze.IpsecAnalyzeError] = []
    good = captures / "v2-psk-aescbc-a" / "wan.pcap"
    analysis = ipsecanalyze.analyze([unreadable, good], errors=errors)
    assert len(errors) == 1
    assert sum(flow.packets for flow in analysis.flows) == 366


@pytest.mark.parametrize("name", ["empty", "text", "truncated pcap header"])
@pytest.mark.parametrize("subcommand", ["summarize", "messages", "flows"])
def test_command_says_so_in_one_line(command, tmp_path, subcommand, name):
    path = tmp_path / "bad.pcap"
    path.write_bytes(UNREADABLE[name])
    done = command(subcommand, path)
    assert done.returncode == 3
    assert is_one_line(done.stderr), done.stderr
    assert done.stdout == ""


def test_paths_that_are_no_files(command, tmp_path):
    for path in (tmp_path / "missing.pcap", tmp_path):
        done = command("summarize", path)
        assert done.returncode in {2, 3}
        assert is_one_line(done.stderr), done.stderr
        with pytest.raises(CaptureError):
            ipsecanalyze.analyze(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(command, tmp_path):
    path = tmp_path / "secret.pcap"
    path.write_bytes(b"")
    path.chmod(0)
    done = command("summarize", path)
    assert done.returncode == 3
    assert is_one_line(done.stderr)


def test_nothing_on_standard_input(command):
    done = command("summarize", "-")
    assert done.returncode == 3
    assert is_one_line(done.stderr), done.stderr


def test_control_characters_in_a_file_name(command, tmp_path):
    done = command("summarize", tmp_path / "evil\x1b[31m\n.pcap")
    assert done.returncode in {2, 3}
    assert "\x1b" not in done.stderr
    assert is_one_line(done.stderr), done.stderr


def warnings_of(data: bytes, tmp_path) -> list[dict]:
    path = tmp_path / "capture.pcap"
    path.write_bytes(data)
    document = ipsecanalyze.analyze(path).to_dict()
    json.dumps(document)
    return document["captures"][0]["warnings"]


def test_capture_without_packets(craft, tmp_path):
    assert warnings_of(craft.pcap([]), tmp_path) == []


@pytest.mark.parametrize("field", [8, 12], ids=["captured", "wire"])
@pytest.mark.parametrize("value", [0xFFFFFFFF, 0x7FFFFFFF, 0x80000000])
def test_four_gigabyte_record(craft, tmp_path, field, value):
    """The record before stays, the one behind is found again, the place is told (but a wire length may be wrong)."""
    frames = [craft.esp(0x1000, number) for number in range(1, 9)]
    size = 16 + len(frames[0])
    data = bytearray(craft.pcap(frames))
    damage = 24 + 3 * size
    struct.pack_into("<I", data, damage + field, value)
    path = tmp_path / "capture.pcap"
    path.write_bytes(data)
    analysis = ipsecanalyze.analyze(path)
    (flow,) = analysis.flows
    if field == 8:
        notices = analysis.captures[0].notices
        assert any(notice.offset == damage for notice in notices), notices
        assert flow.packets == 7
    else:
        assert flow.packets == 8


def test_four_gigabyte_pcapng_block(captures, octets_of, tmp_path):
    data = bytearray(octets_of(captures / "v2-ctr-a" / "wan.pcapng.gz"))
    struct.pack_into("<I", data, int.from_bytes(data[4:8], "little") + 4, 0xFFFFFFFC)
    warnings = warnings_of(bytes(data), tmp_path)
    assert warnings


def test_ike_length_of_four_gigabytes(craft, tmp_path):
    message = craft.ike([(40, bytes(32))], length=0xFFFFFFFF)
    (warning, *_) = warnings_or_notices(craft.pcap([craft.udp(message)]), tmp_path)
    assert warning


def warnings_or_notices(data: bytes, tmp_path) -> list[str]:
    """What is told of a capture: by its warnings, or by the notices of its messages."""
    path = tmp_path / "capture.pcap"
    path.write_bytes(data)
    analysis = ipsecanalyze.analyze(path)
    told = [warning["message"] for warning in analysis.to_dict()["captures"][0]["warnings"]]
    told += [notice.message for record in analysis.messages for notice in record.message.notices]
    assert all(record.datagram.frame == 1 for record in analysis.messages)
    return told


@pytest.mark.parametrize("length", [0, 1, 3])
@pytest.mark.parametrize("version", [0x10, 0x20])
def test_payload_that_points_to_itself(craft, tmp_path, version, length):
    """A payload length under 4 would make a naive reader stay where it is."""
    message = bytearray(craft.ike([(13 if version == 0x10 else 43, b"abcd"), (40, bytes(16))], version=version))
    message[30:32] = length.to_bytes(2)
    assert warnings_or_notices(craft.pcap([craft.udp(bytes(message))]), tmp_path)


@pytest.mark.parametrize("version", [0x10, 0x20])
def test_ten_thousand_payloads(craft, tmp_path, version):
    """One message of 10,000 payloads, as many as TCP could carry, is read in linear time without recursion."""
    message = craft.ike([(13 if version == 0x10 else 43, b"")] * 10_000, version=version)
    assert len(message) > 40_000
    assert warnings_or_notices(craft.pcap([craft.udp(message)]), tmp_path)
    assert ipsecanalyze.parse_ike(message).to_bytes() == message


def test_proposals_nested_to_the_end(craft, tmp_path):
    """An SA payload whose proposals and transforms declare one another's octets."""
    body = struct.pack(">BBHBBBB", 2, 0, 8, 1, 1, 0, 255) * 5_000
    message = craft.ike([(33, body)])
    assert ipsecanalyze.parse_ike(message).to_bytes() == message
    assert warnings_or_notices(craft.pcap([craft.udp(message)]), tmp_path)


def test_deep_encapsulation(craft, tmp_path):
    """IP in IP in IP …: the depth is bounded and the rest is left alone."""
    inner = craft.esp(0x1000, 1)[14:]
    for _ in range(500):
        length = 20 + len(inner)
        inner = struct.pack(">BBHHHBBHII", 0x45, 0, length, 0, 0, 64, 4, 0, 0x0A000001, 0x0A000002) + inner
    vlan = bytes(12) + b"\x81\x00\x00\x01" * 5_000 + b"\x08\x00" + inner
    path = tmp_path / "capture.pcap"
    path.write_bytes(craft.pcap([bytes(12) + b"\x08\x00" + inner, vlan]))
    (capture,) = ipsecanalyze.analyze(path).captures
    assert capture.packets == 2
