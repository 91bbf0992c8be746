"""Proofs of identity that were refused: read in opened messages, or concluded from their sizes and order."""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.diagnosis.eap import eap_in
from ipsecanalyze.findings.evidence import Dialogue, fallen_back, is_short_of_a_child, notifies_of, place, place_of
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, series
from ipsecanalyze.registry import ikev1, ikev2
from ipsecanalyze.sa.records import IkeSa, MessageRecord, NotifySeen, State

__all__ = ["authentication_failed", "error_reply_encrypted"]

_AUTHENTICATION_FAILED = int(ikev2.NotifyType.AUTHENTICATION_FAILED)
_QUICK = int(ikev1.ExchangeType.QUICK_MODE)
_INFORMATIONAL = int(ikev1.ExchangeType.INFORMATIONAL)
_PHASE_1 = frozenset((int(ikev1.ExchangeType.IDENTITY_PROTECTION), int(ikev1.ExchangeType.AGGRESSIVE)))
_AUTH, _INFORMATIONAL_V2 = int(ikev2.ExchangeType.IKE_AUTH), int(ikev2.ExchangeType.INFORMATIONAL)
_EAP_FAILURE = 4
#: IKEv1's errors with which the proof of the other side, or a message that cannot be read, is refused.
_ERRORS_V1 = frozenset(
    int(kind)
    for kind in (
        ikev1.NotifyType.INVALID_PAYLOAD_TYPE,
        ikev1.NotifyType.PAYLOAD_MALFORMED,
        ikev1.NotifyType.INVALID_ID_INFORMATION,
        ikev1.NotifyType.INVALID_CERT_ENCODING,
        ikev1.NotifyType.INVALID_CERTIFICATE,
        ikev1.NotifyType.CERT_TYPE_UNSUPPORTED,
        ikev1.NotifyType.INVALID_CERT_AUTHORITY,
        ikev1.NotifyType.INVALID_HASH_INFORMATION,
        ikev1.NotifyType.AUTHENTICATION_FAILED,
        ikev1.NotifyType.INVALID_SIGNATURE,
        ikev1.NotifyType.CERTIFICATE_UNAVAILABLE,
    )
)
_UNREADABLE = frozenset((int(ikev1.NotifyType.PAYLOAD_MALFORMED), int(ikev1.NotifyType.INVALID_PAYLOAD_TYPE)))


@told_once
def authentication_failed(case: Case) -> Iterator[Finding]:
    """One side did not accept who the other one says it is."""
    for sa in case.ike_sas:
        if sa.version.startswith("2"):
            refusals = notifies_of(sa, _AUTHENTICATION_FAILED) if sa.notifies else []
            if refusals:
                yield _refused_v2(case, sa, refusals)
            elif sa.decrypted and (sa.authentication_initiator or "").startswith("eap"):
                yield from _eap_failed(case, sa)
        elif sa.state is State.FAILED:
            yield from _failed_v1(case, sa)


def _identity(sa: IkeSa, *, of_initiator: bool) -> str:
    peer = sa.initiator if of_initiator else sa.responder
    return f"{peer.address} (as {peer.identity!r})" if peer.identity else peer.address


def _refused_v2(case: Case, sa: IkeSa, refusals: list[NotifySeen]) -> Finding:
    notify = refusals[0]
    refuses_initiator = not notify.from_initiator
    refuser = (sa.responder if refuses_initiator else sa.initiator).address
    proved = _identity(sa, of_initiator=refuses_initiator)
    method = sa.authentication_initiator if refuses_initiator else sa.authentication_responder
    dialogue = Dialogue(case, sa)
    record = dialogue.at(notify.frame)
    request = dialogue.request_of(record) if record is not None and refuses_initiator else None
    frames = [each.frame for each in refusals]
    if request is not None:
        frames.append(request.datagram.frame)
    verdict = next((note for note in (request.notes if request is not None else ()) if note.startswith("AUTH ")), "")
    checked = f" With the keys given: {verdict}." if verdict else ""
    asked = f" It asked for {sa.responder.identity!r} as the other side." if sa.responder.identity else ""
    found = place(case, sa, frames)
    return Finding(
        "authentication-failed",
        Severity.HIGH,
        Certainty.OBSERVED,
        sa.id,
        f"{refuser} does not accept the authentication of {proved}",
        f"{proved} authenticated with {_method(method)}, and {refuser} refused it with AUTHENTICATION_FAILED"
        f" in frame {notify.frame}.{asked if refuses_initiator else ''}{checked} {_causes(method, refuser)}"
        f"{fallen_back(case, sa)}",
        _remedy(method, refuser, proved),
        found.frames,
        ("RFC 7296 §2.21.2", "RFC 7296 §2.15"),
        found.capture,
    )


