"""What the commands that judge have in common: their options, formats, pages of findings, and exit code 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ipsecanalyze.cli.exits import FINDINGS

if TYPE_CHECKING:
    from ipsecanalyze.findings import Finding
    from ipsecanalyze.report.base import Reporter

__all__ = ["exit_code", "judging_options", "reporter_of"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SEVERITIES = ("info", "low", "medium", "high", "critical")


def judging_options(function: _Command) -> _Command:
    """`--fail-on` as `fail_on`, and `--explain`."""
    function = click.option(
        "--explain",
        metavar="SLUG",
        is_eager=True,
        expose_value=False,
        callback=_explain,
        help="Say what a kind of finding means and how to fix it, and end.",
    )(function)
    return click.option(
        "--fail-on",
        metavar="SEVERITY",
        type=click.Choice(_SEVERITIES),
        help="Exit with 1 if there is a finding so bad or worse: info, low, medium, high, critical.",
    )(function)


def exit_code(findings: Iterable[Finding], fail_on: str | None, code: int) -> int:
    """1 where a finding is as bad as `--fail-on` says; else the code so far."""
    if fail_on is None or code:
        return code
    from ipsecanalyze.findings import Severity

    return FINDINGS if any(finding.severity >= Severity(fail_on) for finding in findings) else code


def reporter_of(format_name: str, text: Callable[[], Reporter]) -> Reporter:
    """The reporter of a format; `text` makes the one for terminals."""
    if format_name == "json":
        from ipsecanalyze.report.base import JsonReport

        return JsonReport()
    if format_name == "sarif":
        from ipsecanalyze.findings.catalog import page, slugs
        from ipsecanalyze.report.sarif import SarifReport

        return SarifReport({slug: page(slug).title for slug in slugs()})
    if format_name == "markdown":
        from ipsecanalyze.report.findings_markdown import FindingsMarkdown

        return FindingsMarkdown()
    if format_name == "csv":
        from ipsecanalyze.report.gateways import GatewaysCsv

        return GatewaysCsv()
    return text()


def _explain(context: click.Context, _parameter: click.Parameter, slug: str | None) -> None:
    if slug is None:
        return
    import sys

    from ipsecanalyze.findings.catalog import all_slugs, page
    from ipsecanalyze.report.page import print_page

    if slug not in all_slugs():
        raise click.BadParameter(f"there is no finding {slug!r}; there are {', '.join(sorted(all_slugs()))}")
    print_page(page(slug), sys.stdout)
    context.exit()
