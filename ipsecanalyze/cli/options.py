"""What commands have in common on their command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

__all__ = ["Reading", "capture_arguments", "output_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read, and how."""

    captures: tuple[str, ...]
    quiet: bool = False
    jobs: int | None = None
    follow: bool = False
    keys: tuple[str, ...] = ()


def capture_arguments(function: _Command) -> Callable[..., Any]:
    """`CAPTURE…` and the options of reading them, as `reading`."""

    @wraps(function)
    def command(
        captures: tuple[str, ...], quiet: bool, jobs: int | None, follow: bool, keys: tuple[str, ...], **others: Any
    ) -> Any:
        return function(reading=Reading(captures, quiet, jobs, follow, keys), **others)

    decorators = (
        click.argument(
            "captures",
            metavar="CAPTURE...",
            nargs=-1,
            required=True,
            # Whether files can be read is told by the reading: one that cannot must not stop the others.
            type=click.Path(allow_dash=True),
        ),
        click.option(
            "-k",
            "--keys",
            metavar="PATH",
            multiple=True,
            type=click.Path(allow_dash=True),
            help="Open what these keys open: a file of any format, or a folder; may be repeated.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="No progress bar."),
        click.option(
            "-j",
            "--jobs",
            metavar="N",
            type=click.IntRange(min=1),
            help="Threads that share a large capture; as many as there are cores unless said.",
        ),
        click.option("--follow", is_flag=True, help="Read on as the last capture grows, until Ctrl-C."),
    )
    for decorate in decorators:
        command = decorate(command)
    return command


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
