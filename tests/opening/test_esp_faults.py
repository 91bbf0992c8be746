"""Wrong keys, missing ones, forged and cut packets: clear statements, bounded work, no crash, no key in any output."""

from __future__ import annotations

import io
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipsecanalyze
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.cli import main
from ipsecanalyze.crypto.esp import EspOpener
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.keys import KeyRing, load_keys
from ipsecanalyze.opening.esp import Opening, open_file
from ipsecanalyze.opening.export import write_inner
from ipsecanalyze.opening.packets import DecryptedPacket

sys.path.insert(0, str(Path(__file__).parent))
from esp_made import CAPTURES, MOON, SUN, Cbc, Gcm, capture, frames, inner, ipv4


def run(path: Path, *keys: EspKeys) -> tuple[list[FlowOpening], list[DecryptedPacket]]:
    opening = Opening(KeyRing(keys))
    packets = list(open_file(opening, path))
    out = io.BytesIO()
    again, count = write_inner([path], KeyRing(keys), out)
    assert count == len(packets)
    assert again.results() == opening.results()
    return list(opening.results().values()), packets


def one(path: Path, *keys: EspKeys) -> FlowOpening:
    results, _ = run(path, *keys)
    (result,) = results
    return result


@pytest.fixture
def gcm(tmp_path: Path) -> tuple[Path, Gcm]:
    sa = Gcm()
    return capture(tmp_path / "gcm.pcap", frames([sa.protect(inner(n)) for n in range(20)])), sa


def test_no_key(gcm: tuple[Path, Gcm]) -> None:
    result = one(gcm[0])
    assert (result.reason, result.packets, result.opened, result.icv_wrong) == ("no-key", 20, 0, 0)
    assert "c0ffee01" in result.explanation


def test_key_for_another_spi_is_named(gcm: tuple[Path, Gcm]) -> None:
    result = one(gcm[0], replace(gcm[1].keys, spi=0x1234, encryption_key=bytes(16)))
    assert result.reason == "no-key"
    assert "00001234" in result.explanation
    assert "rekey" in result.remedy


def test_wrong_key(gcm: tuple[Path, Gcm]) -> None:
    result = one(gcm[0], replace(gcm[1].keys, encryption_key=bytes(16)))
    assert (result.reason, result.icv_wrong) == ("wrong-key", 20)


def test_right_key_behind_wrong_ones(gcm: tuple[Path, Gcm]) -> None:
    wrong = [replace(gcm[1].keys, encryption_key=bytes((n,)) * 16) for n in range(1, 8)]
    result = one(gcm[0], *wrong, gcm[1].keys)
    assert (result.opened, result.icv_wrong, result.reason) == (20, 0, "")


@pytest.mark.parametrize("before", [31, 32, 287])
def test_right_key_behind_many_of_its_spi(gcm: tuple[Path, Gcm], before: int) -> None:
    wrong = [replace(gcm[1].keys, encryption_key=n.to_bytes(16)) for n in range(1, before + 1)]
    result = one(gcm[0], *wrong, gcm[1].keys)
    assert (result.opened, result.icv_wrong, result.reason) == (20, 0, "")


def test_keys_that_are_left_out_are_told(gcm: tuple[Path, Gcm]) -> None:
    wrong = [replace(gcm[1].keys, encryption_key=n.to_bytes(16)) for n in range(1, 289)]
    result = one(gcm[0], *wrong, gcm[1].keys)
    assert (result.opened, result.reason) == (0, "wrong-key")
    assert "of 289 keys for this SPI only the likeliest 288 were tried" in result.explanation
    assert "only the keys of this SA" in result.remedy
    # All that there are were tried: nothing to tell but that.
    assert one(gcm[0], *wrong).explanation.endswith("with 32 keys for SPI c0ffee01, nor with others in 768 tries")
    # The likeliest are those of the flow's addresses, wherever they stand.
    elsewhere = [replace(key, source="203.0.113.1", destination="203.0.113.2") for key in wrong]
    assert one(gcm[0], *elsewhere, gcm[1].keys).opened == 20


