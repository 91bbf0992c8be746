"""What opened messages of IKEv1 say about their IKE SA: identities, users, notifies, deletions; how it went.

Messages are read one by one; `settle` then sets state, certainty and outcome, where what was read proves more than the
circumstances that `sa/conclusions.py` had to go by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ipsecanalyze.ike.payloads import (
    ConfigPayload,
    DeletePayload,
    IdPayload,
    NotifyPayload,
    Payload,
)
from ipsecanalyze.ike.payloads.sa_text import protocol_text
from ipsecanalyze.opening.v1_phase1 import AGGRESSIVE, PHASE_1
from ipsecanalyze.registry import ikev1
from ipsecanalyze.registry.ikev1 import ConfigAttribute, ConfigType, NotifyType
from ipsecanalyze.sa.outcome import describe
from ipsecanalyze.sa.records import Certainty, IkeSa, MessageRecord, NotifySeen, State
from ipsecanalyze.sa.states import Event, advance

__all__ = ["Story"]

_QUICK: Final = int(ikev1.ExchangeType.QUICK_MODE)
_ISAKMP: Final = int(ikev1.ProtocolId.ISAKMP)
_NOTIFIES: Final = 256
_SPIS: Final = 4
#: Errors that are about the peer's proof, whenever they come.
_FATAL: Final = frozenset(
    int(kind)
    for kind in (
        NotifyType.INVALID_CERT_ENCODING,
        NotifyType.INVALID_CERTIFICATE,
        NotifyType.CERT_TYPE_UNSUPPORTED,
        NotifyType.INVALID_CERT_AUTHORITY,
        NotifyType.INVALID_HASH_INFORMATION,
        NotifyType.AUTHENTICATION_FAILED,
        NotifyType.INVALID_SIGNATURE,
        NotifyType.CERTIFICATE_UNAVAILABLE,
    )
)
_GIVING: Final = (int(ConfigType.CFG_REPLY), int(ConfigType.CFG_SET))
_ADDRESSES: Final = (int(ConfigAttribute.INTERNAL_IP4_ADDRESS), int(ConfigAttribute.INTERNAL_IP6_ADDRESS))


class Story:
    """Collects what the messages of one IKE SA say."""

    def __init__(self, sa: IkeSa) -> None:
        self._sa = sa
        self.is_complete = True
        """Nothing stayed closed."""
        self.sides_differ = False
        """The two sides use different keys: with a pre-shared key, different ones."""
        self.unread_phase1: bool | None = None
        """Who sent a message of phase 1 that keys of this IKE SA do not open (True: the initiator)."""
        self._phase1_ns: int | None = None
        self._is_proven = False
        self._quick_began = False
        self._quick_answered = False
        self._is_late_proof = False
        self._errors: list[tuple[NotifySeen, bool]] = []
        self._deleted: tuple[bool, int, int] | None = None
        self._user_refused: str | None = None
        self._user = ""

    def proof(self, record: MessageRecord, exchange_type: int, *, is_right: bool, from_initiator: bool) -> None:
        """Take the verdict on HASH_I, HASH_R or a signature: the last message of phase 1 makes the SA.

        That is the responder's in main mode, the initiator's in aggressive mode (RFC 2409 §5).
        """
        is_last = from_initiator if exchange_type == AGGRESSIVE else not from_initiator
        if is_last and is_right:
            self._is_proven = True
            self._phase1_ns = record.datagram.time_ns

    def read(
        self, record: MessageRecord, payloads: Sequence[Payload], exchange_type: int, *, from_initiator: bool
    ) -> None:
        """Take a message that was opened."""
        sender = self._sa.initiator if from_initiator else self._sa.responder
        if exchange_type == _QUICK:
            if record.is_response:
                self._quick_answered = True
            self._quick_began = True
        if self._sa.started_late and exchange_type not in PHASE_1:
            self._is_late_proof = True
        for payload in payloads:
            if isinstance(payload, IdPayload) and exchange_type in PHASE_1:
                sender.identity = payload.text
            elif isinstance(payload, NotifyPayload):
                self._note_notify(record, payload, from_initiator=from_initiator)
            elif isinstance(payload, DeletePayload):
                self._note_delete(record, payload, from_initiator=from_initiator)
            elif isinstance(payload, ConfigPayload):
                self._note_config(record, payload, from_initiator=from_initiator)

    def _note_notify(self, record: MessageRecord, payload: NotifyPayload, *, from_initiator: bool) -> None:
        seen = NotifySeen(
            record.datagram.frame,
            payload.notify_type,
            payload.type_name,
            payload.is_error,
            from_initiator,
            payload.description if payload.data else "",
        )
        if len(self._sa.notifies) < _NOTIFIES:
            self._sa.notifies.append(seen)
        if payload.is_error and len(self._errors) < _NOTIFIES:
            self._errors.append((seen, self._quick_began))

    def _note_delete(self, record: MessageRecord, payload: DeletePayload, *, from_initiator: bool) -> None:
        if payload.protocol == _ISAKMP:
            mine = self._sa.initiator.spi.to_bytes(8) + self._sa.responder.spi.to_bytes(8)
            if payload.spis and mine not in payload.spis:
                record.notes.append("deletes another IKE SA")
                return
            record.notes.append("deletes the IKE SA")
            if self._deleted is None:
                self._deleted = (from_initiator, record.datagram.time_ns, record.datagram.frame)
            return
        name = protocol_text(payload.protocol, is_v1=True).split(" ")[0]
        spis = ", ".join(spi.hex() for spi in payload.spis[:_SPIS])
        more = f" and {len(payload.spis) - _SPIS} more" if len(payload.spis) > _SPIS else ""
        record.notes.append(f"deletes {name} {spis}{more}".rstrip())

    def _note_config(self, record: MessageRecord, payload: ConfigPayload, *, from_initiator: bool) -> None:
        sa = self._sa
        for attribute in payload.attributes:
            if attribute.type == ConfigAttribute.XAUTH_USER_NAME and payload.config_type == ConfigType.CFG_REPLY:
                if not attribute.text:
                    continue
                self._user = attribute.text
                if from_initiator:
                    sa.authentication_initiator = _with_user(sa.authentication_initiator, self._user)
                else:
                    sa.authentication_responder = _with_user(sa.authentication_responder, self._user)
            elif attribute.type == ConfigAttribute.XAUTH_STATUS and payload.config_type != ConfigType.CFG_ACK:
                value = attribute.value if isinstance(attribute.value, int) else int.from_bytes(attribute.value[:8])
                is_good = value == ikev1.XauthStatus.OK
                record.notes.append("XAUTH succeeded" if is_good else "XAUTH failed")
                side = "initiator" if from_initiator else "responder"
                who = f" {self._user}" if self._user else ""
                self._user_refused = None if is_good else f"the {side} refused the user{who}"
            elif attribute.type in _ADDRESSES and payload.config_type in _GIVING and attribute.text:
                record.notes.append(f"assigns {attribute.text}")

    # How it went

    def settle(self) -> None:
        """Set state, certainty and outcome; call once, when all was read."""
        sa = self._sa
        # Several captures may count their frames anew: then the order of reading is the best there is.
        sa.notifies.sort(key=lambda notify: notify.frame)
        refusal = self._refusal()
        if refusal is not None:
            sa.state = advance(State.HALF_OPEN, Event.REFUSED)
            sa.certainty, sa.reason = Certainty.OBSERVED, refusal
            sa.established_ns = sa.closed_ns = None
        elif self._is_proven or self._quick_began or self._is_late_proof:
            self._established()
        elif sa.state is State.FAILED and sa.certainty is Certainty.INFERRED and not self.is_complete:
            sa.reason += "; keys that open the messages of one side do not open those of the other"
        sa.outcome = describe(sa)

    def _refusal(self) -> str | None:
        """Why the IKE SA failed, as a clause; None where it did not."""
        if self._quick_answered:
            return None
        if self._user_refused is not None:
            return self._user_refused
        fatal = [seen for seen, quick in self._errors if seen.type in _FATAL or not quick]
        # An error after phase 1, and before Quick Mode, is about something else: the SA is there.
        if not fatal or (self._is_proven and fatal[-1].type not in _FATAL):
            return None
        # What they refused with is in the notify; what is said here is why they had to.
        others = self.unread_phase1 is not None and self.unread_phase1 is not fatal[-1].from_initiator
        if self.sides_differ or others:
            return "the two sides derived different keys: their pre-shared keys differ"
        return ""

    def _established(self) -> None:
        sa = self._sa
        if self._phase1_ns is not None:
            sa.established_ns = self._phase1_ns
        elif sa.established_ns is None and not sa.started_late:
            sa.established_ns = sa.last_time_ns
        if sa.state is State.REKEYED:
            # That another one took over is concluded from both; nothing in this one says it.
            return
        if self._deleted is not None:
            by_initiator, time_ns, frame = self._deleted
            sa.state = advance(State.ESTABLISHED, Event.DELETED)
            sa.closed_ns = time_ns
            sa.certainty = Certainty.OBSERVED
            sa.reason = f"the {'initiator' if by_initiator else 'responder'} deleted it in frame {frame}"
            return
        if sa.state is State.CLOSED and not self.is_complete:
            # The deletion may be in what stayed closed.
            return
        sa.state = advance(State.HALF_OPEN, Event.AUTHENTICATED)
        sa.closed_ns = None
        sa.certainty = Certainty.OBSERVED
        sa.reason = self._quick_refusal()

    def _quick_refusal(self) -> str:
        if self._quick_answered or not self._errors:
            return ""
        seen, quick = self._errors[-1]
        who = "initiator" if seen.from_initiator else "responder"
        return f"the {who} refused {'the Quick Mode' if quick else 'what followed'}: {seen.name}"


def _with_user(method: str | None, user: str) -> str:
    base = (method or "xauth").split(" (user ")[0]
    base = base if "xauth" in base else f"{base}+xauth"
    return f"{base} (user {user})"
