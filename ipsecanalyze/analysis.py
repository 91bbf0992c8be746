"""The pipeline from captures to the result that users hold.

`Analyzer` takes octets or packets piece by piece and `finish()` gives the `Analysis`; `analyze()` does both for
files. The work itself is done on the floors below: scanning in `_fast/`, tracking in `sa/`. Nothing is printed here.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from ipsecanalyze._fast import make_flow_table, make_scanner
from ipsecanalyze._fast.contract import CaptureFacts, Limits, Scanner, ScanOptions
from ipsecanalyze.capture.packet import Datagram
from ipsecanalyze.errors import CaptureError, IpsecAnalyzeError, Notice, UsageError
from ipsecanalyze.esp.flow import Flow

if TYPE_CHECKING:
    from pandas import DataFrame

    from ipsecanalyze.documents import FlowsDocument, MessagesDocument, SummaryDocument
    from ipsecanalyze.esp.flow import FlowKey
    from ipsecanalyze.esp.guess import SuiteGuess
    from ipsecanalyze.findings.case import Case
    from ipsecanalyze.findings.model import Finding
    from ipsecanalyze.keys.ring import KeyRing
    from ipsecanalyze.report.plots import Plots
    from ipsecanalyze.sa.records import ChildSa, IkeSa, MessageRecord
    from ipsecanalyze.sa.tracker import Tracker

# What only the end needs is loaded there, not above: the scan must not wait for it, and other cores are free meanwhile.

__all__ = ["Analysis", "Analyzer", "Path", "analyze"]

#: Packets that are quickly read again, for the frames of what the flows have counted.
_FEW_PACKETS = 50_000

#: A file's path, or "-" for standard input.
Path = str | os.PathLike[str]


@dataclass(slots=True)
class Analysis:
    """What the IPsec in some captures did: plain records, and views of them as JSON, text, HTML, tables and plots."""

    captures: list[CaptureFacts] = field(default_factory=list)
    """What was read, a record per file."""
    ike_sas: list[IkeSa] = field(default_factory=list)
    """IKE SAs and attempts at one, in order of their first message."""
    child_sas: list[ChildSa] = field(default_factory=list)
    """Pairs of ESP or AH SAs."""
    flows: list[Flow] = field(default_factory=list)
    """ESP and AH flows, one way each, in order of their first packet."""
    messages: list[MessageRecord] = field(default_factory=list)
    """IKE messages, in order of capture (bounded by `Limits.messages`)."""
    notices: list[Notice] = field(default_factory=list)
    """What the analysis itself has to say, limits that were reached among it."""
    keys: KeyRing | None = field(default=None, repr=False)
    """The keys that were given, with those that follow from opened IKE messages; None without keys."""
    _findings: list[Finding] | None = field(default=None, repr=False, compare=False)
    _files: list[str | None] = field(default_factory=list, repr=False, compare=False)
    """Where each capture can be looked at again; None: nowhere (standard input, octets that were fed)."""

    @property
    def findings(self) -> list[Finding]:
        """What is wrong or weak, worst first: `diagnose()` and `audit()` by the default profile, looked for once.

        Captures of more than 50,000 packets are not read again for it: `diagnose()` names more frames there.
        """
        if self._findings is None:
            from ipsecanalyze.findings.audit.profile import load_profile
            from ipsecanalyze.findings.find import audit, diagnose

            case = self.case()
            if sum(facts.packets for facts in self.captures) > _FEW_PACKETS:
                case.look_again = None
            both = self._found(case, lambda case: [*diagnose(case), *audit(case, load_profile())])
            self._findings = sorted(both, key=lambda finding: -finding.severity.rank)
        return self._findings

    def diagnose(self) -> list[Finding]:
        """What does not work, and what the captures lack for saying more; worst first (docs/findings.md)."""
        from ipsecanalyze.findings.find import diagnose

        return self._found(self.case(), diagnose)

    def infer(self) -> dict[FlowKey, SuiteGuess]:
        """What algorithms the flows of ESP look like without keys, also put on each flow (docs/inference.md).

        Reads the captures again, as far as it takes to see some packets of each flow; where that cannot be (standard
        input), lengths are all it goes by. The flows with the most packets are judged, up to 5,000.
        """
        from ipsecanalyze.findings.inference import infer_flows

        infer_flows(self.captures, self.flows, {sa.id: sa for sa in self.ike_sas})
        return {flow.key: flow.guess for flow in self.flows if flow.guess is not None}

    def audit(self, profile: str = "rfc") -> list[Finding]:
        """What is weak by a profile; worst first (docs/findings.md). Raises UsageError for an unknown one."""
        from ipsecanalyze.findings.audit.profile import load_profile
        from ipsecanalyze.findings.find import audit

        standard = load_profile(profile)
        return self._found(self.case(), lambda case: audit(case, standard))

    def _found(self, case: Case, look: Callable[[Case], list[Finding]]) -> list[Finding]:
        with _patient_collector():
            found = look(case)
        self.notices += [notice for notice in case.notices if notice not in self.notices]
        return found

    def not_looked_at_again(self) -> list[str]:
        """What the second look of `diagnose()` at the packets leaves out: frames of some losses and copies."""
        from ipsecanalyze.findings.again import is_readable
        from ipsecanalyze.findings.traces import left_out

        files = (*self._files, *[None] * len(self.captures))
        return list(left_out(self.captures, self.flows, [is_readable(path) for path in files]))

    def case(self) -> Case:
        """What the rules of findings look at."""
        from ipsecanalyze.findings.case import Case

        lists = self.captures, self.ike_sas, self.child_sas, self.flows, self.messages
        return Case(*lists, has_keys=self.keys is not None, keys=self.keys, look_again=self._look_again)

    def _look_again(self, capture: int) -> Iterator[Datagram]:
        from ipsecanalyze.findings.again import datagrams_of
        from ipsecanalyze.findings.traces import MOST_DATAGRAMS

        path = self._files[capture] if capture < len(self._files) else None
        if path is not None:
            yield from datagrams_of(path, capture, MOST_DATAGRAMS)

    def to_dict(self) -> SummaryDocument:
        """The document of `summarize --format json` (docs/json.md)."""
        from ipsecanalyze.documents import summary_document

        return summary_document(self)

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict()` as JSON text, in ASCII: hostile text stays escaped."""
        return json.dumps(self.to_dict(), indent=indent)

    def messages_document(self) -> MessagesDocument:
        """The document of `messages --format json`: every IKE message with its payload tree."""
        from ipsecanalyze.documents import messages_document

        return messages_document(self)

    def flows_document(self) -> FlowsDocument:
        """The document of `flows --format json`: every flow with all its statistics."""
        from ipsecanalyze.documents import flows_document

        return flows_document(self)

    def summary(self, *, width: int = 80, color: bool = False) -> str:
        """The text that `summarize` prints."""
        from ipsecanalyze.documents import summary_outline
        from ipsecanalyze.report.terminal import summary_text

        return summary_text(summary_outline(self), width=width, color=color)

    def to_pandas(self, table: str = "flows") -> DataFrame:
        """One of "captures", "ike_sas", "child_sas", "flows", "messages", "findings" as a DataFrame.

        Times become UTC timestamps. Raises UsageError for another name, or where pandas is not installed.
        """
        from ipsecanalyze.documents import messages_stream, summary_stream
        from ipsecanalyze.report.frames import TABLES, data_frame

        if table not in TABLES:
            raise UsageError(f"there is no table {table!r}; there are {', '.join(TABLES)}")
        stream = messages_stream(self) if table == "messages" else summary_stream(self)
        return data_frame({table: list(stream[table])}, table)

    @property
    def plot(self) -> Plots:
        """Plots (matplotlib figures): `analysis.plot.throughput()` and others."""
        from ipsecanalyze.report.plots import Plots

        return Plots(self.to_dict(), self.messages_document)

    def _repr_html_(self) -> str:
        from ipsecanalyze.documents import summary_outline
        from ipsecanalyze.report.html import summary_html

        return summary_html(summary_outline(self))


