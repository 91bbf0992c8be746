"""Documents as pandas DataFrames, a table each; pandas is imported when the first is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ipsecanalyze.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["TABLES", "data_frame"]

#: The lists of documents that can be a table.
TABLES = ("captures", "ike_sas", "child_sas", "flows", "messages", "findings")


def data_frame(document: Mapping[str, Any], table: str = "flows") -> DataFrame:
    """One list of a document as a DataFrame, a row per entry.

    Entries inside entries become columns with a prefix ("initiator_address"); lists stay lists. Columns whose names
    end in `_time_ns` or are `time_ns` become UTC timestamps without the `_ns` (NaT where pandas cannot hold the time).
    Raises UsageError for a table that the document does not have, or where pandas is not installed.
    """
    if table not in document or table not in TABLES:
        known = ", ".join(name for name in TABLES if name in document)
        raise UsageError(f"there is no table {table!r} here; there are {known}")
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("pandas is not installed: pip install 'ipsecanalyze[notebook]'") from None
    rows = [dict(_flat(entry)) for entry in document[table]]
    frame = pd.DataFrame(rows)
    for column in list(frame.columns):
        if column == "time_ns" or column.endswith("_time_ns"):
            # From the rows: in the frame, integers beside a missing one have become floats, too coarse for nanoseconds.
            times = pd.array([_instant(row.get(column)) for row in rows], dtype="Int64")
            frame[column] = pd.to_datetime(times, unit="ns", utc=True)
            frame = frame.rename(columns={column: column.removesuffix("_ns")})
    return frame


def _instant(time_ns: int | None) -> int | None:
    """The time; None where a timestamp of pandas cannot hold it, as damaged captures have them."""
    return time_ns if time_ns is not None and abs(time_ns) < 1 << 63 else None


def _flat(entry: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in entry.items():
        # Counts by name (exchanges, histograms) differ from entry to entry: as columns they would be mostly holes.
        if isinstance(value, dict) and not _counts(name):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value


def _counts(name: str) -> bool:
    return name in ("exchanges", "warning_counts", "log2_histogram", "length_residues", "ttls", "traffic_classes")
