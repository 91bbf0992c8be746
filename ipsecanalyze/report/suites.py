"""Algorithms in one line, spelt as IPsec people read them in logs: `AES_CBC_256/HMAC_SHA2_256_128/…/MODP_2048`.

Works on the algorithm entries of documents and gives plain text that still has to be escaped for its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipsecanalyze.shapes import AlgorithmEntry

__all__ = ["algorithm_name", "proposal_text", "suite_text"]

#: Prefixes of IANA's names that say no more than the place in the suite does.
_PREFIXES = ("ENCR_", "AUTH_")


def algorithm_name(algorithm: AlgorithmEntry) -> str:
    """`AES_CBC_256` for ENCR_AES_CBC with a key of 256 bits."""
    name = algorithm["name"]
    for prefix in _PREFIXES:
        # Unknown numbers are named by their registry: "ENCR_999" must keep its prefix.
        if name.startswith(prefix) and not name.removeprefix(prefix).isdigit():
            name = name.removeprefix(prefix)
    return name if algorithm["key_length"] is None else f"{name}_{algorithm['key_length']}"


def suite_text(algorithms: Sequence[AlgorithmEntry]) -> str:
    """A chosen suite: one algorithm per type."""
    return "/".join(algorithm_name(algorithm) for algorithm in algorithms)


def proposal_text(algorithms: Sequence[AlgorithmEntry]) -> str:
    """An offered proposal: alternatives of a type joined by commas, types by slashes.

    Where algorithms repeat with other key lengths, the name stands once: `AES_CBC_128|192|256`.
    """
    types: dict[str, list[AlgorithmEntry]] = {}
    for algorithm in algorithms:
        types.setdefault(algorithm["type"], []).append(algorithm)
    return " / ".join(", ".join(_merge_key_lengths(group)) for group in types.values())


def _merge_key_lengths(algorithms: Sequence[AlgorithmEntry]) -> list[str]:
    merged: dict[str, str] = {}
    for algorithm in algorithms:
        name, key_length = algorithm["name"], algorithm["key_length"]
        if name in merged and key_length is not None:
            merged[name] += f"|{key_length}"
        else:
            merged[name] = algorithm_name(algorithm)
    return list(merged.values())
