"""Entries for IKE SAs, their exchanges and peers, and for Child SAs."""

from __future__ import annotations

from typing import Literal, cast

from ipsecanalyze.sa.records import Algorithm, ChildSa, Exchange, IkeSa, NotifySeen, Peer
from ipsecanalyze.shapes import (
    AlgorithmEntry,
    ChildSaEntry,
    ExchangeEntry,
    IkeSaEntry,
    NotifyEntry,
    PeerEntry,
)

__all__ = ["child_sa_entry", "esp_spi", "ike_sa_entry", "ike_spi"]


def ike_spi(spi: int) -> str:
    """An IKE SPI as 16 hexadecimal digits."""
    return f"{spi:016x}"


def esp_spi(spi: int | None) -> str | None:
    """An ESP or AH SPI as 8 hexadecimal digits."""
    return None if spi is None else f"{spi:08x}"


def ike_sa_entry(sa: IkeSa) -> IkeSaEntry:
    """The entry for an IKE SA."""
    return {
        "id": sa.id,
        "version": cast("Literal['1.0', '2.0']", sa.version),
        "mode": None if sa.mode is None else sa.mode.value,
        "state": sa.state.value,
        "certainty": sa.certainty.value,
        "reason": sa.reason,
        "started_late": sa.started_late,
        "outcome": sa.outcome,
        "initiator": _peer(sa.initiator),
        "responder": _peer(sa.responder),
        "offered": [[_algorithm(algorithm) for algorithm in proposal] for proposal in sa.offered],
        "chosen": [_algorithm(algorithm) for algorithm in sa.chosen],
        "authentication": {"initiator": sa.authentication_initiator, "responder": sa.authentication_responder},
        "encapsulation": sa.encapsulation.value,
        "fragmentation": sa.fragmentation,
        "messages": sa.messages,
        "retransmissions": sa.retransmissions,
        "exchanges": dict(sa.exchange_counts),
        "exchange_log": [_exchange(exchange) for exchange in sa.exchanges],
        "notifies": list(dict.fromkeys(notify.name for notify in sa.notifies)),
        "notify_log": [_notify(notify) for notify in sa.notifies],
        "cookie_rounds": sa.cookie_rounds,
        "invalid_ke_rounds": list(sa.invalid_ke_rounds),
        "child_exchanges": sa.child_exchanges,
        "frames": list(sa.frames),
        "icmp_errors": [{"frame": frame, "description": description} for frame, description in sa.icmp_errors],
        "lifetime_seconds": sa.lifetime_seconds,
        "lifetime_kilobytes": sa.lifetime_kilobytes,
        "nat_keepalives": sa.nat_keepalives,
        "first_time_ns": sa.first_time_ns,
        "last_time_ns": sa.last_time_ns,
        "established_time_ns": sa.established_ns,
        "closed_time_ns": sa.closed_ns,
        "rekeys": sa.rekeys,
        "children": list(sa.children),
        "decrypted": sa.decrypted,
    }


def child_sa_entry(child: ChildSa) -> ChildSaEntry:
    """The entry for a Child SA."""
    return {
        "id": child.id,
        "ike_sa": child.ike_sa,
        "protocol": cast("Literal['ESP', 'AH']", child.protocol),
        "mode": cast("Literal['tunnel', 'transport', 'beet'] | None", child.mode),
        "initiator_spi": esp_spi(child.initiator_spi),
        "responder_spi": esp_spi(child.responder_spi),
        "chosen": [_algorithm(algorithm) for algorithm in child.chosen],
        "esn": child.esn,
        "traffic_selectors": {
            "initiator": list(child.selectors_initiator),
            "responder": list(child.selectors_responder),
        },
        "rekeys": child.rekeys,
        "certainty": child.certainty.value,
    }


def _algorithm(algorithm: Algorithm) -> AlgorithmEntry:
    return {
        "type": algorithm.type,
        "id": algorithm.id,
        "name": algorithm.name,
        "key_length": algorithm.key_length,
    }


def _peer(peer: Peer) -> PeerEntry:
    return {
        "address": peer.address,
        "port": peer.port,
        "spi": ike_spi(peer.spi),
        "identity": peer.identity,
        "vendor_ids": list(peer.vendor_ids),
        "vendor_id_data": [data.hex() for data in peer.vendor_id_data],
        "behind_nat": peer.behind_nat,
        "nat_source_match": peer.nat_source_match,
        "nat_destination_match": peer.nat_destination_match,
        "nonce_length": peer.nonce_length,
        "key_exchange_groups": list(peer.key_exchange_groups),
        "moves": [{"frame": frame, "address": address, "port": port} for frame, address, port in peer.moves],
        "fingerprint": peer.fingerprint,
    }


def _notify(notify: NotifySeen) -> NotifyEntry:
    return {
        "frame": notify.frame,
        "type": notify.type,
        "name": notify.name,
        "is_error": notify.is_error,
        "from_initiator": notify.from_initiator,
        "data": notify.data,
    }


def _exchange(exchange: Exchange) -> ExchangeEntry:
    return {
        "exchange_type": exchange.exchange_type,
        "name": exchange.name,
        "message_id": exchange.message_id,
        "initiated_by": "initiator" if exchange.initiated_by_initiator else "responder",
        "requests": list(exchange.requests),
        "responses": list(exchange.responses),
        "first_time_ns": exchange.first_time_ns,
        "last_time_ns": exchange.last_time_ns,
        "round_trip_ns": exchange.round_trip_ns,
        "retransmissions": exchange.retransmissions,
        "retransmission_times_ns": list(exchange.retransmission_times_ns),
        "fragments_expected": exchange.fragments_expected,
        "fragments_seen": exchange.fragments_seen,
    }
