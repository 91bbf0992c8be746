"""DataFrames and plots: made from the documents, and a clear word where their packages are missing."""

import io
import sys
from typing import Any

import pytest

from ipsecanalyze.analysis import Analysis
from ipsecanalyze.errors import UsageError
from ipsecanalyze.report.frames import data_frame
from ipsecanalyze.report.plots import Plots

START = 1_795_413_494_000_000_000


def test_flows_as_a_frame(documents: dict[str, Any]) -> None:
    pytest.importorskip("pandas")
    frame = data_frame(documents["flows"], "flows")
    assert list(frame["packets"]) == [6, 3, 3]
    assert str(frame["first_time"].dtype) == "datetime64[ns, UTC]"
    assert frame["first_time"][0].value == START + 2_000_000_000
    assert frame["sizes_mean"][0] == 136


def test_times_are_exact_beside_missing_ones() -> None:
    """A float of 53 bits has no room for nanoseconds since 1970, and pandas none for far-off years."""
    pytest.importorskip("pandas")
    exact = 1_795_415_855_237_997_001
    times = [exact, None, 1 << 80, -(1 << 80)]
    frame = data_frame({"ike_sas": [{"closed_time_ns": time} for time in times]}, "ike_sas")
    assert frame["closed_time"][0].value == exact
    assert list(frame["closed_time"].isna()) == [False, True, True, True]
    assert str(frame["closed_time"].dtype) == "datetime64[ns, UTC]"


@pytest.mark.parametrize("table", ["captures", "ike_sas", "child_sas", "flows", "findings"])
def test_every_table(table: str, documents: dict[str, Any]) -> None:
    pytest.importorskip("pandas")
    assert len(data_frame(documents["summary"], table)) == len(documents["summary"][table])


def test_messages_as_a_frame(documents: dict[str, Any]) -> None:
    pytest.importorskip("pandas")
    assert list(data_frame(documents["messages"], "messages")["exchange"]) == ["IKE_SA_INIT"] * 3


def test_unknown_tables_are_refused(documents: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="captures, ike_sas, child_sas, flows, messages, findings"):
        Analysis().to_pandas("nonsense")
    with pytest.raises(UsageError, match="there is no table 'nonsense' here; there are captures, ike_sas"):
        data_frame(documents["summary"], "nonsense")


@pytest.mark.parametrize(("package", "call"), [("pandas", "frame"), ("matplotlib.figure", "plot")])
def test_missing_packages_are_named(
    package: str, call: str, documents: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=r"pip install 'ipsecanalyze\[notebook\]'"):
        data_frame(documents["summary"], "flows") if call == "frame" else Plots(documents["summary"]).sequence()


def test_plots_draw(documents: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib")
    plots = Plots(documents["summary"], lambda: documents["messages"])
    for figure in (plots.sequence(), plots.throughput(), plots.ladder()):
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        assert stream.getvalue().startswith(b"\x89PNG")
    [axes] = plots.sequence().axes
    assert next(text.get_text() for text in axes.get_legend().get_texts()).startswith("ESP c21a9f0d")


def test_throughput_of_single_packets_draws(documents: dict[str, Any]) -> None:
    """No flow lasts: nothing for a legend, which matplotlib would warn of."""
    pytest.importorskip("matplotlib")
    flows = [{**flow, "last_time_ns": flow["first_time_ns"]} for flow in documents["summary"]["flows"]]
    [axes] = Plots({**documents["summary"], "flows": flows}).throughput().axes  # type: ignore[arg-type]
    assert axes.get_legend() is None


def test_plots_of_nothing_are_refused(documents: dict[str, Any]) -> None:
    pytest.importorskip("matplotlib")
    empty = {**documents["summary"], "flows": []}
    with pytest.raises(UsageError, match="no ESP or AH flows"):
        Plots(empty).sequence()  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no IKE messages"):
        Plots(empty).ladder()  # type: ignore[arg-type]
