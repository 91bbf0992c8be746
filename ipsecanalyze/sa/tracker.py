"""Follows IKE: takes datagrams in order of capture, gives IKE SAs, messages in their place, and notices.

Here a message finds its IKE SA and its sender; then `exchanges.py` relates it to other messages and
`negotiation.py` reads it. What only the end of the capture can tell is left to `conclusions.py`.
"""

from __future__ import annotations

from ipsecanalyze._fast.contract import Limits
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.errors import Notice, WireError
from ipsecanalyze.ike.fragments import CiscoReassembler, FragmentBook
from ipsecanalyze.ike.message import IkeMessage, parse_ike, read_head
from ipsecanalyze.ike.payloads import EncryptedFragmentPayload, EncryptedPayload
from ipsecanalyze.sa import conclusions
from ipsecanalyze.sa.activity import note_activity
from ipsecanalyze.sa.clear import Clear, glance, read_clear
from ipsecanalyze.sa.exchanges import INITIAL_V2, PHASE1_V1, is_repeated_offer, match_v1, match_v2, note_fragment
from ipsecanalyze.sa.negotiation import Negotiation
from ipsecanalyze.sa.records import IkeSa, MessageRecord, Peer
from ipsecanalyze.sa.store import MessageStore, NoticeStore
from ipsecanalyze.sa.table import SaTable
from ipsecanalyze.sa.track import FRAMES, LISTED, Track

__all__ = ["Tracker"]

_RESPONSE, _INITIATOR = 0x20, 0x08
#: Members of enums are looked up slowly, and these are for every datagram.
_IKE, _PLAIN = DatagramKind.IKE, Encapsulation.NONE
_FRAGMENT_V1, _SA_V1 = 132, 1
#: The version of an IKE SA by the major version of its messages: minor versions are ignored (RFC 7296 §2.5).
_VERSIONS = {1: "1.0", 2: "2.0"}


