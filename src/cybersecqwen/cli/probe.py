"""`cybersecqwen probe`: whether a server does what it is asked to."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cybersecqwen.cli.group import json_option

if TYPE_CHECKING:
    from cybersecqwen.benchmark.probe import ProbeReport

_FAILED = 3  # exit status; 1 is an error, 2 a wrong use

_HELP = """Find out whether the server at URL does what a request asks for.

    About forty short requests show whether it honours temperature, seed, stop and max_tokens of
    each request, gives the same texts when asked at once, and adds no system prompt of its own.

    \b
      cybersecqwen probe http://localhost:8000/v1 --model CyberSecQwen-4B

    Each check is ok, failed, or unknown where the answers do not tell. The exit status is 3 when
    one failed. A key for the server is read from OPENAI_API_KEY.
    """


@click.command(help=_HELP)
@click.argument("url")
@click.option("--model", required=True, help="The model's name at the server.")
@click.option("--prompt", "prompts", multiple=True, help="Text to try it with; up to three count.")
@click.option(
    "--kind",
    type=click.Choice(["instruct", "base"]),
    default="instruct",
    show_default=True,
    help="Send the texts as chats, or raw.",
)
@json_option
def probe(url: str, as_json: bool, **options: str | tuple[str, ...]) -> None:
    """Probe a server."""
    from cybersecqwen.benchmark.probe import probe as ask

    report = ask(url, **options)  # type: ignore[arg-type]
    click.echo(json.dumps(asdict(report), indent=2) if as_json else _shown(report))
    if report.failed:
        click.get_current_context().exit(_FAILED)


def _shown(report: ProbeReport) -> str:
    from cybersecqwen.cli.output import clean
    from cybersecqwen.reports.markdown import table

    rows = [(check.name, check.status, check.evidence) for check in report.checks]
    return clean(table(("check", "status", "evidence"), rows))
