"""`ipsecanalyze decrypt`: the inner packets of ESP and AH, as a capture of their own."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from ipsecanalyze.cli.exits import DONE, UNREADABLE, complain
from ipsecanalyze.cli.interrupts import end_of_reading
from ipsecanalyze.cli.options import Reading, capture_arguments
from ipsecanalyze.cli.output import open_binary_output
from ipsecanalyze.cli.work import check_paths, progress_line, ring_of
from ipsecanalyze.errors import CaptureError, IpsecAnalyzeError, Notice

if TYPE_CHECKING:
    from ipsecanalyze.keys import KeyRing
    from ipsecanalyze.opening.esp import Opening
    from ipsecanalyze.report.base import Reporter
    from ipsecanalyze.shapes import DecryptDocument

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze decrypt capture.pcap --keys xfrm-state.txt -o inner.pcapng
  ipsecanalyze decrypt capture.pcap --keys keys/ --format json | jq '.flows[].opening.reason'
  ipsecanalyze decrypt - --keys esp_sa -o - < capture.pcap | tshark -r -
"""


@click.command("decrypt", epilog=_EPILOG)
@capture_arguments
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write the inner packets to FILE (pcapng), which is replaced only when all is written; - for standard output.",
)
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="How to write the summary.",
)
@click.option("--all", "show_all", is_flag=True, help="Show every flow, not only the first 200.")
def command(reading: Reading, output: str | None, format_name: str, show_all: bool) -> int:
    """Open ESP and AH with keys, and write what was inside as raw IP packets.

    Times are those of the outer packets; a comment on each packet tells its outer frame, SPI and sequence number. The
    summary says for each flow what was opened, and if not why, and what would help. It goes to standard error where the
    packets go to standard output. Keys in the capture itself (pcapng) count too.
    """
    check_paths(reading, output)
    from ipsecanalyze.keys import KeyRing

    ring = ring_of(reading)
    if ring is None:
        ring = KeyRing()
    errors: list[IpsecAnalyzeError] = []
    try:
        opening, packets = _write(reading, ring, output, errors)
    except CaptureError:
        for unread in errors:
            complain(unread)
        return UNREADABLE
    for unread in errors:
        complain(unread)
    from ipsecanalyze.documents import decrypt_document

    document = decrypt_document(reading.captures, output, packets, opening.results(), _notices(opening, ring))
    _report(document, format_name, sys.stderr if output == "-" else sys.stdout, show_all=show_all)
    return UNREADABLE if errors else DONE


def _write(reading: Reading, ring: KeyRing, output: str | None, errors: list[IpsecAnalyzeError]) -> tuple[Opening, int]:
    from ipsecanalyze.opening.export import Nowhere, write_inner

    with ExitStack() as stack:
        goes_on = stack.enter_context(end_of_reading(reading.captures, follow=reading.follow))
        progress = stack.enter_context(progress_line(reading))
        stream = Nowhere() if output is None else stack.enter_context(open_binary_output(output))
        follow = goes_on if reading.follow else None
        result = write_inner(
            reading.captures,
            ring,
            stream,
            jobs=reading.jobs or _cores(),
            follow=follow,
            progress=progress.update,
            errors=errors,
        )
        if len(errors) == len(reading.captures):
            raise errors[0]  # nothing was read: what was there before stays
        return result


def _cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _notices(opening: Opening, ring: KeyRing) -> list[Notice]:
    told = []
    if opening.dropped:
        told.append(Notice("flow-limit", f"{opening.dropped} packets belong to flows beyond the limit"))
    if ring.problem_count:
        told.append(Notice("keys-not-read", f"{ring.problem_count} lines of keys could not be read"))
    return told


def _report(document: DecryptDocument, format_name: str, stream: object, *, show_all: bool) -> None:
    from ipsecanalyze.report.base import JsonReport
    from ipsecanalyze.report.opened import DecryptText

    text = DecryptText(most=None) if show_all else DecryptText()
    reporter: Reporter = JsonReport() if format_name == "json" else text
    if stream is not None:  # closed
        reporter.write(document, stream)  # type: ignore[arg-type]
