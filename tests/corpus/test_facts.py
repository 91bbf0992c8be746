"""Counts, sequences and times of every shipped capture equal what tshark read from the original.

`expected.json` is the truth but for what tshark cannot know: it counts packets quoted in ICMP errors as packets of
their own (`QUOTED`), and sees nothing in RFC 9329 streams (tests/corpus/test_tcp.py).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ipsecanalyze import parse_ike

ROUTER = "192.0.2.254"
#: ICMP errors about IPsec: (ESP packets, IKE messages) that they quote.
QUOTED = {"v2-espfrag-a/wan-moon.pcap": (4, 0), "v2-mobike-a": (0, 2)}

SEQUENCE_FIELDS = {
    "packets": "packets",
    "unique": "distinct_seq",
    "duplicates": "duplicate_packets",
    "lost": "missing_between_min_and_max",
    "highest_sequence": "max_seq",
    "first_sequence": "first_seq",
    "last_sequence": "last_seq",
    "first_time_ns": "first_time",
    "last_time_ns": "last_time",
}


def nanoseconds(text: str) -> int:
    """Seconds with nine decimals, as tshark prints them."""
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def truth(capture_file) -> dict[str, Any]:
    """The part of `expected.json` about this file."""
    return capture_file.expected if capture_file.main else capture_file.expected["other_captures"][capture_file.name]


# The capture merged from others is compared with tshark in tests/differential.
known = pytest.mark.captures(where=lambda c: not c.tcp and c.name != "wan-all.pcapng")
known_ike = pytest.mark.captures(where=lambda c: not c.tcp and c.main)


def flow_key(protocol: str, row: dict[str, Any]) -> tuple[str, int, str, str]:
    return protocol, int(row["spi"], 16), row["src"], row["dst"]


def expected_flows(facts: dict[str, Any]) -> dict[tuple[str, int, str, str], dict[str, Any]]:
    rows = [("ESP", row) for row in facts["esp_per_spi"]] + [("AH", row) for row in facts.get("ah_per_spi", [])]
    return {flow_key(protocol, row): row for protocol, row in rows if row["src"] != ROUTER}


@known
def test_capture(capture_file, summary_of):
    facts = truth(capture_file)
    (capture,) = summary_of(capture_file)["captures"]
    assert capture["packets"] == facts["frames"]
    assert capture["format"] == ("pcapng" if capture_file.name.endswith("pcapng") else "pcap")
    if capture_file.main:
        assert capture["octets"] == facts["bytes"]
        assert capture["first_time_ns"] == nanoseconds(facts["first_time"])
        assert capture["last_time_ns"] == nanoseconds(facts["last_time"])


@known
def test_counts(capture_file, summary_of):
    facts = truth(capture_file)
    protocols = facts["frames_per_protocol"]
    quoted_esp, quoted_ike = QUOTED.get(str(capture_file), (0, 0))
    (capture,) = summary_of(capture_file)["captures"]
    counts = capture["counts"]
    assert counts["ike"] == protocols.get("isakmp", 0) - quoted_ike
    assert counts["esp"] == protocols.get("esp", 0) - quoted_esp
    assert counts["ah"] == protocols.get("ah", 0)
    assert counts["icmp_error"] == quoted_esp + quoted_ike
    assert counts["malformed"] == 0
    if capture_file.main:
        assert counts["nat_keepalive"] == protocols.get("nat-keepalive (udpencap only)", 0)


# (A TCP segment may carry several messages.)
@pytest.mark.captures(where=lambda c: not c.tcp)
def test_every_packet_is_counted_once(capture_file, summary_of):
    (capture,) = summary_of(capture_file)["captures"]
    assert sum(capture["counts"].values()) == capture["packets"]


def test_nothing_is_complained_about(capture_file, summary_of):
    """Healthy files give no warnings; where the snap length cut IKE, that is told."""
    (capture,) = summary_of(capture_file)["captures"]
    slugs = {warning["slug"] for warning in capture["warnings"]}
    if capture_file.scenario == "v2-snap96-a":
        assert all("truncated" in slug for slug in slugs), slugs
    else:
        assert slugs == set()


@known
def test_flows(capture_file, summary_of):
    expected = expected_flows(truth(capture_file))
    flows = {flow_key(flow["protocol"], {**flow, "src": flow["source"], "dst": flow["destination"]}): flow
             for flow in summary_of(capture_file)["flows"]}  # fmt: skip
    assert flows.keys() == expected.keys()
    for key, row in expected.items():
        flow = flows[key]
        for ours, theirs in SEQUENCE_FIELDS.items():
            if theirs in row:
                value = row[theirs]
                assert flow[ours] == (nanoseconds(value) if theirs.endswith("time") else value), (key, ours)
        if "udp" in row and key[0] == "ESP":  # of AH, it tells of the UDP inside
            assert flow["encapsulation"] == ("udp" if row["udp"] else "none"), key
        if "min_seq" in row:
            assert flow["highest_sequence"] - flow["unique"] - flow["lost"] + 1 == row["min_seq"], key


@pytest.mark.captures(where=lambda c: bool(c.meta.get("spis")))
def test_spis_are_those_of_the_kernel(capture_file, summary_of):
    """Every SPI that was seen had been installed, and belongs to the protocol that was configured."""
    installed = {(row["proto"].upper(), int(row["spi"], 16)) for row in capture_file.meta["spis"]}
    seen = {(flow["protocol"], int(flow["spi"], 16)) for flow in summary_of(capture_file)["flows"]}
    assert seen <= installed


@known_ike
def test_messages(capture_file, analysis_of):
    """Each IKE message: frame, time, sender, SPIs, exchange, message ID, flags."""
    facts = truth(capture_file)
    expected = [
        (row["frame"], nanoseconds(row["time"]), row["src"], int(row["message_id"], 16), int(row["flags"], 16))
        for row in facts["ike_messages"]
        if row["src"] != ROUTER
    ]
    records = analysis_of(capture_file).messages
    # What is on the wire: of a message in IKEv1 fragments, the records hold the whole at its last fragment.
    wire = [(record.datagram, parse_ike(record.datagram.payload)) for record in records]
    assert [(d.frame, d.time_ns, d.source, message.message_id, message.flags) for d, message in wire] == expected
    pairs = Counter(f"{r.message.spi_i:016x}/{r.message.spi_r:016x}" for r in records)
    quoted = sum(facts["ike_spi_pairs"].values()) - pairs.total()
    assert quoted == QUOTED.get(str(capture_file), (0, 0))[1]
    assert not pairs - Counter(facts["ike_spi_pairs"])


EXCHANGE_NUMBERS = {
    "Identity Protection (Main Mode)": 2,
    "Aggressive": 4,
    "Informational": 5,
    "Transaction": 6,
    "Quick Mode": 32,
    "IKE_SA_INIT": 34,
    "IKE_AUTH": 35,
    "CREATE_CHILD_SA": 36,
    "INFORMATIONAL": 37,
    "IKE_INTERMEDIATE": 43,
}


@known_ike
def test_exchanges(capture_file, analysis_of, summary_of):
    """Exchange types of all messages, and the sums over all IKE SAs."""
    facts = truth(capture_file)
    expected: Counter[int] = Counter()
    for row in facts["ike_messages"]:
        if row["src"] != ROUTER:
            name = row["exchange"].removesuffix(" request").removesuffix(" response")
            expected[EXCHANGE_NUMBERS[name]] += 1
    records = analysis_of(capture_file).messages
    assert Counter(record.message.exchange_type for record in records) == expected
    names = {record.message.exchange_name: record.message.exchange_type for record in records}
    totals: Counter[int] = Counter()
    for sa in summary_of(capture_file)["ike_sas"]:
        assert sum(sa["exchanges"].values()) == sa["messages"]
        for name, count in sa["exchanges"].items():
            totals[names[name]] += count
    assert totals == expected


# tshark lists no payloads of messages that were cut.
@pytest.mark.captures(where=lambda c: not c.tcp and c.main and c.scenario != "v2-snap96-a")
def test_clear_payloads_and_notifies(capture_file, analysis_of):
    """Payload types of messages in the clear, and the envelope of the others.

    tshark lists proposals and transforms among payloads; `notify_cleartext` is absent for opened messages.
    """
    facts = truth(capture_file)
    rows = {row["frame"]: row for row in facts["ike_messages"]}
    for record in analysis_of(capture_file).messages:
        row = rows[record.datagram.frame]
        message = record.message
        theirs = [int(text) for text in (row["payload_types"] or "").split(",") if text]
        if message.is_v1 and message.is_encrypted:
            assert int(row["flags"], 16) & 1 or theirs[0] == 132  # a fragment says nothing of what it is part of
            assert message.encrypted_data
            continue
        ours = [int(payload.type) for payload in message.payloads]
        if message.is_encrypted:
            assert ours[-1] in {46, 53}
            assert theirs[: len(ours)] == ours
            continue
        assert ours == [number for number in theirs if number not in {2, 3}], row["frame"]
        notifies = [payload.notify_type for payload in message.payloads if payload.label == "N"]
        clear = row["notify_cleartext"] or ""
        assert notifies == [int(text) for text in clear.split(",") if text], row["frame"]
