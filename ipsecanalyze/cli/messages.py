"""`ipsecanalyze messages`: IKE messages as ladder diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipsecanalyze.cli.options import Reading, capture_arguments, output_options
from ipsecanalyze.cli.work import read_captures, write_document
from ipsecanalyze.errors import UsageError

if TYPE_CHECKING:
    from ipsecanalyze.sa.records import MessageRecord

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze messages capture.pcap
  ipsecanalyze messages -v --sa ike-2 capture.pcap | less -R
  ipsecanalyze messages --format json capture.pcap | jq '.messages[] | .exchange'
"""


@click.command("messages", epilog=_EPILOG)
@capture_arguments
@output_options("text", "json")
@click.option("-v", "--verbose", is_flag=True, help="Show all fields of each message, with their offsets.")
@click.option("--all", "show_all", is_flag=True, help="Draw attempts that led nowhere even where they are many.")
@click.option("--sa", "sa_ids", metavar="ID", multiple=True, help='Only this IKE SA ("ike-1"); may be repeated.')
def command(
    reading: Reading,
    format_name: str,
    output: str | None,
    verbose: bool,
    show_all: bool,
    sa_ids: tuple[str, ...],
) -> int:
    """Draw the IKE messages as ladders between the peers, a line per message.

    The number in brackets is the message ID. A dotted arrow is a retransmission. In JSON every message has all its
    fields.
    """
    analysis, code = read_captures(reading, output=output)
    if analysis is None:
        return code
    from ipsecanalyze.documents import messages_stream
    from ipsecanalyze.report.base import JsonReport
    from ipsecanalyze.report.ladder import LadderText

    if sa_ids:
        known = {sa.id for sa in analysis.ike_sas}
        missing = [sa_id for sa_id in sa_ids if sa_id not in known]
        if missing:
            raise UsageError(f"there is no IKE SA {missing[0]!r}; `summarize` shows their names")
        analysis.ike_sas = [sa for sa in analysis.ike_sas if sa.id in sa_ids]
        analysis.messages = [m for m in analysis.messages if m.ike_sa is not None and m.ike_sa.id in sa_ids]
    if format_name == "text":
        analysis.messages = _by_sa(analysis.messages)
    document = messages_stream(analysis, tree=verbose or format_name == "json")
    ladder = LadderText(tree=verbose, everything=show_all or bool(sa_ids))
    write_document(document, JsonReport() if format_name == "json" else ladder, output)
    return code


def _by_sa(messages: list[MessageRecord]) -> list[MessageRecord]:
    """The messages of each IKE SA together, the SAs in order of their first message."""
    order: dict[tuple[int, str | None], int] = {}

    def place(record: MessageRecord) -> int:
        section = (record.datagram.capture, record.ike_sa.id if record.ike_sa is not None else None)
        return order.setdefault(section, len(order))

    return sorted(messages, key=place)
