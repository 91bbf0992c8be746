"""What keys opened of a flow, in words: for the verdict of a flow, and as the summary that `decrypt` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.padding import Padding
from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.text import integer, octets, plural, terminal

if TYPE_CHECKING:
    from ipsecanalyze.shapes import DecryptDocument, DecryptFlowEntry, InnerEntry, OpeningEntry

__all__ = ["DecryptText", "inside", "opened_words"]

#: Conversations that are shown of a flow.
_MOST_INSIDE = 4


def opened_words(opening: OpeningEntry) -> list[tuple[str, str]]:
    """(words, style) of what was opened, and why not the rest; for `health.verdict`."""
    opened, packets = opening["opened"], opening["packets"]
    style = "good" if opened == packets else "notice" if opened else "bad"
    words = f"opened {integer(opened)} of {integer(packets)}"
    if opening["dummy"]:
        words += f", {plural(opening['dummy'], 'dummy packet')}"
    if opening["padding_wrong"]:
        words += f", {integer(opening['padding_wrong'])} with wrong padding"
    if not opening["verified"]:
        words += ", not verified"
    told = [(words, style)]
    if opening["explanation"] and not opened:
        told.append((terminal(opening["explanation"]), "notice"))
    if opening["conversations"]:
        told.append((f"inside: {inside(opening['conversations'])}", "quiet"))
    return told


def inside(conversations: Sequence[InnerEntry]) -> str:
    """Conversations in words, as in "10.1.0.10 → 10.2.0.10 tcp/80 151, icmp 40"."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for one in conversations[:_MOST_INSIDE]:
        port = "" if one["port"] is None else f"/{one['port']}"
        ends = (terminal(one["source"]), terminal(one["destination"]))
        pairs.setdefault(ends, []).append(f"{terminal(one['protocol'])}{port} {integer(one['packets'])}")
    words = "; ".join(f"{ends[0]} → {ends[1]} {', '.join(told)}" for ends, told in pairs.items())
    rest = len(conversations) - _MOST_INSIDE
    return words + (f" and {integer(rest)} more" if rest > 0 else "")


@dataclass(frozen=True, slots=True)
class DecryptText:
    """Writes the summary of a decryption: a few lines per flow."""

    width: int | None = None
    """Columns; None asks the terminal."""
    color: bool | None = None
    """None asks the stream and the environment."""
    most: int | None = 200
    """Flows shown; None for all."""

    def write(self, document: DecryptDocument, stream: TextIO) -> None:
        """Write it."""
        console = make_console(stream, width=self.width, color=self.color)
        flows = document["flows"]
        for flow in flows[: self.most]:
            console.print(_head(flow))
            for line in _lines(flow["opening"]):
                console.print(Padding(line, (0, 0, 0, 2), expand=False))
        if self.most is not None and len(flows) > self.most:
            console.print(Text(f"and {plural(len(flows) - self.most, 'more flow')} (--all shows all)", "notice"))
        if flows:
            console.print()
        console.print(_total(document))
        for warning in document["warnings"]:
            console.print(Text(terminal(warning["message"]), style="notice"))


def _head(flow: DecryptFlowEntry) -> Text:
    opening = flow["opening"]
    name = flow["protocol"] + {"udp": "/UDP", "tcp": "/TCP"}.get(flow["encapsulation"], "")
    opened, packets = opening["opened"], opening["packets"]
    style = "good" if opened == packets else "notice" if opened else "bad"
    return Text.assemble(
        (f"{terminal(flow['source'])} → {terminal(flow['destination'])}", "address"),
        f"  {name} ",
        (terminal(flow["spi"]), "spi"),
        "  ",
        (f"opened {integer(opened)} of {integer(packets)}", style),
    )


def _lines(opening: OpeningEntry) -> Iterator[Text]:
    if opening["algorithms"]:
        origin = f"  ({terminal(opening['key_origin'])})" if opening["key_origin"] else ""
        yield Text.assemble((terminal(opening["algorithms"]), "suite"), (origin, "quiet"))
    counts = [
        (opening["icv_wrong"], "ICV wrong"),
        (opening["padding_wrong"], "padding wrong"),
        (opening["dummy"], "dummy"),
        (opening["truncated"], "cut by the capture"),
        (opening["malformed"], "malformed"),
        (opening["skipped"], "not tried any more"),
    ]
    told = [f"{integer(count)} {what}" for count, what in counts if count]
    if opening["tfc_octets"]:
        told.append(f"TFC padding {octets(opening['tfc_octets'])}")
    if opening["esn"]:
        told.append("extended sequence numbers")
    if not opening["verified"]:
        told.append("not verified: the SA has no integrity algorithm, or it is not known")
    if told:
        yield Text(", ".join(told))
    if opening["conversations"]:
        yield Text(f"inside: {inside(opening['conversations'])}", style="quiet")
    for note in opening["notes"]:
        yield Text(terminal(note), style="notice")
    if opening["reason"]:
        yield Text.assemble((opening["reason"], "bad"), f": {terminal(opening['explanation'])}")
    if opening["remedy"]:
        yield Text(f"→ {terminal(opening['remedy'])}")


def _total(document: DecryptDocument) -> Text:
    flows = document["flows"]
    if not flows:
        return Text("No ESP or AH packets were found.", style="notice")
    packets, opened = (sum(flow["opening"][name] for flow in flows) for name in ("packets", "opened"))
    text = f"{plural(len(flows), 'flow')}: opened {integer(opened)} of {plural(packets, 'packet')}"
    if document["output"] is not None:
        text += f", wrote {plural(document['packets'], 'inner packet')} to {terminal(document['output'])}"
    return Text(text)
