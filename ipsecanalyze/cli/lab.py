"""`ipsecanalyze lab …`: experiments in Docker, from nothing to a decrypted capture.

The only place that imports the lab, and not before a command runs.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipsecanalyze.cli.exits import DONE, USAGE, complain
from ipsecanalyze.cli.output import open_binary_output
from ipsecanalyze.errors import IpsecAnalyzeError, UsageError
from ipsecanalyze.report.text import terminal

if TYPE_CHECKING:
    from ipsecanalyze.lab.engine import Engine
    from ipsecanalyze.lab.run import Run

__all__ = ["command"]

NOT_PROVED = 1

_EPILOG = """\b
Examples:
  ipsecanalyze lab doctor
  ipsecanalyze lab image --bootstrap
  ipsecanalyze lab run ikev2-psk
  ipsecanalyze lab up ikev2-psk
  ipsecanalyze lab exec moon swanctl --initiate --child moon-sun
  ipsecanalyze lab capture moon -i wan -w - | ipsecanalyze summarize -
  ipsecanalyze lab down

\b
Exit codes: 0 done, 1 a run did not prove itself, 2 it could not be done.
"""


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "".join(f"  {line}\n" for line in lines)


@click.group("lab", epilog=_EPILOG)
def command() -> None:
    """Run IPsec in Docker: hosts, gateways, captures, keys, and the proof that they belong together.

    A SCENARIO is one of `lab list`, or the path of a TOML file (docs/lab.md). A LAB is an id of `lab status`, or the
    beginning of one; where only one lab is up, it need not be said.
    """


_LAB: Callable[[Any], Any] = click.argument("lab", required=False)
_QUIET: Callable[[Any], Any] = click.option("-q", "--quiet", is_flag=True, help="Do not tell what is being done.")
_WIRED: Callable[[Any], Any] = click.option(
    "--wired", is_flag=True, help="Wire networks by hand with veth pairs, instead of Docker's (root)."
)
_METHOD: Callable[[Any], Any] = click.option(
    "--method",
    type=click.Choice(("nsenter", "sidecar", "host")),
    help="How to capture; by default nsenter where that can be, else a sidecar.",
)


@command.command(
    "list", epilog=_examples("ipsecanalyze lab list", "ipsecanalyze lab list --format json | jq -r '.[].name'")
)
@click.option("-f", "--format", "format_name", type=click.Choice(("text", "json")), default="text", show_default=True)
def list_command(format_name: str) -> int:
    """List the scenarios that ship."""
    from ipsecanalyze.lab.scenario import load_scenario, scenario_names

    scenarios = [load_scenario(name) for name in scenario_names()]
    if format_name == "json":
        rows = [
            {"name": one.name, "title": one.title, "topology": one.topology.name, "plane": one.plane, "text": one.text}
            for one in scenarios
        ]
        click.echo(json.dumps(rows, indent=1))
        return DONE
    width = max(len(one.name) for one in scenarios)
    for one in scenarios:
        kernel = "  [kernel]" if one.plane == "kernel" else ""
        click.echo(f"{one.name:{width}}  {terminal(one.title)}{kernel}")
    return DONE


@command.command("doctor", epilog=_examples("ipsecanalyze lab doctor", "sudo ipsecanalyze lab doctor --format json"))
@click.option("-f", "--format", "format_name", type=click.Choice(("text", "json")), default="text", show_default=True)
def doctor(format_name: str) -> int:
    """Say what this machine can do, which data plane and capture method it will take, and why."""
    from ipsecanalyze.lab.doctor import examine

    findings = []
    for found in examine():
        findings.append(found)
        if format_name == "text":
            sign = {True: "ok", False: "NO", None: "--"}[found.good]
            click.echo(f"{sign}  {found.topic:10}  {terminal(found.text)}")
    if format_name == "json":
        rows = [{"topic": one.topic, "good": one.good, "text": one.text} for one in findings]
        click.echo(json.dumps(rows, indent=1))
    return DONE if all(found.good is not False for found in findings) else USAGE


@command.command("image", epilog=_examples("ipsecanalyze lab image", "sudo ipsecanalyze lab image --bootstrap"))
@click.option("--bootstrap", is_flag=True, help="Make the base of Debian's packages (debootstrap, root), pull nothing.")
@click.option("--rebuild", is_flag=True, help="Build it though it is there.")
@click.option(
    "--for", "implementation", type=click.Choice(("strongswan", "libreswan")), default="strongswan", show_default=True
)
@_QUIET
def image(bootstrap: bool, rebuild: bool, implementation: str, quiet: bool) -> int:
    """Build the image that all nodes run."""
    from ipsecanalyze.lab import image as images

    engine, tell = _connect(), _teller(quiet)
    if bootstrap and (rebuild or not images.has_image(engine, images.BOOTSTRAPPED)):
        images.bootstrap(engine, tell)
    make = images.build_image if rebuild else images.ensure_image
    click.echo(make(engine, tell, implementation))
    return DONE


@command.command(
    "run",
    epilog=_examples(
        "ipsecanalyze lab run ikev2-psk",
        "sudo ipsecanalyze lab run ikev1-main rekey-pfs -o runs",
        "ipsecanalyze lab run --all --quiet",
    ),
)
@click.argument("scenarios", metavar="SCENARIO...", nargs=-1)
@click.option("--all", "all_of_them", is_flag=True, help="Every scenario that ships and can run here.")
@click.option("-o", "--output", metavar="FOLDER", default="runs", show_default=True, help="Where the bundles go.")
@_METHOD
@_WIRED
@_QUIET
def run(
    scenarios: tuple[str, ...], all_of_them: bool, output: str, method: str | None, wired: bool, quiet: bool
) -> int:
    """Run scenarios from up to down, and prove: what was inside ESP is what was on the LAN, packet for packet.

    Each leaves a folder with captures, keys, logs and a report.
    """
    from ipsecanalyze.lab.dataplane import probe
    from ipsecanalyze.lab.image import ensure_image
    from ipsecanalyze.lab.scenario import scenario_names

    names = scenario_names() if all_of_them else list(scenarios)
    if not names:
        raise UsageError("say which scenarios, or --all; `ipsecanalyze lab list` shows them")
    if method == "host":
        raise UsageError("a run captures inside namespaces: nsenter or sidecar")
    engine, tell = _connect(), _teller(quiet)
    plane = probe(engine, ensure_image(engine, tell))
    how = {"folder": output, "engine": engine, "plane": plane, "method": method or "", "wired": wired, "tell": tell}
    return max([_run_one(name, how, skips=all_of_them) for name in names])


def _run_one(name: str, how: dict[str, Any], *, skips: bool) -> int:
    from ipsecanalyze.lab.run import run_scenario

    try:
        one = run_scenario(name, **how)
    except IpsecAnalyzeError as error:
        if not skips:
            raise
        complain(f"{name}: {error}")
        return USAGE
    if one.skipped:
        click.echo(f"- {name}: skipped: {terminal(one.skipped)}")
        return DONE if skips else USAGE
    _show(one)
    return DONE if one.proved else NOT_PROVED


def _show(one: Run) -> None:
    from ipsecanalyze.lab.report import report_text

    for line in report_text(one.scenario, one.checks, proved=one.proved).splitlines():
        click.echo(terminal(line))
    click.echo(f"{terminal(one.folder)}  ({one.seconds.get('all', 0):.1f} s)")


@command.command(
    "up", epilog=_examples("ipsecanalyze lab up ikev2-psk", "ipsecanalyze lab up ./my-scenario.toml --hours 24")
)
@click.argument("scenario")
@click.option("--hours", type=click.IntRange(1, 24 * 30), default=4, show_default=True, help="What `gc` leaves it.")
@_WIRED
@_QUIET
def up(scenario: str, hours: int, wired: bool, quiet: bool) -> int:
    """Bring a scenario's topology up, for work by hand."""
    from ipsecanalyze.lab.lab import Lab

    settings: dict[str, Any] = {"seconds": hours * 3600, "attended": False, "wired": wired, "tell": _teller(quiet)}
    lab = Lab(scenario, engine=_connect(), **settings)
    lab.up()
    click.echo(lab.id)
    if not quiet:
        for node in lab.scenario.topology.nodes:
            places = ", ".join(f"{network} {lab.plan.address(node, network)}" for network in _networks(lab, node))
            complain(f"{lab.container_name(node)}: {places}")
        for initiator, responder in lab.scenario.topology.tunnels:
            name = f"{initiator}-{responder}"
            complain(f"try: ipsecanalyze lab exec {initiator} swanctl --initiate --child {name}")
    return DONE


