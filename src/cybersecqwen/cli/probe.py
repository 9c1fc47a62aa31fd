"""`cybersecqwen probe`: whether a server does what it is asked to."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cybersecqwen.cli.group import KIND, echo, help_text, json_option
from cybersecqwen.cli.model import OLDER, one_model

if TYPE_CHECKING:
    from cybersecqwen.benchmark.probe import ProbeReport
    from cybersecqwen.engines import Kind

_FAILED = 3  # exit status; 1 is an error, 2 a wrong use


@click.command(help=help_text("probe"))
@click.argument("model")
@click.option("--model", "name", hidden=True, help=OLDER)
@click.option("--prompt", "prompts", multiple=True, help="Text to try it with; up to three count.")
@click.option("--kind", type=KIND, default="instruct", help="Send the texts as chats, or raw.")
@json_option
def probe(
    model: str, name: str | None, prompts: tuple[str, ...], kind: Kind, as_json: bool
) -> None:
    """Probe a server."""
    from cybersecqwen.benchmark.probe import probe as try_server
    from cybersecqwen.engines import engine_of, open_model

    named = one_model(name, server=model) or model
    if engine_of(named) != "http":
        raise click.UsageError(f"{named} is not a server: give its URL, or NAME@URL")
    report = try_server(open_model(named, kind=kind), prompts)
    echo(asdict(report), _report_table(report), as_json=as_json)
    if report.failed:
        click.get_current_context().exit(_FAILED)


def _report_table(report: ProbeReport) -> str:
    from cybersecqwen.reports.markdown import table

    rows = [(check.name, check.status, check.evidence) for check in report.checks]
    return table(("check", "status", "evidence"), rows)
