"""The shape of an ESP or AH flow. See the package for the rules."""

from __future__ import annotations

from typing import Literal, TypedDict

from ipsecanalyze.shapes.common import Count, EspSpi, IcmpErrorEntry

__all__ = [
    "BreakEntry",
    "CandidateEntry",
    "DistributionEntry",
    "FlowEntry",
    "InferredEntry",
    "InnerEntry",
    "OpeningEntry",
]


class DistributionEntry(TypedDict):
    """Statistics of a quantity."""

    count: Count
    """Values."""
    min: int | None
    """The least; null without values."""
    max: int | None
    """The greatest."""
    mean: float | None
    """The arithmetic mean."""
    stddev: float | None
    """The standard deviation (of the population)."""
    log2_histogram: dict[str, Count]
    """Number of bits → how many values need so many ("11": 1024 to 2047)."""
    first: list[int]
    """The first values, in order."""


class BreakEntry(TypedDict):
    """A jump of the sequence number between two consecutive packets."""

    frame: Count
    """The frame of the packet behind it."""
    time_ns: int
    """When that packet came."""
    from_sequence: int
    """The number before, with 64 bits."""
    to_sequence: int
    """The number behind, with 64 bits."""


class InnerEntry(TypedDict):
    """A conversation inside a flow that was opened."""

    source: str
    """Address of the inner packets' sender."""
    destination: str
    """Address of their receiver."""
    protocol: str
    """"tcp", "udp", "icmp" and others, "protocol 200" for those without a name."""
    port: Count | None
    """The smaller of the two ports, as a rule the service's."""
    packets: Count
    """Inner packets."""
    octets: Count
    """Octets of the inner IP packets."""


class OpeningEntry(TypedDict):
    """What became of a flow's packets when they were opened with keys."""

    packets: Count
    """Packets that were looked at."""
    opened: Count
    """Opened, dummies among them."""
    icv_wrong: Count
    """The ICV was wrong with every key that was tried."""
    padding_wrong: Count
    """The padding is not 1, 2, 3, ... (RFC 4303 §2.4); opened all the same where the ICV was right."""
    dummy: Count
    """Dummy packets (next header 59, RFC 4303 §2.6)."""
    truncated: Count
    """Cut by the snap length: nothing to verify."""
    malformed: Count
    """Too short, no whole cipher blocks, or with contents that cannot be decompressed."""
    skipped: Count
    """Not tried any more after many in vain."""
    inner_octets: Count
    """Octets of the inner packets, without TFC padding."""
    tfc_octets: Count
    """Octets of TFC padding (RFC 4303 §2.7)."""
    next_headers: dict[str, Count]
    """IP protocol number of what was inside → packets: 4 and 41 in tunnel mode."""
    algorithms: str
    """Of the key that opened it; empty where none did."""
    key_origin: str
    """Where that key came from: file and line, or what it was derived from."""
    verified: bool
    """False: the key came without a way to verify it; that the contents make sense is all there is."""
    esn: bool | None
    """Extended sequence numbers."""
    reason: str
    """Why packets were not opened: a slug (docs/command.md lists them); empty where all were."""
    explanation: str
    """The same in words."""
    remedy: str
    """What would help."""
    notes: list[str]
    """Where the key fitted otherwise than its file says."""
    conversations: list[InnerEntry]
    """What talks inside, most packets first (bounded)."""
    conversations_dropped: Count
    """Packets of further conversations."""


class CandidateEntry(TypedDict):
    """A suite that may be the one, and those that packets cannot tell from it."""

    suite: str
    """The most used one, key length left out: "AES_CBC/HMAC_SHA2_256_128", "AES_GCM_16"."""
    probability: float
    """That it is this one or one of `alike`; all candidates' sum is 1, but for those below 0.001."""
    alike: list[str]
    """Suites whose packets have the same format on the wire."""