def _networks(lab: Any, node: str) -> Sequence[str]:
    return list(lab.scenario.topology.node(node).networks)


@command.command("status", epilog=_examples("ipsecanalyze lab status"))
@click.option("-f", "--format", "format_name", type=click.Choice(("text", "json")), default="text", show_default=True)
def status(format_name: str) -> int:
    """List the labs that are up, with their containers."""
    from ipsecanalyze.lab.labels import NODE, SCENARIO

    engine = _connect()
    abandoned = engine.abandoned()
    rows: list[dict[str, Any]] = [
        {
            "lab": lab,
            "scenario": max((one.labels.get(SCENARIO, "") for one in containers), default=""),
            "containers": {str(one.name): f"{one.labels.get(NODE, '')} {one.status}".strip() for one in containers},
            "abandoned": abandoned.get(lab, ""),
        }
        for lab, containers in engine.labs().items()
    ]
    if format_name == "json":
        click.echo(json.dumps(rows, indent=1))
        return DONE
    for row in rows:
        note = f"  ({row['abandoned']}: `lab gc` removes what is left of it)" if row["abandoned"] else ""
        click.echo(terminal(f"{row['lab']}  {row['scenario']}{note}"))
        for name, what in sorted(row["containers"].items()):
            click.echo(terminal(f"  {name}  {what}"))
    if not rows:
        click.echo("no lab is up")
    return DONE