def test_keys_of_unknown_spi_that_are_left_out_are_told(gcm: tuple[Path, Gcm]) -> None:
    unknown = [replace(gcm[1].keys, spi=None, encryption_key=n.to_bytes(16)) for n in range(1, 258)]
    result = one(gcm[0], *unknown)
    assert result.reason == "wrong-key"
    assert "of 257 keys whose SPI is not known only the likeliest 256 were tried" in result.explanation


@pytest.mark.parametrize(
    ("cpi", "told"), [(3, "LZS is not supported"), (2, "cannot be read as DEFLATE"), (0xABCD, "DEFLATE")]
)
def test_what_ipcomp_cannot_undo_is_told(tmp_path: Path, cpi: int, told: str) -> None:
    sa = Gcm()
    compressed = bytes((4, 0)) + cpi.to_bytes(2) + b"\xff\x55 no deflate"
    packets = [sa.protect(inner(1)), *(sa.protect(compressed, 108) for _ in range(3))]
    result = one(capture(tmp_path / "ipcomp.pcap", frames(packets)), sa.keys)
    assert (result.opened, result.malformed, result.reason) == (4, 3, "malformed")
    assert told in result.explanation


def test_key_of_unknown_spi_is_found_by_icv(gcm: tuple[Path, Gcm]) -> None:
    unknown = [replace(gcm[1].keys, spi=None, encryption_key=bytes((n,)) * 16) for n in range(1, 60)]
    result = one(gcm[0], *unknown, replace(gcm[1].keys, spi=None, source=None, destination=None))
    assert result.opened == 20


def test_unknown_spis_cost_a_bounded_number_of_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0
    usual = EspOpener.open

    def count(self: EspOpener, packet: bytes) -> object:
        nonlocal tries
        tries += 1
        return usual(self, packet)

    monkeypatch.setattr(EspOpener, "open", count)
    keys = [EspKeys(encryption=20, encryption_key=n.to_bytes(16), salt=b"salt") for n in range(1, 2_001)]
    packets = [spi.to_bytes(4) + bytes(60) for spi in range(0x1000, 0x1400) for _ in range(4)]
    opening = Opening(KeyRing(keys))
    assert list(open_file(opening, capture(tmp_path / "forged.pcap", frames(packets)))) == []
    assert 0 < tries <= 200_000
    assert all("left out" in one.explanation or "likeliest" in one.explanation for one in opening.results().values())


def test_salt_is_missing(gcm: tuple[Path, Gcm]) -> None:
    result = one(gcm[0], replace(gcm[1].keys, salt=b""))
    assert result.reason == "salt-length"
    assert "salt" in result.explanation


def test_key_is_cut(gcm: tuple[Path, Gcm]) -> None:
    assert one(gcm[0], replace(gcm[1].keys, encryption_key=bytes(13))).reason == "key-length"


def test_unsupported_algorithm(gcm: tuple[Path, Gcm]) -> None:
    assert one(gcm[0], replace(gcm[1].keys, encryption=4, encryption_key=bytes(16), salt=b"")).reason == "unsupported"


def test_icv_of_another_length(tmp_path: Path) -> None:
    sa = Cbc(icv=12)
    result = one(capture(tmp_path / "a.pcap", frames([sa.protect(inner(n)) for n in range(9)])), sa.keys)
    assert result.opened == 9
    assert "12 octets" in result.notes[0]


def test_swapped_directions(tmp_path: Path) -> None:
    there, back = Gcm(0x1111), Gcm(0x2222, bytes(16), b"tlas", SUN, MOON)
    packets = frames([there.protect(inner(n)) for n in range(5)])
    packets += frames([back.protect(inner(n)) for n in range(5)], SUN, MOON)
    swapped = [replace(there.keys, encryption_key=back.key, salt=back.salt)]
    swapped.append(replace(back.keys, encryption_key=there.key, salt=there.salt))
    results, _ = run(capture(tmp_path / "a.pcap", packets), *swapped)
    assert [result.opened for result in results] == [5, 5]
    assert all("listed with SPI" in result.notes[0] for result in results)