class Analyzer:
    """Takes captures piece by piece; `finish()` gives the result.

    One or more captures may be fed, one after the other; they are analysed as one story (rotated files, or several
    captures of one site), with frames counted per capture.
    """

    def __init__(self, *, limits: Limits | None = None, jobs: int | None = None, keys: KeyRing | None = None) -> None:
        self._limits = limits or Limits()
        self._keys = keys
        self._jobs = jobs if jobs is not None else _cores()
        self._flows = make_flow_table(self._limits.flows, self._limits.gaps)
        self._tracker: Tracker | None = None
        self._captures: list[CaptureFacts] = []
        self._files: list[str | None] = []
        self._file: str | None = None
        self._scanner: Scanner | None = None

    def read(
        self,
        path: Path,
        progress: Callable[[int], None] | None = None,
        follow: Callable[[], bool] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        """Read a whole capture file ("-" is standard input); `progress` is called with the octets read so far.

        `name` is what the result calls it, where that is not its path.

        As long as `follow()` says so, the end of the file is waited at for more.
        Raises CaptureError where nothing of it can be read.
        """
        scanner = self._begin(os.fspath(path) if name is None else name)
        self._file = None if path == "-" else os.fspath(path)
        try:
            scanner.scan_file(os.fspath(path), self._take, progress, follow)
        finally:
            self._end()

    def feed(self, octets: bytes, *, name: str = "-") -> None:
        """Take the next octets of a capture (pcap or pcapng, uncompressed); `name` counts at its first piece."""
        if self._scanner is None:
            self._begin(name)
        assert self._scanner is not None  # noqa: S101 - for the type checker
        self._take(self._scanner.feed(octets))

    def end_capture(self) -> None:
        """Say that the capture being fed is complete; the next `feed` begins another."""
        if self._scanner is not None:
            try:
                self._take(self._scanner.feed(b"", final=True))
            finally:
                self._end()

    def finish(self) -> Analysis:
        """Draw the conclusions. The analyzer is used up."""
        from ipsecanalyze.sa.pairing import pair_flows

        self.end_capture()
        tracker = self._tracking()
        tracker.finish()
        flows = self._flows.finish()
        ike_sas = tracker.ike_sas
        child_sas = pair_flows(flows, ike_sas)
        ring = self._ring()
        if ring is not None:
            from ipsecanalyze.opening.children import observe_children
            from ipsecanalyze.opening.ike import open_ike

            opened = open_ike(ike_sas, tracker.messages, ring)
            child_sas, ring = observe_children(child_sas, flows, ike_sas, opened.revealed), opened.ring
        return Analysis(
            captures=self._captures,
            ike_sas=ike_sas,
            child_sas=child_sas,
            flows=flows,
            messages=tracker.messages,
            notices=[*_overlaps(self._captures), *self._flows.notices, *tracker.notices],
            keys=ring,
            _files=self._files,
        )

    @property
    def has_keys(self) -> bool:
        """Whether keys were given."""
        return self._keys is not None

    def _ring(self) -> KeyRing | None:
        """The keys that were given, and those that the captures have with them (pcapng)."""
        secrets = [secret for facts in self._captures for secret in facts.decryption_secrets]
        if not secrets:
            return self._keys
        from ipsecanalyze.keys import KeyRing, load_secrets

        ring = KeyRing()
        if self._keys is not None:
            ring.merge(self._keys)
        ring.merge(load_secrets(secrets, self._captures[0].path))
        return ring

    def _begin(self, path: str) -> Scanner:
        self._scanner = make_scanner(
            ScanOptions(limits=self._limits, jobs=self._jobs), path=path, flows=self._flows, capture=len(self._captures)
        )
        return self._scanner

    def _end(self) -> None:
        # Facts are kept of captures that turned out unreadable half-way too: what was read counts.
        if self._scanner is not None and self._scanner.facts.format:
            self._captures.append(self._scanner.facts)
            self._files.append(self._file)
        self._scanner = self._file = None

    def _take(self, datagrams: Iterable[Datagram]) -> None:
        if not datagrams:
            return
        feed = self._tracking().feed
        for datagram in datagrams:
            feed(datagram)

    def _tracking(self) -> Tracker:
        """The tracker, made when there is something to track."""
        if self._tracker is None:
            from ipsecanalyze.sa.tracker import Tracker

            self._tracker = Tracker(self._limits)
        return self._tracker


def _ring_of(keys: KeyRing | Path | Iterable[Path] | None) -> KeyRing | None:
    """A ring, read where it is told where to read it. Raises KeyFileError."""
    if keys is None:
        return None
    from ipsecanalyze.keys import KeyRing, load_keys

    return keys if isinstance(keys, KeyRing) else load_keys(keys)


def _cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _overlaps(captures: list[CaptureFacts]) -> Iterator[Notice]:
    """Tell where captures are no sequence: what two of them hold both would count twice."""
    for before, after in pairwise(captures):
        if before.last_time_ns is None or after.first_time_ns is None or after.first_time_ns >= before.last_time_ns:
            continue
        yield Notice(
            "captures-overlap",
            f"{after.path} begins before {before.path} ends: packets that both hold count twice, and as "
            "retransmissions; analyse captures of two places apart, and rotated files in order",
        )


def analyze(
    path_or_paths: Path | Iterable[Path],
    *,
    keys: KeyRing | Path | Iterable[Path] | None = None,
    limits: Limits | None = None,
    jobs: int | None = None,
    follow: Callable[[], bool] | None = None,
    progress: Callable[[int], None] | None = None,
    errors: list[IpsecAnalyzeError] | None = None,
) -> Analysis:
    """Read one or more captures and tell what the IPsec in them did.

    With `keys`, a ring or the paths of files and folders with keys, what they open is opened.
    A large file is scanned by `jobs` threads (None: as many as there are cores); the result does not depend on that.
    The last one may still grow: its end is waited at for more as long as `follow()` says so.
    `progress` is called with the octets read so far, over all files. Raises CaptureError for a file that cannot be
    read at all; where `errors` is given, such errors are put there instead and the other files are read.
    """
    single = isinstance(path_or_paths, str | os.PathLike)
    paths: list[Path] = [path_or_paths] if single else list(path_or_paths)  # type: ignore[arg-type, list-item]
    analyzer = Analyzer(limits=limits, jobs=jobs, keys=_ring_of(keys))
    before = 0
    latest = 0

    def report(octets: int) -> None:
        nonlocal latest
        latest = octets
        if progress is not None:
            progress(before + octets)

    with _patient_collector(), _readable_again(paths, analyzer.has_keys) as files:
        for number, path in enumerate(files, 1):
            latest = 0
            try:
                analyzer.read(path, report, follow if number == len(files) else None, name=os.fspath(paths[number - 1]))
            except CaptureError as error:
                if errors is None:
                    raise
                errors.append(error)
            before += latest
        analysis = analyzer.finish()
        if analysis.keys is not None:
            from ipsecanalyze.opening.export import open_flows

            open_flows(files, analysis.keys, analysis.flows, limits or Limits())
        return analysis


@contextmanager
def _readable_again(paths: list[Path], wanted: bool) -> Iterator[list[Path]]:
    """The paths; where they will be read twice, a copy of standard input in its place."""
    if not wanted or "-" not in paths:
        yield paths
        return
    from ipsecanalyze.opening.complete import spooled

    with spooled(paths) as files:
        yield files


class _Collector:
    """What was done to the cyclic garbage collector, for the whole process."""

    #: Young objects that are worth more than a look at each.
    MANY = 200_000
    #: Whether there may be garbage among the old objects that the collector will not find for long.
    owes_a_look = False


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Keep the cyclic garbage collector from going through a growing analysis again and again.

    What an analysis makes stays, or is freed by its reference count: looking took a third of the time on captures with
    50,000 IKE SAs. Seldom and not never, as this is not the only code in the process.
    """
    if _Collector.owes_a_look:
        # Whoever analyses one large capture after the other would keep all of them.
        gc.collect()
        _Collector.owes_a_look = False
    thresholds = gc.get_threshold()
    gc.set_threshold(5_000_000, 100, 100)
    try:
        yield
    finally:
        if gc.get_count()[0] > _Collector.MANY and not gc.get_freeze_count():
            # Makes old objects of the young ones, without the look at each that the next collection would take.
            gc.freeze()
            gc.unfreeze()
            _Collector.owes_a_look = True
        gc.set_threshold(*thresholds)