@command.command(
    "capture",
    epilog=_examples(
        "ipsecanalyze lab capture moon -i wan -i lan-a -w moon.pcapng",
        "ipsecanalyze lab capture moon -i wan | ipsecanalyze summarize -",
        "ipsecanalyze lab capture my-container -w - | wireshark -k -i -",
        "ipsecanalyze lab capture 3f1c9a --filter 'udp port 500 or udp port 4500' -w ike.pcapng",
    ),
)
@click.argument("name")
@click.option(
    "-i", "--interface", "interfaces", multiple=True, help="A device or network of the container; repeatable."
)
@click.option("-w", "--write", "output", metavar="FILE", default="-", show_default=True, help="A pcapng; - for a pipe.")
@click.option("--filter", "filter_text", default="", help="A filter as tcpdump takes it.")
@click.option("--seconds", type=click.FloatRange(min=0), help="End after so long; by default at Ctrl-C.")
@_METHOD
@_QUIET
def capture(
    name: str,
    interfaces: tuple[str, ...],
    output: str,
    filter_text: str,
    seconds: float | None,
    method: str | None,
    quiet: bool,
) -> int:
    """Capture in the network namespace of any container: NAME is its name or id, or a node of a lab.

    The packets of all interfaces go into one pcapng, as they come; by default those of all ("any"). Ctrl-C ends it.
    """
    from ipsecanalyze.lab.capture import recording
    from ipsecanalyze.lab.existing import find_container, taps_of
    from ipsecanalyze.lab.image import has_image, image_name

    engine, tell = _connect(), _teller(quiet)
    container = find_container(engine, name)
    taps = taps_of(engine, container, interfaces or ("any",), method or "", filter_text)
    image = image_name() if has_image(engine, image_name()) else None
    with _as_interrupt(), _capture_output(output) as stream:
        comment = f"captured in container {container.name}"
        with recording(engine, taps, stream, comment, image) as one:
            tell(f"listening on {', '.join(tap.label for tap in taps)} by {taps[0].method}; Ctrl-C ends it")
            _until_interrupted(one.wait, seconds)
        if one.problem is not None and not isinstance(one.problem, BrokenPipeError):
            raise one.problem
    for tap, count in one.counts.items():
        tell(f"{tap}: {count.captured} packets captured, {count.dropped} dropped by the kernel")
    return DONE


def _until_interrupted(wait: Callable[[Callable[[], bool]], None], seconds: float | None) -> None:
    import time

    end = None if seconds is None else time.monotonic() + seconds
    try:
        wait(lambda: end is None or time.monotonic() < end)
    except KeyboardInterrupt:
        return  # what was captured is the result


@contextmanager
def _capture_output(path: str) -> Iterator[Any]:
    """The capture grows where it is: others may read it meanwhile. It belongs to the user who called sudo."""
    from ipsecanalyze.lab.bundle import hand_over

    if path == "-":
        with open_binary_output(path) as stream:
            yield stream
        return
    with open(path, "wb") as stream:  # noqa: PTH123 - names need not be valid text
        hand_over(Path(path))
        yield stream


