"""IKEv2 opened with what the daemons logged, against what the kernel installed, what was configured, and tshark."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipsecanalyze
from ipsecanalyze.crypto.material import EspKeys, IkeKeys, Psk, SharedSecret
from ipsecanalyze.ike.payloads import SaPayload
from ipsecanalyze.keys.load import load_keys
from ipsecanalyze.keys.ring import KeyRing
from ipsecanalyze.opening.ike_v2 import Beginnings, open_v2
from ipsecanalyze.opening.revealed import Revealed
from ipsecanalyze.opening.v2_children import find
from ipsecanalyze.sa.records import IkeSa, MessageRecord, State

CAPTURES = Path(__file__).parent.parent / "captures"
#: The snap length cut every encrypted message of the second, and the first never came so far.
HOPELESS = ("v2-noprop-ike-a", "v2-snap96-a")
SCENARIOS = sorted({path.parent.parent.name for path in CAPTURES.glob("v2-*/keys/*ike*_table")} - {*HOPELESS})
LOGGED = sorted({path.parent.parent.name for path in CAPTURES.glob("v2-*/keys/charon-*")} - {*HOPELESS})
SAS = [name for name in LOGGED if json.loads((CAPTURES / name / "keys" / "sas.json").read_text())]


@cache
def logged(name: str) -> KeyRing:
    """All that charon's logs hold."""
    return load_keys(sorted((CAPTURES / name / "keys").glob("charon-*")))


@cache
def tabled(name: str) -> KeyRing:
    """What Wireshark's tables hold."""
    return load_keys(sorted((CAPTURES / name / "keys").glob("*_table")))


def opened(name: str, ring: KeyRing) -> dict[str, tuple[IkeSa, list[MessageRecord], Revealed]]:
    capture = next(path for path in (CAPTURES / name).glob("wan.pcap*"))
    analysis = ipsecanalyze.analyze(capture)
    beginnings: Beginnings = {}
    found = {}
    for sa in analysis.ike_sas:
        records = [record for record in analysis.messages if record.ike_sa is sa]
        found[sa.id] = (sa, records, open_v2(sa, records, ring, beginnings))
    return found


def encrypted(records: list[MessageRecord]) -> list[MessageRecord]:
    return [record for record in records if record.message.is_encrypted]


def check_keys(name: str, results: dict[str, Any]) -> int:
    """Compare the derived keys with those that `ip xfrm` printed; returns how many were compared."""
    installed = {int(row["spi"], 16): row for row in json.loads((CAPTURES / name / "keys" / "sas.json").read_text())}
    compared = 0
    for _, _, revealed in results.values():
        for child in revealed.children:
            for spi in (child.initiator_spi, child.responder_spi):
                row = installed.get(spi)
                if row is None:
                    continue
                candidates = [keys for keys in child.keys if keys.spi == spi]
                wanted = (row.get("enc_key") or row.get("aead_key") or "0x", row.get("auth_key") or "0x")
                got = {
                    ("0x" + (keys.encryption_key + keys.salt).hex(), "0x" + keys.integrity_key.hex())
                    for keys in candidates
                }
                if row["proto"] == "ah":
                    got = {("0x", integrity) for _, integrity in got}
                assert wanted in got, child.missing
                compared += 1
    return compared


@pytest.mark.parametrize("name", SCENARIOS)
def test_everything_opens(name: str) -> None:
    results = opened(name, tabled(name))
    assert any(revealed.opened for _, _, revealed in results.values())
    for sa, records, revealed in results.values():
        assert not +revealed.failed
        for record in encrypted(records):
            fragmented = any(payload.label == "SKF" for payload in record.message.payloads)
            assert record.opened is not None or fragmented
        if revealed.opened:
            assert sa.decrypted


@pytest.mark.parametrize("name", SAS)
def test_child_keys_are_those_of_the_kernel(name: str) -> None:
    # Without the keys of Child SAs that are in the log too: they have to be derived.
    ring = KeyRing(key for key in logged(name) if not isinstance(key, EspKeys))
    assert check_keys(name, opened(name, ring)) > 0


@pytest.mark.parametrize("name", [name for name in SAS if "pfs-a" not in name.replace("nopfs", "")])
def test_sk_d_and_sk_e_are_enough_without_pfs(name: str) -> None:
    ring = KeyRing(replace(key, sk_pi=b"", sk_pr=b"", skeyid=b"") for key in logged(name) if isinstance(key, IkeKeys))
    assert check_keys(name, opened(name, ring)) > 0


