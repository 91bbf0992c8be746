"""What keys opened of a flow, and why they did not open the rest: data only, without any secret.

`opening/` fills it; it hangs on the flow (`Flow.opening`), and the documents show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["FlowOpening", "InnerConversation"]


@dataclass(slots=True)
class InnerConversation:
    """Packets inside one flow between two addresses, by protocol and port."""

    source: str
    destination: str
    protocol: str
    """"tcp", "udp", "icmp", or the number in words ("protocol 47")."""
    port: int | None
    """The smaller of the two ports, which is the service's as a rule; None without ports."""
    packets: int = 0
    octets: int = 0
    """Of the inner IP packets."""


@dataclass(slots=True)
class FlowOpening:
    """What became of a flow's packets."""

    packets: int = 0
    """Packets that were looked at."""
    opened: int = 0
    """Dummies among them."""
    icv_wrong: int = 0
    """The ICV was wrong with every key that was tried."""
    padding_wrong: int = 0
    """The padding is not 1, 2, 3, ... (RFC 4303 §2.4). They count as opened where the ICV was right."""
    dummy: int = 0
    """Dummy packets (next header 59, RFC 4303 §2.6)."""
    truncated: int = 0
    """Cut by the snap length: nothing to verify."""
    malformed: int = 0
    """Too short, no whole blocks, or nothing that can be decompressed inside."""
    skipped: int = 0
    """Not tried any more after many in vain."""
    inner_octets: int = 0
    """Of the inner packets, without TFC padding."""
    tfc_octets: int = 0
    """TFC padding (RFC 4303 §2.7)."""
    next_headers: dict[int, int] = field(default_factory=dict)
    """IP protocol number of what was inside → packets."""
    algorithms: str = ""
    """Of the key that opened it: "AES_GCM_16_256", "AES_CBC_128/HMAC_SHA2_256_128"."""
    key_origin: str = ""
    """Where that key came from: file and line, or what it was derived from."""
    is_verified: bool = True
    """False: the key came without a way to verify it; that the contents make sense is all there is."""
    esn: bool | None = None
    """Extended sequence numbers; None: not known."""
    reason: str = ""
    """Why packets were not opened, as a slug: "no-key", "wrong-key", "esn", "icv", "padding", "truncated", "malformed",
    "unsupported", "key-length", "salt-length", "icv-length", "missing-key"; empty where all were."""
    explanation: str = ""
    """The same in words."""
    remedy: str = ""
    """What would help."""
    notes: list[str] = field(default_factory=list)
    """Where the key fitted otherwise than its file says: in words."""
    conversations: list[InnerConversation] = field(default_factory=list)
    """What talks inside, most packets first (bounded)."""
    conversations_dropped: int = 0
    """Packets of further ones."""
