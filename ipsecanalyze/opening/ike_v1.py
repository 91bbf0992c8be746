"""Opens the messages of one IKEv1 SA: main, aggressive and Quick Mode, Informational, Transaction.

Messages are taken in order of capture. `v1_trial.py` finds keys and IVs, `v1_phase1.py` and `v1_quick.py` know what
the exchanges agreed on, `v1_story.py` what that means for the record of the SA. Nothing that a message holds raises.
"""

from __future__ import annotations

from typing import Final

from ipsecanalyze.errors import DecryptError, WireError
from ipsecanalyze.ike.chain import parse_payloads
from ipsecanalyze.ike.header import HEADER_OCTETS
from ipsecanalyze.ike.message import IkeMessage, parse_ike
from ipsecanalyze.ike.payloads import FragmentPayload, Payload
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening import v1_quick
from ipsecanalyze.opening.revealed import Revealed
from ipsecanalyze.opening.tries import Tries
from ipsecanalyze.opening.v1_chains import Chains
from ipsecanalyze.opening.v1_keys import PSK_METHODS, phase1_secret, phase1_skeyids, secrets_of
from ipsecanalyze.opening.v1_phase1 import PHASE_1, Phase1
from ipsecanalyze.opening.v1_quick import QuickMode
from ipsecanalyze.opening.v1_story import Story
from ipsecanalyze.opening.v1_trial import Opening, Trial
from ipsecanalyze.registry.ikev1 import ExchangeType, PayloadType
from ipsecanalyze.sa.records import IkeSa, MessageRecord

__all__ = ["open_v1"]

_QUICK: Final = int(ExchangeType.QUICK_MODE)
_HASH: Final = int(PayloadType.HASH)
_FRAGMENT: Final = int(PayloadType.FRAGMENT)
#: Quick Modes whose state is kept, each until its third message; the oldest makes room.
_QUICK_MODES: Final = 1_024
#: Messages that do not open and are all noted one by one; what is wrong with the rest is in `Revealed.failed`.
_NOTICES: Final = 8


def open_v1(sa: IkeSa, records: list[MessageRecord], ring: KeyRing, in_all: Tries | None = None) -> Revealed:
    """Open what the keys on the ring open of one IKEv1 SA; `records` are its messages, in order of capture.

    Sets `opened` and `notes` of the records, and in the SA identities, users, notifies, state and outcome as opened
    messages prove them. What did not open is in `Revealed.failed`, with the reason. `in_all` counts tries in vain over
    several IKE SAs. Never raises on what is captured.
    """
    session = _Session(sa, ring, in_all)
    for record in records:
        try:
            session.take(record)
        except WireError:  # a record that gives no message is told by the tracker
            continue
    return session.finish()