def _method(method: str | None) -> str:
    return "a method that is not in the capture" if method is None else method.replace("psk", "a pre-shared key", 1)


def _causes(method: str | None, refuser: str) -> str:
    if method is not None and method.startswith("psk"):
        return f"The pre-shared key at {refuser} is another one, or no connection there has this pair of identities."
    if method is not None and method.startswith("eap"):
        return "The user or password is wrong, or the AAA server does not allow the user."
    return (
        f"The pre-shared key differs, {refuser} does not trust the certificate (its CA, its dates, its revocation), the"
        " identity is not in the certificate, or no connection with this pair of identities is configured there."
    )


def _remedy(method: str | None, refuser: str, proved: str) -> str:
    if method is not None and method.startswith("psk"):
        return (
            f"Compare the pre-shared key on both sides octet by octet, and see that the one at {refuser} is configured"
            f" for the identity of {proved}; the log of {refuser} says which of both it was."
        )
    if method is not None and method.startswith("eap"):
        return f"Look at the log of {refuser} and of its RADIUS server for the reason."
    return (
        f"Look at the log of {refuser} for the reason; load the CA of the other side there, and make the identity that"
        " is configured the same as in the certificate's subject or subjectAltName."
    )


def _eap_failed(case: Case, sa: IkeSa) -> Iterator[Finding]:
    for record in case.messages_of(sa):
        eap = eap_in(record.opened)
        if eap is None or eap.code != _EAP_FAILURE:
            continue
        refuser, proved = sa.responder.address, _identity(sa, of_initiator=True)
        found = place_of((record,))
        yield Finding(
            "authentication-failed",
            Severity.HIGH,
            Certainty.OBSERVED,
            sa.id,
            f"EAP of {proved} ends with a failure",
            f"{refuser} sent EAP failure in frame {record.datagram.frame}."
            f" {_causes('eap', refuser)}{fallen_back(case, sa)}",
            _remedy("eap", refuser, proved),
            found.frames,
            ("RFC 7296 §2.16", "RFC 3748 §4.2"),
            found.capture,
        )
        return


# IKEv1


def _failed_v1(case: Case, sa: IkeSa) -> Iterator[Finding]:
    errors = [notify for notify in sa.notifies if notify.type in _ERRORS_V1]
    refused_user = [record for record in case.messages_of(sa) if "XAUTH failed" in record.notes] if sa.decrypted else []
    if refused_user:
        yield _user_refused(case, sa, refused_user)
    elif errors:
        yield _refused_v1(case, sa, errors)
    elif sa.chosen and sa.certainty is Certainty.INFERRED and not sa.started_late:
        yield _inferred_v1(case, sa)


def _user_refused(case: Case, sa: IkeSa, records: list[MessageRecord]) -> Finding:
    found = place_of(records)
    return Finding(
        "authentication-failed",
        Severity.HIGH,
        Certainty.OBSERVED,
        sa.id,
        f"XAUTH between {sa.initiator.address} and {sa.responder.address} failed",
        f"Phase 1 came through, but {sa.reason or 'the user was refused'} (XAUTH status 0).{fallen_back(case, sa)}",
        "Check user name and password, and the log of the gateway and its RADIUS server.",
        found.frames,
        ("draft-beaulieu-ike-xauth",),
        found.capture,
    )


