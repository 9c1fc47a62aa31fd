"""The commands that make a model: a stage, all of them, or a series of runs.

Each takes the options of what its stages read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.artifacts import shipped_series
from cybersecqwen.cli.cluster import cluster_options, take_cluster
from cybersecqwen.cli.group import FILE, Command, add_options, echo, json_option, say
from cybersecqwen.cli.model import METAVAR, one_model, server_options, take_engine_options
from cybersecqwen.pipeline import STAGES, Run, RunInputs, Stage, open_run, run_stage
from cybersecqwen.pipeline import run as run_stages
from cybersecqwen.pipeline.stage import Option
from cybersecqwen.training.launch import Launch, check, command

if TYPE_CHECKING:
    from cybersecqwen.files import Json
    from cybersecqwen.pipeline.series import Series

_RECIPE = click.argument("recipe")
_OUT = click.option("--out", type=FILE, help="Run folder.  [default: runs/<name>]")
_SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe key."
)
# The older spelling of a teacher: --teacher URL --model NAME.
_TEACHER_NAME = click.option("--model", "teacher_name", hidden=True, help="Its name at the URL.")
_KINDS: dict[str, dict[str, Any]] = {
    "path": {"type": FILE},
    "model": {"metavar": METAVAR},
    "prices": {"type": click.FloatRange(min=0), "nargs": 2, "metavar": "IN OUT"},
    "count": {"type": click.IntRange(min=1), "metavar": "N"},
}


def input_options(*names: str) -> Callable[[Command], Command]:
    """Add the options of the inputs that these stages declare, each once."""
    options = dict.fromkeys(option for name in names for option in STAGES[name].options)
    teachers = any(option.name == "teacher" for option in options)
    further = [_TEACHER_NAME, server_options] if teachers else []
    return add_options(*map(_click_option, options), *further)


def stage_options(*names: str, recipe_required: bool = True) -> Callable[[Command], Command]:
    """Add what the commands of these stages take: a recipe, a folder, their inputs, overrides."""
    recipe = _RECIPE if recipe_required else click.argument("recipe", required=False)
    return add_options(recipe, _OUT, input_options(*names), _SET)


def _click_option(option: Option) -> Callable[[Command], Command]:
    return click.option(
        f"--{option.name}", multiple=option.multiple, help=option.help, **_KINDS[option.kind]
    )


def take_inputs(options: dict[str, Any]) -> RunInputs:
    """Take the inputs that a command line names out of its options."""
    name = options.pop("teacher_name", None)
    named = {key: options.pop(key) for key in RunInputs.__dataclass_fields__ if key in options}
    if not named.get("teacher") and (name or named.get("prices") or named.get("concurrency")):
        raise click.UsageError("--model, --prices and --concurrency go with a --teacher")
    if named.get("teacher"):
        named["teacher"] = one_model(name, teacher=named["teacher"])
    named["teacher_options"] = take_engine_options(options, named.get("teacher"))
    return RunInputs(**named)


def open_recipe(options: dict[str, Any]) -> Run:
    """Open the run folder of the recipe that a command line names."""
    named = {key: options[key] for key in ("recipe", "out", "overrides")}
    return open_run(**named, inputs=take_inputs(options))


def _make(stage: Stage, options: dict[str, Any]) -> Path:
    """Make one stage and return its folder; raises RecipeError where no table asks for it."""
    from cybersecqwen.errors import RecipeError

    ray = take_cluster(options)
    opened = open_recipe(options)
    if not stage.wanted(opened.recipe):
        what = f"has no table [{stage.table}]"
        raise RecipeError(what, where=opened.recipe.name, tip=stage.table_tip)
    with ray as cluster:
        run_stage(stage, replace(opened, cluster=cluster))
    return opened.out / stage.folder


def print_results(out: Path, *, as_json: bool) -> None:
    """Print the scores in a run folder."""
    from cybersecqwen.reports.results import results, results_table

    echo(results(out), results_table(out), as_json=as_json)


@click.command()
@stage_options(*STAGES)
@json_option
def run(as_json: bool, **options: Any) -> None:
    """Take a recipe through every stage, from corpus to card."""
    out = run_stages(open_recipe(options)).out
    print_results(out, as_json=as_json)
    if not as_json:
        say(f"\nModel card: {out / 'report' / 'MODEL_CARD.md'}")


@click.command()
@stage_options("corpus")
@cluster_options
@json_option
def corpus(as_json: bool, **options: Any) -> None:
    """Build the decontaminated corpus with its certificate."""
    from cybersecqwen.files import read_json

    folder = _make(STAGES["corpus"], options)
    counts = read_json(folder / "certificate.json")["counts"]
    text = (
        f"{counts['train']} training and {counts['validation']} validation examples, "
        f"{sum(counts['dropped'].values())} records dropped; {folder}"
    )
    if overlapping := counts.get("overlapping"):
        text += f"\n{overlapping} examples overlap with the benchmark, as the recipe wants it"
    echo(counts, text, as_json=as_json)


@click.command()
@stage_options("synthesis")
@cluster_options
@json_option
def synthesis(as_json: bool, **options: Any) -> None:
    """Make question-and-answer pairs beside the corpus.

    The recipe's table [synthesis] says how many. Without --teacher no model is asked; without
    --attack, --capec and --cwe the knowledge is what ships, which holds relations and no texts.
    """
    from cybersecqwen.reports.training_data import load_synthesis, synthesis_text

    folder = _make(STAGES["synthesis"], options)
    certificate = load_synthesis(folder)
    text = f"{synthesis_text(certificate)}\n\nWritten: {folder}"
    echo(certificate, text, as_json=as_json)


@click.command()
@stage_options("distill")
@json_option
def distill(as_json: bool, **options: Any) -> None:
    """Let the recipe's teacher answer the corpus."""
    from cybersecqwen.files import read_json
    from cybersecqwen.reports.training_data import distillation_text

    folder = _make(STAGES["distill"], options)
    certificate, usage = read_json(folder / "certificate.json"), read_json(folder / "usage.json")
    text = f"{distillation_text(certificate, usage)}\n\nWritten: {folder}"
    echo(certificate | {"usage": usage}, text, as_json=as_json)