@pytest.mark.parametrize("name", ["v2-rekey-pfs-a", "v2-rekey-nopfs-a", "v2-pq-mlkem-a", "v2-psk-aescbc-a"])
def test_shared_secrets_are_enough_for_everything(name: str) -> None:
    ring = KeyRing(key for key in logged(name) if isinstance(key, SharedSecret))
    assert len(ring)
    results = opened(name, ring)
    assert check_keys(name, results) > 0
    assert all(not +revealed.failed for _, _, revealed in results.values())


@pytest.mark.parametrize("name", SAS)
def test_who_they_are(name: str) -> None:
    for sa, _, revealed in opened(name, logged(name)).values():
        if revealed.opened and not sa.started_late:
            assert sa.initiator.identity
            assert sa.initiator.identity.endswith("corpus.example")
            assert sa.responder.identity
            assert sa.authentication_initiator
            assert sa.authentication_responder


@pytest.mark.parametrize("name", ["v2-cert-gcm-esn-a", "v2-frag-a"])
def test_signatures_are_verified(name: str) -> None:
    notes = [note for _, records, _ in opened(name, logged(name)).values() for r in records for note in r.notes]
    assert notes.count("AUTH verified with the certificate") == 2


@pytest.mark.parametrize("name", ["v2-psk-aescbc-a", "v2-pq-mlkem-a"])
def test_pre_shared_keys_are_verified(name: str) -> None:
    """With IKE_INTERMEDIATE too, whose messages AUTH covers (RFC 9242 §3.3.2)."""
    notes = [note for _, records, _ in opened(name, logged(name)).values() for r in records for note in r.notes]
    assert notes.count("AUTH verified with the pre-shared key") == 2


def test_a_refused_authentication_is_observed() -> None:
    sa, _, _ = opened("v2-authfail-a", tabled("v2-authfail-a"))["ike-1"]
    assert (sa.state, sa.certainty.value) == (State.FAILED, "observed")
    assert "AUTHENTICATION_FAILED" in sa.outcome


def test_refused_selectors_leave_an_ike_sa() -> None:
    sa, _, revealed = opened("v2-ts-a", tabled("v2-ts-a"))["ike-1"]
    assert "TS_UNACCEPTABLE" in [notify.name for notify in sa.notifies]
    assert not revealed.children
    assert sa.state is State.ESTABLISHED


def test_rekeying_is_seen() -> None:
    results = opened("v2-rekey-pfs-a", logged("v2-rekey-pfs-a"))
    (first, _, revealed), (second, _, _) = results.values()
    assert revealed.successors == [(second.initiator.spi, second.responder.spi)]
    rekeyed = [child.rekeys_spi for child in revealed.children]
    spis = {spi for child in revealed.children for spi in (child.initiator_spi, child.responder_spi)}
    assert rekeyed[0] is None
    assert set(rekeyed[1:]) <= spis
    assert all(child.has_key_exchange for child in revealed.children[1:])
    assert first.decrypted
    assert second.decrypted


def test_selectors_and_suites() -> None:
    meta = json.loads((CAPTURES / "v2-psk-aescbc-a" / "meta.json").read_text())
    _, _, revealed = opened("v2-psk-aescbc-a", logged("v2-psk-aescbc-a"))["ike-1"]
    child = revealed.children[0]
    assert child.selectors_initiator == [meta["addresses"]["moon_lan"]]
    assert child.selectors_responder == [meta["addresses"]["sun_lan"]]
    assert child.mode == meta["mode"]


def test_fragments_in_any_order() -> None:
    results = opened("v2-frag-a", logged("v2-frag-a"))
    sa, records, _ = results["ike-1"]
    straight = [len(record.opened) for record in records if record.opened]
    for record in records:
        record.opened = None
    # Each run of fragments backwards.
    fragments = [record for record in records if any(p.label == "SKF" for p in record.message.payloads)]
    others = [record for record in records if record not in fragments]
    head = others[:2]
    mixed = head + fragments[::-1] + others[2:]
    revealed = open_v2(sa, mixed, logged("v2-frag-a"), {})
    assert not +revealed.failed
    assert sorted(len(record.opened) for record in records if record.opened) == sorted(straight)


TSHARK_READS = ("v2-psk-aescbc-a", "v2-cert-gcm-esn-a", "v2-rekey-pfs-a", "v2-multichild-a", "v2-mobike-a")


