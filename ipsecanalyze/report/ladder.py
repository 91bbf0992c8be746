"""IKE messages as ladder diagrams: a section per IKE SA, a line per message between the two peers.

The payloads in the arrow are as detailed as the width allows; what went wrong is never the part that is left out.
With `tree` each message is followed by its fields with their offsets.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.text import duration, moment, plural, relative, terminal

if TYPE_CHECKING:
    from ipsecanalyze.shapes import IkeSaEntry, MessageEntry, MessagesDocument, PayloadEntry, TreeEntry

__all__ = ["LadderText", "ladder_text"]

#: Columns in front of the ladder: frame, time.
_MARGIN = 19
_NARROWEST = 40
_NO_SPI = "0" * 16


def ladder_text(document: MessagesDocument, *, width: int = 80, color: bool = False, tree: bool = False) -> str:
    """The ladders as a string, `width` columns wide, with ANSI colours if `color`."""
    stream = io.StringIO()
    LadderText(width=width, color=color, tree=tree).write(document, stream)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class LadderText:
    """Writes a messages document as ladder diagrams."""

    width: int | None = None
    """Columns; None asks the terminal."""
    color: bool | None = None
    """None asks the stream and the environment."""
    tree: bool = False
    """Whether each message is followed by its fields."""

    def write(self, document: MessagesDocument, stream: TextIO) -> None:
        """Write the ladders."""
        console = make_console(stream, width=self.width, color=self.color)
        times = [capture["first_time_ns"] for capture in document["captures"]]
        origin_ns = min((time for time in times if time is not None), default=0)
        sas = {sa["id"]: sa for sa in document["ike_sas"]}
        sections: dict[tuple[int, str | None], list[MessageEntry]] = {}
        several = len(document["captures"]) > 1
        for message in document["messages"]:
            sections.setdefault((message["capture"] if several else 0, message["ike_sa"]), []).append(message)
        for index, ((capture, sa_id), messages) in enumerate(sections.items()):
            if index:
                console.print()
            if several:
                console.print(Text(terminal(document["captures"][capture]["path"]), style="quiet"))
            section = _Section(messages, sas.get(sa_id or ""), origin_ns, console.width, self.tree)
            for part in section.parts():
                console.print(part, soft_wrap=isinstance(part, Text))
        if not sections:
            console.print(Text("No IKE messages were found.", style="notice"))
        for warning in document["warnings"]:
            console.print(Text(terminal(warning["message"]), style="notice"))


@dataclass(slots=True)
class _Section:
    """The messages of one IKE SA; the initiator stands left."""

    messages: Sequence[MessageEntry]
    sa: IkeSaEntry | None
    origin_ns: int
    width: int
    tree: bool

    def parts(self) -> Iterator[RenderableType]:
        """The section from top to bottom."""
        yield self._heading()
        yield self._peers()
        for message in self.messages:
            yield self._rung(message)
            for note in self._notes(message):
                yield Padding(note, (0, 0, 0, _MARGIN + 2), expand=False)
            if self.tree:
                yield from self._fields(message)

    def _heading(self) -> Text:
        first = self.messages[0]
        if self.sa is None:
            return Text.assemble(("no IKE SA", "heading"), f"  IKE {terminal(first['version'])}")
        version = "IKEv1" if self.sa["version"].startswith("1") else "IKEv2"
        spis = self.sa["initiator"]["spi"], self.sa["responder"]["spi"]
        return Text.assemble(
            (terminal(self.sa["id"]), "heading"),
            f"  {version}" + (f" {self.sa['mode']} mode" if self.sa["mode"] else "") + "  ",
            (terminal(self.sa["state"]), f"state.{self.sa['state']}"),
            ("  SPIs ", "label"),
            (" / ".join(terminal(spi) if spi != _NO_SPI else "none" for spi in spis), "spi"),
            f"\n{terminal(self.sa['outcome'])}" if self.sa["outcome"] else "",
        )

    def _ends(self) -> tuple[str, str]:
        first = self.messages[0]
        if self.sa is not None:
            return self.sa["initiator"]["address"], self.sa["responder"]["address"]
        if first["from_initiator"] is False:
            return first["destination"], first["source"]
        return first["source"], first["destination"]

    @property
    def _span(self) -> int:
        """Columns from one peer's line to the other's, both included."""
        return max(self.width, _MARGIN + _NARROWEST) - _MARGIN

    def _peers(self) -> Text:
        left, right = (terminal(end) for end in self._ends())
        line = Text(f"{'frame':>7}  {'seconds':>8}  ", style="label")
        if len(left) + len(right) + 2 <= self._span:
            return (
                line.append(left, "address")
                .append(" " * (self._span - len(left) - len(right)))
                .append(right, "address")
            )
        under = "\n" + " " * (_MARGIN + max(0, self._span - len(right)))
        return line.append(left, "address").append(under).append(right, "address")

    def _rung(self, message: MessageEntry) -> Text:
        rightward = self._rightward(message)
        again = message["retransmission_of"] is not None
        line = "╌" if again else "─"
        label = self._label(message, self._span - 8)
        arrow = "arrow" if not again else "notice"
        text = Text.assemble(
            (f"{message['frame']:>7}  ", "quiet"),
            (f"{relative(message['time_ns'], self.origin_ns):>8}  ", "time"),
        )
        fill = line * max(1, self._span - label.cell_len - 6)
        if rightward:
            text.append(f"├{line} ", arrow).append_text(label).append(f" {fill}▶", arrow).append("│", arrow)
        else:
            text.append("│", arrow).append(f"◀{fill} ", arrow).append_text(label).append(f" {line}┤", arrow)
        return text

    def _rightward(self, message: MessageEntry) -> bool:
        if message["from_initiator"] is not None:
            return message["from_initiator"]
        return message["source"] == self._ends()[0]

    def _label(self, message: MessageEntry, room: int) -> Text:
        name = Text(f"{terminal(message['exchange'])} [{_message_id(message)}]", style="heading")
        words = {None: "", True: " response", False: " request"}[message["is_response"]]
        if message["encrypted"] and not message["payloads"]:
            return name.append(f"{words} encrypted, {plural(message['length'], 'octet')}", "not bold")
        # The arrow says the direction too: that word goes before anything of the payloads is cut.
        for head in (name.copy().append(words, "not bold"), name):
            for texts in _payload_texts(message["payloads"]):
                label = Text(" ").join([head, *texts])
                if label.cell_len <= room:
                    return label
        label.truncate(max(room, 1), overflow="ellipsis")
        return label

    def _notes(self, message: MessageEntry) -> Iterator[Text]:
        told = []
        if message["retransmission_of"] is not None:
            told.append(f"again: first sent in frame {message['retransmission_of']}")
        elif message["round_trip_ns"] is not None and self.tree:
            told.append(f"answers frame {message['response_to']} after {duration(message['round_trip_ns'])}")
        told += message["notes"]
        if told:
            yield Text(terminal("; ".join(told), 400), style="notice")
        for warning in message["warnings"]:
            place = "" if warning["offset"] is None else f" (offset {warning['offset']})"
            yield Text(terminal(warning["message"], 400) + place, style="bad")

    def _fields(self, message: MessageEntry) -> Iterator[RenderableType]:
        yield Text(f"{'':>{_MARGIN}}{_origin(message)}", style="quiet")
        for field in message.get("tree", ()):
            yield _field(field)


def _origin(message: MessageEntry) -> str:
    ends = (
        f"{terminal(message[end])} port {message[port]}"  # type: ignore[literal-required]
        for end, port in (("source", "source_port"), ("destination", "destination_port"))
    )
    return f"{moment(message['time_ns'])} UTC, {' to '.join(ends)}"


def _field(field: TreeEntry) -> Text:
    name = Text(terminal(field["name"]), style="heading" if field["level"] == 0 else "label")
    return Text.assemble(
        (f"{field['offset']:>{_MARGIN - 2}}  ", "quiet"),
        "  " * field["level"],
        name,
        "  ",
        terminal(field["value"], 2000),
    )


def _message_id(message: MessageEntry) -> str:
    # IKEv1's message IDs are random: decimal digits would say nothing.
    value = message["message_id"]
    return f"{value:08x}" if message["version"].startswith("1") and value else str(value)


def _payload_texts(payloads: Sequence[PayloadEntry]) -> Iterator[list[Text]]:
    """The payloads in ever fewer words; errors keep theirs."""
    yield [_payload(payload, payload["summary"]) for payload in payloads]
    for detailed in (True, False):
        errors = [_payload(payload, payload["summary"]) for payload in payloads if payload["is_error"]]
        counted = Counter(_words(payload, detailed=detailed) for payload in payloads if not payload["is_error"])
        yield errors + [Text(words if count == 1 else f"{count}×{words}") for words, count in counted.items()]  # noqa: RUF001


def _words(payload: PayloadEntry, *, detailed: bool) -> str:
    """Notifies and vendor IDs are many and their names long: they go first."""
    return terminal(payload["summary"] if detailed and payload["label"] not in ("N", "V", "VID") else payload["label"])


def _payload(payload: PayloadEntry, words: str) -> Text:
    return Text(terminal(words, 160), style="bad" if payload["is_error"] else "")
