"""What became of packets between two capture points: the same SAs, seen by two captures, and what differs.

`points.py` reads each capture once and keeps, per SA, the number, time and frame of each packet; `match.py` puts the
two together and computes; `verdicts.py` makes findings of it. Nothing here prints.
"""

from __future__ import annotations

#: Slugs of what a comparison may find; each has a page in `pages/`.
SLUGS = ("lost-between", "delayed-between", "reordered-between", "rewritten-between")

__all__ = ["SLUGS"]