@command.command(
    "keys", epilog=_examples("ipsecanalyze lab keys -o keys", "ipsecanalyze lab keys -o keys --to wireshark")
)
@_LAB
@click.option("-o", "--output", metavar="FOLDER", default="keys", show_default=True, help="Where they go (mode 0700).")
@click.option(
    "--to",
    type=click.Choice(("wireshark", "wireshark-newer", "tcpdump", "json", "pcapng")),
    help="Write them in this format too, as `keys convert` does.",
)
@click.option("--capture", metavar="CAPTURE", type=click.Path(), help="The capture that gets the keys (--to pcapng).")
def keys(lab: str | None, output: str, to: str | None, capture: str | None) -> int:
    """Harvest the keys of a lab from all its sources, and check that these agree.

    What is written holds secrets: mode 0600, in a folder with mode 0700.
    """
    from ipsecanalyze.keys.files import write_capture_with_keys, write_private
    from ipsecanalyze.keys.write import convert
    from ipsecanalyze.lab.bundle import hand_over
    from ipsecanalyze.lab.existing import find_lab
    from ipsecanalyze.lab.keys import collect, cross_check, load_sources, merged

    if (to == "pcapng") != (capture is not None):
        raise UsageError("--to pcapng and --capture belong together")
    engine = _connect()
    folder = Path(output)
    is_new = not folder.exists()
    files = collect(engine, find_lab(engine, lab), folder)
    sources = load_sources(files)
    check = cross_check(sources)
    if capture is not None:
        files.append(folder / f"{Path(capture).stem}-with-keys.pcapng")
        write_capture_with_keys(capture, merged(sources), files[-1])
    elif to is not None:
        names = {"tcpdump": "tcpdump-keys", "json": "keys.json"}
        written = convert(merged(sources), to)
        for name, text in written.files.items():
            files.append(folder / names.get(to, name))
            write_private(files[-1], text)
        for text in written.left_out:
            complain(text)
    for path in [folder] if is_new else files:
        hand_over(path)
    for source in sources:
        click.echo(terminal(f"{source.name}: {len(source.ring.esp)} ESP or AH SAs, {len(source.ring.ike)} IKE SAs"))
    for text in check.disagreements:
        complain(text)
    click.echo(f"{check.confirmed} SAs have the same keys from each source; {len(check.alone)} have one source alone")
    return DONE if check.agreed else NOT_PROVED


@command.command(
    "exec",
    epilog=_examples(
        "ipsecanalyze lab exec moon swanctl --list-sas", "ipsecanalyze lab exec alice ping -c 3 198.18.7.10"
    ),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(name: str, words: tuple[str, ...]) -> int:
    """Run a command in a node, or in any container."""
    from ipsecanalyze.lab.existing import find_container

    engine = _connect()
    output = engine.execute(find_container(engine, name), words)
    for line in output.text.splitlines():
        click.echo(terminal(line.expandtabs()) if sys.stdout.isatty() else line)
    return output.code


@command.command("down", epilog=_examples("ipsecanalyze lab down", "ipsecanalyze lab down --all"))
@_LAB
@click.option("--all", "all_of_them", is_flag=True, help="All labs.")
def down(lab: str | None, all_of_them: bool) -> int:
    """Remove a lab's containers and networks. It is no error where there is none."""
    from ipsecanalyze.lab.existing import find_lab

    engine = _connect()
    labs = list(engine.labs())
    if labs and not all_of_them:
        labs = [find_lab(engine, lab)] if lab is None or any(one.startswith(lab) for one in labs) else []
    return _remove(engine, dict.fromkeys(labs, ""))


@command.command("gc", epilog=_examples("ipsecanalyze lab gc"))
def gc() -> int:
    """Remove labs that nobody wants any more: whose time is over, or whose run was killed."""
    engine = _connect()
    return _remove(engine, engine.abandoned(), abandoned=True)


def _remove(engine: Engine, labs: dict[str, str], *, abandoned: bool = False) -> int:
    code = DONE
    for lab, reason in labs.items():
        try:
            containers, networks = engine.remove(lab, abandoned=abandoned)
        except IpsecAnalyzeError as error:
            complain(error)
            code = USAGE
            continue
        why = f" ({reason})" if reason else ""
        click.echo(terminal(f"{lab}: {containers} containers and {networks} networks removed{why}"))
    if not labs:
        click.echo("nothing to remove")
    return code


def _connect() -> Engine:
    from ipsecanalyze.lab.engine import connect

    return connect()


def _teller(quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else complain


@contextmanager
def _as_interrupt() -> Iterator[None]:
    """SIGTERM ends a capture as Ctrl-C does: complete, and well. (In scripts, jobs in the background ignore SIGINT.)"""
    usual = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)
