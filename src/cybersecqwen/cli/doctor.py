"""`cybersecqwen doctor`: what this machine can do, and what it lacks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from cybersecqwen.cli.group import FILE, RegistryChoice, echo, help_text, json_option


def _purposes() -> Any:
    from cybersecqwen.doctor.diagnosis import NEEDS

    return NEEDS


@click.command(help=help_text("doctor"))
@click.option(
    "--for",
    "purposes",
    type=RegistryChoice(_purposes),
    multiple=True,
    help="Exit with 1 where this is not possible here, and say why; may be repeated.",
)
@click.option(
    "--recipe", metavar="RECIPE", help="Whose model to look at.  [default: all that ship]"
)
@click.option(
    "--length", type=click.IntRange(min=1), default=4096, help="Tokens of prompt and answer."
)
@click.option("--batch", type=click.IntRange(min=1), default=1, help="Sequences at once.")
@click.option("--out", type=FILE, default=Path("runs"), help="Where runs are to be kept.")
@json_option
def doctor(
    purposes: tuple[str, ...],
    recipe: str | None,
    length: int,
    batch: int,
    out: Path,
    as_json: bool,
) -> None:
    """Say what this machine can do."""
    from platformdirs import user_data_path

    from cybersecqwen.config import load_recipe
    from cybersecqwen.doctor.diagnosis import DoctorOptions, examine
    from cybersecqwen.errors import CyberSecQwenError
    from cybersecqwen.sources.fetch import default_cache

    folders = {
        "runs": out,
        "data": user_data_path("cybersecqwen", appauthor=False),
        "cache": default_cache(),
        "temporary": Path(tempfile.gettempdir()),
    }
    loaded = load_recipe(recipe) if recipe else None
    diagnosis = examine(DoctorOptions(length, batch, loaded, folders, _ports()))
    echo(diagnosis.to_json(), str(diagnosis), as_json=as_json)
    for purpose in purposes:
        if obstacles := diagnosis.obstacles(purpose):
            raise CyberSecQwenError("; ".join(obstacles), where=f"{purpose} is not possible here")


def _ports() -> dict[str, int]:
    """Return the ports that commands listen on by default, by the command's name."""
    from cybersecqwen.cli.service import serve
    from cybersecqwen.cli.serving import serve_model

    return {
        str(command.name): int(str(option.default))
        for command in (serve, serve_model)
        for option in command.params
        if option.name == "port"
    }
