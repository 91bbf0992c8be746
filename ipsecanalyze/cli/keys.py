"""`ipsecanalyze keys`: what key files hold, and the same keys in the formats of other programs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from ipsecanalyze.cli.exits import DONE, UNREADABLE, complain
from ipsecanalyze.cli.output import open_output
from ipsecanalyze.errors import KeyFileError, UsageError
from ipsecanalyze.report.text import terminal

if TYPE_CHECKING:
    from ipsecanalyze.keys import KeyRing

__all__ = ["command"]

_EPILOG = """\b
Examples:
  ipsecanalyze keys show xfrm-state.txt charon.log
  ip xfrm state | ipsecanalyze keys show -
  ipsecanalyze keys convert /var/log/charon.log --to wireshark -o ~/.config/wireshark
"""
_SHOW_EPILOG = """\b
Examples:
  ipsecanalyze keys show charon.log
  ipsecanalyze keys show keys/ --format json | jq '.esp[].spi'
  ip xfrm state | ipsecanalyze keys show --secrets -
"""
_CONVERT_EPILOG = """\b
Examples:
  ipsecanalyze keys convert xfrm.txt --to wireshark -o ~/.config/wireshark
  ipsecanalyze keys convert charon.log pluto.log --to json -o keys.json
  ipsecanalyze keys convert charon.log --to pcapng --capture wan.pcap -o with-keys.pcapng
"""
_DERIVE_EPILOG = """\b
Examples:
  ipsecanalyze keys derive wan.pcap --keys charon.log
  ipsecanalyze keys derive wan.pcap --keys keys.json --to wireshark -o ~/.config/wireshark
