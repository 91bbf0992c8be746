"""The rows in which the C core hands over datagrams: what stands in `struct row` of core/scan.h.

Plain octets of fixed size, so that NumPy can read them too (`numpy.frombuffer(rows, dtype=ROW_DTYPE)`).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, TypeAlias

from ipsecanalyze._fast.shortpath import Verdict
from ipsecanalyze.capture.ip import address_text
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation

Octets: TypeAlias = bytes | bytearray | memoryview

__all__ = ["ENCAPSULATIONS", "ROW", "ROW_DTYPE", "Octets", "VlanStacks", "datagrams_of"]

_FIELDS: Final = (
    ("start", "Q"),
    ("time_ns", "q"),
    ("frame", "Q"),
    ("captured", "I"),
    ("length", "I"),
    ("interface", "I"),
    ("vlan", "I"),
    ("source_port", "H"),
    ("destination_port", "H"),
    ("ip_id", "H"),
    ("kind", "B"),
    ("version", "B"),
    ("encapsulation", "B"),
    ("ttl", "B"),
    ("traffic_class", "B"),
    ("dont_fragment", "B"),
    ("source", "16s"),
    ("destination", "16s"),
    ("flow", "I"),
)
ROW: Final = Struct("=" + "".join(code for _, code in _FIELDS))
"""One row; `start` is where the payload begins in the octets that were scanned."""
ROW_DTYPE: Final = [(name, code if code != "16s" else "S16") for name, code in _FIELDS]
ENCAPSULATIONS: Final = (Encapsulation.NONE, Encapsulation.UDP, Encapsulation.TCP)
_KINDS: Final = {Verdict.IKE: DatagramKind.IKE, Verdict.ESP: DatagramKind.ESP, Verdict.AH: DatagramKind.AH}
#: Stacks of three tags and more that can be told apart; further ones are not noted.
_DEEP_STACKS: Final = 65_536


class VlanStacks:
    """Numbers for stacks of VLAN tags, as core/link.c makes them: 0 without a tag, else one more than

    the identifier; 1 << 24 | outer << 12 | inner; or 1 << 25 and the place in a list of deeper stacks.
    """

    def __init__(self) -> None:
        self._deep: list[tuple[int, ...]] = []
        self._known: dict[tuple[int, ...], int] = {}

    def number(self, stack: tuple[int, ...]) -> int:
        """The number of a stack."""
        if not stack:
            return 0
        if len(stack) == 1:
            return stack[0] + 1
        if len(stack) == 2:
            return (1 << 24 | stack[0] << 12 | stack[1]) + 1
        known = self._known.get(stack)
        if known is None:
            if len(self._deep) >= _DEEP_STACKS:
                return 0
            known = self._known[stack] = (1 << 25 | len(self._deep)) + 1
            self._deep.append(stack)
        return known

    def stack(self, number: int) -> tuple[int, ...]:
        """The stack of a number."""
        if not number:
            return ()
        number -= 1
        if number < 1 << 24:
            return (number,)
        if number < 1 << 25:
            return (number >> 12 & 0xFFF, number & 0xFFF)
        return self._deep[number - (1 << 25)]


def datagrams_of(
    rows: bytes, octets: Octets, vlans: VlanStacks, capture: int, *, alone: bool = False, frames: int = 0
) -> Iterator[Datagram]:
    """The datagrams of rows; `octets` are those that were scanned, or, `alone`, the payload itself.

    `frames` is added to the frame numbers.
    """
    for (
        start,
        time_ns,
        frame,
        captured,
        length,
        interface,
        vlan,
        source_port,
        destination_port,
        ip_id,
        kind,
        version,
        encapsulation,
        ttl,
        traffic_class,
        dont_fragment,
        source,
        destination,
        _,
    ) in ROW.iter_unpack(rows):
        size = 4 if version == 4 else 16
        yield Datagram(
            _KINDS[kind],
            address_text(source[:size]),
            address_text(destination[:size]),
            bytes(octets) if alone else bytes(octets[start : start + captured]),
            frames + frame,
            time_ns,
            length,
            source_port,
            destination_port,
            ENCAPSULATIONS[encapsulation],
            False,
            ttl,
            traffic_class,
            bool(dont_fragment),
            ip_id,
            vlans.stack(vlan),
            1,
            None,
            interface,
            capture,
        )
