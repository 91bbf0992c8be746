"""What happened in an IKE SA, as rows of a timeline: documents in, rows out, no layout.

Quiet repetitions (dead peer detection, rekeys) become one row; what went wrong is said in the row where it happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipsecanalyze.report.exchanges import exchange_text
from ipsecanalyze.report.text import duration, plural

if TYPE_CHECKING:
    from ipsecanalyze.shapes import ExchangeEntry, IkeSaEntry, NotifyEntry

__all__ = ["Row", "timeline"]

#: Notifies of status type that change the course of things and so belong into a timeline.
_TELLING = frozenset({"COOKIE", "REDIRECT", "REDIRECTED_FROM", "USE_TRANSPORT_MODE", "INITIAL_CONTACT", "REKEY_SA"})

#: RFC 2408 §4.8: sent one way, nobody answers it.
_IKEV1_INFORMATIONAL = 5
#: From so many quiet repetitions on, one row stands for all.
_MANY = 3


@dataclass(slots=True)
class Row:
    """A line of the timeline; text in it is not yet escaped."""

    time_ns: int
    from_initiator: bool
    name: str
    frames: list[int]
    round_trip_ns: int | None = None
    remarks: list[str] = field(default_factory=list)
    """What is worth knowing."""
    problems: list[str] = field(default_factory=list)
    """What went wrong."""


def timeline(sa: IkeSaEntry) -> list[Row]:
    """The exchanges of an IKE SA in order, with the notifies and moves that belong to them."""
    told: dict[int, list[NotifyEntry]] = {}
    for notify in sa["notify_log"]:
        told.setdefault(notify["frame"], []).append(notify)
    rows: list[Row] = []
    run: list[ExchangeEntry] = []
    for exchange in sa["exchange_log"]:
        if run and not _continues(run, exchange, told):
            rows += _rows(run, told)
            run = []
        run.append(exchange)
    return rows + _rows(run, told)


def _rows(run: list[ExchangeEntry], told: dict[int, list[NotifyEntry]]) -> list[Row]:
    """One row for many alike, else one each."""
    if len(run) >= _MANY:
        return [_run_row(run)]
    return [_row(exchange, told) for exchange in run]


def _frames(exchange: ExchangeEntry) -> list[int]:
    return sorted({*exchange["requests"], *exchange["responses"]})


def _quiet(exchange: ExchangeEntry, told: dict[int, list[NotifyEntry]]) -> bool:
    return bool(
        exchange["responses"]
        and not exchange["retransmissions"]
        and exchange["name"] in ("INFORMATIONAL", "CREATE_CHILD_SA")
        and not any(frame in told for frame in _frames(exchange))
    )


def _continues(run: list[ExchangeEntry], exchange: ExchangeEntry, told: dict[int, list[NotifyEntry]]) -> bool:
    last = run[-1]
    return (
        exchange["name"] == last["name"]
        and exchange["initiated_by"] == last["initiated_by"]
        and _quiet(last, told)
        and _quiet(exchange, told)
    )


def _row(exchange: ExchangeEntry, told: dict[int, list[NotifyEntry]]) -> Row:
    row = Row(
        time_ns=exchange["first_time_ns"],
        from_initiator=exchange["initiated_by"] == "initiator",
        name=exchange_text(exchange["name"], exchange["message_id"]),
        frames=_frames(exchange),
        round_trip_ns=exchange["round_trip_ns"],
    )
    _tell_course(exchange, row)
    _tell_notifies((notify for frame in row.frames for notify in told.get(frame, ())), row)
    return row


def _run_row(run: list[ExchangeEntry]) -> Row:
    first, last = run[0], run[-1]
    span = last["first_time_ns"] - first["first_time_ns"]
    text = f"{len(run)} times, {duration(span // (len(run) - 1))} apart"
    trips = [exchange["round_trip_ns"] for exchange in run if exchange["round_trip_ns"] is not None]
    if trips:
        text += f", round trip {duration(min(trips))} to {duration(max(trips))}"
    return Row(
        time_ns=first["first_time_ns"],
        from_initiator=first["initiated_by"] == "initiator",
        name=exchange_text(first["name"], first["message_id"], last["message_id"]),
        frames=sorted({frame for exchange in run for frame in _frames(exchange)}),
        remarks=[text],
    )


def _tell_course(exchange: ExchangeEntry, row: Row) -> None:
    expected, seen = exchange["fragments_expected"], exchange["fragments_seen"]
    if expected:
        text = f"{seen} of {plural(expected, 'fragment')}"
        (row.remarks if seen >= expected else row.problems).append(text)
    again = exchange["retransmissions"]
    if again:
        row.problems.append(plural(again, "retransmission"))
    if not exchange["responses"] and exchange["exchange_type"] != _IKEV1_INFORMATIONAL:
        row.problems.append("no answer")


def _tell_notifies(notifies: Iterable[NotifyEntry], row: Row) -> None:
    for notify in notifies:
        if not notify["is_error"] and notify["name"] not in _TELLING:
            continue
        text = notify["name"] + (f" ({notify['data']})" if notify["data"] and notify["name"] != "COOKIE" else "")
        place = row.problems if notify["is_error"] else row.remarks
        if text not in place:
            place.append(text)
