"""The document of `decrypt --format json`: what was opened, flow by flow, and why not the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

from ipsecanalyze.documents.captures import warning_entry
from ipsecanalyze.documents.flows import opening_entry
from ipsecanalyze.errors import Notice
from ipsecanalyze.esp.flow import FlowKey
from ipsecanalyze.esp.opened import FlowOpening
from ipsecanalyze.shapes import DecryptDocument

__all__ = ["decrypt_document"]


def decrypt_document(
    captures: Sequence[str],
    output: str | None,
    packets: int,
    flows: Mapping[FlowKey, FlowOpening],
    notices: Iterable[Notice] = (),
) -> DecryptDocument:
    """The document for what `write_inner` gave."""
    return {
        "schema": "ipsecanalyze.decrypt/1",
        "captures": list(captures),
        "output": output,
        "packets": packets,
        "flows": [
            {
                "protocol": cast("Literal['ESP', 'AH']", protocol),
                "source": source,
                "destination": destination,
                "spi": f"{spi:08x}",
                "encapsulation": encapsulation.value,
                "opening": opening_entry(opening),
            }
            for (protocol, source, destination, spi, encapsulation), opening in flows.items()
        ],
        "warnings": [warning_entry(notice) for notice in notices],
    }
