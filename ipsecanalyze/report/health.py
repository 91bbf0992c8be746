"""What is to be said of a flow's packets, in words: one spelling for text, HTML and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipsecanalyze.report.opened import opened_words
from ipsecanalyze.report.text import integer, plural

if TYPE_CHECKING:
    from ipsecanalyze.shapes import FlowEntry

__all__ = ["protocol_name", "verdict"]

#: From this share of packets on, in percent, loss is shown as bad.
_BAD_LOSS = 1.0
#: A guessed mode is shown that is at least as likely.
_LIKELY = 0.7


def protocol_name(flow: FlowEntry) -> str:
    """`ESP`, `AH`, `ESP/UDP`, `ESP/TCP`."""
    return flow["protocol"] + {"udp": "/UDP", "tcp": "/TCP"}.get(flow["encapsulation"], "")


def verdict(flow: FlowEntry) -> list[tuple[str, str]]:
    """(words, style) of each thing that went wrong, or that nothing did; and whether the protocol is inferred.

    The styles are "good", "notice", "bad" and "quiet".
    """
    told = _problems(flow) or [("complete", "good")]
    opening = flow["opening"]
    if opening is not None:
        told += opened_words(opening)
    guess = flow["inferred"]
    if guess is not None and (opening is None or not opening["opened"]):
        # Never beyond what it is: an explanation of looks.
        how = "not encrypted: " if guess["unencrypted"] else ""
        more = " or alike" if guess["candidates"][0]["alike"] else ""
        told.append(
            (
                f"{how}looks like {guess['suite']}{more} ({guess['probability']:.2f})",
                "bad" if guess["unencrypted"] else "quiet",
            )
        )
        if guess["mode_probability"] >= _LIKELY:
            told.append((f"{guess['mode']} mode", "quiet"))
    if flow["certainty"] == "inferred":
        told.append(("inferred", "quiet"))
    elif flow["inferred_packets"]:
        told.append((f"{plural(flow['inferred_packets'], 'packet')} inferred", "quiet"))
    return told


def _problems(flow: FlowEntry) -> list[tuple[str, str]]:
    told = []
    if flow["lost"]:
        share = 100 * flow["lost"] / (flow["unique"] + flow["lost"])
        percent = f"{share:.2g}%" if share < 99.5 else f"{share:.4g}%"
        words = f"{integer(flow['lost'])} lost ({percent if share >= 0.01 else '<0.01%'})"
        told.append((words, "bad" if share >= _BAD_LOSS else "notice"))
    if flow["duplicates"]:
        told.append((plural(flow["duplicates"], "duplicate"), "notice"))
    if flow["reordered"]:
        told.append((f"{integer(flow['reordered'])} reordered", "notice"))
    if flow["restarts"]:
        told.append((plural(flow["restarts"], "restart"), "bad"))
    if flow["icv_failures"]:
        told.append((f"{integer(flow['icv_failures'])} ICV wrong", "bad"))
    if flow["icmp_error_count"]:
        told.append((plural(flow["icmp_error_count"], "ICMP error"), "notice"))
    return told
