"""What a flow's looks say of its algorithms: data only. `findings/inference/` makes it; it hangs on the flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Candidate", "IvLooks", "SuiteGuess"]

#: How the octets behind the ESP header go from packet to packet; None: too few packets, or none was looked at.
IvLooks = Literal["sequential", "random", "none"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Suites of one format on the wire: their packets differ in nothing that is seen without keys."""

    encryption: str
    """The most used one, in the names of `FlowOpening.algorithms` without key length: "AES_CBC", "NULL"."""
    integrity: str
    """"HMAC_SHA2_256_128"; empty for AEAD, "NONE" without integrity."""
    probability: float
    """That the suite is this one or one of `alike`, as far as this model goes; all candidates' sum is 1."""
    alike: tuple[str, ...] = ()
    """The others of that format: "CHACHA20_POLY1305", "AES_CTR/HMAC_SHA2_256_128"."""

    @property
    def name(self) -> str:
        """Both algorithms: "AES_CBC/HMAC_SHA2_256_128", "AES_GCM_16"."""
        return f"{self.encryption}/{self.integrity}" if self.integrity else self.encryption


@dataclass(frozen=True, slots=True)
class SuiteGuess:
    """The best explanation of how a flow's packets look."""

    candidates: tuple[Candidate, ...]
    """The likeliest first; none that has less than one in a thousand, but for the sum's sake."""
    block_octets: int | None
    """What the protected part is a multiple of: 16 or 8 (block ciphers), 4 (all others, RFC 4303 §2.4)."""
    icv_octets: int | None
    """None where no length is likelier than not."""
    iv: IvLooks | None
    """"sequential": 8 octets that count; "random": nothing that repeats; "none": the contents begin there."""
    mode: Literal["tunnel", "transport"]
    mode_probability: float
    packets: int
    """Packets whose octets were looked at; 0: lengths are all there was."""
    readable_frames: tuple[int, ...] = ()
    """Frames whose contents are in the clear (bounded); not empty only where that is beyond doubt."""
    reasons: tuple[str, ...] = ()
    """What it rests on, in sentences."""
