"""What synthetic pairs are made from: options of `synthesis` and of `run`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cybersecqwen.cli.group import FILE

if TYPE_CHECKING:
    from cybersecqwen.engines.teacher import Teacher

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--attack", type=FILE, multiple=True, help="ATT&CK STIX bundle; may be repeated."),
    click.option("--capec", type=FILE, help="CAPEC STIX bundle."),
    click.option("--cwe", type=FILE, help="CWE catalogue XML (.xml, .gz or .zip)."),
    click.option(
        "--teacher", metavar="URL", help="OpenAI-compatible server that writes the pairs."
    ),
    click.option("--model", metavar="NAME", help="The teacher's name at that server."),
    click.option(
        "--prices",
        nargs=2,
        type=click.FloatRange(min=0),
        metavar="IN OUT",
        help="Its prices for a million tokens, read and written, to show the cost.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(min=1),
        default=32,
        show_default=True,
        help="Requests to the teacher at once.",
    ),
)


def asking_options(command: _Command) -> _Command:
    """Add feeds of knowledge and a teacher; without them what ships, and facts alone."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_teacher(
    url: str | None,
    model: str | None,
    *,
    prices: tuple[float, float] | None,
    concurrency: int,
) -> Teacher | None:
    """Open the teacher that the command line names; None where it names none."""
    from cybersecqwen.engines.teacher import Prices, served

    if bool(url) != bool(model):
        raise click.UsageError("--teacher URL and --model NAME go together")
    if not url or not model:
        if prices:
            raise click.UsageError("--prices are a teacher's, and none is given")
        return None
    return served(url, model, concurrency=concurrency, prices=Prices(*prices) if prices else None)
