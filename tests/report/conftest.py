"""An analysis made of records, where every text that a stranger could have written is a parameter."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ipsecanalyze._fast.contract import CaptureFacts, Counts
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation
from ipsecanalyze.documents import flows_document, messages_document, summary_document
from ipsecanalyze.errors import Notice
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.sequence import SequenceState
from ipsecanalyze.findings import Certainty, Finding, Severity
from ipsecanalyze.sa.records import (
    Algorithm,
    ChildSa,
    Exchange,
    IkeSa,
    MessageRecord,
    Mode,
    NotifySeen,
    Peer,
    State,
)

SECOND = 1_000_000_000
START = 1_795_413_494 * SECOND

# An IKE_SA_INIT request, made with strongSwan 6.0.1 (scenario v2-psk-aescbc-a, frame 3), its key exchange cut out:
# header, SA (AES-CBC-256, HMAC-SHA2-256, PRF-HMAC-SHA2-256, MODP-2048), nonce, two notifies.
IKE_SA_INIT = bytes.fromhex(
    "95fdb71f535797f60000000000000000212022080000000000000080"
    "280000300000002c010100040300000c0100000c800e0100030000080300000c0300000802000005000000080400000e"
    "290000242abed033c7f171a9b6f8e7aadd23f8b68d77eabf941d5141a4b97a0fd9efe3c6"
    "290000080000402e0000000800004016"
)

SUITE = [
    Algorithm("ENCR", 12, "ENCR_AES_CBC", 256),
    Algorithm("INTEG", 12, "AUTH_HMAC_SHA2_256_128"),
    Algorithm("PRF", 5, "PRF_HMAC_SHA2_256"),
    Algorithm("KE", 14, "MODP_2048"),
]


def make_flow(numbers: list[int], *, back: bool = False, **settings: Any) -> Flow:
    ends = ("198.51.100.1", "192.0.2.1") if back else ("192.0.2.1", "198.51.100.1")
    flow = Flow("ESP", *ends, 0xC21A9F0D + back, Encapsulation.NONE, SequenceState())
    flow.update(
        [
            (number, 136, START + 2 * SECOND + index * 1_000_000, 7 + index, 63, 0, False, 0, None)
            for index, number in enumerate(numbers)
        ]
    )
    for name, value in settings.items():
        setattr(flow, name, value)
    return flow


def make_sa(sa_id: str, text: str, **settings: Any) -> IkeSa:
    sa = IkeSa(
        id=sa_id,
        version="2.0",
        mode=None,
        state=State.ESTABLISHED,
        initiator=Peer(
            "192.0.2.1", 500, 0x95FDB71F535797F6, text, [text, "strongSwan"], [b"\x01\x02"], behind_nat=True
        ),
        responder=Peer("198.51.100.1", 500, 0xB96F40ED41A432A8, moves=[(9, "203.0.113.9", 4500)]),
        offered=[[*SUITE, Algorithm("KE", 31, "CURVE25519")], SUITE],
        chosen=SUITE,
        authentication_initiator=text,
        messages=6,
        exchanges=[
            Exchange(34, "IKE_SA_INIT", 0, True, [3], [4], START, START + SECOND // 10, SECOND // 10),
            Exchange(35, "IKE_AUTH", 1, True, [5, 6, 7], [], START + SECOND, START + 4 * SECOND, None, 2, [START + 1]),
        ],
        exchange_counts={"IKE_SA_INIT": 2, "IKE_AUTH": 3},
        notifies=[NotifySeen(4, 17, "INVALID_KE_PAYLOAD", True, False, text)],
        invalid_ke_rounds=[31],
        frames=[3, 4, 5, 6, 7],
        icmp_errors=[(8, text)],
        first_time_ns=START,
        last_time_ns=START + 4 * SECOND,
        children=["child-1"],
        outcome=text,
    )
    for name, value in settings.items():
        setattr(sa, name, value)
    return sa


def make_message(sa: IkeSa | None, text: str, **settings: Any) -> MessageRecord:
    datagram = Datagram(
        kind=DatagramKind.IKE,
        source="192.0.2.1",
        destination="198.51.100.1",
        payload=IKE_SA_INIT,
        frame=3,
        time_ns=START,
        length=len(IKE_SA_INIT),
        source_port=500,
        destination_port=500,
    )
    values = {"from_initiator": True, "is_response": False, "ike_sa": sa, "notes": [text], **settings}
    return MessageRecord(datagram, None, **values)


@pytest.fixture(scope="session")
def make_analysis() -> Callable[[str], Any]:
    """An analysis with everything in it; its argument stands wherever a stranger's text can stand."""

    def make(text: str = "plain") -> Any:
        sa = make_sa("ike-1", text)
        old = make_sa(
            "ike-2", text, version="1.0", mode=Mode.MAIN, state=State.FAILED, chosen=[], lifetime_seconds=28800
        )
        notice = Notice("truncated-file", text, frame=12, offset=999)
        facts = CaptureFacts(
            path=text,
            format="pcapng",
            compression="zstd",
            link_types=[1, 276],
            interfaces=[text],
            packets=400,
            octets=282_020,
            first_time_ns=START,
            last_time_ns=START + 8 * SECOND,
            truncated_packets=3,
            dropped_packets=1,
            comments=[text],
            counts=Counts(ike=6, esp=12, other=382),
            notices=[notice],
            notice_counts={"truncated-file": 2},
        )
        flows = [
            make_flow([1, 2, 3, 7, 5, 5], ike_sa="ike-1", child_sa="child-1", icmp_errors=[(9, text)]),
            make_flow([1, 2, 3], back=True, ike_sa="ike-1", child_sa="child-1", pair_spi=0xC21A9F0D),
            make_flow([10, 11, 12]),
        ]
        return SimpleNamespace(
            captures=[facts],
            ike_sas=[sa, old],
            child_sas=[ChildSa("child-1", "ike-1", "ESP", 0xC21A9F0E, 0xC21A9F0D)],
            flows=flows,
            messages=[make_message(sa, text), make_message(sa, text, retransmission_of=3), make_message(None, text)],
            findings=[
                Finding(
                    slug="weak-group",
                    severity=Severity.HIGH,
                    certainty=Certainty.OBSERVED,
                    subject="ike-1",
                    frames=(3,),
                    title=text,
                    explanation=text,
                    remedy=text,
                    references=("RFC 8247 §2.4",),
                )
            ],
            notices=[Notice("limit-half-open", text)],
        )

    return make


