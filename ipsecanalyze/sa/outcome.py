"""What came of an IKE SA, as one sentence, from its record alone.

Words only: states and reasons were settled before, in `negotiation.py`, `conclusions.py` and `pairing.py`.
"""

from __future__ import annotations

from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.records import Certainty, Exchange, IkeSa, NotifySeen, State

__all__ = ["describe"]

_INVALID_KE = ikev2.NotifyType.INVALID_KE_PAYLOAD


def describe(sa: IkeSa) -> str:
    """The sentence for `IkeSa.outcome`: "established in 0.27 s; probably deleted by the initiator after 8 s"."""
    if sa.state is State.FAILED:
        return _failed(sa)
    if sa.state is State.HALF_OPEN:
        return _half_open(sa)
    parts = [_established(sa)]
    if sa.state is State.REKEYED:
        parts.append(f"{sa.reason} {_since(sa, sa.last_time_ns)}".rstrip())
    elif sa.state is State.CLOSED:
        who = _closer(sa)
        hedge = "probably " if sa.certainty is Certainty.INFERRED else ""
        parts.append(f"{hedge}deleted{who} {_since(sa, sa.closed_ns or sa.last_time_ns)}".rstrip())
    else:
        if sa.reason:
            parts.append(sa.reason)
        silent = _unanswered(sa)
        if silent:
            parts.append(f"then {silent}")
        elif not sa.reason and sa.established_ns is not None and sa.last_time_ns > sa.established_ns:
            parts.append(f"last message {_since(sa, sa.last_time_ns)}")
    return "; ".join(parts)


def seconds(nanoseconds: int) -> str:
    """A duration for people: "0.27 s", "8 s", "2 min 5 s", "3 h 2 min"."""
    if nanoseconds < 9_950_000_000:
        return f"{nanoseconds / 1e9:.2g} s" if nanoseconds >= 1_000_000 else "less than 1 ms"
    whole = (nanoseconds + 500_000_000) // 1_000_000_000
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _established(sa: IkeSa) -> str:
    if sa.rekeys is not None and sa.started_late:
        return f"established by rekeying {sa.rekeys}"
    if sa.established_ns is None:
        return "already established when the capture began" if sa.started_late else "established"
    if sa.started_late:
        return "established; the beginning is not in the capture"
    text = f"established in {seconds(max(0, sa.established_ns - sa.first_time_ns))}"
    rounds = []
    if sa.cookie_rounds:
        rounds.append(f"{sa.cookie_rounds} cookie round{'s' * (sa.cookie_rounds > 1)}")
    if sa.invalid_ke_rounds:
        wanted = ", ".join(ikev2.KeyExchange(group).name for group in sa.invalid_ke_rounds[:4])
        rounds.append(f"a refused key exchange group (the responder wanted {wanted})")
    return f"{text} after {' and '.join(rounds)}" if rounds else text


def _since(sa: IkeSa, time_ns: int) -> str:
    start = sa.established_ns if sa.established_ns is not None else sa.first_time_ns
    return f"after {seconds(max(0, time_ns - start))}"


def _closer(sa: IkeSa) -> str:
    last = sa.exchanges[-1] if sa.exchanges else None
    if last is None or (sa.version.startswith("1") and sa.started_late):
        return ""
    return " by the initiator" if last.initiated_by_initiator else " by the responder"


def _failed(sa: IkeSa) -> str:
    if sa.certainty is Certainty.INFERRED:
        return f"probably refused: {sa.reason}"
    error = next((notify for notify in reversed(sa.notifies) if _refuses(sa, notify)), None)
    if error is None:
        return f"refused: {sa.reason}" if sa.reason else "refused"
    who = "initiator" if error.from_initiator else "responder"
    detail = f" ({error.data})" if error.data else ""
    if not error.is_error:
        return f"the responder sent the initiator elsewhere: {error.name}{detail}"
    what = "refused" if sa.chosen else "refused the offer"
    reason = f"; {sa.reason}" if sa.reason else ""
    return f"the {who} {what}: {error.name}{detail}{reason}"


def _refuses(sa: IkeSa, notify: NotifySeen) -> bool:
    if sa.version.startswith("1"):
        return notify.is_error
    return (notify.is_error and notify.type != _INVALID_KE) or notify.type == ikev2.NotifyType.REDIRECT


def _half_open(sa: IkeSa) -> str:
    silent = _unanswered(sa)
    if silent:
        return silent
    if not sa.chosen and sa.invalid_ke_rounds:
        wanted = ikev2.KeyExchange(sa.invalid_ke_rounds[-1]).name
        return f"the responder wanted another key exchange group, {wanted}; the initiator did not try again"
    if not sa.chosen and sa.cookie_rounds:
        return "the responder wanted a cookie back; the initiator did not try again"
    if not sa.exchanges:
        return "of its messages only some fragments can be read"
    last = sa.exchanges[-1].name
    if sa.version.startswith("1"):
        count = sa.messages - sa.retransmissions
        return f"negotiation stopped in {last} after {count} message{'s' * (count != 1)}"
    return f"{last} was answered, nothing followed"


def _unanswered(sa: IkeSa) -> str:
    """Of a last exchange without an answer: "IKE_AUTH was sent 5 times without an answer"; "" where it has one."""
    last = sa.exchanges[-1] if sa.exchanges else None
    if last is None or last.answered or not last.requests:
        return ""
    if sa.version.startswith("1"):
        return _unanswered_v1(sa, last)
    # The fragments of one message are one transmission (RFC 7383 §2.1).
    times = _transmissions(last)
    return f"{last.name} was sent{'' if times == 1 else f' {times} times'} without an answer"


def _unanswered_v1(sa: IkeSa, last: Exchange) -> str:
    # Informationals are not answered in IKEv1 (RFC 2409 §5.7), but liveness checks are, by another Informational.
    if last.name != "INFORMATIONAL":
        times = _transmissions(last)
        return f"{last.name} was sent{'' if times == 1 else f' {times} times'} without an answer"
    run = 0
    for exchange in reversed(sa.exchanges):
        same_side = exchange.initiated_by_initiator is last.initiated_by_initiator
        if exchange.name != last.name or not same_side:
            break
        run += 1
    return f"{run} Informationals in a row went unanswered" if run > 2 else ""


def _transmissions(exchange: Exchange) -> int:
    size = max(1, exchange.fragments_expected)
    return max(1, -(-len(exchange.requests) // size))
