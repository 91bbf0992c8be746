"""Entries for IKE messages, their payloads and the fields inside."""

from __future__ import annotations

from dataclasses import replace

from ipsecanalyze.documents.captures import warning_entry
from ipsecanalyze.documents.sas import ike_spi
from ipsecanalyze.ike.payloads.base import Payload, TreeLine
from ipsecanalyze.ike.payloads.notify import NotifyPayload
from ipsecanalyze.ike.payloads.raw import MalformedPayload
from ipsecanalyze.sa.records import MessageRecord
from ipsecanalyze.shapes import MessageEntry, PayloadEntry, TreeEntry

__all__ = ["message_entry"]


def message_entry(record: MessageRecord, *, tree: bool) -> MessageEntry:
    """The entry for a message, with all fields of its payloads if `tree`."""
    datagram, message = record.datagram, record.message
    entry: MessageEntry = {
        "capture": datagram.capture,
        "frame": datagram.frame,
        "time_ns": datagram.time_ns,
        "source": datagram.source,
        "source_port": datagram.source_port,
        "destination": datagram.destination,
        "destination_port": datagram.destination_port,
        "encapsulation": datagram.encapsulation.value,
        "certainty": "inferred" if datagram.inferred else "observed",
        "ike_sa": None if record.ike_sa is None else record.ike_sa.id,
        "version": message.version_text,
        "initiator_spi": ike_spi(message.spi_i),
        "responder_spi": ike_spi(message.spi_r),
        "exchange_type": int(message.exchange_type),
        "exchange": message.exchange_name,
        "flags": message.flags,
        "message_id": message.message_id,
        "length": message.length,
        "encrypted": message.is_encrypted,
        "from_initiator": record.from_initiator,
        "is_response": record.is_response,
        "retransmission_of": record.retransmission_of,
        "response_to": record.response_to,
        "round_trip_ns": record.round_trip_ns,
        "payloads": [*_payloads(message.payloads), *_payloads(record.opened or (), opened=True)],
        "notes": list(record.notes),
        "warnings": [warning_entry(notice) for notice in message.notices],
    }
    if tree:
        entry["tree"] = _tree(record)
    return entry


def _payloads(payloads: tuple[Payload, ...], *, opened: bool = False) -> list[PayloadEntry]:
    return [
        {
            "type": int(payload.type),
            "label": payload.name,
            "offset": payload.offset,
            "opened": opened,
            "critical": payload.critical,
            "summary": payload.summary,
            "is_error": _is_error(payload),
        }
        for payload in payloads
    ]


def _is_error(payload: Payload) -> bool:
    if isinstance(payload, NotifyPayload):
        return payload.is_error
    return isinstance(payload, MalformedPayload)


def _tree(record: MessageRecord) -> list[TreeEntry]:
    lines = record.message.describe()
    if record.opened is not None:
        lines.append(TreeLine(0, "opened", f"{len(record.opened)} payloads inside", 0))
        for payload in record.opened:
            lines += [replace(line, level=line.level + 1) for line in payload.describe()]
    return [{"offset": line.offset, "name": line.name, "value": line.value, "level": line.level} for line in lines]
