"""The lab beside the library: who imports it, what loads it, and what a wheel holds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

from .conftest import lacking

ROOT = Path(__file__).parents[2]


def loaded_by(code: str) -> set[str]:
    text = f"{code}; import sys; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split())


def test_the_library_never_loads_it() -> None:
    for code in (
        "import ipsecanalyze; ipsecanalyze.analyze",
        "import ipsecanalyze.cli.run",
        "import ipsecanalyze.cli.lab",
    ):
        assert not any(name.startswith(("ipsecanalyze.lab", "docker")) for name in loaded_by(code)), code


def test_it_loads_no_engine_before_one_is_asked_for() -> None:
    assert not any(name.startswith(("docker", "requests")) for name in loaded_by("import ipsecanalyze.lab"))


def test_a_wheel_has_all_of_it(tmp_path: Path) -> None:
    """Built from a copy of what git knows, without the link at ipsecanalyze/lab."""
    found = version("setuptools")
    if int(found.partition(".")[0]) < 77:
        lacking(f"setuptools {found} is too old to build the package")
    kept = ("ipsecanalyze", "lab", "pyproject.toml", "setup.py", "README.md", "LICENSE")
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *kept],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            target = tmp_path / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-c", "from setuptools import build_meta; print(build_meta.build_wheel('..'))"]
    environment = {"IPSECANALYZE_PURE": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run(command, cwd=tmp_path / "source", env=environment, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = [path for path in (ROOT / "lab").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {f"ipsecanalyze/{path.relative_to(ROOT)}" for path in wanted} <= names
    packages = [path.parent for path in (ROOT / "ipsecanalyze").rglob("__init__.py")]
    assert {f"{path.relative_to(ROOT)}/__init__.py" for path in packages} <= names
    assert not any(name.startswith("lab/") for name in names)
