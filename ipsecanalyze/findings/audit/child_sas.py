"""ESP and AH SAs: rekeying without a key exchange of its own, 32-bit sequence numbers at high rates, small blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.audit.gather import Gathering, Group
from ipsecanalyze.findings.audit.negotiated import OpenedOffers, algorithms_of_flow
from ipsecanalyze.findings.audit.profile import Profile
from ipsecanalyze.findings.audit.verdict import SMALL_BLOCKS, severity_of, year_of
from ipsecanalyze.findings.case import Case, flow_subject
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.words import count_of, span
from ipsecanalyze.ike.payloads import KePayload
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import ChildSa

__all__ = ["no_esn", "no_pfs", "small_block_volume"]

_CREATE_CHILD: Final = int(ikev2.ExchangeType.CREATE_CHILD_SA)
_QUICK_MODE: Final = int(ikev1.ExchangeType.QUICK_MODE)
#: Sequence numbers that would be used up sooner call for 64 bits.
_SOON_NS: Final = 24 * 3_600 * 1_000_000_000
#: What a rate can be told from.
_LEAST_PACKETS, _LEAST_NS = 1_000, 1_000_000_000
_NUMBERS: Final = 1 << 32
#: Blocks of 64 bits: octets at which two blocks are alike with a probability of 39 % (2^32 blocks), and of 1 in 2,000.
_BIRTHDAY, _RISKY = 8 << 32, 1 << 30


def no_pfs(case: Case, profile: Profile) -> Iterator[Finding]:
    """Child SAs whose keys come from the IKE SA alone, though the exchange that made them could have had a KE."""
    opened = OpenedOffers(case.messages)
    found: Gathering[tuple[ChildSa, int, str]] = Gathering()
    for child in case.child_sas:
        request, answer = opened.of_child(child)
        if not child.chosen or answer is None or request is None:
            continue
        # The first Child SA of IKEv2 comes with IKE_AUTH, right behind the key exchange of the IKE SA.
        exchange = answer.record.message.exchange_type
        if exchange not in (_CREATE_CHILD, _QUICK_MODE):
            continue
        if any(isinstance(payload, KePayload) for payload in answer.payloads):
            continue
        spots = [(one.record.datagram.capture, one.record.datagram.frame) for one in (request, answer)]
        sides = frozenset((answer.record.datagram.source, answer.record.datagram.destination))
        where = [lambda spot=spot: spot for spot in spots]
        found.add((exchange, sides), (child, answer.time_ns, " and ".join(sorted(sides))), child.id, *where)

    def told(group: Group[tuple[ChildSa, int, str]]) -> Finding:
        child, time_ns, sides_text = group.first
        cell = profile.cell("requirements", "pfs", year=year_of(time_ns))
        wanted = severity_of(cell) is not None or cell.status.value in ("must", "should", "should+")
        clauses = (cell.clause, "RFC 7296 §1.3.1") if cell.clause else ("RFC 7296 §1.3.1", "RFC 2409 §5.5")
        return Finding(
            slug="no-pfs",
            severity=Severity.MEDIUM if wanted else Severity.LOW,
            certainty=Certainty.OBSERVED,
            subject=child.id,
            title="ESP and AH keys are made without a key exchange of their own (no PFS)",
            explanation=f"{count_of(group.count, 'SA')} between {sides_text}, {child.id} first, got keys from the IKE "
            "SA's secrets alone: who learns those, now or later, reads everything that was sent under it."
            + (f" {cell.clause}: {cell.note}." if cell.note else ""),
            remedy="Add a key exchange group to the ESP proposals of both sides (strongSwan: `esp_proposals = "
            "aes256gcm16-ecp256`; libreswan: `pfs=yes`).",
            frames=group.frames,
            references=clauses,
            capture=group.capture,
        )

    yield from found.findings(told)


def no_esn(case: Case, profile: Profile) -> Iterator[Finding]:
    """32-bit sequence numbers that last for less than a day at the rate that was seen."""
    del profile
    for flow in case.flows:
        duration = flow.last_time_ns - flow.first_time_ns
        if flow.packets < _LEAST_PACKETS or duration < _LEAST_NS:
            continue
        lasts_ns = _NUMBERS * duration // flow.packets
        if lasts_ns >= _SOON_NS or _uses_esn(case, flow) is not False:
            continue
        rate = flow.packets * 1_000_000_000 / duration
        yield Finding(
            slug="no-esn",
            severity=Severity.LOW,
            certainty=Certainty.OBSERVED,
            subject=flow.child_sa or flow_subject(flow),
            title=f"32-bit sequence numbers last for {span(lasts_ns)} at this rate",
            explanation=f"The {flow.protocol} SA {flow.spi:08x} from {flow.source} to {flow.destination} was "
            f"negotiated without extended sequence numbers and carries {rate:,.0f} packets a second: after "
            f"{span(lasts_ns)} its 2^32 numbers are used up, and it must be replaced by then or traffic stops.",
            remedy="Negotiate ESN on both sides (strongSwan: `esp_proposals = aes256gcm16-esn`; libreswan: `esn=yes`), "
            "or rekey by packets well before 2^32.",
            frames=(flow.first_frame,),
            references=("RFC 4303 §2.2.1", "RFC 4303 §3.3.3"),
            capture=flow.capture,
        )


def _uses_esn(case: Case, flow: Flow) -> bool | None:
    child = case.child_sa.get(flow.child_sa) if flow.child_sa is not None else None
    if child is not None and child.esn is not None:
        return child.esn
    return flow.opening.esn if flow.opening is not None else None


class _Volume(NamedTuple):
    flow: Flow
    name: str


def small_block_volume(case: Case, profile: Profile) -> Iterator[Finding]:
    """Octets under one key of a cipher with 64-bit blocks, against the birthday bound."""
    del profile
    for flow in case.flows:
        child = case.child_sa.get(flow.child_sa) if flow.child_sa is not None else None
        algorithms = child.chosen if child is not None and child.chosen else algorithms_of_flow(flow)
        name = next((one.name for one in algorithms if one.type == "ENCR" and one.name in SMALL_BLOCKS), None)
        if name is not None:
            yield _volume(_Volume(flow, name))


def _volume(volume: _Volume) -> Finding:
    flow, name = volume
    blocks = flow.octets // 8
    chance = min(1.0, blocks * blocks / 2**65)
    severity = Severity.LOW
    if flow.octets >= _RISKY:
        severity = Severity.HIGH if flow.octets >= _BIRTHDAY else Severity.MEDIUM
    how_likely = f"{100 * chance:.2g} %" if chance >= 1e-4 else f"1 in {1 / chance:.1g}" if chance else "nil"
    return Finding(
        slug="small-block-volume",
        severity=severity,
        certainty=Certainty.OBSERVED,
        subject=flow.child_sa or flow_subject(flow),
        title=f"{flow.octets:,} octets under one key of {name}, whose blocks have 64 bits",
        explanation=f"ESP {flow.spi:08x} from {flow.source} to {flow.destination} carried {flow.octets:,} octets under "
        f"{name}. Two of its {blocks:,} blocks are alike with a chance of {how_likely}, and then tell the XOR of what "
        "they hide (Sweet32); at 32 GiB the chance is 39 %. What this capture does not show counts too.",
        remedy="Use AES; until then limit each SA to 1 GiB or less (strongSwan: `rekey_bytes`, libreswan: "
        "`ipsec-max-bytes=`).",
        frames=(flow.first_frame,),
        references=("CVE-2016-2183", "RFC 8221 §5"),
        capture=flow.capture,
    )