def _refused_v1(case: Case, sa: IkeSa, errors: list[NotifySeen]) -> Finding:
    notify = errors[0]
    refuser = (sa.initiator if notify.from_initiator else sa.responder).address
    other = _identity(sa, of_initiator=not notify.from_initiator)
    names = series(list(dict.fromkeys(error.name for error in errors)))
    psk = (sa.authentication_initiator or "").startswith("psk")
    sent = _last_of_phase1(case, sa, notify)
    at = f"message {sent[0]} of phase 1 (frame {sent[1].datagram.frame})" if sent is not None else "what came before"
    if not sa.chosen:
        why = f"{refuser} did not get as far as an offer: it knows no connection for this identity or address."
    elif psk and notify.type in _UNREADABLE:
        why = (
            "It is encrypted with a key that depends on the pre-shared key: what cannot be read looks malformed."
            " Most likely the pre-shared keys of both sides differ."
        )
    elif notify.type == int(ikev1.NotifyType.INVALID_ID_INFORMATION):
        why = f"The identity of {other} is not the one that {refuser} is configured for."
    elif psk:
        why = "The pre-shared keys differ, or the identity is not the one that is configured."
    else:
        why = "The certificate or signature, or the identity in it, is not accepted."
    found = place(case, sa, [*(error.frame for error in errors), *([sent[1].datagram.frame] if sent else [])])
    times = f", {count_of(len(errors), 'time')}" if len(errors) > 1 else ""
    return Finding(
        "authentication-failed",
        Severity.HIGH,
        Certainty.OBSERVED,
        sa.id,
        f"{refuser} refuses phase 1 with {other}: {names}",
        f"{refuser} answered {at} with {names}{times}. {why}{fallen_back(case, sa)}",
        _remedy("psk" if psk else None, refuser, other)
        if sa.chosen
        else f"See at {refuser} which connection is meant for {other}, and for which identity and address it is"
        f" configured; the log of {refuser} says what it looked for.",
        found.frames,
        ("RFC 2409 §5", "RFC 2408 §3.14.1"),
        found.capture,
    )


def _last_of_phase1(case: Case, sa: IkeSa, notify: NotifySeen) -> tuple[int, MessageRecord] | None:
    """(number, message) of the last new message of phase 1 before a notify."""
    count, last = 0, None
    for record in case.messages_of(sa):
        if record.datagram.frame >= notify.frame:
            break
        if record.retransmission_of is None and record.message.exchange_type in _PHASE_1:
            count, last = count + 1, record
    return None if last is None else (count, last)


def _inferred_v1(case: Case, sa: IkeSa) -> Finding:
    psk = (sa.authentication_initiator or "").startswith("psk")
    first = [r for r in case.messages_of(sa) if r.retransmission_of is None and r.message.exchange_type in _PHASE_1]
    answers = [
        r
        for r in case.messages_of(sa)
        if r.message.exchange_type == _INFORMATIONAL and r.from_initiator is False and r.message.is_encrypted
    ]
    found = place_of([*first[-1:], *answers])
    refuser, other = sa.responder.address, sa.initiator.address
    cause = (
        "That message is encrypted with a key that depends on the pre-shared key, so most likely the keys of both sides"
        " differ; a wrong identity looks the same."
        if psk
        else "Most likely its certificate, signature or identity is not accepted."
    )
    return Finding(
        "authentication-failed",
        Severity.HIGH,
        Certainty.INFERRED,
        sa.id,
        f"{refuser} refuses phase 1 with {other}, most likely for a wrong {'pre-shared key' if psk else 'proof'}",
        f"{refuser} answered message {len(first)} of phase 1 with {count_of(len(answers), 'encrypted Informational')}"
        f" instead of going on. {cause} The keys of this IKE SA would show the error itself.{fallen_back(case, sa)}",
        _remedy("psk" if psk else None, refuser, other),
        found.frames,
        ("RFC 2409 §5",),
        found.capture,
    )


# What stays closed


@told_once
def error_reply_encrypted(case: Case) -> Iterator[Finding]:
    """An encrypted answer that is too short for anything but an error, and silence after it."""
    for sa in case.ike_sas:
        if sa.certainty is not Certainty.INFERRED or sa.started_late or sa.decrypted:
            continue
        if sa.version.startswith("2"):
            if sa.state is State.FAILED:
                yield _closed_v2(case, sa, is_up=False)
            elif is_short_of_a_child(sa) and not case.flows_of(sa):
                yield _closed_v2(case, sa, is_up=True)
        elif sa.state in (State.ESTABLISHED, State.CLOSED):
            yield from _closed_v1(case, sa)


