"""Files, folders, captures: what is read, what is passed over, and what it costs."""

from __future__ import annotations

import gzip
import json
import os
import random
import stat
import time
import tracemalloc

import pytest

import ipsecanalyze
from ipsecanalyze.crypto.material import EspKeys, Psk
from ipsecanalyze.errors import KeyFileError, UsageError
from ipsecanalyze.keys import KeyRing, load, load_keys, load_secrets, ring
from ipsecanalyze.keys.document import write_json
from ipsecanalyze.keys.files import write_capture_with_keys, write_private
from ipsecanalyze.keys.load import SECRETS_TYPE_KEYS

LINE = '"IPv4","10.0.0.1","10.0.0.2","0x{:08x}","NULL","","HMAC-SHA-1-96 [RFC2404]","0x' + "11" * 20 + '"\n'


def test_one_path_or_many(tmp_path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text(LINE.format(1))
    second.write_text(LINE.format(2))
    assert len(load_keys(first)) == len(load_keys(str(first))) == 1
    assert len(load_keys([first, str(second)])) == 2


def test_folder(tmp_path) -> None:
    below = tmp_path / "x" / "y"
    below.mkdir(parents=True)
    (below / "esp_sa").write_text(LINE.format(1))
    (tmp_path / "packed.log.gz").write_bytes(gzip.compress(LINE.format(2).encode()))
    (tmp_path / "notes.txt").write_text("nothing of interest\n")
    (tmp_path / "meta.json").write_text('{"a": 1}')
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    ring = load_keys(tmp_path)
    assert {keys.spi for keys in ring.esp} == {1, 2}
    assert not ring.problems


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"nothing of interest\n", "no line is of a known format"),
        (b"", "no line is of a known format"),
        (bytes(range(256)) * 10, "not text"),
        (b'{"a": 1}', "not a document of keys"),
        (b"src 10.0.0.1 dst 10.0.0.2\n\tdir out\n", "no keys in it (ip xfrm state)"),
    ],
)
def test_a_file_that_was_asked_for_and_holds_no_keys_is_told(tmp_path, content, what) -> None:
    (tmp_path / "file").write_bytes(content)
    ring = load_keys(tmp_path / "file")
    assert len(ring) == 0
    assert [what in problem.what for problem in ring.problems] == [True]


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(KeyFileError, match="no-such-file"):
        load_keys(tmp_path / "no-such-file")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LINE.format(1).encode() * 50)[:-20])
    ring = load_keys(tmp_path / "cut.gz")
    assert ring.problems


def test_formats_may_be_mixed(tmp_path) -> None:
    text = (
        LINE.format(1)
        + "src 10.0.0.1 dst 10.0.0.2\n\tproto esp spi 0x2 reqid 1 mode tunnel\n\tenc cbc(aes) 0x" + "11" * 16 + "\n"
        + '\n: PSK "secret"\n' + LINE.format(3) + "0x4@10.0.0.2 aes128-cbc:0x" + "22" * 16 + "\n"
    )  # fmt: skip
    (tmp_path / "all").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    ring = load_keys(tmp_path / "all")
    assert [keys.spi for keys in ring.esp] == [1, 3, 4, 2] or {keys.spi for keys in ring.esp} == {1, 2, 3, 4}
    assert [psk.value for psk in ring.psks] == [b"secret"]


def test_noise_is_read_in_bounded_memory_and_linear_time(tmp_path) -> None:
    generator = random.Random(4)
    alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789     :,[]<>|=./-"@{}\n'
    block = "".join(generator.choices(alphabet, k=1 << 20))
    times = []
    for megabytes in (4, 16):
        path = tmp_path / f"noise-{megabytes}"
        path.write_text(block * megabytes)
        tracemalloc.start()
        start = time.process_time()
        ring = load_keys(path)
        times.append(time.process_time() - start)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40 << 20
        assert len(ring) < 100
        assert ring.problems
    assert times[1] < 4 * times[0] * 3


@pytest.mark.parametrize("character", ["a", " ", '"', ",", "0", "\\", "{", "[", "\t", "0x", "=>", ": ", "|", "src "])
@pytest.mark.parametrize(
    "start",
    [
        "",
        '"IPv4",',
        "src ",
        "09[IKE] ",
        "| ESP encrypt key:",
        "192.0.2.1 ",
        "0x1@",
        "secrets {",
        ": PSK ",
        '{"a":',
        "-E ",
    ],
)
def test_a_line_without_end_takes_no_time(character: str, start: str) -> None:
    begin = time.process_time()
    load_secrets([(SECRETS_TYPE_KEYS, (start + character * 60_000 + '"!\n').encode())])
    assert time.process_time() - begin < 5


