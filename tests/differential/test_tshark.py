"""Our reading of every shipped capture equals tshark's, frame by frame and field by field.

Left out is what tshark 4.0 cannot see (RFC 9329) and messages that the snap length cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

import ipsecanalyze
from ipsecanalyze import Datagram


def is_ike(row) -> bool:
    return row.kind == "ike"


def ours(path: Path) -> Iterable[Datagram]:
    """The datagrams of a capture by the general reader (not the scanner)."""
    with ipsecanalyze.open_capture(path) as capture:
        yield from ipsecanalyze.datagrams(capture)


seen_by_tshark = pytest.mark.captures(where=lambda c: not c.tcp)
whole_messages = pytest.mark.captures(where=lambda c: not c.tcp and c.scenario != "v2-snap96-a")


@seen_by_tshark
def test_protected_packets(capture_file, tshark):
    """Frame, time, addresses, SPI, sequence number and length of every ESP and AH packet."""
    expected = []
    for row in tshark(capture_file.path):
        if row.kind in {"esp", "ah"}:
            udp = 8 if row.texts("udp.srcport") and row.kind == "esp" else 0
            spi, number = row.numbers(f"{row.kind}.spi")[0], row.numbers(f"{row.kind}.sequence")[0]
            expected.append(
                (row.frame, row.time_ns, row.kind, row.source, row.destination, spi, number, row.ip_payload - udp)
            )
    found = []
    for d in ours(capture_file.path):
        if d.kind in {"esp", "ah"}:
            at = 0 if d.kind == "esp" else 4
            spi, number = int.from_bytes(d.payload[at : at + 4]), int.from_bytes(d.payload[at + 4 : at + 8])
            found.append((d.frame, d.time_ns, str(d.kind), d.source, d.destination, spi, number, d.length))
    assert found == expected


def naive_sequence_facts(numbers: list[int]) -> dict[str, int]:
    """The definitions, written down as plainly as possible (RFC 4737 §3.3 for reordering)."""
    seen: set[int] = set()
    duplicates = reordered = 0
    highest = -1
    for number in numbers:
        if number in seen:
            duplicates += 1
        elif number < highest:
            reordered += 1
        seen.add(number)
        highest = max(highest, number)
    return {
        "packets": len(numbers),
        "first_sequence": numbers[0],
        "last_sequence": numbers[-1],
        "highest_sequence": highest,
        "unique": len(seen),
        "lost": max(seen) - min(seen) + 1 - len(seen),
        "duplicates": duplicates,
        "reordered": reordered,
    }


@seen_by_tshark
def test_flows(capture_file, tshark, summary_of):
    """All statistics of every flow, recomputed from what tshark printed."""
    packets = defaultdict(list)
    for row in tshark(capture_file.path):
        if row.kind in {"esp", "ah"}:
            encapsulation = "udp" if row.texts("udp.srcport") and row.kind == "esp" else "none"
            spi = row.numbers(f"{row.kind}.spi")[0]
            packets[row.kind.upper(), row.source, row.destination, f"{spi:08x}", encapsulation].append(row)
    flows = {
        (flow["protocol"], flow["source"], flow["destination"], flow["spi"], flow["encapsulation"]): flow
        for flow in summary_of(capture_file)["flows"]
    }
    assert flows.keys() == packets.keys()
    for key, rows in packets.items():
        kind, flow = key[0].lower(), flows[key]
        expected = naive_sequence_facts([row.numbers(f"{kind}.sequence")[0] for row in rows])
        expected["octets"] = sum(row.ip_payload for row in rows) - 8 * len(rows) * (key[4] == "udp")
        expected["first_time_ns"] = min(row.time_ns for row in rows)
        expected["last_time_ns"] = max(row.time_ns for row in rows)
        assert {name: flow[name] for name in expected} == expected, key


@seen_by_tshark
def test_counts(capture_file, tshark, summary_of):
    rows = tshark(capture_file.path)
    (capture,) = summary_of(capture_file)["captures"]
    counts = capture["counts"]
    for kind in ("ike", "esp", "ah"):
        assert counts[kind] == sum(row.kind == kind for row in rows), kind
    keepalives = [row for row in rows if row.texts("udpencap.nat_keepalive")]
    assert counts["nat_keepalive"] == len(keepalives)


def header_fields(message) -> tuple[int, ...]:
    return (
        message.spi_i,
        message.spi_r,
        message.major << 4 | message.minor,
        int(message.exchange_type),
        message.flags,
        message.message_id,
        message.length,
    )


def tshark_header_fields(row, which: int) -> tuple[int, ...]:
    """Of a message in IKEv1 fragments, tshark shows the last fragment first, then the whole."""
    names = ("version", "exchangetype", "flags", "messageid", "length")
    spis = [int(row.texts(f"isakmp.{name}")[which], 16) for name in ("ispi", "rspi")]
    return (*spis, *(row.numbers(f"isakmp.{name}")[which] for name in names))


@whole_messages
def test_ike_headers(capture_file, tshark, analysis_of):
    """Every field of the IKE header of every message, on the wire and reassembled, and where it was seen."""
    rows = [row for row in tshark(capture_file.path) if is_ike(row)]
    records = analysis_of(capture_file).messages
    assert [
        (d.frame, d.time_ns, d.source, d.destination, d.source_port, d.destination_port)
        for d in (record.datagram for record in records)
    ] == [
        (row.frame, row.time_ns, row.source, row.destination, *row.numbers("udp.srcport"), *row.numbers("udp.dstport"))
        for row in rows
    ]
    for row, record in zip(rows, records, strict=True):
        wire = ipsecanalyze.parse_ike(record.datagram.payload)
        assert header_fields(wire) == tshark_header_fields(row, 0), row.frame
        assert header_fields(record.message) == tshark_header_fields(row, -1), row.frame


def payloads_of(message, label: str) -> list[Any]:
    return [payload for payload in message.payloads if payload.label == label]


def transforms_of(message) -> list[Any]:
    return [t for sa in payloads_of(message, "SA") for p in sa.proposals for t in p.transforms]


def attribute_numbers(message, number: int) -> list[int]:
    """The values of an IKEv1 attribute in all transforms."""
    return [
        a.value if isinstance(a.value, int) else int.from_bytes(a.value)
        for t in transforms_of(message)
        for a in t.attributes
        if a.type == number
    ]


def of_type(number: int) -> Callable[[Any], list[int]]:
    return lambda message: [int(t.id) for t in transforms_of(message) if t.type == number] if message.is_v2 else []


def v1(number: int) -> Callable[[Any], list[int]]:
    return lambda message: attribute_numbers(message, number) if message.is_v1 else []


#: tshark's field → the same from our message. IKEv1's attribute numbers are those of RFC 2409 Appendix A.
COMPARED: dict[str, Callable[[Any], list[int]]] = {
    "isakmp.notify.msgtype": lambda m: [int(p.notify_type) for p in payloads_of(m, "N")],
    "isakmp.notify.protoid": lambda m: [int(p.protocol) for p in payloads_of(m, "N")],
    "isakmp.key_exchange.dh_group": lambda m: [int(p.group) for p in payloads_of(m, "KE")] if m.is_v2 else [],
    "isakmp.prop.number": lambda m: [p.number for sa in payloads_of(m, "SA") for p in sa.proposals],
    "isakmp.prop.protoid": lambda m: [int(p.protocol) for sa in payloads_of(m, "SA") for p in sa.proposals],
    "isakmp.tf.type": lambda m: [int(t.type) for t in transforms_of(m)] if m.is_v2 else [],
    "isakmp.tf.id.encr": of_type(1),
    "isakmp.tf.id.prf": of_type(2),
    "isakmp.tf.id.integ": of_type(3),
    "isakmp.tf.id.dh": of_type(4),
    "isakmp.tf.id.esn": of_type(5),
    "isakmp.ike2.attr.key_length": lambda m: [t.key_length for t in transforms_of(m) if m.is_v2 and t.key_length],
    "isakmp.trans.number": lambda m: [t.number for t in transforms_of(m)] if m.is_v1 else [],
    "isakmp.trans.id": lambda m: [int(t.id) for t in transforms_of(m)] if m.is_v1 else [],
    "isakmp.ike.attr.encryption_algorithm": v1(1),
    "isakmp.ike.attr.hash_algorithm": v1(2),
    "isakmp.ike.attr.authentication_method": v1(3),
    "isakmp.ike.attr.group_description": v1(4),
    "isakmp.ike.attr.life_duration": v1(12),
    "isakmp.ike.attr.key_length": v1(14),
    "isakmp.frag.number": lambda m: [p.fragment_number for p in payloads_of(m, "SKF")],
    "isakmp.frag.total": lambda m: [p.total_fragments for p in payloads_of(m, "SKF")],
}


@whole_messages
def test_ike_payloads(capture_file, tshark, analysis_of):
    """Payload types and lengths, notifies, proposals, transforms, groups, nonces, vendor IDs of every message."""
    rows = {row.frame: row for row in tshark(capture_file.path) if is_ike(row)}
    for record in analysis_of(capture_file).messages:
        row, message = rows[record.datagram.frame], record.message
        if message.is_v1 and message.is_encrypted:
            assert row.texts("isakmp.typepayload") in ([], ["132"])
            continue
        where = f"frame {row.frame}"
        for field, value in COMPARED.items():
            assert value(message) == row.numbers(field), f"{where}: {field}"
        # tshark lists proposals (2) and transforms (3) among the payloads.
        listed = zip(row.numbers("isakmp.typepayload"), row.numbers("isakmp.payloadlength"), strict=True)
        payloads = [(int(p.type), 4 + len(p.body())) for p in message.payloads]
        assert payloads == [pair for pair in listed if pair[0] not in {2, 3}], where
        assert [p.data.hex() for p in payloads_of(message, "V")] == row.texts("isakmp.vid_bytes"), where
        nonces = payloads_of(message, "Ni") + payloads_of(message, "Nr") + payloads_of(message, "Nonce")
        assert [p.data.hex() for p in nonces] == row.texts("isakmp.nonce"), where


@pytest.mark.captures(where=lambda c: c.scenario == "v2-pq-mlkem-a")
def test_unknown_transform_types(capture_file, tshark, analysis_of):
    """tshark 4.0 has no name for additional key exchanges, but shows their numbers."""
    rows = {row.frame: row for row in tshark(capture_file.path) if is_ike(row)}
    for record in analysis_of(capture_file).messages:
        numbers = [int(t.id) for t in transforms_of(record.message) if t.type > 5]
        assert numbers == rows[record.datagram.frame].numbers("isakmp.tf.id")


@seen_by_tshark
def test_every_message_is_written_back(capture_file, analysis_of):
    for record in analysis_of(capture_file).messages:
        wire = ipsecanalyze.parse_ike(record.datagram.payload)
        assert wire.to_bytes() == record.datagram.payload, record.datagram.frame


def test_merged_interfaces(all_captures, tshark, summary_of):
    """The merged capture holds the same tunnels, each packet once per place that it passed."""
    (capture,) = [c for c in all_captures if c.name == "wan-all.pcapng"]
    summary = summary_of(capture)
    assert len(summary["captures"][0]["link_types"]) >= 1
    rows = [row for row in tshark(capture.path) if is_ike(row)]
    initiators = {key for key, _ in groupby(sorted(row.texts("isakmp.ispi")[0] for row in rows))}
    assert {sa["initiator"]["spi"] for sa in summary["ike_sas"]} == initiators
