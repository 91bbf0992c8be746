"""What commands have in common on their command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["capture_arguments", "output_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def capture_arguments(function: _Command) -> _Command:
    """`CAPTURE…` as `captures`, and `--quiet` as `quiet`."""
    function = click.option("-q", "--quiet", is_flag=True, help="No progress bar.")(function)
    return click.argument(
        "captures",
        metavar="CAPTURE...",
        nargs=-1,
        required=True,
        # Whether files can be read is told by the reading: one that cannot must not stop the others.
        type=click.Path(allow_dash=True),
    )(function)


def output_options(*formats: str) -> Callable[[_Command], _Command]:
    """`--format` as `format_name` (the first format is the default) and `-o` as `output`."""

    def decorate(function: _Command) -> _Command:
        function = click.option(
            "-o",
            "--output",
            metavar="FILE",
            type=click.Path(dir_okay=False, allow_dash=True),
            help="Write to FILE, which is replaced only when all is written.",
        )(function)
        return click.option(
            "-f",
            "--format",
            "format_name",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            help="How to write it.",
        )(function)

    return decorate
