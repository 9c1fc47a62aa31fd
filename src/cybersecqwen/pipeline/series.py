"""A series of experiments: one recipe under many overrides, each a normal run, then compared.

    report = run_series(load_series("smoke"), Path("runs/smoke-series"))

The runs are the named variants, and the cartesian product of the grid's axes. Each has a folder
of its own, in which its manifests decide what is done; a stage that another run of the series
has made from the same is taken from there. A run that fails does not stop the others.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from cybersecqwen.artifacts import shipped_series
from cybersecqwen.config import (
    FolderName,
    Section,
    explain,
    find_shipped,
    load_recipe,
    override,
    read_toml,
)
from cybersecqwen.errors import CyberSecQwenError, RecipeError
from cybersecqwen.files import Json, write_json, write_text
from cybersecqwen.manifest import flatten
from cybersecqwen.pipeline import STAGES, Run, RunInputs, open_run, run_stage
from cybersecqwen.pipeline.inputs import benchmark_folder
from cybersecqwen.reports.comparison import ComparisonSettings, compare, write_comparison
from cybersecqwen.reports.series_table import series_report, series_text

_log = logging.getLogger(__name__)

DottedKeys = BeforeValidator(lambda value: flatten(value) if isinstance(value, dict) else value)
Overrides = Annotated[dict[str, Any], DottedKeys]


class Cell(Section):
    """One run of a series: its name, and what it overrides."""

    name: FolderName
    set: Overrides = Field(default={})


class Series(Section):
    """A series' TOML file; keys of recipes are dotted, quoted or not."""

    name: FolderName
    summary: str
    recipe: str  # one that ships, or a file, which may be given relative to this one
    reference: str | None = None  # the run to hold the others against; the first by default
    set: Overrides = Field(default={})  # of every run
    grid: Annotated[dict[str, list[Any]], DottedKeys] = Field(default={})
    variants: tuple[Cell, ...] = ()

    @model_validator(mode="after")
    def _has_runs(self) -> Self:
        empty = next((key for key, values in self.grid.items() if not values), None)
        if empty:
            raise ValueError(f"the axis {empty!r} of the grid has no values")
        if not self.grid and not self.variants:
            raise ValueError("no runs: give [grid] or [[variants]]")
        return self

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The runs: the variants, then every combination of the grid."""
        return (*self.variants, *_grid(self.grid))

    def settings(self, cell: Cell) -> tuple[str, ...]:
        """Return all that a run overrides, as --set takes it."""
        return tuple(override(k, v) for k, v in {**self.set, **cell.set}.items())


def load_series(
    reference: str | Path, *, recipe: str | None = None, overrides: tuple[str, ...] = ()
) -> Series:
    """Load a series file, or one shipped under that name, and every recipe of its runs.

    `recipe` takes the place of the one that the file names.

    Raises RecipeError that names the file and the key, or the run whose recipe is none.
    """
    path = find_shipped(reference, shipped_series(), what="series")
    try:
        series = Series.model_validate(read_toml(path))
    except ValidationError as error:
        raise RecipeError(explain(error, Series), where=path) from error
    names = [cell.name for cell in series.cells]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice:
        raise RecipeError(f"two runs are named {twice!r}", where=path, tip="name them apart")
    chosen = series.reference or names[0]
    if chosen not in names:
        tip = f"there are {', '.join(names)}"
        raise RecipeError(f"reference: no run {chosen!r}", where=path, tip=tip)
    beside = path.parent / series.recipe
    recipe = recipe or (str(beside) if beside.is_file() else series.recipe)
    series = series.model_copy(update={"reference": chosen, "recipe": recipe})
    for cell in series.cells:
        try:
            load_recipe(recipe, overrides=(*series.settings(cell), *overrides))
        except RecipeError as error:
            raise RecipeError(f"the run {cell.name!r}: {error}", where=path) from error
    return series


def run_series(
    series: Series,
    out: Path,
    *,
    inputs: RunInputs | None = None,
    overrides: tuple[str, ...] = (),
) -> Json:
    """Make every run below `out`, compare those that finished, and return the report.

    `inputs` and `overrides` are every run's; the overrides come after the series' own. Written are
    series.md, series.json and comparison/. A run that fails stands in the report with its error;
    its folder goes on when the series is run again.
    """
    finished: dict[str, Run] = {}
    failed: dict[str, str] = {}
    for position, cell in enumerate(series.cells, start=1):
        _log.info("run %d of %d: %s", position, len(series.cells), cell.name)
        try:
            finished[cell.name] = _make(series, cell, out, inputs, overrides)
        except CyberSecQwenError as error:
            failed[cell.name] = str(error)
            _log.error("%s failed: %s", cell.name, error)
        except Exception as error:  # noqa: BLE001  # out of memory in one run is not the others' end
            failed[cell.name] = " ".join(f"{type(error).__name__}: {error}".split())
            _log.exception("%s failed", cell.name)
    about = {"name": series.name, "summary": series.summary, "common": dict(series.set)}
    report = series_report(
        about | {"command_line": list(overrides)},
        {cell.name: dict(cell.set) for cell in series.cells},
        _compare(series, out, finished),
        failed,
    )
    write_json(out / "series.json", report)
    write_text(out / "series.md", series_text(report) + "\n")
    return report


def _make(
    series: Series, cell: Cell, out: Path, inputs: RunInputs | None, overrides: tuple[str, ...]
) -> Run:
    """Take one run through its stages."""
    settings = (*series.settings(cell), *overrides)
    opened = open_run(series.recipe, out / cell.name, overrides=settings, inputs=inputs)
    others = tuple(out / other.name for other in series.cells if other.name != cell.name)
    opened = replace(opened, siblings=others)
    for stage in STAGES.values():
        run_stage(stage, opened)
    return opened


def _compare(series: Series, out: Path, finished: Mapping[str, Run]) -> Json | None:
    """Compare the finished runs with the reference, or with the first where that one failed."""
    if not finished:
        return None
    wanted = series.reference or ""
    reference = wanted if wanted in finished else next(iter(finished))
    if reference != wanted:
        _log.warning("the reference %s failed: held against %s", wanted, reference)
    runs = [run.out for run in finished.values()]
    benchmark = benchmark_folder(finished[reference])
    comparison = compare(runs, benchmark, settings=ComparisonSettings(reference=reference))
    write_comparison(comparison, out / "comparison")
    return comparison


def _grid(axes: Mapping[str, list[Any]]) -> tuple[Cell, ...]:
    """Make a run of every combination of the axes' values; the last axis varies fastest."""
    if not axes:  # whose product would be one run that overrides nothing
        return ()
    last = Counter(key.rpartition(".")[2] for key in axes)
    short = {key: leaf if last[leaf := key.rpartition(".")[2]] == 1 else key for key in axes}
    cells = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        name = "_".join(f"{short[key]}-{_slug(value)}" for key, value in chosen.items())
        cells.append(Cell(name=name, set=chosen))
    return tuple(cells)


def _slug(value: Any) -> str:
    """Write a value as a part of a folder's name."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or "empty"