def _closed_v2(case: Case, sa: IkeSa, *, is_up: bool) -> Finding:
    asker, peer = sa.initiator.address, sa.responder.address
    auth = next((e for e in reversed(sa.exchanges) if e.exchange_type == _AUTH), None)
    by_initiator = sa.reason.startswith("an INFORMATIONAL of the initiator")
    frames = list(auth.requests[:1] + auth.responses[:1]) if auth is not None else []
    if by_initiator:
        later = next((e for e in sa.exchanges if e.exchange_type == _INFORMATIONAL_V2), None)
        frames += list(later.requests[:1]) if later is not None else []
    found = place(case, sa, frames)
    last = next((r for r in case.messages_of(sa) if auth is not None and r.datagram.frame in auth.responses), None)
    size = f" ({last.datagram.length} octets in all)" if last is not None else ""
    if is_up:
        title = f"{peer} answers IKE_AUTH of {asker}, but most likely refuses the Child SA"
        what = (
            f"The answer{size} has room for the proof of identity, but not for a Child SA, and nothing followed it."
            " Most likely it holds TS_UNACCEPTABLE or NO_PROPOSAL_CHOSEN."
        )
    elif by_initiator:
        title = f"{asker} most likely does not accept the answer of {peer} to IKE_AUTH"
        what = (
            f"{sa.reason[0].upper()}{sa.reason[1:]}: that is how an initiator says AUTHENTICATION_FAILED, or deletes"
            " what it does not want."
        )
    else:
        title = f"{peer} most likely refuses the IKE_AUTH of {asker}"
        what = (
            f"The encrypted answer{size} is too short for a proof of identity, and nothing followed it: an error"
            " notify. Most likely it is AUTHENTICATION_FAILED (pre-shared key, identity or certificate)."
        )
    return Finding(
        "error-reply-encrypted",
        Severity.HIGH,
        Certainty.INFERRED,
        sa.id,
        title,
        f"{what} Which error it is can only be read with the keys of this IKE SA.{fallen_back(case, sa)}",
        "Analyse again with keys (`--keys`: a log of strongSwan at level ike=4, Wireshark's"
        f" ikev2_decryption_table), or look at the logs of {asker} and {peer} at that time.",
        found.frames,
        ("RFC 7296 §2.21.2",),
        found.capture,
    )


def _closed_v1(case: Case, sa: IkeSa) -> Iterator[Finding]:
    """The first Quick Mode was not answered but by an Informational."""
    first = next((e for e in sa.exchanges if e.exchange_type == _QUICK), None)
    if first is None or first.responses or case.flows_of(sa):
        return
    after = [
        e
        for e in sa.exchanges
        if e.exchange_type == _INFORMATIONAL
        and e.first_time_ns >= first.first_time_ns
        and e.initiated_by_initiator is not first.initiated_by_initiator
    ]
    if not after:
        return
    asker, peer = sa.initiator.address, sa.responder.address
    if not first.initiated_by_initiator:
        asker, peer = peer, asker
    found = place(case, sa, (*first.requests[:1], *after[0].requests[:1]))
    yield Finding(
        "error-reply-encrypted",
        Severity.HIGH,
        Certainty.INFERRED,
        sa.id,
        f"{peer} most likely refuses the Quick Mode of {asker}",
        f"Phase 1 came through. {peer} answered the first Quick Mode with an encrypted Informational instead of its"
        " second message: an error, most likely NO_PROPOSAL_CHOSEN (algorithms or PFS group) or"
        f" INVALID_ID_INFORMATION (networks). Which one can only be read with keys.{fallen_back(case, sa)}",
        "Analyse again with keys (`--keys`), or look at the logs of both sides; compare the proposals, PFS and networks"
        " of phase 2.",
        found.frames,
        ("RFC 2409 §5.5", "RFC 2408 §3.14.1"),
        found.capture,
    )