class _Session:
    """One IKE SA while its messages are opened."""

    def __init__(self, sa: IkeSa, ring: KeyRing, in_all: Tries | None) -> None:
        self._sa, self._ring = sa, ring
        self._revealed = Revealed()
        self._phase1 = Phase1.of(sa)
        self._chains = Chains()
        self._trial = Trial(sa, ring, self._phase1, self._chains, in_all)
        self._story = Story(sa)
        self._quick: dict[int, QuickMode] = {}
        self._own_exchanges = 0
        self._seen: dict[bytes, tuple[tuple[Payload, ...] | None, str]] = {}
        self._pieces: dict[tuple[bool, int], int] = {}
        self._opened_by: dict[bool, bytes] = {}

    def take(self, record: MessageRecord) -> None:
        """Take the next message."""
        message = record.message
        if message.major != 1:
            return
        side = record.from_initiator
        if side is None:
            # Seen from its middle on: the two addresses stand for the sides.
            side = record.datagram.source == self._sa.initiator.address
        if message.next_payload == _FRAGMENT:
            fragment = message.find(FragmentPayload)
            if fragment is not None:
                key = (side, fragment.fragment_id)
                self._pieces[key] = self._pieces.get(key, 0) + 1
            return
        octets = message.to_bytes()
        if octets == record.datagram.payload:
            octets, pieces = record.datagram.payload, 1
        else:
            pieces = self._count_pieces(record, side=side)
        if not message.is_encrypted:
            if record.retransmission_of is None and message.exchange_type in PHASE_1:
                self._take_clear(record, message, side=side)
            return
        known = self._seen.get(octets)
        if known is None:
            known = self._seen[octets] = self._open(record, message, side=side)
        record.opened = known[0]
        if known[0] is not None:
            self._revealed.opened += pieces
        else:
            self._revealed.failed[known[1]] += pieces
            self._story.is_complete = False

    def _count_pieces(self, record: MessageRecord, *, side: bool) -> int:
        """In how many fragments a message came, whose last one is in `record`."""
        fragment = parse_ike(record.datagram.payload).find(FragmentPayload)
        return 1 if fragment is None else 1 + self._pieces.pop((side, fragment.fragment_id), 0)

    def _take_clear(self, record: MessageRecord, message: IkeMessage, *, side: bool) -> None:
        self._phase1.take(message.payloads, from_initiator=side)
        suite = self._phase1.suite
        if suite is None:
            return
        # HASH_R of aggressive mode is there for all to read: it tells the pre-shared key without g^xy.
        for skeyid in phase1_skeyids(self._ring, self._phase1, self._sa):
            verdict = self._phase1.judge(message.payloads, suite.prf, skeyid, of_initiator=side)
            if verdict is None:
                return
            if verdict[1]:
                record.notes.append(f"{verdict[0]} verified")
                self._story.proof(record, message.exchange_type, is_right=True, from_initiator=side)
                return

    def _open(
        self, record: MessageRecord, message: IkeMessage, *, side: bool
    ) -> tuple[tuple[Payload, ...] | None, str]:
        """(the payloads of a message that was not seen before, "") or (None, why there are none)."""
        try:
            opening = self._trial.open(message)
        except DecryptError as error:
            self._advance(message)
            if error.slug == "wrong-key" and message.exchange_type in PHASE_1 and self._phase1.method in PSK_METHODS:
                self._story.unread_phase1 = side
            if error.slug != "missing-key":  # that is no matter of one message
                self._note_failure(record, error.reason)
            return None, error.reason
        self._advance(message)
        chain, payloads = self._read_chain(record, message, opening)
        opening.chain = chain
        kind = message.exchange_type
        keys = opening.cipher.keys
        if keys not in self._revealed.keys:
            self._revealed.keys.append(keys)
        self._opened_by[side] = keys.sk_ei
        self._story.sides_differ = len(set(self._opened_by.values())) > 1
        if kind in PHASE_1:
            self._read_phase1(record, message, payloads, opening, side=side)
        elif kind == _QUICK:
            self._read_quick(record, message, payloads, opening, side=side)
        self._story.read(record, payloads, kind, from_initiator=side)
        return payloads, ""

    def _advance(self, message: IkeMessage) -> None:
        sealed = message.encrypted_data
        if sealed and len(sealed) % 8 == 0 and len(sealed) >= message.length - HEADER_OCTETS:
            self._chains.advance(message.exchange_type, message.message_id, sealed)

    def _note_failure(self, record: MessageRecord, reason: str) -> None:
        if sum(self._revealed.failed.values()) < _NOTICES:
            record.notes.append(f"not opened: {reason}")

    def _read_chain(
        self, record: MessageRecord, message: IkeMessage, opening: Opening
    ) -> tuple[bytes, tuple[Payload, ...]]:
        """The chain, mended where its beginning can be computed, and its payloads; notes the verdict on HASH."""
        chain = opening.chain
        first = message.next_payload
        if message.exchange_type not in PHASE_1 and first == _HASH:
            chain, verdict = self._check_hash(message, opening)
            if opening.unknown:
                told = "the IV is not known, as phase 1 or a message before is not in the capture"
                record.notes.append(f"{told}: opened from its second block on")
            if verdict:
                record.notes.append(verdict)
        payloads, _, notices = parse_payloads(chain, first, 1, HEADER_OCTETS, message.exchange_type)
        for notice in notices[:_NOTICES]:
            record.notes.append(f"inside: {notice.message}")
        return chain, payloads

    def _check_hash(self, message: IkeMessage, opening: Opening) -> tuple[bytes, str]:
        """(the chain with the HASH payload as it must have been, the verdict on it; "" where none is possible)."""
        chain, keys, prf = opening.chain, opening.cipher.keys, opening.cipher.prf
        if prf is None or not keys.sk_ai:
            return chain, ""
        size = int.from_bytes(chain[2:4])
        seen, rest = chain[4:size], chain[size:]
        nonces: tuple[bytes | None, bytes | None] = (None, None)
        quick = self._quick.get(message.message_id) if message.exchange_type == _QUICK else None
        if quick is not None:
            nonces = quick.nonces
        skip = max(0, opening.unknown - 4)
        can_tell = bool(rest)
        try:
            for expected in v1_quick.expected_hashes(prf, keys.sk_ai, message.message_id, rest, nonces):
                can_tell = True
                if len(expected) == len(seen) and expected[skip:] == seen[skip:]:
                    return chain[:4] + expected + rest, "HASH verified"
        except DecryptError:
            return chain, ""
        # Of an answer whose request is not in the capture HASH(2) cannot be computed; then its IV is not known either.
        may_answer = message.exchange_type == _QUICK and bool(opening.unknown) and nonces[0] is None
        return chain, "HASH wrong" if can_tell and not may_answer else ""

    def _read_phase1(
        self,
        record: MessageRecord,
        message: IkeMessage,
        payloads: tuple[Payload, ...],
        opening: Opening,
        *,
        side: bool,
    ) -> None:
        self._phase1.take(payloads, from_initiator=side)
        keys, prf = opening.cipher.keys, opening.cipher.prf
        if prf is None:
            return
        verdict = self._phase1.judge(payloads, prf, keys.skeyid, of_initiator=side)
        if verdict is not None:
            name, is_right = verdict
            record.notes.append(f"{name} {'verified' if is_right else 'wrong'}")
            self._story.proof(record, message.exchange_type, is_right=is_right, from_initiator=side)

    def _read_quick(
        self,
        record: MessageRecord,
        message: IkeMessage,
        payloads: tuple[Payload, ...],
        opening: Opening,
        *,
        side: bool,
    ) -> None:
        quick = self._quick.get(message.message_id)
        is_answer = bool(record.is_response)
        if quick is None:
            if len(self._quick) >= _QUICK_MODES:
                del self._quick[next(iter(self._quick))]
            quick = QuickMode(side is not is_answer, self._own_exchanges)
            self._quick[message.message_id] = quick
        if not quick.take(payloads, from_beginner=not is_answer):
            return
        self._own_exchanges += quick.public is not None
        keys = opening.cipher.keys
        used = phase1_secret(keys, self._ring, self._phase1) if quick.public is not None else None
        secrets = [secret for secret in secrets_of(self._ring, self._phase1) if secret.value != used]
        for child, suite in v1_quick.describe(quick, record):
            v1_quick.derive(quick, child, suite, keys, secrets)
            self._revealed.children.append(child)

    def finish(self) -> Revealed:
        """What came of it."""
        revealed = self._revealed
        if revealed.opened:
            self._sa.decrypted = True
            self._story.settle()
        return revealed
