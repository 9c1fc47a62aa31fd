"""The command that runs a series of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.artifacts import shipped_series
from cybersecqwen.cli.group import FILE, echo, json_option
from cybersecqwen.cli.stages import input_options, take_inputs
from cybersecqwen.pipeline import STAGES

if TYPE_CHECKING:
    from cybersecqwen.files import Json
    from cybersecqwen.pipeline.series import Series


_HELP = f"""Run a recipe under many settings, and compare.

SERIES is a TOML file, or the name of one that ships: {", ".join(sorted(shipped_series()))}.
A run that fails is told at the end, with exit status 1; the others are made all the same.
"""


@click.command(help=_HELP)
@click.argument("series")
@click.option("--out", type=FILE, help="Folder of the runs.  [default: runs/<name>]")
@input_options(*STAGES)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key in every run."
)
@click.option("--dry-run", is_flag=True, help="List the runs and what they override, and stop.")
@json_option
def series(
    series: str,
    out: Path | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a series."""
    from cybersecqwen.errors import StageError
    from cybersecqwen.pipeline.series import load_series, run_series
    from cybersecqwen.reports.series_table import series_text

    inputs = take_inputs(options)
    loaded = load_series(series, overrides=overrides)
    folder = out or Path("runs") / loaded.name
    if dry_run:
        _echo_plan(loaded, folder, overrides, as_json=as_json)
        return
    report = run_series(loaded, folder, inputs=inputs, overrides=overrides)
    echo(report, series_text(report), as_json=as_json)
    if not as_json and report["reference"]:
        click.echo(f"\nWritten: {folder / 'series.md'}, {folder / 'comparison' / 'comparison.md'}")
    failed = [run["name"] for run in report["runs"] if run["error"]]
    if failed:
        what = f"{len(failed)} of {len(report['runs'])} runs failed: {', '.join(failed)}"
        raise StageError(what, where=folder, tip="the same command goes on with them")


def _echo_plan(loaded: Series, folder: Path, overrides: tuple[str, ...], *, as_json: bool) -> None:
    from cybersecqwen.reports.markdown import table

    rows: list[Json] = [
        {
            "run": cell.name,
            "recipe": loaded.recipe,
            "set": (*loaded.settings(cell), *overrides),
            "out": str(folder / cell.name),
        }
        for cell in loaded.cells
    ]
    cells = [(row["run"], row["out"], " ".join(row["set"])) for row in rows]
    echo(rows, table(("run", "folder", "overrides"), cells), as_json=as_json)