def test_forged_packets_among_honest_ones(tmp_path: Path) -> None:
    sa, payloads = Gcm(), []
    for number in range(300):
        payloads.append(sa.protect(inner(number)))
        payloads.append(sa.spi.to_bytes(4) + random.Random(number).randbytes(90))
    payloads = [payloads[1]] * 50 + payloads  # forged ones come first
    result = one(capture(tmp_path / "a.pcap", frames(payloads)), sa.keys, replace(sa.keys, encryption_key=bytes(16)))
    assert (result.opened, result.icv_wrong, result.reason) == (300, 350, "icv")


def test_spi_that_is_used_again_with_another_key(tmp_path: Path) -> None:
    first, second = Gcm(), Gcm(key=bytes(16))
    payloads = [sa.protect(inner(n)) for sa in (first, second) for n in range(30)]
    assert one(capture(tmp_path / "a.pcap", frames(payloads)), first.keys, second.keys).opened == 60


def test_extended_sequence_numbers_over_a_wrap(tmp_path: Path) -> None:
    sa = Gcm(extended=True, sequence=0x1_FFFF_FFF0)
    path = capture(tmp_path / "a.pcap", frames([sa.protect(inner(n)) for n in range(40)]))
    results, packets = run(path, sa.keys)
    assert (results[0].opened, results[0].esn) == (40, True)
    assert [packet.sequence for packet in packets] == list(range(0x1_FFFF_FFF1, 0x1_FFFF_FFF1 + 40))
    assert one(path, replace(sa.keys, esn=False)).notes  # what the key denies


def test_high_half_that_nobody_can_guess(tmp_path: Path) -> None:
    sa = Gcm(extended=True, sequence=0x1234_0000_0000)
    path = capture(tmp_path / "a.pcap", frames([sa.protect(inner(n)) for n in range(10)]))
    result = one(path, replace(sa.keys, esn=True))
    assert (result.reason, result.opened) == ("esn", 0)
    assert one(path, replace(sa.keys, esn=True, sequence_high=0x1234)).opened == 10


def test_dummies_tfc_and_padding(tmp_path: Path) -> None:
    sa = Gcm()
    payloads = [sa.protect(inner(1)), sa.protect(bytes(40), 59), sa.protect(inner(2), tfc=100)]
    payloads.append(sa.protect(inner(3), padding=b"\x09\x09"))
    results, packets = run(capture(tmp_path / "a.pcap", frames(payloads)), sa.keys)
    (result,) = results
    assert (result.opened, result.dummy, result.tfc_octets, result.padding_wrong) == (4, 1, 100, 1)
    assert [packet.data for packet in packets] == [inner(1), inner(2), inner(3)]
    assert result.next_headers == {4: 3, 59: 1}


def test_transport_mode_is_rebuilt(tmp_path: Path) -> None:
    sa = Gcm()
    inside = inner(5)[20:]
    _, packets = run(capture(tmp_path / "a.pcap", frames([sa.protect(inside, 17)])), sa.keys)
    assert packets[0].data == ipv4(MOON, SUN, 17, inside, 1)
    assert packets[0].next_header == 17


def test_truncated_packets(tmp_path: Path) -> None:
    sa = Gcm()
    result = one(capture(tmp_path / "a.pcap", frames([sa.protect(inner(n)) for n in range(5)], cut=96)), sa.keys)
    assert (result.reason, result.truncated) == ("truncated", 5)
    assert "tcpdump -s 0" in result.remedy


def test_ip_in_ip_without_end_is_no_recursion(tmp_path: Path) -> None:
    data = b""
    for number in range(3_000):
        data = ipv4("10.0.0.1", "10.0.0.2", 4, data, number)
    sa = Gcm()
    assert one(capture(tmp_path / "a.pcap", frames([sa.protect(data)])), sa.keys).opened == 1


def test_conversations_are_bounded(tmp_path: Path) -> None:
    sa = Gcm()
    payloads = [sa.protect(ipv4("10.1.0.10", f"10.2.{n >> 8}.{n & 255}", 17, bytes(8), 1)) for n in range(700)]
    result = one(capture(tmp_path / "a.pcap", frames(payloads)), sa.keys)
    assert result.opened == 700
    assert len(result.conversations) <= 64
    assert sum(found.packets for found in result.conversations) + result.conversations_dropped == 700


