"""From words to an exit code (`exits.py`): runs the command, and turns every error into one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from ipsecanalyze.cli.exits import BROKEN_PIPE, DONE, INTERRUPTED, UNREADABLE, USAGE, complain
from ipsecanalyze.cli.group import ipsecanalyze
from ipsecanalyze.cli.interrupts import ended_in_order
from ipsecanalyze.errors import CaptureError, IpsecAnalyzeError, KeyFileError

__all__ = ["run"]

_NAME = "ipsecanalyze"


def run(words: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if "_IPSECANALYZE_COMPLETE" in os.environ:
        ipsecanalyze.main(args=list(words), prog_name=_NAME)
    try:
        with ended_in_order():
            code = _invoke(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else _NAME
        complain(f"{error.format_message().rstrip('.')}; see '{command} --help'")
        return USAGE
    except click.ClickException as error:
        complain(error.format_message())
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # What is still buffered must not raise again when the interpreter shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (CaptureError, KeyFileError) as error:
        complain(error)
        return UNREADABLE
    except IpsecAnalyzeError as error:
        complain(error)
        return USAGE
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        complain(where + (error.strerror or str(error)))
        return USAGE
    return code


def _invoke(words: Sequence[str]) -> int:
    # Not `main()` of click: it turns a broken pipe into exit code 1, which means findings here.
    arguments = list(words) or ["--help"]
    try:
        with ipsecanalyze.make_context(_NAME, arguments) as context:
            code = ipsecanalyze.invoke(context)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    if not words:
        return USAGE
    return code if isinstance(code, int) else DONE