"""
#: How many of the things that could not be read are told one by one.
_MOST_PROBLEMS = 20

_PATHS: Callable[[Any], Any] = click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(allow_dash=True)
)


@click.group("keys", epilog=_EPILOG)
def command() -> None:
    """Show keys, convert them, or derive others from them.

    A PATH is a file in any format that systems print keys in, or a folder of them, or "-" for standard input: `ip xfrm
    state`, logs of charon and pluto, Wireshark's tables, setkey -D, tcpdump -E, swanctl.conf and ipsec.secrets, JSON, a
    pcapng with secrets. The format is recognised (docs/keys.md).
    """


@command.command("show", epilog=_SHOW_EPILOG)
@_PATHS
@click.option("--secrets", is_flag=True, help="Show the keys themselves too.")
@click.option("-f", "--format", "format_name", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True), help="Write to FILE.")
def show(paths: tuple[str, ...], secrets: bool, format_name: str, output: str | None) -> int:
    """Say which keys were found: SPIs, addresses, algorithms, lengths, and where they stand."""
    ring = _load(paths)
    if ring is None:
        return UNREADABLE
    if format_name == "text":
        text = "".join(f"{terminal(line)}\n" for line in _lines(ring, secrets=secrets))
    elif secrets:
        from ipsecanalyze.keys.document import write_json

        text = write_json(ring)
    else:
        from ipsecanalyze.keys.listing import listing

        text = json.dumps(listing(ring), indent=1) + "\n"
    _write(output, text, private=secrets)
    _tell_problems(ring)
    return DONE


@command.command("convert", epilog=_CONVERT_EPILOG)
@_PATHS
@click.option(
    "--to",
    required=True,
    type=click.Choice(("wireshark", "wireshark-newer", "tcpdump", "json", "pcapng")),
    help="Wireshark's tables as 4.0 reads them or with the columns of newer releases; tcpdump -E; JSON; a capture.",
)
@click.option("--capture", metavar="CAPTURE", type=click.Path(), help="The capture that gets the keys (--to pcapng).")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="File, or for Wireshark's tables the folder, to write to. Only the owner may read what is written.",
)
def convert(paths: tuple[str, ...], to: str, capture: str | None, output: str | None) -> int:
    """Write keys as other programs read them.

    What a format cannot hold is told. Files are written with mode 0600.
    """
    if (to == "pcapng") != (capture is not None):
        raise UsageError("--to pcapng and --capture belong together")
    if to in ("wireshark", "wireshark-newer", "pcapng") and output in (None, "-"):
        raise UsageError(f"--to {to} needs -o")
    ring = _load(paths)
    if ring is None:
        return UNREADABLE
    if to == "pcapng":
        from ipsecanalyze.keys.files import write_capture_with_keys

        write_capture_with_keys(capture or "", ring, output or "")
        _tell_problems(ring)
        return DONE
    _convert(ring, to, output)
    return DONE


@command.command("derive", epilog=_DERIVE_EPILOG)
@click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True, type=click.Path())
@click.option("--keys", "paths", metavar="PATH", multiple=True, required=True, help="Keys to begin with; repeatable.")
@click.option(
    "--to",
    type=click.Choice(("wireshark", "wireshark-newer", "tcpdump", "json")),
    help="Write the keys, as `keys convert` does, instead of a list of them.",
)
@click.option("-o", "--output", metavar="PATH", type=click.Path(allow_dash=True), help="Where to write to.")
def derive(captures: tuple[str, ...], paths: tuple[str, ...], to: str | None, output: str | None) -> int:
    """Derive the keys that follow from others and from the IKE messages of captures.

    From SK_d and SK_e, those of all Child SAs without PFS; from the results of key exchanges, or a pre-shared key with
    them (IKEv1), those of everything, rekeyings too.
    """
    if to is not None and to.startswith("wireshark") and output in (None, "-"):
        raise UsageError(f"--to {to} needs -o")
    from ipsecanalyze.capture.reader import open_capture
    from ipsecanalyze.opening.complete import complete_ring

    for capture in captures:
        if capture == "-" or (os.path.exists(capture) and not os.path.isfile(capture) and not os.path.isdir(capture)):  # noqa: PTH110, PTH112, PTH113 - names need not be valid text
            raise UsageError(f"{capture}: keys are derived from files, not from what can be read only once")
        with open_capture(capture):  # raises where it is no capture, which the rest passes over
            pass
    ring = _load(paths)
    if ring is None:
        return UNREADABLE
    complete = complete_ring(captures, ring)
    if to is None:
        _write(output, "".join(f"{terminal(line)}\n" for line in _lines(complete, secrets=False)), private=False)
        _tell_problems(ring)
    else:
        _convert(complete, to, output)
    return DONE


def _convert(ring: KeyRing, to: str, output: str | None) -> None:
    from ipsecanalyze.keys.write import convert as converted

    written = converted(ring, to)
    if to.startswith("wireshark"):
        _write_folder(output or "", dict(written.files))
    else:
        _write(output, "".join(written.files.values()), private=True)
    _tell_problems(ring)
    for sentence in written.left_out[:_MOST_PROBLEMS]:
        complain(f"not converted: {sentence}")
    if len(written.left_out) > _MOST_PROBLEMS:
        complain(f"not converted: {len(written.left_out) - _MOST_PROBLEMS} more")


def _load(paths: tuple[str, ...]) -> KeyRing | None:
    from ipsecanalyze.keys import load_keys

    try:
        return load_keys(paths)
    except KeyFileError as error:
        complain(error)
        return None


def _tell_problems(ring: KeyRing) -> None:
    for problem in ring.problems[:_MOST_PROBLEMS]:
        complain(problem)
    if ring.problem_count > _MOST_PROBLEMS:
        complain(f"{ring.problem_count - _MOST_PROBLEMS} more lines or files could not be read")


def _write(output: str | None, text: str, *, private: bool) -> None:
    if output in (None, "-") or not private:
        with open_output(output) as stream:
            stream.write(text)
        return
    from ipsecanalyze.keys.files import write_private

    write_private(output or "", text)


def _write_folder(folder: str, files: dict[str, str]) -> None:
    from ipsecanalyze.keys.files import write_private

    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - names need not be valid text
    for name, text in files.items():
        write_private(os.path.join(folder, name), text)  # noqa: PTH118


def _lines(ring: KeyRing, *, secrets: bool) -> Iterator[str]:
    from ipsecanalyze.keys.document import document
    from ipsecanalyze.keys.listing import listing

    found = listing(ring)
    hidden = document(ring) if secrets else {}
    for kind, title, line in (
        ("esp", "ESP and AH", _esp_line),
        ("ike", "IKE", _ike_line),
        ("shared_secrets", "Results of key exchanges", _secret_line),
        ("psks", "Pre-shared keys", _psk_line),
    ):
        if found[kind]:
            yield f"{title}: {len(found[kind])}"
        for place, entry in enumerate(found[kind]):
            yield f"  {line(entry)}  [{entry['origin']}]"
            if secrets:
                yield from _secret_lines(hidden[kind][place])
    if not len(ring):
        yield "No keys."


def _secret_lines(entry: dict[str, Any]) -> Iterator[str]:
    for name in ("encryption_key", "salt", "integrity_key", "skeyid", "skeyid_e", "value"):
        if name in entry:
            yield f"      {name} {entry[name]}"
    for name, value in entry.items():
        if name.startswith("sk_"):
            yield f"      {name} {value}"


def _esp_line(entry: dict[str, Any]) -> str:
    bits = f" {entry['encryption_bits']} bits" if entry["encryption_bits"] else ""
    integrity = entry["integrity"]
    if integrity is None:
        integrity = f"unknown integrity, ICV of {entry['icv_octets']} octets"
    elif integrity != "NONE" and entry["integrity_bits"]:
        integrity = f"{integrity} {entry['integrity_bits']} bits"
    algorithms = f"{entry['encryption']}{bits}" + ("" if integrity == "NONE" else f", {integrity}")
    words = [word for word in (entry["mode"], "ESN" if entry["esn"] else "") if word]
    ends = f"{entry['source'] or '*'} → {entry['destination'] or '*'}"
    return "  ".join([f"{entry['protocol']} {entry['spi'] or 'SPI unknown'}", ends, algorithms, *words])


def _ike_line(entry: dict[str, Any]) -> str:
    spis = f"{entry['initiator_spi'] or 'SPI unknown'} {entry['responder_spi'] or ''}".strip()
    names = [name for name in (entry["encryption"], entry["integrity"], entry["prf"]) if name and name != "NONE"]
    keys = ", ".join(f"{name.upper()} {bits} bits" for name, bits in entry["bits"].items())
    return "  ".join([f"IKEv{entry['version']} {spis}", " ".join(names) or "algorithms as negotiated", keys])


def _secret_line(entry: dict[str, Any]) -> str:
    spis = f"{entry['initiator_spi'] or 'SPI unknown'} {entry['responder_spi'] or ''}".strip()
    return f"{spis}  {entry['method'] or 'method unknown'}  {entry['bits']} bits"


def _psk_line(entry: dict[str, Any]) -> str:
    return f"{'PPK' if entry['ppk'] else 'PSK'} for {', '.join(entry['identities']) or 'anybody'}  {entry['bits']} bits"
