"""The IKE messages that are kept for ladders, and the notices: both bounded, what is left out is counted."""

from __future__ import annotations

from collections import Counter

from ipsecanalyze.errors import Notice
from ipsecanalyze.sa.records import MessageRecord

__all__ = ["MessageStore", "NoticeStore"]

#: The list is rebuilt once so many records in it are dead, and half of it.
_WORTH_IT = 4_096


class MessageStore:
    """Message records in order; those of dropped IKE SAs are taken out again, in batches."""

    def __init__(self, limit: int, octets: int) -> None:
        self._limit = limit
        self._octets_limit = octets
        self._records: list[MessageRecord] = []
        self._dead: set[int] = set()
        self._octets = 0
        self.left_out = 0
        """Messages beyond the limits."""
        self.dropped = 0
        """Messages that went with their IKE SAs."""

    def add(self, record: MessageRecord) -> bool:
        """Keep a record if there is room; whether it was kept."""
        octets = self._octets + len(record.datagram.payload)
        if len(self._records) - len(self._dead) >= self._limit or octets > self._octets_limit:
            self.left_out += 1
            return False
        self._octets = octets
        self._records.append(record)
        return True

    def remove(self, records: list[MessageRecord]) -> None:
        """Forget records of a dropped IKE SA."""
        for record in records:
            self._octets -= len(record.datagram.payload)
            self._dead.add(id(record))
        self.dropped += len(records)
        if len(self._dead) > _WORTH_IT and 2 * len(self._dead) > len(self._records):
            self._sweep()

    def records(self) -> list[MessageRecord]:
        """The records that are kept, in order of capture."""
        if self._dead:
            self._sweep()
        return self._records

    def _sweep(self) -> None:
        dead = self._dead
        self._records = [record for record in self._records if id(record) not in dead]
        dead.clear()


class NoticeStore:
    """Notices, of which the first are kept and all are counted by slug."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.notices: list[Notice] = []
        self.counts: Counter[str] = Counter()

    def add(self, notice: Notice) -> None:
        """Keep a notice if there is room."""
        self.counts[notice.slug] += 1
        if len(self.notices) < self._limit:
            self.notices.append(notice)

    def close(self) -> None:
        """Tell what was left out."""
        left_out = self.counts.total() - len(self.notices)
        if left_out > 0:
            slugs = ", ".join(f"{slug} {count}" for slug, count in self.counts.most_common(8))
            text = f"{left_out} more notices about IKE messages were left out; all of them by kind: {slugs}"
            self.notices.append(Notice("more-notices", text))
