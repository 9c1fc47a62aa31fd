"""The commands of the model builder and the evaluator: stages of a recipe, numbers of a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cybersecqwen.cli.group import FILE, json_option

if TYPE_CHECKING:
    from cybersecqwen.pipeline import Run

_Command = TypeVar("_Command", bound=Callable[..., Any])

_KIND = "Zero-shot chat, or 5-shot raw completion; a recipe says its own.  [default: instruct]"


def _run_options(*, recipe_required: bool = True) -> Callable[[_Command], _Command]:
    """Add what every stage of a recipe takes."""
    options = [
        click.argument("recipe", required=recipe_required),
        click.option("--out", type=FILE, help="Run folder.  [default: runs/<name>]"),
        click.option(
            "--records",
            type=FILE,
            multiple=True,
            help="Vulnerability records: NVD, CVE JSON 5, parquet or JSONL; may be repeated.",
        ),
        click.option("--benchmark", type=FILE, help="Folder of CTI-Bench TSV files."),
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe key."
        ),
    ]

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _open(**options: Any) -> Run:
    from cybersecqwen.pipeline import open_run

    return open_run(options.pop("recipe"), options.pop("out"), **options)


def _print_results(out: Path, *, as_json: bool) -> None:
    from cybersecqwen.reports.comparison import results, results_table

    click.echo(json.dumps(results(out), indent=2) if as_json else results_table(out))


@click.command()
@_run_options()
@json_option
def run(as_json: bool, **options: Any) -> None:
    """Make a model: corpus, train, merge, evaluate, card; skip what is done."""
    from cybersecqwen.pipeline import STAGES

    opened = _open(**options)
    for stage in STAGES.values():
        stage(opened)
    _print_results(opened.out, as_json=as_json)
    if not as_json:
        click.echo(f"\nModel card: {opened.out / 'report' / 'MODEL_CARD.md'}")


@click.command()
@_run_options()
@json_option
def corpus(as_json: bool, **options: Any) -> None:
    """Build the decontaminated corpus with its certificate."""
    from cybersecqwen.files import read_json
    from cybersecqwen.pipeline import corpus as build

    opened = _open(**options)
    build(opened)
    counts = read_json(opened.out / "corpus" / "certificate.json")["counts"]
    if as_json:
        click.echo(json.dumps(counts, indent=2))
    else:
        click.echo(
            f"{counts['train']} training and {counts['validation']} validation examples, "
            f"{sum(counts['dropped'].values())} records dropped; {opened.out / 'corpus'}"
        )


@click.command()
@_run_options()
def train(**options: Any) -> None:
    """Fine-tune the LoRA adapter; goes on from the last checkpoint."""
    from cybersecqwen.pipeline import train as fine_tune

    fine_tune(_open(**options))


@click.command()
@_run_options()
def merge(**options: Any) -> None:
    """Fold the adapter into the base model and prove that both agree."""
    from cybersecqwen.pipeline import merge as fold

    fold(_open(**options))


@click.command()
@_run_options(recipe_required=False)
@click.option("--model", help="A model folder, or with --url the model's name there.")
@click.option("--url", help="An OpenAI-compatible server, for example http://localhost:8000/v1.")
@click.option("--responses", type=FILE, help="Recorded answers (JSONL), in place of a model.")
@click.option("--engine", type=click.Choice(["embedded"]), help="The model that ships inside.")
@click.option("--kind", type=click.Choice(["instruct", "base"]), help=_KIND)
@click.option(
    "--task", "tasks", multiple=True, help="May be repeated.  [default: cti-rcm and cti-mcq]"
)
@click.option("--protocol", help="Evaluation protocol.  [default: the recipe's, or model-card]")
@click.option("--trials", type=click.IntRange(min=1), help="Deviate from the protocol's trials.")
@click.option("--temperature", type=click.FloatRange(min=0), help="Deviate in the temperature.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Deviate in the length of answers.")
@click.option(
    "--permute",
    type=click.IntRange(min=2, max=24),
    help="Ask cti-mcq under so many seeded orders of the options, one a trial.",
)
@click.option("--save", type=FILE, help="Also write the CTI-Bench figures of --engine to FILE.")
@json_option
def evaluate(
    recipe: str | None,
    tasks: tuple[str, ...],
    protocol: str | None,
    save: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a recipe's merged model, or a folder, a server, recorded answers, what ships."""
    from cybersecqwen import pipeline
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.benchmark.subject import find_subject

    model = {name: options.pop(name) for name in ("model", "url", "responses", "engine", "kind")}
    deviations = {name: options.pop(name) for name in ("trials", "temperature", "max_tokens")}
    deviations["permutations"] = options.pop("permute")
    if recipe is None and (options["records"] or options["overrides"]):
        raise click.UsageError("--records and --set are a recipe's, and none is given")
    if recipe and any(model.values()):
        raise click.UsageError("a recipe has its own model and kind: give it, or the options")
    _check_model(**model)
    if model["responses"] and len(tasks) != 1:
        raise click.UsageError("--responses needs the one --task that it answers")
    if save and not model["engine"]:
        raise click.UsageError("--save is of --engine embedded")
    model["kind"] = model["kind"] or "instruct"
    if recipe is None:
        found = find_protocol(protocol or "model-card", **deviations)
        out = pipeline.evaluate_model(
            find_subject(**model, concurrency=found.concurrency),
            found,
            tasks=tasks,
            benchmark=options["benchmark"],
            out=options["out"],
        )
    else:
        run = _open(recipe=recipe, **options)
        named = find_protocol(protocol or run.recipe.evaluation.protocol, **deviations)
        pipeline.evaluate(run, tasks=tasks, protocol=named)
        out = run.out
    if save:
        from cybersecqwen.reports.shipped import save as save_figures

        save_figures(out, save, benchmark=options["benchmark"] or pipeline.default_benchmark())
    _print_results(out, as_json=as_json)


def _check_model(**model: Any) -> None:
    """Refuse more than one thing to measure."""
    if model["responses"] and (model["model"] or model["url"]):
        raise click.UsageError("give --responses, or --model with or without --url, not both")
    if model["engine"] and (model["model"] or model["url"] or model["responses"]):
        raise click.UsageError("--engine embedded brings its own model: give it, or another one")


@click.command()
@_run_options()
def card(**options: Any) -> None:
    """Write the model card from what the run folder holds."""
    from cybersecqwen.pipeline import card as write

    write(_open(**options))
