"""-o FILE: complete or not at all."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipsecanalyze.cli import main
from ipsecanalyze.cli.output import open_output

CAPTURES = Path(__file__).parents[1] / "captures"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("before")

    def write() -> None:
        with open_output(str(target)) as stream:
            stream.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_permissions_stay(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("before")
    target.chmod(0o640)
    with open_output(str(target)) as stream:
        stream.write("Zürich\n")
    assert target.read_text("utf-8") == "Zürich\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_new_files_follow_the_mask(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    with open_output(str(tmp_path / "new")) as stream:
        stream.write("x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with open_output(str(tmp_path / "link")) as stream:
        stream.write("after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "after"


def test_devices_stay_devices() -> None:
    with open_output("/dev/null") as stream:
        stream.write("x")
    assert Path("/dev/null").is_char_device()


def test_no_folder(tmp_path: Path) -> None:
    path = str(tmp_path / "absent" / "result")
    with pytest.raises(OSError, match="No such file") as raised, open_output(path) as stream:
        stream.write("x")
    assert raised.value.filename == path


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="these signals are POSIX's")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_signals_that_end_it_leave_nothing(tmp_path: Path, number: str) -> None:
    """`timeout`, a terminal that is closed: no half-written file stays beside the output."""
    out = tmp_path / "inner.pcapng"
    keys = CAPTURES / "v2-psk-aescbc-a" / "keys"
    command = [sys.executable, "-m", "ipsecanalyze", "decrypt", "-", "--keys", str(keys), "--follow", "-o", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for _ in range(300):
            if list(tmp_path.iterdir()):
                break
            time.sleep(0.1)
        assert list(tmp_path.iterdir())
        process.send_signal(getattr(signal, number))
        try:
            assert process.wait(30) == 128 + getattr(signal, number)
        finally:
            process.kill()
    assert not list(tmp_path.iterdir())


def test_signals_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert main(["keys", "show", str(CAPTURES / "v2-psk-aescbc-a" / "keys")]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().out
