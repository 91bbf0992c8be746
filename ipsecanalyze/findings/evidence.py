"""Where the evidence of an IKE SA is: frames with the capture that they are of, messages in their order.

A finding names frames of one capture. What goes on over several (rotated files) is shown by the capture that has most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ipsecanalyze.findings.case import Case, frames_of
from ipsecanalyze.sa.records import IkeSa, MessageRecord, NotifySeen, State

__all__ = ["Dialogue", "Place", "fallen_back", "is_short_of_a_child", "notifies_of", "place", "place_of"]

#: How far behind the first fragment of a message its last one is looked for.
_FRAGMENTS = 64


class Place(NamedTuple):
    """Frames, and the capture that they are of."""

    frames: tuple[int, ...]
    capture: int


def place_of(records: Iterable[MessageRecord]) -> Place:
    """The frames of messages."""
    spots = [(record.datagram.capture, record.datagram.frame) for record in records]
    if not spots:
        return Place((), 0)
    capture = Counter(capture for capture, _ in spots).most_common(1)[0][0]
    return Place(frames_of(frame for one, frame in spots if one == capture), capture)


def place(case: Case, sa: IkeSa, frames: Iterable[int]) -> Place:
    """The capture of frames that belong to an IKE SA."""
    if len(case.captures) < 2:
        return Place(frames_of(frames), 0)
    wanted = set(frames)
    found = place_of(record for record in case.messages_of(sa) if record.datagram.frame in wanted)
    return found if found.frames else Place(frames_of(wanted), case.capture_of(sa))


def notifies_of(sa: IkeSa, *kinds: int) -> list[NotifySeen]:
    """The notifies of some types, in order."""
    return [notify for notify in sa.notifies if notify.type in kinds]


class Dialogue:
    """The messages of an IKE SA by their frames."""

    def __init__(self, case: Case, sa: IkeSa) -> None:
        self.records = case.messages_of(sa)
        self._at: dict[int, int] = {}
        for index, record in enumerate(self.records):
            self._at.setdefault(record.datagram.frame, index)

    def at(self, frame: int | None) -> MessageRecord | None:
        """The message of a frame."""
        index = None if frame is None else self._at.get(frame)
        return None if index is None else self.records[index]

    def request_of(self, response: MessageRecord) -> MessageRecord | None:
        """The request that an IKEv2 message answers; of one in fragments, the one that completed it."""
        start = None if response.response_to is None else self._at.get(response.response_to)
        if start is None:
            return None
        for record in self.records[start : start + _FRAGMENTS]:
            if record.opened is not None and record.from_initiator is not response.from_initiator:
                return record
            if record is response:
                break
        return self.records[start]

    def before(self, record: MessageRecord, most: int = 64) -> Iterator[MessageRecord]:
        """The messages before one, the latest first."""
        index = self._at.get(record.datagram.frame, 0)
        yield from reversed(self.records[max(0, index - most) : index])

    def after(self, record: MessageRecord) -> Iterator[MessageRecord]:
        """The messages after one."""
        for index in range(self._at.get(record.datagram.frame, 0) + 1, len(self.records)):
            yield self.records[index]


def is_short_of_a_child(sa: IkeSa) -> bool:
    """Whether an IKE SA that stayed closed came to be, but most likely without a Child SA."""
    return sa.state is State.ESTABLISHED and sa.reason.startswith("the answer to IKE_AUTH is too short")


def fallen_back(case: Case, sa: IkeSa) -> str:
    """A sentence on a later attempt of the same peers that came through; "" without one."""
    later = case.next_established(sa)
    if later is None:
        return ""
    return f" A later attempt of the same peers, {later.id}, was established."
