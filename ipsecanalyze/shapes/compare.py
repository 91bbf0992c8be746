"""The shapes of a comparison of two capture points. See the package for the rules."""

from __future__ import annotations

from typing import Literal, TypedDict

from ipsecanalyze.shapes.capture import CaptureEntry
from ipsecanalyze.shapes.common import Count, EspSpi, IkeSpi, WarningEntry
from ipsecanalyze.shapes.finding import FindingEntry

__all__ = [
    "ClockEntry",
    "ComparisonDocument",
    "FlowBetweenEntry",
    "IkeBetweenEntry",
    "LostRunEntry",
    "SightEntry",
    "VariationEntry",
]


class ClockEntry(TypedDict):
    """How the clocks of the two captures stand to each other."""

    offset_ns: int | None
    """How far the second capture's clock is ahead, if both ways take equally long at their best; null where packets
    were matched in one direction only."""
    round_trip_ns: int | None
    """The shortest way there and back between the points, whatever the clocks' offset."""
    drift_ppm: float | None
    """How much faster the second capture's clock runs, in millionths; null where no drift shows."""


class SightEntry(TypedDict):
    """An SA as one capture has it."""

    source: str
    """The sender's address there."""
    destination: str
    """The receiver's address there."""
    packets: Count
    """Packets, copies included."""
    ports: list[list[int]]
    """Source and destination ports, in order of appearance."""
    encapsulations: list[Literal["none", "udp", "tcp"]]
    """What carries it."""
    ttl: Count
    """The TTL or hop limit that most packets have."""


class LostRunEntry(TypedDict):
    """Packets in a row that did not come from one point to the other."""

    first: int
    """The first sequence number, with 64 bits."""
    last: int
    """The last one."""
    first_time_ns: int
    """When the first of them passed the point that has them."""
    last_time_ns: int
    """When the last of them did."""
    first_frame: Count
    """Its frame in the capture that has them."""
    last_frame: Count
    """The frame of the last one."""


class VariationEntry(TypedDict):
    """How the times from point to point vary."""

    shortest_ns: int
    """The shortest, by the captures' own clocks: the offset between them is in it."""
    median_ns: int
    """How much longer than that half of the packets took at most."""
    percentile_95_ns: int
    """How much longer 95 % took at most."""
    longest_ns: int
    """How much longer the slowest took."""
    jitter_ns: int
    """The interarrival jitter of RFC 3550 §6.4.1 at the end."""


class FlowBetweenEntry(TypedDict):
    """An SA, one way, at both points."""

    protocol: Literal["ESP", "AH"]
    """Which of the two."""
    spi: EspSpi
    """Its SPI."""
    first: Count
    """The index in `captures` of the point that the packets pass first."""
    order_by: Literal["ttl", "clock"]
    """Whether that is known by the TTL, or concluded from losses and clocks."""
    sights: list[SightEntry | None]
    """As each capture has it; null where it has none of it."""
    common: Count
    """Different packets that both captures have."""
    lost: Count
    """Packets that the first point has, and the other lacks though it was capturing."""
    lost_run_count: Count
    """Runs of these."""
    longest_run: Count
    """Packets in the longest run."""
    lost_runs: list[LostRunEntry]
    """The runs (the first 256)."""
    lost_octets: list[int] | None
    """Sizes of the smallest and the largest of the lost packets, from the ESP or AH header on; null without."""
    common_octets: list[int] | None
    """The same of packets that both captures have; of those with DF only, where all lost packets have it."""
    unseen: Count
    """Packets that only the point passed second has."""
    uncovered: Count
    """Packets that one has while the other was not capturing."""
    reordered: Count
    """Packets that were overtaken between the points."""
    largest_lateness: Count
    """How many packets a packet fell behind at most."""
    replay_window_drops: dict[str, int]
    """Size of a replay window → packets that came to the left of it because of what happens between the points."""
    delay: VariationEntry | None
    """How long packets took; null without common ones."""


class IkeBetweenEntry(TypedDict):
    """An IKE message at both points."""

    initiator_spi: IkeSpi
    """Of its IKE SA."""
    responder_spi: IkeSpi
    """Of its IKE SA."""
    exchange: str
    """The exchange it is of."""
    message_id: Count
    """Its number."""
    source: str
    """The sender's address at the point passed first."""
    destination: str
    """The receiver's address there."""
    first: Count
    """The index in `captures` of the point that it passes first."""
    frames: list[list[int]]
    """Frames of its transmissions in each of the two captures."""
    lost: Count
    """Transmissions that the other point lacks."""


class ComparisonDocument(TypedDict):
    """What `compare --format json` prints."""

    schema: Literal["ipsecanalyze.comparison/1"]
    """The version of this document."""
    captures: list[CaptureEntry]
    """The two files."""
    clock: list[ClockEntry]
    """How their clocks stand to each other (one entry)."""
    flows: list[FlowBetweenEntry]
    """The SAs that both points see, or ought to."""
    ike: list[IkeBetweenEntry]
    """IKE messages between addresses that both points see."""
    findings: list[FindingEntry]
    """What is lost, delayed, reordered and rewritten between the points, worst first."""
    warnings: list[WarningEntry]
    """What the comparison itself has to say."""
