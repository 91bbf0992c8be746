"""Where the readers and the decoder put what they have to tell: a bounded list with exact counts.

A hostile capture can earn a notice per packet; the list stops growing at its limit, the counts go on.
"""

from __future__ import annotations

from ipsecanalyze.errors import Notice

__all__ = ["NoticeLog", "printable"]


class NoticeLog:
    """Keeps the first `limit` notices and counts all of them by slug."""

    __slots__ = ("counts", "limit", "notices")

    def __init__(self, limit: int = 1_000) -> None:
        self.limit = limit
        self.notices: list[Notice] = []
        self.counts: dict[str, int] = {}

    def add(self, slug: str, message: str, *, frame: int | None = None, offset: int | None = None) -> None:
        """Tell one thing; beyond the limit it is only counted."""
        self.counts[slug] = self.counts.get(slug, 0) + 1
        if len(self.notices) < self.limit:
            self.notices.append(Notice(slug, message, frame, offset))

    def add_once(self, slug: str, message: str, *, frame: int | None = None, offset: int | None = None) -> None:
        """Tell what holds for the whole capture: later occurrences are counted only."""
        if slug in self.counts:
            self.counts[slug] += 1
        else:
            self.add(slug, message, frame=frame, offset=offset)


def printable(octets: bytes, limit: int = 16) -> str:
    """The first octets of something unknown for a message: as text where it is printable ASCII, else as hex."""
    head = octets[:limit]
    if head and all(0x20 <= octet < 0x7F for octet in head):
        return '"' + head.decode("ascii") + '"'
    return head.hex(" ")
