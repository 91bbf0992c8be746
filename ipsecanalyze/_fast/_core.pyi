# The C core, as far as types go; what it does stands in native.py and native_flows.py.

from collections.abc import Callable
from typing import Any, Self

from ipsecanalyze._fast.columns import Octets

ROW_OCTETS: int

def skip_records(
    octets: Octets, until: int, big_endian: bool, record_header: int, limit: int, /
) -> tuple[int, int]: ...

class Table:
    def __new__(cls, secret: bytes, limit: int, gaps: int, continuing: bool, /) -> Self: ...
    def arrive(
        self,
        key: bytes,
        time_ns: int,
        frame: int,
        length: int,
        sequence: int,
        ports: int,
        vlan: int,
        ttl: int,
        traffic_class: int,
        dont_fragment: bool,
        in_fragments: bool,
        truncated: bool,
        inferred: bool,
        capture: int,
        /,
    ) -> int: ...
    def find(self, key: bytes, /) -> int: ...
    def merge(self, following: Table, frames: int, /) -> bool: ...
    def counts(self) -> tuple[int, int, int]: ...
    def settle(self) -> None: ...
    def export(self, index: int, /) -> tuple[Any, ...]: ...

class Scan:
    def __new__(cls, table: Table, capture: int, protected: bool, /) -> Self: ...
    def pcap(
        self, big_endian: bool, nanoseconds: bool, record_header: int, record_limit: int, link_type: int, /
    ) -> None: ...
    def section(self, big_endian: bool, base: int, interfaces: list[tuple[int, int, int, int, int]], /) -> None: ...
    def run(
        self, octets: Octets, start: int, end: int, frame: int, last: int, /
    ) -> tuple[int, int, int, int, bytes | None, Any]: ...
    def read(
        self,
        fd: int,
        window: bytearray,
        begin: int,
        position: int,
        end: int,
        stop: int,
        budget: int,
        frame: int,
        last: int,
        /,
    ) -> tuple[int, int, tuple[int, int, int, int, bytes | None, Any]]: ...
    def counts(self) -> tuple[int, int, int, int, list[int], int]: ...
    def watch(self, one: bytes, other: bytes, /) -> int: ...
    def forget(self) -> None: ...

class Opener:
    def __new__(cls, invalid: tuple[type[Exception], ...], /) -> Self: ...
    def enter(
        self,
        flow: int,
        kind: int,
        decrypt: Callable[..., object],
        mac: Callable[[bytes, bytes], bytes] | None,
        icv_octets: int,
        least: int,
        known: dict[bytes, list[Any]],
        meet: Callable[[bytes, bytes], list[Any]],
        salt: bytes,
        head: bytes,
        middle: bytes,
        /,
    ) -> None: ...
    def leave(self, flow: int, /) -> None: ...
    def run(self, rows: bytes, row_at: int, octets: Octets, out: bytearray, /) -> tuple[int, int, int, Any]: ...
