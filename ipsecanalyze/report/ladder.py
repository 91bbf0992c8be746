"""IKE messages as ladder diagrams: a section per IKE SA, a line per message between the two peers.

The payloads in the arrow are as detailed as the width allows; what went wrong is never the part that is left out.
With `tree` each message is followed by its fields with their offsets.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ipsecanalyze.report.console import make_console
from ipsecanalyze.report.exchanges import exchange_text
from ipsecanalyze.report.terminal import FEW_HALF_OPEN
from ipsecanalyze.report.text import duration, moment, plural, relative, terminal

if TYPE_CHECKING:
    from ipsecanalyze.shapes import CaptureEntry, IkeSaEntry, MessageEntry, MessagesDocument, PayloadEntry, TreeEntry

__all__ = ["LadderText", "ladder_text"]

#: Columns in front of the ladder: frame, time.
_MARGIN = 19
_NARROWEST = 40
_NARROWEST_VALUE = 24
_NO_SPI = "0" * 16


def ladder_text(document: MessagesDocument, *, width: int = 80, color: bool = False, tree: bool = False) -> str:
    """The ladders as a string, `width` columns wide, with ANSI colours if `color`."""
    stream = io.StringIO()
    order: dict[tuple[int, str | None], int] = {}
    messages = sorted(document["messages"], key=lambda message: order.setdefault(_section_of(message), len(order)))
    LadderText(width=width, color=color, tree=tree).write({**document, "messages": messages}, stream)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class LadderText:
    """Writes a messages document as ladder diagrams, a section per run of messages of the same IKE SA.

    The lists of the document may be iterators; messages are drawn as they come.
    """

    width: int | None = None
    """Columns; None asks the terminal."""
    color: bool | None = None
    """None asks the stream and the environment."""
    tree: bool = False
    """Whether each message is followed by its fields."""
    everything: bool = False
    """Whether attempts that never got past their first exchange are drawn even where they are many."""

    def write(self, document: Mapping[str, Any], stream: TextIO) -> None:
        """Write the ladders."""
        console = make_console(stream, width=self.width, color=self.color)
        captures: list[CaptureEntry] = list(document["captures"])
        times = [capture["first_time_ns"] for capture in captures]
        origin_ns = min((time for time in times if time is not None), default=0)
        sas: dict[str | None, IkeSaEntry] = {sa["id"]: sa for sa in document["ike_sas"]}
        left_out = self._flood(list(sas.values()))
        drawn = (message for message in document["messages"] if message["ike_sa"] not in left_out)
        found = False
        for (capture, sa_id), messages in groupby(drawn, _section_of):
            if found:
                console.print()
            found = True
            if len(captures) > 1:
                console.print(Text(terminal(captures[capture]["path"]), style="quiet"))
            section = _Section(messages, sas.get(sa_id), origin_ns, console, self.tree)
            for part in section.parts():
                # Texts were made to fit; on terminals narrower than a ladder can be, they are not broken.
                console.print(part, soft_wrap=isinstance(part, Text))
        if left_out:
            told = f"{plural(len(left_out), 'attempt')} that never got past the first exchange left out (see --all)"
            console.print(Text(f"\n{told}" if found else told, style="notice"))
        elif not found:
            console.print(Text("No IKE messages were found.", style="notice"))
        for warning in document["warnings"]:
            console.print(Text(terminal(warning["message"]), style="notice"))

    def _flood(self, sas: Sequence[IkeSaEntry]) -> set[str | None]:
        half_open: set[str | None] = {sa["id"] for sa in sas if sa["state"] == "half-open"}
        return half_open if len(half_open) > FEW_HALF_OPEN and not self.everything else set()


def _section_of(message: MessageEntry) -> tuple[int, str | None]:
    return message["capture"], message["ike_sa"]


@dataclass(slots=True)
class _Section:
    """The messages of one IKE SA; the initiator stands left."""

    messages: Iterable[MessageEntry]
    sa: IkeSaEntry | None
    origin_ns: int
    console: Console
    tree: bool

    @property
    def width(self) -> int:
        """Columns."""
        return self.console.width

    def parts(self) -> Iterator[RenderableType]:
        """The section from top to bottom."""
        for index, message in enumerate(self.messages):
            if not index:
                ends = self._ends(message)
                # In a group, so that it is wrapped: it is prose.
                yield Group(self._heading(message))
                yield self._peers(*ends)
            label, notes = self._label(message), self._notes(message)
            if notes and label.cell_len + notes.cell_len + 3 <= self._room:
                label, notes = Text.assemble(label, " (", notes, ")"), Text()
            yield self._rung(message, label, rightward=_rightward(message, ends[0]))
            for note in (notes, *_warnings(message)):
                if note:
                    yield Padding(note, (0, 0, 0, _MARGIN + 2), expand=False)
            if self.tree:
                yield from self._fields(message)

    def _heading(self, first: MessageEntry) -> Text:
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

    def _ends(self, first: MessageEntry) -> tuple[str, str]:
        if self.sa is not None:
            return self.sa["initiator"]["address"], self.sa["responder"]["address"]
        if first["from_initiator"] is False:
            return first["destination"], first["source"]
        return first["source"], first["destination"]

    @property
    def _span(self) -> int:
        """Columns from one peer's line to the other's, both included."""
        return max(self.width, _MARGIN + _NARROWEST) - _MARGIN

    @property
    def _room(self) -> int:
        """Columns for the words in an arrow, at the most."""
        return self._span - 8

    def _peers(self, *ends: str) -> Text:
        left, right = (terminal(end) for end in ends)
        line = Text(f"{'frame':>7}  {'seconds':>8}  ", style="label")
        if len(left) + len(right) + 2 <= self._span:
            return (
                line.append(left, "address")
                .append(" " * (self._span - len(left) - len(right)))
                .append(right, "address")
            )
        under = "\n" + " " * (_MARGIN + max(0, self._span - len(right)))
        return line.append(left, "address").append(under).append(right, "address")

    def _rung(self, message: MessageEntry, label: Text, *, rightward: bool) -> Text:
        again = message["retransmission_of"] is not None
        line = "╌" if again else "─"
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

    def _label(self, message: MessageEntry) -> Text:
        name = Text(exchange_text(message["exchange"], message["message_id"]), style="heading")
        words = {None: "", True: " response", False: " request"}[message["is_response"]]
        # The arrow says the direction too: that word goes before anything of the payloads is cut.
        for head in (name.copy().append(words, "not bold"), name):
            for texts in _payload_texts(message):
                label = Text(" ").join([head, *texts])
                if label.cell_len <= self._room:
                    return label
        label.truncate(self._room, overflow="ellipsis")
        return label

    def _notes(self, message: MessageEntry) -> Text:
        told = []
        if message["retransmission_of"] is not None:
            told.append(f"again, frame {message['retransmission_of']}")
        elif message["round_trip_ns"] is not None and self.tree:
            told.append(f"answers frame {message['response_to']} after {duration(message['round_trip_ns'])}")
        return Text(terminal("; ".join([*told, *message["notes"]]), 400), style="notice")

    def _fields(self, message: MessageEntry) -> Iterator[RenderableType]:
        yield from self._folded(Text(" " * _MARGIN), Text(_origin(message), style="quiet"))
        for field in message.get("tree", ()):
            yield from self._folded(*_field(field))

    def _folded(self, head: Text, value: Text) -> Iterator[Text]:
        """A value behind its name, in as many lines as it takes."""
        if head.cell_len + value.cell_len <= self.width:
            yield head.append_text(value)
            return
        indent = head.cell_len
        if indent > max(self.width, _MARGIN + _NARROWEST) - _NARROWEST_VALUE:
            head.rstrip()
            yield head
            indent = _MARGIN + 2
            head = Text(" " * indent)
        for line in value.wrap(self.console, max(self.width - indent, _NARROWEST_VALUE)):
            line.rstrip()
            yield head.append_text(line)
            head = Text(" " * indent)


def _origin(message: MessageEntry) -> str:
    ends = (
        f"{terminal(message[end])} port {message[port]}"  # type: ignore[literal-required]
        for end, port in (("source", "source_port"), ("destination", "destination_port"))
    )
    return f"{moment(message['time_ns'])} UTC, {' to '.join(ends)}"


def _rightward(message: MessageEntry, left: str) -> bool:
    if message["from_initiator"] is not None:
        return message["from_initiator"]
    return message["source"] == left


def _warnings(message: MessageEntry) -> Iterator[Text]:
    for warning in message["warnings"]:
        place = "" if warning["offset"] is None else f" (offset {warning['offset']})"
        yield Text(terminal(warning["message"], 400) + place, style="bad")


def _field(field: TreeEntry) -> tuple[Text, Text]:
    """The offset with the name, and the value."""
    name = Text(terminal(field["name"]), style="heading" if field["level"] == 0 else "label")
    place = Text.assemble((f"{field['offset']:>{_MARGIN - 2}}  ", "quiet"), "  " * field["level"], name, "  ")
    return place, Text(terminal(field["value"], 2000))


def _payload_texts(message: MessageEntry) -> Iterator[list[Text]]:
    """The payloads in ever fewer words; errors keep theirs."""
    payloads = message["payloads"]
    if any(payload["opened"] for payload in payloads):
        # What was inside says more than that it was hidden.
        payloads = [payload for payload in payloads if payload["label"] not in ("SK", "SKF")]
    if message["encrypted"] and not payloads:
        yield [Text(f"encrypted, {plural(message['length'], 'octet')}")]
        return
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
