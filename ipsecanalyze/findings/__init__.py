"""What captures say about tunnels in plain words: why they fail (`diagnosis/`), and what is weak (`audit/`).

A rule is a function over a `Case` that yields `Finding`s; one topic a file; the tables of rules are in the two
packages' `__init__`; `pages/` has a page of general knowledge per slug. Nothing here prints; `again.py`
and `compare/points.py` read captures.
"""

from ipsecanalyze.findings.model import Certainty, Defect, Finding, Severity

__all__ = ["Certainty", "Defect", "Finding", "Severity"]
