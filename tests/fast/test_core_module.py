"""The C core's own types under misuse: wrong arguments, tables in use elsewhere, formats that were not told, limits."""

from __future__ import annotations

import struct
import threading
from typing import Any

import pytest

from ipsecanalyze._fast import make_flow_table, make_scanner
from ipsecanalyze._fast.columns import ROW
from ipsecanalyze.esp.flow import FlowTable

SECRET = bytes(range(32))
KEY = struct.pack("=16s16sIBBBx", bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), 7, 4, 0, 0)


@pytest.fixture(scope="module")
def module(agree: Any) -> Any:
    """The module; `agree` has seen to it that it is there."""
    del agree
    from ipsecanalyze._fast import _core

    return _core


@pytest.fixture
def table(module: Any) -> Any:
    return module.Table(SECRET, 100, 16, False)


def arrive(table: Any, key: bytes = KEY, *, time_ns: int = 0, sequence: int = 1) -> Any:
    return table.arrive(key, time_ns, 1, 64, sequence, 0, 0, 64, 0, True, False, False, False, 0)


def records(count: int) -> bytes:
    """ESP over IPv4, each packet a record."""
    return b"".join(
        struct.pack("<IIII", 1, number, 28, 28)
        + struct.pack(">BBHHHBBHIIII", 0x45, 0, 28, 0, 0, 64, 50, 0, 1, 2, 7, number)
        for number in range(1, count + 1)
    )


def test_rows_are_read_as_they_are_written(module: Any) -> None:
    assert ROW.size == module.ROW_OCTETS


def test_a_table_counts(table: Any) -> None:
    assert table.find(KEY) == -1
    assert [arrive(table, sequence=number) for number in (1, 2, 4)] == [0, 0, 0]
    assert table.find(KEY) == 0
    assert table.counts() == (1, 0, 0)
    table.settle()
    assert table.export(0)[0][2] == 7


@pytest.mark.parametrize("index", [1, 2, 1 << 31])
def test_no_such_flow(table: Any, index: int) -> None:
    arrive(table)
    with pytest.raises(IndexError):
        table.export(index)


def test_wrong_arguments(module: Any, table: Any) -> None:
    with pytest.raises(ValueError, match="32 octets"):
        module.Table(b"short", 1, 1, False)
    with pytest.raises(ValueError, match="40 octets"):
        arrive(table, KEY[:-1])
    with pytest.raises(OverflowError):
        arrive(table, time_ns=(1 << 62) + 1)
    with pytest.raises(TypeError):
        module.Scan(object(), 0, False)
    scan = module.Scan(table, 0, False)
    with pytest.raises(ValueError, match="18 octets"):
        scan.watch(bytes(18), bytes(17))
    with pytest.raises(TypeError):
        scan.section(False, 0, ())
    with pytest.raises(TypeError):
        scan.section(False, 0, [None])
    with pytest.raises(RuntimeError, match="format"):
        scan.run(b"", 0, 0, 0, -1)
    with pytest.raises(ValueError, match="no record header"):
        scan.pcap(False, False, 0, 65535, 1)
    with pytest.raises(RuntimeError, match="format"):
        scan.run(b"", 0, 0, 0, -1)


@pytest.mark.parametrize(("start", "end"), [(-1, 10), (5, 4), (0, 11), (11, 11)])
def test_no_such_part_of_the_buffer(module: Any, table: Any, start: int, end: int) -> None:
    scan = module.Scan(table, 0, False)
    scan.pcap(False, False, 16, 65535, 101)
    with pytest.raises(ValueError, match="part of the buffer"):
        scan.run(bytes(10), start, end, 0, -1)


def test_a_wrong_format_leaves_the_old_one(module: Any, table: Any) -> None:
    scan = module.Scan(table, 0, False)
    scan.pcap(False, False, 16, 65535, 101)
    with pytest.raises(ValueError, match="no record header"):
        scan.pcap(True, True, 8, 1, 1)
    octets = records(3)
    assert scan.run(octets, 0, len(octets), 0, -1)[:4] == (0, len(octets), 3, 1)


def test_buffers_are_released(module: Any, table: Any) -> None:
    scan = module.Scan(table, 0, False)
    octets = bytearray(records(3))
    with pytest.raises(RuntimeError):
        scan.run(octets, 0, len(octets), 0, -1)
    scan.pcap(False, False, 16, 65535, 101)
    with pytest.raises(ValueError, match="part"):
        scan.run(octets, 0, len(octets) + 1, 0, -1)
    scan.run(octets, 0, len(octets), 0, -1)
    octets.clear()  # which is an error while anybody looks at them


class Meddler:
    """A buffer's offset that calls something while arguments are read."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def __index__(self) -> int:
        self.call()
        return 0


def test_a_format_that_changes_while_a_scan_is_begun(module: Any, table: Any) -> None:
    scan = module.Scan(table, 0, False)
    scan.pcap(False, False, 16, 65535, 101)
    octets = records(2)
    meddler = Meddler(lambda: scan.section(False, 0, []))
    assert scan.run(octets, meddler, len(octets), 0, -1)[0] == 1  # an odd record: now it is taken for pcapng


def test_two_threads_on_one_table(module: Any, table: Any) -> None:
    """One counts, or is refused; nothing is lost of what was counted."""
    octets = records(2000)
    refused = []

    scans = [module.Scan(table, 0, False) for _ in range(4)]
    for scan in scans:
        scan.pcap(False, False, 16, 65535, 101)

    def work(scan: Any) -> None:
        for _ in range(200):
            try:
                scan.run(octets, 0, len(octets), 0, -1)
                table.settle()
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=work, args=(scan,)) for scan in scans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    table.settle()
    assert set(refused) <= {"the table is in use by a scan in another thread"}
    packets = table.export(0)[-1][0]
    assert packets % 2000 == 0
    assert 800 - len(refused) <= packets // 2000 <= 800


def test_a_table_that_was_merged_takes_no_more(module: Any, table: Any) -> None:
    following = module.Table(SECRET, 100, 16, True)
    scan = module.Scan(following, 0, False)
    scan.pcap(False, False, 16, 65535, 101)
    octets = records(1500)
    scan.run(octets, 0, len(octets), 0, -1)
    with pytest.raises(ValueError, match="itself"):
        table.merge(table, 0)
    assert table.merge(following, 0)
    for call in (following.settle, lambda: arrive(following), lambda: scan.run(octets, 0, len(octets), 0, -1)):
        with pytest.raises(MemoryError):
            call()
    table.settle()
    assert table.export(0)[-1][0] == 1500


@pytest.mark.parametrize("limit", [0, -1, 1, 1 << 32, 1 << 70])
def test_limits_of_any_size(core: str, limit: int) -> None:
    flows = make_flow_table(limit, limit, core=core)
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    scanner = make_scanner(flows=flows, core=core)
    scanner.feed(header + records(3), final=True)
    assert [flow.packets for flow in flows.finish()] == ([3] if limit > 0 else [])
    assert flows.dropped_packets == (0 if limit > 0 else 3)


def test_a_table_of_python_is_refused() -> None:
    with pytest.raises(TypeError, match="NativeFlowTable"):
        make_scanner(flows=FlowTable(), core="c")
