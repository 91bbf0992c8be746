"""Every shipped capture in every format: documents fulfil their schemas with nothing undescribed, text fits."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jsonschema
from rich.cells import cell_len

from ipsecanalyze.documents import messages_document
from ipsecanalyze.report.flows import FlowsCsv, flows_text
from ipsecanalyze.report.html import summary_html
from ipsecanalyze.report.ladder import ladder_text
from ipsecanalyze.report.markdown import SummaryMarkdown
from ipsecanalyze.report.terminal import summary_text

ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def validator(kind: str) -> Any:
    schema = json.loads(files("ipsecanalyze").joinpath(f"{kind}.schema.json").read_text("utf-8"))
    for part in (schema, *schema["$defs"].values()):
        part["additionalProperties"] = False
    return jsonschema.Draft202012Validator(schema)


VALIDATORS = {kind: validator(kind) for kind in ("summary", "messages", "flows")}


def test_documents_and_reports(capture_file: Any, analysis_of: Callable[[Any], Any]) -> None:
    analysis = analysis_of(capture_file)
    summary, messages, flows = analysis.to_dict(), messages_document(analysis), analysis.flows_document()
    for kind, document in (("summary", summary), ("messages", messages), ("flows", flows)):
        error = next(VALIDATORS[kind].iter_errors(document), None)
        assert error is None, error.message
    narrow = (summary_text(summary), ladder_text(messages), flows_text(flows))
    assert max(cell_len(line) for text in narrow for line in text.splitlines()) <= 80
    written = [io.StringIO(), io.StringIO()]
    SummaryMarkdown().write(summary, written[0])
    FlowsCsv().write(flows, written[1])
    for text in (*narrow, ladder_text(messages, tree=True), summary_html(summary), *(w.getvalue() for w in written)):
        assert not {char for char in text if unicodedata.category(char) in ACTING} - {"\n", "\r"}
    for flow in summary["flows"]:
        assert flow["spi"] in flows_text(flows)