@pytest.fixture(scope="session")
def make_documents(make_analysis: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    """The three documents of that analysis."""

    def make(text: str = "plain") -> dict[str, Any]:
        analysis = make_analysis(text)
        return {
            "summary": summary_document(analysis),
            "messages": messages_document(analysis),
            "flows": flows_document(analysis),
        }

    return make


@pytest.fixture
def documents(make_documents: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Documents with harmless text."""
    return make_documents("plain")


@pytest.fixture(scope="session")
def many_half_open() -> Callable[[int], dict[str, Any]]:
    """The summary document of a flood: so many attempts from different addresses at one responder."""

    def make(count: int) -> dict[str, Any]:
        attempts = [
            IkeSa(
                id=f"ike-{index}",
                version="2.0",
                mode=None,
                state=State.HALF_OPEN,
                initiator=Peer(f"10.0.{index >> 8}.{index & 255}", 500, index + 1),
                responder=Peer("198.51.100.1", 500, 0),
                first_time_ns=START + index,
                last_time_ns=START + index,
            )
            for index in range(count)
        ]
        empty: list[Any] = []
        analysis = SimpleNamespace(
            captures=[CaptureFacts("flood.pcap", "pcap", first_time_ns=START, last_time_ns=START + SECOND)],
            ike_sas=attempts,
            child_sas=empty,
            flows=empty,
            messages=empty,
            findings=empty,
            notices=empty,
        )
        return dict(summary_document(analysis))

    return make
