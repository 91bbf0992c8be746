"""Opening on the short way: rows of the C core instead of datagrams, blocks of pcapng instead of packets.

What it gives is what `Opening.open` and `InnerFile.add` give, octet for octet; only the time differs. Plain ESP of a
flow whose key is known takes it: an IPv4 packet as long as it says, of a conversation that was seen before. All else
goes the ordinary way, in its place.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from ipsecanalyze._fast.columns import ROW, Octets, datagrams_of
from ipsecanalyze._fast.contract import ScanOptions
from ipsecanalyze._fast.native import NativeIntake, NativeScanner
from ipsecanalyze._fast.native_flows import NativeFlowTable
from ipsecanalyze._fast.shortpath import Verdict
from ipsecanalyze.capture.notices import NoticeLog
from ipsecanalyze.capture.packet import Datagram, DatagramKind, PacketKind
from ipsecanalyze.crypto.ciphers import AeadOpen, InvalidTag
from ipsecanalyze.crypto.encryption import encryption_algorithm
from ipsecanalyze.crypto.esp import EspOpener, OpenedEsp
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.opening.inner_file import ENDS, ENHANCED, LENGTH, InnerFile, comment_of
from ipsecanalyze.opening.inside import WHOLE
from ipsecanalyze.opening.packets import DecryptedPacket

if TYPE_CHECKING:
    from ipsecanalyze.opening.esp import Opening
    from ipsecanalyze.opening.lane import Lane

__all__ = ["RowScanner"]

#: Of a row: start, time, frame, captured, length, kind, flow.
_LEAN: Final = Struct("=QqQII14xB5x32xI")
_SIZE: Final = ROW.size
_ESP: Final = Verdict.ESP
_NO_FLOW: Final = 0xFFFFFFFF
#: Parts of blocks that may wait: few, so that all this stays in the processor's cache.
_PARTS: Final = 240

#: RFC 4303 §2.4: padding is 1, 2, 3, ...
_PADDINGS: Final = tuple(bytes(range(1, size + 1)) for size in range(256))
#: SPI, sequence number, IV, the shortest trailer and the longest ICV of AEAD: less is not for the short way.
_LEAST: Final = 34


class _Quick:
    """A flow whose key is known."""

    __slots__ = ("comment", "decrypt", "give", "known", "lane", "opened", "salt")

    def __init__(self, lane: Lane, opener: EspOpener, comment: bytes) -> None:
        self.lane = lane
        self.comment = comment
        self.known = lane.inside.known.get
        keys = opener.keys
        row = encryption_algorithm(keys.encryption)
        self.salt = keys.salt
        self.decrypt: AeadOpen | None = None
        """What opens its packets, where nonce and associated data are as in RFC 4106, with numbers of 32 bits."""
        if row.is_aead and row.iv_octets == 8 and row.mode != "gmac" and opener.sequence.last is None:
            self.decrypt = row.aead(keys.encryption_key, keys.salt, opener.icv_octets)
        # Of others one packet is put in and comes out opened: a generator that goes on costs less than a call.
        waiting: list[bytes] = []
        self.give = waiting.append
        self.opened = opener.open_many(iter(waiting.pop, None))


class _RowIntake(NativeIntake):
    """Opens ESP and AH as they come, instead of handing them over."""

    def __init__(self, scanner: RowScanner, options: ScanOptions, table: NativeFlowTable, capture: int) -> None:
        super().__init__(options, table, capture, scanner.notices)
        self._opening = scanner.opening
        self._out = scanner.out
        self._quick: dict[int, _Quick] = {}

    def _take_rows(self, rows: bytes, octets: Octets) -> None:
        # Of hundreds of thousands of packets each second: no step here that can be spared.
        find, out = self._quick.get, self._out
        parts, pack, pack_length, number = out.parts, ENHANCED.pack, LENGTH.pack, int.from_bytes
        at, quickly = -_SIZE, 0
        view = memoryview(octets)
        for start, time_ns, frame, captured, length, kind, flow in _LEAN.iter_unpack(rows):
            at += _SIZE
            quick = find(flow)
            if quick is None or captured != length or kind != _ESP or captured < _LEAST:
                self._take_row(rows[at : at + _SIZE], octets, flow, kind)
                continue
            head = bytes(view[start : start + 16])
            decrypt = quick.decrypt
            if decrypt is not None:
                try:
                    plain = decrypt(quick.salt + head[8:], view[start + 16 : start + captured], head[:8])
                    padding = plain[-2]
                except InvalidTag:
                    plain, padding = b"", 0
                if len(plain) < padding + 2:
                    # Once more, in full: which key and why not, is known there.
                    del self._quick[flow]
                    self._take_row(rows[at : at + _SIZE], octets, flow, kind)
                    continue
                inner, next_header = plain[: -2 - padding], plain[-1]
                wrong = plain[-2 - padding : -2] != _PADDINGS[padding]
                sequence = number(head[4:8])
            else:
                packet = bytes(view[start : start + captured])
                quick.give(packet)
                opened = next(quick.opened)
                if opened.__class__ is not OpenedEsp:
                    self._finish(rows[at : at + _SIZE], octets, opened, flow, packet)
                    continue
                payload, next_header, _, wrong, high, _ = opened
                inner = bytes(payload)
                sequence = (high or 0) << 32 | number(head[4:8])
            tally = quick.known(inner[9:10] + inner[12:24])
            size = len(inner)
            if (
                tally is not None
                and next_header == 4
                and not wrong
                and inner[0] == 0x45
                and inner[2] << 8 | inner[3] == size
                and inner[6:8] in WHOLE
            ):
                text = quick.comment % (frame, sequence)
                before, behind, total = ENDS[size & 3][len(text)]
                total += size
                parts += (
                    pack(6, total, 0, time_ns >> 32 & 0xFFFFFFFF, time_ns & 0xFFFFFFFF, size, size),
                    inner,
                    before,
                    text,
                    behind,
                    pack_length(total),
                )
                quickly += 1
                tally[2] += 1
                tally[3] += size
                if len(parts) > _PARTS:
                    out.flush()
            else:
                if decrypt is not None:
                    opened = OpenedEsp(inner, next_header, padding, wrong, None, True)
                self._finish(rows[at : at + _SIZE], octets, opened, flow)
        out.packets += quickly

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
        if lane is not None and lane.is_steady and isinstance(lane.opener, EspOpener):
            self._quick[flow] = _Quick(lane, lane.opener, comment_of(self.capture, "ESP", key[3]))

    def _finish(
        self, row: bytes, octets: Octets, opened: OpenedEsp | DecryptError, flow: int, packet: bytes = b""
    ) -> None:
        """What was opened on the short way turned out to be not plain, or (`packet`) was not opened."""
        (datagram,) = datagrams_of(row, octets, self.table.vlans, self.capture)
        lane = self._quick[flow].lane
        if isinstance(opened, DecryptError):
            del self._quick[flow]
        found = lane.finish_open(packet, opened)
        if found is not None:
            self._put(self._opening.unwrap(lane, found, datagram))

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