def test_secrets_in_a_capture(tmp_path, captures) -> None:
    ring = KeyRing([EspKeys(spi=1, encryption=12, encryption_key=b"k" * 16), Psk(b"secret")])
    for name in ("v2-psk-aescbc-a/wan.pcap", "v2-ctr-a/wan.pcapng.gz", "v1-main-cert-a/wan.pcapng.gz"):
        target = tmp_path / "with-keys.pcapng"
        write_capture_with_keys(captures / name, ring, target)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert load_keys(target) == ring
        before, after = list(ipsecanalyze.open_capture(captures / name)), list(ipsecanalyze.open_capture(target))
        assert [(p.time_ns, p.data, p.link_type, p.wire_length) for p in before] == [
            (p.time_ns, p.data, p.link_type, p.wire_length) for p in after
        ]
    with pytest.raises(UsageError):
        write_capture_with_keys(target, ring, target)
    ring = load_keys(captures / "v2-psk-aescbc-a/wan.pcap")
    assert "without secrets" in ring.problems[0].what


def test_blocks_of_other_protocols_are_passed_over() -> None:
    secret = write_json(KeyRing([Psk(b"secret")])).encode()
    assert len(load_secrets([(0x544C534B, b"CLIENT_RANDOM 00 11\n")])) == 0
    assert len(load_secrets([(0x544C534B, secret)])) == 0
    assert len(load_secrets([(SECRETS_TYPE_KEYS, secret), (0x45535053, LINE.format(1).encode())])) == 2


def test_key_files_are_for_their_owner_alone(tmp_path) -> None:
    path = tmp_path / "keys"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_a_document_may_be_one_long_line(tmp_path) -> None:
    entries = [{"spi": f"{n:08x}", "encryption": 12, "encryption_key": f"{n:032x}"} for n in range(2_000)]
    text = json.dumps({"schema": "ipsecanalyze.keys/1", "esp": entries})
    assert len(text) > 100_000
    (tmp_path / "keys.json").write_text(text)
    ring = load_keys(tmp_path / "keys.json")
    assert (len(ring.esp), ring.problems) == (2_000, [])


def test_a_salt_behind_the_key_is_split_off_in_documents_too(tmp_path) -> None:
    entry = {"spi": "00000001", "encryption": 20, "encryption_key": "11" * 32 + "22" * 4}
    (tmp_path / "keys.json").write_text(json.dumps({"schema": "ipsecanalyze.keys/1", "esp": [entry]}))
    (keys,) = load_keys(tmp_path / "keys.json").esp
    assert (keys.encryption_key, keys.salt) == (b"\x11" * 32, b"\x22" * 4)


def test_gmac_for_ah_survives_documents(tmp_path) -> None:
    keys = EspKeys(protocol="AH", spi=1, integrity=11, integrity_key=bytes(32), salt=b"salt")
    (tmp_path / "keys.json").write_text(write_json(KeyRing([keys])))
    ring = load_keys(tmp_path / "keys.json")
    assert (ring, ring.problems) == (KeyRing([keys]), [])


def test_files_that_name_many_files_take_no_time(tmp_path) -> None:
    for number in range(3):
        (tmp_path / f"f{number}").write_text(f"file f{number + 1}\n" * 500)
    (tmp_path / "f3").write_text("aes-cbc:0x00112233445566778899aabbccddeeff\n")
    ring = load_keys(tmp_path / "f0")
    assert any("more than 100 files are named" in problem.what for problem in ring.problems)


@pytest.mark.parametrize("path", ["a" * 300, "a\0b", "loop"])
def test_paths_that_no_file_can_have(tmp_path, path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(KeyFileError):
        load_keys(f"{tmp_path}/{path}")


def test_a_folder_that_is_not_there_is_told_of_the_file_that_was_asked_for(tmp_path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_private(tmp_path / "missing" / "keys.json", "")
    assert caught.value.filename == str(tmp_path / "missing" / "keys.json")


def test_what_is_left_of_a_line_that_is_too_long_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_MAX_DOCUMENT", 1000)
    joined = 0

    class Piece(bytes):
        """Counts what is copied to be joined with it."""

        def __radd__(self, before: bytes) -> bytes:
            nonlocal joined
            joined += len(before) + len(self)
            return bytes(before) + bytes(self)

    pieces = [
        Piece(b"{" + b"x" * 99),
        *(Piece(b"x" * 100) for _ in range(2_000)),
        Piece(b"\n" + LINE.format(1).encode()),
    ]
    sink = load.Sink(KeyRing(), "file")
    found = list(load._lines(iter(pieces), sink))
    assert [len(line) for line in found[:1]] == [1000]
    assert found[1] == LINE.format(1).rstrip("\n")
    assert sink.line == 2
    assert joined < 300_000


def test_a_file_of_far_too_many_keys_is_not_read_to_its_end(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "MAX_KEYS", 50)
    monkeypatch.setattr(load, "_MOST_IN_VAIN", 100)
    (tmp_path / "esp_sa").write_text("".join(LINE.format(number) for number in range(1000)))
    found = load_keys(tmp_path / "esp_sa")
    assert len(found.esp) == 50
    assert found.dropped == 101
    told = [str(problem) for problem in found.problems]
    assert told[0] == "more than 50 keys of one kind; the rest is not kept"
    assert told[1].endswith("esp_sa:152: the rest of the file is not read: it has more keys than are kept")
