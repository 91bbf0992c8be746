"""What a guess rests on, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.guess import IvLooks
from ipsecanalyze.findings.inference.clear import Reading
from ipsecanalyze.findings.inference.formats import Format
from ipsecanalyze.findings.inference.samples import Sample

__all__ = ["reasons"]

_ALIGNMENTS: Final = (16, 8, 4)


def reasons(
    flow: Flow,
    samples: Sequence[Sample],
    lengths: Collection[int],
    iv: IvLooks | None,
    best: Format,
    readings: Sequence[Reading],
    own: tuple[str, str] | None,
) -> Iterator[str]:
    """The sentences, the weightiest first."""
    if readings:
        yield from _readable(samples, readings[0])
    else:
        if not samples:
            yield "The octets of its packets were not looked at: lengths are all that this rests on."
        yield from _iv(iv, len(samples))
        yield from _lengths(flow, lengths, best)
        if own in best.suites:
            yield f"Its IKE SA uses {'/'.join(filter(None, own or ()))} itself, which makes the same likelier for ESP."
    if len(best.suites) > 1:
        named = "its IKE SA's own one" if own in best.suites else "the one that is used most"
        yield f"{len(best.suites)} suites have packets of this format; {named} is named first."


def _readable(samples: Sequence[Sample], reading: Reading) -> Iterator[str]:
    what = "IP packets" if reading.is_tunnel else "transport headers"
    where = "behind an IV of 8 octets" if reading.form.iv else "behind the ESP header"
    yield (
        f"{len(reading.frames)} of {len(samples)} packets have {what} in the clear {where}, with padding and next"
        f" header in front of {reading.form.icv} octets of ICV (RFC 5879)."
    )


def _iv(iv: IvLooks | None, count: int) -> Iterator[str]:
    if iv == "sequential":
        yield f"The 8 octets behind the ESP header count ({_packets(count)} looked at), as IVs of counter modes do."
    elif iv == "random":
        yield f"The octets behind the ESP header have no pattern ({_packets(count)} looked at): no IV that counts."


def _lengths(flow: Flow, lengths: Collection[int], best: Format) -> Iterator[str]:
    residues = flow.length_residues
    if not lengths:
        return
    if len(lengths) == 1:
        yield f"All {flow.packets} packets have {min(lengths)} octets: that tells little about block and ICV."
        return
    for alignment in _ALIGNMENTS:
        rests = {residue % alignment for residue in residues}
        if len(rests) == 1:
            yield (
                f"The lengths of all {flow.packets} packets are {min(rests)} modulo {alignment}, and at least"
                f" {len(lengths)} are different."
            )
            break
    if best.icv:
        yield (
            f"Nothing shows the ICV: {best.icv} octets are the likeliest, by how common each length of it is, and by"
            f" how usual the IP packets would be that make these lengths ({min(lengths)} to {max(lengths)} octets)."
        )


def _packets(count: int) -> str:
    """Packets in words."""
    return f"{count} packet{'s' * (count != 1)}"
