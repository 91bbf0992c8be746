"""From a scenario to a bundle that proves itself: up, capture, steps, keys, down, analyse, decrypt, compare, check.

`run_scenario` does it all; what it finds is a `Run`. A run proved itself when every check passed: each step went as it
should, no capture lacks packets, the keys agree between their sources, every ESP packet opened, and what was inside is
what was on the LAN.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipsecanalyze.analysis import analyze
from ipsecanalyze.capture.reader import open_capture
from ipsecanalyze.keys.document import write_json
from ipsecanalyze.keys.files import write_private
from ipsecanalyze.opening.esp import decrypt
from ipsecanalyze.report.ladder import ladder_text

from .bundle import Bundle, facts_of_host
from .capture import Recording
from .compare import Comparison, Selector, compare, lan_packets
from .dataplane import DataPlane, probe, why_not
from .engine import Engine, connect
from .errors import LabError
from .gateway import POOL
from .image import ensure_image
from .keys import CrossCheck, cross_check, derived, load_sources, merged
from .lab import Lab
from .report import report_html
from .scenario import Scenario, load_scenario
from .steps import Result
from .verdict import (
    Check,
    check_captures,
    check_diagnosis,
    check_expectations,
    check_keys,
    check_packets,
    check_steps,
)

if TYPE_CHECKING:
    from ipsecanalyze import Analysis

__all__ = ["Run", "run_scenario"]


@dataclass(slots=True)
class Run:
    """What came of a run."""

    scenario: Scenario
    skipped: str = ""
    """Why this machine cannot carry the scenario; nothing else is filled then."""
    folder: Path = field(default_factory=Path)
    plane: str = ""
    checks: list[Check] = field(default_factory=list)
    comparison: Comparison | None = None
    keys: CrossCheck | None = None
    analysis: Analysis | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """Phase → how long it took."""

    @property
    def proved(self) -> bool:
        """Whether every check passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)


