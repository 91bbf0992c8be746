"""The shapes of the documents themselves. See the package for the rules."""

from __future__ import annotations

from typing import Literal, TypedDict

from ipsecanalyze.shapes.capture import CaptureEntry
from ipsecanalyze.shapes.common import Count, EspSpi, WarningEntry
from ipsecanalyze.shapes.finding import FindingEntry
from ipsecanalyze.shapes.flow import FlowEntry, OpeningEntry
from ipsecanalyze.shapes.ike import ChildSaEntry, IkeSaEntry
from ipsecanalyze.shapes.message import MessageEntry

__all__ = [
    "DecryptDocument",
    "DecryptFlowEntry",
    "FlowsDocument",
    "MessagesDocument",
    "SummaryDocument",
]


class SummaryDocument(TypedDict):
    """What `summarize --format json` prints."""

    schema: Literal["ipsecanalyze.summary/1"]
    """The version of this document."""
    captures: list[CaptureEntry]
    """The files that were read."""
    ike_sas: list[IkeSaEntry]
    """IKE SAs and attempts at one, in order of their first message."""
    child_sas: list[ChildSaEntry]
    """Pairs of ESP or AH SAs."""
    flows: list[FlowEntry]
    """ESP and AH flows, one way each, in order of their first packet."""
    findings: list[FindingEntry]
    """What is wrong or weak, worst first."""
    warnings: list[WarningEntry]
    """What the analysis itself has to say: limits that were reached and what they dropped."""


class FlowsDocument(TypedDict):
    """What `flows --format json` prints."""

    schema: Literal["ipsecanalyze.flows/1"]
    """The version of this document."""
    captures: list[CaptureEntry]
    """The files that were read."""
    flows: list[FlowEntry]
    """ESP and AH flows, one way each, in order of their first packet."""
    warnings: list[WarningEntry]
    """What the analysis itself has to say: limits that were reached and what they dropped."""


class MessagesDocument(TypedDict):
    """What `messages --format json` prints."""

    schema: Literal["ipsecanalyze.messages/1"]
    """The version of this document."""
    captures: list[CaptureEntry]
    """The files that were read."""
    ike_sas: list[IkeSaEntry]
    """IKE SAs and attempts at one, in order of their first message."""
    messages: list[MessageEntry]
    """IKE messages, in order of capture (bounded)."""
    warnings: list[WarningEntry]
    """What the analysis itself has to say: limits that were reached and what they dropped."""


class DecryptFlowEntry(TypedDict):
    """What was opened of an ESP or AH flow."""

    protocol: Literal["ESP", "AH"]
    """What protects the packets."""
    source: str
    """Who sends."""
    destination: str
    """Who receives."""
    spi: EspSpi
    """The receiver's SPI."""
    encapsulation: Literal["none", "udp", "tcp"]
    """What stands between IP and ESP."""
    opening: OpeningEntry
    """What became of its packets."""


class DecryptDocument(TypedDict):
    """What `decrypt --format json` prints."""

    schema: Literal["ipsecanalyze.decrypt/1"]
    """The version of this document."""
    captures: list[str]
    """The files that were read, as they were given."""
    output: str | None
    """The file that was written; null where none was."""
    packets: Count
    """Packets in it."""
    flows: list[DecryptFlowEntry]
    """ESP and AH flows, one way each, in order of their first packet."""
    warnings: list[WarningEntry]
    """Keys that could not be read, and limits that were reached."""
