"""Error notifies that no other rule is about: told as they are, so that none goes unmentioned."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.evidence import fallen_back, place
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import IkeSa, NotifySeen, State

__all__ = ["error_notify"]

_V2, _V1 = ikev2.NotifyType, ikev1.NotifyType
#: What other rules explain.
_TOLD_V2 = frozenset((5, 11, 14, 17, 24, 34, 38, 43, 44))
_TOLD_V1 = frozenset((1, 5, 11, 14, 16, 18, 19, 20, 21, 22, 23, 24, 25, 28))
#: What IKEv2's errors mean, in a clause.
_MEANINGS = {
    int(_V2.UNSUPPORTED_CRITICAL_PAYLOAD): "it does not know a payload that is marked as critical",
    int(_V2.INVALID_IKE_SPI): "it does not know this IKE SA, as after a restart",
    int(_V2.INVALID_SYNTAX): "the message is not built as it should be, or a check of it failed",
    int(_V2.INVALID_MESSAGE_ID): "a message ID was outside of its window",
    int(_V2.NO_ADDITIONAL_SAS): "it does not allow a further Child SA in this IKE SA",
    int(_V2.INTERNAL_ADDRESS_FAILURE): "it has no address left to assign, or its address pool cannot be reached",
    int(_V2.FAILED_CP_REQUIRED): "it wants the other side to ask for an address",
    int(_V2.INVALID_SELECTORS): "a packet came in a Child SA whose selectors it does not fit",
    int(_V2.UNACCEPTABLE_ADDRESSES): "it does not accept the new addresses of the other side (MOBIKE)",
    int(_V2.UNEXPECTED_NAT_DETECTED): "it found a NAT where none is allowed (MOBIKE)",
    int(_V2.STATE_NOT_FOUND): "it does not know the key exchange that this should go on with",
}


@told_once
def error_notify(case: Case) -> Iterator[Finding]:
    """Errors that are told by a notify, other than those that have rules of their own."""
    for sa in case.ike_sas:
        told = _TOLD_V2 if sa.version.startswith("2") else _TOLD_V1
        # Refusals of a whole phase without one of the errors that other rules look for.
        by_type: dict[tuple[int, bool], list[NotifySeen]] = {}
        for notify in sa.notifies:
            if notify.is_error and notify.type not in told:
                by_type.setdefault((notify.type, notify.from_initiator), []).append(notify)
        for notifies in by_type.values():
            yield _told(case, sa, notifies)


def _told(case: Case, sa: IkeSa, notifies: list[NotifySeen]) -> Finding:
    notify = notifies[0]
    sender, other = (sa.initiator, sa.responder) if notify.from_initiator else (sa.responder, sa.initiator)
    found = place(case, sa, (each.frame for each in notifies))
    is_v2 = sa.version.startswith("2")
    meaning = _MEANINGS.get(notify.type) if is_v2 else None
    data = f" ({notify.data})" if notify.data else ""
    is_over = sa.state is State.FAILED
    times = "in" if len(notifies) == 1 else f"{len(notifies):,} times, first in"
    return Finding(
        "error-notify",
        Severity.HIGH if is_over else Severity.MEDIUM,
        Certainty.OBSERVED,
        sa.id,
        f"{sender.address} answers {other.address} with {notify.name}",
        f"{sender.address} sent {notify.name}{data} {times} frame {notify.frame}"
        f"{f': {meaning}' if meaning else ''}. {'The IKE SA failed' if is_over else f'The IKE SA is {sa.state}'}."
        f"{fallen_back(case, sa) if is_over else ''}",
        f"Look at the log of {sender.address} at that time: it says what it did not accept.",
        found.frames,
        ("RFC 7296 §3.10.1",) if is_v2 else ("RFC 2408 §3.14.1",),
        found.capture,
    )
