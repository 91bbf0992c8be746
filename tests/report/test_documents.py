"""The documents against the shipped schemas, and the schemas against what DESIGN and docs promise."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.documents import (
    flows_document,
    flows_outline,
    messages_document,
    summary_document,
    summary_outline,
)
from ipsecanalyze.report.flows import flows_text
from ipsecanalyze.report.terminal import summary_text

KINDS = ["summary", "messages", "flows"]


def schema(kind: str) -> dict[str, Any]:
    return json.loads(files("ipsecanalyze").joinpath(f"{kind}.schema.json").read_text("utf-8"))


def strict(part: Any) -> Any:
    """The schema with no room for fields that it does not describe."""
    if isinstance(part, dict):
        closed = {name: strict(value) for name, value in part.items()}
        if "properties" in part and "required" in part:
            closed["additionalProperties"] = False
        return closed
    return [strict(item) for item in part] if isinstance(part, list) else part


@pytest.mark.parametrize("kind", KINDS)
def test_documents_fulfil_their_schema(kind: str, documents: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    jsonschema.validate(json.loads(json.dumps(documents[kind])), strict(schema(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_refuses(kind: str, documents: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(documents[kind]))
    broken["captures"][0]["packets"] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema(kind))


@settings(max_examples=15)
@given(st.text(st.characters()))
def test_any_text_fits(make_documents: Callable[[str], dict[str, Any]], text: str) -> None:
    document = json.loads(json.dumps(make_documents(text)["summary"]))
    jsonschema.validate(document, schema("summary"))
    assert document["ike_sas"][0]["initiator"]["identity"] == text


def test_numbers_arrive_unchanged(documents: dict[str, Any]) -> None:
    sa = documents["summary"]["ike_sas"][0]
    assert sa["initiator"]["spi"] == "95fdb71f535797f6"
    assert sa["initiator"]["vendor_id_data"] == ["0102"]
    assert sa["responder"]["moves"] == [{"frame": 9, "address": "203.0.113.9", "port": 4500}]
    assert sa["exchange_log"][1]["responses"] == []
    # 1, 2, 3, 7, 5, 5 by hand: 4 and 6 are lost in two holes, 5 is reordered by two, the second 5 is a duplicate.
    flow = documents["flows"]["flows"][0]
    wanted = {"packets": 6, "octets": 816, "unique": 5, "lost": 2, "loss_bursts": 2, "duplicates": 1, "reordered": 1}
    assert {name: flow[name] for name in wanted} == wanted
    assert flow["spi"] == "c21a9f0d"


def test_outlines_read_like_documents(make_analysis: Callable[[str], Any]) -> None:
    analysis = make_analysis("plain")
    for outline, document in (
        (summary_outline(analysis), summary_document(analysis)),
        (flows_outline(analysis), flows_document(analysis)),
    ):
        assert {**outline, "flows": None} == {**document, "flows": None}
        for view, entry in zip(outline["flows"], document["flows"], strict=True):
            assert {name: view[name] for name in entry} == entry


def test_text_makes_no_entries_of_flows(make_analysis: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = make_analysis("plain")
    summary, flows = summary_text(summary_document(analysis)), flows_text(flows_document(analysis))
    monkeypatch.setattr("ipsecanalyze.documents.flows.flow_entry", None)
    assert summary_text(summary_outline(analysis)) == summary
    assert flows_text(flows_outline(analysis)) == flows


def test_messages_keep_their_minor_version(make_analysis: Callable[[str], Any]) -> None:
    analysis = make_analysis("plain")
    octets = analysis.messages[0].datagram.payload
    analysis.messages[0].datagram.payload = octets[:17] + b"\x2f" + octets[18:]
    document = messages_document(analysis)
    jsonschema.validate(document, schema("messages"))
    assert document["messages"][0]["version"] == "2.15"


def test_messages_carry_payloads_and_fields(documents: dict[str, Any]) -> None:
    message = documents["messages"]["messages"][0]
    # By Wireshark: SA at 28, nonce at 76, notifies at 112 and 120 of the message.
    assert [(payload["type"], payload["offset"]) for payload in message["payloads"]] == [
        (33, 28),
        (40, 76),
        (41, 112),
        (41, 120),
    ]
    assert any("AES_CBC" in line["value"] for line in message["tree"])
    assert message["exchange"] == "IKE_SA_INIT"