@click.command()
@stage_options("train")
@click.option("--nproc", type=click.IntRange(min=1), help="Processes on each node, one per GPU.")
@click.option("--nnodes", type=click.IntRange(min=1), default=1, help="Number of nodes.")
@click.option(
    "--node-rank",
    type=click.IntRange(min=0),
    default=0,
    envvar="SLURM_NODEID",
    help="Rank of this node; node 0 writes. Also from SLURM_NODEID.",
)
@click.option("--rendezvous", metavar="HOST:PORT", help="An address of node 0, for all nodes.")
@click.option(
    "--strategy",
    type=click.Choice(["ddp", "fsdp", "deepspeed"]),
    default="ddp",
    help="The whole model in each process (ddp), or a shard of it.",
)
@click.option("--print", "print_only", is_flag=True, help="Print the launch and stop.")
def train(print_only: bool, **options: Any) -> None:
    """Fine-tune the LoRA adapter, in one or in many processes.

    However many there are, a step learns from one batch of the recipe.
    """
    launch = _take_launch(options)
    opened = replace(open_recipe(options), launch=launch)
    if launch is not None:
        check(launch, opened.recipe)
    elif print_only:
        raise click.UsageError("--print goes with --nproc or --nnodes")
    if launch is not None and print_only:
        say(command(launch, opened.out / "recipe.toml", opened.out))
    else:
        run_stage(STAGES["train"], opened)


def _take_launch(options: dict[str, Any]) -> Launch | None:
    """Take how a training is launched out of a command's options; None for one process."""
    given = {name: options.pop(name) for name in ("nproc", "nnodes", "rendezvous", "strategy")}
    node_rank = options.pop("node_rank")
    if given["nnodes"] == 1:
        if given["nproc"] is None:
            if given["strategy"] != "ddp" or given["rendezvous"]:
                raise click.UsageError("--strategy and --rendezvous go with --nproc or --nnodes")
            return None
        node_rank = 0  # Slurm numbers the nodes of its job, of which this training is on one
    return Launch(**given | {"nproc": given["nproc"] or 1, "node_rank": node_rank})


@click.command()
@stage_options("merge")
def merge(**options: Any) -> None:
    """Merge the adapter into the base model, with proof."""
    _make(STAGES["merge"], options)


@click.command()
@stage_options("card")
def card(**options: Any) -> None:
    """Write the model card from what the run folder holds."""
    _make(STAGES["card"], options)


_SERIES_HELP = f"""Run a recipe under many settings, and compare.

SERIES is a TOML file, or the name of one that ships: {", ".join(sorted(shipped_series()))}.
A run that fails is told at the end, with exit status 1; the others are made all the same.
"""


@click.command(help=_SERIES_HELP)
@click.argument("series")
@click.option("--out", type=FILE, help="Folder of the runs.  [default: runs/<name>]")
@input_options(*STAGES)
@click.option(
    "--recipe", metavar="RECIPE", help="Another recipe in place of the one that the series names."
)
@_SET
@click.option("--dry-run", is_flag=True, help="List the runs and what they override, and stop.")
@json_option
def series(
    series: str,
    out: Path | None,
    recipe: str | None,
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
    loaded = load_series(series, recipe=recipe, overrides=overrides)
    folder = out or Path("runs") / loaded.name
    if dry_run:
        _echo_plan(loaded, folder, overrides, as_json=as_json)
        return
    report = run_series(loaded, folder, inputs=inputs, overrides=overrides)
    echo(report, series_text(report), as_json=as_json)
    if not as_json and report["reference"]:
        say(f"\nWritten: {folder / 'series.md'}, {folder / 'comparison' / 'comparison.md'}")
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