class Tracker:
    """Follows the IKE SAs of one or more captures; `feed` datagrams, then `finish`."""

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._messages = MessageStore(limits.messages, limits.message_octets)
        self._table = SaTable(limits.half_open, limits.ike_sas, self._messages.remove)
        self._negotiation = Negotiation(self._table)
        self._notices = NoticeStore(limits.notices)
        self._cisco = CiscoReassembler()
        self._fragments: FragmentBook[int] = FragmentBook()
        self._keepalives: dict[tuple[str, int, str], int] = {}
        self._conversations = limits.conversations
        self._names: dict[int, str] = {}
        self._is_finished = False

    @property
    def ike_sas(self) -> list[IkeSa]:
        """IKE SAs and attempts at one, in order of their first message."""
        return [track.sa for track in self._table.tracks()]

    @property
    def messages(self) -> list[MessageRecord]:
        """IKE messages in order of capture; bounded by `Limits.messages` and `Limits.message_octets`."""
        return self._messages.records()

    @property
    def notices(self) -> list[Notice]:
        """What was wrong with messages, and what limits left out; bounded by `Limits.notices`."""
        return self._notices.notices

    def feed(self, datagram: Datagram) -> MessageRecord | None:
        """Take the next datagram; for an IKE message its record, None for all else and for what is no IKE message."""
        if datagram.kind is _IKE:
            return self._take_message(datagram)
        if datagram.kind is DatagramKind.KEEPALIVE:
            self._take_keepalive(datagram)
        elif datagram.icmp is not None and datagram.icmp.quoted.kind is DatagramKind.IKE:
            self._take_icmp(datagram, datagram.icmp.quoted, datagram.icmp.description)
        return None

    def finish(self) -> None:
        """Draw conclusions from what was seen, and tell what the limits left out. Further calls change nothing."""
        if self._is_finished:
            return
        self._is_finished = True
        tracks = self._table.tracks()
        self._spread_keepalives(tracks)
        conclusions.conclude(tracks)
        self._tell_limits()
        self._notices.close()

    # Messages

    def _take_message(self, datagram: Datagram) -> MessageRecord | None:
        octets = datagram.payload
        clear = glance(octets)
        try:
            message = parse_ike(octets) if clear is None else read_head(octets)
        except WireError as error:
            self._notices.add(Notice(error.slug, f"no IKE message: {error}", datagram.frame, error.offset))
            return None
        record = MessageRecord(datagram)
        whole = self._whole(record, message) if message.major == 1 else message
        track = self._find(datagram, message, record)
        for notice in message.notices:
            # The capture's snap length is no fault of the message.
            if not datagram.truncated:
                self._notices.add(Notice(notice.slug, notice.message, datagram.frame, notice.offset))
        if track is None:
            self._messages.add(record)
            return record
        if self._messages.add(record) and not track.is_proven:
            track.records.append(record)
        self._note_place(track, record)
        self._relate(track, record, message, whole, clear)
        return record

    def _whole(self, record: MessageRecord, message: IkeMessage) -> IkeMessage | None:
        """The message that an IKEv1 datagram completes: itself, or with its last fragment all; None for other ones."""
        if message.next_payload != _FRAGMENT_V1:
            return message
        datagram = record.datagram
        octets = self._cisco.add(message, (datagram.source, datagram.source_port))
        if octets is None:
            return None
        try:
            whole = parse_ike(octets)
        except WireError as error:
            self._notices.add(Notice(error.slug, f"reassembled fragments: {error}", datagram.frame, error.offset))
            return None
        if whole.major != 1 or whole.next_payload == _FRAGMENT_V1:
            self._notices.add(Notice("malformed", "reassembled fragments hold no IKEv1 message", datagram.frame))
            return None
        record.hold(whole)
        record.notes.append("last fragment: the message is complete")
        return whole

    def _find(self, datagram: Datagram, message: IkeMessage, record: MessageRecord) -> Track | None:
        """The IKE SA of a message, made if need be; sets who sent the message."""
        spi_i, spi_r = message.spi_i, message.spi_r
        if message.major > 2:
            return None
        if not spi_i:
            # RFC 7296 §3.1: "This value MUST NOT be zero."
            told = "the initiator's SPI is zero: the message belongs to no IKE SA"
            self._notices.add(Notice("zero-spi", told, datagram.frame, 0))
            return None
        table = self._table
        is_v2 = message.major == 2
        if is_v2:
            record.is_response = bool(message.flags & _RESPONSE)
            # The flag I is not to be trusted before there is an IKE SA: who asks first is the initiator.
            is_initial = message.exchange_type in INITIAL_V2
            record.from_initiator = not record.is_response if is_initial else bool(message.flags & _INITIATOR)
        else:
            is_initial = message.exchange_type in PHASE1_V1
        track = table.by_pair(spi_i, spi_r) if spi_r else None
        if track is None:
            track = self._find_unbound(datagram, message, record)
        elif not is_v2:
            record.from_initiator = _is_from_initiator(track.sa, datagram)
        if track is None:
            # Main mode's second message has the SA payload first, so has IKE_SA_INIT's response.
            is_answer = record.is_response is True if is_v2 else message.next_payload == _SA_V1
            is_late = not is_initial or (spi_r != 0 and not is_answer)
            if not is_v2 and not is_late:
                record.from_initiator = spi_r == 0
            from_initiator = record.from_initiator is not False
            version = _VERSIONS[message.major]
            track = table.new(datagram, version, spi_i, spi_r, from_initiator=from_initiator, late=is_late)
        return track

    def _find_unbound(self, datagram: Datagram, message: IkeMessage, record: MessageRecord) -> Track | None:
        """The attempt that a message with a yet unknown pair of SPIs belongs to."""
        table = self._table
        spi_i, spi_r = message.spi_i, message.spi_r
        if message.major == 2:
            client = datagram.source if record.from_initiator else datagram.destination
            track = table.by_first(spi_i, client)
            if track is None and not spi_r and record.from_initiator and message.exchange_type in INITIAL_V2:
                track = table.retried(datagram.source, datagram.destination, datagram.time_ns)
                if track is not None:
                    table.rename(track, spi_i)
        else:
            track, record.from_initiator = table.by_first(spi_i, datagram.source), True
            if track is None or (spi_r and track.sa.responder.address == datagram.source):
                track, record.from_initiator = table.by_first(spi_i, datagram.destination), False
            if track is None:
                record.from_initiator = None
        if track is None or track.sa.version != _VERSIONS[message.major]:
            return None
        if not spi_r:
            # The same SPI for another offer, though the first was taken: a new attempt.
            if track.was_answered and record.from_initiator and not is_repeated_offer(track, message, datagram.payload):
                return None
            return track
        bound = track.spi_pair[1]
        # Two responders to one offer (anycast, an attack): the second one's IKE SA is another.
        if bound and bound != spi_r:
            return None
        table.bind(track, spi_r)
        return track

    def _note_place(self, track: Track, record: MessageRecord) -> None:
        """Count the message, and note where its sender is now."""
        sa, datagram = track.sa, record.datagram
        record.ike_sa = sa
        sa.messages += 1
        track.previous_ns = sa.last_time_ns
        sa.last_time_ns = datagram.time_ns
        if len(sa.frames) < FRAMES:
            sa.frames.append(datagram.frame)
        if datagram.encapsulation is not _PLAIN:
            sa.encapsulation = datagram.encapsulation
        if record.from_initiator is None:
            return
        peer = sa.initiator if record.from_initiator else sa.responder
        if peer.moves or peer.port != datagram.source_port or peer.address != datagram.source:
            _note_move(peer, datagram)

    def _relate(
        self, track: Track, record: MessageRecord, message: IkeMessage, whole: IkeMessage | None, clear: Clear | None
    ) -> None:
        sa = track.sa
        kind = message.major << 8 | message.exchange_type
        name = self._names.get(kind)
        if name is None:
            name = self._names[kind] = message.exchange_name
        sa.exchange_counts[name] = sa.exchange_counts.get(name, 0) + 1
        if message.major == 1:
            if whole is not message:
                sa.fragmentation = True
            if whole is None:
                return
            pending = match_v1(track, record, whole, name)
            encrypted = None
            is_encrypted = whole.is_encrypted
        else:
            last = message.payloads[-1] if message.payloads else None
            encrypted = last if isinstance(last, EncryptedPayload) else None
            is_encrypted = encrypted is not None
            fragment = encrypted if isinstance(encrypted, EncryptedFragmentPayload) else None
            pending = match_v2(track, record, message, name, fragment, self._tell)
            if fragment is not None:
                sa.fragmentation = True
                note_fragment(pending, message, fragment, record.datagram.frame, self._fragments)
            whole = message
        if record.retransmission_of is None:
            note_activity(track, record, whole, pending, encrypted)
            if not is_encrypted or len(whole.payloads) > 1:
                if clear is None:
                    clear = read_clear(whole, record.datagram.payload if whole is message else whole.to_bytes())
                self._negotiation.read(track, record, whole, clear)
        if is_encrypted and not track.is_proven:
            self._note_encrypted(track, record)

    def _note_encrypted(self, track: Track, record: MessageRecord) -> None:
        if record.from_initiator is None:
            # IKEv1 seen from its middle: the two addresses stand for the sides.
            side = 1 if record.datagram.source == track.sa.initiator.address else 2
        else:
            side = 1 if record.from_initiator else 2
        track.encrypted_sides |= side
        if track.encrypted_sides == 3:
            self._table.prove(track)
            track.records.clear()

    # What is no message

    def _take_keepalive(self, datagram: Datagram) -> None:
        key = (datagram.source, datagram.source_port, datagram.destination)
        if key in self._keepalives or len(self._keepalives) < self._conversations:
            self._keepalives[key] = self._keepalives.get(key, 0) + 1

    def _spread_keepalives(self, tracks: list[Track]) -> None:
        """Give keepalives to the newest IKE SA whose peer was seen where they come from (RFC 3948 §2.3)."""
        if not self._keepalives:
            return
        newest: dict[tuple[str, int, str], IkeSa] = {}
        for track in tracks:
            sa = track.sa
            for address, port in _places(sa.initiator):
                for other, other_port in _places(sa.responder):
                    newest[address, port, other] = newest[other, other_port, address] = sa
        for (source, source_port, destination), count in self._keepalives.items():
            owner = newest.get((source, source_port, destination))
            if owner is not None:
                owner.nat_keepalives += count

    def _take_icmp(self, datagram: Datagram, quoted: Datagram, description: str) -> None:
        if len(quoted.payload) < 16:
            return
        spi_i, spi_r = int.from_bytes(quoted.payload[:8]), int.from_bytes(quoted.payload[8:16])
        track = self._table.by_pair(spi_i, spi_r) if spi_r else None
        track = track or self._table.by_first(spi_i, quoted.source) or self._table.by_first(spi_i, quoted.destination)
        if track is not None and len(track.sa.icmp_errors) < LISTED:
            track.sa.icmp_errors += ((datagram.frame, description),)

    # Telling

    def _tell(self, track: Track, bit: int, slug: str, message: str, frame: int) -> None:
        if not track.told & bit:
            track.told |= bit
            self._notices.add(Notice(slug, f"{track.sa.id}: {message}", frame))

    def _tell_limits(self) -> None:
        table, messages = self._table, self._messages
        attempts = "IKE SAs that never got past their first exchange were dropped, the oldest first"
        facts = (
            ("half-open-limit", table.dropped, f"{attempts}, with {messages.dropped} messages (limit: half_open)"),
            ("ike-sa-limit", table.refused, "messages belong to IKE SAs beyond the limit (ike_sas)"),
            ("message-limit", messages.left_out, "IKE messages are not listed (limits: messages, message_octets)"),
            ("fragment-limit", self._cisco.dropped, "fragmented IKEv1 messages were dropped before they were complete"),
            (
                "fragment-limit",
                self._fragments.dropped_sets,
                "fragmented IKEv2 messages were forgotten before they were complete",
            ),
        )
        for slug, count, text in facts:
            if count:
                self._notices.add(Notice(slug, f"{count} {text}"))


def _is_from_initiator(sa: IkeSa, datagram: Datagram) -> bool | None:
    """Which side of an IKEv1 SA sent a datagram: IKEv1 headers do not say it, addresses do."""
    if sa.started_late:
        return None
    initiator, responder = _place(sa.initiator), _place(sa.responder)
    if initiator[0] != responder[0]:
        for address, answer in ((datagram.source, True), (datagram.destination, False)):
            if address == initiator[0]:
                return answer
            if address == responder[0]:
                return not answer
    return datagram.source_port == initiator[1]


def _place(peer: Peer) -> tuple[str, int]:
    """Where a peer was seen last."""
    if peer.moves:
        _, address, port = peer.moves[-1]
        return address, port
    return peer.address, peer.port


def _places(peer: Peer) -> list[tuple[str, int]]:
    """The first sixteen places where a peer was seen."""
    return [(peer.address, peer.port), *((address, port) for _, address, port in peer.moves[:15])]


def _note_move(peer: Peer, datagram: Datagram) -> None:
    """Note where a peer is, unless it was there already when last seen."""
    if _place(peer) != (datagram.source, datagram.source_port) and len(peer.moves) < LISTED:
        peer.moves += ((datagram.frame, datagram.source, datagram.source_port),)
