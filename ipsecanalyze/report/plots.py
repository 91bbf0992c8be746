"""Plots of a summary document with matplotlib, which is imported when the first is drawn.

Each method returns a figure that is the caller's to show or save; no global state of pyplot is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ipsecanalyze.errors import UsageError
from ipsecanalyze.report.text import terminal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipsecanalyze.shapes import FlowEntry, IkeSaEntry, MessageEntry, MessagesDocument, SummaryDocument

__all__ = ["Plots"]

_MOST_FLOWS = 20


class Plots:
    """The plots of one analysis: `analysis.plot.sequence()`."""

    def __init__(self, document: SummaryDocument, messages: Callable[[], MessagesDocument] | None = None) -> None:
        self._document = document
        self._messages = messages
        times = [capture["first_time_ns"] for capture in document["captures"]]
        self._origin_ns = min((time for time in times if time is not None), default=0)

    def sequence(self) -> Figure:
        """Sequence numbers over time: a line per flow from its first to its last packet, with its large jumps."""
        figure, axes = _figure()
        for flow in self._busiest():
            times, numbers = [self._seconds(flow["first_time_ns"])], [float(flow["first_sequence"])]
            for jump in flow["breaks"]:
                # The gap in the line is the jump.
                times += [self._seconds(jump["time_ns"])] * 3
                numbers += [float(jump["from_sequence"]), float("nan"), float(jump["to_sequence"])]
            times.append(self._seconds(flow["last_time_ns"]))
            numbers.append(float(flow["highest_sequence"]))
            axes.plot(times, numbers, marker=".", label=_name(flow))
        axes.set(xlabel="seconds since the start of the capture", ylabel="sequence number")
        return _finish(figure, axes)

    def throughput(self) -> Figure:
        """Mean throughput of each flow over the time that it lasted: a bar per flow, as high as its rate."""
        figure, axes = _figure()
        for flow in self._busiest():
            start, end = self._seconds(flow["first_time_ns"]), self._seconds(flow["last_time_ns"])
            if end > start:
                rate = 8 * flow["octets"] / (end - start)
                axes.fill_between([start, end], [rate, rate], alpha=0.35, label=_name(flow))
        axes.set(xlabel="seconds since the start of the capture", ylabel="bit/s (mean)")
        return _finish(figure, axes)

    def ladder(self, ike_sa: str | None = None) -> Figure:
        """The IKE messages of one SA (by default the first) as arrows between the peers, time going down."""
        if self._messages is None or not self._document["ike_sas"]:
            raise UsageError("there are no IKE messages to draw")
        sas = {sa["id"]: sa for sa in self._document["ike_sas"]}
        chosen = next(iter(sas)) if ike_sa is None else ike_sa
        if chosen not in sas:
            raise UsageError(f"there is no IKE SA {chosen!r}")
        messages = [message for message in self._messages()["messages"] if message["ike_sa"] == chosen]
        return self._draw_ladder(sas[chosen], messages)

    def _draw_ladder(self, sa: IkeSaEntry, messages: Sequence[MessageEntry]) -> Figure:
        figure, axes = _figure(height=1.5 + 0.35 * len(messages))
        for row, message in enumerate(messages):
            rightward = message["from_initiator"] is not False
            ends = ((0, row), (1, row)) if rightward else ((1, row), (0, row))
            again = message["retransmission_of"] is not None
            arrow = {"arrowstyle": "->", "linestyle": "--" if again else "-"}
            axes.annotate("", xy=ends[1], xytext=ends[0], arrowprops=arrow)
            payloads = " ".join(payload["label"] for payload in message["payloads"])
            text = f"{message['exchange']} [{message['message_id']}] {payloads}"
            axes.text(0.5, row - 0.08, _literal(text, 80), ha="center", va="bottom", fontsize="small")
        axes.set_xticks([0, 1], [_literal(sa[end]["address"], 40) for end in ("initiator", "responder")])
        axes.set_yticks(range(len(messages)), [f"{self._seconds(message['time_ns']):+.3f} s" for message in messages])
        axes.set(xlim=(-0.05, 1.05), ylim=(len(messages), -1))
        axes.xaxis.tick_top()
        return figure

    def _busiest(self) -> list[FlowEntry]:
        flows = sorted(self._document["flows"], key=lambda flow: -flow["packets"])[:_MOST_FLOWS]
        if not flows:
            raise UsageError("there are no ESP or AH flows to draw")
        return flows

    def _seconds(self, time_ns: int) -> float:
        return (time_ns - self._origin_ns) / 1e9


def _figure(height: float = 4.5) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("matplotlib is not installed: pip install 'ipsecanalyze[notebook]'") from None
    figure = Figure(figsize=(9, min(height, 60)), layout="constrained")
    return figure, figure.add_subplot()


def _finish(figure: Figure, axes: Any) -> Figure:
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    return figure


def _name(flow: FlowEntry) -> str:
    return _literal(f"{flow['protocol']} {flow['spi']} {flow['source']} → {flow['destination']}", 120)


def _literal(text: str, limit: int) -> str:
    """Text that matplotlib shows as it is: a dollar sign would begin mathematics."""
    return terminal(text, limit).replace("$", r"\$")