@pytest.mark.parametrize("name", TSHARK_READS)
def test_payloads_inside_as_tshark_sees_them(name: str, tshark_path: str) -> None:
    table = (CAPTURES / name / "keys" / "ikev2_decryption_table").read_text().splitlines()
    options = [part for line in table if line for part in ("-o", f"uat:ikev2_decryption_table:{line}")]
    capture = next(path for path in (CAPTURES / name).glob("wan.pcap*"))
    command = [tshark_path, "-n", "-r", str(capture), "-Y", "isakmp && !icmp", *options, "-T", "fields"]
    command += ["-e", "frame.number", "-e", "isakmp.typepayload"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    theirs = {int(frame): types for frame, _, types in (line.partition("\t") for line in lines)}
    compared = 0
    for _, records, _ in opened(name, tabled(name)).values():
        for record in encrypted(records):
            if record.opened is None or any(payload.label == "SKF" for payload in record.message.payloads):
                continue
            inside = [payload.type for payload in record.opened]
            seen = [int(text) for text in theirs[record.datagram.frame].split(",") if text]
            # tshark lists proposals and transforms (2, 3) too.
            seen = [kind for kind in seen if kind > 32]
            assert seen == [46, *inside]
            compared += 1
    assert compared


def test_wrong_keys_open_nothing_and_say_so() -> None:
    ring = KeyRing(
        replace(key, sk_ei=key.sk_ei[::-1], sk_er=key.sk_er[::-1], sk_ai=key.sk_ai[::-1], sk_ar=key.sk_ar[::-1])
        for key in logged("v2-psk-aescbc-a")
        if isinstance(key, IkeKeys)
    )
    _, records, revealed = opened("v2-psk-aescbc-a", ring)["ike-1"]
    assert not revealed.opened
    assert sum(revealed.failed.values()) == len(encrypted(records))


def test_without_keys_nothing_changes() -> None:
    sa, _, revealed = opened("v2-psk-aescbc-a", KeyRing())["ike-1"]
    assert not revealed.opened
    assert not sa.decrypted
    assert [*revealed.failed] == ["there are no keys of this IKE SA"]


@settings(max_examples=150)
@given(data=st.data())
def test_hostile_messages_are_survived(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["v2-psk-aescbc-a", "v2-frag-a", "v2-pq-mlkem-a", "v2-rekey-pfs-a"]))
    capture = next(path for path in (CAPTURES / name).glob("wan.pcap*"))
    records = _records(capture)
    for record, original in records:
        octets = bytearray(original)
        for _ in range(data.draw(st.integers(0, 2))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        record.datagram.payload = bytes(octets)
        record.opened = None
        try:
            _ = record.message
        except ipsecanalyze.WireError:
            record.datagram.payload = original
    sa = records[0][0].ike_sa
    assert sa is not None
    ring = logged(name)
    try:
        open_v2(sa, [record for record, _ in records if record.ike_sa is sa], ring, {})
    finally:
        for record, original in records:
            record.datagram.payload = original


@pytest.mark.parametrize("name", ["v2-pq-mlkem-a", "v2-psk-aescbc-a"])
def test_a_prf_that_is_not_supported(name: str) -> None:
    """Keys from a log open the messages all the same; what needs the PRF stays unknown: IntAuth, AUTH, PPKs."""
    analysis = ipsecanalyze.analyze(next(path for path in (CAPTURES / name).glob("wan.pcap*")))
    sa = analysis.ike_sas[0]
    records = [record for record in analysis.messages if record.ike_sa is sa]
    payload = find(records[1].message.payloads, SaPayload)
    assert payload is not None
    (prf,) = (transform for transform in payload.proposals[0].transforms if transform.type == 2)
    row = b"\0\0\x08\x02\0" + prf.id.to_bytes(2)
    datagram = records[1].datagram
    assert datagram.payload.count(row[1:]) == 1
    datagram.payload = datagram.payload.replace(row[1:], row[1:-2] + b"\xff\xff")
    ring = KeyRing([Psk(b"a post-quantum secret", is_ppk=True)])
    ring.merge(logged(name))
    revealed = open_v2(sa, records, ring, {})
    assert revealed.opened > 2
    assert revealed.children
    assert not any(child.keys for child in revealed.children)
    assert not any("AUTH" in note for record in records for note in record.notes)


@cache
def _records(capture: Path) -> list[tuple[MessageRecord, bytes]]:
    return [(record, record.datagram.payload) for record in ipsecanalyze.analyze(capture).messages]
