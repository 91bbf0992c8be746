"""From a path to packets: opens the source, finds out the format, walks the records.

Streaming: memory does not depend on the size of the capture. Damage becomes a notice; only what is no capture at
all raises, and it does so on opening.
"""

from __future__ import annotations

import os
from collections import deque
from types import TracebackType
from typing import Final, Self

from ipsecanalyze.capture.notices import NoticeLog, printable
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.capture.pcap import PcapWalker, is_pcap, parse_pcap_header
from ipsecanalyze.capture.pcapng import PcapngWalker, is_pcapng
from ipsecanalyze.capture.source import Source, open_source
from ipsecanalyze.capture.walker import Interface, Walker
from ipsecanalyze.errors import CaptureError, Notice, WireError

__all__ = ["CaptureReader", "make_walker", "open_capture"]

HEAD: Final = 28
"""Octets after which the format is certain: a pcap header, or the fixed part of a Section Header Block."""
#: What people give by mistake, with what to do about it.
OTHER_FORMATS: Final = {
    b"BZh": "a bzip2 file: decompress it first",
    b"\xfd7zXZ\x00": "an xz file: decompress it first",
    b"\x04\x22\x4d\x18": "an lz4 file: decompress it first",
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"snoop\0\0\0": "a Solaris snoop file: convert it with editcap first",
    b"\x7fELF": "a program",
}


def make_walker(head: bytes, notices: NoticeLog | None = None) -> Walker:
    """The walker for a file that begins with `head` (`HEAD` octets of it, or all there are); feed it from the start.

    Raises CaptureError where it is no capture.
    """
    if is_pcap(head):
        try:
            return PcapWalker(parse_pcap_header(head), notices)
        except WireError as error:
            raise CaptureError(f"is a pcap file cut inside its header: {error}") from error
    if is_pcapng(head):
        return PcapngWalker(notices)
    if not head:
        raise CaptureError("is empty")
    for magic, what in OTHER_FORMATS.items():
        if head.startswith(magic):
            raise CaptureError(f"is not a pcap or pcapng file but {what}")
    raise CaptureError(f"is not a pcap or pcapng file: it begins with {printable(head)}")


class CaptureReader:
    """An iterator over the packets of one capture, and what is known of the capture so far.

    Use it as a context manager, or let it run to its end, which closes the file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        head = b""
        while len(head) < HEAD and (piece := source.read(HEAD - len(head))):
            head += piece
        try:
            self._walker = make_walker(head, source.notices)
        except CaptureError as error:
            source.close()
            raise CaptureError(str(error), path=source.path) from error
        self._ready: deque[Packet] = deque(self._walker.feed(head))
        self._ended = False

    @property
    def path(self) -> str:
        """What was opened."""
        return self._source.path

    @property
    def format(self) -> str:
        """The file format: "pcap" or "pcapng"."""
        return self._walker.format

    @property
    def compression(self) -> str | None:
        """How the file is compressed: "gzip", "zstd" or None."""
        return self._source.compression

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces described so far; `Packet.interface` is an index into it."""
        return self._walker.interfaces

    @property
    def comments(self) -> list[str]:
        """Comments about the capture and its interfaces (those of packets are with the packets)."""
        return self._walker.comments

    @property
    def decryption_secrets(self) -> list[tuple[int, bytes]]:
        """(secrets type, data) of the Decryption Secrets Blocks so far."""
        return self._walker.decryption_secrets

    @property
    def dropped_packets(self) -> int | None:
        """What the capture's statistics say was dropped; None where they say nothing."""
        return self._walker.dropped_packets

    @property
    def notices(self) -> list[Notice]:
        """Damage and oddities met so far."""
        return self._source.notices.notices

    @property
    def notice_counts(self) -> dict[str, int]:
        """Slug → how often, also beyond the notices that were kept."""
        return self._source.notices.counts

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packet:
        while not self._ready:
            if self._ended:
                raise StopIteration
            buffer = self._source.read()
            self._ended = not buffer
            self._ready.extend(self._walker.feed(buffer, final=self._ended))
            if self._ended:
                self.close()
        return self._ready.popleft()

    def close(self) -> None:
        """Close the file; what was read already can still be taken."""
        self._ended = True
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_capture(path: str | os.PathLike[str], *, notices: int = 1_000) -> CaptureReader:
    """Open a pcap or pcapng file ("-" is standard input), plain, gzip or zstd, and iterate over its packets.

    At most `notices` notices are kept. Raises CaptureError where the path cannot be read or is no capture.
    """
    return CaptureReader(open_source(path, NoticeLog(notices)))
