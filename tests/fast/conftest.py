"""What the scanner tests share: running a scanner over octets, and all that it knows afterwards as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ipsecanalyze._fast.contract import Limits, ScanOptions
from ipsecanalyze._fast.python import PythonScanner
from ipsecanalyze.capture.packet import Datagram

Scan = Callable[..., tuple[PythonScanner, list[Datagram]]]


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


def scan(
    pieces: Iterable[bytes],
    *,
    short_path: bool = True,
    limits: Limits | None = None,
    protected_datagrams: bool = False,
    **more: Any,
) -> tuple[PythonScanner, list[Datagram]]:
    """Feed the pieces of one capture; the scanner and all datagrams."""
    options = ScanOptions(limits or Limits(), protected_datagrams)
    scanner = PythonScanner(options, path="test", short_path=short_path, **more)
    found: list[Datagram] = []
    for piece in pieces:
        found += scanner.feed(piece)
    found += scanner.feed(b"", final=True)
    return scanner, found


@pytest.fixture(name="scan", scope="session")
def scan_fixture() -> Scan:
    """`scan`, above."""
    return scan


@pytest.fixture(scope="session")
def outcome() -> Callable[[tuple[PythonScanner, list[Datagram]]], dict[str, Any]]:
    """Everything that came out of a scan."""

    def describe(result: tuple[PythonScanner, list[Datagram]]) -> dict[str, Any]:
        scanner, datagrams = result
        flows = [plain(flow) for flow in scanner.flows.finish()]
        flow_table = scanner.flows
        names = ("limit", "gaps", "continuing", "dropped_packets", "dropped_octets", "_stray", "notices")
        table = {name: plain(getattr(flow_table, name)) for name in names}
        return {"flows": flows, "table": table, "facts": plain(scanner.facts), "datagrams": plain(datagrams)}

    return describe
