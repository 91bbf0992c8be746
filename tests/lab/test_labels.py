"""Labels, and what `gc` concludes from them; mirrors of apt; ownership. All without an engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipsecanalyze.lab import image
from ipsecanalyze.lab.bundle import hand_over
from ipsecanalyze.lab.labels import LAB, NODE, Mark, is_abandoned


def test_labels_of_a_run() -> None:
    labels = Mark("abc", "ikev2-psk", 60, attended=True).labels("moon")
    assert labels[LAB] == "abc"
    assert labels[NODE] == "moon"
    assert not is_abandoned(labels, time.time())
    assert is_abandoned(labels, time.time() + 61) == "its time is over"


def test_a_lab_of_a_dead_process_is_abandoned() -> None:
    code = "from ipsecanalyze.lab.labels import Mark; print(Mark('a', 's', 60, attended=%s).labels())"
    for attended, abandoned in ((True, True), (False, False)):
        done = subprocess.run([sys.executable, "-c", code % attended], capture_output=True, text=True, check=True)
        labels = eval(done.stdout)
        assert bool(is_abandoned(labels, time.time())) is abandoned


def test_a_process_is_told_from_a_later_one_of_the_same_number() -> None:
    labels = Mark("a", "s", 60, attended=True).labels()
    key = next(key for key in labels if key.endswith("creator"))
    host, process, began = labels[key].split(" ")
    assert int(process) == os.getpid()
    assert is_abandoned(labels | {key: f"{host} {process} {began}0"}, time.time())
    assert not is_abandoned(labels | {key: f"another-{host} {process} {began}0"}, time.time())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "sources.list",
            "# comment\ndeb-src http://a/ bookworm main\ndeb http://mirror.test/debian/ bookworm main\n",
        ),
        ("sources.list", "deb [arch=amd64 signed-by=/k] http://mirror.test/debian bookworm main contrib\n"),
        (
            "sources.list.d/debian.sources",
            (
                "Types: deb\nURIs: https://x.test/other\nSuites: nodistro\nComponents: main\n\n"
                "Types: deb\n# one: two\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n"
                "Components: main\n"
            ),
        ),
    ],
)
def test_mirror(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert image.mirror_of(tmp_path) == "http://mirror.test/debian"


def test_mirror_without_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.test/ubuntu jammy main\n")
    assert image.mirror_of(tmp_path) is None
    assert image.mirror_of(tmp_path / "nowhere") is None


def test_the_image_is_named_by_what_it_is_made_of(monkeypatch, tmp_path: Path) -> None:
    name = image.image_name()
    assert name != image.image_name("libreswan")
    monkeypatch.setattr(image, "_FOLDER", tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert image.image_name() != name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_go_to_who_called_sudo(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("")
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    hand_over(tmp_path)
    for path in (tmp_path, tmp_path / "below", tmp_path / "below" / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)
