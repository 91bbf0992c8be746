"""Opening the messages of one IKEv2 SA, in their order, and reading what was inside.

`open_v2` goes through the SA's records once: it finds the keys (`v2_keys.py`), joins fragments, and takes from each
exchange what is to be known: identities and authentication, Child SAs (`v2_children.py`), rekeyings, deletions, errors.
What is opened is observed: states that were only concluded are corrected. Never raises for what messages say.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Final

from ipsecanalyze.crypto.ike import OpenedIke, join_fragments
from ipsecanalyze.crypto.ikev2 import intermediate_auth, rekeyed_keys, with_ppk
from ipsecanalyze.crypto.material import IkeKeys
from ipsecanalyze.crypto.suite import ChildSuite
from ipsecanalyze.errors import DecryptError
from ipsecanalyze.ike.chain import parse_payloads
from ipsecanalyze.ike.header import HEADER_OCTETS
from ipsecanalyze.ike.payloads import (
    AuthPayload,
    CertPayload,
    DeletePayload,
    EapPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    notify_data,
)
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.revealed import Revealed, RevealedChild
from ipsecanalyze.opening.tries import Tries
from ipsecanalyze.opening.v2_auth import PSKS_TRIED, SidesProof, judge
from ipsecanalyze.opening.v2_children import IKE, chosen_proposal, derive, describe_child, find, ike_suite
from ipsecanalyze.opening.v2_keys import SECRETS_TRIED, Beginning, KeyTrial, likely_secrets
from ipsecanalyze.registry import ikev2
from ipsecanalyze.registry.eap import EapType
from ipsecanalyze.sa.algorithms import suites_v2
from ipsecanalyze.sa.outcome import describe
from ipsecanalyze.sa.records import Algorithm, Certainty, IkeSa, MessageRecord, NotifySeen, State
from ipsecanalyze.sa.states import Event, advance

__all__ = ["Beginnings", "open_v2"]

_SA_INIT: Final = int(ikev2.ExchangeType.IKE_SA_INIT)
_AUTH: Final = int(ikev2.ExchangeType.IKE_AUTH)
_CHILD: Final = int(ikev2.ExchangeType.CREATE_CHILD_SA)
_INFORMATIONAL: Final = int(ikev2.ExchangeType.INFORMATIONAL)
_INTERMEDIATE: Final = int(ikev2.ExchangeType.IKE_INTERMEDIATE)
_FOLLOWUP: Final = int(ikev2.ExchangeType.IKE_FOLLOWUP_KE)
_ID_I, _ID_R, _SK = 35, 36, 46
#: Microsoft's EAP type, by the name of the only method that it is used for.
_MSCHAPV2: Final = 26
_NAT_HASHES: Final = (
    int(ikev2.NotifyType.NAT_DETECTION_SOURCE_IP),
    int(ikev2.NotifyType.NAT_DETECTION_DESTINATION_IP),
)
_AUTHENTICATION_FAILED: Final = int(ikev2.NotifyType.AUTHENTICATION_FAILED)
#: Notifies kept of one IKE SA, and messages whose fragments wait for the rest.
_NOTIFIES, _FRAGMENTED = 256, 64
#: Errors that end an IKE SA before it is one (RFC 7296 §2.21.2); others refuse a Child SA only.
_FATAL: Final = frozenset((1, 4, 5, 7, 24))

#: SPIs of an IKE SA → what its keys depend on, for those that a CREATE_CHILD_SA made.
Beginnings = dict[tuple[int, int], Beginning]
Payloads = tuple[Payload, ...]


def open_v2(
    sa: IkeSa, records: Sequence[MessageRecord], ring: KeyRing, beginnings: Beginnings, in_all: Tries | None = None
) -> Revealed:
    """Open what can be opened of an IKE SA; `records` are its messages in order of capture.

    `beginnings` has what is known of IKE SAs that replaced others, and gets those that this one made;
    `in_all` counts tries in vain over several IKE SAs.
    """
    session = _Session(sa, ring, beginnings, in_all)
    session.read_beginning(records)
    for record in records:
        session.take(record)
    return session.finish()


class _Session:
    """The state of going through one IKE SA."""

    def __init__(self, sa: IkeSa, ring: KeyRing, beginnings: Beginnings, in_all: Tries | None) -> None:
        self._in_all = in_all
        self._sa = sa
        self._ring = ring
        self._beginnings = beginnings
        self._revealed = Revealed()
        self._spis = (sa.initiator.spi, sa.responder.spi)
        self._beginning = beginnings.get(self._spis)
        self._proofs = {True: SidesProof(), False: SidesProof()}
        self._trial: KeyTrial | None = None
        #: Messages by their octets: frame numbers are not unique where there are several captures.
        self._opened: dict[bytes, Payloads | None] = {}
        self._taken: set[tuple[int, bool, bool]] = set()
        self._fragments: dict[tuple[int, bool, bool, int], dict[int, OpenedIke]] = {}
        self._requests: dict[tuple[int, bool], tuple[MessageRecord, Payloads]] = {}
        self._auth_request: Payloads = ()
        self._intermediate = {True: b"", False: b""}
        self._intermediate_known = True
        self._intermediates = 0
        self._auth_id = -1  # of the first IKE_AUTH message
        self._is_unfinished = False
        """The last answer that was opened is in the middle of EAP."""
        self._exchanges = 0
        """Key exchanges so far, in clear messages and opened ones."""

    # The beginning

    def read_beginning(self, records: Sequence[MessageRecord]) -> None:
        """Take nonces, suite and first messages from IKE_SA_INIT, the round that was answered with a choice."""
        request: MessageRecord | None = None
        for record in records:
            message = record.message
            if message.exchange_type != _SA_INIT:
                break
            if record.retransmission_of is not None:
                continue
            if not record.is_response:
                request = record
                continue
            nonce_r, offer = message.find(NoncePayload), message.find(SaPayload)
            nonce_i = request.message.find(NoncePayload) if request is not None else None
            if request is None or nonce_r is None or nonce_i is None or offer is None or not offer.proposals:
                continue
            suite = ike_suite(offer.proposals[0])
            if suite is None:
                continue
            self._beginning = Beginning(suite, nonce_i.data, nonce_r.data)
            self._exchanges = 1
            self._proofs[True] = SidesProof(request.datagram.payload, nonce_r.data)
            self._proofs[False] = SidesProof(record.datagram.payload, nonce_i.data)
            break
        if self._beginning is not None and not self._sa.chosen:
            self._sa.chosen = self._beginning.chosen
        self._trial = KeyTrial(self._ring, *self._spis, self._beginning, self._in_all)

    # Messages

    def take(self, record: MessageRecord) -> None:
        """Open a message, if it is encrypted, and read it."""
        message = record.message
        if not message.is_encrypted or self._trial is None:
            return
        octets = record.datagram.payload
        if octets in self._opened:
            record.opened = self._opened[octets]
            return
        if record.datagram.truncated:
            self._revealed.failed["the capture cut the message (snap length)"] += 1
            return
        try:
            opened = self._trial.open(record.datagram.payload)
        except DecryptError as error:
            self._revealed.failed[error.reason] += 1
            return
        self._revealed.opened += 1
        chain, first_type = opened.chain, opened.first_type
        if opened.fragment_number:
            joined = self._join(record, opened)
            if joined is None:
                self._opened[octets] = None
                return
            chain, first_type = joined
            record.notes.append("last fragment: the message is complete")
        payloads, _, notices = parse_payloads(chain, first_type, 2)
        for notice in notices[:4]:
            record.notes.append(f"inside: {notice.message}")
        record.opened = self._opened[octets] = payloads
        self._read(record, payloads, opened, (chain, first_type))

    def _join(self, record: MessageRecord, opened: OpenedIke) -> tuple[bytes, int] | None:
        """The chain that a fragment completes (RFC 7383 §2.6); None while others are missing."""
        message = record.message
        if opened.fragment_number > opened.total_fragments:
            record.notes.append("a fragment beyond the last one")
            return None
        key = (message.message_id, message.is_response, message.from_initiator, opened.total_fragments)
        pieces = self._fragments.get(key)
        if pieces is None:
            if len(self._fragments) >= _FRAGMENTED:
                del self._fragments[next(iter(self._fragments))]
            pieces = self._fragments[key] = {}
        pieces[opened.fragment_number] = opened
        if len(pieces) < opened.total_fragments:
            return None
        return join_fragments(self._fragments.pop(key).values())

    def _read(self, record: MessageRecord, payloads: Payloads, opened: OpenedIke, chain: tuple[bytes, int]) -> None:
        message = record.message
        by_initiator = record.from_initiator is not record.is_response
        identity = (message.message_id, by_initiator, bool(record.is_response))
        if identity in self._taken:
            record.notes.append("another message with this message ID was read before: it changes nothing")
            return
        self._taken.add(identity)
        if message.exchange_type != _AUTH:
            self._is_unfinished = False
        self._note_notifies(record, payloads)
        kind, key = message.exchange_type, (message.message_id, by_initiator)
        if kind == _AUTH:
            self._read_auth(record, payloads)
        elif kind == _INTERMEDIATE:
            self._read_intermediate(record, payloads, opened, chain)
        elif kind in (_INFORMATIONAL, _CHILD):
            self._read_deletes(record, payloads)
            self._read_refusal(record, payloads)
        if not record.is_response:
            self._requests[key] = (record, payloads)
            while len(self._requests) > _FRAGMENTED:
                del self._requests[next(iter(self._requests))]
            return
        request = self._requests.get(key)
        if kind == _CHILD and request is not None:
            self._read_child(record, request[1], payloads, by_initiator=by_initiator)

    # IKE_AUTH and IKE_INTERMEDIATE

    def _read_auth(self, record: MessageRecord, payloads: Payloads) -> None:
        sa, from_initiator = self._sa, record.from_initiator is not False
        if self._auth_id < 0:
            self._auth_id = record.message.message_id
        peer = sa.initiator if from_initiator else sa.responder
        proof = self._proofs[from_initiator]
        identity = find(payloads, IdPayload, _ID_I if from_initiator else _ID_R)
        if identity is not None:
            peer.identity, proof.identity = identity.text, identity
        proof.certificates += [payload for payload in payloads if isinstance(payload, CertPayload)]
        auth = find(payloads, AuthPayload)
        if auth is not None:
            self._read_proof(record, auth, proof, from_initiator=from_initiator)
        elif find(payloads, EapPayload) is not None and from_initiator:
            sa.authentication_initiator = _eap(payloads) or sa.authentication_initiator or "eap"
        if from_initiator:
            if find(payloads, SaPayload) is not None:
                self._auth_request = payloads
            return
        self._conclude_auth(record, payloads, has_auth=auth is not None)
        found = describe_child(self._auth_request, payloads, record.datagram.frame, by_initiator=True)
        beginning = self._beginning
        if found is not None and beginning is not None:
            nonces = (beginning.nonce_i, beginning.nonce_r)
            self._take_child(record, *found, nonces, by_initiator=True)
        elif found is not None:
            found[0].missing = "the nonces of IKE_SA_INIT are not in the capture"
            self._place(record, found[0])

    def _read_proof(self, record: MessageRecord, auth: AuthPayload, proof: SidesProof, *, from_initiator: bool) -> None:
        sa = self._sa
        words = _method(auth)
        if from_initiator:
            eap = sa.authentication_initiator
            sa.authentication_initiator = eap if eap is not None and eap.startswith("eap") else words
        else:
            sa.authentication_responder = words
        trial, beginning = self._trial, self._beginning
        if trial is None or trial.current is None or beginning is None:
            return
        proof.intermediate = self._int_auth()
        sides = (sa.initiator.identity, sa.responder.identity, sa.initiator.address, sa.responder.address)
        psks = self._ring.psks_for(*sides, most=PSKS_TRIED)
        prf = beginning.suite.prf
        verdict = judge(auth, proof, self._generations(prf), prf, psks, of_initiator=from_initiator)
        if verdict:
            record.notes.append(verdict)

    def _int_auth(self) -> bytes | None:
        if not self._intermediates:
            return b""
        if not self._intermediate_known:
            return None
        return self._intermediate[True] + self._intermediate[False] + self._auth_id.to_bytes(4)

    def _conclude_auth(self, record: MessageRecord, payloads: Payloads, *, has_auth: bool) -> None:
        sa = self._sa
        errors = [p for p in payloads if isinstance(p, NotifyPayload) and p.is_error]
        fatal = next((error for error in errors if error.notify_type in _FATAL), None)
        # With EAP in it, only one side has proved itself so far (RFC 7296 §2.16).
        self._is_unfinished = fatal is None and find(payloads, EapPayload) is not None
        if fatal is not None and not has_auth:
            sa.state, sa.certainty, sa.reason = State.FAILED, Certainty.OBSERVED, ""
            sa.established_ns = sa.closed_ns = None
        elif has_auth and not self._is_unfinished:
            sa.state = advance(sa.state, Event.AUTHENTICATED)
            sa.established_ns = record.datagram.time_ns
            if sa.state is State.ESTABLISHED:
                sa.certainty, sa.reason = Certainty.OBSERVED, ""

    def _read_intermediate(
        self, record: MessageRecord, payloads: Payloads, opened: OpenedIke, inside: tuple[bytes, int]
    ) -> None:
        trial, beginning = self._trial, self._beginning
        if trial is None or trial.current is None or beginning is None:
            return
        self._intermediates += 1
        chain, first_type = inside
        side = record.from_initiator is not False
        keys = trial.current.keys
        sk_p = keys.sk_pi if side else keys.sk_pr
        if not sk_p:
            self._intermediate_known = False
        else:
            octets = record.datagram.payload
            if opened.fragment_number:
                # As if it had come in one piece (RFC 9242 §3.3.2): SK instead of SKF.
                octets = _unfragmented(octets, opened, first_type)
            try:
                self._intermediate[side] = intermediate_auth(
                    beginning.suite.prf, sk_p, octets, opened.offset, chain, self._intermediate[side]
                )
            except DecryptError:  # a PRF that is not supported
                self._intermediate_known = False
        if record.is_response and find(payloads, KePayload) is not None:
            self._exchanges += 1
            trial.add_generation()

    # CREATE_CHILD_SA

    def _read_child(self, record: MessageRecord, request: Payloads, response: Payloads, *, by_initiator: bool) -> None:
        nonces = [found.data for found in (find(request, NoncePayload), find(response, NoncePayload)) if found]
        pair = chosen_proposal(request, response)
        if pair is None or len(nonces) != 2:
            return
        if pair[1].protocol == IKE:
            self._read_ike_rekey(record, pair[0].spi, pair[1].spi, response, nonces, by_initiator=by_initiator)
            return
        found = describe_child(request, response, record.datagram.frame, by_initiator=by_initiator)
        if found is not None:
            self._take_child(record, *found, (nonces[0], nonces[1]), by_initiator=by_initiator)

    def _take_child(
        self,
        record: MessageRecord,
        child: RevealedChild,
        suite: ChildSuite,
        nonces: tuple[bytes, bytes],
        *,
        by_initiator: bool,
    ) -> None:
        self._place(record, child)
        trial, beginning = self._trial, self._beginning
        if trial is None or trial.current is None:
            return
        prf = trial.current.keys.prf if beginning is None else beginning.suite.prf
        if prf is None:
            child.missing = "the PRF of its IKE SA is not known: IKE_SA_INIT is not in the capture"
            return
        secrets = self._secrets(child.chosen) if child.has_key_exchange else []
        try:
            derive(child, suite, self._generations(prf), prf, nonces, secrets, by_initiator=by_initiator)
        except DecryptError as error:
            child.missing = error.reason

    def _generations(self, prf: int) -> list[IkeKeys]:
        """The keys that Child SAs may be derived from: those in use, with each PPK too (RFC 8784 §3)."""
        assert self._trial is not None and self._trial.current is not None  # noqa: S101, PT018 - for the type checker
        keys = self._trial.current.keys
        found = self._trial.alike
        if keys.sk_d:
            with suppress(DecryptError):  # a PRF that is not supported: whoever needs it will tell
                found += [with_ppk(keys, prf, psk.value) for psk in self._ring.ppks(SECRETS_TRIED)]
        return found

    def _secrets(self, chosen: Sequence[Algorithm]) -> list[tuple[bytes, ...]]:
        """Shared secrets for the key exchanges of a CREATE_CHILD_SA and of the IKE_FOLLOWUP_KE behind it."""
        place = self._exchanges
        methods = [one.id for one in chosen if one.type == "KE" or (one.id and one.type.startswith("ADDKE"))] or [0]
        self._exchanges += len(methods)
        return likely_secrets(self._ring.shared_secrets_for(*self._spis, strays=SECRETS_TRIED), methods, place)

    def _place(self, record: MessageRecord, child: RevealedChild) -> None:
        """Where the sides are: the answer goes from one to the other."""
        datagram = record.datagram
        ends = (datagram.source, datagram.destination)
        from_initiator = record.from_initiator is not False
        child.initiator_address, child.responder_address = ends if from_initiator else ends[::-1]
        self._revealed.children.append(child)

    def _read_ike_rekey(
        self,
        record: MessageRecord,
        asked: bytes,
        answered: bytes,
        response: Payloads,
        nonces: Sequence[bytes],
        *,
        by_initiator: bool,
    ) -> None:
        """Who asks for the new IKE SA is its initiator (RFC 7296 §2.18)."""
        offer = find(response, SaPayload)
        suite = ike_suite(offer.proposals[0]) if offer is not None and offer.proposals else None
        spis = (int.from_bytes(asked), int.from_bytes(answered))
        self._revealed.successors.append(spis)
        if not by_initiator:
            self._revealed.turned.add(spis)
        trial, beginning = self._trial, self._beginning
        if suite is None:
            return
        chosen = suites_v2(offer.proposals)[0] if offer is not None else []
        candidates: list[IkeKeys] = []
        if trial is not None and trial.current is not None and beginning is not None and trial.current.keys.sk_d:
            origin = f"derived from {self._sa.id}, frame {record.datagram.frame}"
            secrets = self._secrets(chosen)
            prf = beginning.suite.prf
            try:
                for keys in filter(attrgetter("sk_d"), self._generations(prf)):
                    for secret in secrets:
                        candidates += rekeyed_keys(
                            prf, keys.sk_d, suite, secret, nonces[0], nonces[1], *spis, origin=origin
                        )
            except DecryptError:
                pass
        self._beginnings[spis] = Beginning(suite, nonces[0], nonces[1], chosen, tuple(candidates))

    # Deletions, notifies

    def _read_deletes(self, record: MessageRecord, payloads: Payloads) -> None:
        sa = self._sa
        if record.is_response:
            return
        for payload in payloads:
            if not isinstance(payload, DeletePayload) or payload.protocol != IKE:
                continue
            if sa.state is not State.REKEYED:
                sa.state = advance(sa.state, Event.DELETED)
            sa.certainty, sa.reason, sa.closed_ns = Certainty.OBSERVED, "", record.datagram.time_ns

    def _read_refusal(self, record: MessageRecord, payloads: Payloads) -> None:
        """An initiator that does not believe the responder's AUTH says so behind IKE_AUTH (RFC 7296 §2.21.2)."""
        sa = self._sa
        if record.is_response or not record.from_initiator or sa.state not in (State.ESTABLISHED, State.HALF_OPEN):
            return
        if any(isinstance(p, NotifyPayload) and p.notify_type == _AUTHENTICATION_FAILED for p in payloads):
            sa.state, sa.certainty, sa.reason = State.FAILED, Certainty.OBSERVED, ""
            sa.established_ns = sa.closed_ns = None

    def _note_notifies(self, record: MessageRecord, payloads: Payloads) -> None:
        seen = self._sa.notifies
        for payload in payloads:
            if not isinstance(payload, NotifyPayload) or len(seen) >= _NOTIFIES:
                continue
            kind = ikev2.NotifyType(payload.notify_type)
            words = ""
            if payload.data and payload.notify_type not in _NAT_HASHES:
                words = notify_data.describe_v2(payload.notify_type, payload.data)
            from_initiator = record.from_initiator is not False
            seen.append(
                NotifySeen(record.datagram.frame, payload.notify_type, kind.name, kind.is_error, from_initiator, words)
            )

    def finish(self) -> Revealed:
        """What came of it."""
        sa, revealed, trial = self._sa, self._revealed, self._trial
        if trial is not None:
            revealed.keys = list(trial.used)
            for problem in dict.fromkeys(trial.problems):
                revealed.failed[problem] += 0
        if revealed.opened:
            sa.decrypted = True
            if self._is_unfinished and sa.certainty is Certainty.INFERRED and not +revealed.failed:
                # That both sides proved who they are was concluded from the sizes of messages.
                sa.state, sa.certainty, sa.reason = State.HALF_OPEN, Certainty.OBSERVED, "EAP did not come to its end"
                sa.established_ns = sa.closed_ns = None
            if sa.state is State.CLOSED and sa.certainty is Certainty.INFERRED and not +revealed.failed:
                # What looked like a deletion of the IKE SA from outside was one of a Child SA, or something else.
                sa.state, sa.certainty, sa.reason, sa.closed_ns = State.ESTABLISHED, Certainty.OBSERVED, "", None
            sa.notifies.sort(key=lambda notify: notify.frame)
            sa.outcome = describe(sa)
        return revealed


def _method(auth: AuthPayload) -> str:
    """The authentication method in the words of configuration files."""
    names = {1: "rsa-sig", 2: "psk", 3: "dss-sig", 9: "ecdsa-256", 10: "ecdsa-384", 11: "ecdsa-521", 13: "null"}
    return auth.signature_algorithm or names.get(auth.method) or ikev2.AuthMethod(auth.method).name.lower()


def _eap(payloads: Payloads) -> str | None:
    """The EAP method in use, as in "eap-mschapv2"; None for what is no method (RFC 3748 §5)."""
    payload = find(payloads, EapPayload)
    if payload is None or payload.eap_type is None or payload.eap_type < 4:
        return None
    if payload.eap_type == _MSCHAPV2:
        return "eap-mschapv2"
    return "eap-" + EapType(payload.eap_type).name.lower().removeprefix("eap_").replace("_", "-")


def _unfragmented(octets: bytes, opened: OpenedIke, first_type: int) -> bytes:
    """The message as if it had come in one piece: SK in the place of SKF, which then names the first payload inside."""
    changed = bytearray(octets)
    if opened.offset == HEADER_OCTETS:
        changed[16] = _SK
    changed[opened.offset] = first_type
    return bytes(changed)
