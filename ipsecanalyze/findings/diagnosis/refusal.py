"""Offers that were refused: NO_PROPOSAL_CHOSEN, and the smallest change that would make both sides agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ipsecanalyze.findings.case import Case
from ipsecanalyze.findings.diagnosis.children import Refusal, refusals, retried
from ipsecanalyze.findings.evidence import fallen_back, notifies_of, place
from ipsecanalyze.findings.model import Certainty, Finding, Severity
from ipsecanalyze.findings.proposals import (
    Change,
    is_outdated,
    keyword,
    libreswan,
    offer_text,
    smallest_change,
    strongswan,
    suite_text,
)
from ipsecanalyze.findings.repeats import told_once
from ipsecanalyze.findings.words import count_of, series
from ipsecanalyze.ike.payloads import NotifyPayload, SaPayload
from ipsecanalyze.registry import ikev2
from ipsecanalyze.sa.algorithms import suites_v2
from ipsecanalyze.sa.records import Algorithm, IkeSa

__all__ = ["child_no_proposal", "no_proposal_chosen"]

_NO_PROPOSAL = int(ikev2.NotifyType.NO_PROPOSAL_CHOSEN)
_INVALID_KE = int(ikev2.NotifyType.INVALID_KE_PAYLOAD)
#: What is remembered of one peer.
_KNOWN = 16
_LOOKED_AT = 256


@dataclass(slots=True)
class _Known:
    """What the captures tell of what a peer accepts."""

    suites: list[list[Algorithm]] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def add(self, suites: Sequence[Sequence[Algorithm]], where: str) -> None:
        """Take what was seen once more; what is known already adds nothing."""
        new = [list(suite) for suite in suites[:_KNOWN] if list(suite) not in self.suites]
        if new and len(self.where) < _KNOWN:
            self.suites += new
            self.where.append(where)


@told_once
def no_proposal_chosen(case: Case) -> Iterator[Finding]:
    """The peer took none of the proposals for the IKE SA itself."""
    refused = [
        (sa, [notify for notify in notifies_of(sa, _NO_PROPOSAL) if not notify.from_initiator])
        for sa in case.ike_sas
        if sa.notifies and not sa.chosen
    ]
    refused = [(sa, notifies) for sa, notifies in refused if notifies]
    if not refused:
        return
    known = _acceptable(case, {(sa.responder.address, sa.version) for sa, _ in refused})
    for sa, notifies in refused:
        asker, peer = sa.initiator.address, sa.responder.address
        about = known.get((peer, sa.version), _Known())
        offers = [exchange.requests[0] for exchange in sa.exchanges if exchange.requests][:1]
        found = place(case, sa, (*offers, *(notify.frame for notify in notifies)))
        what = (
            f"{asker} offered {count_of(len(sa.offered), 'proposal')} ({offer_text(sa.offered)}), and {peer} answered"
            f" NO_PROPOSAL_CHOSEN in frame {notifies[0].frame}."
            if sa.offered
            else f"{peer} answered NO_PROPOSAL_CHOSEN to the first message of {asker} in frame {notifies[0].frame}."
        )
        told, remedy = _advice(sa, about, asker, peer)
        later = case.next_established(sa)
        yield Finding(
            "no-proposal-chosen",
            Severity.HIGH if later is None else Severity.MEDIUM,
            Certainty.OBSERVED,
            sa.id,
            f"{peer} accepts none of the IKE proposals of {asker}",
            f"{what} {told} Some implementations also answer so where no connection is configured for these addresses."
            f"{fallen_back(case, sa)}",
            remedy,
            found.frames,
            ("RFC 7296 §2.7",) if sa.version.startswith("2") else ("RFC 2408 §5.4", "RFC 2409 §5"),
            found.capture,
        )


def _acceptable(case: Case, peers: set[tuple[str, str]]) -> dict[tuple[str, str], _Known]:
    """What peers offered themselves, took elsewhere, or asked for."""
    known: dict[tuple[str, str], _Known] = defaultdict(_Known)
    for sa in case.ike_sas:
        mine, theirs = (sa.initiator.address, sa.version), (sa.responder.address, sa.version)
        if mine in peers:
            known[mine].add(sa.offered, f"it offered this itself in {sa.id}")
        if theirs in peers:
            if sa.chosen:
                known[theirs].add([sa.chosen], f"it took this of {sa.initiator.address} in {sa.id}")
            for group in sa.invalid_ke_rounds[:4]:
                name = ikev2.KeyExchange(group).name
                if name not in known[theirs].groups and len(known[theirs].groups) < _KNOWN:
                    known[theirs].groups.append(name)
    return known


def _advice(sa: IkeSa, known: _Known, asker: str, peer: str) -> tuple[str, str]:
    """(what is known of the peer and what would agree, what to do)."""
    groups = f" It asked others for {series(known.groups)} with INVALID_KE_PAYLOAD." if known.groups else ""
    change = smallest_change(sa.offered, known.suites)
    if change is None:
        told = f"Nothing in this capture tells what {peer} accepts.{groups}{_outdated(sa)}"
        return told, (
            f"Find out what {peer} accepts: let it begin while you capture, as its own offer is in the clear and this"
            ' analysis then compares both; or read its configuration or log (strongSwan logs "received proposals" and'
            ' "configured proposals", libreswan `ipsec auto --status`). Then put one suite that both support into the'
            " proposals of either side."
        )
    where = series(list(dict.fromkeys(known.where)), 3)
    accepted = f"{peer} accepts {offer_text(known.suites)} ({where}).{groups}"
    wrong_method = [one for one in change.missing if one.type == "AUTH"]
    if not change.missing:
        told = (
            f"{accepted} The offer holds such a suite ({suite_text(change.suite)}), so it is not the algorithms: most"
            " likely the connection that this initiator meets is another one."
        )
        return told, f"See which connection of {peer} is meant for {asker}, and what its proposals are."
    is_v1 = sa.version.startswith("1")
    missing = series([keyword(one, is_v1=is_v1) for one in change.missing if one.type != "AUTH"], 6)
    told = f"{accepted} The smallest change that would agree: {asker} also offers {missing}"
    if wrong_method:
        told = f"{accepted} Besides, the authentication method differs ({wrong_method[0].name})"
        told += f", and {missing} would have to be offered" if len(change.missing) > 1 else ""
    return f"{told}.", _lines(change, asker, "proposals", "ike")


def _outdated(sa: IkeSa) -> str:
    """A sentence on what of an offer current implementations do not take unless told to."""
    is_v1 = sa.version.startswith("1")
    old = (one for suite in sa.offered for one in suite if is_outdated(one))
    found = list(dict.fromkeys(keyword(one, is_v1=is_v1) for one in old))
    if not found:
        return ""
    verb = "is" if len(found) == 1 else "are"
    return (
        f" Of what was offered, {series(found, 6)} {verb} outdated, and current implementations take such algorithms"
        " only where they are configured by name."
    )


def _lines(change: Change, asker: str, swanctl: str, ipsec: str) -> str:
    """The suite that would agree as lines of configuration files."""
    lines = []
    one, other = strongswan(change.suite), libreswan(change.suite)
    if one is not None:
        lines.append(f"`{swanctl} = {one}` in swanctl.conf")
    if other is not None:
        lines.append(f"`{ipsec}={other}` in ipsec.conf (libreswan)")
    if not lines:
        return f"On {asker}, offer {suite_text(change.suite)}; strongSwan and libreswan have no keyword for part of it."
    return f"On {asker}: {' or '.join(lines)}; or add what it offers to the proposals of the other side."


# Child SAs


@told_once
def child_no_proposal(case: Case) -> Iterator[Finding]:
    """The peer took none of the proposals for a Child SA; rekeyings are told of in `rekeying.py`."""
    if not case.has_keys:
        return
    for sa in case.ike_sas:
        if not sa.decrypted or not sa.notifies:
            continue
        kinds = (_NO_PROPOSAL, _INVALID_KE) if sa.version.startswith("2") else (_NO_PROPOSAL,)
        for refusal in refusals(case, sa, *kinds):
            is_guess = refusal.notify.type == _INVALID_KE and retried(sa, refusal)
            if not refusal.is_rekey and not is_guess:
                yield _child_refused(case, sa, refusal)


def offered_children(refusal: Refusal) -> tuple[list[list[Algorithm]], str]:
    """The proposals of a refused request, as algorithms (IKEv2 only) and in words."""
    if refusal.request is None:
        return [], ""
    payload = next((p for p in refusal.request.opened or () if isinstance(p, SaPayload)), None)
    if payload is None:
        return [], ""
    if refusal.sa.version.startswith("2"):
        suites = suites_v2(payload.proposals)
        return suites, offer_text(suites)
    return [], series([proposal.text for proposal in payload.proposals])


def _wanted_group(refusal: Refusal) -> Algorithm | None:
    """The key exchange method that an INVALID_KE_PAYLOAD asks for."""
    for payload in refusal.response.opened or ():
        if isinstance(payload, NotifyPayload) and payload.notify_type == _INVALID_KE and len(payload.data) > 1:
            method = ikev2.KeyExchange(int.from_bytes(payload.data[:2]))
            return Algorithm("KE", int(method), method.name)
    return None


def _child_refused(case: Case, sa: IkeSa, refusal: Refusal) -> Finding:
    asker, peer = refusal.asker, refusal.refuser
    offered, text = offered_children(refusal)
    known = _Known()
    for _, child in case.children_between(sa)[:_LOOKED_AT]:
        if child.chosen:
            known.add([child.chosen], f"{child.id} was made with it")
    wanted = _wanted_group(refusal)
    if wanted is not None and offered:
        # All but the group was acceptable, or it would have said NO_PROPOSAL_CHOSEN (RFC 7296 §1.3).
        known = _Known([[*(one for one in offered[0] if one.type != "KE"), wanted]], ["it asks for this group"])
    change = smallest_change(offered, known.suites)
    if change is not None and change.missing:
        missing = series([keyword(one, is_v1=False) for one in change.missing], 6)
        told = (
            f"{peer} accepts {offer_text(known.suites)} ({series(known.where, 3)}). The smallest change that"
            f" would agree: {asker} also offers {missing}."
        )
        remedy = _lines(change, asker, "esp_proposals", "esp")
    else:
        told = f"Nothing in this capture tells what {peer} accepts for ESP."
        remedy = (
            "Compare the proposals of the Child SA on both sides (`esp_proposals` in swanctl.conf, `esp=` in"
            f" ipsec.conf) and PFS; let {peer} begin while you capture with keys, then its own offer is seen."
        )
    found = place(case, sa, refusal.frames)
    group = f" ({refusal.notify.data})" if refusal.notify.data else ""
    return Finding(
        "child-no-proposal",
        Severity.HIGH,
        Certainty.OBSERVED,
        sa.id,
        f"{peer} accepts none of the ESP or AH proposals of {asker}",
        f"The IKE SA is fine, but {peer} refused the Child SA with {refusal.notify.name}{group} in frame"
        f" {refusal.frame}."
        f" {asker} offered {text or 'what is not in the capture'}. {told}",
        remedy,
        found.frames,
        ("RFC 7296 §1.2", "RFC 7296 §2.7") if sa.version.startswith("2") else ("RFC 2409 §5.5", "RFC 2408 §5.4"),
        found.capture,
    )