class InferredEntry(TypedDict):
    """What the looks of a flow say of its algorithms (docs/inference.md)."""

    suite: str
    """The likeliest candidate's."""
    probability: float
    """The likeliest candidate's."""
    candidates: list[CandidateEntry]
    """The likeliest first."""
    block_octets: int | None
    """What the protected part is a multiple of: 16, 8, or 4 for all that is no block cipher; null: not clear."""
    icv_octets: int | None
    """Octets of the ICV; null where none is likelier than not."""
    iv: Literal["sequential", "random", "none"] | None
    """How the octets behind the ESP header go from packet to packet: counting, without a pattern, or no IV."""
    mode: Literal["tunnel", "transport"]
    """The likelier mode."""
    mode_probability: float
    """How likely that mode is."""
    packets: Count
    """Packets whose octets were looked at; 0: by lengths only."""
    unencrypted: bool
    """The contents were read in the clear, beyond doubt."""
    reasons: list[str]
    """What it rests on, in sentences."""


class FlowEntry(TypedDict):
    """ESP or AH packets of one SPI from one address to another."""

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
    certainty: Literal["observed", "inferred"]
    """Inferred where only the looks of all its packets say that they are ESP (ports floated by a NAT)."""
    capture: Count
    """Index into `captures` of the file that its first packet is in."""
    packets: Count
    """Packets."""
    octets: Count
    """From the ESP or AH header to the end of the IP payload, on the wire."""
    first_time_ns: int
    """The first packet."""
    last_time_ns: int
    """The last packet."""
    first_frame: Count
    """The frame of the first packet."""
    last_frame: Count
    """The frame of the last packet."""
    first_sequence: Count
    """Sequence number of the first packet."""
    last_sequence: Count
    """Sequence number of the last packet, as it stands on the wire."""
    highest_sequence: Count
    """The highest number, with 64 bits (RFC 4303 Appendix A)."""
    unique: Count
    """Different sequence numbers."""
    lost: Count
    """Numbers absent between the lowest and the highest seen."""
    loss_bursts: Count
    """Runs of absent numbers."""
    longest_loss_burst: Count
    """The longest of them, in packets."""
    duplicates: Count
    """Packets whose number was seen before."""
    reordered: Count
    """Packets with a new number below the running maximum (RFC 4737)."""
    largest_lateness: Count
    """How far behind the running maximum the latest of them was, in numbers."""
    replay_window_drops: dict[str, Count]
    """Size of a replay window → packets that it would have dropped (RFC 4303 §3.4.3)."""
    restarts: Count
    """How often the numbers began anew."""
    wraps: Count
    """How often the 32 bits on the wire overflowed."""
    settled_gaps: Count
    """Runs of absent numbers that were given up as lost early, because of the limit of gaps."""
    breaks: list[BreakEntry]
    """Large jumps of the number (bounded)."""
    break_count: Count
    """How many there were."""
    ports: list[list[int]]
    """Source and destination port of each encapsulation seen, in order (bounded)."""
    sizes: DistributionEntry
    """Octets per packet."""
    gaps_ns: DistributionEntry
    """Time between consecutive packets."""
    time_reversals: Count
    """Packets with an earlier time than the packet before; they are not in `gaps_ns`."""
    length_residues: dict[str, Count]
    """Octets modulo 16 → packets."""
    ttls: dict[str, Count]
    """TTL or hop limit → packets."""
    traffic_classes: dict[str, Count]
    """Octet of DSCP and ECN → packets."""
    dont_fragment: Count
    """Packets with DF set."""
    ip_fragments: Count
    """Packets that came in IP fragments."""
    vlans: list[list[int]]
    """VLAN identifiers seen, outermost first."""
    truncated_packets: Count
    """Packets that the snap length cut."""
    inferred_packets: Count
    """Packets of which only the looks say that they are ESP."""
    icmp_errors: list[IcmpErrorEntry]
    """ICMP errors about its packets (bounded)."""
    icmp_error_count: Count
    """How many there were."""
    pair_spi: EspSpi | None
    """The SPI of the other direction."""
    ike_sa: str | None
    """The IKE SA it belongs to."""
    child_sa: str | None
    """The Child SA it belongs to."""
    decrypted_packets: Count
    """Packets that were opened with keys."""
    icv_failures: Count
    """Packets whose integrity check failed."""
    opening: OpeningEntry | None
    """What keys opened, and why not the rest; null where no keys were given."""
    inferred: InferredEntry | None
    """What the looks of its packets say of its algorithms; null where that was not asked for (`flows --infer`)."""