@given(st.lists(st.binary(min_size=8, max_size=200), max_size=30), st.integers(0, 3))
def test_random_octets(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], kind: int) -> None:
    spi = 0xC0FFEE01
    keys = [
        Gcm().keys,
        Cbc(spi).keys,
        replace(Cbc(spi).keys, integrity=0, integrity_key=b""),
        EspKeys("ESP", MOON, SUN, spi),
    ]
    path = tmp_path_factory.mktemp("random") / "a.pcap"
    packets = frames([spi.to_bytes(4) + payload for payload in payloads])
    results, _ = run(capture(path, packets), keys[kind])
    for result in results:
        parts = result.icv_wrong + result.padding_wrong + result.malformed + result.skipped
        assert result.opened <= result.packets
        assert result.opened + parts >= result.packets
        assert (result.reason != "") == (result.opened < result.packets or result.malformed > 0)


@given(st.binary(max_size=300), st.sampled_from((4, 41, 94, 108, 6, 59, 200)))
def test_hostile_contents_behind_a_right_key(
    tmp_path_factory: pytest.TempPathFactory, contents: bytes, kind: int
) -> None:
    sa = Gcm()
    path = tmp_path_factory.mktemp("hostile") / "a.pcap"
    run(capture(path, frames([sa.protect(inner(1)), sa.protect(contents, kind), sa.protect(inner(2))])), sa.keys)


SCENARIOS = ["v2-psk-aescbc-a", "v2-gmac-a", "v2-ah-tunnel-a", "v2-chacha-a", "manual-algos-tunnel-a"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_output_has_a_key(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = CAPTURES / name / "keys"
    path = str(next((CAPTURES / name).glob("wan.pcap*")))
    ring = load_keys(folder)
    secrets = {key for keys in ring.esp for key in (keys.encryption_key, keys.integrity_key) if key}
    secrets |= {ike.sk_d for ike in ring.ike if ike.sk_d} | {secret.value for secret in ring.shared_secrets}
    assert secrets
    for command in (
        ["decrypt", path, "-o", str(tmp_path / "inner.pcapng")],
        ["decrypt", path, "--format", "json"],
        ["flows", path],
        ["flows", "--format", "csv", path],
        ["flows", "--format", "json", path],
        ["summarize", path],
        ["summarize", "--format", "json", path],
        ["summarize", "--format", "html", path],
        ["summarize", "--format", "markdown", path],
        ["messages", "-v", path],
    ):
        assert main([*command, "--keys", str(folder)]) == 0
    analysis = ipsecanalyze.analyze(path, keys=folder)
    printed = capsys.readouterr()
    text = printed.out + printed.err + repr(analysis) + repr(list(ipsecanalyze.decrypt(path, folder))[:20])
    text += json.dumps(analysis.to_dict()) + repr(Opening(ring).chain)
    for secret in secrets:
        assert secret.hex() not in text.lower()
        assert repr(secret)[2:-1] not in text


def test_frame_numbers_and_captures(tmp_path: Path) -> None:
    sa = Gcm()
    paths = [capture(tmp_path / f"{n}.pcap", frames([sa.protect(inner(n))] * (n + 1))) for n in range(2)]
    packets = list(ipsecanalyze.decrypt(paths, KeyRing([sa.keys])))
    assert [(packet.capture, packet.frame) for packet in packets] == [(0, 1), (1, 1), (1, 2)]
    out = io.BytesIO()
    write_inner(paths, KeyRing([sa.keys]), out)
    assert b"capture 2, frame 2, ESP SPI c0ffee01, sequence 2" in out.getvalue()


def test_packets_in_fragments(tmp_path: Path) -> None:
    sa = Gcm()
    whole = ipv4(MOON, SUN, 50, sa.protect(inner(1, 200)), 9)
    first = bytearray(whole[: 20 + 96])
    second = bytearray(whole[:20] + whole[20 + 96 :])
    for piece, field in ((first, 0x2000), (second, 12)):
        piece[2:4], piece[6:8] = len(piece).to_bytes(2), field.to_bytes(2)
    packets = [Packet(n, 101, bytes(piece), len(piece), n) for n, piece in ((1, first), (2, second))]
    _, opened = run(capture(tmp_path / "a.pcap", packets), sa.keys)
    assert [(packet.frame, packet.data) for packet in opened] == [(2, inner(1, 200))]
