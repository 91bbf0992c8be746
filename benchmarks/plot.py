"""Draws times of programs as bars on a logarithmic scale; ours stand out."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

_OURS, _OTHERS, _INK, _GRID = "#0b6e4f", "#b8c0c8", "#24292f", "#e3e6ea"


def _told(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def draw(path: Path, seconds: dict[str, float], title: str) -> None:
    """Write the plot; names of programs may hold backticks, which are left out."""
    rows = sorted(seconds.items(), key=lambda row: row[1], reverse=True)
    names = [name.replace("`", "") for name, _ in rows]
    times = [time for _, time in rows]
    figure = Figure(figsize=(8.5, 0.42 * len(rows) + 1.0), layout="constrained")
    axes = figure.subplots()
    ours = [name.startswith("ipsecanalyze") for name in names]
    bars = axes.barh(names, times, height=0.66, color=[_OURS if own else _OTHERS for own in ours])
    axes.bar_label(bars, [_told(time) for time in times], padding=5, color=_INK, fontsize=9.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(min(times) / 3, max(times) * 3)
    axes.set_title(title, loc="left", color=_INK, fontsize=12, fontweight="bold")
    axes.set_xlabel("wall time, seconds (logarithmic); shorter is better", color=_INK, fontsize=9)
    axes.tick_params(axis="y", length=0, labelcolor=_INK, labelsize=9.5)
    axes.tick_params(axis="x", colors=_INK, labelsize=8.5)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for label, own in zip(axes.get_yticklabels(), ours, strict=True):
        label.set_fontweight("bold" if own else "normal")
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
