"""Opening on the short way: rows of the C core instead of datagrams, blocks of pcapng instead of packets.

What it gives is what `Opening.open` and `InnerFile.add` give, octet for octet; only the time differs. Plain ESP of a
flow whose key is known takes it, with an IPv4 packet in it that is as long as it says. The core (`_core.Opener`) calls
the cipher for each and does the rest by itself. All else goes the ordinary way, in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from ipsecanalyze._fast import _core
from ipsecanalyze._fast.columns import ROW, Octets, datagrams_of
from ipsecanalyze._fast.contract import ScanOptions
from ipsecanalyze._fast.native import NativeIntake, NativeScanner
from ipsecanalyze._fast.native_flows import NativeFlowTable
from ipsecanalyze._fast.shortpath import Verdict
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind, PacketKind
from ipsecanalyze.crypto.ciphers import InvalidTag
from ipsecanalyze.crypto.encryption import encryption_algorithm
from ipsecanalyze.crypto.esp import EspOpener, OpenedEsp
from ipsecanalyze.crypto.integrity import Mac
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.opening.inner_file import InnerFile, comment_ends
from ipsecanalyze.opening.packets import DecryptedPacket

if TYPE_CHECKING:
    from ipsecanalyze.opening.esp import Opening
    from ipsecanalyze.opening.lane import Lane

__all__ = ["RowScanner"]

#: Of a row: kind, flow.
_LEAN: Final = Struct("=46xB37xI")
_SIZE: Final = ROW.size
_ESP: Final = Verdict.ESP
#: How the packets of a flow are opened, as in core/opener.c.
_COMBINED, _CLASSIC, _WHOLE = range(3)
_NO_FLOW: Final = 0xFFFFFFFF
#: Octets of blocks that are written at once: what a window of the scanner has in it, as a rule.
_BLOCKS: Final = 1 << 20


class _RowIntake(NativeIntake):
    """Opens ESP and AH as they come, instead of handing them over."""

    def __init__(self, scanner: RowScanner, options: ScanOptions, table: NativeFlowTable, capture: int) -> None:
        super().__init__(options, table, capture, scanner.notices)
        self._opening = scanner.opening
        self._out = scanner.out
        self._quick: dict[int, tuple[Lane, EspOpener]] = {}
        self._core = _core.Opener((InvalidTag, DecryptError))
        self._blocks = bytearray(_BLOCKS)

    def _take_rows(self, rows: bytes, octets: Octets) -> None:
        run, blocks, at, end = self._core.run, self._blocks, 0, len(rows)
        with memoryview(blocks) as view:
            while True:
                at, packets, written, found = run(rows, at, octets, blocks)
                if packets:
                    self._out.add_blocks(view[:written], packets)
                if at == end:
                    return
                if packets and found is None:
                    continue  # no room, perhaps
                self._take_odd(rows[at : at + _SIZE], octets, found)
                at += _SIZE

    def _take_odd(self, row: bytes, octets: Octets, found: Any) -> None:
        """Take what the core has left: `found` is what came of opening it, if it was opened."""
        kind, flow = _LEAN.unpack(row)
        if found is None:
            if self._quick.pop(flow, None) is not None:
                # Which key opens it and why not, is known there. What is merely cut off or short comes back soon.
                self._core.leave(flow)
            self._take_row(row, octets, flow, kind)
            return
        lane, opener = self._quick[flow]
        if isinstance(found, tuple):
            plain, high = found
        else:
            plain, high = found, None
        opened: OpenedEsp | DecryptError
        try:
            opened = plain if isinstance(plain, DecryptError) else opener.finish(plain, high)
        except DecryptError as error:
            opened = error
        (datagram,) = datagrams_of(row, octets, self.table.vlans, self.capture)
        if isinstance(opened, DecryptError):
            del self._quick[flow]
            self._core.leave(flow)
        packet = lane.finish_open(datagram.payload, opened)
        if packet is not None:
            self._put(self._opening.unwrap(lane, packet, datagram))

    def _take_row(self, row: bytes, octets: Octets, flow: int, kind: int) -> None:
        """The ordinary way."""
        for datagram in datagrams_of(row, octets, self.table.vlans, self.capture):
            self._take_datagram(datagram)
            if kind == _ESP and flow != _NO_FLOW:
                spi = int.from_bytes(datagram.payload[:4])
                self._enter(flow, ("ESP", datagram.source, datagram.destination, spi, datagram.encapsulation))

    def _enter(self, flow: int, key: FlowKey) -> None:
        """Let the flow take the short way from now on, if its key is known."""
        lane = self._opening.lanes.get(key)
        if lane is None or not lane.is_steady or not isinstance(lane.opener, EspOpener):
            return
        opener = lane.opener
        self._quick[flow] = (lane, opener)
        kind = _WHOLE
        decrypt: Callable[..., object] = opener.unseal
        mac: Mac | None = None
        keys, row = opener.keys, encryption_algorithm(opener.keys.encryption)
        if opener.sequence.last is None:  # numbers of 32 bits: nothing need be between the core and the cipher
            if opener.classic is not None:
                kind, (mac, decrypt) = _CLASSIC, opener.classic
            elif row.iv_octets == 8 and row.mode != "gmac":
                kind, decrypt = _COMBINED, row.aead(keys.encryption_key, keys.salt, opener.icv_octets)
        self._core.enter(
            flow,
            kind,
            decrypt,
            mac,
            opener.icv_octets,
            opener.least,
            lane.inside.known,
            lane.inside.meet,
            keys.salt if kind == _COMBINED else b"",
            *comment_ends(self.capture, "ESP", key[3]),
        )

    def _take_datagram(self, datagram: Datagram) -> None:
        if datagram.kind is DatagramKind.IKE:
            self.decoder.conversations.remember_spi(datagram.payload[:8])
        else:
            self._put(self._opening.open(datagram))

    def _protected(self, protocol: str, datagram: Datagram, start: int) -> None:
        del protocol, start
        self._put(self._opening.open(datagram))

    def _put(self, packet: DecryptedPacket | None) -> None:
        if packet is not None:
            self._out.add(packet)


class RowScanner(NativeScanner):
    """Scans a capture with the C core, opens what it can, and writes it."""

    def __init__(
        self, opening: Opening, out: InnerFile, options: ScanOptions, *, path: str = "-", capture: int = 0
    ) -> None:
        self.opening, self.out = opening, out
        table = NativeFlowTable(options.limits.flows, 16)
        super().__init__(options, path=path, flows=table, capture=capture)
        self._intake = _RowIntake(self, options, table, capture)

    @property
    def saw_fragments(self) -> bool:
        """Whether there were IP fragments."""
        return self._intake.decoder.counts[PacketKind.FRAGMENT] > 0

    @property
    def notices(self) -> NoticeLog:
        """Where damage is told."""
        return self._notices