def run_scenario(
    scenario: Scenario | str,
    *,
    folder: str | Path = "runs",
    engine: Engine | None = None,
    plane: DataPlane | None = None,
    method: str = "",
    wired: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Run:
    """Run a scenario and write its bundle below `folder`. Raises LabError where it cannot be run at all.

    `method` is how to capture ("nsenter", "sidecar"); "" chooses. `wired`: without Docker's networks (`wires.py`).
    """
    scenario = load_scenario(scenario) if isinstance(scenario, str) else scenario
    engine = engine or connect()
    clock = _Clock()
    image = ensure_image(engine, tell)
    plane = plane or probe(engine, image)
    reason = why_not(scenario, plane)
    if reason:
        return Run(scenario, skipped=reason)
    lab = Lab(scenario, engine=engine, plane=plane, seconds=3600, wired=wired, tell=tell)
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{scenario.name}-{lab.id}"
    bundle = Bundle.create(Path(folder), name)
    try:
        return _run(lab, bundle, method, clock, tell)
    finally:
        bundle.finish()


def _run(lab: Lab, bundle: Bundle, method: str, clock: _Clock, tell: Callable[[str], None]) -> Run:
    run = Run(lab.scenario, folder=bundle.folder)
    bundle.write("scenario.toml", lab.scenario.source)
    clock.start("up")
    try:
        lab.up()
        run.plane = lab.plane
        clock.start("steps")
        results, recordings = _happen(lab, bundle, method, tell)
        clock.start("keys")
        files = _keys(lab, bundle)
        logs = bundle.save_states(lab)
        facts = facts_of_host(lab.engine, lab.image)
    except BaseException:
        lab.down()
        raise
    # Taking it down and analysing what it left go side by side.
    problems: list[LabError] = []
    ending = threading.Thread(target=_down, args=(lab, problems))
    ending.start()
    try:
        clock.start("analysis")
        counts = {tap: count for one in recordings for tap, count in one.counts.items()}
        run.checks += [*check_steps(results), *check_captures(counts)]
        ladders = _judge(run, lab, bundle, files, logs)
    finally:
        ending.join()
    run.checks += [Check(passed=False, text=str(problem)) for problem in problems]
    clock.start("report")
    run.seconds = clock.stop()
    page = report_html(lab.scenario, run.checks, ladders, run.analysis, lab.plane, proved=run.proved)
    bundle.write("report.html", page)
    bundle.write_json("manifest.json", _manifest(run, lab, facts, results, recordings))
    return run


def _down(lab: Lab, problems: list[LabError]) -> None:
    try:
        lab.down()
    except LabError as error:
        problems.append(error)


def _happen(lab: Lab, bundle: Bundle, method: str, tell: Callable[[str], None]) -> tuple[list[Result], list[Recording]]:
    """All steps, while everything is captured."""
    results = []
    with ExitStack() as stack:
        recordings = []
        for name, places in _capture_places(lab).items():
            comment = f"{lab.scenario.title}; lab {lab.id}, {name} side of {places[0][0]}"
            capture = lab.capture(bundle.capture(name), places, method=method, comment=comment)
            recordings.append(stack.enter_context(capture))
        tell("capturing on " + ", ".join(tap.label for one in recordings for tap in one.taps))
        for step in lab.scenario.steps:
            result = lab.perform(step)
            tell(result.text)
            results.append(result)
            if not result.as_wanted and step.do == "initiate":
                break  # nothing that follows could work
    for one in recordings:
        if one.problem is not None:
            raise LabError(f"a capture could not be written: {one.problem}", slug="capture")
    return results, recordings


def _capture_places(lab: Lab) -> dict[str, list[tuple[str, str]]]:
    """Capture → nodes and networks: both sides of the observed gateway, and beyond the router where there is one."""
    topology, observe = lab.scenario.topology, lab.scenario.observe
    places = {"wan": [(observe, topology.wan(observe))]}
    lans = topology.lans(observe)
    if lans:
        places["lan"] = [(observe, network) for network in lans]
    if "router" in topology.nodes:
        peers = [name for name in topology.gateways if name != observe]
        places["far"] = [(peers[0], topology.wan(peers[0]))]
    return places


def _keys(lab: Lab, bundle: Bundle) -> list[Path]:
    try:
        return lab.collect_keys(bundle.keys)
    except LabError:
        # A failure before any key exchange has no keys; whether that is right is for the checks to say.
        return []


def _judge(run: Run, lab: Lab, bundle: Bundle, files: list[Path], logs: list[str]) -> str:
    """Analyse, decrypt and compare; returns the ladders."""
    expect, wan = lab.scenario.expect, bundle.capture("wan")
    sources = load_sources(files)
    follows = derived(sources, [wan]) if sources else None
    if follows is not None:
        sources.append(follows)
    ring = merged(sources)
    run.keys = cross_check(sources) if sources else None
    if len(ring):
        write_private(bundle.keys / "keys.json", write_json(ring))
    run.analysis = analyze(wan, keys=ring)
    if expect.proof == "lan":
        with open_capture(bundle.capture("lan")) as reader:
            run.comparison = compare(list(lan_packets(reader)), decrypt(wan, ring), _selector(lab))
    speakers = [node.name for node in lab.scenario.topology.nodes.values() if node.speaks_ike]
    run.checks += check_keys(run.keys, needed=expect.proof != "none", nodes=speakers)
    run.checks += check_packets(expect.proof, run.comparison, run.analysis)
    run.checks += check_expectations(expect, run.analysis, logs)
    run.checks += check_diagnosis(expect, run.analysis.diagnose())
    return ladder_text(run.analysis.messages_document(), width=100)


def _selector(lab: Lab) -> Selector:
    observe, topology = lab.scenario.observe, lab.scenario.topology
    peers = [one if other == observe else other for one, other in topology.tunnels if observe in (one, other)]
    far = [
        prefix
        for peer in peers
        for prefix in ([POOL[lab.plan.family]] if topology.node(peer).role == "client" else lab.plan.protected(peer))
    ]
    return Selector.of(lab.plan.protected(observe), far)


def _manifest(
    run: Run, lab: Lab, facts: dict[str, Any], results: list[Result], recordings: list[Recording]
) -> dict[str, Any]:
    return {
        "schema": "ipsecanalyze.lab.run/1",
        "scenario": lab.scenario.name,
        "lab": lab.id,
        "proved": run.proved,
        "plane": run.plane,
        "host": facts,
        "networks": lab.plan.to_dict(),
        "observed": lab.scenario.observe,
        "captures": [
            {"tap": tap.label, "device": tap.device, "method": tap.method, **asdict(one.counts[tap.label])}
            for one in recordings
            for tap in one.taps
        ],
        "steps": [{"do": result.step.do, "as_wanted": result.as_wanted, "text": result.text} for result in results],
        "keys": None if run.keys is None else asdict(run.keys),
        "comparison": None if run.comparison is None else asdict(run.comparison),
        "checks": [asdict(check) for check in run.checks],
        "seconds": run.seconds,
    }


class _Clock:
    """How long each phase took."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._phase, self._since = "prepare", time.monotonic()

    def start(self, phase: str) -> None:
        now = time.monotonic()
        self._times[self._phase] = round(now - self._since, 2)
        self._phase, self._since = phase, now

    def stop(self) -> dict[str, float]:
        self.start("")
        return {**self._times, "all": round(sum(self._times.values()), 2)}
