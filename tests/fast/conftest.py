"""What the scanner tests share: running a scanner over octets, and all that it knows afterwards as plain data.

Tests that ask for `core` or `scan` run once for each core. Where the C core was not built these are skipped, and fail
under CI, unless the environment asks for pure Python.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ipsecanalyze import CaptureError
from ipsecanalyze._fast import make_scanner
from ipsecanalyze._fast.contract import Limits, Scanner, ScanOptions
from ipsecanalyze._fast.python import PythonScanner
from ipsecanalyze.capture.packet import Datagram

Result = tuple[Scanner, list[Datagram]]
Scan = Callable[..., Result]

TABLE = ("limit", "gaps", "continuing", "dropped_packets", "dropped_octets", "_stray", "notices")


def octets_of(path: Path) -> bytes:
    """The octets of a capture, without gzip."""
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def plain(value: Any) -> Any:
    """Any object of the project as nested plain data, private fields included."""
    slots = getattr(type(value), "__slots__", None)
    if slots is not None and not isinstance(value, str | int | bytes | tuple):
        return {name: plain(getattr(value, name)) for name in slots}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def plain_flow(flow: Any) -> dict[str, Any]:
    """A flow; how late its packets came is made on demand, so what is told of it counts and not whether it was made."""
    fields = plain(flow)
    fields["sequence"]["_late"] = plain(flow.sequence._lateness)
    return fields


def outcome(result: Result) -> dict[str, Any]:
    """Everything that came out of a scan."""
    scanner, datagrams = result
    flows = [plain_flow(flow) for flow in scanner.flows.finish()]
    table = {name: plain(getattr(scanner.flows, name)) for name in TABLE}
    return {"flows": flows, "table": table, "facts": plain(scanner.facts), "datagrams": plain(datagrams)}


def scan(
    pieces: Iterable[bytes],
    *,
    core: str = "python",
    limits: Limits | None = None,
    protected_datagrams: bool = False,
    **more: Any,
) -> Result:
    """Feed the pieces of one capture; the scanner and all datagrams."""
    options = ScanOptions(limits=limits or Limits(), protected_datagrams=protected_datagrams)
    scanner = make_scanner(options, path="test", core=core, **more)
    return scanner, fed(scanner, pieces)


def fed(scanner: Scanner, pieces: Iterable[bytes]) -> list[Datagram]:
    """All datagrams of a capture."""
    found: list[Datagram] = []
    for piece in pieces:
        found += scanner.feed(piece)
    return found + scanner.feed(b"", final=True)


def told(core: str, octets: bytes, *, size: int = 0, **options: Any) -> dict[str, Any]:
    """The outcome of a scan in pieces of `size` octets (0: in one), or what was said of octets that are no capture."""
    step = size or len(octets) or 1
    try:
        return outcome(scan((octets[at : at + step] for at in range(0, len(octets), step)), core=core, **options))
    except CaptureError as error:
        return {"error": str(error), "offset": error.offset}


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where nested plain data differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [text for key in one for text in differences(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [text for at, (a, b) in pairs for text in differences(a, b, f"{path}[{at}]")]
    return [] if one == other and type(one) is type(other) else [f"{path}: {one!r:.120} != {other!r:.120}"]


def why_no_core() -> str:
    """Why the C core cannot be tested; empty where it can."""
    try:
        from ipsecanalyze._fast import _core  # noqa: F401
    except ImportError as error:
        return f"the C core was not built ({error})"
    return ""


def need_core() -> None:
    """Skips the test where the C core is missing; fails it under CI, unless pure Python was asked for."""
    reason = why_no_core()
    if reason and os.environ.get("CI") == "true" and os.environ.get("IPSECANALYZE_PURE") != "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session", params=["python", "c"])
def core(request: pytest.FixtureRequest) -> str:
    """The name of each core by turns."""
    name: str = request.param
    if name == "c":
        need_core()
    return name


@pytest.fixture(name="scan", scope="session")
def scan_fixture(core: str) -> Scan:
    """`scan`, above, with each core."""
    return partial(scan, core=core)


@pytest.fixture(scope="session")
def general() -> Scan:
    """A scan in Python on which every packet takes the general path."""

    def run(pieces: Iterable[bytes], **options: Any) -> Result:
        scanner = PythonScanner(ScanOptions(**options), path="test", short_path=False)
        return scanner, fed(scanner, pieces)

    return run


@pytest.fixture(name="outcome", scope="session")
def outcome_fixture() -> Callable[[Result], dict[str, Any]]:
    """`outcome`, above."""
    return outcome


@pytest.fixture(name="told", scope="session")
def told_fixture() -> Callable[..., dict[str, Any]]:
    """`told`, above."""
    return told


@pytest.fixture(scope="session")
def agree() -> Callable[..., dict[str, Any]]:
    """Scans octets with both cores and fails where anything differs; the outcome."""
    need_core()

    def check(octets: bytes, **options: Any) -> dict[str, Any]:
        expected = told("python", octets, **options)
        assert differences(told("c", octets, **options), expected) == []
        return expected

    return check


@pytest.fixture(scope="session")
def mutations() -> ModuleType:
    """`mutations.py`."""
    return load("mutations")


def load(name: str) -> ModuleType:
    """A module that stands beside this one."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="octets_of", scope="session")
def octets_of_fixture() -> Callable[[Path], bytes]:
    """`octets_of`, above."""
    return octets_of


@pytest.fixture(scope="session")
def both() -> Callable[[Callable[[str, Scan, Callable[[Result], Any]], Any]], list[Any]]:
    """Runs a function with either core: it gets the core's name, `scan` and `outcome`; both results."""
    need_core()
    return lambda run: [run(core, scan, outcome) for core in ("python", "c")]
