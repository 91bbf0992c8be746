"""The group of commands. A command is a file beside this one and a row in the table; it is imported when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ipsecanalyze.cli import version_text

__all__ = ["COMMANDS", "ipsecanalyze"]

#: Name → (module in this package, help in a line). The module defines `command`.
COMMANDS = {
    "summarize": ("summarize", "Say what the IPsec in captures did: tunnels, suites, course, flows."),
    "messages": ("messages", "Draw the IKE messages as ladders between the peers."),
    "flows": ("flows", "List ESP and AH flows with loss, duplicates and reordering."),
    "diagnose": ("diagnose", "Say why a tunnel does not come up, or does not carry what it should."),
    "audit": ("audit", "Say what is weak by a standard, and grade the gateways."),
    "compare": ("compare", "Compare two capture points: what is lost, delayed, reordered between them."),
    "decrypt": ("decrypt", "Write what is inside ESP and AH to a capture, given keys; say why not, where not."),
    "keys": ("keys", "Show keys of any format, or convert them."),
    "lab": ("lab", "Run IPsec in Docker: scenarios that end in captures, their keys, and a proof."),
}

_EPILOG = """\b
Examples:
  ipsecanalyze summarize capture.pcap
  ipsecanalyze messages -v capture.pcapng.gz
  ipsecanalyze flows --format csv -o flows.csv monday.pcap tuesday.pcap
  tcpdump -w - 'esp or udp port 500 or udp port 4500' | ipsecanalyze summarize -

\b
Exit codes: 0 done, 1 findings (--fail-on), 2 wrong usage, 3 a capture could not be read.
Colours follow the terminal; NO_COLOR=1 and FORCE_COLOR=1 override it.
"""


class _LazyGroup(click.Group):
    """Knows its commands by the table and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"ipsecanalyze.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(version_text())
        context.exit()


@click.group(
    cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version, which core runs, and why.",
)
def ipsecanalyze(**_options: Any) -> None:
    """Read packet captures and tell what the IPsec in them did.

    A CAPTURE is a pcap or pcapng file, plain or compressed with gzip or zstd, or "-" for standard input. Several
    captures are read as one story, in the order given.
    """
